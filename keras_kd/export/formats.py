"""The formats of exported files: how each is written, and compared with its model by its own runtime."""

import dataclasses
import os

from keras_kd.export import litert, onnx, parity, saved_model, signature
from keras_kd.models import folding
from keras_kd.utils import files, folders, records

FORMATS = ("saved_model", "litert", "onnx")
KINDS = litert.KINDS

# What a quantised file may differ by before it is marked: share of images with the model's class, and logits
# as a share of the largest.
GOOD_SAME_CLASS, GOOD_LOGITS = 0.98, 0.1

# What is nearer to the model than a kind.
_INSTEAD = {
    "float16": "float32",
    "dynamic_range": "float16 or float32",
    "full_integer": "dynamic_range, float16 or float32",
}

_USES = {
    ("saved_model", "float32"): "TensorFlow Serving, Python with TensorFlow",
    ("litert", "float32"): "phones and small computers",
    ("litert", "float16"): "a smaller file, GPUs of phones",
    ("litert", "dynamic_range"): "a small file; feature maps stay float32",
    ("litert", "full_integer"): "the least memory, chips of integers",
    ("onnx", "float32"): "servers, desktops, browsers (ONNX Runtime)",
}

# Files of a SavedModel, which is the folder itself.
_SAVED_MODEL = ("saved_model.pb", "fingerprint.pb", "metadata.json", "variables", "assets")


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


# All that formats write.
FILES = (*_SAVED_MODEL, *(Job("litert", kind).file for kind in KINDS), Job("onnx").file)


@dataclasses.dataclass(frozen=True)
class ExportedFile:
    """A file that was written, and compared with the model.

    Attributes:
      file, format, kind: see `Job`.
      batch: images at a time; None: any.
      folded: whether BatchNorm is a part of the convolutions.
      bytes: its size.
      sha256: of what was compared; None in folders of older versions.
      parity: its `parity.Parity`.
    """

    file: str
    format: str
    kind: str
    batch: int | None
    folded: bool
    bytes: int
    parity: parity.Parity
    sha256: str | None = None

    @property
    def use(self):
        """What it is for, in words."""
        return _USES[self.format, self.kind]

    @property
    def remark(self):
        """What a deployer must know of a quantised file that differs much from the model, or None."""
        found = self.parity
        if self.kind == "float32" or (
            found.same_class >= GOOD_SAME_CLASS and found.max_logit_difference <= GOOD_LOGITS
        ):
            return None
        other = _INSTEAD[self.kind]
        return (
            f"{self.file} names another class for {1 - found.same_class:.1%} of {found.images} images, and "
            f"its logits differ by {found.max_logit_difference:.0%} of the largest: take {other} unless "
            f"that is good enough for you"
        )

    def is_in(self, folder):
        """Whether a folder has the file as it was compared."""
        return (folder / self.file).is_file() and self.sha256 == sha256_of(folder, self.file)

    def to_json(self):
        values = records.json_values(self)
        return values | records.json_values(values.pop("parity"))

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values | {"parity": values})


def write(job, source, folder, *, batch, fold, reference, tolerance):
    """Writes one file and compares it, run by its own runtime, with the model.

    Args:
      job: a `Job`.
      source: a `Source`.
      folder: that gets the file.
      batch: images at a time; None: any.
      fold: whether BatchNorm is folded.
      reference: the `parity.Reference` to compare with.
      tolerance: for a SavedModel, which is compared where it is written too.

    Returns:
      An `ExportedFile`.
    """
    trained = signature.serving_network(source.network, source.dataset)
    network = folding.fold_batch_norm(trained) if fold else trained
    path = folder / job.file
    if job.format == "saved_model":
        _write_saved_model(network, folder, source.dataset, batch, tolerance)
        session, size = parity.saved_model_session(folder, batch), size_of_saved_model(folder)
    elif job.format == "litert":
        litert.to_litert(network, path, dataset=source.dataset, kind=job.kind, batch=batch)
        session, size = parity.in_parts(litert.session(path)), path.stat().st_size
    else:
        onnx.to_onnx(network, path, dataset=source.dataset, batch=batch)
        session, size = parity.in_parts(onnx.session(path)), path.stat().st_size
    return ExportedFile(
        file=job.file,
        format=job.format,
        kind=job.kind,
        batch=batch,
        folded=network is not trained,
        bytes=size,
        parity=reference.compare(session),
        sha256=sha256_of(folder, job.file),
    )


def _write_saved_model(network, folder, dataset, batch, tolerance):
    """A SavedModel is a folder; its files take the place of older ones in a folder that holds others too."""
    beside = folder / "written"
    saved_model.write_saved_model(network, beside, dataset=dataset, batch=batch, tolerance=tolerance)
    for name in _SAVED_MODEL:
        if os.path.lexists(folder / name):
            folders.remove(folder / name)
        if (beside / name).exists():
            (beside / name).replace(folder / name)
    beside.rmdir()


def sha256_of(folder, file):
    """SHA-256 of an exported file, as text; of a SavedModel all that belongs to it.

    Args:
      folder: that holds it.
      file: its name.
    """
    whole = saved_model.parts(folder) if file == "saved_model.pb" else [folder / file]
    return files.sha256(whole, folder)


def size_of_saved_model(folder):
    """Bytes of a SavedModel's graph and variables."""
    files = [folder / "saved_model.pb", *(folder / "variables").iterdir()]
    return sum(file.stat().st_size for file in files)


def check(found, *, tolerance, same_class):
    """Raises a `parity.ParityError` for an `ExportedFile` that differs too much from the model."""
    if found.kind == "float32":
        parity.check(found.parity, found.file, tolerance=tolerance)
    else:
        parity.check(found.parity, found.file, same_class=same_class)
