import concurrent.futures
import os
import threading

import pytest

from keras_kd.utils import folders


def make(path, text):
    path.mkdir(parents=True)
    (path / "file").write_text(text)


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def test_a_folder_is_replaced(tmp_path):
    make(tmp_path / "old", "old")
    make(tmp_path / "new", "new")
    folders.replace_folder(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "file").read_text() == "new"
    assert names(tmp_path) == ["old"]


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("fails_again", [False, True])
def test_a_folder_survives_a_kill_at_each_step(tmp_path, monkeypatch, step, fails_again):
    path = tmp_path / "model"
    make(path, "old")
    steps = []

    def killed(name, do=None):
        def call(*args, **kwargs):
            steps.append(name)
            if len(steps) > step:
                raise KeyboardInterrupt
            return do(*args, **kwargs)

        return call

    make(tmp_path / "part", "new")
    with monkeypatch.context() as patched:
        patched.setattr(folders.os, "replace", killed("replace", os.replace))
        patched.setattr(folders.shutil, "rmtree", killed("rmtree", lambda *a, **k: None))
        with pytest.raises(KeyboardInterrupt):
            folders.replace_folder(tmp_path / "part", path)
    if fails_again:  # what comes next does not get so far as to replace it
        with pytest.raises(ZeroDivisionError), folders.replacing_folder(path):
            1 / 0  # noqa: B018
        assert (path / "file").read_text() == ("new" if step == 2 else "old")
    else:
        with folders.replacing_folder(path) as part:
            make(part, "newer")
        assert (path / "file").read_text() == "newer"
    assert not [name for name in names(tmp_path) if name.startswith((".old", ".part"))]


def test_a_link_leads_to_the_folder_that_is_replaced(tmp_path):
    make(tmp_path / "disk" / "model", "old")
    (tmp_path / "model").symlink_to(tmp_path / "disk" / "model")
    for text in ("new", "newer"):
        with folders.replacing_folder(tmp_path / "model") as part:
            make(part, text)
        assert (tmp_path / "disk" / "model" / "file").read_text() == text
    assert (tmp_path / "model").is_symlink()
    assert names(tmp_path / "disk") == ["model"]


def test_two_that_replace_a_folder_do_it_one_after_the_other(tmp_path):
    path = tmp_path / "model"
    inside, go_on = threading.Event(), threading.Event()

    def first():
        with folders.replacing_folder(path) as part:
            make(part, "first")
            inside.set()
            go_on.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(30)
    with (
        pytest.raises(ValueError, match=r"model is in use by process \d+ on "),
        folders.replacing_folder(path),
    ):
        pass
    go_on.set()
    thread.join()
    assert (path / "file").read_text() == "first"


def test_a_place_is_tried_and_left_as_it_was(tmp_path):
    folders.check_writable(tmp_path / "a" / "b")
    assert names(tmp_path) == []
    (tmp_path / "file").write_text("kept")
    for place in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300), "/proc/none/here"):
        with pytest.raises(ValueError, match="cannot write to "):
            folders.check_writable(place)
    assert names(tmp_path) == ["file"]


def test_processes_that_try_a_place_at_once_do_not_see_each_other(tmp_path):
    """Each may take away the folder that another one is about to write to."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: folders.check_writable(tmp_path / "a" / "b"), range(400)))
    folders.check_writable(tmp_path)
