"""Losses, their options and their weights from one text."""

import re

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd import losses
from keras_kd.distillation import recipes
from tests.support.networks import mlp, sparse_ce
from tests.support.processes import ROOT


@pytest.mark.parametrize("name", losses.NAMES)
def test_each_loss_is_written_and_read_again(name):
    beside = "kd+" if losses.NAMES[name].beside_kd else ""
    assert recipes.parse_spec(name).text == beside + name
    if name != recipes.KD:
        text = f"{beside}{name}:weight=2.5:warmup=0.5"
        recipe = recipes.parse_spec(text)
        assert recipe.text == text
        ((weight, loss),) = recipe.arguments(10)["terms"]
        assert type(loss) is losses.NAMES[name]
        assert [float(weight(step)) for step in (0, 1, 5, 9)] == pytest.approx([0, 0.5, 2.5, 2.5])


@pytest.mark.parametrize("name", losses.NAMES)
def test_options_that_the_source_has_are_left_out(name):
    kind = losses.NAMES[name]
    if name != recipes.KD:
        assert recipes.parse_spec(f"{name}:weight={kind.weight}").text.split("+")[-1] == name


def test_a_sum_has_the_weights_of_kd_and_those_of_the_sources():
    found = recipes.parse_spec("kd+at:weight=500+dkd").arguments(1200, temperature=2.0, alpha=0.5)
    assert (found["temperature"], found["alpha"], found["label_weight"]) == (2.0, 0.5, None)
    (at, attention), (dkd, decoupled) = found["terms"]
    assert (at, type(attention)) == (500.0, losses.AttentionTransfer)
    assert type(decoupled) is losses.DecoupledTargets
    assert [float(dkd(step)) for step in (0, 50, 100, 1000)] == pytest.approx([0, 0.5, 1, 1])


def test_without_kd_the_labels_weigh_what_the_source_says():
    found = recipes.parse_spec("standardized").arguments(10)
    assert (found["alpha"], found["label_weight"]) == (0.0, 0.1)
    ((weight, _),) = found["terms"]
    assert weight == 9.0


@pytest.mark.parametrize(
    ("names", "weight"),
    [
        (["mlkd", "at"], 1.0),
        (["simkd", "at"], 1.0),
        (["standardized", "simkd"], 0.1),
        (["mlkd", "standardized"], 0.1),
        (["kd", "simkd"], None),
    ],
)
def test_the_order_of_a_sum_is_nothing_to_the_labels_weight(names, weight):
    orders = ("+".join(names), "+".join(reversed(names)))
    assert [recipes.parse_spec(text).arguments(1)["label_weight"] for text in orders] == [weight, weight]


@pytest.mark.parametrize("temperatures", [4.0, (4.0,), (2.0, 4.0)])
def test_a_recipe_of_any_number_of_temperatures_is_read_again(temperatures):
    recipe = recipes.Recipe((recipes.Part("mlkd", {"temperatures": temperatures}),))
    configs = [
        each.arguments(1)["terms"][0][1].get_config() for each in (recipe, recipes.parse_spec(recipe.text))
    ]
    assert configs == [{"temperatures": list(np.atleast_1d(temperatures))}] * 2


def test_layers_and_one_weight_may_be_given_apart():
    recipe = recipes.parse_spec("kd+fitnets", weight=3.0, layers=(["a", "b"], ["c", "d"]))
    assert recipe.text == "kd+fitnets:weight=3.0:teacher_layers=a,b:student_layers=c,d"
    ((_, loss),) = recipes.parse_spec(recipe.text).arguments(1)["terms"]
    assert (loss.teacher_layers, loss.student_layers) == (["a", "b"], ["c", "d"])
    one = recipes.parse_spec("fitnets", layers=(["ab"], ["cd"]))
    ((_, loss),) = recipes.parse_spec(one.text).arguments(1)["terms"]
    assert loss.teacher_layers == ["ab"]


@pytest.mark.parametrize("names", ["1", "true", "1,2e3", "1,x"])
def test_a_layers_name_is_text_also_where_it_looks_like_a_number(names):
    recipe = recipes.parse_spec(f"at:teacher_layers={names}:student_layers={names}")
    ((_, loss),) = recipe.arguments(1)["terms"]
    assert (loss.teacher_layers, loss.student_layers) == (names.split(","),) * 2
    assert recipes.parse_spec(recipe.text) == recipe


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("dkb", {}, "unknown loss 'dkb': did you mean 'dkd'?"),
        ("AT", {}, "unknown loss 'AT': did you mean 'at'?"),
        ("kd + dkd", {}, "unknown loss 'kd ': did you mean 'kd'?"),
        ("kd+ dkd", {}, "unknown loss ' dkd': did you mean 'dkd'?"),
        ("zzzz", {}, "unknown loss 'zzzz': there are kd, "),
        ("", {}, "unknown loss ''"),
        ("kd+kd", {}, "loss must hold each value once. Received: 'kd' twice"),
        ("kd:temperature=2", {}, "temperature and alpha of kd are settings of their own"),
        ("dkd:heat=2", {}, "loss='dkd' has no option 'heat': it has temperature, "),
        ("dkd:temperature=0", {}, "temperature must lie in"),
        ("dkd:temperature", {}, "a loss is NAME:OPTION=VALUE:... Received: 'dkd:temperature'"),
        ("dkd:weight=nan", {}, "weight must lie in"),
        ("dkd:warmup=2", {}, "warmup must lie in"),
        ("dkd:weight=0", {}, "weight must lie in (0, 1000000000]. Received: weight=0.0"),
        ("kd+at:weight=-5", {}, "weight must lie in (0, 1000000000]. Received: weight=-5.0"),
        ("simkd", {"weight": 0.0}, "weight must lie in (0, 1000000000]. Received: weight=0.0"),
        ("dist:inter_weight=-1", {}, "inter_weight must lie in [0, 1000000000]"),
        ("nkd:nontarget_weight=-1", {}, "nontarget_weight must lie in [0, 1000000000]"),
        ("dist:inter_weight=0:intra_weight=0", {}, "inter_weight or intra_weight must be above 0"),
        ("dkd:target_weight=0:nontarget_weight=0", {}, "target_weight or nontarget_weight must be above 0"),
        ("rkd:distance_weight=0:angle_weight=0", {}, "distance_weight or angle_weight must be above 0"),
        ("kd", {"weight": 2.0}, "one weight is for one loss beside kd"),
        ("dkd+at", {"weight": 2.0}, "one weight is for one loss beside kd"),
        ("dkd", {"layers": (["a"], ["a"])}, "no loss of 'dkd' looks at layers"),
        (
            "at:teacher_layers=a:student_layers=b",
            {"layers": (["c"], ["c"])},
            "layers are given in the text of a loss or apart from it, not both. "
            "Received: 'at:teacher_layers=a:student_layers=b' and layers (['c'], ['c'])",
        ),
        ("kd+at:student_layers=b", {"layers": (["c"], ["c"])}, "not both"),
        ("at:teacher_layers=a", {}, "layers are named in both networks or in none"),
        ("at", {"layers": (["a", "b"], ["a"])}, "as many layers of the teacher as of the student"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(text, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        recipes.parse_spec(text, **options)
    assert "\n" not in str(caught.value)


def test_one_summand_of_a_loss_may_weigh_nothing_and_a_factor_may_be_small():
    ((_, loss),) = recipes.parse_spec("dkd:target_weight=0:warmup=0").arguments(1)["terms"]
    assert (loss.target_weight, loss.nontarget_weight) == (0.0, 8.0)
    setting = {"loss": "kd+at", "loss_weight_factor": 1e-6}
    ((weight, _),) = recipes.of_setting(setting).arguments(1)["terms"]
    assert weight == pytest.approx(1e-3)


def test_a_distiller_takes_a_recipe(rng):
    x = rng.normal(size=(12, 8, 8, 1)).astype("float32")
    y = np.arange(12) % 4
    found = recipes.parse_spec("kd+dkd:warmup=0").arguments(4, temperature=3.0, alpha=0.25)
    distiller = keras_kd.Distiller(mlp(), mlp(seed=1), **found)
    distiller.compile("sgd", sparse_ce())
    logs = distiller.evaluate(x, y, batch_size=12, return_dict=True, verbose=0)
    parts = 0.75 * logs["hard_loss"] + 0.25 * logs["soft_loss"] + logs["decoupled_targets_loss"]
    assert logs["loss"] == pytest.approx(parts, rel=1e-5)


def test_the_labels_weight_is_apart_from_alpha(rng):
    x = rng.normal(size=(8, 8, 8, 1)).astype("float32")
    distiller = keras_kd.Distiller(mlp(), mlp(seed=1), alpha=0.5, label_weight=3.0)
    distiller.compile(keras.optimizers.SGD(0.1), sparse_ce())
    logs = distiller.evaluate(x, np.arange(8) % 4, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(3 * logs["hard_loss"] + 0.5 * logs["soft_loss"], rel=1e-5)
    with pytest.raises(ValueError, match=r"label_weight must lie in .* Received: label_weight=nan"):
        keras_kd.Distiller(mlp(), mlp(seed=1), label_weight=float("nan"))


def test_a_loss_of_ones_own_is_one_class_and_one_line(rng, monkeypatch):
    """The example of the docs, as it stands there."""
    monkeypatch.setattr(losses, "NAMES", dict(losses.NAMES))
    page = (ROOT / "docs" / "methods.md").read_text()
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1], {})
    x, y = rng.normal(size=(12, 8, 8, 1)).astype("float32"), np.arange(12) % 4
    teacher, student = mlp(), mlp(seed=1)
    found = recipes.parse_spec("distance:scale=3").arguments(1)
    distiller = keras_kd.Distiller(teacher, student, **found)
    distiller.compile("sgd", sparse_ce())
    logs = distiller.evaluate(x, y, batch_size=12, return_dict=True, verbose=0)
    gap = np.abs(teacher.predict(x, verbose=0) - student.predict(x, verbose=0))[np.arange(12), y]
    assert logs["logit_distance_loss"] == pytest.approx(3 * gap.mean(), rel=1e-5)
    assert logs["loss"] == pytest.approx(logs["hard_loss"] + 2 * logs["logit_distance_loss"], rel=1e-5)
