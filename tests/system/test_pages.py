"""Every kind of page as people meet it: in Chromium, on a phone in the dark and on a desk in the light."""

import dataclasses
import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_kd.analysis import session
from keras_kd.export import cost_card
from keras_kd.export.cost_results import CostCard, NetworkCost
from keras_kd.models import cost
from keras_kd.search import evaluation
from keras_kd.search.results import SeedMeasures, SettingMeasures, TestMeasures
from keras_kd.study.findings import report as study_report
from keras_kd.study.findings.analyses import REPORTS
from keras_kd.utils import statistics
from tests.support import analyses, searches, studies
from tests.support.browser import CHROMIUM, DESK, PHONE, looked_at

MOST_BYTES = 1_500_000


def analysis_page(name, group, folder):
    record = session.AnalysisRecord("keras-kd", "runs/mine", "digits", "test", {"keras": "3"}, [group])
    report = REPORTS[name]
    session.write(record, dataclasses.replace(report, pictures=lambda group: {}), folder / name)
    return folder / name / f"{name}.html"


def reuse_page(folder):
    networks = [analyses.reuse_network(label) for label in ("residual", "plain", "plain + KD")]
    return analysis_page("reuse", analyses.reuse_group(*networks), folder)


def landscape_page(folder):
    return analysis_page("landscape", analyses.landscape_group("residual", "plain", "plain + KD"), folder)


def study_page(folder):
    path = folder / "report.html"
    study_report.write(studies.found_of(studies.records(failed=(studies.FAILED,)), ("C1", "C3")), path)
    return path


def search_page(folder, rng):
    accuracy = statistics.estimate([0.8, 0.9])
    per_seed = tuple(SeedMeasures(each, 1.0, seed, each) for seed, each in enumerate((0.8, 0.9)))
    setting = SettingMeasures({}, per_seed, accuracy, accuracy, accuracy)
    found = searches.result_of(searches.trials(12, lambda values: values["alpha"], rng))
    found = dataclasses.replace(found, test=TestMeasures(setting, setting, statistics.estimate([0.0, 0.1])))
    evaluation.write_page(folder, found, train_best="keras-kd distill --flagfile=runs/search/best.cfg")
    return folder / "search.html"


def cost_page(folder):
    image = keras.Input((4, 4, 1))
    hidden = layers.Conv2D(2, 3, padding="same", name="first")(image)
    second = layers.Conv2D(2, 3, padding="same", name="second")(hidden)
    outputs = {"residual": layers.Add(name="sum")([second, hidden]), "plain": second}
    networks = [
        NetworkCost.counted(name, cost.cost(keras.Model(image, out))) for name, out in outputs.items()
    ]
    card = CostCard(
        "keras-kd", 1, {"processor": "any", "cores": 2}, {"keras": "3"}, tuple(networks), answers=("Half.",)
    )
    cost_card.write_page(card, [networks], folder / "costs.html")
    return folder / "costs.html"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """`{kind: path}`."""
    folder = tmp_path_factory.mktemp("pages")
    return {
        "study": study_page(folder),
        "search": search_page(folder, np.random.default_rng(0)),
        "landscape": landscape_page(folder),
        "reuse": reuse_page(folder),
        "costs": cost_page(folder),
    }


@pytest.mark.slow
def test_pages_are_small_and_whole(pages):
    for kind, path in pages.items():
        text = path.read_text(encoding="utf-8")
        assert path.stat().st_size <= MOST_BYTES, kind
        assert not re.search(r"(?:src|href)=[\"'](?!#)", text), kind


# What else is asked of one kind of page.
ASKED = {
    "study": """
        const plot = document.getElementById("plot-accuracy");
        Plotly.Fx.hover(plot, [{curveNumber: 1, pointNumber: 0}]);
        found.hover = [...plot.querySelectorAll(".hoverlayer text")].map(text => text.textContent).join("|");
        const shown = () => plot._fullData.filter(trace => trace.visible === true).length;
        const before = shown();
        plot.closest("figure").querySelector(".legend button").click();
        found.hidden = before - shown();
    """,
    "landscape": """
        const [first, second] = plots.filter(plot => plot._fullLayout.scene);
        await Plotly.relayout(first, {"scene.camera": {eye: {x: 0.5, y: 2.0, z: 0.5}}});
        await new Promise(done => setTimeout(done, 300));
        found.turned = second._fullLayout.scene.camera.eye.y;
    """,
}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_pages_can_be_read_on_any_screen(pages, tmp_path):
    screens = ((PHONE, "dark", "rgb(17, 17, 17)"), (DESK, "light", "rgb(255, 255, 255)"))
    asked = [(kind, *screen) for kind in pages for screen in screens]
    jobs = [(pages[kind], screen, scheme, ASKED.get(kind, "")) for kind, screen, scheme, _ in asked]
    seen, console = looked_at(jobs, tmp_path)
    assert console == []
    for (kind, screen, _, paper), found in zip(asked, seen, strict=True):
        about = (kind, screen, found)
        assert found["errors"] == [], about
        assert found["drawn"], about
        assert min(found["drawn"]) > 0, about
        assert found["overflow"] <= 0, about
        assert (found["overlaps"], found["cut"]) == ([], []), about
        assert found["paper"] == paper, about
        assert found["contrast"] > 4.5, about
        assert found["picture"] < 1, about  # its top is on the first screen
        assert found["answer"] < 1, about  # its end is there, too
        if kind == "study":
            assert "depth 20" in found["hover"], about
            assert found["hidden"] == 1, about  # the line with its bars
        if kind == "landscape":
            assert found["turned"] == 2.0, about
