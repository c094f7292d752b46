"""Frozen dataclasses of plain values, and JSON at the edge.

Plain values are numbers, texts, lists and dicts, with None for what is not finite or not measured.
"""

import dataclasses
import types
import typing

from keras_kd.utils import files


def field_values(cls, values, names=None):
    """`{field: value}` of those fields of a dataclass that JSON has.

    Args:
      cls: the dataclass.
      values: `{name: JSON value}`; names that are no fields are left out.
      names: `{field: name in JSON}` of fields that are called otherwise there.

    Raises:
      ValueError: if a field without a default is missing.
    """
    names = names or {}
    found = {}
    for field in dataclasses.fields(cls):
        name = names.get(field.name, field.name)
        if name in values:
            found[field.name] = values[name]
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"a stored {cls.__name__} has no {name!r}; it has {', '.join(values)}")
    return found


def json_values(record, names=None):
    """`{name in JSON: value}` of a dataclass, not of those within it; arguments as for `field_values`."""
    names = names or {}
    return {
        names.get(field.name, field.name): getattr(record, field.name) for field in dataclasses.fields(record)
    }


def from_json(cls, values, names=None):
    """A dataclass from JSON, and those within it, as the annotations of its fields say.

    A dataclass within it that has a `from_json` of its own is read by that one.

    Args:
      cls, values, names: as for `field_values`.

    Raises:
      ValueError: if a field without a default is missing.
    """
    kinds = typing.get_type_hints(cls)
    found = field_values(cls, values, names)
    return cls(**{name: _read(kinds[name], value) for name, value in found.items()})


def _read(kind, value):
    if value is None:
        return None
    if dataclasses.is_dataclass(kind):
        return kind.from_json(value) if hasattr(kind, "from_json") else from_json(kind, value)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        inner = [each for each in inner if each is not types.NoneType]
        return _read(inner[0], value) if len(inner) == 1 else value
    if origin in (tuple, list) and isinstance(value, (tuple, list)):
        return origin(_read(inner[0], each) for each in value)
    if origin is dict and isinstance(value, dict):
        return {key: _read(inner[1], each) for key, each in value.items()}
    return value


def finite(record):
    """The dataclass with None for numbers in it that are not finite, as JSON has it."""
    return from_json(type(record), files.plain_values(record))
