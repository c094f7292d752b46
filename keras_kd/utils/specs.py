"""Specs: a name and its options as one text, `NAME:OPTION=VALUE:...`, for flags, study files and results."""

import difflib
import math

# Between the ends of a range, LOW..HIGH, from which a search chooses an option's value.
RANGE = ".."


def is_file(text):
    """Whether a network is named by the path of its `.keras` file."""
    return str(text).endswith(".keras")


def find(kind, name, choices):
    """What `choices` holds under a name.

    Raises:
      ValueError: for an unknown one; the message has the nearest, or all.
    """
    if name not in choices:
        folded = {choice.casefold(): choice for choice in choices}
        near = difflib.get_close_matches(name.strip().casefold(), folded, 1)
        advice = f"did you mean {folded[near[0]]!r}?" if near else f"there are {', '.join(choices)}"
        raise ValueError(f"unknown {kind} {name!r}: {advice}")
    return choices[name]


def check_options(kind, name, options, known):
    """Raises a ValueError for an option that `name` does not have."""
    unknown = [option for option in options if option not in known]
    if unknown:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"{kind}={name!r} has no option {unknown[0]!r}: {has}")


def parse(kind, text, texts=(), **options):
    """The name and the options of a spec.

    Args:
      kind: what is named, for messages.
      text: `NAME:OPTION=VALUE:...`; a value is True, False, a number, text, or several with commas between.
      texts: options that are text, or several, also where they look like a number.
      **options: further ones.

    Returns:
      `(name, {option: value})`.

    Raises:
      ValueError: for text that is no spec, or an option that is given twice.
    """
    name, *parts = str(text).split(":")
    for part in parts:
        option, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"a {kind} is NAME:OPTION=VALUE:... Received: {str(text)!r}")
        if option in options:
            raise ValueError(f"{option} is given twice. Received: {str(text)!r}")
        options[option] = _value(value, str if option in texts else _plain)
    return name, options


def as_text(name, options):
    """The text of which `parse` makes the same again."""
    return ":".join([name, *(f"{option}={_text(value)}" for option, value in options.items())])


def is_range(value):
    """Whether an option's value, as `parse` reads it, is written as a range."""
    return isinstance(value, str) and RANGE in value


def parse_range(text):
    """`(low, high)` of a range.

    Raises:
      ValueError: if its ends are no finite numbers, or reversed.
    """
    low, high = map(_plain, text.split(RANGE, 1))
    if not all(isinstance(end, float) and math.isfinite(end) for end in (low, high)):
        raise ValueError(f"a range is LOW{RANGE}HIGH, two finite numbers. Received: {text!r}")
    if low > high:
        raise ValueError(f"a range's ends are reversed: write the lower one first. Received: {text!r}")
    return low, high


def as_range(low, high):
    """The text of which `parse_range` makes the same again."""
    return f"{low:.15g}{RANGE}{high:.15g}"


def _text(value):
    return ",".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)


def _value(text, of_one):
    return tuple(map(of_one, text.split(","))) if "," in text else of_one(text)


def _plain(text):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
