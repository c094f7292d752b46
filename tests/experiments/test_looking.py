"""The scripts that look inside networks, on what the main job left."""

import json
import re
import shutil

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.arrays import tiny_arrays
from tests.support.processes import error_line, refusals, run_python

LANDSCAPE = ("--steps=3", "--hessian_steps=1", "--eigenvalues=1", "--trace_samples=2", "--examples=24")
REUSE = ("--draws=1", "--most=1", "--probe_examples=24", "--batch_size=16", "--examples=24")
REUSE_PICTURES = {"cka", "lesions", "many", "branches", "probes", "ranks", "spectra"}


def script(name, *arguments, cwd):
    return run_python("-m", f"experiments.{name}", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the main job has run, and both scripts on it; `(cwd, outputs)`."""
    cwd = tmp_path_factory.mktemp("work")
    np.savez(cwd / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    sizes = [f"--{network}_{size}" for network in ("teacher", "student") for size in ("depth=8", "width=4")]
    recipe = ("--epochs=3", "--batch_size=24", "--strategy=none", "--seed=2")
    outputs = {}
    for name, flags in (
        ("distill", ("--dataset=tiny.npz", "--out=runs/first", *recipe, *sizes)),
        ("landscape", ("--run=runs/first", *LANDSCAPE)),
        ("reuse", ("--run=runs/first", *REUSE)),
    ):
        status, outputs[name], errors = script(name, *flags, cwd=cwd)
        assert status == 0, errors[-3000:]
    return cwd, outputs


@pytest.mark.parametrize("name", ["landscape", "reuse"])
def test_one_flag_leads_to_a_page(finished, name):
    cwd, outputs = finished
    output = outputs[name]
    for label in ("teacher", "student alone", "student distilled"):
        assert label in output
    paths = dict(re.findall(r"^(page|pictures|tensorboard|result) +(\S+)$", output, re.M))
    assert paths["page"] == f"runs/first/{name}/{name}.html"
    assert all((cwd / path).exists() for path in paths.values())
    page = (cwd / paths["page"]).read_text(encoding="utf-8")
    assert f"python -m experiments.{name} --run=runs/first" in page
    pictures = {path.stem for path in (cwd / paths["pictures"]).iterdir()}
    wanted = {
        "landscape": {"around", "way", "through", "lines", "spectra", "steps"},
        "reuse": REUSE_PICTURES,
    }
    assert pictures == wanted[name]
    events = EventAccumulator(str(cwd / paths["tensorboard"] / "first"))
    events.Reload()
    assert {f"{name}/{picture}" for picture in pictures} <= set(events.Tags()["tensors"])


def test_every_array_is_kept(finished):
    cwd, _ = finished
    names = {path.stem for path in (cwd / "runs" / "first" / "landscape").glob("*.npz")}
    labels = ("teacher", "student-alone", "student-distilled")
    kinds = [f"{kind}-{label}" for kind in ("around", "the-way-of", "hessian-around") for label in labels]
    assert names >= set(kinds)
    result = json.loads((cwd / "runs" / "first" / "landscape" / "result.json").read_text())
    (group,) = result["groups"]
    assert (group["seed"], result["dataset"]) == (2, "tiny.npz")
    assert [plane["kind"] for plane in group["planes"]] == ["around"] * 3 + ["through"] * 2 + ["way"] * 3


def test_finished_work_is_not_done_again(finished):
    cwd, _ = finished
    path = cwd / "runs" / "first" / "landscape" / "group.json"
    before = path.stat().st_mtime_ns
    status, output, errors = script("landscape", "--run=runs/first", *LANDSCAPE, cwd=cwd)
    assert status == 0, errors[-3000:]
    assert "student distilled" in output
    assert path.stat().st_mtime_ns == before


REFUSED = {
    "landscape": [
        (["--steps=4"], "steps must be odd and at least 3, so that the centre is sampled. Received: 4"),
        (["--steps=5"], "was begun with other flags: --steps was 3 and is 5"),
        (["--hessian_steps=2", "--out=x"], "hessian_steps must be odd, so that the centre"),
        (["--run=runs/none"], "runs/none holds no finished run of train, distill or study"),
        (["--depths=20"], "depths and seeds choose among the networks of a study"),
    ],
    "reuse": [
        (["--out=runs/first", "--overwrite"], "runs/first holds the run that is analyzed"),
        (["--layers=conv9", "--out=x"], "the layers must be 'blocks', 'all' or names of layers of"),
        (["--layers=,", "--out=x"], "Received: ','"),
        (
            ["--probe_examples=1", "--out=x"],
            "probe_examples=1: a probe needs training examples of at least",
        ),
        (["--dataset=other.npz", "--out=x"], "the dataset 'other.npz' is not the one of runs/first"),
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_line_and_writes_nothing(finished, name):
    cwd, _ = finished
    np.savez(cwd / "other.npz", **tiny_arrays(np.random.default_rng(1)))
    usual = LANDSCAPE if name == "landscape" else REUSE
    cases = [["--run=runs/first", *usual, *flags] for flags, _ in REFUSED[name]]
    for line, (_, message) in zip(refusals(name, cases, cwd), REFUSED[name], strict=True):
        assert message in line
    assert not (cwd / "x").exists()


def test_other_networks_in_the_same_place_are_refused_and_nothing_is_lost(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "copy")
    run = tmp_path / "copy" / "runs" / "first"
    shutil.copy(run / "teacher.keras", run / "student.keras")
    before = (run / "landscape" / "result.json").read_bytes()
    status, _, errors = script("landscape", "--run=runs/first", *LANDSCAPE, cwd=tmp_path / "copy")
    assert status == 1
    assert "runs/first/landscape was made of something else: student distilled was" in error_line(errors)
    (run / "landscape" / "group.json").unlink()  # as a kill before the end leaves it
    status, _, errors = script("landscape", "--run=runs/first", *LANDSCAPE, cwd=tmp_path / "copy")
    assert status == 1
    assert "around-student-distilled.npz was made of something else" in error_line(errors)
    assert (run / "landscape" / "result.json").read_bytes() == before
