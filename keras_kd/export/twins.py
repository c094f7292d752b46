"""A network beside its twin, which has shortcuts where it has none, and beside its teacher."""

import typing

import keras

from keras_kd.export import sources
from keras_kd.models import blocks, cost, registry, serialization, weights
from keras_kd.training.labels import network_file


class Compared(typing.NamedTuple):
    """A network on a cost card.

    Attributes:
      network: the Keras model, as trained.
      accuracy: on test images; None if unknown.
      fold: whether its files have BatchNorm folded.
      test_images: how many there are; None if unknown.
    """

    network: keras.Model
    accuracy: float | None = None
    fold: bool = True
    test_images: int | None = None


def with_twin(source, fold=True):
    """`{label: Compared}` of a run's network, its twin and its teacher."""
    compared = {source.path.stem: Compared(source.network, source.accuracy)}
    label = "plain twin" if _has_shortcuts(source.network) else "residual twin"
    twin, teacher = _twin(source), _beside(source, "teacher")
    if twin and teacher and _same_graph(twin.network, teacher.network):
        compared[f"teacher ({label})"] = teacher
    else:
        compared |= {name: each for name, each in ((label, twin), ("teacher", teacher)) if each}
    images = source.result.get("dataset", {}).get("examples", {}).get("test")
    return {name: each._replace(fold=fold, test_images=images) for name, each in compared.items()}


def _twin(source):
    """The same network with shortcuts, or without if it has some; None for other kinds of networks.

    It is the run's own if that trained one, else one of the same weights.
    """
    found = _blocks(source.network)
    if not found:
        return None
    network = source.network
    shape = source.dataset.image_shape if source.dataset else network.input_shape[1:]
    classes = network.output_shape[-1]
    shortcuts = not _has_shortcuts(source.network)
    try:
        width = source.network.get_layer("stem_conv").filters
        spec = registry.format_spec("cifar_resnet", 2 * len(found) + 2, width=width, shortcuts=shortcuts)
        twin = registry.build(spec, shape, classes)
        weights.copy_weights(source.network, twin)
    except ValueError:  # it is another kind of network
        return None
    trained = _beside(source, "baseline")
    return trained if trained and _same_graph(trained.network, twin) else Compared(twin)


def _beside(source, label):
    """Another network of the same run; None if there is none."""
    file = network_file(label)
    path = source.path.parent / file
    if "networks" not in source.result:
        return None  # of no run
    if path.name == source.path.name or not path.is_file():
        return None
    network = serialization.load_model(path)
    return Compared(network, sources.accuracy(source.result, file, network))


def _has_shortcuts(network):
    return any(block.add for block in _blocks(network))


def _blocks(network):
    """Its residual or plain blocks; none of a network that does not say where they end."""
    try:
        return blocks.blocks_of(network)
    except ValueError:
        return ()


def _same_graph(one, other):
    """Whether both cost the same, step by step; what Keras calls operations without names differs."""
    first, second = cost.cost(one), cost.cost(other)
    steps = [[(moment.used, moment.retained) for moment in cost.moments] for cost in (first, second)]
    return steps[0] == steps[1] and first.parameters == second.parameters
