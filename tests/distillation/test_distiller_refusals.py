"""What a Distiller refuses, and in which words."""

import keras
import pytest
from keras import layers

from keras_kd import Distiller, losses
from tests.support.distillers import Subclassed, compiled, evaluated, fitted, image_classifier
from tests.support.networks import mlp, sparse_ce


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Distiller(mlp(), mlp(), temperature=0), "temperature must lie in .*Received: temperature=0"),
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


def test_a_subclassed_network_that_returns_probabilities_teaches_by_their_logarithms(data):
    x, y = data
    ends = Subclassed(), Subclassed(activation="softmax")
    for network in ends:
        network(x)
    ends[1].set_weights(ends[0].get_weights())
    expected, found = (evaluated(compiled(network, mlp()), x, y)["soft_loss"] for network in ends)
    assert found == pytest.approx(expected, rel=1e-5)


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
        ({"loss": keras.losses.CategoricalGeneralizedCrossEntropy()}, "takes probabilities"),
        ({"loss": "dice"}, "takes probabilities"),
        ({"loss": keras.losses.Tversky()}, "takes probabilities"),
    ],
)
def test_compile_names_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        Distiller(mlp(), mlp()).compile("sgd", **arguments)


class Counted(keras.callbacks.Callback):
    batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


def comparing():
    distiller = Distiller(mlp(), mlp(seed=1), terms=[losses.RelationalKnowledge()])
    distiller.compile("sgd", sparse_ce())
    return distiller


REFUSED = r"relational.* compares the examples.*Received: batches of 1$"


def test_fit_takes_its_arguments_by_position_as_keras_does(data):
    distiller, counted = comparing(), Counted()
    with pytest.raises(ValueError, match=REFUSED):
        distiller.fit(*data, 1)
    distiller.fit(*data, len(data[0]) // 2, 1, 0, [counted])
    assert counted.batches == 2


def test_a_dataset_of_batches_of_one_is_refused_at_once_or_after_a_step(data):
    """Not every dataset says how large its batches are."""
    examples = pytest.importorskip("tensorflow").data.Dataset.from_tensor_slices(tuple(x[:6] for x in data))
    distiller = comparing()
    for batches, steps in ((examples.batch(1, drop_remainder=True), 0), (examples.batch(1), 1)):
        counted = Counted()
        with pytest.raises(ValueError, match=REFUSED):
            distiller.fit(batches, callbacks=[counted], shuffle=False, verbose=0)
        assert counted.batches == steps
    distiller.fit(examples.batch(5), shuffle=False, verbose=0)  # its last one may be alone


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="replicas are TensorFlow's")
def test_each_replica_has_a_share_of_a_batch(monkeypatch):
    class Four:
        num_replicas_in_sync = 4

    distiller = Distiller(mlp(), mlp(seed=1), terms=[losses.Dist()])
    monkeypatch.setattr(Distiller, "distribute_strategy", Four(), raising=False)
    distiller.check_batch(8)
    with pytest.raises(ValueError, match=r"batches of 8 or more for 4 replicas. Received: batches of 4$"):
        distiller.check_batch(4)


def test_a_loss_that_compares_examples_refuses_batches_of_one(data):
    x, y = data
    distiller = Distiller(mlp(), mlp(seed=1), terms=[losses.Dist()])
    distiller.compile("sgd", sparse_ce())
    for options in ({"batch_size": 1}, {}):
        images, labels = (x, y) if options else (x[:1], y[:1])
        with pytest.raises(
            ValueError, match=r"dist compares the examples of a batch.*Received: batches of 1"
        ):
            distiller.fit(images, labels, verbose=0, **options)


def test_a_step_on_one_example_is_refused_as_a_fit_is(data):
    distiller = comparing()
    with pytest.raises(ValueError, match=REFUSED):
        distiller.train_on_batch(*(each[:1] for each in data))


def comparison(compares, of):
    """A loss of one's own that returns what `of` makes of the squared differences `[batch, classes]`."""

    class OfOnesOwn(losses.DistillationTerm):
        compares_examples = compares

        def call(self, teacher, student):
            return of(keras.ops.square(teacher - student))

    return OfOnesOwn()


@pytest.mark.parametrize(
    ("compares", "of", "message"),
    [
        (False, lambda each: each, r"one value per example, \[batch\].* Received: shape \(.*, 4\)$"),
        (False, lambda each: keras.ops.mean(each, -1, keepdims=True), r"Received: shape \(.*, 1\)$"),
        (False, lambda each: keras.ops.mean(each, 0), r"one value per example.* Received: shape \(4,\)$"),
        (
            False,
            keras.ops.mean,
            r"or set compares_examples = True and return a scalar. Received: shape \(\)$",
        ),
        (False, lambda each: None, "one value per example.* Received: None$"),
        (True, lambda each: keras.ops.mean(each, -1), r"scalar, as its .* says. Received: shape \(.*\)$"),
        (True, lambda each: None, "scalar, as.* Received: None$"),
    ],
    ids=["matrix", "column", "of classes", "scalar", "none", "row", "no scalar"],
)
def test_a_loss_that_says_something_of_another_shape_is_named(data, compares, of, message):
    with pytest.raises(ValueError, match=rf"OfOnesOwn\.call must return .*{message}") as said:
        compiled(mlp(), mlp(seed=1), terms=[comparison(compares, of)]).train_on_batch(*data)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("term", [losses.DecoupledTargets, losses.Dist, losses.SoftTargets])
def test_a_loss_of_classes_refuses_outputs_that_are_yes_or_no(term):
    distiller = Distiller(mlp(), mlp(seed=1), terms=[(0.5, term())])
    with pytest.raises(ValueError, match=rf"{term.__name__} compares classes that exclude each other"):
        distiller.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))


@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanSquaredError(), keras.losses.mean_squared_error])
def test_a_loss_that_asks_for_classes_refuses_labels_that_are_none(loss):
    distiller = Distiller(mlp(), mlp(seed=1), terms=[losses.DecoupledTargets()])
    with pytest.raises(ValueError, match=r"DecoupledTargets asks for the class .*Received: loss=") as said:
        distiller.compile("sgd", loss)
    assert "\n" not in str(said.value)
    of_classes = (
        keras.losses.CategoricalHinge(),
        lambda labels, logits: keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True),
    )
    for taken in of_classes:
        distiller.compile("sgd", taken)
    Distiller(mlp(), mlp(seed=1), terms=[losses.Dist()]).compile("sgd", loss)


def test_terms_that_all_weigh_nothing_are_refused():
    nothing = {"alpha": 0.0, "label_weight": 0.0, "terms": [(0, losses.Dist()), (0.0, losses.SoftTargets())]}
    with pytest.raises(ValueError, match=r"nothing would be trained.*Received: .* weights \[0.0, 0.0\]"):
        Distiller(mlp(), mlp(seed=1), **nothing).compile("sgd", sparse_ce())


@pytest.mark.parametrize(
    "options", [{"terms": [(-1.0, losses.Dist())]}, {"label_weight": -1.0}], ids=["term", "labels"]
)
def test_a_weight_that_pushes_away_is_refused(options):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1000000000\]. Received: .*-1\.0"):
        Distiller(mlp(), mlp(seed=1), **options)


@pytest.mark.parametrize("terms", [[], [losses.DecoupledTargets()]], ids=["kd", "dkd"])
def test_batches_without_labels_are_named(data, terms):
    with pytest.raises(ValueError, match="the labels are missing, and compile has a loss for them"):
        compiled(mlp(), mlp(seed=1), terms=terms).train_on_batch(data[0])


def test_a_loss_of_classes_refuses_one_logit_and_labels_that_are_missing():
    distiller = Distiller(mlp(classes=1), mlp(classes=1), terms=[losses.DecoupledTargets()])
    with pytest.raises(ValueError, match="DecoupledTargets compares classes"):
        distiller.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    distiller = Distiller(mlp(), mlp(seed=1), alpha=1.0, terms=[losses.DecoupledTargets()])
    with pytest.raises(ValueError, match="compile needs a loss for the labels for decoupled_targets"):
        distiller.compile("sgd")
