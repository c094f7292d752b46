"""A teacher that was trained on other images than its student's: of another size, colour or scaling, or with
more classes.

    teacher = teacher_inputs.adapted(teacher, dataset, "imagenet")  # takes images as the student does
"""

import keras
import numpy as np
from keras import ops

from keras_kd.data.dataset import is_multi_label
from keras_kd.models import graph, logits, network_checks, outputs, rebuilding, weights
from keras_kd.models.logits import ClassLogits
from keras_kd.utils import limits

# Mean and deviation of pixels in [0, 1] that a teacher's inputs were normalised with.
SCALES = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": ((103.939 / 255, 116.779 / 255, 123.68 / 255), 1 / 255),  # of blue, green, red
    "unit": (0.0, 1.0),
    "minus_one_one": (0.5, 0.5),
    "none": (0.0, 1 / 255),
}

# Ways to scale images for a teacher; "dataset" is the normalisation that its student's images have.
PREPROCESSINGS = ("dataset", *SCALES)

# Those that say something of three channels.
OF_COLOURS = ("imagenet", "caffe")

GREY, COLOUR = 1, 3  # channels


def adapted(teacher, dataset, preprocessing="dataset", places=None):
    """The teacher as a network from the images that its student sees to logits of the student's classes.

    Args:
      teacher: a built `keras.Model` with one input of images `[batch, height, width, channels]` and one
        output, of logits or probabilities.
      dataset: a `keras_kd.data.Dataset`, the student's.
      preprocessing: one of `PREPROCESSINGS`: "dataset" (as the student's images), "imagenet" (mean and
        deviation of ImageNet), "caffe" (blue, green, red minus their means), "unit" (0 to 1),
        "minus_one_one" (-1 to 1), "none" (pixel values 0 to 255, for a network that scales them itself).
      places: for each of the student's classes which of the teacher's outputs means it; None: in order.

    Returns:
      The teacher itself where nothing differs. Else a `keras.Model` that copies its layers, under their
      names, behind a `TeacherInputs`; where they cannot be copied, as of a subclassed model, the teacher is
      inside. One output that says yes or no of two classes becomes two logits, 0 and its own.

    Raises:
      ValueError: for a teacher that takes no images, or channels that cannot be made of the dataset's.
    """
    prepare = inputs_for(teacher, dataset, preprocessing)
    found = teacher
    if prepare.changes_images(dataset.image_shape):
        found = _behind(prepare, teacher, dataset.image_shape)
    if logits.says_yes_or_no(teacher, dataset) or places is not None:
        of_output = {
            "binary": logits.says_yes_or_no(teacher, dataset),
            "independent": is_multi_label(dataset),
        }
        found = logits.of_classes(found, places, **of_output)
    return found


def identity(model):
    """`{name: JSON value}`: what `adapted` made of a network; empty if nothing."""
    made = [layer for layer in graph.all_layers(model) if isinstance(layer, (TeacherInputs, ClassLogits))]
    return {"teacher_inputs": [layer.get_config() for layer in made]} if made else {}


def is_adapted(model):
    """Whether `adapted` made a network, and not the teacher as it came."""
    return bool(identity(model))


def inputs_for(teacher, dataset, preprocessing="dataset"):
    """The `TeacherInputs` between the dataset's images and a teacher; see `adapted`."""
    network_checks.check_network(teacher, "teacher")
    shapes, own = outputs.input_shapes(teacher), dataset.image_shape
    if shapes is None:
        raise ValueError(
            f"the teacher {teacher.name!r} is not built: give it a keras.Input, or call it on some images"
        )
    if len(shapes) == 1 and network_checks.takes(shapes[0], (None, *own)):
        taken = own
    elif len(shapes) != 1 or len(shapes[0]) != len(own) + 1 or shapes[0][-1] not in (None, GREY, COLOUR):
        raise ValueError(
            f"the teacher {teacher.name!r} must take images of shape (height, width, channels), of 1 channel "
            f"or 3. Received: inputs of shape {', '.join(map(str, shapes))}"
        )
    else:
        taken = tuple(size or given for size, given in zip(shapes[0][1:], own, strict=True))
    if preprocessing in OF_COLOURS and taken[-1] != COLOUR:
        raise ValueError(
            f"teacher_preprocessing={preprocessing!r} is of 3 channels: take another for the teacher "
            f"{teacher.name!r}. Received: inputs of shape {taken}"
        )
    return TeacherInputs(dataset.mean, dataset.std, preprocessing, taken, name="teacher_inputs")


@keras.saving.register_keras_serializable(package="keras_kd")
class TeacherInputs(keras.layers.Layer):
    """Makes what a teacher takes of images as its student's dataset normalises them.

    Sizes change by bilinear interpolation, in shrinking antialiased (each pixel is a mean of those that it
    covers); a grey channel is repeated, and three become their luminance (ITU-R BT.601).

    Args:
      mean, std: `[channels]`, of the dataset's normalisation.
      preprocessing: one of `PREPROCESSINGS`.
      image_shape: `(height, width, channels)` that the teacher takes.

    Raises:
      ValueError: for another preprocessing, or channels that cannot be made of the dataset's.
    """

    def __init__(self, mean, std, preprocessing, image_shape, **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False} | kwargs)
        limits.check_choice("teacher_preprocessing", preprocessing, PREPROCESSINGS)
        self.mean, self.std = (np.asarray(values, "float32") for values in (mean, std))
        self.preprocessing = preprocessing
        self.image_shape = tuple(image_shape)
        channels = len(self.mean), self.image_shape[-1]
        if channels[0] != channels[1] and set(channels) != {GREY, COLOUR}:
            raise ValueError(
                f"a teacher's {channels[1]} channels cannot be made of the dataset's {channels[0]}: only "
                f"grey and colour turn into each other. Received: image_shape={self.image_shape}"
            )
        self.built = True

    def changes_images(self, image_shape):
        """Whether anything is done to images `(height, width, channels)`."""
        return self.preprocessing != "dataset" or tuple(image_shape) != self.image_shape

    def call(self, images):
        """float32 `[batch, height, width, channels]`, of the dataset, to that of the teacher."""
        pixels = self._resized(self._recoloured(images * self.std + self.mean))
        if self.preprocessing == "caffe":
            pixels = ops.flip(pixels, axis=-1)
        mean, std = self._scale()
        return (pixels - mean) / std

    def _scale(self):
        if self.preprocessing == "dataset":
            return (self._recoloured(values[None, None, None])[0, 0, 0] for values in (self.mean, self.std))
        return (np.asarray(values, "float32") for values in SCALES[self.preprocessing])

    def _recoloured(self, pixels):
        channels = self.image_shape[-1]
        if pixels.shape[-1] == channels:
            return pixels
        if channels == COLOUR:
            return ops.repeat(pixels, COLOUR, axis=-1)
        return ops.image.rgb_to_grayscale(pixels, data_format="channels_last")

    def _resized(self, pixels):
        sizes, given = self.image_shape[:2], pixels.shape[1:3]
        if sizes == tuple(given):
            return pixels
        # In growing it changes nothing, and some accelerators know no other way.
        antialias = any(size < other for size, other in zip(sizes, given, strict=True))
        return ops.image.resize(
            pixels, sizes, interpolation="bilinear", antialias=antialias, data_format="channels_last"
        )

    def get_config(self):
        scale = {"mean": self.mean.tolist(), "std": self.std.tolist()}
        own = {"preprocessing": self.preprocessing, "image_shape": list(self.image_shape)}
        return {**super().get_config(), **scale, **own}


def _behind(prepare, teacher, image_shape):
    """The teacher on what `prepare` makes of images."""
    inputs = keras.Input(image_shape, name="image")
    inside = keras.Model(inputs, teacher(prepare(inputs)), name=teacher.name)
    try:
        with graph.deep_graphs():
            copied = _copied_behind(prepare, teacher, image_shape)
        rebuilding.check_equal(copied, inside)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return inside  # a subclassed model, or layers that cannot say how they were made
    return copied


def _copied_behind(prepare, teacher, image_shape):
    """The same with new layers: those of the teacher belong to its own graph, which names their outputs."""
    inputs = keras.Input(image_shape, name="image")
    prepared = TeacherInputs.from_config(prepare.get_config())(inputs)  # one that is in this graph alone

    def call(layer, *args, **kwargs):
        args, kwargs = graph.replaced(inputs, prepared, (args, kwargs))
        return layer(*args, **kwargs)

    as_graph = graph.to_one_output(teacher)
    copied = keras.models.clone_model(as_graph, input_tensors=inputs, call_function=call)
    weights.copy_by_layer(as_graph, copied)
    return copied
