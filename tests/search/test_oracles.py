"""Oracles: what they try, in which order, and how they go on after a kill."""

import math

import numpy as np
import pytest
from keras_tuner.engine.trial import Trial

from keras_kd.search import oracles
from keras_kd.search.space import SearchSpace
from tests.support.searches import SPACE, oracle_of


def test_temperature_is_sampled_on_a_log_scale_and_alpha_is_not(tmp_path):
    oracle = oracle_of("random", tmp_path, trials=200)
    values = [oracle.create_trial(f"{i}").hyperparameters.values for i in range(200)]
    temperatures, alphas = (np.array([each[name] for each in values]) for name in ("temperature", "alpha"))
    assert (temperatures.min() >= 1, temperatures.max() <= 16) == (True, True)
    assert (alphas.min() >= 0.1, alphas.max() <= 0.9) == (True, True)
    assert np.mean(temperatures < 4) == pytest.approx(0.5, abs=0.1)  # 4 is the geometric middle
    assert np.mean(alphas < 0.5) == pytest.approx(0.5, abs=0.1)


def score(values):
    """Best at T = 4, alpha = 0.5."""
    return 1 - abs(math.log(values["temperature"] / 4)) - abs(values["alpha"] - 0.5)


def finish(oracle, trial, value=None):
    value = score(trial.hyperparameters.values) if value is None else value
    oracle.update_trial(trial.trial_id, {oracle.objective.name: value})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def tried(tuner, path, resume, trials=9, space=SPACE):
    """The settings that a search hands out; with `resume` a new process goes on after each step."""
    path.mkdir()

    def again(oracle):
        if not resume:
            return oracle
        new = oracle_of(tuner, path, trials, space)
        new.reload()
        return new

    oracle = oracle_of(tuner, path, trials, space)
    found = []
    while True:
        trial = oracle.create_trial("one")
        if trial.status != "RUNNING":
            return found
        if resume:  # killed while it ran
            oracle = again(oracle)
            repeated = oracle.create_trial("one")
            assert (repeated.trial_id, repeated.hyperparameters.values) == (
                trial.trial_id,
                trial.hyperparameters.values,
            )
            trial = repeated
        found.append(trial.hyperparameters.values)
        finish(oracle, trial)
        oracle = again(oracle)


@pytest.mark.parametrize(
    "tuner",
    [pytest.param(name, marks=[pytest.mark.slow] * (name == "bayesian")) for name in oracles.TUNERS],
)
def test_a_search_that_is_killed_after_each_step_tries_the_same(tuner, tmp_path):
    trials = {"hyperband": 0, "bayesian": 8}.get(tuner, 9)
    whole = tried(tuner, tmp_path / "whole", resume=False, trials=trials)
    assert len(whole) == {"hyperband": 6, "bayesian": 8}.get(tuner, 9)
    assert tried(tuner, tmp_path / "killed", resume=True, trials=trials) == whole


OPTIONS = SearchSpace((4.0, 4.0), (0.5, 0.5), losses=("kd", "dkd:temperature=1..8"))


@pytest.mark.parametrize(
    ("tuner", "trials"),
    [("random", 9), pytest.param("bayesian", 14, marks=pytest.mark.slow), ("hyperband", 0), ("grid", 9)],
)
def test_options_of_a_loss_are_tried_with_it_alone_and_again_after_a_kill(tuner, trials, tmp_path):
    whole = tried(tuner, tmp_path / "whole", resume=False, trials=trials, space=OPTIONS)
    dkd = [values for values in whole if values["loss"] != "kd"]
    # Without options kd is one setting, and no oracle tries it twice.
    assert len({values["dkd temperature"] for values in dkd}) >= len(dkd) / 2 > 1
    assert all(1 <= values["dkd temperature"] <= 8 for values in dkd)
    assert all("dkd temperature" not in values for values in whole if values["loss"] == "kd")
    assert tried(tuner, tmp_path / "killed", resume=True, trials=trials, space=OPTIONS) == whole


def test_options_of_a_loss_are_sampled_on_their_scale(tmp_path):
    oracle = oracle_of("random", tmp_path, trials=100, space=OPTIONS)
    values = [oracle.create_trial(f"{i}").hyperparameters.values for i in range(100)]
    temperatures = np.array([each["dkd temperature"] for each in values if "dkd temperature" in each])
    assert len(temperatures) >= len(values) - 1
    assert np.mean(temperatures < math.sqrt(8)) == pytest.approx(0.5, abs=0.1)


def test_what_goes_to_a_worker_prints_nothing(tmp_path, capsys):
    oracle = oracle_of("grid", tmp_path, space=OPTIONS)
    oracle.ready = False
    oracle.create_trial("one").to_proto()
    oracle.ready = True
    sent = [oracle.create_trial("one"), oracle.create_trial("two")]
    assert "dkd temperature" in sent[1].hyperparameters.values
    again = oracle_of("grid", tmp_path, space=OPTIONS)
    again.reload()
    for trial in (*sent, *again.trials.values()):
        received = Trial.from_proto(trial.to_proto())
        assert received.hyperparameters.values == trial.hyperparameters.values
    assert capsys.readouterr().out == ""


def test_seed_zero_is_a_seed(tmp_path):
    values = [
        oracles.make_oracle("random", SPACE, trials=1, objective="accuracy", path=tmp_path / name / "s.json")
        .create_trial("one")
        .hyperparameters.values
        for name in "ab"
    ]
    assert values[0] == values[1]


def test_hyperbands_plan_and_the_fewest_trials_that_it_needs():
    options = {"epochs": 9, "objective": "accuracy"}
    plan = oracles.plan("hyperband", SPACE, trials=0, **options)
    # Brackets of ceil(3 / (s + 1) * 3**(s - r)) trials with 9 / 3**(s - r) epochs, s = 2, 1, 0.
    assert plan == [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] * 2 + [9] * 3
    assert oracles.plan("hyperband", SPACE, trials=13, **options) == plan[:13]
    with pytest.raises(ValueError, match="trained to the end is number 13: .* Received: trials=12"):
        oracles.plan("hyperband", SPACE, trials=12, **options)
    with pytest.raises(ValueError, match="at least one trial is needed. Received: trials=0"):
        oracles.plan("random", SPACE, trials=0, **options)
    with pytest.raises(ValueError, match="factor must be at least 2"):
        oracles.plan("hyperband", SPACE, trials=0, factor=1, **options)
    assert oracles.plan("grid", SPACE, trials=7, **options) == [9] * 6


def test_a_lost_workers_trial_goes_to_another_and_nobody_leaves_before(tmp_path):
    oracle = oracle_of("random", tmp_path, trials=2)
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    finish(oracle, second)
    assert oracle.create_trial("b").status == "IDLE"  # a may still be lost
    assert oracle.lose("a") == first.trial_id
    taken = oracle.create_trial("b")
    assert (taken.trial_id, taken.status) == (first.trial_id, "RUNNING")
    assert taken.hyperparameters.values == first.hyperparameters.values
    finish(oracle, taken)
    assert oracle.create_trial("b").status == "STOPPED"
    assert oracle.exhausted
    assert not oracle.tuner_ids
    assert len(oracle.end_order) == 2


def test_a_trial_that_loses_every_worker_fails(tmp_path):
    oracle = oracle_of("random", tmp_path, trials=1)
    for number in range(oracles.LOST_RETRIES + 1):
        assert oracle.create_trial(f"{number}").status == "RUNNING"
        oracle.lose(f"{number}")
    assert oracle.create_trial("last").status == "STOPPED"
    (trial,) = oracle.trials.values()
    assert (trial.status, trial.message) == ("FAILED", "its workers were lost, 4 times")


def test_a_damaged_state_is_named(tmp_path):
    oracle = oracle_of("random", tmp_path)
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(ValueError, match="search.json is damaged .*start anew"):
        oracle.reload()
