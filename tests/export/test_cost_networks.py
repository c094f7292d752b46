"""Which networks stand on a cost card, and what a sentence says of two of them."""

import dataclasses

import keras
import numpy as np
import pytest
from scipy import stats

from keras_kd.export import cost_networks, cost_sentence
from keras_kd.export.cost_results import NetworkCost
from keras_kd.export.latency import Latency
from keras_kd.models import cost, serialization, weights
from keras_kd.utils import files
from tests.support.networks import resnet8, shaken


def test_a_text_has_its_twin_unless_that_is_given_too():
    plain = "cifar_resnet:8:width=4:shortcuts=none"
    found = cost_networks.with_twins([plain], fold=True)
    assert list(found.networks) == [plain, f"residual twin of {plain}"]
    assert found.pairs == [(plain, f"residual twin of {plain}")]
    residual = "cifar_resnet:8:width=4"
    found = cost_networks.with_twins([residual], fold=True)
    assert found.pairs == [(f"plain twin of {residual}", residual)]
    found = cost_networks.with_twins([plain, residual], fold=True)
    assert list(found.networks) == [plain, residual]
    assert found.pairs == [(plain, residual)]


def test_networks_are_compared_that_are_folded_alike():
    plain, residual = "cifar_resnet:8:width=4:shortcuts=none", "cifar_resnet:8:width=4"
    found = cost_networks.with_twins([f"{plain}-unfolded"], fold=True)
    assert [each.fold for each in found.networks.values()] == [False, False]
    found = cost_networks.with_twins([f"{plain}-unfolded", residual], fold=True)
    assert {label: each.fold for label, each in found.networks.items()} == {
        f"{plain}-unfolded": False,
        f"residual twin of {plain}-unfolded": False,
        residual: True,
        f"plain twin of {residual}": True,
    }
    four = [plain, f"{plain}-unfolded", residual, f"{residual}-unfolded"]
    for listed in (cost_networks.named, cost_networks.with_twins):
        found = listed(four, fold=True)
        assert list(found.networks) == four
        assert found.pairs == [(plain, residual), (f"{plain}-unfolded", f"{residual}-unfolded")]
        assert len(listed([plain, f"{residual}-unfolded"], fold=False).pairs) == 1  # neither is folded


def test_a_run_stands_for_its_last_student_and_needs_no_dataset(tmp_path):
    networks = {"student": resnet8(shortcuts=False), "student_fade": resnet8(shortcuts=False)}
    networks["teacher"] = resnet8()
    for name, network in networks.items():
        serialization.save_model(shaken(network), tmp_path / "run" / f"{name}.keras")
    labels = {"teacher": 0.75, "student_distilled": 0.25, "student_fade": 0.5}
    result = {
        "networks": {label: {"accuracy": value} for label, value in labels.items()},
        "fingerprints": {f"{name}.keras": weights.fingerprint(each) for name, each in networks.items()},
        "dataset": {"name": "gone", "examples": {"test": 360}},
    }
    files.write_json(result, tmp_path / "run" / "result.json")
    found = cost_networks.with_twins([str(tmp_path / "run")], fold=True)
    accuracies = {label: (each.accuracy, each.test_images) for label, each in found.networks.items()}
    assert accuracies == {"student_fade": (0.5, 360), "teacher (residual twin)": (0.75, 360)}
    assert found.pairs == [("student_fade", "teacher (residual twin)")]


def test_any_keras_file_is_counted_alone(tmp_path):
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    keras.Sequential([keras.Input((8, 8, 1)), *layers]).save(tmp_path / "any.keras")
    found = cost_networks.with_twins([str(tmp_path / "any.keras")], fold=True)
    assert (list(found.networks), found.pairs) == (["any"], [])
    assert cost.cost(found.networks["any"].network).multiply_adds == 64 * 3


def test_what_is_no_network_is_told():
    with pytest.raises(ValueError, match="networks have names such as resnet20, .* Received: 'vgg16'"):
        cost_networks.with_twins(["vgg16"], fold=True)


def costs(label, peak, accuracy=None, turns=(), images=None):
    counted = NetworkCost(label, 1, 1, {"float32": peak}, "a", 0.0, 0.0, 1, [])
    timed = {"LiteRT": {"1": Latency(float(np.median(turns)), max(turns), 5, turns)}} if turns else {}
    return dataclasses.replace(counted, accuracy=accuracy, test_images=images, latency=timed)


def test_a_sentence_tells_differences_with_what_is_known_of_their_uncertainty():
    plain = costs("plain", 34, 0.801, (0.8, 0.8, 0.9, 0.7, 0.8), 1000)
    twin = costs("twin", 100, 0.8, (1.0, 1.0, 1.0, 1.0, 1.0), 1000)
    assert cost_sentence.sentence(plain, twin) == (
        "plain: -66 % peak memory (counted), +0.1 points of accuracy, undecided (95 %: -3.4 to +3.6, 1000 "
        "test images, one seed), 0.80x latency (LiteRT, one image at a time; 0.70 to 0.90 over 5 turns) "
        "against its residual twin."
    )
    unknown = cost_sentence.sentence(costs("plain", 34), costs("twin", 34))
    assert unknown == "plain: the same peak memory (counted) against its residual twin."
    measured = [dataclasses.replace(each, arena={"float32": size}) for each, size in ((plain, 2), (twin, 4))]
    assert "-50 % peak memory, " in cost_sentence.sentence(*measured)


@pytest.mark.parametrize(("one", "other", "images"), [(0.9, 0.9, 24), (0.7, 0.95, 60), (0.98, 0.999, 100)])
def test_the_interval_covers_the_difference(one, other, images):
    """Of networks whose errors are independent of each other; exact, over all numbers of right answers."""
    counts = np.arange(images + 1)
    first, second = (stats.binom.pmf(counts, images, share) for share in (one, other))
    covered = 0.0
    for count, chance in zip(counts, first, strict=True):
        if chance > 1e-9:
            low, high = np.array(
                [cost_sentence.difference_interval(count / images, each / images, images) for each in counts]
            ).T
            covered += chance * second[(low <= one - other) & (one - other <= high)].sum()
    assert covered >= 0.945
