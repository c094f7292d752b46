import pytest

from keras_kd.study.design import Run
from keras_kd.study.findings.regularisation import strength


@pytest.mark.parametrize(
    ("augmentation", "parts"),
    [
        ("none", 0),
        ("auto", 1),
        ("crop", 1),
        ("crop_flip", 2),
        ("crop+flip", 2),
        ("crop_flip+randaugment", 3),
        ("crop+flip+randaugment", 3),
        ("resized_crop+flip", 2),
    ],
)
def test_a_run_is_regularised_by_each_part_of_its_augmentation(augmentation, parts):
    run = Run(depth=8, width=4, variant="residual", augmentation=augmentation)
    assert strength(run) == (0.0, run.weight_decay, parts)
