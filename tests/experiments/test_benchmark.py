import json
import pathlib
import re

import keras
import pytest

from experiments.benchmarks import benchmark, contenders, measures
from keras_kd.cli import main
from keras_kd.utils import progress
from tests.support.processes import error_line, run_forked


def rows(**medians):
    return {name: measures.step_times(10, 5.0, [median]) for name, median in medians.items()}


def test_a_row_is_medians_and_quartiles():
    row = measures.step_times(60, 9.0, [0.4, 0.1, 0.2, 0.3, 0.5])
    assert row.median == pytest.approx(0.3)
    assert row.spread == pytest.approx((0.4 - 0.2) / 0.3)
    assert row.images_per_second == pytest.approx(200)
    assert row.first_step == 9.0


def test_targets_are_ratios_of_medians():
    found = measures.ratios(
        rows(student_alone=1.0, teacher_forward=0.6, live=1.6, cached=1.1, keras_distillation=1.7, torch=1.0)
    )
    assert {what: round(ratio.found, 3) for what, ratio in found.items()} == {
        "time of live : student's step + teacher's forward": 1.0,
        "cached : student alone": round(1 / 1.1, 3),
        "cached : live": round(1.6 / 1.1, 3),
        "cached : keras.distillation": round(1.7 / 1.1, 3),
        "live : keras.distillation": round(1.7 / 1.6, 3),
        "cached : PyTorch live": round(1 / 1.1, 3),
    }
    assert [ratio.met for ratio in found.values()] == [True, False, True, True, True, False]
    assert measures.ratios(rows(live=1.0, torch=2.0)) == {}


def test_losing_shortcuts_is_measured_in_steps_of_the_residual_twin():
    found = measures.ratios(rows(live=1.0, dkd=1.04, rkd=1.2, sp=1.1, fitnets=1.2))
    assert {what: (ratio.wanted, ratio.met) for what, ratio in found.items()} == {
        "time of dkd : live": ("<= 1.05", True),
        "time of rkd : live": ("<= 1.15", False),
        "time of sp : live": ("<= 1.15", True),
    }
    found = measures.ratios(rows(residual_twin=2.0, fade=2.1, merge=3.6, student_alone=1.0, removed=1.0))
    assert {what: (ratio.wanted, ratio.found, ratio.met) for what, ratio in found.items()} == {
        "time of fade : residual twin": ("<= 1.1", pytest.approx(1.05), True),
        "time of merge : residual twin": ("<= 1.6", pytest.approx(1.8), False),
        "time of removed : student alone": ("<= 1.05", 1.0, True),
    }


def test_what_became_slower_is_measured_against_the_student_alone():
    before = rows(student_alone=1.0, live=2.0, torch=3.0)
    assert measures.changes(rows(student_alone=2.0, live=4.4, cached=1.0), before) == {
        "live": pytest.approx(0.1)
    }
    assert measures.changes(rows(live=4.0), before) == {}


@pytest.mark.slow
def test_the_benchmark_measures_and_compares(tmp_path):
    before = rows(student_alone=1.0, cached=0.001)
    old = {"sizes": {"tiny": {"contenders": {name: row.to_json() for name, row in before.items()}}}}
    (tmp_path / "old.json").write_text(json.dumps(old))
    few = [
        "--sizes=tiny",
        "--contenders=student_alone,cached",
        "--measured_steps=2",
        "--turn=1",
        "--warmup=2",
    ]
    status, output, errors = run_forked(
        "experiments.benchmarks.benchmark", *few, "--out=new.json", "--compare=old.json", cwd=tmp_path
    )
    assert status == 0, errors[-2000:]
    found = json.loads((tmp_path / "new.json").read_text())
    rows_found = found["sizes"]["tiny"]["contenders"]
    measured = {name: measures.StepTimes.from_json(row) for name, row in rows_found.items()}
    assert measured.keys() == {"student_alone", "cached"}
    for row in measured.values():
        assert len(row.seconds) == 2
        assert row.first_step > row.median > 0
        assert 1e8 < row.peak_bytes < 1e11
    assert 0 <= measured["cached"].share_waiting_for_data < 1
    assert found["sizes"]["tiny"]["ratios"].keys() == {"cached : student alone"}
    assert found["machine"]["backend"] == "tensorflow"
    assert "cached : student alone" in output
    change = measures.changes(measured, before)["cached"]
    assert change > 10
    assert f"{change:+.0%}" in output


class TwoSteps(contenders.Turns):
    """Ends after two steps."""

    taken = 0

    def begin(self):
        if self.taken == 2:
            raise contenders.DoneError

    def end(self):
        self.taken += 1


# A loss stands for all: they differ in what the Distiller computes.
_NAMES = dict.fromkeys((*contenders.DISTILLING, *contenders.REMOVING, "dkd")).keys() - {"torch"}


@pytest.mark.parametrize("options", [{}, {"images": "device"}], ids=["host", "device"])
@pytest.mark.parametrize(
    "name",
    [
        name if name == "teacher_forward" else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(_NAMES)
    ],
)
def test_each_contender_takes_its_steps(name, options):
    turns = TwoSteps()
    with pytest.raises(contenders.DoneError), progress.silence():
        contenders.Contender(contenders.SIZES["tiny"], options, turns).run(name)
    assert turns.taken == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--sizes=huge"],
            "--sizes must be of digits, cifar, wide, search, .*losses, deep, tiny. Received: 'huge'",
        ),
        (["--contenders=live,jax"], "--contenders must be of student_alone, .* Received: 'jax'"),
        (["--sizes=tiny", "--student=vgg"], "unknown network 'vgg'"),
        (["--compare=none.json"], "--compare=none.json is not what this script wrote"),
    ],
)
def test_bad_flags_are_named(flags, message, capsys):
    assert main.call_command(benchmark, "benchmark", flags) == 1
    assert re.search(message, error_line(capsys.readouterr().err))


def test_the_numbers_that_are_kept_are_read_again():
    """Those of docs/results-speed.md; what a contender does not measure is in no file."""
    kept = benchmark.read(pathlib.Path(benchmark.__file__).with_name("benchmark.json"))
    stored = json.loads(pathlib.Path(benchmark.__file__).with_name("benchmark.json").read_text())
    assert kept["cifar"]["cached"].seconds_to_fill_a_view > 0
    for size, found in stored["sizes"].items():
        assert {name: row.to_json() for name, row in kept[size].items()} == found["contenders"]


def test_other_networks_take_the_place_of_a_sizes():
    size = contenders.SIZES["tiny"].of(student="wide_resnet:10:1")
    assert size.title == "cifar_resnet:8 to wide_resnet:10:1, 8x8"
    assert "torch" not in size.contenders
    assert size.network("student").count_params() < size.network("residual_twin").count_params()
    assert contenders.SIZES["tiny"].of() is contenders.SIZES["tiny"]


@pytest.mark.parametrize("role", ["teacher", "student", "residual_twin"])
def test_a_student_alone_has_no_shortcuts(role):
    network = contenders.SIZES["tiny"].network(role)
    assert network.output_shape == (None, contenders.CLASSES)
    assert any(isinstance(layer, keras.layers.Add) for layer in network.layers) == (role != "student")
