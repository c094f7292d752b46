"""Networks by name: `build("cifar_resnet:20:width=8:shortcuts=none", input_shape, num_classes)`.

A new architecture is one function and one entry of `BUILDERS`.
"""

import difflib
import inspect

from keras_kd.models import resnet

# Each takes positional sizes, then `input_shape`, `num_classes` and options by name, and returns a model
# of float32 logits.
BUILDERS = {
    "cifar_resnet": resnet.cifar_resnet,
    "imagenet_resnet": resnet.imagenet_resnet,
    "wide_resnet": resnet.wide_resnet,
}

# What the caller of `build` gives; not a part of a spec.
_GIVEN = ("input_shape", "num_classes", "name")


def build(spec, input_shape, num_classes, *, name=None):
    """The untrained network that a spec names.

    Args:
      spec: text `NAME:SIZE:...:OPTION=VALUE:...`, such as "cifar_resnet:20:width=8"; values as Python writes
        numbers and bools; `shortcuts` also "all", "none", or a 0 or 1 per block as in "1,0,1".
      input_shape: `(height, width, channels)`.
      num_classes: number of logits.
      name: of the model.

    Returns:
      A `keras.Model`.

    Raises:
      ValueError: for an unknown name or option, or a value that the builder refuses.
    """
    builder, sizes, options = parse_spec(spec)
    return BUILDERS[builder](*sizes, input_shape=input_shape, num_classes=num_classes, name=name, **options)


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
        advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(BUILDERS)}"
        raise ValueError(f"unknown network {builder!r} in {str(spec)!r}: {advice}")
    sizes = [_parse_value(part) for part in parts if "=" not in part]
    options = dict(_parse_option(builder, part) for part in parts if "=" in part)
    names = _sizes(builder)
    if len(sizes) != len(names):
        raise ValueError(
            f"{builder} takes {len(names)} sizes, {', '.join(names)}: write "
            f"{':'.join([builder, *map(str.upper, names)])}. Received: {str(spec)!r}"
        )
    return builder, sizes, options


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
    known = [each for each in inspect.signature(BUILDERS[builder]).parameters if each not in _GIVEN]
    known = [each for each in known if each not in _sizes(builder)]
    if name not in known:
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
