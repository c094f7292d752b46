"""Runs whose networks no training made, for the commands that analyze networks, and what nobody measured."""

import dataclasses

import numpy as np

from keras_kd.analysis.landscape.geometry import Roughness
from keras_kd.analysis.landscape.results import LandscapeResult, NetworkNumbers, PlaneSurface, StepNumbers
from keras_kd.analysis.results import GroupResult
from keras_kd.analysis.reuse.lesion_plan import LesionResults
from keras_kd.analysis.reuse.metrics import Branch
from keras_kd.analysis.reuse.results import LayerSimilarity, NetworkReuse, ReuseResult
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


BLOCKS = ("stage1_block1", "stage2_block1", "stage2_block2")


def reuse_network(label, blocks=BLOCKS, layers=("stem", *BLOCKS), **more):
    """A `NetworkReuse` that nobody measured."""
    found = {
        "label": label,
        "has_blocks": bool(blocks),
        "compared": "blocks" if blocks else "all",
        "layers": list(layers),
        "spectra": [[2.0, 1.0, 0.0]] * len(layers),
        "ranks": [1.5 + place for place in range(len(layers))],
        "effective_rank": 2.0,
        "probes": [0.5 + place / 10 for place in range(len(layers))],
    }
    if blocks:
        found["branches"] = {block: Branch(0.5 + place, -0.1 * place) for place, block in enumerate(blocks)}
        found["accuracy"] = 0.9
        found["cannot_be_silenced"] = [block for block in BLOCKS if block not in blocks]
        found["lesions"] = LesionResults(
            0.9, {BLOCKS[0]: 0.4, BLOCKS[2]: 0.6}, {1: [0.4, 0.6], 2: [0.2]}, {1: [0.7, 0.5]}
        )
    return NetworkReuse(**found | more)


def reuse_group(*networks):
    """The `GroupResult` of such networks, all of whose layers are alike."""
    cka = [
        LayerSimilarity(
            a.label, b.label, a.layers, b.layers, np.ones((len(a.layers), len(b.layers))).tolist()
        )
        for i, a in enumerate(networks)
        for b in networks[i:]
    ]
    return GroupResult("g", ReuseResult(list(networks), cka))


def landscape_group(*labels):
    """A `GroupResult` of bowls around networks, each steeper than the last, and a trajectory to one."""
    ticks = np.linspace(-1, 1, 5)
    bowl = np.add.outer(ticks**2, ticks**2)
    planes, networks = [], []
    for steepness, label in enumerate(labels, 1):
        loss = (0.1 + steepness * bowl).tolist()
        planes.append(
            PlaneSurface(
                *("around", label, label, "keep", 24, [ticks.tolist()] * 2, loss, (1 / (1 + bowl)).tolist()),
                *((0.01 + 0 * bowl).tolist(), {"network": (0.0, 0.0)}, None, None, Roughness(0.1, 0.5, 9, 0)),
            )
        )
        step = StepNumbers([0.01, 0.1], [0.1, 0.2], [0.9, 0.5], [0.1, 1.0], [1.0, 2.0 * steepness])
        numbers = {"spectrum": [2.0 * steepness, 1.0], "trace": 3.0, "trace_error": 0.1, "smoothness": 2.0}
        networks.append(
            NetworkNumbers(*(label, 24, 0.1, 0.9, 0.01, 0.1, 0.5, 0, 2.0 * steepness), step=step, **numbers)
        )
    path = [[-1.0, 0.5], [-0.3, 0.4], [0.0, 0.0]]
    way = dataclasses.replace(planes[-1], kind="trajectory", marks={}, trajectory=path, explained=[0.8, 0.1])
    return GroupResult("g", LandscapeResult([*planes, way], [], networks))
