"""The classifiers of `keras.applications`, as networks of float32 logits that take normalised images.

    student = applications("MobileNetV3Small", (32, 32, 3), 10, alpha=0.35)

Each family scales pixels in its own way. These networks do that themselves, behind a first layer that undoes
the dataset's normalisation: they are fed like all others, in training, evaluation and export.
"""

import difflib
import inspect
import os
import pathlib
import types

import keras
from keras import layers

# Name of the layer behind which a network has pixels from 0 to 255.
PIXELS = "pixels"

# With which networks scale pixels themselves.
SCALING = (layers.Rescaling, layers.Normalization)

# What is not an option of an architecture: `applications` decides it.
_DECIDED = (
    "include_top",
    "include_preprocessing",
    "weights",
    "input_tensor",
    "input_shape",
    "pooling",
    "classes",
    "classifier_activation",
    "name",
)


def applications(
    architecture,
    input_shape=(224, 224, 3),
    num_classes=1000,
    *,
    weights="none",
    mean=None,
    std=None,
    name=None,
    **options,
):
    """A network of `keras.applications`.

    Args:
      architecture: its name there, such as "MobileNetV3Small".
      input_shape: `(height, width, channels)`; one channel is repeated to three. How small images may be is
        the architecture's.
      num_classes: number of logits.
      weights: "none" is the whole classifier, untrained. "imagenet", which Keras downloads once, or the path
        of a `.h5` file of the same layers (without the classifier) is the trained backbone, global average
        pooling and a new dense layer.
      mean, std: float `[channels]`, with which the images are normalised, `(pixels / 255 - mean) / std`; None
        where they come as pixels from 0 to 255.
      name: of the model; None: the architecture's.
      **options: of the architecture, such as `alpha=0.35`.

    Returns:
      A functional `keras.Model` to float32 logits `[batch, num_classes]`, in one graph with its scaling.

    Raises:
      ValueError: for an unknown architecture or option, images that are too small, or weights that cannot be
        had.
    """
    build = _find(architecture, options)
    image = keras.Input(tuple(input_shape), name="image")
    given = {"input_tensor": _scaled(image, architecture, mean, std), "input_shape": (*input_shape[:2], 3)}
    whole = {"include_top": True, "weights": None, "classes": num_classes, "classifier_activation": None}
    backbone = {"include_top": False, "weights": _weights(weights)}
    try:
        network = build(**given, **(whole if backbone["weights"] is None else backbone), **options)
    except Exception as error:  # Keras downloads raise a bare one
        reason = " ".join(str(error).split())
        what = architecture if weights == "none" else f"{architecture} with weights={weights}"
        raise ValueError(f"applications:{what}: {reason[:300]}") from error
    x = network.outputs[0]
    if backbone["weights"] is not None:
        x = layers.GlobalAveragePooling2D(data_format="channels_last", name="head_pool")(x)
        x = layers.Dense(num_classes, dtype="float32", name="head_logits")(x)
    elif x.dtype != "float32":
        x = layers.Activation("linear", dtype="float32", name="float32_logits")(x)
    return keras.Model(image, x, name=name or architecture)


def _find(architecture, options):
    """The function of `keras.applications` of a name, if it has these options."""
    known = {name: each for name, each in vars(keras.applications).items() if inspect.isfunction(each)}
    if architecture not in known:
        near = difflib.get_close_matches(str(architecture), known, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"keras.applications has no {architecture!r}: {advice}")
    has = [name for name in inspect.signature(known[architecture]).parameters if name not in _DECIDED]
    unknown = [name for name in options if name not in has]
    if unknown:
        has = ", ".join(["weights", *has])
        raise ValueError(f"applications:{architecture} has no option {unknown[0]!r}: there are {has}")
    return known[architecture]


def _weights(weights):
    """What `keras.applications` takes for them."""
    if weights in ("none", "imagenet"):
        return None if weights == "none" else weights
    if not os.path.isfile(weights) or pathlib.Path(weights).suffix != ".h5":
        raise ValueError(
            f"weights must be none, imagenet, or the path of a .h5 file of the layers before the classifier. "
            f"Received: weights={weights!r}"
        )
    return str(weights)


def _scaled(image, architecture, mean, std):
    """The images as the architecture's family takes them: three channels, scaled in its way."""
    x = image
    if mean is not None:
        pixels = {"scale": [255.0 * float(each) for each in std], "offset": [255.0 * float(m) for m in mean]}
        x = layers.Rescaling(**pixels, dtype="float32", name=PIXELS)(x)
    if image.shape[-1] == 1:
        x = layers.Concatenate(name="grey_to_rgb")([x, x, x])
    return _preprocessing(architecture)(x, data_format="channels_last")


def _preprocessing(architecture):
    """`preprocess_input` of the architecture's family; those without one of its name scale by themselves."""
    for family in vars(keras.applications).values():
        if isinstance(family, types.ModuleType) and hasattr(family, architecture):
            return family.preprocess_input
    return _as_it_is


def _as_it_is(pixels, data_format):
    return pixels
