"""What was seen inside networks: numbers over seeds, and pages in a real browser."""

import copy
import dataclasses
import json

import numpy as np
import pytest

from keras_kd import analysis
from keras_kd.data import augmentation, datasets
from keras_kd.reporting import figures, html
from keras_kd.study import design
from keras_kd.study.findings import networks as networks_module
from keras_kd.study.findings.networks import (
    LABELS,
    VIEWS,
    sections_of_group,
    summarise,
    tables,
    twin_triplets,
)
from keras_kd.utils import files, statistics
from tests.support.arrays import tiny_arrays
from tests.support.browser import CHROMIUM, probed
from tests.support.networks import trio

REUSE_PICTURES = {"cka", "lesions", "many", "branches", "probes", "ranks", "spectra"}


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """`{view: [group]}`, two seeds of one depth; untrained networks, the first with a way."""
    folder = tmp_path_factory.mktemp("views")
    np.savez(folder / "tiny.npz", **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    dataset = datasets.load(str(folder / "tiny.npz"))
    images = np.asarray(augmentation.normalise(dataset.train.images[:24], dataset.mean, dataset.std))
    labels = dataset.train.labels[:24]
    networks = trio()
    landscape = analysis.landscape.analyze(
        networks,
        images,
        labels,
        analysis.landscape.LandscapeConfig(steps=5, hessian_steps=0, eigenvalues=2, trace_samples=2),
        folder,
    )
    landscape["planes"].append(
        {
            **landscape["planes"][0],
            "kind": "way",
            "way": [[0, 0.5], [0.2, 0.1], [0, 0]],
            "explained": [0.8, 0.1],
        }
    )
    landscape["planes"][0]["loss"][0][0] = None  # a hole
    landscape["planes"][0]["roughness"]["holes"] = 1
    reuse = analysis.reuse.analyze(
        networks,
        dataset,
        images,
        labels,
        analysis.reuse.ReuseConfig(draws=2, most=2, probe_examples=24, batch_size=12),
    )
    found = {}
    for name, group in (("landscape", landscape), ("reuse", reuse)):
        second = copy.deepcopy(group)
        for network in second["networks"]:
            for measure in VIEWS[name].TITLES:
                if network.get(measure) is not None:
                    network[measure] += 1.0
        found[name] = [
            {
                "name": f"depth 8, seed {seed}",
                "kind": "depth 8, width 4",
                "seed": seed,
                **files.plain_values(each),
            }
            for seed, each in enumerate((group, second))
        ]
    return found


def rows(*runs, failed=()):
    return [
        {"run": run.key, "status": "failed" if run in failed else "done", **run.describe()} for run in runs
    ]


def trained(seed=0, teacher=None, **settings):
    """A residual network, its plain twin, and the one that the first, or another teacher, taught."""
    residual = design.Run(settings.pop("depth", 20), width=settings.pop("width", 8), seed=seed, **settings)
    plain = dataclasses.replace(residual, variant="plain")
    taught = dataclasses.replace(plain, variant="plain + KD", teacher=design.Teacher(teacher or residual))
    return residual, plain, taught


def test_trios_share_all_but_shortcuts_and_teacher():
    usual, wide, other = trained(), trained(width=16), trained(seed=1)
    decayed = trained(weight_decay=0.005)
    cooler = dataclasses.replace(usual[2], temperature=2.0)
    found = twin_triplets(rows(*decayed, *other, *wide, *usual, cooler))
    assert [(trio.kind, trio.seed) for trio in found] == [
        ("depth 20, width 8, temperature 2.0", 0),
        ("depth 20, width 8", 0),
        ("depth 20, width 8", 1),
        ("depth 20, width 8, weight decay 0.005", 0),
        ("depth 20, width 16", 0),
    ]
    assert found[1].runs == dict(zip(LABELS, (run.key for run in usual), strict=True))
    assert found[0].runs["plain + KD"] == cooler.key
    assert found[0].runs["plain"] == usual[1].key


@pytest.mark.parametrize("left_out", range(3))
def test_what_lacks_a_twin_is_no_trio(left_out):
    runs = trained()
    assert not twin_triplets(rows(*runs, failed=[runs[left_out]]))


def test_other_teachers_make_no_trio():
    shallow = design.Run(8, width=8)
    *twins, taught = trained(teacher=shallow)
    brief = dataclasses.replace(taught, teacher=design.Teacher(twins[0]), alpha_epochs=3)
    shuffled = dataclasses.replace(taught, teacher=design.Teacher(twins[0], "shuffled"))
    assert not twin_triplets(rows(shallow, *twins, taught, brief, shuffled))


@pytest.mark.parametrize("name", VIEWS)
def test_means_and_differences_are_paired_over_seeds(groups, name):
    titles = VIEWS[name].TITLES
    summary = summarise(groups[name], titles)
    cells = {(cell["label"], cell["measure"]): cell for cell in summary["cells"]}
    for measure in ("loss", "trace") if name == "landscape" else ("accuracy", "branch_ratio"):
        values = [[each[measure] for each in group["networks"]] for group in groups[name]]
        for place, label in enumerate(LABELS):
            wanted = statistics.estimate([row[place] for row in values])
            assert cells[label, measure]["mean"] == pytest.approx(wanted.mean)
            assert (cells[label, measure]["low"], cells[label, measure]["high"]) == pytest.approx(
                (wanted.low, wanted.high)
            )
        (minus,) = [
            each
            for each in summary["differences"]
            if each["label"] == "plain + KD minus residual" and each["measure"] == measure
        ]
        assert minus["mean"] == pytest.approx(values[0][2] - values[0][0])
        assert minus["high"] - minus["low"] == pytest.approx(0.0, abs=1e-6)


def test_what_a_seed_lacks_has_no_mean(groups):
    one, other = copy.deepcopy(groups["landscape"])
    other["networks"][1]["trace"] = None
    summary = summarise([one, other], ["trace"])
    cells = {cell["label"]: cell for cell in summary["cells"]}
    assert cells["residual"]["mean"] is not None
    assert (cells["plain"]["mean"], cells["plain"]["missing"], cells["plain"]["count"]) == (None, 1, 1)
    text = json.dumps(tables(summary, {"trace": "trace"}))
    assert "n/a in 1 of 2 seeds" in text
    assert {each["label"] for each in summary["differences"] if each["missing"]} == {"plain + KD minus plain"}


def test_kinds_are_told_apart(groups):
    one, other = copy.deepcopy(groups["landscape"])
    other["kind"] = "depth 8, width 8"
    summary = summarise([one, other], ["loss"])
    assert [(cell["kind"], cell["count"]) for cell in summary["cells"]] == [
        *[("depth 8, width 4", 1)] * 3,
        *[("depth 8, width 8", 1)] * 3,
    ]


def test_what_no_seed_has_is_left_out(groups):
    summary = summarise(groups["landscape"], VIEWS["landscape"].TITLES)
    assert not [cell for cell in summary["cells"] if cell["measure"] == "hessian_ratio"]
    text = json.dumps(tables(summary, VIEWS["landscape"].TITLES))
    assert "depth 8, width 4: loss, nats" in text


@pytest.mark.parametrize("name", VIEWS)
def test_pictures_are_drawn(groups, name, tmp_path):
    pictures = VIEWS[name].pictures(groups[name][0])
    wanted = {
        "landscape": {"around", "through", "way", "lines", "spectra", "steps"},
        "reuse": REUSE_PICTURES,
    }
    assert set(pictures) == wanted[name]
    for figure in pictures.values():
        assert figures.pixels(figure).std() > 5


def test_a_flat_surface_and_one_of_holes_are_drawn(groups):
    for loss, error in ((1e-6, 1e-7), (None, None)):
        (group, _) = copy.deepcopy(groups["landscape"])
        for plane in group["planes"]:
            plane["loss"] = [[loss] * 5] * 5
            plane["standard_error"] = [[error] * 5] * 5
        assert VIEWS["landscape"].pictures(group)
        text = json.dumps(VIEWS["landscape"].sections(group, "x"))
        assert "nan%" not in text
        assert ("10% of its loss" in text) == (loss is not None)


def test_networks_without_curvature_and_what_is_left_out_are_told(groups):
    group = copy.deepcopy(groups["landscape"][0])
    for network in group["networks"]:
        del network["spectrum"], network["step"]
    group["left_out"] = ["the curvature at a: it is <frozen>"]
    sections = VIEWS["landscape"].sections(group, "x")
    assert [section["table"]["rows"] for section in sections if section["id"] == "x-left-out"] == [
        [["the curvature at a: it is <frozen>"]]
    ]
    assert "spectra" not in VIEWS["landscape"].pictures(group)


_LOOK = """
  const scenes = plots.filter(plot => plot._fullLayout.scene2);
  if (scenes.length) {
    const camera = {eye: {x: 0.5, y: 2.0, z: 0.5}};
    await Plotly.relayout(scenes[0], {"scene.camera": camera});
    await new Promise(done => setTimeout(done, 500));
    found.turned = scenes[0]._fullLayout.scene2.camera.eye.y;
  }
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("name", VIEWS)
def test_the_pages_work_in_a_browser(groups, name, tmp_path):
    found = {"groups": groups[name], "summary": summarise(groups[name], VIEWS[name].TITLES)}
    sections = [*networks_module.sections(found, name), *sections_of_group(groups[name][0], f"{name}")]
    path = tmp_path / "view.html"
    html.write(
        "view.html", path, title="T <b>", lead="L", sections=sections, command="c", facts={"data": "d"}
    )
    text = path.read_text(encoding="utf-8")
    assert "T &lt;b&gt;" in text
    assert len(text.encode()) < 8_000_000
    if name == "landscape":
        assert "Left as holes, as their loss is not finite: 1." in text
    seen, console = probed(text, tmp_path, _LOOK)
    assert seen["errors"] == []
    assert console == []
    assert len(seen["drawn"]) == sum(1 for section in sections if section["html"])
    assert min(seen["drawn"]) > 0
    if name == "landscape":
        assert seen["turned"] == 2.0
    assert seen["overflow"] <= 0
