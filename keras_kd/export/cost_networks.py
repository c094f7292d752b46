"""Networks on a cost card, by text or file, each beside its twin with shortcuts, or without."""

import dataclasses
import pathlib
import re

from keras_kd.export import sources, twins
from keras_kd.export.twins import Compared
from keras_kd.models import outputs, registry, serialization
from keras_kd.models.block_specs import IMAGENET_STAGES
from keras_kd.utils import files, limits, run_dir, specs

_SHORT = re.compile(r"(resnet|plain)(\d+)")
_UNFOLDED = "-unfolded"


@dataclasses.dataclass(frozen=True)
class Listed:
    """What stands on a card.

    Attributes:
      networks: `{label: twins.Compared}`.
      groups: labels that are drawn together.
      pairs: `(label, label of its residual twin)`.
    """

    networks: dict[str, Compared]
    groups: list
    pairs: list


def named(names, fold):
    """The `Listed` networks of names, see `cost_card.compare_names`, and no others."""
    limits.check_each_once("networks", names)
    networks = {name: _network(name, fold) for name in names}
    twins_of = {name: registry.with_shortcuts(spec_of(name)) or spec_of(name) for name in names}
    groups = [[name for name in names if twins_of[name] == twin] for twin in dict.fromkeys(twins_of.values())]
    return Listed(networks, groups, _pairs_among(names, fold))


def _pairs_among(names, fold):
    """Of networks by text, which of them is whose residual twin, folded alike."""
    plain = [name for name in names if registry.lacks_shortcuts(spec_of(name))]
    twin_of = {name: registry.with_shortcuts(spec_of(name)) for name in plain}
    return [(name, other) for name in plain for other in names if _is_twin(other, twin_of[name], name, fold)]


def _is_twin(other, twin, name, fold):
    """Whether a text names the twin of another one, by the twin's spec, and is folded alike."""
    return registry.same_network(spec_of(other), twin) and _folds(other, fold) == _folds(name, fold)


def _folds(name, fold):
    return fold and not name.endswith(_UNFOLDED)


def with_twins(names, fold):
    """The `Listed` networks of names, files and folders of runs, and the twin of each.

    Args:
      names: as for `cost_card.compare_names`, or paths of `.keras` files, or of runs: their last student.
      fold: whether BatchNorm is folded.
    """
    limits.check_each_once("networks", names)
    groups, pairs, networks = [], [], {}
    for name in names:
        found = _of_file(name, fold) if _is_path(name) else _of_text(name, names, fold)
        if len(names) > 1 or not _is_path(name):
            found = {label if label == name else f"{label} of {name}": each for label, each in found.items()}
        networks |= found
        groups.append(list(found))
        pairs += pairs_of(groups[-1])
    pairs += _pairs_among([name for name in names if not _is_path(name)], fold)
    return Listed(networks, groups, pairs)


def _is_path(name):
    return specs.is_file(name) or pathlib.Path(name).is_dir()


def pairs_of(group):
    """Of a network and those beside it, which of them is whose residual twin."""
    label, *others = group
    residual = [other for other in others if "residual twin" in other]
    plain = [other for other in others if "plain twin" in other]
    return [(label, other) for other in residual] + [(other, label) for other in plain]


def _of_file(name, fold):
    """`{label: Compared}` of the network in a file, and of what its run has beside it."""
    path = sources.file_of_run(name) if pathlib.Path(name).is_dir() else pathlib.Path(name)
    network = serialization.load_model(path)
    beside = path.parent / run_dir.RESULT
    result = files.read_json(beside) if beside.is_file() else {}
    source = sources.Source(path, path.stem, network, None, result)
    if source.accuracy is None:
        network = outputs.with_logits(network, independent=True)
        source = dataclasses.replace(source, network=network, result={})
    return twins.with_twin(source, fold)


def _of_text(name, names, fold):
    """`{label: Compared}` of the network of a text and of its twin, where that is not asked for, too.

    Both are folded, or neither is: else the folding would be compared with the shortcuts.
    """
    found, spec = {name: _network(name, fold)}, spec_of(name)
    lacks = registry.lacks_shortcuts(spec)
    twin = registry.with_shortcuts(spec, lacks)
    others = [other for other in names if not _is_path(other)]
    if twin is None or any(_is_twin(other, twin, name, fold) for other in others):
        return found
    label = "residual twin" if lacks else "plain twin"
    return found | {label: Compared(registry.build(twin), fold=_folds(name, fold))}


def _network(name, fold):
    """The untrained network of a name, for the images and classes of its paper."""
    try:
        network = registry.build(spec_of(name))
    except ValueError as error:
        raise ValueError(
            f"networks have names such as resnet20, plain50 and plain50-unfolded, or are texts such as "
            f"cifar_resnet:20:width=8. Received: {name!r} ({error})"
        ) from error
    return Compared(network, fold=_folds(name, fold))


def spec_of(name):
    """The spec that a name stands for: one of `imagenet_resnet` if that has the depth."""
    match = _SHORT.fullmatch(name.removesuffix(_UNFOLDED))
    if not match:
        return name.removesuffix(_UNFOLDED)
    depth, shortcuts = int(match[2]), match[1] == "resnet"
    builder = "imagenet_resnet" if depth in IMAGENET_STAGES else "cifar_resnet"
    return registry.format_spec(builder, depth, shortcuts=shortcuts)
