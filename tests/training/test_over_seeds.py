"""What comparisons of several seeds say together, against Student's and Fieller's formulas by hand."""

import numpy as np
import pytest
from scipy import stats

from keras_kd.training import comparison, over_seeds

TWIN, ALONE, DISTILLED, FADED = (
    [0.98, 0.97, 0.99],
    [0.80, 0.84, 0.79],
    [0.88, 0.86, 0.90],
    [0.95, 0.96, 0.97],
)


def one(twin, alone, distilled, faded, has_twin=True):
    """A comparison of one seed with these accuracies, on 100 images."""
    labels = ("teacher", "student_alone", "student_distilled", "student_fade")
    networks = {
        label: comparison.NetworkResult(accuracy=accuracy, loss=0.1, parameters=10, seconds=1.0)
        for label, accuracy in zip(labels, (twin, alone, distilled, faded), strict=True)
    }
    drop = twin - alone if has_twin else None
    distilled, faded = (
        comparison.Effects(drop, taught - alone, None, test_images=100) for taught in (distilled, faded)
    )
    return comparison.Comparison({}, networks, distilled, {}, faded)


def test_gain_drop_and_recovery_have_intervals_over_seeds():
    found = over_seeds.summarize([one(*each) for each in zip(TWIN, ALONE, DISTILLED, FADED, strict=True)])
    assert list(found.effects) == ["student_distilled", "student_fade"]
    faded, gains = found.effects["student_fade"], np.subtract(FADED, ALONE)
    half = stats.t.ppf(0.975, 2) * gains.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(faded.gain_interval, (gains.mean() - half, gains.mean() + half), rtol=1e-12)
    drops = np.subtract(TWIN, ALONE)
    assert faded.drop == pytest.approx(drops.mean())
    assert faded.recovery == pytest.approx(gains.mean() / drops.mean())
    for end in faded.recovery_interval:  # where gain - ratio * drop is at the edge of Student's interval
        rest = gains - end * drops
        t = rest.mean() / (rest.std(ddof=1) / np.sqrt(3))
        assert abs(t) == pytest.approx(stats.t.ppf(0.975, 2))
    assert found.accuracies["student_alone"].mean == pytest.approx(0.81)


def test_without_the_twin_there_is_a_gain_alone():
    each = zip(TWIN, ALONE, DISTILLED, FADED, strict=True)
    effects = over_seeds.summarize([one(*values, has_twin=False) for values in each]).effects["student_fade"]
    assert (effects.drop, effects.drop_interval, effects.recovery, effects.recovery_interval) == (None,) * 4
    assert effects.gain == pytest.approx(0.15)


def test_equal_gains_are_no_more_certain_than_one_image():
    found = over_seeds.summarize([one(0.9, 0.5, 0.6, 0.7), one(0.9, 0.5, 0.6, 0.7)])
    low, high = found.effects["student_distilled"].gain_interval
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 1) * 0.01 / np.sqrt(2))
