"""One line over all networks: of this process, of another one, and of seeds around a comparison."""

import pytest

from keras_kd.training import networks_line
from keras_kd.utils import progress


@pytest.fixture
def shown(monkeypatch):
    """What the line was given, one number after the other."""
    seen = []
    monkeypatch.setattr(progress.WorkLine, "show", lambda line, done, remark="": seen.append(round(done, 3)))
    monkeypatch.setattr(networks_line, "LOOK_SECONDS", 0.0)
    return seen


def test_networks_of_this_process_and_of_another_one_are_counted_once(shown, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("student_alone epoch 1/4 0.1s loss=1\n")
    with networks_line.NetworksLine(["teacher", "student_alone"], [tmp_path], 4) as line:
        progress.whole().report("teacher", 0.5)
        log.write_text("student_alone epoch 2/4 0.1s\nteacher epoch 1/4 0.1s\n")
        line.look()
        line.end("teacher")  # stopped early
    assert progress.whole() is None
    assert shown == [0.25, 0.375, 0.75, 1.5]


def test_a_comparison_within_others_reports_to_the_line_around_it(shown, tmp_path):
    folders = [tmp_path / name for name in ("seed-0", "seed-1")]
    with networks_line.NetworksLine(["teacher"], folders, 2) as outer:
        for folder in folders:
            outer.folder = folder
            with networks_line.NetworksLine(["teacher"], [folder], 2) as inner:
                progress.whole().report("teacher", 1.0)
                inner.look()
                inner.end("teacher")
    assert shown == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_comparison_without_a_folder_has_a_line_too(shown):
    with networks_line.NetworksLine(["teacher"], [None], 2):
        progress.whole().report("teacher", 1.0)
    assert shown == [0.0, 0.5]
