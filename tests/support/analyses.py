"""A run whose networks no training made, for the commands that analyze networks."""

import numpy as np

from keras_kd.data import datasets
from keras_kd.models import serialization
from keras_kd.utils import files
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp, trio

REUSE = ("--draws=1", "--most=1", "--probe_examples=24", "--batch_size=16", "--examples=24")


def untrained_run(folder):
    """A run of distill, at `folder/run`, with a teacher without blocks; its dataset is `folder/tiny.npz`."""
    run, path = folder / "run", folder / "tiny.npz"
    run.mkdir()
    np.savez(path, **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    dataset = datasets.load(str(path), seed=2)
    networks = trio()
    serialization.save_model(mlp(name="other"), run / "teacher.keras")
    serialization.save_model(networks["plain"], run / "student_alone.keras")
    serialization.save_model(networks["residual"], run / "student.keras")
    sizes = {split: len(getattr(dataset, split).labels) for split in ("train", "validation", "test")}
    described = {"name": str(path), "fingerprint": dataset.fingerprint, "examples": sizes}
    described["split_seed"] = dataset.split_seed
    labels = {label: {} for label in ("teacher", "student_alone", "student_distilled")}
    files.write_json({"seed": 2, "networks": labels, "dataset": described}, run / "result.json")
    (run / "flags.cfg").write_text("--validation_fraction=0.1\n")
    return run
