"""What a search refuses before its first trial."""

import numpy as np
import pytest

from keras_kd.data import datasets
from keras_kd.models import fading
from keras_kd.search import config, session
from keras_kd.training import Settings
from tests.support.arrays import tiny_arrays
from tests.support.networks import one_block


@pytest.fixture
def dataset(npz):
    return datasets.load(str(npz))


def check(dataset, student, **options):
    networks = session.Networks(lambda seed: student, lambda: one_block(1))
    settings = Settings(epochs=1, batch_size=24, strategy="none")
    given = config.SearchConfig(**options), settings, dataset, networks, "nowhere", None
    session.SearchSession(*given).check_networks()


def test_tails_do_not_go_with_labels_of_yes_or_no(rng, tmp_path):
    arrays = tiny_arrays(rng)
    arrays |= {name: rng.integers(0, 2, (len(y), 4)) for name, y in arrays.items() if name.startswith("y_")}
    np.savez(tmp_path / "tiny.npz", **arrays)
    dataset = datasets.load(str(tmp_path / "tiny.npz"))
    ways = {"searched": ("shortcut_removal",), "shortcut_removals": ("fade", "fade+tails")}
    with pytest.raises(ValueError, match="'fade.tails' compares classes that exclude each other"):
        check(dataset, one_block(2, shortcuts=False), **ways)


def test_a_student_in_the_middle_of_fading_is_refused(dataset):
    plain = one_block(2, shortcuts=False)
    check(dataset, plain)
    with pytest.raises(ValueError, match="has fading shortcuts already"):
        check(dataset, fading.with_fading_shortcuts(plain, [(0, 9)]))
