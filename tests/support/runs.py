"""A run of the main job, trained once for all tests."""

import os
import shutil

import filelock
import numpy as np

from tests.support.arrays import tiny_arrays
from tests.support.commands import call

EPOCHS, SEED = 3, 2
SIZES = tuple(f"--{network}_{size}" for network in ("teacher", "student") for size in ("depth=8", "width=4"))
DISTILL = ("--dataset=tiny.npz", "--out=runs/first", f"--epochs={EPOCHS}", f"--seed={SEED}", *SIZES)
DISTILL += ("--batch_size=24", "--strategy=none", "--shortcut_removal=none", "--jobs=1")


def finished_run(tmp_path_factory):
    """A folder with `tiny.npz` and the run `runs/first`, and what the command printed: `(folder, output)`.

    The folder is the caller's own; the training is that of whichever process of these tests asked first.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = base / "finished_run"
    with filelock.FileLock(base / "finished_run.lock"):
        if not (made / "output.txt").exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            np.savez(made / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
            status, output, errors = call("distill", *DISTILL, cwd=made)
            assert status == 0, errors
            (made / "output.txt").write_text(output)
    folder = tmp_path_factory.mktemp("work")
    for path in made.iterdir():
        (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
    output = (folder / "output.txt").read_text()
    (folder / "output.txt").unlink()
    return folder, output
