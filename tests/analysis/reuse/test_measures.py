import dataclasses
import itertools
import pickle

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import keras_kd
from keras_kd.analysis.reuse import features, metrics, probes
from keras_kd.analysis.reuse.similarity import CKA, centred_grams, cka
from keras_kd.data import augmentation, datasets
from keras_kd.models import blocks, graph, serialization
from keras_kd.models.block_specs import block_plan
from tests.support.networks import mlp, same, shaken, weights_of

SMALL = ((8, 8, 1), 4)


def resnet(**options):
    return shaken(keras_kd.cifar_resnet(8, *SMALL, width=4, **options))


def outputs(model, names, images):
    answers = graph.feature_extractor(model, names)(images, training=False)
    return {name: keras.ops.convert_to_numpy(answers[name]) for name in names}


# --------------------------------------------------------------------------- layers and features


def test_blocks_are_what_the_stem_and_each_block_hand_on():
    assert blocks.layers_of(resnet()) == [
        "stem_relu",
        "stage1_block1_out",
        "stage2_block1_out",
        "stage3_block1_out",
    ]
    wide = keras_kd.wide_resnet(10, 1, *SMALL, shortcuts=[True, False, True])
    assert blocks.layers_of(wide) == [
        "stem_conv",
        "stage1_block1_add",
        "stage2_block1_conv2",
        "stage3_block1_add",
    ]
    large = keras_kd.imagenet_resnet(18, (32, 32, 1), 4, width=1)
    assert blocks.layers_of(large)[:2] == ["stem_pool", "stage1_block1_out"]
    assert len(blocks.layers_of(large)) == 9


def test_blocks_are_in_order_beyond_nine():
    plan = block_plan("cifar", 74, width=1)
    with graph.deep_graphs():
        found = blocks.blocks_of(keras_kd.cifar_resnet(74, *SMALL, width=1))
    assert [block.name for block in found] == [block.name for block in plan]


def test_all_layers_can_be_tapped(data):
    inner = mlp(name="inner")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.ReLU(name="first"), inner])
    assert blocks.layers_of(model, "all") == ["first"]
    names = blocks.layers_of(resnet(), "all")
    (batch,) = features.features(resnet(), names, data[0][:4])
    assert list(batch) == names
    assert "image" not in names
    small = mlp()
    assert blocks.layers_of(small, "all") == [layer.name for layer in small.layers[1:]]  # less Flatten


def test_a_model_without_a_graph_has_no_layers_to_compare():
    subclassed = type("Subclassed", (keras.Model,), {})(name="subclassed")
    with pytest.raises(ValueError, match="only functional and sequential models.*'subclassed'"):
        blocks.layers_of(subclassed, "all")


def test_layers_may_be_named():
    assert blocks.layers_of(resnet(), "head_pool, stem_relu") == ["head_pool", "stem_relu"]


def test_layers_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="Received: 'nowhere'; it has"):
        blocks.layers_of(resnet(), "stem_relu,nowhere")
    with pytest.raises(ValueError, match="Received: ','"):
        blocks.layers_of(resnet(), ",")
    with pytest.raises(ValueError, match="has no blocks.*take 'all' or names"):
        blocks.layers_of(mlp(), "blocks")


@pytest.mark.parametrize("batch_size", [1, 7, 48, 100])
def test_features_are_the_layers_outputs_in_order(data, batch_size):
    model = resnet(dropout=0.5)
    before, names = weights_of(model), ["stem_relu", "head_pool"]
    batches = list(features.features(model, names, data[0], batch_size))
    sizes = [len(batch["head_pool"]) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    for name, expected in outputs(model, names, data[0]).items():
        found = np.concatenate([batch[name] for batch in batches])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert same(before, weights_of(model))


def test_the_first_batches_may_be_left_out(data):
    whole, rest = (list(features.features(resnet(), ["head_pool"], data[0], 20, skip)) for skip in (0, 2))
    assert len(rest) == len(whole) - 2 == 1
    np.testing.assert_allclose(rest[0]["head_pool"], whole[2]["head_pool"], rtol=1e-5)


@pytest.mark.parametrize("measure", ["spectra", "branch_ratios", "probe_accuracies"])
def test_progress_is_told_before_the_first_step_and_after_each(data, coloured, measure):
    told = []

    def watch(done, total):
        told.append((done, total))

    if measure == "probe_accuracies":
        inputs = keras.Input((8, 8, 3))
        model = keras.Model(inputs, keras.layers.Dense(3, name="head")(keras.layers.Flatten()(inputs)))
        probes.probe_accuracies(model, coloured, ["head"], batch_size=20, on_progress=watch)
        steps = 3 + 2 + 1  # batches of train and test, classifiers
    else:
        layers = {"layer_names": ["head_pool"]} if measure == "spectra" else {}
        getattr(metrics, measure)(resnet(), data[0], batch_size=20, on_progress=watch, **layers)
        steps = 3
    assert told == [(done, steps) for done in range(steps + 1)]


def test_features_refuse_at_once(data):
    for names, images, batch_size, message in (
        ([], data[0], 8, "at least one layer"),
        (["nowhere"], data[0], 8, "no layer 'nowhere'"),
        (["stem_relu"], data[0][:0], 8, "Received: 0 images"),
        (["stem_relu"], data[0], 0, "batch_size=0"),
    ):
        with pytest.raises(ValueError, match=message):
            features.features(resnet(), names, images, batch_size)


# --------------------------------------------------------------------------- CKA


def gram(x):
    return x.reshape(len(x), -1) @ x.reshape(len(x), -1).T


def hsic_of_quadruples(k, ell):
    """The unbiased HSIC as a mean over all quadruples of different examples (Song et al. 2012, eq. 4)."""
    return np.mean(
        [
            k[t, u] * (ell[t, u] + ell[v, w] - 2 * ell[t, v])
            for t, u, v, w in itertools.permutations(range(len(k)), 4)
        ]
    )


def hsic(k, ell):
    """The same by its closed form (Song et al. 2012, eq. 5)."""
    n, ones = len(k), np.ones(len(k))
    k, ell = k - np.diag(np.diag(k)), ell - np.diag(np.diag(ell))
    cross = (ones @ k @ ones) * (ones @ ell @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ ell) + cross - 2 / (n - 2) * (ones @ k @ ell @ ones)) / (n * (n - 3))


def direct_cka(x, y, hsic=hsic):
    k, ell = gram(x), gram(y)
    return hsic(k, ell) / np.sqrt(hsic(k, k) * hsic(ell, ell))


def streamed_cka(x, y, batches=1):
    similarity = CKA(["x"], ["y"])
    for part_x, part_y in zip(np.array_split(x, batches), np.array_split(y, batches), strict=True):
        similarity.update({"x": part_x}, {"y": part_y})
    return similarity.result()[0, 0]


@pytest.fixture
def related(rng):
    x = rng.normal(size=(240, 20))
    return x, np.maximum(x @ rng.normal(size=(20, 30)), 0)


def test_cka_is_the_mean_over_all_quadruples(rng):
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2, 2)) + 5
    np.testing.assert_allclose(streamed_cka(x, y), direct_cka(x, y, hsic_of_quadruples), rtol=1e-10)


def test_cka_of_one_batch_is_the_closed_form(related):
    x, y = related
    np.testing.assert_allclose(streamed_cka(x, y), direct_cka(x, y), rtol=1e-10)


def test_cka_of_batches_is_the_ratio_of_mean_hsics(related):
    x, y = related
    pairs = list(zip(np.split(x, 4), np.split(y, 4), strict=True))
    xy, xx, yy = (
        np.mean([hsic(gram(pair[i]), gram(pair[j])) for pair in pairs]) for i, j in ((0, 1), (0, 0), (1, 1))
    )
    np.testing.assert_allclose(streamed_cka(x, y, batches=4), xy / np.sqrt(xx * yy), rtol=1e-10)
    np.testing.assert_allclose(streamed_cka(x, y, batches=4), direct_cka(x, y), atol=0.03)


def test_cka_ignores_rotation_scale_and_offset_but_not_other_maps(rng, related):
    x, y = related
    rotation, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    np.testing.assert_allclose(streamed_cka(1e3 * x @ rotation + 1e4, y), streamed_cka(x, y), rtol=1e-8)
    assert abs(streamed_cka(x @ rng.normal(size=(20, 20)), y) - streamed_cka(x, y)) > 0.01


def test_cka_of_a_thing_with_itself_is_one(related):
    x, y = related
    np.testing.assert_allclose([streamed_cka(x, x, 3), streamed_cka(y, y, 5)], 1, rtol=1e-12)


def test_cka_of_independent_features_is_zero_on_average_even_for_few_examples(rng):
    values = [streamed_cka(rng.normal(size=(80, 30)), rng.normal(size=(80, 30)), 10) for _ in range(50)]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(50)


def test_cka_of_constant_features_is_nan(rng):
    similarity = CKA(["dead", "alive"], ["y"])
    for _ in range(2):
        dead = np.full((7, 2, 3), 0.1)
        similarity.update({"dead": dead, "alive": rng.normal(size=(7, 3))}, {"y": rng.normal(size=(7, 3))})
    assert np.isnan(similarity.result()[0, 0])
    assert np.isfinite(similarity.result()[1, 0])


def test_cka_keeps_no_examples(related):
    x, y = related
    similarity, sizes = CKA(["x"], ["y"]), set()
    for _ in range(5):
        similarity.update({"x": x}, {"y": y})
        sizes.add(len(pickle.dumps(vars(similarity))))
    assert len(sizes) == 1


def test_cka_of_grams_is_that_of_features(related):
    x, y = related
    one, other = CKA(["x"], ["y"]), CKA(["x"], ["y"])
    one.update({"x": x}, {"y": y})
    other.add(centred_grams({"x": x}, ["x"]), centred_grams({"y": y, "z": x}, ["y"]))
    np.testing.assert_array_equal(one.result(), other.result())
    with pytest.raises(ValueError, match=r"the same batch .* Received: batches of \[5, 6\]"):
        other.add(centred_grams({"x": x[:5]}, ["x"]), centred_grams({"y": y[:6]}, ["y"]))


def test_cka_goes_on_from_its_sums(related):
    x, y = related
    whole, first, second = (CKA(["x"], ["y"]) for _ in range(3))
    for part in (slice(0, 99), slice(99, None)):
        whole.update({"x": x[part]}, {"y": y[part]})
    first.update({"x": x[:99]}, {"y": y[:99]})
    for name, values in first.sums.items():
        second.sums[name][...] = values
    second.update({"x": x[99:]}, {"y": y[99:]})
    np.testing.assert_array_equal(whole.result(), second.result())


def test_cka_refuses_too_few_or_different_examples(rng):
    similarity = CKA(["x"], ["y"])
    for n_x, n_y, message in (
        (3, 3, r"at least 4 examples. Received: batches of \[3\]"),
        (5, 6, r"\[5, 6\]"),
    ):
        with pytest.raises(ValueError, match=message):
            similarity.update({"x": rng.normal(size=(n_x, 2))}, {"y": rng.normal(size=(n_y, 2))})


def test_cka_of_networks_is_that_of_their_features(data):
    residual, plain = resnet(), resnet(shortcuts=False)
    names_x, names_y = blocks.layers_of(residual), ["stem_relu", "head_pool"]
    found = cka(residual, plain, data[0], names_x, names_y)
    x, y = outputs(residual, names_x, data[0]), outputs(plain, names_y, data[0])
    expected = [[direct_cka(x[a].astype(float), y[b].astype(float)) for b in names_y] for a in names_x]
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(np.diag(cka(plain, plain, data[0], names_y, names_y, 10)), 1)


# --------------------------------------------------------------------------- branches


def ratio_and_cosine(x, branch):
    x, branch = (values.reshape(len(values), -1).astype(np.float64) for values in (x, branch))
    sizes = np.sqrt((x**2).sum(1)), np.sqrt((branch**2).sum(1))
    return np.mean(sizes[1] / sizes[0]), np.mean((x * branch).sum(1) / sizes[0] / sizes[1])


def padded(x):
    return np.pad(x[:, ::2, ::2], [[0, 0], [0, 0], [0, 0], [0, x.shape[-1]]])


@pytest.mark.parametrize(
    ("model", "pairs"),
    [
        (
            resnet,
            {
                "stage1_block1": ("stem_relu", "stage1_block1_bn2"),
                "stage2_block1": ("stage1_block1_out", "stage2_block1_bn2"),
                "stage3_block1": ("stage2_block1_out", "stage3_block1_bn2"),
            },
        ),
        (lambda: resnet(shortcuts=False), {"stage1_block1": ("stem_relu", "stage1_block1_bn2")}),
        (
            lambda: resnet(shortcuts=[False, True, False]),
            {
                "stage1_block1": ("stem_relu", "stage1_block1_bn2"),
                "stage2_block1": ("stage1_block1_out", "stage2_block1_bn2"),
            },
        ),
        (
            lambda: shaken(keras_kd.wide_resnet(10, 1, *SMALL, shortcuts=[False, True, True])),
            {
                "stage1_block1": ("stem_conv", "stage1_block1_conv2"),
                "stage2_block1": ("stage2_block1_shortcut_conv", "stage2_block1_conv2"),
                "stage3_block1": ("stage3_block1_shortcut_conv", "stage3_block1_conv2"),
            },
        ),
    ],
    ids=["residual", "plain", "partial", "wide"],
)
def test_branch_ratios_are_those_of_the_features(data, tmp_path, model, pairs):
    model = model()
    taken = outputs(model, sorted(set(itertools.chain(*pairs.values()))), data[0])
    serialization.save_model(model, tmp_path / "model.keras")
    for network in (model, serialization.load_model(tmp_path / "model.keras")):
        found = metrics.branch_ratios(network, data[0], 10)
        assert list(found) == list(pairs)
        for block, (x, branch) in pairs.items():
            x, branch = taken[x], taken[branch]
            x = x if x.shape == branch.shape else padded(x)
            np.testing.assert_allclose(
                dataclasses.astuple(found[block]), ratio_and_cosine(x, branch), rtol=1e-4, atol=1e-5
            )


def test_a_branch_that_is_silent_has_ratio_zero_and_no_direction(data):
    model = resnet()
    for weight in ("gamma", "beta"):
        variable = getattr(model.get_layer("stage1_block1_bn2"), weight)
        variable.assign(np.zeros(variable.shape))
    found = metrics.branch_ratios(model, data[0])
    assert found["stage1_block1"].ratio == 0
    assert np.isnan(found["stage1_block1"].cosine)
    assert found["stage2_block1"].ratio > 0


def test_images_without_features_are_left_out_of_the_ratio(data):
    model = keras_kd.cifar_resnet(8, *SMALL, width=4)  # without offsets, so black stays 0
    blank = np.concatenate([data[0], np.zeros_like(data[0])])
    np.testing.assert_allclose(
        dataclasses.astuple(metrics.branch_ratios(model, blank)["stage1_block1"]),
        dataclasses.astuple(metrics.branch_ratios(model, data[0])["stage1_block1"]),
        rtol=1e-5,
    )
    assert np.isnan(metrics.branch_ratios(model, blank[48:])["stage1_block1"].ratio)


def test_a_network_may_have_no_branches(data):
    model = keras_kd.wide_resnet(10, 2, *SMALL, shortcuts=False)
    assert metrics.branch_ratios(model, data[0]) == {}
    with pytest.raises(ValueError, match="has no blocks"):
        metrics.branch_ratios(mlp(), data[0])


# --------------------------------------------------------------------------- effective rank


def test_effective_rank_of_known_spectra():
    np.testing.assert_allclose(metrics.effective_rank([0.3] * 7), 7, rtol=1e-14)
    assert metrics.effective_rank([0, 5, 0]) == 1
    assert metrics.effective_rank([0, 0]) == 0
    np.testing.assert_allclose(metrics.effective_rank([3, 1]), 4 / 27**0.25)  # by hand: H = log 4 - 3/4 log 3
    np.testing.assert_allclose(metrics.effective_rank([3e200, 1e200]), metrics.effective_rank([1, 3]))


@pytest.mark.parametrize("values", [[1, -1], [1, np.nan], [np.inf]])
def test_what_cannot_be_a_singular_value_is_refused(values):
    with pytest.raises(ValueError, match="singular values must be finite"):
        metrics.effective_rank(values)


def test_spectra_are_the_singular_values_of_the_centred_features(data):
    model = resnet()
    names = ["stem_relu", "stage3_block1_out", "head_pool"]
    found = metrics.spectra(model, data[0] + 100, names, batch_size=10)
    for name, values in outputs(model, names, data[0] + 100).items():
        samples = values.reshape(-1, values.shape[-1]).astype(np.float64)
        expected = np.linalg.svd(samples - samples.mean(axis=0), compute_uv=False) / np.sqrt(len(samples))
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-4 * expected[0])


def test_features_along_one_line_have_rank_one_and_constant_ones_zero(data):
    inputs = keras.Input((8, 8, 1))
    line = keras.layers.Conv2D(4, 1, kernel_initializer="ones", name="line")(inputs)
    constant = keras.layers.Conv2D(
        3, 1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(0.1), name="constant"
    )(line)
    logits = keras.layers.Dense(2)(keras.layers.Flatten()(constant))
    spectra = metrics.spectra(keras.Model(inputs, logits), data[0], ["line", "constant"], 20)
    ranks = [metrics.effective_rank(spectra[name]) for name in ("line", "constant")]
    np.testing.assert_allclose(ranks, [1, 0])


# --------------------------------------------------------------------------- probes


def dataset_of(images, labels):
    cut = 2 * len(labels) // 3
    train, test = (datasets.Split(images[part], labels[part]) for part in (slice(cut), slice(cut, None)))
    return datasets.Dataset("made", train, test, test, ("a", "b", "c"), flips=False)


@pytest.fixture
def coloured(rng):
    """Three classes, each bright in a channel of its own."""
    labels = np.arange(90) % 3
    images = rng.integers(0, 60, (90, 8, 8, 3))
    images[np.arange(90), :, :, labels] += 120
    return dataset_of(images.astype(np.uint8), labels)


def test_a_probe_reads_classes_that_lie_apart_and_none_from_constants(coloured):
    inputs = keras.Input((8, 8, 3))
    same_again = keras.layers.Activation("linear", name="same")(inputs)
    nothing = keras.layers.Conv2D(2, 1, kernel_initializer="zeros", name="nothing")(same_again)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(nothing)))
    found = probes.probe_accuracies(model, coloured, ["same", "nothing"])
    assert found == {"same": 1.0, "nothing": pytest.approx(1 / 3)}
    assert probes.probe_accuracies(model, coloured, ["same"], examples=12) == {"same": 1.0}


def test_a_probe_is_a_logistic_regression_on_mean_features(rng):
    images = rng.integers(0, 256, (90, 8, 8, 1)).astype(np.uint8)
    dataset = dataset_of(images, rng.integers(0, 3, 90))
    model = resnet()
    found = probes.probe_accuracies(model, dataset, ["stem_relu", "head_pool"], batch_size=11)
    for name in ("stem_relu", "head_pool"):
        x, test = (
            outputs(model, [name], augmentation.normalise(split.images, dataset.mean, dataset.std))[name]
            .reshape(len(split.images), -1, 4 if name == "stem_relu" else 16)
            .mean(axis=1)
            for split in (dataset.train, dataset.test)
        )
        scaler = StandardScaler().fit(x)
        probe = LogisticRegression(max_iter=5000).fit(scaler.transform(x), dataset.train.labels)
        assert found[name] == pytest.approx(
            probe.score(scaler.transform(test), dataset.test.labels), abs=0.04
        )


def test_the_examples_of_a_probe_depend_on_the_seed_alone(rng):
    images = rng.integers(0, 256, (90, 8, 8, 1)).astype(np.uint8)
    dataset, model = dataset_of(images, rng.integers(0, 3, 90)), resnet()

    def accuracies(seed, examples=20):
        return probes.probe_accuracies(model, dataset, ["head_pool"], examples=examples, seed=seed)

    assert accuracies(0) == accuracies(0)
    assert len({accuracies(seed)["head_pool"] for seed in range(4)}) > 1
    assert accuracies(0, examples=1000) == accuracies(1, examples=None)


def test_a_probe_that_does_not_converge_is_silent(coloured, monkeypatch):
    monkeypatch.setattr(probes, "PROBE_STEPS", 1)
    model = keras_kd.cifar_resnet(8, (8, 8, 3), 3, width=4)
    found = probes.probe_accuracies(model, coloured, ["stem_relu"])
    assert 0 <= found["stem_relu"] <= 1


def test_a_probe_needs_two_classes(coloured):
    model = keras_kd.cifar_resnet(8, (8, 8, 3), 3, width=4)
    with pytest.raises(ValueError, match="two classes. Received: examples=1 of 'made'"):
        probes.probe_accuracies(model, coloured, ["stem_relu"], examples=1)
