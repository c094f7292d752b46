"""Which images the networks of a run are analyzed with."""

import numpy as np
import pytest

from keras_kd import analysis
from keras_kd.analysis import inputs
from keras_kd.data import datasets
from keras_kd.training.labels import network_file
from keras_kd.utils import limits
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    return datasets.load(str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, "split must be one of .*Received: split='validation'"),
        ({"count": 7}, "examples must be 0, or at least 8. Received: 7"),
        ({"standard_error": 0.0}, "standard_error must lie in .*Received: standard_error=0.0"),
    ],
)
def test_sources_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        inputs.ExampleSource(None, **options)


def test_all_networks_have_the_same_images_of_a_draw(dataset):
    source = inputs.ExampleSource(None, split="test", count=10)
    images, labels = source.examples({"a": mlp()}, dataset, seed=3)
    again, _ = source.examples({"b": mlp(seed=1)}, dataset, seed=3)
    np.testing.assert_array_equal(images, again)
    assert images.shape == (10, 8, 8, 1)
    assert set(labels) <= set(dataset.test.labels)
    other, _ = source.examples({"a": mlp()}, dataset, seed=4)
    assert not np.array_equal(images, other)
    assert len(source.training_images(dataset, 5, seed=3)) == 5
    assert inputs.ExampleSource(None).training_images(dataset, 5, seed=3) is None


def test_without_a_number_the_standard_error_decides(dataset):
    images, _ = inputs.ExampleSource(None).examples({"a": mlp()}, dataset, seed=0)
    assert len(images) == len(dataset.train.labels)  # fewer than FEWEST_EXAMPLES


def test_draws_differ_between_seeds_of_a_study():
    groups = [inputs.NetworkGroup("g", {}, seed) for seed in (0, 1)]
    assert groups[0].seed_of_draws(5) != groups[1].seed_of_draws(5)
    assert groups[0].seed_of_draws(5) == np.random.SeedSequence([5, 0]).generate_state(1)[0]


@pytest.mark.parametrize("config", [analysis.landscape.LandscapeConfig, analysis.reuse.ReuseConfig])
def test_every_seed_of_draws_is_one_that_analyses_take(config):
    """Half of them are above the seeds that a person may give."""
    seeds = [inputs.NetworkGroup("g", {}, seed).seed_of_draws(0) for seed in range(20)]
    assert max(seeds) > limits.SEED.high
    assert [config(seed=seed).seed for seed in seeds] == seeds


@pytest.mark.parametrize(
    ("labels", "drop", "pairs", "twin"),
    [
        (
            ("teacher", "student_alone", "student_distilled", "student_fade"),
            0.4,
            [
                ["student alone", "teacher"],
                ["student distilled", "student alone"],
                ["student fade", "teacher"],
            ],
            "teacher",
        ),
        (
            ("teacher", "baseline", "student_alone", "student_distilled"),
            0.4,
            [["student alone", "baseline"], ["student distilled", "student alone"]],
            "baseline",
        ),
        (
            ("teacher", "student_alone", "student_distilled", "student_remove_merge"),
            None,
            [["student distilled", "student alone"], ["student remove merge", "student distilled"]],
            None,
        ),
    ],
)
def test_a_run_compares_plain_with_residual_taught_with_untaught_and_faded_with_residual(
    tmp_path, labels, drop, pairs, twin
):
    for label in labels:
        (tmp_path / network_file(label)).touch()
    result = {"seed": 0, "networks": {label: {} for label in labels}, "effects": {"drop": drop}}
    group = inputs.group_of_run(tmp_path, result | {"teacher": "resnet8", "student": "resnet8_plain"})
    assert (group.pairs, group.twin) == (pairs, twin)
    assert group.titles["teacher"] == "resnet8"
    assert {group.titles[label] for label in ("student alone", "student distilled")} == {"resnet8_plain"}
    assert "baseline" not in group.titles
