import io

import pytest

from keras_kd.utils import progress


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_bars_and_lines_are_silent_where_another_shows_the_whole(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr", Screen())
    assert not progress.bar("images").disable
    with progress.silence():
        assert progress.bar("images").disable
        progress.say("hidden")
    assert not progress.bar("images").disable
    with progress.showing(object()):
        assert progress.bar("images").disable
    progress.say("shown")
    assert capsys.readouterr().out == "shown\n"


def test_notes_are_kept_also_where_nothing_is_said(capsys):
    with progress.noted() as outer:
        progress.note("said")
        with progress.silence(), progress.noted() as inner:
            progress.note("hidden")
        progress.keep_note("kept")
    progress.note("after")
    assert (outer, inner) == (["said", "hidden", "kept"], ["hidden"])
    assert capsys.readouterr().out == "note: said\nnote: after\n"


def test_bars_are_silent_where_nobody_watches(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert progress.bar("images").disable


def test_the_time_left_leaves_out_the_first_piece():
    now = iter([60.0, 62.0, 66.0])
    left = progress.TimeLeft(lambda: next(now))
    assert left.after(0, 100) is None
    assert left.after(0, 100) is None
    assert left.after(10, 100) is None  # the first piece compiled for a minute
    assert left.after(20, 100) == 2.0 / 10 * 80
    assert left.after(40, 100) == 6.0 / 30 * 60
    assert left.after(100, 100) == 0.0


def test_durations_are_as_exact_as_they_are_known():
    assert progress.duration(89.4) == "89 s"
    assert progress.duration(600.0) == "10 min"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (190, "3:10"), (3790, "1:03:10")]
)
def test_the_time_left_is_shown_as_on_a_clock(seconds, shown):
    assert progress.clock(seconds) == shown


def test_the_line_of_all_work_comes_now_and_then_without_a_terminal(capsys):
    now = [100.0]
    with progress.WorkLine("networks", 3, now=lambda: now[0]) as line:
        for seconds, done in ((0, 0.0), (10, 0.5), (20, 1.0), (31, 1.55), (40, 2.0), (61, 2.0)):
            now[0] = 100.0 + seconds
            line.show(done)
    # from (10, 0.5) on: 21 s for 1.05 networks, then 51 s for 1.5
    assert capsys.readouterr().err == "1 of 3 networks, 0:29 left\n2 of 3 networks, 0:34 left\n"
