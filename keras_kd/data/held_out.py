"""Validation and test images, looked at before a training that else meets them at its end."""

from keras_kd.data import lazy_images
from keras_kd.utils import progress


def check_images(dataset):
    """Reads the images of validation and test once, of a dataset whose images are decoded as they are read.

    They are few beside those of train; a cache has them afterwards.

    Args:
      dataset: a `Dataset`.

    Raises:
      BadImageError: for the first that cannot be read, unless the dataset does without such.
      ValueError: where no image of a class can.
    """
    splits = [split.images for split in (dataset.validation, dataset.test)]
    decoded = [images for images in splits if lazy_images.is_decoded(images)]
    if not decoded:
        return
    done = 0
    with progress.WorkLine("images of validation and test", sum(map(len, decoded))) as line:
        line.show(done)
        for images in decoded:
            for part in lazy_images.batches(images, lazy_images.at_once(dataset.image_shape)):
                done += len(part)
                line.show(done)
