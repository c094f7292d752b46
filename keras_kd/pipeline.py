"""From a `Dataset` in memory to batches in a `tf.data.Dataset`.

What a training batch holds is a pure function of (seed, epoch, index): neither the number of
replicas nor where a run was taken up again changes it.
"""

import tensorflow as tf

# How far an image is moved: 4 pixels of 32, as in He et al. 2016, section 4.2.
CROP_FRACTION = 8

AUGMENTATIONS = ("auto", "none", "crop", "crop_flip")

# Separates the streams of random numbers that share (seed, epoch).
_ORDER, _ROWS, _COLUMNS, _FLIPS = range(4)


def normalise(images, mean, std):
    """uint8 `[batch, height, width, channels]` to float32, `(image / 255 - mean) / std`."""
    return (tf.cast(images, tf.float32) / 255.0 - mean) / std


def batches(
    dataset,
    batch_size,
    *,
    epochs,
    seed=0,
    augmentation="auto",
    initial_epoch=0,
    shards=1,
    own=range(1),
):
    """Training batches, epoch after epoch.

    Each epoch holds the training examples in an order of its own, without the last few that do
    not fill a batch.

    Args:
      dataset: a `keras_kd.datasets.Dataset`.
      batch_size: examples per batch, over all replicas.
      epochs: the epoch to stop before.
      seed: of order and augmentation.
      augmentation: "crop" pads by an eighth and crops at random, "crop_flip" also mirrors every
        other image, "none" does neither; "auto" is "crop_flip" where a mirrored image shows
        the same class and "crop" elsewhere.
      initial_epoch: the epoch to begin with.
      shards: into how many equal parts each batch is cut.
      own: the range of those that come out, one after the other; the others are never read.

    Returns:
      A `tf.data.Dataset` of (float32 `[batch, height, width, channels]`, int64 `[batch]`), where
      batch is `batch_size / shards`.

    Raises:
      ValueError: if train is smaller than a batch, or for an unknown augmentation.
    """
    count = len(dataset.train.labels)
    steps = steps_per_epoch(dataset, batch_size)
    with tf.device("CPU"):
        images, labels = tf.constant(dataset.train.images), tf.constant(dataset.train.labels)
    augment = _Augmenter(resolve_augmentation(dataset, augmentation), dataset.image_shape, count)

    def one_epoch(epoch):
        order = tf.random.experimental.stateless_shuffle(tf.range(count), _seed(seed, epoch, _ORDER))
        draws = augment.draw(seed, epoch)

        def batch(index):
            x = normalise(tf.gather(images, index), dataset.mean, dataset.std)
            return augment(x, [tf.gather(draw, index) for draw in draws]), tf.gather(labels, index)

        parts = tf.reshape(order[: steps * batch_size], [steps, shards, batch_size // shards])
        indices = tf.reshape(parts[:, own.start : own.stop], [steps * len(own), batch_size // shards])
        return tf.data.Dataset.from_tensor_slices(indices).map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    epoch_numbers = tf.data.Dataset.range(initial_epoch, epochs)
    return epoch_numbers.flat_map(one_epoch).prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(dataset, batch_size):
    """Full batches in an epoch.

    Raises:
      ValueError: if there is none.
    """
    count = len(dataset.train.labels)
    if not isinstance(batch_size, int) or not 1 <= batch_size <= count:
        raise ValueError(
            f"batch_size must be a whole number from 1 to the number of training examples, {count}. "
            f"Received: batch_size={batch_size!r}"
        )
    return count // batch_size


def examples(dataset, split, start, stop):
    """Some examples of a split, in order: float32 `[n, height, width, channels]` and int64 `[n]`."""
    stored = getattr(dataset, split)
    return (
        normalise(stored.images[start:stop], dataset.mean, dataset.std),
        tf.constant(stored.labels[start:stop]),
    )


def evaluation_batches(dataset, split, batch_size=256):
    """Every example of a split exactly once, in order, in batches of nearly equal size.

    Args:
      dataset: a `keras_kd.datasets.Dataset`.
      split: "train", "validation" or "test".
      batch_size: examples in a batch, at the most.

    Yields:
      (float32 `[batch, height, width, channels]`, int64 `[batch]`).
    """
    count = len(getattr(dataset, split).labels)
    number = -(-count // batch_size)
    for i in range(number):
        yield examples(dataset, split, count * i // number, count * (i + 1) // number)


def resolve_augmentation(dataset, augmentation):
    """What "auto" means for this dataset; any other name is returned as it is.

    Raises:
      ValueError: for an unknown name.
    """
    if augmentation not in AUGMENTATIONS:
        raise ValueError(
            f"augmentation must be one of {AUGMENTATIONS}. Received: augmentation={augmentation!r}"
        )
    if augmentation == "auto":
        return "crop_flip" if dataset.flips else "crop"
    return augmentation


def _seed(seed, epoch, stream):
    return tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), tf.cast(epoch, tf.int64)]), stream)


class _Augmenter:
    """Moves and mirrors a batch by numbers that were drawn for the whole epoch at once."""

    def __init__(self, augmentation, image_shape, count):
        self._height, self._width, _ = image_shape
        self._crops = augmentation != "none"
        self._flips = augmentation == "crop_flip"
        self._count = count

    def draw(self, seed, epoch):
        """`[count]` numbers each: row and column offset, and whether to mirror."""
        if not self._crops:
            return []
        limits = (2 * (self._height // CROP_FRACTION) + 1, 2 * (self._width // CROP_FRACTION) + 1, 2)
        return [
            tf.random.stateless_uniform([self._count], _seed(seed, epoch, stream), 0, limit, tf.int32)
            for stream, limit in zip((_ROWS, _COLUMNS, _FLIPS), limits, strict=True)
        ]

    def __call__(self, images, draws):
        if not self._crops:
            return images
        row, column, mirror = (draw[:, tf.newaxis] for draw in draws)
        pad_y, pad_x = self._height // CROP_FRACTION, self._width // CROP_FRACTION
        padded = tf.pad(images, [[0, 0], [pad_y, pad_y], [pad_x, pad_x], [0, 0]])
        rows, columns = row + tf.range(self._height), column + tf.range(self._width)
        if self._flips:
            columns = tf.where(mirror == 1, columns[:, ::-1], columns)
        cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
        return tf.gather(cropped, columns, axis=2, batch_dims=1)
