"""Grid evaluations that are stopped, go on, and refuse what is not theirs."""

import numpy as np
import pytest

from keras_kd.analysis.landscape import evaluation
from keras_kd.utils import files
from keras_kd.utils.identity import IdentityMismatchError

POINTS = np.stack([np.arange(40.0), np.zeros(40)], axis=1)


class Measure:
    """Counts how often each point is measured."""

    def __init__(self, stop_at=None):
        self.asked = []
        self.stop_at = stop_at

    def __call__(self, points):
        for place, _ in points:
            if place == self.stop_at:
                raise KeyboardInterrupt
            self.asked.append(place)
        found = np.stack([points[:, 0] ** 2, points[:, 0], points[:, 1]], axis=1)
        return np.where(points[:, :1] == 7, np.nan, found)


def survey(path, measure, **identity):
    return evaluation.GridEvaluation(path, measure, POINTS, {"network": "a", **identity})


def test_a_stopped_survey_goes_on_and_measures_nothing_twice(tmp_path):
    path = tmp_path / "survey.npz"
    first = Measure(stop_at=25)
    with pytest.raises(KeyboardInterrupt):
        survey(path, first).run(chunk=4)
    second = Measure()
    shown = []
    values = survey(path, second).run(on_progress=lambda *state: shown.append(state), chunk=4)
    assert second.asked == list(range(24, 40))
    assert shown == [(24, 40), (28, 40), (32, 40), (36, 40), (40, 40)]
    whole = survey(tmp_path / "whole.npz", Measure()).run()
    np.testing.assert_array_equal(values, whole)
    third = Measure()
    np.testing.assert_array_equal(survey(path, third).run(), whole)
    assert third.asked == []


def test_holes_are_kept_and_counted(tmp_path):
    own = survey(tmp_path / "survey.npz", Measure())
    values = own.run()
    assert own.holes == 1
    assert np.isnan(values[7]).all()
    assert survey(tmp_path / "survey.npz", Measure()).holes == 1


def test_the_file_holds_every_array(tmp_path):
    survey(tmp_path / "survey.npz", Measure()).run()
    arrays = files.read_arrays(tmp_path / "survey.npz")
    np.testing.assert_array_equal(arrays["points"], POINTS)
    assert arrays["values"].shape == (40, 3)
    assert arrays["done"] == 40


def test_a_survey_of_something_else_is_refused_and_kept(tmp_path):
    path = tmp_path / "survey.npz"
    survey(path, Measure()).run()
    before = path.read_bytes()
    with pytest.raises(
        IdentityMismatchError, match="survey.npz was made of something else: network was 'a' and is 'b'"
    ):
        survey(path, Measure(), network="b")
    with pytest.raises(IdentityMismatchError, match="made of something else: points was"):
        evaluation.GridEvaluation(path, Measure(), POINTS + 1, {"network": "a"})
    with pytest.raises(IdentityMismatchError, match="made of something else: measures was"):
        evaluation.GridEvaluation(path, Measure(), POINTS, {"network": "a"}, ["loss"])
    assert path.read_bytes() == before


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "survey.npz"
    survey(path, Measure()).run()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="is not a whole .npz file"):
        survey(path, Measure())
    files.write_arrays({"x": np.zeros(2)}, path)
    with pytest.raises(ValueError, match="survey.npz does not say what it is of"):
        survey(path, Measure())


@pytest.mark.parametrize("done", [24, 40])
def test_a_file_of_the_former_layout_goes_on(tmp_path, done):
    whole = survey(tmp_path / "whole.npz", Measure()).run()
    arrays = files.read_arrays(tmp_path / "whole.npz")
    arrays["done"] = np.array(done)
    arrays["values"] = np.where(np.arange(40)[:, None] < done, whole, np.nan)
    files.write_arrays(arrays, tmp_path / "former.npz")
    measure = Measure(stop_at=30)
    if done < 40:
        with pytest.raises(KeyboardInterrupt):
            survey(tmp_path / "former.npz", measure).run(chunk=4)
    measure.stop_at = None
    np.testing.assert_array_equal(survey(tmp_path / "former.npz", measure).run(chunk=4), whole)
    assert sorted(set(measure.asked)) == list(range(done, 40))
    assert [measure.asked.count(place) for place in range(done, 28)] == [1] * (28 - done)
