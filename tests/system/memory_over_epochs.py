"""Trains a small network and prints memory (MB) and time (s) after each epoch, and the peak of memory.

    python -m tests.system.memory_over_epochs DATA.npz --epochs=20 --batch_size=128

With --examples=50000 --size=32 the data are made first: that many noisy 32x32 colour images.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import tempfile
import time

import keras
import numpy as np

import keras_kd
from keras_kd.data import datasets
from keras_kd.training import config, evaluation, trainer
from keras_kd.training.distributed import strategy


class Memory(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.megabytes = []
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
        self.megabytes.append(round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2))
        self.seconds.append(round(time.perf_counter() - self._began, 2))


def make_data(path, examples, size):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", examples), ("test", examples // 5)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, size, size, 3), np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(path, **arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--size", type=int, default=32)
    arguments = parser.parse_args()
    if arguments.examples:  # in another process, so that it does not count
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.apply(make_data, (arguments.data, arguments.examples, arguments.size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    dataset = datasets.load(str(arguments.data))
    settings = config.Settings(epochs=arguments.epochs, batch_size=arguments.batch_size, strategy="none")
    memory = Memory()
    with strategy.scope(settings):
        networks = [keras_kd.cifar_resnet(8, dataset.image_shape, dataset.num_classes, width=4) for _ in "ts"]
    with tempfile.TemporaryDirectory() as folder:
        trainer.distill(
            *networks,
            dataset,
            settings,
            trust_teacher=True,
            folder=folder,
            label="student",
            callbacks=[memory],
        )
        evaluation.evaluate(networks[1], dataset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    images = sum(getattr(dataset, split).images.nbytes for split in ("train", "validation", "test"))
    print(
        json.dumps(
            {
                "epochs": memory.megabytes,
                "seconds": memory.seconds,
                "peak": round(peak, 1),
                "after imports": round(before, 1),
                "images": round(images / 2**20, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
