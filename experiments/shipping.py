"""The files that leave: what each format writes, how it is compared with its model, the card beside them."""

import dataclasses
import json
import pathlib
import shutil

import keras

from experiments import layout
from keras_kd.export import bundle, cost_report, litert, onnx, parity, saved_model, signature
from keras_kd.models import cost as cost_module
from keras_kd.models import folding
from keras_kd.models.cost import BYTES
from keras_kd.utils import files

FORMATS = ("saved_model", "litert", "onnx")
KINDS = litert.KINDS

CARD = "README.md"
MANIFEST = "export.json"
COSTS = "costs.json"

# Files of a SavedModel, which is the folder itself.
_SAVED_MODEL = ("saved_model.pb", "fingerprint.pb", "metadata.json", "variables", "assets")

# What a manifest says of each file.
_TOLD = ("file", "format", "kind", "batch", "folded", "bytes", *parity.Parity.__dataclass_fields__)


@dataclasses.dataclass(frozen=True)
class Source:
    """What is shipped.

    Attributes:
      path: of the .keras file.
      name: of the folder that it gets.
      network: the `keras.Model`.
      dataset: that it was trained on.
      result: `result.json` of its run.
    """

    path: pathlib.Path
    name: str
    network: keras.Model
    dataset: object
    result: dict


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to write: its format and kind."""

    format: str
    kind: str = "float32"

    @property
    def file(self):
        """Its name; "." for the SavedModel, which is the folder."""
        if self.format == "saved_model":
            return "saved_model.pb"
        suffix = {"litert": ".tflite", "onnx": ".onnx"}[self.format]
        return "model" + ("" if self.kind == "float32" else f"-{self.kind}") + suffix


def jobs(formats, kinds, target):
    """The `Job`s of some formats, LiteRT once for each of some kinds.

    And of a SavedModel that `target` holds already, if no manifest says which network it is of.
    """
    if (target / "saved_model.pb").is_file() and not (target / MANIFEST).is_file():
        formats = dict.fromkeys([FORMATS[0], *formats])
    return [Job(name, kind) for name in formats for kind in (kinds if name == "litert" else ("float32",))]


def name_of(path):
    """The name of the folder that a .keras file's exports get: that of its run, one part of a path.

    Raises:
      ValueError: if it lies in no folder that has a name.
    """
    path = pathlib.Path(path).resolve()
    if not path.parent.name:
        raise ValueError(f"the folder of a network gives its exports their name. Received: {str(path)!r}")
    is_student = path.name in (layout.NETWORKS["student_distilled"], layout.MODEL)
    return path.parent.name + ("" if is_student else f"-{path.stem}")


def check_target(path):
    """Raises a FileExistsError if a folder holds something else than exported files."""
    if path.exists() and not any((path / name).is_file() for name in ("saved_model.pb", MANIFEST)):
        raise FileExistsError(f"{path} exists and holds no exported network: choose another --out")


def begin(target, part, digest):
    """Makes the folder `part` with what `target` has of the same network; returns what its manifest lists."""
    kept = _manifest(target)
    if kept and kept["digest"] == digest:
        shutil.copytree(target, part)
        return [each for each in kept["files"] if (part / each["file"]).is_file()]
    part.mkdir(parents=True)
    return []


def _manifest(folder):
    """What an earlier export wrote of itself; None if there is none."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        files = [{name: each[name] for name in _TOLD} for each in kept["files"]]
        return {"digest": kept["digest"], "files": files}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged or of an older version: delete {folder}, and write it again"
        ) from error


def write(job, source, folder, *, batch, fold, count, tolerance):
    """Writes one file and compares it, run by its own runtime, with the model.

    Args:
      job: a `Job`.
      source: a `Source`.
      folder: that gets the file.
      batch: images at a time; None: any.
      fold: whether BatchNorm is folded.
      count: test images to compare on.
      tolerance: for a SavedModel, which is compared where it is written too.

    Returns:
      `{"file", "format", "kind", "batch", "folded", "bytes"}` and the `parity.Parity`.
    """
    trained = signature.float32_copy(source.network)
    network = folding.fold_batch_norm(trained) if fold else trained
    path = folder / job.file
    if job.format == "saved_model":
        _write_saved_model(network, folder, source.dataset, batch, tolerance)
        logits, size = parity.saved_model_session(folder, batch), size_of_saved_model(folder)
    elif job.format == "litert":
        litert.convert(network, path, dataset=source.dataset, kind=job.kind, batch=batch)
        logits, size = litert.session(path), path.stat().st_size
    else:
        onnx.convert(network, path, dataset=source.dataset, batch=batch)
        logits, size = onnx.session(path), path.stat().st_size
    images, labels = parity.spread(source.dataset.test, count)
    expected = parity.expected_logits(source.network, images, source.dataset)
    found = parity.compare(logits(images), expected, labels)
    return {
        "file": job.file,
        "format": job.format,
        "kind": job.kind,
        "batch": batch,
        "folded": network is not trained,
        "bytes": size,
        **dataclasses.asdict(found),
    }


def _write_saved_model(network, folder, dataset, batch, tolerance):
    """A SavedModel is a folder; its files take the place of older ones in a folder that holds others too."""
    beside = folder / "written"
    saved_model.export_saved_model(network, beside, dataset=dataset, batch=batch, tolerance=tolerance)
    for name in _SAVED_MODEL:
        shutil.rmtree(folder / name, ignore_errors=True)
        if (beside / name).exists():
            (beside / name).replace(folder / name)
    beside.rmdir()


def size_of_saved_model(folder):
    """Bytes of a SavedModel's graph and variables."""
    files = [folder / "saved_model.pb", *(folder / "variables").iterdir()]
    return sum(file.stat().st_size for file in files)


def check(found, *, tolerance, same_class):
    """Raises a `parity.ParityError` for a file that `write` found to differ too much from the model."""
    of_file = parity.Parity(**{name: found[name] for name in parity.Parity.__dataclass_fields__})
    if found["kind"] == "float32":
        parity.check(of_file, found["file"], tolerance=tolerance)
    else:
        parity.check(of_file, found["file"], same_class=same_class)


def describe(source, folder, manifest):
    """Writes the manifest and the card."""
    files.write_json(manifest, folder / MANIFEST)
    write_card(source, folder)


def write_card(source, folder):
    """Writes the model card of a folder with a manifest, with the measured costs if they are there."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    cost, measured = cost_module.cost(source.network), folder / COSTS
    bundle.write(
        folder / CARD,
        name=source.name,
        dataset=source.result["dataset"],
        classes=source.dataset.num_classes,
        shape=list(source.dataset.image_shape),
        class_names=list(source.dataset.class_names or ()),
        files=manifest["files"],
        model=manifest["model"],
        digest=manifest["digest"],
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        peak={dtype: cost.peak(dtype) for dtype in BYTES},
        measured=_measured(json.loads(measured.read_text(encoding="utf-8"))) if measured.is_file() else None,
        recipe=_recipe(source),
        accuracy=accuracy(source.result, source.path.name),
        quantised=any(file["kind"] != "float32" for file in manifest["files"]),
    )


def _measured(found):
    """What the cost card says, for a table, and where it was measured."""
    columns, rows = cost_report.rows(found["networks"])
    return {
        "columns": columns,
        "rows": rows,
        "threads": found["threads"],
        "processor": found["machine"]["processor"],
    }


def _recipe(source):
    """What its run says about the training, in lines."""
    settings, result = source.result["settings"], source.result
    lines = [", ".join(f"{name} {value}" for name, value in settings.items())]
    if source.path.name == layout.NETWORKS["student_distilled"]:
        lines.append(
            f"Distilled from a teacher, temperature {result['temperature']}, alpha {result['alpha']} (weight "
            f"of the teacher's term)."
        )
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [*lines, f"Trained with {versions}."]


def accuracy(result, file):
    """Test accuracy that a run measured of one of its networks, by its file's name; None if it did not."""
    label = next((label for label, name in layout.NETWORKS.items() if name == file), None)
    row = result.get("networks", {}).get(label) or (result.get("measured") if file == layout.MODEL else None)
    return row and row["accuracy"]
