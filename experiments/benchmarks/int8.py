"""What LiteRT's 8-bit integers cost the networks of a study, on all its test images.

    keras-kd study --study=int8_digits
    python -m experiments.benchmarks.int8 --study=runs/study-int8_digits

takes the network of each finished run, or of those that `--runs` names, writes it as quantised files, and
compares these, run by LiteRT's own interpreter, with the network. A run takes some ten seconds on two CPU
cores.
"""

import collections
import dataclasses
import pathlib
import re
import sys
import tempfile

import numpy as np

from keras_kd.cli import console
from keras_kd.cli.flags import COMMON, Group
from keras_kd.cli.main import call_command
from keras_kd.data import provenance
from keras_kd.export import litert, parity
from keras_kd.models import folding, serialization
from keras_kd.utils import environment, files, run_dir, statistics

KINDS = ("dynamic_range", "full_integer")

_SEED = re.compile(r"-s\d+$")


@dataclasses.dataclass(frozen=True)
class Quantised:
    """A network on test, and its quantised files beside it.

    Attributes:
      accuracy: of the network.
      dynamic_range, full_integer: `parity.Parity` of the files.
    """

    accuracy: float
    dynamic_range: parity.Parity
    full_integer: parity.Parity


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("study", None, "Folder of a study.")
    flags.text("runs", "*", "Names of the runs to take, with * for any text.")
    flags.text("dataset", None, "Where its dataset is, if it has moved.")
    flags.text("out", "runs/int8.json", "Where the numbers go.")


def main(values):
    """Does what the flags ask for."""
    study = pathlib.Path(values.study or "")
    if not (study / "study.json").is_file():
        raise ValueError(f"--study must be the folder of a study. Received: {values.study!r}")
    paths = finished(study, values.runs)
    if not paths:
        raise ValueError(f"no run of {study} named {values.runs} is finished: wait for one or ask for others")
    dataset = dataset_of(study, values.dataset)
    about = {"machine": environment.machine(), "versions": environment.versions("tensorflow", "keras")}
    found = collections.defaultdict(list)
    for path in paths:
        row = measured(serialization.load_model(path), dataset)
        found[_SEED.sub("", path.parent.name)].append(row)
        changes = (f"{kind} {100 * getattr(row, kind).accuracy_change:+.2f} points" for kind in KINDS)
        print(f"{path.parent.name}: {row.accuracy:.1%}, {', '.join(changes)}", flush=True)
        rows = {name: [dataclasses.asdict(row) for row in rows] for name, rows in found.items()}
        files.write_json(about | {"networks": rows}, values.out)  # not lost with the next network
    table = [{"network": name, **summary(rows)} for name, rows in found.items()]
    title = f"On {len(dataset.test.labels)} test images; 95 % intervals over seeds"
    console.print_table(title, table, list(table[0]))
    console.print_paths(result=values.out)


def dataset_of(study, name=None):
    """The dataset that the runs of a study saw; `name`: where it is, if it has moved."""
    identity = files.read_json(study / "study.json", ("identity",))["identity"]
    described = {"dataset": identity["dataset"]}
    return provenance.load_dataset(study, described, identity["dataset"]["split_seed"], name)


def finished(study, named="*"):
    """Paths of the networks of a study's finished runs of such names, sorted."""
    networks = sorted(study.glob(f"runs/{named}/{run_dir.MODEL}"))
    return [path for path in networks if (path.parent / run_dir.RESULT).is_file()]


def measured(network, dataset):
    """The `Quantised` of a network."""
    folded = folding.fold_batch_norm(network)
    images, labels = dataset.test.images, dataset.test.labels
    expected = parity.in_parts(lambda part: parity.expected_logits(folded, part, dataset))(images)
    accuracy, found = float(np.mean(expected.argmax(axis=1) == labels)), {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = pathlib.Path(folder) / f"{kind}.tflite"
            litert.to_litert(folded, path, dataset=dataset, kind=kind)
            found[kind] = parity.compare(parity.in_parts(litert.session(path))(images), expected, labels)
    return Quantised(accuracy, **found)


def summary(rows):
    """Columns of the table for networks of one kind, one `Quantised` for each seed."""
    columns = {
        "seeds": str(len(rows)),
        "accuracy, %": f"{100 * np.mean([row.accuracy for row in rows]):.1f}",
    }
    for kind in KINDS:
        change = statistics.estimate([100 * getattr(row, kind).accuracy_change for row in rows])
        interval = f" [{change.low:.2f}, {change.high:.2f}]" if len(rows) > 1 else ""
        columns[f"{kind}, points"] = f"{change.mean:+.2f}{interval}"
        columns[f"{kind}, same class, %"] = (
            f"{100 * np.mean([getattr(row, kind).same_class for row in rows]):.1f}"
        )
    return columns


if __name__ == "__main__":
    sys.exit(call_command(sys.modules[__name__], "python -m experiments.benchmarks.int8", sys.argv[1:]))
