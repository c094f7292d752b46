"""Further losses beside the labels' and the teacher's."""

import functools
import importlib.util

import keras
import numpy as np
import pytest

from keras_kd import Distiller, losses
from keras_kd.distillation import terms as terms_module
from keras_kd.distillation.terms import ask_layers, check_independent
from keras_kd.models import graph
from tests.support.distillers import compiled, evaluated, fitted
from tests.support.networks import mlp, one_block, weights_of
from tests.support.reference import reference_kl

resnet = functools.partial(one_block, channels=1)


def test_feature_terms_are_the_reference_and_run_on_the_same_pass(data):
    x, y = data
    teacher, student = resnet(seed=1), resnet(seed=2, shortcuts=False)
    term = keras.distillation.FeatureDistillation(
        keras.losses.MeanSquaredError(), "stage1_block1_out", "stage1_block1_bn1"
    )
    distiller = compiled(teacher, student, alpha=0.5, terms=[term, (2.0, losses.SoftTargets(1.0))])
    measured = evaluated(distiller, x, y)
    t = graph.feature_extractor(teacher, ["stage1_block1_out"]).predict(x, verbose=0)
    s = graph.feature_extractor(student, ["stage1_block1_bn1"]).predict(x, verbose=0)
    features = np.mean((t["stage1_block1_out"].astype(np.float64) - s["stage1_block1_bn1"]) ** 2)
    second = reference_kl(t["logits"], s["logits"], 1.0).mean()
    assert measured["feature_distillation_loss"] == pytest.approx(features, rel=1e-5)
    assert measured["soft_targets_loss"] == pytest.approx(second, rel=1e-4)
    mixed = 0.5 * measured["hard_loss"] + 0.5 * measured["soft_loss"]
    assert measured["loss"] == pytest.approx(mixed + features + 2 * second, rel=1e-5)


def test_a_feature_term_does_not_move_batch_norm_twice(data):
    x, y = data
    students = [resnet(seed=2) for _ in range(2)]
    term = keras.distillation.FeatureDistillation("mse", "head_pool", "head_pool")
    for student, terms in zip(students, ((), ((0.0, term),)), strict=True):
        fitted(compiled(resnet(seed=1), student, terms=terms, optimizer=keras.optimizers.SGD(0.0)), x, y)
    for a, b in zip(*map(weights_of, students), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_terms_of_one_class_get_names_of_their_own():
    terms = [keras.distillation.FeatureDistillation("mse", name, name) for name in ("head_pool", "stem_relu")]
    distiller = Distiller(resnet(), resnet(), terms=terms)
    assert list(distiller.terms) == ["feature_distillation_loss", "feature_distillation_2_loss"]


class Hard(keras.distillation.DistillationLoss):
    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        return keras.ops.mean(0 * student_outputs) + 100.0


class HardLoss(Hard):
    pass


@pytest.mark.parametrize("kind", [Hard, HardLoss])
def test_a_term_cannot_take_the_name_of_the_losses_themselves(data, kind):
    x, y = data
    without = evaluated(compiled(mlp(seed=1), mlp(seed=2)), x, y)
    measured = evaluated(compiled(mlp(seed=1), mlp(seed=2), terms=[kind()]), x, y)
    assert measured["hard_2_loss"] == pytest.approx(100)
    assert measured["hard_loss"] == pytest.approx(without["hard_loss"])
    assert measured["loss"] == pytest.approx(without["loss"] + 100, rel=1e-6)


@pytest.mark.parametrize("term", ["mse", (1.0, losses.Dist(), 0), (losses.Dist(),), (), (1.0, "mse")])
def test_what_is_no_term_is_refused(term):
    with pytest.raises(ValueError, match=r"keras\.distillation\.DistillationLoss.*Received: ") as said:
        Distiller(mlp(), mlp(), terms=[term])
    assert str(said.value).endswith(repr(term))
    for ask in (ask_layers, check_independent):
        with pytest.raises(ValueError, match="DistillationLoss or a pair"):
            ask([term])


@pytest.mark.parametrize("layer", [keras.Input((8, 8, 1)), keras.layers.Flatten()], ids=["built", "unbuilt"])
def test_a_network_that_was_never_called_has_terms_too(layer):
    networks = [keras.Sequential([layer, keras.layers.Flatten(), keras.layers.Dense(4)]) for _ in "ab"]
    assert list(Distiller(*networks, terms=[losses.SoftTargets(2.0)]).terms) == ["soft_targets_loss"]


class OfOnesOwn(losses.DistillationTerm):
    def call(self, teacher, student):
        return keras.ops.mean(keras.ops.square(teacher - student), axis=-1)


class Gap(OfOnesOwn):
    def __init__(self, scale=1.0):
        self.scale = scale


class Told(Gap):
    def get_config(self):
        return {"scale": self.scale}


class Wide(losses.Hint):
    def __init__(self, teacher_layers=None, student_layers=None, *, width=1):
        super().__init__(teacher_layers, student_layers)
        self.width = width


class ToldWide(Wide):
    def get_config(self):
        return {**super().get_config(), "width": self.width}


class Named(losses.Hint):
    def __init__(self, *layers, **named):
        super().__init__(*layers, **named)


@pytest.mark.parametrize(("term", "option"), [(Gap(5.0), "scale"), (Wide(width=2), "width")])
def test_options_that_a_configuration_lacks_are_not_lost_in_silence(term, option):
    message = (
        rf"{type(term).__name__} has options that its get_config does not .*Received: options \['{option}'\]"
    )
    with pytest.raises(NotImplementedError, match=message) as said:
        keras.saving.serialize_keras_object(term)
    assert "\n" not in str(said.value)


def test_options_that_a_configuration_has_are_kept():
    assert Told(5.0).get_config() == {"scale": 5.0}
    assert ToldWide(width=2).get_config()["width"] == 2
    assert Named("a", "b").get_config() == losses.Hint("a", "b").get_config()
    assert OfOnesOwn().get_config() == {}


def test_a_loss_of_ones_own_compares_classes_once_it_has_a_name(monkeypatch):
    check_independent([OfOnesOwn()])
    monkeypatch.setitem(losses.NAMES, "own", OfOnesOwn)
    with pytest.raises(ValueError, match="OfOnesOwn compares classes that exclude each other"):
        check_independent([OfOnesOwn()])


def test_a_name_makes_no_loss_one_of_the_package(monkeypatch):
    """Whose losses see of the teacher what its layers compute; also if the name was there first."""
    monkeypatch.setitem(losses.NAMES, "own", OfOnesOwn)
    spec = importlib.util.find_spec(terms_module.__name__)
    imported_after = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(imported_after)
    for module in (terms_module, imported_after):
        assert module.are_known([losses.Hint(), (2.0, losses.Dist()), losses.BinarySoftTargets()])
        assert module.are_known([keras.distillation.FeatureDistillation("mse", "a", "a")])
        assert not module.are_known([losses.Hint(), OfOnesOwn()])
        assert not module.are_known([Hard()])
