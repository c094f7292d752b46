"""Labels that say yes or no of each class: read, trained on, distilled, measured and exported."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from scipy import special

import keras_kd
from keras_kd.data import datasets
from keras_kd.distillation import shortcut_removal
from keras_kd.losses.tails import TailLoss
from keras_kd.training import Settings, adapt_teacher, compare, evaluate, evaluation, teacher_check, trainer
from tests.support.commands import call
from tests.support.networks import same, weights_of
from tests.support.processes import error_line

SETTINGS = Settings(epochs=2, batch_size=24, learning_rate=0.5, augmentation="none", strategy="none")


def bright_halves(count, seed):
    """Images and whether their left, right and upper halves are bright, each on its own."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (count, 3))
    images = rng.integers(0, 40, (count, 8, 8, 1))
    images[:, :, :4] += 60 * labels[:, 0, None, None, None]
    images[:, :, 4:] += 60 * labels[:, 1, None, None, None]
    images[:, :4] += 90 * labels[:, 2, None, None, None]
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("multi_label")
    arrays = {}
    for seed, (name, count) in enumerate({"train": 96, "val": 240, "test": 48}.items()):
        arrays[f"x_{name}"], arrays[f"y_{name}"] = bright_halves(count, seed)
    np.savez(cwd / "halves.npz", **arrays)
    return cwd


@pytest.fixture(scope="module")
def dataset(folder):
    return datasets.load(str(folder / "halves.npz"))


def linear(activation=None, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, activation)])


def numbers(network, dataset, split):
    images = (getattr(dataset, split).images / 255 - dataset.mean) / dataset.std
    return keras.ops.convert_to_numpy(network(images.astype("float32"))).astype(np.float64)


def test_they_are_read_and_cut_at_random_where_there_is_no_validation(folder, dataset, tmp_path):
    assert (dataset.multi_label, dataset.num_classes, dataset.class_names) == (True, 3, ("0", "1", "2"))
    with np.load(folder / "halves.npz") as stored:
        np.savez(tmp_path / "train.npz", x_train=stored["x_train"], y_train=stored["y_train"])
    cut = datasets.load(str(tmp_path / "train.npz"))
    assert sum(len(split.labels) for split in (cut.train, cut.validation, cut.test)) == 96
    assert cut.validation.labels.shape[1:] == (3,)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((96, 3), 2), r"0 and 1 \[n, classes\], alike in all splits. Received: \[96, 3\], 2 to 2"),
        (np.eye(4, dtype=int)[np.arange(96) % 4], r"alike in all splits. Received: \[48, 3\]"),
        (np.arange(96) % 3, r"alike in all splits. Received: \[96\], 0 to 2"),
        (np.tile([0, 1, 1], (96, 1)), "both yes and no of each class. Received: 0 for class 0"),
    ],
)
def test_labels_that_say_nothing_are_named(folder, tmp_path, labels, message):
    with np.load(folder / "halves.npz") as stored:
        np.savez(tmp_path / "wrong.npz", **{**stored, "y_train": labels})
    with pytest.raises(ValueError, match=message):
        datasets.load(str(tmp_path / "wrong.npz"))


def test_measures_are_those_of_decisions(rng):
    logits, other = rng.normal(size=(2, 20, 3))
    labels = rng.integers(0, 2, (20, 3))
    p = special.expit(logits)
    found = evaluation.measures(logits, labels, other)
    assert found["accuracy"] == np.mean((p > 0.5) == labels)
    assert found["loss"] == pytest.approx(-np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p)))
    assert found["agreement"] == np.mean((logits > 0) == (other > 0))


def test_a_student_is_distilled_by_the_bernoulli_form(dataset):
    """All losses of the first step, by hand; networks that end in sigmoid are asked for their logits."""
    teacher, student = linear("sigmoid", seed=1), linear("sigmoid", seed=2)
    settings = Settings(**{**vars(SETTINGS), "epochs": 1, "batch_size": 96, "learning_rate": 1e-6})
    settings = Settings(**{**vars(settings), "weight_decay": 0.0})
    z, s = (special.logit(numbers(network, dataset, "train")) for network in (teacher, student))
    trained = trainer.distill(teacher, student, dataset, settings, temperature=2.0, trust_teacher=True)
    p, q = special.expit(z / 2), special.expit(s / 2)
    kl = 4 * np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    labels = dataset.train.labels
    cross_entropy = np.mean(np.logaddexp(0, s) - labels * s)
    np.testing.assert_allclose(trained.history["soft_loss"][0], kl, rtol=1e-3)
    np.testing.assert_allclose(trained.history["hard_loss"][0], cross_entropy, rtol=1e-3)
    np.testing.assert_allclose(trained.history["accuracy"][0], np.mean((s > 0) == labels), rtol=1e-3)


def test_networks_are_compared_by_their_decisions(dataset):
    made = compare(linear(seed=1), linear(seed=2), linear(seed=2), dataset, SETTINGS)
    accuracy = {label: row.accuracy for label, row in made.networks.items()}
    assert accuracy["teacher"] == evaluate(made.models["teacher"], dataset)["accuracy"] > 0.8
    gain = accuracy["student_distilled"] - accuracy["student_alone"]
    assert (made.effects.gain, made.effects.gain_interval) == (pytest.approx(gain), None)


def test_a_teacher_of_decisions_is_adapted_and_measured(dataset):
    teacher = linear(seed=1)
    trainer.train(teacher, dataset, SETTINGS)
    ended = keras.Model(teacher.inputs[0], layers.Activation("sigmoid")(teacher.outputs[0]), name="ended")
    assert adapt_teacher(ended, dataset) is ended
    named = adapt_teacher(ended, dataset, class_map={"0": 1, "1": 0, "2": 2})
    np.testing.assert_allclose(
        numbers(named, dataset, "test"), numbers(teacher, dataset, "test")[:, [1, 0, 2]], rtol=1e-4, atol=1e-4
    )
    assert teacher_check.check_teacher(ended, dataset) > 0.8
    teacher.layers[-1].set_weights([np.zeros((64, 3)), np.ones(3)])
    with pytest.raises(ValueError, match=r"on \d\d.\d% of 240 validation images, no better than chance"):
        teacher_check.check_teacher(ended, dataset)


@pytest.mark.parametrize(
    ("loss", "augmentation", "message"),
    [
        ("dkd", "none", "DecoupledTargets compares classes that exclude each other"),
        ("kd", "mixup", "neither mixed nor smoothed. Received: augmentation='mixup'"),
    ],
)
def test_what_is_about_one_class_is_refused(dataset, loss, augmentation, message):
    settings = Settings(**{**vars(SETTINGS), "augmentation": augmentation})
    teacher = linear()
    before = weights_of(teacher)
    with pytest.raises(ValueError, match=message):
        compare(teacher, linear(), linear(), dataset, settings, loss=loss)
    assert same(weights_of(teacher), before)  # nothing was trained


def test_tails_are_refused_before_anything_is_trained(dataset):
    teacher, *students = (
        keras_kd.cifar_resnet(8, (8, 8, 1), 3, width=4, shortcuts=not place) for place in range(4)
    )
    removal, before = shortcut_removal.make("fade+tails"), weights_of(teacher)
    removed = {"student_removed": students[2], "shortcut_removal": removal}
    with pytest.raises(ValueError, match="'fade.tails' compares classes that exclude each other.*yes or no"):
        compare(teacher, *students[:2], dataset, SETTINGS, **removed)
    assert same(weights_of(teacher), before)
    with pytest.raises(ValueError, match="'fade.tails' compares classes"):
        trainer.distill(teacher, students[2], dataset, SETTINGS, shortcut_removal=removal, trust_teacher=True)
    tail = TailLoss(teacher, "stage1_block1_out")
    with pytest.raises(ValueError, match="TailLoss compares classes that exclude each other"):
        trainer.distill(teacher, students[2], dataset, SETTINGS, terms=[tail], trust_teacher=True)


@pytest.mark.parametrize("command", ["search", "study"])
def test_commands_of_one_class_refuse_them(folder, command):
    status, _, errors = call(command, "--dataset=halves.npz", "--out=x", cwd=folder)
    assert status == 1
    assert "takes labels of one class for each image" in error_line(errors)


def test_a_network_that_ends_in_sigmoid_is_exported(dataset, tmp_path):
    import tensorflow as tf

    network = linear("sigmoid")
    keras_kd.export.to_saved_model(network, tmp_path / "saved", dataset=dataset)
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    answers = serve(image=tf.constant(dataset.test.images))
    expected = numbers(network, dataset, "test")
    np.testing.assert_allclose(answers["probabilities"], expected, rtol=1e-4)
    np.testing.assert_allclose(answers["logits"], special.logit(expected), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_main_job_by_flags(folder):
    import tensorflow as tf

    sizes = [f"--{network}_{size}" for network in ("teacher", "student") for size in ("depth=8", "width=4")]
    flags = ("--dataset=halves.npz", "--epochs=1", "--batch_size=24", "--strategy=none", "--jobs=1")
    status, _, errors = call("distill", *flags, *sizes, "--teacher_views=1", "--out=run", cwd=folder)
    assert status == 0, errors
    result = json.loads((folder / "run" / "result.json").read_text())
    assert 0.3 < result["networks"]["student_fade"]["accuracy"] < 1
    serve = tf.saved_model.load(str(folder / "run" / "saved_model")).signatures["serving_default"]
    answers = serve(image=tf.constant(bright_halves(4, 9)[0]))
    np.testing.assert_allclose(answers["probabilities"], special.expit(answers["logits"]), rtol=1e-5)
    for command in ("landscape", "reuse"):
        status, _, errors = call(command, "--run=run", cwd=folder)
        assert status == 1
        assert "an analysis takes labels of one class for each image" in error_line(errors)
        assert not (folder / "run" / command).exists()
