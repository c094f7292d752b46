import dataclasses
import fcntl
import re
import threading

import keras
import numpy as np
import pytest

from keras_kd.data import augmentation, datasets, lazy_images, sampling
from keras_kd.distillation import logit_file, teacher_cache
from keras_kd.models import inference
from keras_kd.utils import files
from tests.support.networks import mlp

CLASSES = 4


@pytest.fixture
def dataset(tmp_path, rng):
    images = rng.integers(0, 256, (90, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(90) % CLASSES
    np.savez(
        tmp_path / "data.npz",
        x_train=images[:80],
        y_train=labels[:80],
        x_test=images[80:],
        y_test=labels[80:],
    )
    return datasets.load(tmp_path / "data.npz")


@pytest.fixture
def plan(dataset):
    return sampling.batch_schedule(dataset, 8, seed=3, augmentation="crop_flip", views=3)


@pytest.fixture
def asked(monkeypatch):
    """The sizes of the batches that any teacher was asked about."""
    monkeypatch.setattr(logit_file, "BLOCK", 16)
    sizes = []
    compiled = inference.compiled

    def counting(model):
        forward = compiled(model)

        def ask(images):
            sizes.append(len(images))
            return forward(images)

        return ask

    monkeypatch.setattr(inference, "compiled", counting)
    return sizes


def expected(teacher, dataset, plan, view):
    images = plan.augmentation.apply(dataset.train.images, plan.view(view), dataset.mean, dataset.std)
    return keras.ops.convert_to_numpy(teacher(images, training=False))


def kept_files(folder, name):
    (path,) = folder.glob(f"*/{name}")
    return path


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-3)])
def test_kept_logits_are_the_teachers(tmp_path, dataset, plan, asked, dtype, tolerance):
    teacher = mlp()
    kept = teacher_cache.cache_logits(teacher, dataset, plan, tmp_path, dtype=dtype, batch_size=7)
    assert sum(asked) == 3 * 72 + 8
    index = np.array([5, 71, 0, 5])
    for view in range(3):
        found = kept.train(view, index)
        assert found.dtype == np.float32
        np.testing.assert_allclose(
            found, expected(teacher, dataset, plan, view)[index], rtol=tolerance, atol=tolerance
        )
    clean = augmentation.normalise(dataset.validation.images, dataset.mean, dataset.std)
    logits = keras.ops.convert_to_numpy(teacher(clean, training=False))
    np.testing.assert_allclose(kept.validation(2, 6), logits[2:6], rtol=tolerance, atol=tolerance)


def test_a_teacher_is_asked_about_fewer_large_images_at_a_time(tmp_path, dataset, plan, asked, monkeypatch):
    small = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path / "small", dtype="float32")
    assert max(asked) == 16
    asked.clear()
    monkeypatch.setattr(lazy_images, "PIXELS_AT_ONCE", 5 * 4 * 8 * 8)
    large = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path / "large", dtype="float32")
    assert (max(asked), sum(asked), large.identity) == (5, 3 * 72 + 8, small.identity)
    every = np.arange(72)
    for view in range(3):
        np.testing.assert_allclose(large.train(view, every), small.train(view, every), rtol=1e-5, atol=1e-6)


def test_the_teacher_is_asked_once(tmp_path, dataset, plan, asked):
    for _ in range(10):
        teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)
    assert sum(asked) == 3 * 72 + 8
    teacher_cache.cache_logits(mlp(), dataset, dataclasses.replace(plan, views=2, batch_size=5), tmp_path)
    assert sum(asked) == 3 * 72 + 8
    teacher_cache.cache_logits(mlp(), dataset, dataclasses.replace(plan, views=4), tmp_path)
    assert sum(asked) == 4 * 72 + 8


@pytest.mark.parametrize("change", ["teacher", "dataset", "seed", "augmentation", "top_k", "dtype"])
def test_what_the_logits_depend_on_is_kept_apart(tmp_path, dataset, plan, asked, change):
    teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)
    teacher = mlp(seed=1) if change == "teacher" else mlp()
    if change == "dataset":
        images = dataset.train.images.copy()
        images[7, 0, 0] ^= 1
        dataset = dataclasses.replace(dataset, train=dataset.train._replace(images=images))
    plan = dataclasses.replace(
        plan, **{"seed": {"seed": 4}, "augmentation": {"augmentation": augmentation.Crop()}}.get(change, {})
    )
    options = {"top_k": {"top_k": 2}, "dtype": {"dtype": "float32"}}.get(change, {})
    teacher_cache.cache_logits(teacher, dataset, plan, tmp_path, **options)
    assert sum(asked) == 2 * (3 * 72 + 8)
    assert len(list(tmp_path.glob("*/identity.json"))) == 2


def test_a_half_filled_folder_is_filled_on(tmp_path, dataset, plan, asked, monkeypatch):
    compiled = inference.compiled

    def dying(model):
        forward = compiled(model)

        def ask(images):
            if sum(asked) >= 8 + 40:
                raise KeyboardInterrupt
            return forward(images)

        return ask

    with monkeypatch.context() as patch:
        patch.setattr(inference, "compiled", dying)
        with pytest.raises(KeyboardInterrupt):
            teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path, batch_size=8)
    before = sum(asked)
    kept = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path, dtype="float16", batch_size=8)
    assert sum(asked) - before == 3 * 72 - 32  # two of the first view's blocks of 16 were whole
    whole = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path / "elsewhere", batch_size=8)
    for view in range(3):
        np.testing.assert_array_equal(kept.train(view, np.arange(72)), whole.train(view, np.arange(72)))


@pytest.mark.parametrize(
    ("name", "damage", "again"),
    [
        ("view-0001.rows", lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], 16),
        ("view-0001.rows", lambda data: data[:-1], 72),
        ("view-0001.rows", lambda data: b"", 72),
        ("view-0001.json", lambda data: data[: len(data) // 2], 72),
        ("validation.json", lambda data: b"[1]", 8),
        ("validation.json", lambda data: b"[" * 100_000, 8),
        ("view-0002.json", lambda data: b'{"0": "x", "9": null}', 72),
    ],
)
def test_damage_is_found_and_mended(tmp_path, dataset, plan, asked, name, damage, again):
    whole = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path).train(1, np.arange(72))
    before = sum(asked)
    path = kept_files(tmp_path, name)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"\.rows is damaged .* computed again"):
        kept = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)
    assert sum(asked) - before == again
    np.testing.assert_array_equal(kept.train(1, np.arange(72)), whole)


@pytest.mark.parametrize("source", ["view-0000", "another teacher's view-0001"])
def test_the_logits_of_another_view_or_teacher_are_no_copy_of_these(tmp_path, dataset, plan, asked, source):
    whole = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path).train(1, np.arange(72))
    teacher_cache.cache_logits(mlp(seed=1), dataset, plan, tmp_path / "other")
    path = kept_files(tmp_path, "view-0001.rows")
    other = (
        kept_files(tmp_path / "other", path.name) if "another" in source else path.with_name("view-0000.rows")
    )
    for suffix in (".rows", ".json"):
        path.with_suffix(suffix).write_bytes(other.with_suffix(suffix).read_bytes())
    before = sum(asked)
    with pytest.warns(UserWarning, match="blocks are not what was written"):
        kept = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)
    assert sum(asked) - before == 72
    np.testing.assert_array_equal(kept.train(1, np.arange(72)), whole)


def test_logits_of_something_else_are_refused(tmp_path, dataset, plan, asked):
    kept = teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)
    kept.check(mlp(), dataset, plan)
    with pytest.raises(ValueError, match=r"logits of something else: moves was .*, seed was 3 and is 4"):
        kept.check(mlp(), dataset, dataclasses.replace(plan, seed=4))
    path = kept_files(tmp_path, "identity.json")
    stored = files.read_json(path)
    files.write_json(stored | {"identity": stored["identity"] | {"teacher": "another"}}, path)
    with pytest.raises(ValueError, match=r"something else: teacher was 'another' and is '\w+': delete"):
        teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)
    for damage in ("{", "[]", "{}"):
        path.write_text(damage)
        with pytest.raises(ValueError, match=r"identity.json.*delete"):
            teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)
    assert sum(asked) == 3 * 72 + 8


class Scaled(keras.Model):
    """Its own code says what it computes, and no layer does."""

    def __init__(self, scale):
        super().__init__()
        self.inner, self.scale = mlp(), scale

    def call(self, inputs, training=None):
        return self.scale * self.inner(inputs, training=training)


def test_a_teacher_that_answers_otherwise_is_another(tmp_path, dataset, plan, asked):
    once, thrice = Scaled(1.0), Scaled(3.0)
    for model in (once, thrice):
        model.build((None, 8, 8, 1))
    kept = teacher_cache.cache_logits(once, dataset, plan, tmp_path)
    np.testing.assert_allclose(
        kept.train(0, np.arange(9)), expected(once, dataset, plan, 0)[:9], rtol=1e-2, atol=1e-2
    )
    with pytest.raises(ValueError, match="the teacher answers otherwise, though its layers and weights look"):
        teacher_cache.cache_logits(thrice, dataset, plan, tmp_path)


def test_two_that_want_the_same_ask_once(tmp_path, dataset, plan, asked):
    found, networks = [], [mlp(), mlp()]

    def keep(model):
        found.append(teacher_cache.cache_logits(model, dataset, plan, tmp_path))

    threads = [threading.Thread(target=keep, args=[model]) for model in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(asked) == 3 * 72 + 8
    np.testing.assert_array_equal(*(kept.train(2, np.arange(72)) for kept in found))


def test_whole_logits_are_read_while_another_process_has_the_folder(tmp_path, dataset, plan, asked):
    teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)
    with kept_files(tmp_path, ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path)


def test_the_logits_of_a_network_that_ends_in_softmax_are_kept(tmp_path, dataset, plan):
    teacher = mlp()
    ended = keras.Sequential([keras.Input((8, 8, 1)), teacher, keras.layers.Softmax()])
    kept = [teacher_cache.cache_logits(each, dataset, plan, tmp_path) for each in (teacher, ended)]
    np.testing.assert_array_equal(*(each.validation(0, 8) for each in kept))


def test_wrong_arguments_are_named(tmp_path, dataset, plan):
    with pytest.raises(ValueError, match="views >= 1. Received: views=0"):
        teacher_cache.cache_logits(mlp(), dataset, dataclasses.replace(plan, views=0), tmp_path)
    with pytest.raises(ValueError, match="dtype must be one of.*'int8'"):
        teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path, dtype="int8")
    with pytest.raises(ValueError, match="top_k must be a whole number >= 0. Received: top_k=-1"):
        teacher_cache.cache_logits(mlp(), dataset, plan, tmp_path, top_k=-1)
    with pytest.raises(ValueError, match=r"same classes. Received: 5 \(teacher\) and 4 \(student\)"):
        teacher_cache.cache_logits(mlp(classes=5), dataset, plan, tmp_path)
    assert not list(tmp_path.glob("*/"))


def probabilities(logits):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", logit_file.DTYPES)
def test_top_k_keeps_the_largest_and_spreads_the_rest_evenly(rng, dtype):
    logits = rng.normal(scale=4, size=(60, 100))
    row_format = logit_file.RowFormat(100, dtype, 5)
    decoded = row_format.decode(row_format.encode(logits))
    exact, found = probabilities(logits), probabilities(decoded.astype(np.float64))
    tolerance = {"float16": 1e-2, "float32": 1e-6}[dtype]
    order = np.argsort(-exact, axis=1)
    top, rest = order[:, :5], order[:, 5:]
    np.testing.assert_allclose(
        np.take_along_axis(found, top, 1), np.take_along_axis(exact, top, 1), rtol=tolerance
    )
    others = np.take_along_axis(found, rest, 1)
    np.testing.assert_allclose(others, others[:, :1].repeat(95, 1), rtol=1e-6)
    np.testing.assert_allclose(others.sum(1), np.take_along_axis(exact, rest, 1).sum(1), rtol=tolerance)


def test_top_k_of_all_classes_is_all_of_them(rng):
    logits = rng.normal(size=(5, 4)).astype("float32")
    for top_k in (0, 4, 9):
        row_format = logit_file.RowFormat(4, "float32", top_k)
        np.testing.assert_array_equal(row_format.decode(row_format.encode(logits)), logits)


def test_ten_views_of_imagenet_fit_in_two_gigabytes():
    for top_k in (10, 32):
        row = logit_file.RowFormat(1000, "float16", top_k).row
        assert row.itemsize == top_k * (2 + 2) + 2
        assert 10 * 1_281_167 * row.itemsize < 2e9
    assert logit_file.RowFormat(70_000, "float16", 3).row.itemsize == 3 * (2 + 4) + 2


def test_logits_that_do_not_fit_are_refused():
    for top_k in (0, 2):
        row_format = logit_file.RowFormat(4, "float16", top_k)
        assert np.isfinite(row_format.decode(row_format.encode(np.array([[6e4, 1.0, 0.0, -6e4]])))).all()
        with pytest.raises(ValueError, match=re.escape("finite in float16: use float32")):
            row_format.encode(np.array([[1e5, 1.0, 0.0, 0.0]]))
        with pytest.raises(ValueError, match="must be finite"):
            row_format.encode(np.array([[5.0, 1.0, np.nan, 0.0]]))
        with pytest.raises(ValueError, match=re.escape("logits must be [n, 4]. Received: shape (1, 3)")):
            row_format.encode(np.zeros((1, 3)))


@pytest.mark.parametrize("top_k", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", logit_file.DTYPES)
def test_masked_classes_are_kept_as_such(dtype, top_k):
    """A class of -inf has probability 0 again, also among those that share a logit."""
    logits = np.array(
        [[2.0, 1.0, -np.inf, -np.inf], [-np.inf, 0.0, 3.0, 1.0], [-np.inf, -np.inf, 5.0, -np.inf]]
    )
    row_format = logit_file.RowFormat(4, dtype, top_k)
    found = row_format.decode(row_format.encode(logits)).astype(np.float64)
    wanted = np.exp(logits - logits.max(axis=1, keepdims=True))
    given = np.exp(found - found.max(axis=1, keepdims=True))
    np.testing.assert_allclose(given.sum(axis=1), wanted.sum(axis=1), rtol=1e-3)
    if top_k == 0:
        np.testing.assert_array_equal(found, logits)


def test_a_teacher_may_mask_a_class(tmp_path, dataset, plan, asked):
    """Its logits are found again, and those of another that masks as it does are not taken for them."""
    teacher = mlp()
    kernel, bias = teacher.layers[-1].get_weights()
    teacher.layers[-1].set_weights([kernel, np.where(np.arange(CLASSES) == 3, -np.inf, bias)])
    kept = teacher_cache.cache_logits(teacher, dataset, plan, tmp_path, dtype="float32")
    found = kept.train(0, np.arange(72))
    np.testing.assert_allclose(found, expected(teacher, dataset, plan, 0), rtol=1e-4, atol=1e-4)
    once = len(asked)
    teacher_cache.cache_logits(teacher, dataset, plan, tmp_path, dtype="float32")
    assert len(asked) == once
    (path,) = tmp_path.glob("*/identity.json")
    values = files.read_json(path)
    answers = [[each and each + 1 for each in row] for row in values["answers"]]
    files.write_json(values | {"answers": answers}, path)
    with pytest.raises(ValueError, match="the teacher answers otherwise"):
        teacher_cache.cache_logits(teacher, dataset, plan, tmp_path, dtype="float32")


@pytest.mark.parametrize("row", [[np.nan, 1, 2, 3], [np.inf, 1, 2, 3], [-np.inf] * 4])
@pytest.mark.parametrize("top_k", [0, 2])
def test_logits_that_mean_nothing_are_refused(row, top_k):
    """Also where another example masks as many classes."""
    masked = [1.0, -np.inf, -np.inf, -np.inf]
    with pytest.raises(ValueError, match="must be finite"):
        logit_file.RowFormat(4, "float16", top_k).encode(np.array([row, masked]))
    with pytest.raises(ValueError, match="must be finite"):
        logit_file.RowFormat(4, "float16").encode(np.array([[1.0, -1e9, 0.0, 0.0], masked]))
