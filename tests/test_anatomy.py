"""How networks that belong together use their blocks."""

import numpy as np
import pytest
from conftest import mlp, same, tiny_arrays, trio, weights_of

from keras_kd import anatomy, augmentation, datasets, lesions, reuse

OPTIONS = anatomy.Options(draws=2, most=2, probe_examples=24, batch_size=16)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    return datasets.load(str(path))


@pytest.fixture(scope="module")
def looked(dataset):
    networks = trio(depth=14)
    images = np.asarray(augmentation.normalise(dataset.train.images[:32], dataset.mean, dataset.std))
    before = [weights_of(network) for network in networks.values()]
    found = anatomy.look(networks, dataset, images, dataset.train.labels[:32], OPTIONS)
    assert all(same(b, weights_of(network)) for b, network in zip(before, networks.values(), strict=True))
    return networks, images, found


def test_every_pair_is_compared(looked):
    networks, images, found = looked
    pairs = [(pair["x"], pair["y"]) for pair in found["cka"]]
    labels = list(networks)
    assert pairs == [(a, b) for i, a in enumerate(labels) for b in labels[i:]]
    pair = found["cka"][1]
    wanted = reuse.cka(
        networks[pair["x"]], networks[pair["y"]], images, pair["layers_x"], pair["layers_y"], 16
    )
    np.testing.assert_allclose(pair["values"], wanted)
    assert found["networks"][1]["cka_first"] == pytest.approx(np.mean(np.diagonal(wanted)))
    np.testing.assert_allclose(np.diagonal(found["cka"][0]["values"]), 1.0)
    assert found["networks"][0]["cka_neighbours"] == pytest.approx(
        np.mean(np.diagonal(found["cka"][0]["values"], 1))
    )


def test_the_same_blocks_are_silenced_in_all(looked):
    networks, _, found = looked
    shared = list(lesions.Patient(networks["plain"]).silenceable)
    assert shared == ["stage1_block1", "stage1_block2", "stage2_block2", "stage3_block2"]
    for row in found["networks"]:
        single = row["lesions"]["single"]
        assert list(single) == shared
        assert row["lesion_drop"] == pytest.approx(row["accuracy"] - np.mean(list(single.values())))
        assert row["lesion_worst"] == pytest.approx(row["accuracy"] - min(single.values()))
    assert found["networks"][0]["cannot_be_silenced"] == []
    assert found["networks"][1]["cannot_be_silenced"] == ["stage2_block1", "stage3_block1"]


def test_layers_are_measured_one_by_one(looked):
    networks, images, found = looked
    for network, row in zip(networks.values(), found["networks"], strict=True):
        wanted = reuse.effective_ranks(network, images, row["layers"], 16)
        np.testing.assert_allclose(row["ranks"], list(wanted.values()))
        assert row["effective_rank"] == pytest.approx(np.mean(row["ranks"]))
        assert len(row["probes"]) == len(row["layers"]) == 7
        ratios = [branch["ratio"] for branch in row["branches"].values()]
        assert row["branch_ratio"] == pytest.approx(np.mean(ratios))


def test_a_network_without_blocks_has_layers_all_the_same(dataset):
    images = np.asarray(augmentation.normalise(dataset.train.images[:32], dataset.mean, dataset.std))
    options = anatomy.Options(layers="all", probe_examples=0, batch_size=16)
    found = anatomy.look({"mlp": mlp()}, dataset, images, dataset.train.labels[:32], options)
    (row,) = found["networks"]
    assert "lesions" not in row
    assert "probes" not in row
    assert len(row["ranks"]) == len(row["layers"]) == 3
    with pytest.raises(ValueError, match="has no blocks"):
        anatomy.look({"mlp": mlp()}, dataset, images, dataset.train.labels[:32], OPTIONS)


def test_a_layer_that_one_network_lacks_is_named_with_it(dataset):
    networks = {**trio(), "mlp": mlp(name="small")}
    options = anatomy.Options(layers="head_pool", probe_examples=0)
    with pytest.raises(ValueError, match="names of layers of 'small'. Received: 'head_pool'"):
        anatomy.look(networks, dataset, np.zeros((8, 8, 8, 1), "float32"), np.zeros(8, int), options)
