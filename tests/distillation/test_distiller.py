import keras
import numpy as np
import pytest
from keras import layers

import keras_kd
from keras_kd import Distiller, losses
from keras_kd.models import graph
from tests.support.networks import mlp, same, sparse_ce, weights_of
from tests.support.reference import log_softmax, reference_kl

IS_TENSORFLOW = keras.backend.backend() == "tensorflow"


def softmax(x):
    return np.exp(log_softmax(np.asarray(x, np.float64)))


def hard_losses(logits, y):
    return -log_softmax(logits.astype(np.float64))[np.arange(len(y)), y]


def resnet(seed=0, shortcuts=True, classes=4, **kwargs):
    keras.utils.set_random_seed(seed)
    return keras_kd.cifar_resnet(8, (8, 8, 1), classes, width=4, shortcuts=shortcuts, **kwargs)


def compiled(teacher, student, loss=None, optimizer=None, **kwargs):
    compile_arguments = {
        key: kwargs.pop(key) for key in ("metrics", "jit_compile", "run_eagerly") if key in kwargs
    }
    distiller = Distiller(teacher, student, **kwargs)
    distiller.compile(optimizer or keras.optimizers.SGD(0.1), loss or sparse_ce(), **compile_arguments)
    return distiller


def evaluated(distiller, x, y, **kwargs):
    arguments = {"batch_size": len(x), "verbose": 0, "return_dict": True} | kwargs
    return distiller.evaluate(x, y, **arguments)


def fitted(model, x, y=None, **kwargs):
    arguments = {"batch_size": 16, "epochs": 1, "shuffle": False, "verbose": 0} | kwargs
    return model.fit(x, y, **arguments).history


# --------------------------------------------------------------------------- the formula


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_is_the_closed_form(rng, alpha, temperature):
    """With one-hot inputs the kernel of a linear student is its matrix of logits."""
    batch, classes = 6, 5
    x, y = np.eye(batch, dtype="float32"), rng.integers(0, classes, batch)

    def linear():
        kernel = 3 * rng.normal(size=(batch, classes)).astype("float32")
        model = keras.Sequential([keras.Input((batch,)), layers.Dense(classes, use_bias=False)])
        model.set_weights([kernel])
        return model, kernel

    (teacher, t), (student, s) = linear(), linear()
    distiller = compiled(
        teacher, student, optimizer=keras.optimizers.SGD(1.0), alpha=alpha, temperature=temperature
    )
    fitted(distiller, x, y, batch_size=batch)
    gradient = s - student.get_weights()[0]
    soft = alpha * temperature * (softmax(s / temperature) - softmax(t / temperature)) / batch
    hard = (1 - alpha) * (softmax(s) - np.eye(classes)[y]) / batch
    np.testing.assert_allclose(gradient, soft + hard, atol=2e-6)


def test_the_logged_losses_are_the_reference(data):
    x, y = data
    teacher, student = mlp(seed=1), mlp(seed=2)
    measured = evaluated(compiled(teacher, student, alpha=0.7, temperature=3.0, metrics=["accuracy"]), x, y)
    t, s = (model.predict(x, verbose=0) for model in (teacher, student))
    hard, soft = hard_losses(s, y).mean(), reference_kl(t, s, 3.0).mean()
    assert measured["hard_loss"] == pytest.approx(hard, rel=1e-5)
    assert measured["soft_loss"] == pytest.approx(soft, rel=1e-5)
    assert measured["loss"] == pytest.approx(0.3 * hard + 0.7 * soft, rel=1e-5)
    assert measured["agreement"] == pytest.approx(np.mean(t.argmax(1) == s.argmax(1)))
    assert measured["accuracy"] == pytest.approx(np.mean(s.argmax(1) == y))


def test_training_and_validation_log_the_same_measures(data):
    x, y = data
    history = fitted(compiled(mlp(seed=1), mlp(seed=2), alpha=0.7), x, y, epochs=2, validation_data=(x, y))
    names = {"loss", "hard_loss", "soft_loss", "agreement"}
    assert set(history) == names | {f"val_{name}" for name in names}
    for prefix in ("", "val_"):
        for hard, soft, loss in zip(
            *(history[prefix + n] for n in ("hard_loss", "soft_loss", "loss")), strict=True
        ):
            assert loss == pytest.approx(0.3 * hard + 0.7 * soft, rel=1e-5)


def test_uneven_batches_count_every_example_once(data):
    x, y = data
    distiller = compiled(mlp(seed=1), mlp(seed=2))
    whole = evaluated(distiller, x, y)
    assert evaluated(distiller, x, y, batch_size=13) == pytest.approx(whole, rel=1e-5)


def test_alpha_0_trains_bit_for_bit_like_the_students_own_fit(data):
    x, y = data
    regulariser = keras.regularizers.L2(1e-2)
    alone, taught = (resnet(seed=3, shortcuts=False) for _ in range(2))
    for model in (alone, taught):
        model.get_layer("stem_conv").kernel.regularizer = regulariser
    alone.compile(keras.optimizers.SGD(0.1, momentum=0.9), sparse_ce())
    distiller = compiled(resnet(seed=1), taught, optimizer=keras.optimizers.SGD(0.1, momentum=0.9), alpha=0.0)
    losses = [fitted(model, x, y, epochs=3)["loss"] for model in (alone, distiller)]
    assert same(weights_of(alone), weights_of(taught))
    assert losses[0] == losses[1]


def test_alpha_1_ignores_the_labels(data):
    x, y = data
    students = [mlp(seed=3) for _ in range(3)]
    for student, labels in zip(students, (y, 3 - y), strict=False):
        fitted(compiled(mlp(seed=1), student, alpha=1.0), x, labels, epochs=2)
    assert same(weights_of(students[0]), weights_of(students[1]))


def test_alpha_1_needs_no_labels(data):
    x, y = data
    with_labels, without = mlp(seed=3), mlp(seed=3)
    fitted(compiled(mlp(seed=1), with_labels, alpha=1.0), x, y, epochs=2)
    distiller = Distiller(mlp(seed=1), without, alpha=1.0)
    distiller.compile(keras.optimizers.SGD(0.1))
    fitted(distiller, x, epochs=2)
    assert same(weights_of(with_labels), weights_of(without))


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_regularisers_count_once_and_are_not_scaled(data, alpha):
    x, y = data
    student = mlp(seed=2, kernel_regularizer=keras.regularizers.L2(0.01))
    teacher = mlp(seed=1, kernel_regularizer=keras.regularizers.L2(7.0))
    measured = evaluated(compiled(teacher, student, alpha=alpha), x, y)
    penalty = 0.01 * np.sum(student.get_weights()[0].astype(np.float64) ** 2)
    mixed = (1 - alpha) * measured["hard_loss"] + alpha * measured["soft_loss"]
    assert measured["loss"] - mixed == pytest.approx(penalty, rel=1e-3)


def test_the_students_activity_regulariser_counts_and_the_teachers_does_not(data):
    x, y = data
    student = mlp(seed=2, activity_regularizer=keras.regularizers.L2(0.5))
    teacher = mlp(seed=1, activity_regularizer=keras.regularizers.L2(9.0))
    distiller = compiled(teacher, student, alpha=0.4)
    for measured in (evaluated(distiller, x, y), evaluated(distiller, x, y)):
        hidden = keras.Model(student.inputs, student.layers[1].output).predict(x, verbose=0)
        penalty = 0.5 * np.sum(hidden.astype(np.float64) ** 2) / len(x)
        mixed = 0.6 * measured["hard_loss"] + 0.4 * measured["soft_loss"]
        assert measured["loss"] - mixed == pytest.approx(penalty, rel=1e-3)


# --------------------------------------------------------------------------- weights of examples


def test_sample_weight_weighs_every_term(data, rng):
    x, y = data
    weight = rng.uniform(0, 2, len(x)).astype("float32")
    teacher, student = mlp(seed=1), mlp(seed=2)
    feature = keras.distillation.FeatureDistillation("mse")
    distiller = compiled(teacher, student, alpha=0.7, temperature=3.0, terms=[(0.5, feature)])
    measured = evaluated(distiller, x, y, sample_weight=weight)
    t, s = (model.predict(x, verbose=0).astype(np.float64) for model in (teacher, student))
    hard, soft = (weight * hard_losses(s, y)).mean(), (weight * reference_kl(t, s, 3.0)).mean()
    features = (weight * ((t - s) ** 2).mean(axis=1)).mean()
    assert measured["hard_loss"] == pytest.approx(hard, rel=1e-5)
    assert measured["soft_loss"] == pytest.approx(soft, rel=1e-5)
    assert measured["feature_distillation_loss"] == pytest.approx(features, rel=1e-5)
    assert measured["loss"] == pytest.approx(0.3 * hard + 0.7 * soft + 0.5 * features, rel=1e-5)


def test_weights_0_and_1_equal_dropping_examples(data, rng):
    """Keras divides by the examples of the batch, or by their weights if the loss says so."""
    x, y = data
    keep = rng.uniform(size=len(x)) < 0.6
    weight = keep.astype("float32")
    teacher, student = mlp(seed=1), mlp(seed=2)
    dropped = evaluated(compiled(teacher, student), x[keep], y[keep])
    for reduction, share in (("mean_with_sample_weight", 1.0), ("sum_over_batch_size", keep.mean())):
        distiller = compiled(teacher, student, loss=sparse_ce(reduction=reduction))
        measured = evaluated(distiller, x, y, sample_weight=weight)
        for name in ("loss", "hard_loss", "soft_loss"):
            assert measured[name] == pytest.approx(share * dropped[name], rel=1e-5)


def test_weights_0_and_1_train_like_dropping_examples(data, rng):
    x, y = data
    keep = rng.uniform(size=len(x)) < 0.6
    students = mlp(seed=2), mlp(seed=2)
    loss = sparse_ce(reduction="mean_with_sample_weight")
    fitted(
        compiled(mlp(seed=1), students[0], loss=loss),
        x,
        y,
        batch_size=48,
        sample_weight=keep.astype("float32"),
    )
    fitted(compiled(mlp(seed=1), students[1], loss=loss), x[keep], y[keep], batch_size=48)
    for a, b in zip(*map(weights_of, students), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_class_weight_is_a_weight_per_example(data):
    x, y = data
    class_weight = {0: 0.5, 1: 2.0, 2: 0.0, 3: 1.0}
    weight = np.array([class_weight[label] for label in y], "float32")
    students = mlp(seed=2), mlp(seed=2)
    histories = [
        fitted(compiled(mlp(seed=1), students[0]), x, y, class_weight=class_weight),
        fitted(compiled(mlp(seed=1), students[1]), x, y, sample_weight=weight),
    ]
    assert same(*map(weights_of, students))
    teacher, fresh = mlp(seed=1), mlp(seed=2)
    t, s = (model.predict(x, verbose=0) for model in (teacher, fresh))
    soft = (weight * reference_kl(t, s, 4.0)).mean()
    whole = compiled(teacher, fresh, optimizer=keras.optimizers.SGD(0.0))
    history = fitted(whole, x, y, class_weight=class_weight, batch_size=48)
    assert history["soft_loss"][0] == pytest.approx(soft, rel=1e-5)
    assert histories[0]["loss"] == histories[1]["loss"]


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalCrossentropy(from_logits=True),
        lambda y, logits: keras.losses.categorical_crossentropy(y, logits, from_logits=True),
    ],
)
def test_one_hot_labels_and_functions_are_hard_losses_too(data, loss):
    x, y = data
    sparse = evaluated(compiled(mlp(seed=1), mlp(seed=2)), x, y)
    one_hot = evaluated(compiled(mlp(seed=1), mlp(seed=2), loss=loss), x, np.eye(4, dtype="float32")[y])
    assert one_hot == pytest.approx(sparse, rel=1e-6)


def test_a_loss_that_sums_makes_every_term_a_sum(data):
    x, y = data
    mean = evaluated(compiled(mlp(seed=1), mlp(seed=2)), x, y)
    total = evaluated(compiled(mlp(seed=1), mlp(seed=2), loss=sparse_ce(reduction="sum")), x, y)
    for name in ("loss", "hard_loss", "soft_loss"):
        assert total[name] == pytest.approx(len(x) * mean[name], rel=1e-5)


# --------------------------------------------------------------------------- teacher and student


class Spy(layers.Layer):
    """Counts its calls and notes in which mode they were made."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.modes = []

    def call(self, inputs, training=None):
        self.modes.append(training)
        return inputs


def spied(seed):
    spy = Spy()
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1))
    x = layers.Dense(8, name="hidden")(spy(layers.Flatten()(image)))
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(image, layers.Dense(4)(layers.Dropout(0.5)(x))), spy


@pytest.mark.parametrize("terms", [(), (keras.distillation.FeatureDistillation("mse", "hidden", "hidden"),)])
def test_each_network_runs_once_a_step(data, terms):
    x, y = data
    (teacher, teacher_spy), (student, student_spy) = spied(1), spied(2)
    distiller = compiled(teacher, student, terms=terms, run_eagerly=True)
    fitted(distiller, x, y, validation_data=(x, y))  # the first time Keras also looks at the shapes
    for spy in (teacher_spy, student_spy):
        spy.modes.clear()
    fitted(distiller, x, y, epochs=2)
    assert [bool(mode) for mode in teacher_spy.modes] == [False] * 6
    assert [bool(mode) for mode in student_spy.modes] == [True] * 6
    for spy in (teacher_spy, student_spy):
        spy.modes.clear()
    evaluated(distiller, x, y, batch_size=16)
    assert [bool(mode) for mode in teacher_spy.modes + student_spy.modes] == [False] * 6


@pytest.mark.skipif(not IS_TENSORFLOW, reason="of TensorFlow's functions")
def test_a_step_is_traced_once(data):
    """Twice, if its first call made the optimizer's variables."""
    x, y = data
    (teacher, _), (student, spy) = spied(1), spied(2)
    spy.modes.clear()
    fitted(compiled(teacher, student, optimizer=keras.optimizers.SGD(0.1, momentum=0.9)), x, y, epochs=2)
    assert [mode for mode in spy.modes if mode] == [True]


@pytest.mark.parametrize("trainable", [True, False])
def test_the_teacher_stays_as_it_was(data, trainable):
    x, y = data
    teacher, student = resnet(seed=1), resnet(seed=2, shortcuts=False)
    teacher.trainable = trainable
    teacher.get_layer("stage2_block1_conv1").trainable = False
    flags = [weight.trainable for weight in teacher.weights]
    before, started = weights_of(teacher), weights_of(student)
    fitted(compiled(teacher, student), x, y, epochs=2, validation_data=(x, y))
    assert same(before, weights_of(teacher))
    assert flags == [weight.trainable for weight in teacher.weights]
    assert not any(np.array_equal(a, b) for a, b in zip(started, weights_of(student), strict=True))


def test_a_frozen_layer_of_the_student_stays_frozen(data):
    x, y = data
    student = mlp(seed=2)
    student.layers[1].trainable = False
    before = weights_of(student)
    fitted(compiled(mlp(seed=1), student), x, y)
    changed = [not np.array_equal(a, b) for a, b in zip(before, weights_of(student), strict=True)]
    assert changed == [False, False, True, True]


def test_evaluate_and_predict_change_no_weight(data):
    x, y = data
    student = resnet(seed=2, shortcuts=False)
    distiller = compiled(
        resnet(seed=1),
        student,
        terms=[keras.distillation.FeatureDistillation("mse", "head_pool", "head_pool")],
    )
    fitted(distiller, x, y)
    before = weights_of(distiller)
    evaluated(distiller, x, y)
    logits = distiller.predict(x, verbose=0)
    assert same(before, weights_of(distiller))
    np.testing.assert_array_equal(logits, student.predict(x, verbose=0))
    np.testing.assert_allclose(distiller.predict(x, 8, verbose=0), logits, atol=1e-5)
    np.testing.assert_allclose(distiller.predict_on_batch(x), logits, atol=1e-5)


def test_the_student_is_the_callers_model(data):
    x, _y = data
    student = resnet(seed=2)
    distiller = compiled(resnet(seed=1), student)
    assert distiller.student is student
    assert {id(w) for w in distiller.trainable_weights} == {id(w) for w in student.trainable_weights}
    assert len(distiller.variables) == len(distiller.trainable_variables) + len(
        distiller.non_trainable_variables
    )
    np.testing.assert_array_equal(distiller(x), student(x))


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, classes=4, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.flatten = layers.Flatten()
        self.dense = layers.Dense(classes)
        self.activation = activation

    def call(self, inputs):
        logits = self.dense(self.flatten(inputs))
        return keras.ops.softmax(logits) if self.activation == "softmax" else logits

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


@pytest.mark.parametrize("built", [True, False])
def test_subclassed_networks_are_teachers_and_students(data, built, tmp_path):
    x, y = data
    teacher, student = Subclassed(), Subclassed()
    if built:
        teacher(x), student(x)
    distiller = compiled(teacher, student)
    before = evaluated(distiller, x, y)
    fitted(distiller, x, y, epochs=5)
    assert evaluated(distiller, x, y)["soft_loss"] < before["soft_loss"]
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), distiller.predict(x, verbose=0), atol=1e-6)


@pytest.mark.slow
def test_a_keras_application_is_a_teacher(rng):
    x, y = rng.normal(size=(8, 32, 32, 3)).astype("float32"), rng.integers(0, 4, 8)
    teacher = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=4, classifier_activation=None
    )
    before = weights_of(teacher)
    student = keras_kd.cifar_resnet(8, (32, 32, 3), 4, width=4, shortcuts=False)
    history = fitted(compiled(teacher, student), x, y, batch_size=8)
    logits = teacher.predict(x, verbose=0)
    assert same(before, weights_of(teacher))
    assert history["soft_loss"][0] > 0
    assert np.abs(logits).max() > 0


# --------------------------------------------------------------------------- terms and schedules


def test_feature_terms_are_the_reference_and_run_on_the_same_pass(data):
    x, y = data
    teacher, student = resnet(seed=1), resnet(seed=2, shortcuts=False)
    term = keras.distillation.FeatureDistillation(
        keras.losses.MeanSquaredError(), "stage2_block1_out", "stage2_block1_bn1"
    )
    distiller = compiled(teacher, student, alpha=0.5, terms=[term, (2.0, losses.SoftTargets(1.0))])
    measured = evaluated(distiller, x, y)
    t = graph.feature_extractor(teacher, ["stage2_block1_out"]).predict(x, verbose=0)
    s = graph.feature_extractor(student, ["stage2_block1_bn1"]).predict(x, verbose=0)
    features = np.mean((t["stage2_block1_out"].astype(np.float64) - s["stage2_block1_bn1"]) ** 2)
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


def test_a_term_cannot_take_the_name_of_the_losses_themselves(data):
    x, y = data
    without = evaluated(compiled(mlp(seed=1), mlp(seed=2)), x, y)
    measured = evaluated(compiled(mlp(seed=1), mlp(seed=2), terms=[Hard()]), x, y)
    assert measured["hard_2_loss"] == pytest.approx(100)
    assert measured["hard_loss"] == pytest.approx(without["hard_loss"])
    assert measured["loss"] == pytest.approx(without["loss"] + 100, rel=1e-6)


def test_what_is_no_term_is_refused():
    with pytest.raises(ValueError, match=r"keras\.distillation\.DistillationLoss.*Received: 'mse'"):
        Distiller(mlp(), mlp(), terms=["mse"])


def test_alpha_follows_a_schedule_of_the_step(data):
    x, y = data
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 2], [1.0, 0.25, 0.0])
    distiller = compiled(mlp(seed=1), mlp(seed=2), alpha=schedule, optimizer=keras.optimizers.SGD(0.0))
    measured = evaluated(compiled(mlp(seed=1), mlp(seed=2), alpha=0.0), x, y)
    for step, alpha in enumerate((1.0, 1.0, 0.25, 0.0, 0.0)):
        assert float(distiller.alpha_now()) == pytest.approx(alpha)
        assert int(distiller.step) == step
        loss = fitted(distiller, x, y, batch_size=48)["loss"][0]
        expected = (1 - alpha) * measured["hard_loss"] + alpha * measured["soft_loss"]
        assert loss == pytest.approx(expected, rel=1e-5)


# --------------------------------------------------------------------------- like any Keras model


@pytest.mark.parametrize(
    "alpha", [0.7, keras.optimizers.schedules.PolynomialDecay(0.9, 10, 0.1)], ids=["number", "schedule"]
)
def test_the_whole_distiller_round_trips(data, tmp_path, alpha):
    x, y = data
    term = keras.distillation.FeatureDistillation("mse", "head_pool", "head_pool")
    distiller = compiled(
        resnet(seed=1),
        resnet(seed=2, shortcuts=False),
        alpha=alpha,
        temperature=3.0,
        terms=[(0.5, term)],
        metrics=["accuracy"],
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
    )
    fitted(distiller, x, y)
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    assert same(weights_of(distiller), weights_of(loaded))
    assert evaluated(loaded, x, y) == pytest.approx(evaluated(distiller, x, y), rel=1e-6)
    for model in (distiller, loaded):
        fitted(model, x, y)
    for a, b in zip(weights_of(distiller), weights_of(loaded), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_student_alone_round_trips(data, tmp_path):
    x, y = data
    student = resnet(seed=2, shortcuts=False)
    fitted(compiled(resnet(seed=1), student), x, y)
    student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), student.predict(x, verbose=0))


def test_callbacks_of_keras_work(data, tmp_path):
    x, y = data
    student = mlp(seed=2)
    callbacks = [
        keras.callbacks.EarlyStopping("val_soft_loss", patience=1, mode="min"),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", save_weights_only=True),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    distiller = compiled(mlp(seed=1), student, optimizer=keras.optimizers.SGD(0.0))
    history = fitted(distiller, x, y, epochs=9, validation_data=(x, y), callbacks=callbacks)
    assert len(history["loss"]) == 2
    assert "val_agreement" in (tmp_path / "log.csv").read_text().splitlines()[0]
    distiller.load_weights(tmp_path / "best.weights.h5")


def test_jit_compile_computes_the_same(data):
    x, y = data
    histories = [
        fitted(compiled(mlp(seed=1), mlp(seed=2), jit_compile=jit), x, y, epochs=2) for jit in (True, False)
    ]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)


def test_a_student_that_was_loaded_still_has_its_loss_scaled(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        resnet(seed=2).save(tmp_path / "student.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    student = keras.saving.load_model(tmp_path / "student.keras")
    optimizer = compiled(resnet(seed=1), student).optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_near_float32(data, policy):
    x, y = data
    keras.config.set_dtype_policy(policy)
    try:
        student = resnet(seed=2, shortcuts=False)
    finally:
        keras.config.set_dtype_policy("float32")
    distiller = compiled(resnet(seed=1), student)
    exact = fitted(compiled(resnet(seed=1), resnet(seed=2, shortcuts=False)), x, y)
    assert fitted(distiller, x, y)["loss"] == pytest.approx(exact["loss"], rel=0.05)
    is_scaled = isinstance(distiller.optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (policy == "mixed_float16")
    assert all(weight.dtype == "float32" for weight in student.trainable_weights)


# --------------------------------------------------------------------------- bad input


def image_classifier(classes=4, shape=(8, 8, 1), activation=None):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(classes, activation)])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Distiller(mlp(), mlp(), temperature=0), "temperature must be .*Received: temperature=0"),
        (lambda: Distiller(mlp(), mlp(), temperature=float("nan")), "Received: temperature=nan"),
        (lambda: Distiller(mlp(), mlp(), alpha=1.5), "alpha.*Received: alpha=1.5"),
        (lambda: Distiller(mlp(), mlp(), alpha=float("nan")), "alpha.*Received: alpha=nan"),
        (lambda: Distiller(mlp(classes=3), mlp()), r"same classes.*3 \(teacher\) and 4 \(student\)"),
        (lambda: Distiller(image_classifier(shape=(9, 8, 1)), mlp()), r"same inputs.*\(None, 9, 8, 1\)"),
    ],
)
def test_wrong_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_networks_that_end_in_softmax_are_distilled_by_their_logits(data):
    x, y = data
    teacher, student = mlp(), mlp()
    ended = [
        keras.Sequential([keras.Input((8, 8, 1)), each, layers.Softmax()]) for each in (teacher, student)
    ]
    expected, found = (evaluated(compiled(*pair), x, y) for pair in ((teacher, student), ended))
    assert found == expected


def test_a_term_on_a_layer_of_a_network_that_ends_in_softmax(data):
    x, y = data
    teacher, student = mlp(), mlp()
    term = keras.distillation.FeatureDistillation("mse", teacher.layers[1].name, student.layers[1].name)
    ended = [keras.Model(each.inputs[0], layers.Softmax()(each.outputs[0])) for each in (teacher, student)]
    pairs = ((teacher, student), ended)
    expected, found = (evaluated(compiled(*pair, terms=[term]), x, y) for pair in pairs)
    assert found == expected


def test_a_subclassed_network_that_returns_probabilities_is_refused(data):
    subclassed = Subclassed(activation="softmax")
    subclassed(data[0])
    with pytest.raises(ValueError, match="teacher .* returns probabilities .* logits cannot be had"):
        Distiller(subclassed, mlp())


def test_class_counts_of_unbuilt_networks_are_compared_at_the_first_batch(data):
    x, y = data
    with pytest.raises(ValueError, match="same classes"):
        fitted(compiled(Subclassed(3), Subclassed(4)), x, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": None}, "needs a loss"),
        ({"loss": sparse_ce(), "loss_weights": [1.0]}, "loss_weights"),
        ({"loss": "sparse_categorical_crossentropy"}, "takes probabilities"),
    ],
)
def test_compile_names_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        Distiller(mlp(), mlp()).compile("sgd", **arguments)


def logits_of(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


@pytest.mark.parametrize("with_teacher", [True, False])
def test_given_logits_train_like_the_teacher(data, with_teacher):
    """The same numbers come in, so that the same weights come out, bit for bit."""
    x, y = data
    teacher, given = mlp(seed=1), {"labels": y, "teacher_logits": logits_of(mlp(seed=1), x)}
    students = [mlp(seed=2) for _ in range(2)]
    histories = []
    for student, asked, labels in zip(
        students, (teacher, teacher if with_teacher else None), (y, given), strict=True
    ):
        distiller = keras_kd.Distiller(asked, student, alpha=0.7)
        distiller.compile(keras.optimizers.SGD(0.1), sparse_ce(), metrics=["accuracy"])
        fitted = distiller.fit(
            x,
            labels,
            validation_data=(x[:9], keras.tree.map_structure(lambda v: v[:9], labels)),
            batch_size=16,
            epochs=2,
            shuffle=False,
            verbose=0,
        )
        histories.append(fitted.history)
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5, atol=1e-7)
    for one, other in zip(*map(weights_of, students), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("as_dataset", [False, True])
def test_class_weight_beside_given_logits_is_answered_in_our_words(data, as_dataset):
    x, y = data
    given = {"labels": y, "teacher_logits": np.zeros((48, 4), "float32")}
    distiller = keras_kd.Distiller(None, mlp())
    distiller.compile("sgd", sparse_ce())
    arguments = (x, given)
    if as_dataset:
        arguments = (pytest.importorskip("tensorflow").data.Dataset.from_tensor_slices((x, given)).batch(16),)
    with pytest.raises(ValueError, match="class_weight cannot be used .* give sample_weight instead"):
        distiller.fit(*arguments, class_weight={0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0}, shuffle=False, verbose=0)


def test_given_logits_spare_the_teacher(data):
    x, y = data
    teacher, spy = spied(1)
    given = {"labels": y, "teacher_logits": np.zeros((48, 4), "float32")}
    distiller = compiled(teacher, mlp(), run_eagerly=True)
    spy.modes.clear()
    fitted(distiller, x, given)
    assert spy.modes == []
    on_layer = [keras.distillation.FeatureDistillation("mse", "hidden", "hidden")]
    fitted(compiled(teacher, spied(2)[0], terms=on_layer, run_eagerly=True), x, given)
    assert spy.modes


def test_a_distiller_without_a_teacher_round_trips(data, tmp_path):
    x, _ = data
    distiller = keras_kd.Distiller(None, mlp(), alpha=1.0)
    distiller.compile("sgd")
    distiller.fit(x, {"teacher_logits": np.zeros((48, 4), "float32")}, verbose=0)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.saving.load_model(tmp_path / "d.keras")
    assert loaded.teacher is None
    np.testing.assert_allclose(loaded.predict(x, verbose=0), distiller.predict(x, verbose=0), rtol=1e-6)


def test_without_a_teacher_its_logits_are_needed(data):
    x, y = data
    distiller = keras_kd.Distiller(None, mlp())
    distiller.compile("sgd", sparse_ce())
    with pytest.raises(ValueError, match="without a teacher its logits must come with the labels"):
        distiller.fit(x, y, verbose=0)
    distiller = keras_kd.Distiller(None, mlp())
    distiller.compile("sgd", sparse_ce())
    with pytest.raises(ValueError, match=r"same classes. Received: 3 \(teacher\) and 4 \(student\)"):
        distiller.fit(x, {"labels": y, "teacher_logits": np.zeros((48, 3), "float32")}, verbose=0)
    term = keras.distillation.FeatureDistillation("mse", "dense", "dense")
    with pytest.raises(ValueError, match="layer 'dense' needs the teacher itself. Received: teacher=None"):
        keras_kd.Distiller(None, mlp(), terms=[term])
