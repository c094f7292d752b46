"""Networks by name: `build("cifar_resnet:20:width=8:shortcuts=none", input_shape, num_classes)`.

A new architecture is one function and one entry of `BUILDERS`. `build_for` also takes the path of a `.keras`
file, as flags do.
"""

import difflib
import inspect

from keras_kd.models import applications, logits, network_checks, resnet, serialization
from keras_kd.utils import limits, specs

# Each takes positional sizes, then `input_shape`, `num_classes` and options by name, and returns a model
# of float32 logits. One that scales images itself also takes their `mean` and `std`; one whose options differ
# with its sizes takes `**options` and checks them.
BUILDERS = {
    "cifar_resnet": resnet.cifar_resnet,
    "imagenet_resnet": resnet.imagenet_resnet,
    "wide_resnet": resnet.wide_resnet,
    "applications": applications.applications,
}

# What the caller of `build` gives; not a part of a spec.
_GIVEN = ("input_shape", "num_classes", "mean", "std", "name")


def build(spec, input_shape=None, num_classes=None, *, mean=None, std=None, name=None):
    """The untrained network that a spec names.

    Args:
      spec: text `NAME:SIZE:...:OPTION=VALUE:...`, such as "cifar_resnet:20:width=8"; values as Python writes
        numbers and bools; `shortcuts` also "all", "none", or a 0 or 1 per block as in "1,0,1".
      input_shape: `(height, width, channels)`; None: the usual one of the builder.
      num_classes: number of logits; likewise.
      mean, std: float `[channels]`, with which images are normalised, `(pixels / 255 - mean) / std`; only
        networks that scale them in their own way ask. None: images come as pixels from 0 to 255.
      name: of the model.

    Returns:
      A `keras.Model`.

    Raises:
      ValueError: for an unknown name or option, or a value that the builder refuses.
    """
    builder, sizes, options = parse_spec(spec)
    given = {"input_shape": input_shape, "num_classes": num_classes, "mean": mean, "std": std, "name": name}
    asked = inspect.signature(BUILDERS[builder]).parameters
    given = {key: value for key, value in given.items() if key in asked and value is not None}
    return BUILDERS[builder](*sizes, **given, **options)


def build_for(spec, dataset):
    """The network that a spec names, for the images and classes of a `keras_kd.data.Dataset`.

    Args:
      spec: as for `build`, or the path of a `.keras` file, whose network is returned as it is there (one of
        a yes or no of two classes with `two_logits`).
      dataset: the `Dataset`.

    Raises:
      ValueError: as `build` does, for a file that holds no network, or one of other images or fewer classes.
    """
    if specs.is_file(spec):
        network = serialization.load_model(spec)
        if logits.says_yes_or_no(network, dataset):
            network = logits.two_logits(network)
        network_checks.check_fits(network, dataset)
        return network
    scaling = {"mean": dataset.mean, "std": dataset.std}
    return build(spec, dataset.image_shape, dataset.num_classes, **scaling)


def with_shortcuts(spec, shortcuts=True):
    """The spec of the same network with all shortcuts, or without; None for one that has no such switch."""
    if specs.is_file(spec):
        return None
    builder, sizes, options = parse_spec(spec)
    if "shortcuts" not in inspect.signature(BUILDERS[builder]).parameters:
        return None
    return format_spec(builder, *sizes, **options | {"shortcuts": shortcuts})


def lacks_shortcuts(spec):
    """Whether it names a network in which some shortcut is switched off."""
    if specs.is_file(spec):
        return False
    shortcuts = parse_spec(spec)[2].get("shortcuts", True)
    return not (shortcuts if isinstance(shortcuts, bool) else all(shortcuts))


def same_network(one, other):
    """Whether two specs name the same network, whatever of it they leave to defaults."""
    return _whole(one) == _whole(other)


def _whole(spec):
    """A spec with all options spelled out."""
    if specs.is_file(spec):
        return str(spec)
    builder, sizes, options = parse_spec(spec)
    parameters = inspect.signature(BUILDERS[builder]).parameters.values()
    usual = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    return builder, sizes, usual | options


def format_spec(builder, *sizes, **options):
    """The spec of a network: `parse_spec` of it gives the same back."""
    texts = [builder, *map(_format_value, sizes)]
    texts += [f"{name}={_format_value(value)}" for name, value in options.items()]
    return ":".join(texts)


def parse_spec(spec):
    """`(name, sizes, options)` of a spec; see `build`.

    Raises:
      ValueError: for an unknown name or option, too many or too few sizes, or text that is none of these.
    """
    builder, *parts = str(spec).split(":")
    if builder not in BUILDERS:
        near = difflib.get_close_matches(builder, BUILDERS, 1)
        known = f"there are {', '.join(BUILDERS)}, and paths that end in .keras"
        advice = f"did you mean {near[0]!r}?" if near else known
        raise ValueError(f"unknown network {builder!r} in {str(spec)!r}: {advice}")
    sizes = [_parse_value(part) for part in parts if "=" not in part]
    options = [_parse_option(builder, part) for part in parts if "=" in part]
    limits.check_each_once(f"options of {str(spec)!r}", [name for name, _ in options])
    names = _sizes(builder)
    if len(sizes) != len(names):
        raise ValueError(
            f"{builder} takes {len(names)} sizes, {', '.join(names)}: write "
            f"{':'.join([builder, *map(str.upper, names)])}. Received: {str(spec)!r}"
        )
    return builder, sizes, dict(options)


def parse_shortcuts(text):
    """ "none" and "all" to a bool, "1,0,1" to one bool per block.

    Raises:
      ValueError: for anything else.
    """
    if text in ("none", "all"):
        return text == "all"
    values = text.split(",")
    if not set(values) <= {"0", "1"}:
        raise ValueError(
            f"shortcuts must be 'none', 'all', or a 0 or 1 per block as in 1,0,1. Received: {text!r}"
        )
    return [value == "1" for value in values]


def _sizes(builder):
    """The names of a builder's arguments before `input_shape`."""
    names = list(inspect.signature(BUILDERS[builder]).parameters)
    return names[: names.index("input_shape")]


def _parse_option(builder, part):
    name, _, text = part.partition("=")
    parameters = inspect.signature(BUILDERS[builder]).parameters.values()
    known = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name not in _GIVEN]
    checks_itself = any(each.kind is each.VAR_KEYWORD for each in parameters)
    if name not in known and (name in _GIVEN or not checks_itself):
        raise ValueError(f"{builder} has no option {name!r}: there are {', '.join(known)}")
    if name == "shortcuts" and text not in ("True", "False"):
        return name, parse_shortcuts(text)
    return name, _parse_value(text)


def _parse_value(text):
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _format_value(value):
    if isinstance(value, (list, tuple)):  # of shortcuts, block by block
        return ",".join("1" if each else "0" for each in value)
    return str(value)
