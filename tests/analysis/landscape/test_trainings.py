"""How curved the loss was at the snapshots of a training."""

import json
import types

import numpy as np
import pytest

import keras_kd
from keras_kd.analysis import landscape
from keras_kd.analysis.landscape import curvature, report, surface, trainings
from keras_kd.analysis.landscape.results import LandscapeResult, TrainingCurvature
from keras_kd.analysis.results import GroupResult
from keras_kd.analysis.trainings import Training
from keras_kd.models import fading, weights
from keras_kd.reporting import charts
from tests.support.networks import mlp, shaken

CONFIG = landscape.LandscapeConfig(
    steps=3, hessian_steps=0, eigenvalues=1, trace_samples=2, step_sizes=(0.1,), snapshots=2
)


@pytest.fixture
def images(rng):
    return rng.normal(size=(24, 8, 8, 1)).astype("float32")


def network(shortcuts):
    return shaken(keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4, shortcuts=shortcuts))


def evaluated(title, measure, points, identity, measures, chunk):
    """Without a file."""
    return types.SimpleNamespace(values=np.array(measure(points)))


def way_of(training, images, labels, config=CONFIG):
    how = ((images, labels, None), config, evaluated, lambda: None)
    return trainings.curvature_of_snapshots("plain", training, *how)


@pytest.fixture
def fading_way():
    """A residual network, its plain twin, and snapshots of one before and after its gates close."""
    residual, plain = network(True), network(False)
    gated = fading.with_fading_shortcuts(plain, [(4, 4)] * 3)
    return residual, plain, Training(dict.fromkeys((0, 1, 3), weights.weights_of(plain)), gated, steps=2)


@pytest.mark.slow
def test_a_network_that_fades_has_the_loss_of_what_it_was(fading_way, images, rng, monkeypatch):
    """With open gates that of its residual twin, with closed ones that of the plain network."""
    labels = rng.integers(0, 4, 24)
    *readers, training = fading_way
    monkeypatch.setattr(curvature, "largest_eigenvalues", lambda *_, **__: [7.0])
    way = way_of(training, images, labels)
    assert (way.label, way.epochs, way.examples) == ("plain", [0, 3], 24)
    assert way.largest_eigenvalue == [7.0, 7.0]
    for place, reader in enumerate(readers):
        wanted = surface.LossSurface(reader, images, labels, batch_norm="estimate").at(training.snapshots[0])
        assert [way.loss[place], way.accuracy[place]] == pytest.approx(wanted[:2], rel=1e-4)
    assert way.loss[0] != pytest.approx(way.loss[1], rel=1e-3)


@pytest.mark.slow
def test_a_network_that_fades_has_the_curvature_of_what_it_was(fading_way, images, rng):
    labels = rng.integers(0, 4, 24)
    *readers, training = fading_way
    way = way_of(training, images, labels)
    for place, reader in enumerate(readers):
        loss_surface = surface.LossSurface(reader, images, labels)
        settled = loss_surface.with_statistics(training.snapshots[0])
        loss = curvature.FlatLoss(loss_surface, settled)
        (wanted,) = curvature.largest_eigenvalues(loss.product, loss.size)
        assert way.largest_eigenvalue[place] == pytest.approx(wanted, rel=0.02)


def test_a_network_without_statistics_or_without_trained_weights_is_taken(data, tmp_path):
    x, y = data
    model = mlp()
    point = weights.weights_of(model)
    assert surface.LossSurface(model, x, y).with_statistics(point).keys() == point.keys()
    model.trainable = False
    ways = {"mlp": Training({0: point}, model), "other": Training({}, model)}
    (way,) = landscape.analyze({"mlp": model}, x, y, CONFIG, tmp_path, trainings=ways).trainings
    assert way.largest_eigenvalue == [None]
    assert way.loss[0] > 0


WAY = TrainingCurvature("plain", [0, 2], [2.5, 0.0], [0.1, 1.0], [30.0, -1.0], 24)


def test_the_chart_has_losses_and_eigenvalues_that_a_logarithm_has():
    class Named:
        label = "plain"
        spectrum = None

    group = GroupResult("g", LandscapeResult([], [], [Named()], trainings=[WAY]))
    (chart,) = report.charts_of(group)
    assert [[curve.y for curve in panel.curves] for panel in chart.panels] == [[[2.5, None]], [[30.0, None]]]
    assert chart.table == (["largest eigenvalue after epoch", "plain"], [["0", "30"], ["2", "-1"]])
    assert "24 examples" in chart.words
    assert len(charts.to_matplotlib(chart).axes) == 2


def test_trainings_come_back_from_json_and_earlier_files_have_none():
    result = LandscapeResult([], [], [], trainings=[WAY])
    assert LandscapeResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    earlier = {"planes": [], "lines": [], "networks": []}
    assert LandscapeResult.from_json(earlier).trainings == []
