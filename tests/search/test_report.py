"""What a search found: as its page, what mattered, and as JSON."""

import dataclasses
import json

import numpy as np

from keras_kd.search import importance, sentences
from keras_kd.search import report as search_report
from keras_kd.search.results import (
    SearchResult,
    SeedMeasures,
    SettingMeasures,
    TestMeasures,
    TrialRecord,
)
from keras_kd.utils import records, statistics
from tests.support.searches import result_of, trials


def test_importance_finds_what_matters_and_admits_what_it_does_not_know(rng):
    told = importance.importance(trials(40, lambda values: values["alpha"] ** 2, rng))
    assert told.names == ["temperature", "alpha"]
    assert told.r2 > 0.7
    assert told.means[1] > 10 * abs(told.means[0])
    assert importance.importance(trials(9, lambda values: values["alpha"], rng)) is None
    assert importance.importance(trials(20, lambda values: 0.5, rng)) is None
    noise = importance.importance(trials(40, lambda values: float(rng.uniform()), rng))
    assert noise.r2 < 0.3


def test_importance_is_drawn_of_numbers_and_choices(rng):
    found = []
    for place, trial in enumerate(trials(12, lambda values: 0.0, rng)):
        way = ("none", "fade")[place % 2]
        score = 0.5 + 0.2 * (way == "fade")
        found.append(dataclasses.replace(trial, values=trial.values | {"shortcut_removal": way}, score=score))
    told = importance.importance(found)
    assert told.names[np.argmax(told.means)] == "shortcut_removal"
    (section,) = [each for each in search_report.sections(result_of(found)) if each["id"] == "importance"]
    assert "shortcut removal" in section["plots"][0]["json"]
    assert "mean nothing" not in section["words"]


def test_options_of_one_loss_have_an_importance_and_no_column_of_the_table(rng):
    found = []
    for place, trial in enumerate(trials(40, lambda values: 0.0, rng)):
        temperature = float(np.round(rng.uniform(1, 8), 3))
        own = {"loss": f"dkd:temperature={temperature}", "dkd temperature": temperature}
        values = trial.values | (own if place % 2 else {"loss": "kd"})
        score = 0.5 + 0.05 * temperature * (place % 2)
        found.append(dataclasses.replace(trial, values=values, score=score))
    told = importance.importance(found)
    assert told.names == ["temperature", "alpha", "loss", "dkd temperature"]
    assert min(told.means[2:]) > 0.1 > max(told.means[:2])
    space = result_of(found).space | {"loss": ["kd", "dkd:temperature=1..8"]}
    result = dataclasses.replace(result_of(found), space=space)
    sections = {section["id"]: section for section in search_report.sections(result)}
    assert "dkd temperature" in sections["importance"]["plots"][0]["json"]
    assert "stands at its median in the trials of the others" in sections["importance"]["words"]
    columns, rows = search_report.table(result)
    assert columns[1:4] == ["temperature", "alpha", "loss"]
    assert {row[3] for row in rows} == {trial.values["loss"] for trial in found}
    assert ", loss = dkd:temperature=" in sentences.setting(found[1].values)
    assert "dkd temperature" not in sentences.setting(found[1].values)


def test_of_equal_scores_nothing_is_said_to_matter(rng):
    found = result_of(trials(12, lambda values: 0.0, rng))
    found = dataclasses.replace(found, trials=[dataclasses.replace(t, score=0.9) for t in found.trials])
    sections = {section["id"]: section for section in search_report.sections(found)}
    assert sections["importance"]["words"].startswith("The 12 trials with a score do not differ, in it or in")
    assert not sections["importance"]["plots"]


def test_the_page_has_its_parts_and_names_failures(rng):
    found = result_of(trials(3, lambda values: values["alpha"], rng))
    failed = TrialRecord("3", found.trials[0].values, "FAILED", 3, error="why")
    found = dataclasses.replace(found, trials=(*found.trials, failed))
    sections = {section["id"]: section for section in search_report.sections(found)}
    assert list(sections) == ["plane", "progress", "importance", "trials"]
    assert "fewer than the 10" in sections["importance"]["words"]
    assert not sections["importance"]["plots"]
    assert (
        "4 trials: 3 finished, 1 failed. Trial 3 failed: the training ended with an error (what"
        in sections["trials"]["words"]
    )
    rows = sections["trials"]["table"]["rows"]
    best = max(found.trials[:3], key=lambda trial: trial.score)
    assert rows[0][0] == best.trial
    assert rows[-1][0] == "3"


def test_what_trials_noted_stands_on_the_page(rng):
    noted = [
        dataclasses.replace(trial, notes=(f"at_loss was 0 in epoch {place}",))
        for place, trial in enumerate(trials(3, lambda values: values["alpha"], rng))
    ]
    sections = {section["id"]: section for section in search_report.sections(result_of(noted))}
    assert sections["notes"]["table"]["rows"] == (("trial 0", "at_loss was 0 in epoch 0; likewise 2 more"),)


def test_a_result_comes_back_from_json(rng):
    measured = SeedMeasures(0.5, 1.25, 0, 0.75)
    one_seed = records.finite(statistics.estimate([0.5]))
    setting = SettingMeasures({"alpha": 0.5}, (measured,), one_seed, one_seed, one_seed)
    found = dataclasses.replace(
        result_of(trials(2, lambda values: 0.5, rng)), test=TestMeasures(setting, setting, one_seed)
    )
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert SearchResult.from_json(values) == found
    assert list(values) == [
        *("command", "tuner", "objective", "direction", "space", "epochs", "seeds", "trials", "best"),
        *("dataset", "versions", "test"),
    ]
    assert list(values["test"]) == ["best", "default", "gain"]
    assert list(values["test"]["best"]["per_seed"][0]) == ["accuracy", "loss", "seed", "validation_accuracy"]
