"""The whole state of a training in one file: a run that was killed goes on as if it had not been.

    checkpoints = Checkpoints(folder / "student", identity)
    state = checkpoints.load()  # None, or where an earlier process came to
    ...
    checkpoints.save(state)

Keras's `BackupAndRestore` writes weights and epoch into two files, so a kill between the two
leaves a pair that does not belong together, and it forgets the callbacks.
"""

import dataclasses
import json
import pathlib
import warnings

import numpy as np

from keras_kd.utils import files, identity


@dataclasses.dataclass(frozen=True)
class State:
    """What a training is at the end of an epoch.

    Attributes:
      epochs: how many are complete.
      finished: whether no more follow: all are done, or a callback stopped the training.
      history: `{metric: [value per epoch]}`.
      seconds: wall-clock time so far.
      variables: `{name: array}`: weights, optimiser, counters, random layers.
      callbacks: `[{attribute: value}]` for each callback: what `fit` changed in it.
      notes: of the `DistillationAlarms`, so far; None in states that earlier versions saved.
    """

    epochs: int
    finished: bool
    history: dict[str, list[float]]
    seconds: float
    variables: dict[str, np.ndarray]
    callbacks: list[dict]
    notes: dict[str, str] | None = None


class Checkpoints:
    """The states of a training after its last two epochs, each whole or not there.

    Epochs take turns between two files, so that the older one is still there while, and after,
    the newer one is written.

    Args:
      stem: path of the files less their endings `.0.npz` and `.1.npz`.
      identity: `{name: JSON value}`: what the training is. A state of another one is refused.
    """

    def __init__(self, stem, identity):
        self._paths = [pathlib.Path(f"{stem}.{turn}.npz") for turn in range(2)]
        self._identity = json.loads(json.dumps(identity))

    def load(self):
        """The newest whole state, or None if nothing was saved yet.

        Warns where a file is damaged and the other one is taken.

        Raises:
          NothingLeftError: if there are files but none is whole.
          ValueError: if one is of another training; the message says what differs.
        """
        states, damage = [], []
        for path in filter(pathlib.Path.exists, self._paths):
            try:
                states.append(self._read(path))
            except _DamagedError as error:
                damage.append(str(error))
        newest = max(states, key=lambda state: state.epochs, default=None)
        if damage and newest is None:
            raise identity.NothingLeftError(
                f"{' and '.join(damage)}: there is nothing to go on from, start anew"
            )
        if damage:
            warnings.warn(f"{damage[0]}: going on from epoch {newest.epochs} instead", stacklevel=2)
        return newest

    def save(self, state):
        """Writes a state over the last but one. An error leaves both files as they were."""
        arrays = {f"{_VARIABLE}{name}": value for name, value in state.variables.items()}
        header = vars(state) | {
            "identity": self._identity,
            "variables": None,  # they are arrays, as some of what callbacks hold
            "callbacks": _without_arrays(state.callbacks, arrays),
        }
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        files.write_arrays(arrays, self._paths[state.epochs % 2])

    def _read(self, path):
        try:
            arrays = files.read_arrays(path)
            header = json.loads(arrays.pop("header").tobytes())
            identity = header.pop("identity")
            variables = {
                name.removeprefix(_VARIABLE): array
                for name, array in arrays.items()
                if name.startswith(_VARIABLE)
            }
            callbacks = _with_arrays(header["callbacks"], arrays)
            state = State(**header | {"variables": variables, "callbacks": callbacks})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _DamagedError(f"{path} is damaged ({error})") from error
        self._check_identity(identity, path)
        return state

    def _check_identity(self, found, path):
        unknown = {name: self._identity[name] for name in _LATER & self._identity.keys() - found.keys()}
        changes = identity.differences(found | unknown, self._identity)
        if changes:
            raise ValueError(f"{path} is of another training: {changes}")


# What earlier versions did not write down of a training: theirs may have it or not.
_LATER = {"shortcut_removal", "teacher_averages"}

_VARIABLE = "variable "  # before the names of arrays, to tell them from those of callbacks

_ARRAY = "<array>"


class _DamagedError(ValueError):
    """A file is not what was written."""


def _without_arrays(value, arrays):
    """A structure for JSON: each array in it moves to `arrays` and leaves its name."""
    if isinstance(value, list):
        return [_without_arrays(item, arrays) for item in value]
    if isinstance(value, dict):
        return {key: _without_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        name = f"callback {len(arrays)}"
        arrays[name] = value
        return {_ARRAY: name}
    return value


def _with_arrays(value, arrays):
    """What `_without_arrays` was given."""
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    return value


def write_variables(variables, values):
    """Gives Keras variables the values that `weights.read_variables` read, place by place.

    Names are not compared: Keras numbers them anew in each process.

    Raises:
      ValueError: if the shapes are those of other variables; nothing is assigned then.
    """
    values = [values[name] for name in sorted(values)]
    wanted = [tuple(variable.shape) for variable in variables]
    found = [value.shape for value in values]
    if wanted != found:
        place = next((i for i, (a, b) in enumerate(zip(wanted, found, strict=False)) if a != b), "all")
        raise ValueError(
            f"the checkpoint is of another network: it has {len(found)} variables and this one "
            f"{len(wanted)}; the first to differ is {place}"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def plain_attributes(callback):
    """A copy of the public attributes of a callback that hold numbers, text, arrays or lists of them."""
    copies = {name: _plain(value) for name, value in vars(callback).items() if not name.startswith("_")}
    return {name: value for name, value in copies.items() if value is not _NOT_PLAIN}


def changed(before, after):
    """The attributes in `after` that are not the same in `before`."""
    return {
        name: value for name, value in after.items() if name not in before or not _equal(before[name], value)
    }


_NOT_PLAIN = object()


def _plain(value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value.copy()
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        return _NOT_PLAIN if any(item is _NOT_PLAIN for item in items) else items
    return _NOT_PLAIN


def _equal(one, other):
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other
