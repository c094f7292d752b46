"""The lines of `log.txt`: what is read is what was written."""

import pytest

from keras_kd.training import epoch_log

LINE = "student_alone epoch 3/20 1.2s accuracy=0.5 loss=0.33333"


def test_a_line_is_read_as_it_was_written():
    epoch = epoch_log.Epoch("student_alone", 3, 20)
    assert epoch_log.line_of(epoch, 1.23, {"loss": 1 / 3, "accuracy": 0.5}) == LINE
    assert epoch_log.epoch_of(LINE) == epoch
    assert epoch.share == 0.15


@pytest.mark.parametrize("line", ["", "net note: at was 0 in the whole of epoch 2: nothing", "net epoch"])
def test_other_lines_tell_of_no_epoch(line):
    assert epoch_log.epoch_of(line) is None


def test_last_epoch_of_a_folder(tmp_path):
    assert epoch_log.last_epoch(tmp_path) is None  # nothing has begun
    log = tmp_path / "log.txt"
    log.write_text("")
    assert epoch_log.last_epoch(tmp_path) is None
    log.write_text(f"teacher epoch 1/2 1s\nteacher note: a sentence\nteacher epoch 2/2 1s\n{LINE}\n")
    assert epoch_log.last_epoch(tmp_path) == epoch_log.Epoch("student_alone", 3, 20)
