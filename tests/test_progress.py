import io

from keras_kd import progress


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
    progress.say("shown")
    assert capsys.readouterr().out == "shown\n"


def test_bars_are_silent_where_nobody_watches(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert progress.bar("images").disable
