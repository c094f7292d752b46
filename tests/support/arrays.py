"""Small image datasets as arrays."""

import numpy as np


def tiny_arrays(rng, train=80, test=24, classes=4, shape=(8, 8, 3)):
    arrays = {}
    for key, count in (("train", train), ("test", test)):
        labels = np.arange(count) % classes
        noise = rng.integers(0, 40, (count, *shape))
        arrays[f"x_{key}"] = (noise + 50 * labels.reshape(-1, *[1] * len(shape))).astype(np.uint8)
        arrays[f"y_{key}"] = labels
    return arrays
