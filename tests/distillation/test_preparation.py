"""What is refused before terms see the training examples, in one line each, and what is left out."""

import functools

import keras
import numpy as np
import pytest

from keras_kd import Distiller, losses
from keras_kd.distillation.preparation import finite_batches
from tests.support.distillers import compiled, fitted
from tests.support.networks import one_block, sparse_ce

resnet = functools.partial(one_block, channels=1)


def of_centres(loss=None, teacher=None, **options):
    return compiled(teacher or resnet(), resnet(seed=1), loss, terms=[losses.ClassCentres()], **options)


def centres(distiller):
    return keras.ops.convert_to_numpy(distiller.adaptors["class_centres_loss"].centres)


class Batches(keras.utils.PyDataset):
    def __init__(self, *parts):
        super().__init__()
        self._parts = parts

    def __len__(self):
        return 1

    def __getitem__(self, step):
        return self._parts


class Counted(keras.utils.PyDataset):
    """Says how many batches there are as Keras's newer ones do, and has no length."""

    def __init__(self, parts, count):
        super().__init__()
        self._parts, self._count = parts, count

    @property
    def num_batches(self):
        return self._count

    def __getitem__(self, step):
        return self._parts


class Uncounted(keras.utils.PyDataset):
    def __getitem__(self, step):
        raise AssertionError("its end is not known")


def test_a_dataset_that_only_counts_its_batches_prepares(data):
    counted, wanted = of_centres(), of_centres()
    counted.prepare(finite_batches(Counted(data, 1), None))
    wanted.prepare(*data)
    np.testing.assert_allclose(centres(counted), centres(wanted), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("given", [Counted(None, None), Uncounted()])
def test_a_dataset_without_end_prepares_nothing(given):
    for ask in (lambda distiller: distiller.prepare(given), lambda distiller: distiller.fit(given)):
        with pytest.raises(ValueError, match=r"distiller\.prepare\(images, labels\)\. .* no end") as said:
            ask(of_centres())
        assert "\n" not in str(said.value)


BATCHED = {"arrays": lambda *parts: parts, "batches": lambda *parts: (Batches(*parts),)}
MISSING = r"ClassCentres asks for the class .*call distiller\.prepare\(images, labels\)\. Received: no labels"


@pytest.mark.parametrize("batched", BATCHED.values(), ids=BATCHED)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x,), MISSING),
        (lambda x, y: (x, y[:10]), "each input needs a label. Received: 48 inputs and 10 labels"),
        (lambda x, y: (x[:10], y), "each input needs a label. Received: 10 inputs and 48 labels"),
        (lambda x, y: (x, y.astype("U1")), "must be class numbers. Received: an array of dtype <U1"),
        (lambda x, y: (x, y + 0.5), r"must be class numbers. Received: \d.5"),
        (lambda x, y: (x, np.where(y == 1, np.nan, y)), "must be class numbers. Received: nan"),
        (lambda x, y: (x, y + 2), "class numbers from 0 to 3. Received: labels from 2 to 5"),
        (lambda x, y: (x, y - 1), "class numbers from 0 to 3. Received: labels from -1 to 2"),
        (lambda x, y: (x, np.eye(7)[y]), r"a column for each of 4 classes. .*labels of shape \(48, 7\)"),
        (lambda x, y: (x, np.eye(4)[y][:, None]), r"each of 4 classes. .*labels of shape \(48, 1, 4\)"),
        (lambda x, y: (x, np.eye(4)[y] * np.nan), r"must lie in \[0, 1\]. Received: nan"),
        (lambda x, y: (x[:, :7], y), r"take inputs of shape \(None, 8, 8, 1\).*shape \(48, 7, 8, 1\)"),
        (lambda x, y: (x.astype("U"), y), "inputs must be numbers. Received: an array of dtype <U"),
        (lambda x, y: (x * np.nan, y), "the teacher's features at 'head_pool' are nan for some example"),
    ],
)
def test_examples_that_do_not_fit_are_named(data, batched, change, message):
    distiller = of_centres()
    with pytest.raises(ValueError, match=message) as caught:
        distiller.prepare(*batched(*change(*data)))
    assert len(str(caught.value).splitlines()) == 1
    assert not distiller.is_prepared


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x, y: (x.tolist(), y), r"x must be an array, as numpy.asarray makes.*Received: \[\[\["),
        (lambda x, y: (x, y.tolist()), r"y must be an array, as numpy.asarray makes.*Received: \[\d"),
        (lambda x, y: (Batches(x, y), y), "x must be an array"),
        (lambda x, y: (zip(x, y, strict=True),), r"inputs of shape \(None, 8, 8, 1\).*shape \(8, 8, 1\)"),
        (lambda x, y: ([x],), MISSING),
        (lambda x, y: (5,), r"x must be an array, or an iterable of batches \(images, labels\). Received: 5"),
    ],
)
def test_what_are_no_arrays_or_batches_is_named(data, given, message):
    with pytest.raises(ValueError, match=message) as caught:
        of_centres().prepare(*given(*data))
    assert len(str(caught.value).splitlines()) == 1


def test_a_teacher_without_finite_features_is_named_by_its_layer(data):
    teacher = resnet()
    teacher.get_layer("stem_conv").set_weights([np.full((3, 3, 1, 4), np.nan)])
    message = r"the teacher's features at 'head_pool' are nan .*its weights"
    with pytest.raises(ValueError, match=message) as said:
        fitted(of_centres(teacher=teacher), *data)
    assert "distiller.prepare" not in str(said.value)
    teacher = resnet()
    teacher.get_layer("stage1_block1_bn1").beta.assign([np.inf] * 4)
    with pytest.raises(ValueError, match="features at 'head_pool' are inf for some example"):
        fitted(of_centres(teacher=teacher), *data)


def test_labels_that_the_loss_ignores_are_left_out(data):
    """Those of `ignore_class`; -1 where no loss of Keras says which."""
    x, y = data
    ignored = np.where(np.arange(48) % 3 == 0, -1, y)
    wanted = of_centres()
    wanted.prepare(x[ignored >= 0], y[ignored >= 0])
    not_compiled = Distiller(resnet(), resnet(seed=1), terms=[losses.ClassCentres()])

    def own_loss(labels, logits):
        return sparse_ce(ignore_class=-1)(labels, logits)

    for distiller in (of_centres(sparse_ce(ignore_class=-1)), of_centres(own_loss), not_compiled):
        distiller.prepare(x, ignored, batch_size=20)
        np.testing.assert_allclose(centres(distiller), centres(wanted), rtol=1e-5, atol=1e-7)
    distiller = of_centres(sparse_ce(ignore_class=255))
    distiller.prepare(x, np.where(ignored == -1, 255, ignored))
    np.testing.assert_allclose(centres(distiller), centres(wanted), rtol=1e-5, atol=1e-7)
    of_a_class = of_centres(sparse_ce(ignore_class=0))
    of_a_class.prepare(x, y)
    wanted.prepare(x[y > 0], y[y > 0])
    np.testing.assert_allclose(centres(of_a_class), centres(wanted), rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="class numbers from 0 to 3. Received: labels from -1 to 3"):
        distiller.prepare(x, ignored)
    with pytest.raises(ValueError, match="ClassCentres needs examples with labels"):
        distiller.prepare(x, np.full(48, 255))


@keras.saving.register_keras_serializable(package="tests")
class Counts(losses.FeatureTerm):
    """Asks for examples, and for no labels."""

    asks_examples = True
    looks_at = "penultimate"
    seen = 0

    def is_prepared(self, adaptor):
        return self.seen > 0

    def prepare(self, adaptor, batches):
        self.seen = sum(len(features[0]) for features, _ in batches)

    def compare(self, teacher, student):
        return keras.ops.mean(keras.ops.square(teacher - student), axis=-1)


def test_a_term_that_asks_for_no_labels_is_prepared_without(data):
    term = Counts()
    distiller = Distiller(resnet(), resnet(seed=1), alpha=1.0, terms=[term])
    distiller.compile("sgd")
    distiller.fit(data[0], verbose=0)
    assert term.seen == 48
    distiller.prepare(data[0][:20], batch_size=8)
    assert term.seen == 20
    term.seen = 0
    distiller.fit(data[0], validation_split=0.25, verbose=0)
    assert term.seen == 36


def test_columns_smoothed_labels_and_those_with_logits_give_the_same_centres(data):
    x, y = data
    found = []
    for labels in (
        y,
        y[:, None],
        y.astype("float32"),
        0.9 * np.eye(4)[y] + 0.025,
        {"labels": y, "teacher_logits": np.eye(4)[y]},
    ):
        distiller = of_centres()
        distiller.prepare(x, labels)
        found.append(centres(distiller))
    for each in found[1:]:
        np.testing.assert_array_equal(each, found[0])


def with_two_inputs(seed):
    keras.utils.set_random_seed(seed)
    image, more = keras.Input((8, 8, 1), name="image"), keras.Input((2,), name="more")
    both = keras.layers.Concatenate(name="both")([keras.layers.Flatten()(image), more])
    return keras.Model({"image": image, "more": more}, keras.layers.Dense(4)(both))


def test_structures_of_arrays_are_examples_too(data):
    x, y = data
    more = np.random.default_rng(0).normal(size=(48, 2)).astype("float32")
    distiller = compiled(with_two_inputs(0), with_two_inputs(1), terms=[losses.ClassCentres()])
    given = {"image": x, "more": more}
    fitted(distiller, given, y)
    both = np.concatenate([x.reshape(48, -1), more], axis=1)
    expected = [both[y == each].mean(axis=0) for each in range(4)]
    np.testing.assert_allclose(centres(distiller), expected, rtol=1e-4, atol=1e-6)

    term = Counts()
    distiller = Distiller(with_two_inputs(0), with_two_inputs(1), alpha=1.0, terms=[term])
    distiller.prepare(given)
    assert term.seen == 48
