import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_kd import Distiller, losses
from tests.support.networks import mlp


def reference(teacher, student, temperature):
    """In float64, of each output by the definition, then their mean."""
    t, s = (np.asarray(x, np.float64) / temperature for x in (teacher, student))

    def log_sigmoid(x):
        return -np.logaddexp(0, -x)

    yes = np.exp(log_sigmoid(t)) * (log_sigmoid(t) - log_sigmoid(s))
    no = np.exp(log_sigmoid(-t)) * (log_sigmoid(-t) - log_sigmoid(-s))
    return temperature**2 * (yes + no).mean(axis=-1)


def binary_ce(**options):
    return keras.losses.BinaryCrossentropy(from_logits=True, **options)


def network(outputs, seed, units=16):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((6,)), layers.Dense(units, "tanh"), layers.Dense(outputs)])


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("temperature", [0.5, 1, 4])
@pytest.mark.parametrize("scale", [0.1, 3, 100])
def test_kl_is_the_float64_reference(rng, outputs, temperature, scale):
    teacher, student = (scale * rng.normal(size=(2, 64, outputs))).astype("float32")
    value = ops.convert_to_numpy(losses.bernoulli_kl(teacher, student, temperature))
    np.testing.assert_allclose(value, reference(teacher, student, temperature), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize(("teacher", "student"), [(np.inf, 1.0), (-np.inf, 1.0), (np.inf, -3.0), (1e30, 0.0)])
def test_an_output_that_the_teacher_is_sure_of_costs_its_logarithm(teacher, student):
    """log(1 + exp(-z / T)) where it says yes, and of -z where no."""
    z = student if teacher > 0 else -student
    found = losses.bernoulli_kl([[teacher]], [[student]], 2.0)
    assert float(found[0]) == pytest.approx(4 * np.log1p(np.exp(-z / 2)), rel=1e-5)


def test_one_output_is_two_classes(rng):
    teacher, student = rng.normal(size=(2, 8, 1)).astype("float32")
    classes = [np.concatenate([np.full_like(z, 7.0), z + 7], axis=1) for z in (teacher, student)]
    np.testing.assert_allclose(
        losses.bernoulli_kl(teacher, student, 3.0), losses.soft_target_kl(*classes, 3.0), atol=1e-6
    )


def test_decisions_agree_where_the_signs_do():
    teacher, student = np.array([[1.0, -1.0], [2.0, 3.0]]), np.array([[0.5, 2.0], [-1.0, -1.0]])
    np.testing.assert_array_equal(losses.decision_agreement(teacher, student), [0.5, 0.0])


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("loss", [keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy])
def test_the_distiller_reports_the_reference(rng, outputs, loss):
    teacher, student = network(outputs, 1), network(outputs, 2)
    x, y = rng.normal(size=(32, 6)).astype("float32"), rng.integers(0, 2, (32, outputs))
    distiller = Distiller(teacher, student, temperature=3.0, alpha=0.7)
    distiller.compile("sgd", loss(from_logits=True))
    measured = distiller.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    t, s = (model.predict(x, verbose=0) for model in (teacher, student))
    assert measured["soft_loss"] == pytest.approx(reference(t, s, 3.0).mean(), rel=1e-4)
    assert measured["agreement"] == pytest.approx(((t > 0) == (s > 0)).mean())
    assert measured["loss"] == pytest.approx(0.3 * measured["hard_loss"] + 0.7 * measured["soft_loss"])


def test_the_gradient_is_that_of_cross_entropy_with_soft_targets(rng):
    """d/ds of T^2 KL is T (sigmoid(s / T) - sigmoid(t / T)), averaged over examples and outputs."""
    eye, outputs, temperature = np.eye(6, dtype="float32"), 2, 4.0
    kernels = rng.normal(size=(2, 6, outputs)).astype("float32")
    teacher, student = (
        keras.Sequential([keras.Input((6,)), layers.Dense(outputs, use_bias=False)]) for _ in range(2)
    )
    teacher.set_weights([kernels[0]])
    student.set_weights([kernels[1]])
    distiller = Distiller(teacher, student, temperature=temperature, alpha=1.0)
    distiller.compile(keras.optimizers.SGD(1.0), binary_ce())
    distiller.fit(eye, np.zeros((6, outputs)), batch_size=6, verbose=0)
    t, s = (1 / (1 + np.exp(-kernel.astype(np.float64) / temperature)) for kernel in kernels)
    expected = temperature * (s - t) / (6 * outputs)
    np.testing.assert_allclose(kernels[1] - student.get_weights()[0], expected, atol=1e-6)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_student_ends_up_deciding_as_its_teacher(rng, outputs):
    teacher, student = network(outputs, 3), network(outputs, 4)
    x = rng.normal(size=(256, 6)).astype("float32")
    distiller = Distiller(teacher, student, temperature=2.0, alpha=1.0)
    distiller.compile(keras.optimizers.Adam(0.05), binary_ce())
    history = distiller.fit(x, np.zeros((256, outputs)), epochs=40, batch_size=64, verbose=0).history
    assert history["agreement"][0] < 0.9 < 0.93 < history["agreement"][-1]
    assert history["soft_loss"][-1] < 0.05 * history["soft_loss"][0]


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        lambda y, z: ops.mean((y - z) ** 2, axis=-1),
    ],
)
def test_one_output_with_a_loss_of_classes_is_refused(loss):
    with pytest.raises(ValueError, match=r"nothing to distil: compile with .*BinaryCrossentropy"):
        Distiller(network(1, 0), network(1, 1)).compile("sgd", loss)


def test_one_output_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="nothing to distil"):
        Distiller(network(1, 0), network(1, 1), alpha=1.0).compile("sgd")


@pytest.mark.parametrize("loss", ["binary_crossentropy", keras.losses.BinaryCrossentropy()])
def test_a_binary_loss_of_probabilities_is_answered_with_that_of_logits(loss):
    with pytest.raises(ValueError, match=r"use .*keras.losses.BinaryCrossentropy\(from_logits=True"):
        Distiller(network(1, 0), network(1, 1)).compile("sgd", loss)


def test_it_comes_back_from_a_file(rng, tmp_path):
    distiller = Distiller(network(2, 0), network(2, 1), temperature=3.0)
    distiller.compile("sgd", binary_ce())
    x, y = rng.normal(size=(8, 6)).astype("float32"), np.ones((8, 2))
    before = distiller.evaluate(x, y, verbose=0)
    distiller.save(tmp_path / "both.keras")
    np.testing.assert_allclose(
        keras.models.load_model(tmp_path / "both.keras").evaluate(x, y, verbose=0), before, rtol=1e-6
    )


def test_networks_that_end_in_sigmoid_are_distilled_by_their_logits():
    images = np.random.default_rng(0).normal(size=(12, 8, 8, 1)).astype("float32")
    labels = np.random.default_rng(1).integers(0, 2, (12, 3))
    networks = [mlp(classes=3, seed=seed) for seed in (0, 1)]
    ended = [keras.Model(each.inputs[0], layers.Activation("sigmoid")(each.outputs[0])) for each in networks]
    found = []
    for pair in (networks, ended):
        distiller = Distiller(*pair)
        distiller.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
        found.append(distiller.evaluate(images, labels, verbose=0, return_dict=True))
    assert found[0] == found[1]
    with pytest.raises(ValueError, match="ends in sigmoid.*probabilities of their own"):
        Distiller(*ended).compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
