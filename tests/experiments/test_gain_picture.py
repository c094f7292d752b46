import numpy as np
import pytest

from experiments import gain_picture


def test_the_picture_shows_the_means_of_the_results_page():
    """Those of docs/results-digits.md and docs/shortcut-removal.md."""
    digits, photographs = (
        gain_picture.intervals(gain_picture.RESULTS / name, seeds) for _, name, seeds in gain_picture.PANELS
    )
    expected = {"residual twin": (97.6, 97.2, 98.0), "plain, alone": (80.8, 76.5, 85.2)}
    expected["plain, taught"] = (80.3, 75.9, 84.8)
    assert {name: digits[name] for name in expected} == {
        name: pytest.approx(values, abs=0.06) for name, values in expected.items()
    }
    ends = np.array([photographs[name][0] for name in photographs])
    np.testing.assert_allclose(ends, [68.1, 51.5, 56.8, 64.7, 67.7], atol=0.06)
    assert len(gain_picture.figure().axes) == 2


def test_an_option_is_no_path_of_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"ends in \.png. Received: '--help'"):
        gain_picture.main("--help")
    assert not list(tmp_path.iterdir())
