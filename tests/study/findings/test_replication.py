"""A study and the same one with other seeds."""

import dataclasses
import json

import pytest

from keras_kd.study.findings import claims, replication, sentences, verdicts
from keras_kd.study.findings.results import StudyResult
from tests.support.studies import found_of, records

S, N, U = verdicts.SUPPORTED, verdicts.NOT_SUPPORTED, verdicts.UNDECIDED


@pytest.fixture(scope="module")
def first():
    return found_of(records())


def again(result, seeds=(5, 6, 7), **verdicts):
    """The result with other seeds and verdicts."""
    summary = dataclasses.replace(
        result.summary,
        verdicts=tuple(
            dataclasses.replace(each, verdict=verdicts.get(each.claim, each.verdict))
            for each in result.summary.verdicts
        ),
    )
    return dataclasses.replace(result, seeds=seeds, summary=summary)


@pytest.mark.parametrize(
    ("verdicts", "outcome", "sentence"),
    [
        ((S, S), "stable", "Stable over both sets of seeds, 0 to 2 and 5 to 7: supported."),
        ((N, N), "stable", "Stable over both sets of seeds, 0 to 2 and 5 to 7: not supported."),
        ((U, U), "undecided in both", "Undecided with seeds 0 to 2 and again with 5 to 7."),
        (
            (S, U),
            "not stable",
            "Not stable over both sets of seeds: supported with 0 to 2, undecided with 5 to 7.",
        ),
        (
            (S, N),
            "not stable",
            "Not stable over both sets of seeds: supported with 0 to 2, not supported (the opposite) with 5 "
            "to 7.",
        ),
    ],
)
def test_verdicts_that_come_again_are_stable(first, verdicts, outcome, sentence):
    one, two = again(first, (0, 1, 2), C1=verdicts[0]), again(first, C1=verdicts[1])
    found = {each.claim: each for each in replication.compare(one, two)}
    assert (found["C1"].outcome, found["C1"].sentence) == (outcome, sentence)
    assert list(found) == list(claims.CLAIMS)


def test_it_stands_in_the_result_and_before_the_numbers(first):
    result = replication.with_first(again(first), first)
    assert StudyResult.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result
    assert "replications" not in first.to_json()
    told = sentences.of_study(result.summary, result.replications)[0]
    assert told.startswith(f"C1, {result.summary.verdicts[0].verdict} (p ")
    assert result.replications[0].sentence in told
    assert replication.with_first(first, None) is first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (2, 3)}, "with other seeds: these are 2, 3, and the first has 0 to 2"),
        ({"study": "other"}, "a study is repeated by itself. Received: 'tried' and 'other'"),
        ({"description": {"settings": {"epochs": 3}}}, "same recipe: epochs was 2 and is 3"),
        (
            {"description": {"dataset": {"fingerprint": "1"}}},
            "on the same data.*: fingerprint was '0+'",
        ),
        (
            {"description": {"dataset": {"examples": {"test": 350}}}},
            "on the same data.*: test was 360 and is 350",
        ),
        ({"margin": 0.05}, r"with the same margin: it was 0\.01 and is 0\.05"),
        ({"claims": ("C1", "C3")}, "with the same claims: they were C1, .* and are C1, C3$"),
    ],
)
def test_what_repeats_nothing_is_refused(first, changes, message):
    with pytest.raises(ValueError, match=message):
        replication.compare(first, dataclasses.replace(again(first), **changes))


def test_what_one_of_them_does_not_know_is_not_compared(first):
    """A table alone tells no fingerprint, and of the test images a divisor at the least."""
    for images in (360, 180, 0):
        known = {"settings": {"epochs": 2}, "dataset": {"name": "a.npz", "examples": {"test": images}}}
        table = dataclasses.replace(again(first), description=known)
        assert replication.compare(first, table)
        assert replication.compare(table, first)


def test_a_dataset_may_lie_elsewhere(first):
    here, there = (
        dataclasses.replace(each, description={"dataset": {"name": "a.npz", "absolute_name": place}})
        for each, place in ((first, "/here/a.npz"), (again(first), "/there/a.npz"))
    )
    assert replication.compare(here, there)


def test_other_networks_are_no_repetition(first):
    """Else "stable" would be said of two different claims."""
    deep = {run: record for run, record in records().items() if run.depth != 20}
    shallow = again(found_of(deep))
    with pytest.raises(ValueError, match="same networks: 8 of the first are not in the other, as .*-20"):
        replication.compare(first, shallow)
    with pytest.raises(ValueError, match="same networks: 8 of the second are not in the other, as .*-20"):
        replication.compare(again(found_of(deep), (0, 1, 2)), again(first))
