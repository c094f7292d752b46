"""Fixtures of the tests of data."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tiny_pictures():
    """A dataset of tensorflow-datasets that is made on the spot: images of two sizes, train alone."""
    import tensorflow_datasets as tfds

    class TinyPictures(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        SHAPE = (None, None, 3)

        def _info(self):
            image = tfds.features.Image(shape=self.SHAPE)
            label = tfds.features.ClassLabel(names=["dark", "light"])
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i in range(40):
                size = 9 + i % 2 if self.SHAPE[0] is None else 8
                image = np.full((size, size, 3), 20 + 180 * (i % 2), np.uint8)
                yield i, {"image": image, "label": i % 2}

    class TinySquares(TinyPictures):
        VERSION = tfds.core.Version("1.0.0")
        SHAPE = (8, 8, 3)

    return TinyPictures, TinySquares
