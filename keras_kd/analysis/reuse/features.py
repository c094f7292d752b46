"""Outputs of layers, batch by batch: what the measures of feature reuse are made of.

Images are float and normalised already, see `augmentation.normalise`. Features of one batch
are in memory at a time; what grows with the number of images is what a measure keeps of them.
"""

from keras import ops

from keras_kd.data import lazy_images
from keras_kd.models import graph, inference

FEWEST_EXAMPLES = 4  # HSIC_1 divides by n - 3


def features(model, layer_names, images, batch_size=256, skip=0):
    """Outputs of layers, batch by batch, in inference mode, in one compiled pass.

    Args:
      model: a built functional or sequential `keras.Model` with one output.
      layer_names: names of its layers, at least one; see `layers_of`.
      images: float `[n, height, width, channels]`, normalised.
      batch_size: images at a time, at the most; the batches are of nearly equal size.
      skip: how many of the first batches are left out.

    Returns:
      A generator of `{layer name: float32 array [batch, ...]}`.

    Raises:
      ValueError: at once, without layers or images, or for a layer that the model does not have.
    """
    return streamed(model, layer_names, batches(images, batch_size)[skip:])


def batches(images, batch_size):
    """Cuts images into batches of nearly equal size, none larger than `batch_size`.

    Raises:
      ValueError: if there are no images, or `batch_size` < 1.
    """
    if len(images) < 1 or batch_size < 1:
        raise ValueError(
            f"there must be at least one image, and one in a batch. "
            f"Received: {len(images)} images, batch_size={batch_size}"
        )
    images = ops.convert_to_numpy(images)
    return [images[part] for part in lazy_images.slices(len(images), batch_size)]


def streamed(model, layer_names, batches):
    """As `features`, of batches of any sizes.

    Args:
      model, layer_names: as for `features`.
      batches: an iterable of float `[batch, height, width, channels]`, normalised.
    """
    layer_names = list(layer_names)
    if not layer_names:
        raise ValueError(
            f"there must be at least one layer of {model.name!r}. Received: layer_names=[]; "
            f"see keras_kd.models.blocks.layers_of"
        )
    forward = inference.compiled(graph.feature_extractor(model, layer_names))

    def answers(batch):
        outputs = forward(batch)
        return {name: to_host(outputs[name]) for name in layer_names}

    return map(answers, batches)


def to_host(tensor):
    """float32 array of a tensor's shape: NumPy does not know bfloat16."""
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))
