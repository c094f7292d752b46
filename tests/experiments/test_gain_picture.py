import numpy as np
import pytest

from experiments import gain_picture


def test_the_picture_shows_the_means_of_the_results_pages():
    """Those of docs/results-digits.md and docs/shortcut-removal.md."""
    digits, photographs = (gain_picture.intervals(names, seeds) for _, names, seeds in gain_picture.PANELS)
    expected = {"residual twin": (97.6, 97.1, 98.1), "plain, alone": (32.1, 28.2, 35.9)}
    expected["plain, taught"] = (47.4, 40.7, 54.2)
    deepest = gain_picture.DEPTHS.index(56)
    assert {name: digits[name][deepest] for name in expected} == {
        name: pytest.approx(values, abs=0.06) for name, values in expected.items()
    }
    at_32 = [values[gain_picture.DEPTHS.index(32)][0] for values in photographs.values()]
    np.testing.assert_allclose(at_32, [68.1, 67.6, 64.7, 56.8, 51.5], atol=0.06)
    assert len(gain_picture.figure().axes) == 2


def test_an_option_is_no_path_of_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"ends in \.png. Received: '--help'"):
        gain_picture.main("--help")
    assert not list(tmp_path.iterdir())
