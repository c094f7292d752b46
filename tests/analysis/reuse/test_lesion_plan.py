"""Which lesions are drawn, and their results as arrays and as JSON."""

import itertools
import json

import numpy as np

from keras_kd.analysis.reuse import lesion_plan
from keras_kd.utils.records import json_values


def test_results_are_sorted_as_they_were_planned():
    planned = lesion_plan.plan_lesions(("a", "b", "c"), (("a", "b"),), draws=2, most=2)
    assert planned.lesions[:2] == [lesion_plan.Lesion(), lesion_plan.Lesion(silenced=("a",))]
    found = planned.results(range(len(planned.lesions)))
    assert (found.intact, found.single) == (0, {"a": 1, "b": 2, "c": 3})
    assert found.silenced == {1: [4, 5], 2: [6, 7]}
    assert found.swapped == {1: [8]}
    assert planned.lesions[8] == lesion_plan.Lesion(swapped=(("a", "b"),))


def test_no_pair_is_swapped_alone_twice():
    pairs = tuple(itertools.combinations("abcd", 2))
    for seed in range(5):
        alone = [
            lesion.swapped for lesion in lesion_plan.plan_lesions((), pairs, draws=5, seed=seed).swapped[1]
        ]
        assert len(set(alone)) == len(alone) == 5
    alone = [lesion.swapped for lesion in lesion_plan.plan_lesions((), pairs, draws=6).swapped[1]]
    assert alone == [(pair,) for pair in pairs]


def test_results_come_back_from_arrays_and_from_json():
    results = lesion_plan.LesionResults(0.9, {"a": 0.5, "b": 0.4}, {1: [0.5, 0.4], 2: [0.1]}, {})
    assert (
        lesion_plan.LesionResults.from_arrays(
            {name: np.array(values) for name, values in results.to_arrays().items()}
        )
        == results
    )
    assert lesion_plan.LesionResults.from_json(json.loads(json.dumps(json_values(results)))) == results
