"""Results as JSON: what lacks is named, what is called otherwise there is found."""

import pytest

from keras_kd.analysis.landscape.geometry import Roughness
from keras_kd.analysis.landscape.results import NetworkNumbers, PlaneSurface

PLANE = PlaneSurface(
    kind="trajectory",
    title="the trajectory of a",
    reader="a",
    batch_norm="estimate",
    examples=8,
    ticks=[[0.0, 1.0], [0.0, 1.0]],
    loss=[[1.0, None], [2.0, 3.0]],
    accuracy=[[0.5, None], [0.5, 0.5]],
    standard_error=[[0.1, None], [0.1, 0.1]],
    marks={"a": [0.0, 0.0]},
    trajectory=[[0.0, 0.0], [1.0, 1.0]],
    explained=[0.9, 0.1],
    roughness=Roughness(0.5, 0.5, 1, 1),
)


def test_files_call_a_trajectory_as_they_always_did():
    values = PLANE.to_json()
    assert values["kind"] == "way"
    assert values["way"] == PLANE.trajectory
    assert "trajectory" not in values
    assert PlaneSurface.from_json(values) == PLANE


def test_a_field_that_is_missing_is_named():
    values = PLANE.to_json()
    del values["way"]
    with pytest.raises(ValueError, match="a stored PlaneSurface has no 'way'; it has kind, title"):
        PlaneSurface.from_json(values)


def test_a_misspelt_field_is_an_error():
    with pytest.raises(TypeError, match="acuracy"):
        NetworkNumbers(label="a", acuracy=0.5)
    with pytest.raises(AttributeError, match="rougness"):
        _ = PLANE.rougness
