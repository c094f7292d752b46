"""What is stored and what is asked for: errors that other processes hand on whole."""

import copy
import pathlib

import pytest

from keras_kd.utils import identity


def test_a_mismatch_is_handed_on_whole_by_another_process():
    error = identity.IdentityMismatchError(pathlib.Path("run"), "seed was 0 and is 1", "holds another study")
    again = copy.copy(error)  # as between processes: made again from its arguments
    assert str(again) == str(error) == "run holds another study: seed was 0 and is 1"
    assert (again.path, again.changes) == (error.path, error.changes)


def test_identities_that_differ_are_told_by_name():
    with pytest.raises(
        identity.IdentityMismatchError, match=r"a.npz was made of .*: b was 1 and is None, c was None"
    ):
        identity.check_identity("a.npz", {"a": 1, "b": 1}, {"a": 1, "c": 2})
    identity.check_identity("a.npz", {"a": 1}, {"a": 1})
