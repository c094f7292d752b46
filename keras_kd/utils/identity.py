"""What arrays and settings are known by, and how two descriptions of a thing differ."""

import hashlib

import numpy as np


class NothingLeftError(ValueError):
    """What a run would go on from is damaged."""


class IdentityMismatchError(ValueError):
    """What is stored belongs to something else than what is asked for.

    Attributes:
      path: of the file or folder, which stays as it is.
      changes: what differs, in one line.
    """

    def __init__(self, path, changes, what="was made of something else"):
        super().__init__(path, changes, what)  # with which another process makes it again
        self.path = path
        self.changes = changes
        self._what = what

    def __str__(self):
        return f"{self.path} {self._what}: {self.changes}"


def check_identity(path, stored, wanted):
    """Raises an `IdentityMismatchError` if two identities, `{name: JSON value}`, differ."""
    changes = differences(stored, wanted)
    if changes:
        raise IdentityMismatchError(path, changes)


def differences(found, wanted):
    """What differs between two identities, `{name: JSON value}`, in one line; empty if nothing does."""
    return ", ".join(
        f"{name} was {found.get(name)!r} and is {wanted.get(name)!r}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    )


def float32_arrays(weights):
    """`{path: float32 array}` of `{path: what NumPy takes for an array}`."""
    return {path: np.asarray(value, np.float32) for path, value in weights.items()}


def file_digest(path):
    """A short fingerprint of what a file holds."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def text_digest(value):
    """A short fingerprint of a value of plain Python, by how it is written."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def array_digest(arrays):
    """A short fingerprint of `{name: array}`, as float32."""
    found = hashlib.sha256()
    for path, value in sorted(float32_arrays(arrays).items()):
        found.update(f"{path} {value.shape}".encode())
        found.update(value.tobytes())
    return found.hexdigest()[:16]
