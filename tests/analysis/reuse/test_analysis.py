"""How networks that belong together use their blocks."""

import dataclasses

import numpy as np
import pytest

from keras_kd.analysis import reuse
from keras_kd.analysis.reuse import lesion_plan, lesions, metrics, probes, similarity
from keras_kd.data import augmentation, datasets
from keras_kd.models import blocks
from keras_kd.utils import array_store, files
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp, same, trio, weights_of

OPTIONS = reuse.ReuseConfig(draws=2, most=2, probe_examples=24, batch_size=16)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    return datasets.load(str(path))


@pytest.fixture(scope="module")
def examples(dataset):
    images = np.asarray(augmentation.normalise(dataset.train.images[:32], dataset.mean, dataset.std))
    return images, dataset.train.labels[:32]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("looked")


@pytest.fixture(scope="module")
def looked(dataset, examples, folder):
    networks, images = trio(depth=14), examples[0]
    before = [weights_of(network) for network in networks.values()]
    found = reuse.analyze(networks, dataset, *examples, OPTIONS, folder)
    assert all(same(b, weights_of(network)) for b, network in zip(before, networks.values(), strict=True))
    return networks, images, found


def test_every_pair_is_compared(looked):
    networks, images, found = looked
    pairs = [(pair.x, pair.y) for pair in found.cka]
    labels = list(networks)
    assert pairs == [(a, b) for i, a in enumerate(labels) for b in labels[i:]]
    pair = found.cka[1]
    wanted = similarity.cka(networks[pair.x], networks[pair.y], images, pair.layers_x, pair.layers_y, 16)
    np.testing.assert_allclose(pair.values, wanted)
    assert found.networks[1].cka_first == pytest.approx(np.mean(np.diagonal(wanted)))
    np.testing.assert_allclose(np.diagonal(found.cka[0].values), 1.0)
    assert found.networks[0].cka_neighbours == pytest.approx(np.mean(np.diagonal(found.cka[0].values, 1)))


def test_the_same_blocks_are_silenced_in_all(looked):
    networks, _, found = looked
    shared = list(lesions.LesionedModel(networks["plain"]).silenceable)
    assert shared == ["stage1_block1", "stage1_block2", "stage2_block2", "stage3_block2"]
    for row in found.networks:
        single = row.lesions.single
        assert list(single) == shared
        assert row.lesion_drop == pytest.approx(row.accuracy - np.mean(list(single.values())))
        assert row.lesion_worst == pytest.approx(row.accuracy - min(single.values()))
    assert found.networks[0].cannot_be_silenced == []
    assert found.networks[1].cannot_be_silenced == ["stage2_block1", "stage3_block1"]


def test_layers_are_measured_one_by_one(looked):
    networks, images, found = looked
    for network, row in zip(networks.values(), found.networks, strict=True):
        spectra = metrics.spectra(network, images, row.layers, 16)
        np.testing.assert_allclose(row.ranks, [metrics.effective_rank(each) for each in spectra.values()])
        assert row.effective_rank == pytest.approx(np.mean(row.ranks))
        assert len(row.probes) == len(row.layers) == 7


def test_means_over_blocks_are_over_those_that_all_networks_have(looked):
    _, _, found = looked
    residual, *plain = found.networks
    shared = ["stage1_block1", "stage1_block2", "stage2_block2", "stage3_block2"]
    assert len(residual.branches) == 6
    assert all(list(row.branches) == shared for row in plain)
    for row in found.networks:
        for name in ("ratio", "cosine"):
            wanted = np.mean([getattr(row.branches[block], name) for block in shared])
            assert getattr(row, f"branch_{name}") == pytest.approx(wanted)


@pytest.mark.slow
def test_a_block_without_a_direction_in_one_network_is_left_out_for_all(dataset, examples):
    networks = {label: network for label, network in trio(depth=14).items() if label != "plain + KD"}
    silent = networks["residual"].get_layer("stage1_block2_bn2")
    for variable in (silent.gamma, silent.beta):
        variable.assign(np.zeros(variable.shape))
    options = dataclasses.replace(OPTIONS, probe_examples=0, draws=1, most=1)
    for row in reuse.analyze(networks, dataset, *examples, options).networks:
        branches = row.branches
        cosines = [branches[f"stage{stage}"].cosine for stage in ("1_block1", "2_block2", "3_block2")]
        assert row.branch_cosine == pytest.approx(np.mean(cosines))


@pytest.mark.slow
def test_a_network_without_blocks_has_layers_all_the_same(dataset, examples):
    networks = {"mlp": mlp(), **trio()}
    options = reuse.ReuseConfig(probe_examples=0, batch_size=16, draws=1, most=1)
    found = reuse.analyze(networks, dataset, *examples, options)
    first, *others = found.networks
    assert not first.has_blocks
    assert not {"lesions", "branches", "branch_ratio", "probes"} & first.to_json().keys()
    images, labels = examples
    answers = networks["mlp"].predict(images, verbose=0).argmax(axis=1)
    assert first.accuracy == pytest.approx(np.mean(answers == labels))
    assert first.layers == blocks.layers_of(networks["mlp"], "all")
    assert len(first.ranks) == len(first.layers) == 2
    for row in others:
        assert row.has_blocks
        assert row.layers == blocks.layers_of(networks[row.label])
        assert row.lesion_drop is not None
    assert np.shape(found.cka[1].values) == (2, 4)


# --------------------------------------------------------------------------- every array


def test_every_array_is_in_one_file_with_the_names_of_layers(looked, folder):
    _, _, found = looked
    arrays = files.read_arrays(folder / reuse.ARRAYS)
    assert not [name for name in arrays if "under way" in name]

    def assert_same(name, values):
        np.testing.assert_array_equal(arrays.pop(name), np.array(values))

    for pair in found.cka:
        for name in ("layers_x", "layers_y", "values"):
            assert_same(f"cka/{pair.x}/{pair.y}/{name}", getattr(pair, name))
    for row in found.networks:
        label, single = row.label, row.lesions.single
        for layer, values in zip(row.layers, row.spectra, strict=True):
            assert_same(f"spectra/{label}/{layer}", values)
        for name in ("ranks", "probes"):
            assert_same(f"{name}/{label}/layers", row.layers)
            assert_same(f"{name}/{label}/values", getattr(row, name))
        assert_same(f"branches/{label}/blocks", list(row.branches))
        for name in ("ratio", "cosine"):
            assert_same(
                f"branches/{label}/{name}", [getattr(branch, name) for branch in row.branches.values()]
            )
        assert_same(f"lesions/{label}/blocks", list(single))
        assert_same(f"lesions/{label}/single", list(single.values()))
        assert_same(f"lesions/{label}/intact", row.accuracy)
        assert_same(f"lesions/{label}/cannot_be_silenced", np.array(row.cannot_be_silenced, str))
        for name in ("silenced", "swapped"):
            many = getattr(row.lesions, name)
            rows = arrays.pop(f"lesions/{label}/{name}")
            assert [row[np.isfinite(row)].tolist() for row in rows] == [*many.values()]
        right = arrays.pop(f"lesions/{label}/right")  # of each image, which sentences are over
        np.testing.assert_array_equal(right.mean(axis=1), [row.accuracy, *single.values()])
    assert arrays.keys() == {"identity"}


class StoppedError(Exception):
    pass


def stopping(after):
    """A on_progress that raises at the call `after`, as a signal does; notes what it was told."""
    told = []

    def on_progress(title, done, total):
        told.append((title, done, total))
        if len(told) > after:
            raise StoppedError

    on_progress.told = told
    return on_progress


@pytest.fixture
def counted(monkeypatch):
    """How often each measure was asked; without the features of batches that were seen before."""
    calls = []

    def count(owner, name):
        plain = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, **named: calls.append(name) or plain(*given, **named))

    for owner, name in (
        (similarity, "centred_grams"),
        (metrics, "spectra"),
        (probes, "probe_accuracies"),
        (metrics, "branch_ratios"),
    ):
        count(owner, name)
    count(lesions.LesionedModel, "right_answers")
    return calls


@pytest.mark.slow
def test_stopped_anywhere_it_goes_on_and_measures_nothing_twice(
    dataset, examples, looked, counted, tmp_path, monkeypatch
):
    monkeypatch.setattr(array_store, "SAVE_SECONDS", 0.0)
    networks, _, wanted = looked
    on_progress, stops = stopping(after=10**6), 0
    for after in range(1, 10**6, 16):
        on_progress = stopping(after)
        try:
            found = reuse.analyze(networks, dataset, *examples, OPTIONS, tmp_path, on_progress=on_progress)
            break
        except StoppedError:
            stops += 1
    assert stops >= 3
    assert found == wanted
    plan_of_each = len(lesion_plan.plan_lesions("abcd", "a", draws=2, most=2).lesions)
    assert counted.count("centred_grams") == 3 * 2  # of each network, batch by batch
    assert counted.count("right_answers") == 3 * plan_of_each
    counted.clear()
    assert reuse.analyze(networks, dataset, *examples, OPTIONS, tmp_path) == wanted
    assert counted == []


@pytest.mark.slow
def test_progress_is_told_with_its_end(dataset, examples, looked):
    on_progress = stopping(after=10**6)
    reuse.analyze(looked[0], dataset, *examples, OPTIONS, on_progress=on_progress)
    titles = dict.fromkeys(title for title, _, _ in on_progress.told)
    kinds = ("spectra of", "linear classifiers on", "blocks of", "lesions of")
    assert list(titles) == ["CKA", *(f"{kind} {label}" for label in looked[0] for kind in kinds)]
    for title in titles:
        steps = [(done, total) for told, done, total in on_progress.told if told == title]
        assert [done for done, _ in steps] == list(range(steps[0][1] + 1))


@pytest.mark.parametrize("what", ["networks", "images", "options"])
def test_pieces_of_something_else_are_refused(dataset, examples, looked, folder, what):
    networks, (images, labels), options = looked[0], examples, OPTIONS
    before = (folder / reuse.ARRAYS).read_bytes()
    if what == "networks":
        networks, message = {**networks, "plain": trio(depth=14)["plain + KD"]}, "network plain was"
    elif what == "images":
        images, labels, message = images[:20], labels[:20], "images was"
    else:
        options, message = dataclasses.replace(options, most=3), "most was 2 and is 3"
    with pytest.raises(ValueError, match=f"made of something else: .*{message}"):
        reuse.analyze(networks, dataset, images, labels, options, folder)
    assert (folder / reuse.ARRAYS).read_bytes() == before


@pytest.mark.slow
def test_grams_are_computed_once_for_all_pairs(dataset, examples, monkeypatch):
    calls, centred_gram = [], similarity._centred_gram
    monkeypatch.setattr(similarity, "_centred_gram", lambda values: calls.append(1) or centred_gram(values))
    options = dataclasses.replace(OPTIONS, probe_examples=0, draws=1, most=1)
    reuse.analyze(trio(), dataset, *examples, options)
    assert len(calls) == 3 * 4 * 2  # networks, layers, batches


def test_a_layer_that_one_network_lacks_is_named_with_it(dataset):
    networks = {**trio(), "mlp": mlp(name="small")}
    options = reuse.ReuseConfig(layers="head_pool", probe_examples=0)
    with pytest.raises(ValueError, match="names of layers of 'small'. Received: 'head_pool'"):
        reuse.analyze(networks, dataset, np.zeros((8, 8, 8, 1), "float32"), np.zeros(8, int), options)
