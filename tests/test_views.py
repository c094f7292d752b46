"""What was seen inside networks: numbers over seeds, and pages in a real browser."""

import copy
import json

import numpy as np
import pytest
from conftest import CHROMIUM, probed, tiny_arrays, trio

from keras_kd import anatomy, augmentation, comparisons, datasets, pages, plots, storage, terrain, views


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """`{view: [group]}`, two seeds of one depth; untrained networks, the first with a way."""
    folder = tmp_path_factory.mktemp("views")
    np.savez(folder / "tiny.npz", **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    dataset = datasets.load(str(folder / "tiny.npz"))
    images = np.asarray(augmentation.normalise(dataset.train.images[:24], dataset.mean, dataset.std))
    labels = dataset.train.labels[:24]
    networks = trio()
    landscape = terrain.look(
        networks,
        images,
        labels,
        terrain.Options(steps=5, hessian_steps=0, eigenvalues=2, trace_samples=2),
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
    reuse = anatomy.look(
        networks, dataset, images, labels, anatomy.Options(draws=2, most=2, probe_examples=24, batch_size=12)
    )
    found = {}
    for name, group in (("landscape", landscape), ("reuse", reuse)):
        second = copy.deepcopy(group)
        for network in second["networks"]:
            for measure in views.VIEWS[name].TITLES:
                if network.get(measure) is not None:
                    network[measure] += 1.0
        found[name] = [
            {"name": f"depth 8, seed {seed}", "depth": 8, "seed": seed, **storage.plain_values(each)}
            for seed, each in enumerate((group, second))
        ]
    return found


@pytest.mark.parametrize("name", views.VIEWS)
def test_means_and_differences_are_paired_over_seeds(groups, name):
    titles = views.VIEWS[name].TITLES
    summary = views.summarise(groups[name], titles)
    cells = {(cell["label"], cell["measure"]): cell for cell in summary["cells"]}
    for measure in ("loss", "trace") if name == "landscape" else ("accuracy", "branch_ratio"):
        values = [[each[measure] for each in group["networks"]] for group in groups[name]]
        for place, label in enumerate(views.LABELS):
            wanted = comparisons.estimate([row[place] for row in values])
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


def test_what_a_seed_lacks_is_left_out(groups):
    summary = views.summarise(groups["landscape"], views.VIEWS["landscape"].TITLES)
    assert not [cell for cell in summary["cells"] if cell["measure"] == "hessian_ratio"]
    text = json.dumps(views.tables(summary, views.VIEWS["landscape"].TITLES))
    assert "depth 8: loss, nats" in text


@pytest.mark.parametrize("name", views.VIEWS)
def test_pictures_are_drawn(groups, name, tmp_path):
    pictures = views.VIEWS[name].pictures(groups[name][0])
    wanted = {"landscape": {"around", "through", "way", "spectra"}, "reuse": {"cka", "ranks", "lesions"}}
    assert set(pictures) == wanted[name]
    for figure in pictures.values():
        assert plots.pixels(figure).std() > 5


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
@pytest.mark.parametrize("name", views.VIEWS)
def test_the_pages_work_in_a_browser(groups, name, tmp_path):
    found = {"groups": groups[name], "summary": views.summarise(groups[name], views.VIEWS[name].TITLES)}
    sections = [*views.sections(found, name), *views.sections_of_group(groups[name][0], f"{name}")]
    path = tmp_path / "view.html"
    pages.write(
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
