"""Folders replaced as a whole, one process at a time, and places tried before they are needed."""

import contextlib
import os
import pathlib
import shutil
import tempfile

from keras_kd.utils import locks


def remove(path):
    """Deletes a file, or a folder with all that is in it; a link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def replace_folder(part, path):
    """Puts the finished folder `part` in the place of `path`, which may exist.

    A folder cannot be replaced in one step: what a kill between the two leaves, `restore_folder` puts right.
    """
    old = _old_of(path)
    restore_folder(path)
    if path.exists():
        os.replace(path, old)
    os.replace(part, path)
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(path):
    """Puts the folder that `replace_folder` had moved away back, if it was killed before the new one came."""
    old = _old_of(path)
    if not old.exists():
        return
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(old, path)


def _old_of(path):
    return path.with_name(f".old-{path.name}")


def alone_in(path, patience=0.0):
    """Holds the lock of a folder that is replaced as a whole: a file beside it, as long as it is held.

    Args:
      path: of the folder.
      patience: seconds to wait for another process that has it.
    """
    whole = path.absolute()  # "." has no name
    return locks.held(whole.with_name(f".{whole.name}.lock"), path, patience=patience, tidy=True)


@contextlib.contextmanager
def replacing_folder(path):
    """Lends a path for a new folder, which then takes the place of `path`; one process at a time.

    An error leaves `path` as it was. Of a link the folder that it leads to is replaced.

    Args:
      path: of the folder.
    """
    path = pathlib.Path(path)
    path = path.resolve() if path.is_symlink() else path
    part = path.with_name(f".part-{path.name}")
    with alone_in(path):
        restore_folder(path)
        shutil.rmtree(part, ignore_errors=True)
        try:
            yield part
            replace_folder(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def check_writable(path):
    """Raises a ValueError if a folder cannot be made, or written to, at `path`; leaves nothing behind."""
    path = pathlib.Path(path).absolute()
    for tries_left in reversed(range(_TRIES)):
        try:
            _write_once(path)
            break
        except OSError as error:
            # Another process may try the same place, and take away what it made.
            if not (isinstance(error, (FileNotFoundError, FileExistsError)) and tries_left):
                raise ValueError(f"cannot write to {error.filename or path} ({error.strerror})") from error


_TRIES = 100


def _write_once(path):
    made = [each for each in (path, *path.parents) if not each.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it was not made, or another process writes there now
                folder.rmdir()
