"""How like its residual twin a network was at the snapshots of its training."""

import dataclasses
import json

import numpy as np
import pytest

import keras_kd
from keras_kd.analysis import reuse
from keras_kd.analysis.results import GroupResult
from keras_kd.analysis.reuse import report, similarity, trainings
from keras_kd.analysis.reuse.results import ReuseResult, TrainingReuse
from keras_kd.analysis.trainings import Training
from keras_kd.data import augmentation, datasets
from keras_kd.models import blocks, fading, weights
from keras_kd.reporting import charts
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp, same, shaken, weights_of


def network(shortcuts, seed):
    return shaken(keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4, shortcuts=shortcuts), seed)


@pytest.fixture(scope="module")
def networks():
    return {"residual": network(True, 1), "plain": network(False, 1), "faded": network(False, 2)}


def mean_cka(one, other, images):
    layers = [blocks.layers_of(each) for each in (one, other)]
    return np.mean(np.diagonal(similarity.cka(one, other, images, *layers, batch_size=12)))


def test_a_fading_network_is_compared_as_it_was_and_without_its_shortcuts(networks, rng):
    """Open gates and the twin's weights make the twin; closed ones what is left."""
    residual, plain, faded = networks.values()
    images = rng.normal(size=(24, 8, 8, 1)).astype("float32")
    before = [weights_of(each) for each in networks.values()]
    gated = fading.with_fading_shortcuts(plain, [(2, 4)] * 3)
    training = Training({0: weights.weights_of(plain), 3: weights.weights_of(faded)}, gated, steps=2)
    seen = []
    found = trainings.cka_of_snapshots(training, plain, residual, images, 12, lambda *done: seen.append(done))
    np.testing.assert_allclose(found["cka"], [1.0, mean_cka(residual, faded, images)], rtol=1e-5)
    wanted = [mean_cka(residual, each, images) for each in (plain, faded)]
    np.testing.assert_allclose(found["cka_without_shortcuts"], wanted, rtol=1e-5)
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert all(same(b, weights_of(each)) for b, each in zip(before, networks.values(), strict=True))


def test_in_blocks_without_a_last_relu_the_sum_is_compared(rng):
    residual, plain = (
        shaken(keras_kd.wide_resnet(10, 1, (8, 8, 1), 4, shortcuts=each)) for each in (True, False)
    )
    assert trainings.twin_of(plain, {"residual": residual, "plain": plain}) == "residual"
    images = rng.normal(size=(8, 8, 8, 1)).astype("float32")
    gated = fading.with_fading_shortcuts(plain, [(0, 9)] * 3)
    training = Training({0: weights.weights_of(plain)}, gated)
    found = trainings.cka_of_snapshots(training, plain, residual, images, 8, lambda *done: None)
    sums = [[f"stage{i}_block1_{name}" for i in (1, 2, 3)] for name in ("add", "fade")]
    layers = [blocks.layers_of(residual)[:1] + names for names in sums]
    wanted = np.mean(np.diagonal(similarity.cka(residual, gated, images, *layers)))
    assert found["cka"] == pytest.approx([wanted], rel=1e-4)


def test_twins_have_shortcuts_and_the_same_weights(networks):
    assert trainings.twin_of(networks["plain"], {"mlp": mlp(), **networks}) == "residual"
    assert trainings.twin_of(networks["residual"], networks) == "residual"
    assert trainings.twin_of(mlp(), networks) is None


def test_an_analysis_has_the_trainings_of_networks_with_a_twin(networks, tmp_path):
    np.savez(tmp_path / "tiny.npz", **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    dataset = datasets.load(str(tmp_path / "tiny.npz"))
    images = np.asarray(augmentation.normalise(dataset.train.images[:16], dataset.mean, dataset.std))
    config = reuse.ReuseConfig(probe_examples=0, draws=1, most=1, batch_size=16)
    networks = {label: networks[label] for label in ("residual", "plain")}
    point = weights.weights_of(networks["plain"])
    way = {"plain": Training({0: point, 4: point}, networks["plain"], history={"val_accuracy": [0.5] * 4})}
    options = {"folder": tmp_path, "trainings": way}
    found = reuse.analyze(networks, dataset, images, dataset.train.labels[:16], config, **options)
    (training,) = found.trainings
    assert (training.label, training.twin, training.epochs) == ("plain", "residual", [0, 4])
    assert training.cka == pytest.approx([found.networks[1].cka_first] * 2, rel=1e-4)
    assert training.cka_without_shortcuts is None
    titles = []
    again = reuse.analyze(
        networks,
        dataset,
        images,
        dataset.train.labels[:16],
        config,
        **options,
        on_progress=lambda title, *done: titles.append(title),
    )
    assert again == found
    assert not [title for title in titles if "training" in title]


FADED = TrainingReuse(
    "faded",
    "residual",
    [0, 2],
    [0.5, 0.9],
    [0.25, None],
    {"val_accuracy": [0.5, 0.75], "val_accuracy_without_shortcuts": [0.25, 0.75], "gate": [0.5, 0.0]},
)


def group(networks_found, *ways):
    return GroupResult("g", ReuseResult(networks_found, [], list(ways)))


@dataclasses.dataclass
class Named:
    label: str


def test_the_chart_has_accuracy_gate_and_likeness():
    plain = TrainingReuse("plain", "residual", [0, 1, 2], [0.1, 0.2, 0.3])
    chart = report.training_report.chart(
        group([Named("residual"), Named("plain"), Named("faded")], plain, FADED)
    )
    accuracy, gate, likeness = chart.panels
    assert [(curve.label, curve.y) for curve in accuracy.curves] == [
        ("faded", [50, 75]),
        ("faded, without its shortcuts", [25, 75]),
    ]
    assert [curve.y for curve in gate.curves] == [[0.5, 0.0]]
    assert [(curve.label, curve.number, curve.x, curve.line) for curve in likeness.curves] == [
        ("plain", 1, [0, 1, 2], "solid"),
        ("faded", 2, [0, 2], "solid"),
        ("faded, without its shortcuts", 2, [0, 2], "dash"),
    ]
    assert chart.table[1] == [
        ["0", "0.1", "0.5", "0.25"],
        ["1", "0.2", "n/a", "n/a"],
        ["2", "0.3", "0.9", "n/a"],
    ]
    assert "(residual)" in chart.words
    assert len(charts.to_matplotlib(chart).axes) == len(charts.to_plotly(chart)) == 3


def test_trainings_come_back_from_json_and_earlier_files_have_none():
    result = ReuseResult([], [], [FADED])
    assert ReuseResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert ReuseResult.from_json({"networks": [], "cka": []}).trainings == []
    assert report.training_report.chart(group([])) is None
