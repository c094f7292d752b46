"""What is likely wrong is said in a line, once."""

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.distillation import alarms
from tests.support.networks import brightness_classifier, mlp, resnet8, sparse_ce


@keras.saving.register_keras_serializable(package="tests")
class Constant(keras_kd.losses.DistillationTerm):
    def __init__(self, value):
        self.value = value

    def call(self, teacher, student):
        return 0 * keras.ops.sum(student, axis=-1) + self.value

    def get_config(self):
        return {"value": self.value}


@pytest.fixture
def data(rng):
    labels = np.arange(32) % 4
    images = rng.normal(size=(32, 8, 8, 1)) + labels[:, None, None, None]
    return ((images - images.mean()) / images.std()).astype("float32"), labels


def notes(capsys, teacher, student, data, epochs=2, loss=None, metrics=("accuracy",), **options):
    distiller = keras_kd.Distiller(teacher, student, **options)
    distiller.compile(keras.optimizers.SGD(0.01), loss or sparse_ce(), metrics=list(metrics))
    distiller.fit(*data, epochs=epochs, batch_size=32, verbose=0, validation_data=data)
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]


def taught(data):
    return brightness_classifier(*data)


def test_a_sound_distillation_says_nothing(capsys, data):
    assert notes(capsys, taught(data), mlp(seed=1), data) == []


def test_a_term_of_zero_is_told_once(capsys, data):
    (line,) = notes(capsys, taught(data), mlp(seed=1), data, terms=[Constant(0.0)])
    assert line == "note: constant_loss was 0 in the whole of epoch 1: it distils nothing"


@keras.saving.register_keras_serializable(package="tests")
class OfSureTeacher(keras_kd.losses.DistillationTerm):
    """A value for the examples of which the teacher is sure, 1 for the others; nothing is learnt from it."""

    def __init__(self, value):
        self.value = value

    def call(self, teacher, student):
        return keras.ops.where(teacher[:, 0] > 1e3, self.value, 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("bad_batches", [1, 4])
def test_a_term_that_is_not_finite_is_told_once_and_of_as_much_as_was_seen(capsys, data, value, bad_batches):
    """One batch is enough for the mean over the epoch."""
    logits = np.zeros((32, 4), "float32")
    logits[: 8 * bad_batches, 0] = 1e4
    labels = {"labels": data[1], "teacher_logits": logits}
    distiller = keras_kd.Distiller(None, mlp(), alpha=0.0, terms=[OfSureTeacher(value)])
    distiller.compile(keras.optimizers.SGD(0.01), sparse_ce())
    distiller.fit(data[0], labels, epochs=2, batch_size=8, shuffle=False, verbose=0)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert lines == [
        "note: of_sure_teacher_loss was not finite in at least one batch of epoch 1 "
        f"(its mean is {value:g}): look for such values in the teacher and the images"
    ]


def test_a_loss_of_the_labels_that_is_not_finite_is_told_as_such(capsys, data):
    def broken(labels, logits):
        return keras.ops.log(-keras.ops.sum(keras.ops.exp(logits), axis=-1))

    lines = notes(capsys, taught(data), mlp(seed=1), data, loss=broken)
    assert "hard_loss was not finite" in lines[0]
    assert lines[0].endswith("look for such values in the labels and their loss and the images")


def test_a_term_that_drowns_the_rest_is_told_once(capsys, data):
    (line,) = notes(capsys, taught(data), mlp(seed=1), data, terms=[(1e6, Constant(1.0))])
    assert line.startswith("note: constant_loss times its weight is 1e+06, ")
    assert line.endswith(" times the rest of the loss: lower its weight")


def test_a_teacher_at_chance_is_told_with_its_accuracy_and_the_students(capsys, data):
    teacher = mlp()
    teacher.layers[-1].set_weights([np.zeros((8, 4)), np.array([1.0, 0, 0, 0])])
    (line,) = notes(capsys, teacher, mlp(seed=1), data)
    assert line.startswith(
        "note: the teacher is right on 25.0% of validation, no better than chance (25.0%), and the student "
    )


def decides(*yes):
    """A network that says yes or no to each question, whatever it sees."""
    inputs = keras.Input((8, 8, 1))
    zeros = keras.layers.Dense(len(yes), kernel_initializer="zeros")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, zeros + keras.ops.array(np.float32(yes) * 8 - 4))


def test_the_chance_of_a_yes_or_no_is_one_half(capsys, data):
    images, loss = data[0], keras.losses.BinaryCrossentropy(from_logits=True)
    labels = np.ones((32, 1), "float32")
    assert not notes(capsys, decides(1), decides(0), (images, labels), epochs=1, loss=loss)
    labels = np.tile(np.float32([1, 0, 1, 0]), (32, 1))
    (line,) = notes(capsys, decides(1, 1, 0, 0), mlp(seed=1), (images, labels), epochs=1, loss=loss)
    assert line.startswith(
        "note: the teacher is right on 50.0% of validation, no better than chance (50.0%), "
    )


@pytest.mark.parametrize(
    ("accuracy", "classes", "independent", "chance"),
    [
        (0.1, 10, False, True),
        (0.119, 10, False, True),
        (0.13, 10, False, False),
        (0.02, 1000, False, False),  # twenty times chance
        (0.002, 1000, False, True),
        (0.6, 1, True, False),
        (0.477, 4, True, True),
        (0.5, None, False, False),  # of classes that are not known
    ],
)
def test_what_counts_as_chance(accuracy, classes, independent, chance):
    assert (alarms.chance_beside(accuracy, classes, independent) is not None) == chance


def test_a_teacher_is_measured_on_the_examples_whose_label_counts(capsys, data):
    images, labels = data
    ignored = np.where(np.arange(32) < 24, -1, labels)
    loss = sparse_ce(ignore_class=-1)
    assert notes(capsys, taught(data), mlp(seed=1), (images, ignored), epochs=1, loss=loss) == []


@pytest.mark.parametrize("metrics", [["accuracy"], ["sparse_categorical_accuracy"], []], ids=str)
def test_a_teacher_that_knows_less_than_the_student_is_told_with_both(capsys, data, metrics):
    images, labels = data
    worse = brightness_classifier(images, np.where(labels == 3, 0, labels))
    inputs = keras.Input((8, 8, 1))
    padded = keras.layers.Dense(4, kernel_initializer=keras.initializers.Constant(np.eye(3, 4)))
    bias = padded(worse(inputs)) - keras.ops.array([0.0, 0, 0, 1e3])
    (line,) = notes(capsys, keras.Model(inputs, bias), taught(data), data, epochs=1, metrics=metrics)
    assert "note: the teacher is right on " in line
    assert "% of validation, and the student on " in line


def behind(network, *layers):
    return keras.Sequential([keras.Input((8, 8, 1)), *layers, network])


def scaling_notes(capsys, teacher, student):
    """What is said before a first step."""
    alarm = alarms.DistillationAlarms()
    alarm.set_model(keras_kd.Distiller(teacher, student))
    alarm.on_train_begin()
    return capsys.readouterr().out.splitlines()


def test_networks_that_scale_their_inputs_differently_are_told(capsys, data):
    scaled = behind(mlp(), keras.layers.Rescaling(2.0))
    (line,) = scaling_notes(capsys, scaled, mlp(seed=1))
    assert line == (
        "note: teacher and student get the same inputs and scale them differently: Rescaling (teacher), "
        "not at all (student)"
    )
    assert scaling_notes(capsys, scaled, behind(mlp(seed=1), keras.layers.Rescaling(2.0))) == []


def test_networks_that_learnt_other_scales_are_told(capsys, data):
    learnt = [keras.layers.Normalization(axis=-1) for _ in range(3)]
    for layer, images in zip(learnt, (data[0], data[0] + 3, data[0][::-1]), strict=True):
        layer.adapt(images)
    first, other, same = (behind(mlp(seed=seed), layer) for seed, layer in enumerate(learnt))
    (line,) = scaling_notes(capsys, first, other)
    assert line.endswith(": Normalization (teacher), Normalization (student), by other numbers")
    first.trainable = False
    assert scaling_notes(capsys, first, same) == []


def test_scaling_is_looked_for_inside_models_and_in_each_of_several_teachers(capsys):
    def scaled(seed):
        return behind(mlp(seed=seed), keras.layers.Rescaling(2.0))

    assert scaling_notes(capsys, [scaled(0), scaled(1)], scaled(2)) == []
    assert scaling_notes(capsys, behind(scaled(0)), scaled(2)) == []
    (line,) = scaling_notes(capsys, [scaled(0), mlp(seed=1)], scaled(2))
    assert line.startswith("note: teacher 2 and student get ")
    assert line.endswith("differently: not at all (teacher 2), Rescaling (student)")


def test_weights_now_are_those_of_the_loss(rng):
    distiller = keras_kd.Distiller(
        resnet8(), resnet8(1), alpha=0.25, terms=[(3.0, keras_kd.losses.AttentionTransfer())]
    )
    assert distiller.weights_now() == {
        "hard_loss": 0.75,
        "soft_loss": 0.25,
        "attention_transfer_loss": 3.0,
    }


def test_a_loss_of_nothing_is_refused():
    distiller = keras_kd.Distiller(mlp(), mlp(seed=1), alpha=0.0, label_weight=0.0)
    with pytest.raises(ValueError, match="nothing would be trained"):
        distiller.compile("sgd", sparse_ce())
