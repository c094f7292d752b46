"""Whether what is given is a network that fits the images, told before anything runs on it."""

import os

import keras

from keras_kd.models import outputs
from keras_kd.utils import backend, limits


def check_network(model, role="network"):
    """Raises a ValueError for what is no `keras.Model`, such as the path of one."""
    if isinstance(model, keras.Model):
        return
    is_path = isinstance(model, (str, os.PathLike))
    hint = ", read from its file by keras_kd.models.load_model" if is_path else ""
    raise ValueError(f"the {role} must be a keras.Model{hint}. Received: {limits.shown(model)}")


def check_fits(model, dataset, role="network"):
    """Raises a ValueError for a network that cannot run on the images of a dataset, or knows fewer classes.

    And where Keras is set to another layout of images, or another precision of numbers.

    Args:
      model: what should be a built `keras.Model`.
      dataset: what should be a `keras_kd.data.Dataset`.
      role: what the network is called in an error.
    """
    backend.check_configuration()
    check_network(model, role)
    if not hasattr(dataset, "image_shape"):
        raise ValueError(
            f"the dataset must be a keras_kd.data.Dataset, as keras_kd.data.load returns. "
            f"Received: {limits.shown(dataset)}"
        )
    if not model.built:
        raise ValueError(
            f"the {role} {model.name!r} is not built: give it a keras.Input, or call it on a batch of images"
        )
    shape, shapes = (None, *dataset.image_shape), outputs.input_shapes(model)
    if shapes is not None and (len(shapes) > 1 or not takes(shapes[0], shape)):
        raise ValueError(
            f"the {role} {model.name!r} must take images of shape {dataset.image_shape}. "
            f"Received: inputs of shape {', '.join(map(str, shapes))}"
        )
    returned = [tuple(x.shape) for x in getattr(model, "outputs", None) or []]
    if returned and (len(returned) > 1 or len(returned[0]) != 2):
        raise ValueError(
            f"the {role} {model.name!r} must have one output of shape [batch, classes]. "
            f"Received: {', '.join(map(str, returned))}"
        )
    if returned and (returned[0][-1] or dataset.num_classes) < dataset.num_classes:
        raise ValueError(
            f"the {role} {model.name!r} must have an output for each of the {dataset.num_classes} classes. "
            f"Received: {returned[0][-1]} outputs"
        )


def takes(wanted, given):
    """Whether an input of shape `wanted` takes one of shape `given`, batch included; None is any size.

    Keras adds or takes away a last size of 1 where only that is missing or too much.
    """
    if len(given) == len(wanted) - 1 and wanted[-1] == 1:
        given = (*given, 1)
    if len(given) == len(wanted) + 1 and given[-1] == 1:
        given = given[:-1]
    sizes = zip(wanted[1:], given[1:], strict=True) if len(wanted) == len(given) else [(0, 1)]
    return all(one == other or None in (one, other) for one, other in sizes)
