"""Images of tensorflow-datasets, read by their index."""

import hashlib

import numpy as np


class Records:
    """An `ImageSource`: one split of a dataset that was prepared in a format with random access.

    Args:
      builder: a `tfds.core.DatasetBuilder`.
      split: its name.
      image_key, label_key: of its features.
      size: side of the images; None: as they are.

    Raises:
      ValueError: for another format.
    """

    bad = None
    is_raw = False

    def __init__(self, builder, split, image_key, label_key, size):
        import tensorflow_datasets as tfds

        try:
            self._records = builder.as_data_source(split=split)
        except NotImplementedError as error:
            raise ValueError(
                f"{builder.info.full_name} was prepared as {builder.info.file_format.value}, which cannot be "
                f"read by index: read it into memory, or prepare it in another data_dir with "
                f"file_format='array_record'"
            ) from error
        undecoded = builder.as_data_source(split=split, decoders={image_key: tfds.decode.SkipDecoding()})
        self.labels = np.array([record[label_key] for record in undecoded], np.int64)
        self._image_key, self._size = image_key, size
        self._name = f"{builder.info.full_name} {split} {size}"
        shape = builder.info.features[image_key].shape
        self.image_shape = (size, size, shape[-1]) if size else tuple(shape)

    def read(self, index):
        images = np.empty((len(index), *self.image_shape), np.uint8)
        for place, position in enumerate(map(int, index)):
            images[place] = resized(self._records[position][self._image_key], self._size)
        return images

    def key(self):
        """What a cache of these images is known by."""
        return self._name

    def stamp(self, position):
        """A version of a dataset does not change."""
        return self._name

    def digest(self, index):
        return hashlib.sha256(
            f"{self._name} {hashlib.sha256(index.tobytes()).hexdigest()}".encode()
        ).hexdigest()


def resized(image, size):
    """An image, uint8, of `size` x `size` pixels, each the mean of what it covers; else as it is."""
    if not size:
        return image
    import tensorflow as tf

    return tf.cast(tf.round(tf.image.resize(image, (size, size), "area")), tf.uint8)
