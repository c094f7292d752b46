"""Files to deploy: what each format writes, how it is compared with its model, the card beside them."""

import dataclasses
import shutil
import time
import warnings

from keras_kd.distillation import recipes, shortcut_removal
from keras_kd.export import cost_report, formats, model_card, sources
from keras_kd.export.cost_results import CostCard
from keras_kd.export.formats import FORMATS, KINDS
from keras_kd.models import cost as cost_module
from keras_kd.models import weights
from keras_kd.models.cost import BYTES
from keras_kd.training.labels import DISTILLED, network_file, removal_label
from keras_kd.utils import files, folders, limits, records, run_dir

CARD = "README.md"
MANIFEST = "export.json"
COSTS = "costs.json"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What `export.json` says of a folder of exported files.

    Attributes:
      model: path of the .keras file.
      run: folder of its run; None in folders of older versions.
      digest: of its weights.
      files: `formats.ExportedFile`s.
      class_names: of its outputs; empty in folders of older versions.
    """

    model: str
    digest: str
    files: tuple[formats.ExportedFile, ...]
    run: str | None = None
    class_names: tuple[str, ...] = ()

    def to_json(self):
        return records.json_values(self) | {"files": [each.to_json() for each in self.files]}

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)


def jobs(names, kinds, target):
    """The `formats.Job`s of some formats, LiteRT once for each of some kinds.

    And of a SavedModel that `target` holds already, if no manifest says which network it is of.
    """
    if (target / "saved_model.pb").is_file() and not (target / MANIFEST).is_file():
        names = dict.fromkeys([formats.FORMATS[0], *names])
    return [
        formats.Job(name, kind) for name in names for kind in (kinds if name == "litert" else ("float32",))
    ]


def check_target(path, source):
    """Raises a FileExistsError if a folder holds something else than exported files of this run.

    Args:
      path: of the folder.
      source: the `sources.Source` that is to be exported there.
    """
    if not path.exists():
        return
    if not any((path / name).is_file() for name in ("saved_model.pb", MANIFEST)):
        raise FileExistsError(f"{path} exists and holds no exported network: choose another folder")
    listed = _manifest(path)
    if listed and not sources.is_run(source, listed.run):
        raise FileExistsError(f"{path} holds the files of another run, {listed.run}: choose another folder")


def begin(target, part, digest):
    """Makes the folder `part` with what `target` has of the same network; returns its `ExportedFile`s."""
    kept = _manifest(target)
    if not kept or kept.digest != digest:
        part.mkdir(parents=True)
        return []
    if (target / COSTS).is_file():
        files.read_json(target / COSTS)  # it goes into the card: damage is told before anything is written
    shutil.copytree(target, part)
    whole = [each for each in kept.files if each.is_in(part)]
    for each in kept.files:
        if each not in whole:
            warnings.warn(
                f"{target / each.file} is not the file that was compared with the model: the card does not "
                f"list it, write it again",
                stacklevel=2,
            )
    return whole


def _manifest(folder):
    """The `Manifest` of an earlier export; None if there is none."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        with files.interpreting(path):
            return Manifest.from_json(files.read_json(path))
    except files.DamagedFileError as error:
        raise ValueError(
            f"{path} is damaged or of an older version: delete {folder}, and write it again"
        ) from error


def write_manifest(source, folder, manifest):
    """Writes a `Manifest` and the card."""
    files.write_json(manifest.to_json(), folder / MANIFEST)
    write_card(source, folder)


def write_card(source, folder):
    """Writes the model card of a folder with a manifest, with the measured costs if they are there."""
    manifest = _manifest(folder)
    if manifest.digest != weights.digest(source.network):
        raise ValueError(f"{folder} holds the files of another network now: write them again")
    cost = cost_module.cost(source.network)
    listed = [file for file in manifest.files if file.is_in(folder)]
    others = {path.name for path in folder.glob("model*")} - {file.file for file in listed}
    model_card.write(
        folder / CARD,
        name=source.name,
        dataset=source.result["dataset"],
        classes=source.dataset.num_classes,
        shape=list(source.dataset.image_shape),
        class_names=list(source.dataset.class_names or ()),
        files=listed,
        first={name: next((each.file for each in listed if each.format == name), None) for name in FORMATS},
        batch=listed[0].batch if listed else None,
        others=sorted(others),
        model=manifest.model,
        digest=manifest.digest,
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        not_counted=cost.not_counted,
        peak={dtype: cost.peak(dtype) for dtype in BYTES},
        measured=_measured(folder / COSTS, manifest.digest),
        recipe=recipe(source),
        accuracy=sources.accuracy(source.result, source.path.name, source.network),
        quantised=any(file.kind != "float32" for file in listed),
    )


def _measured(path, digest):
    """What a cost card says of a network, for a table, and where it was measured; None without one."""
    if not path.is_file():
        return None
    with files.interpreting(path):
        card = CostCard.from_json(files.read_json(path))
    if card.digest != digest:
        warnings.warn(
            f"{path.name} was not measured on this network, or by an older version: the model card leaves it "
            f"out, measure the costs again",
            stacklevel=2,
        )
        return None
    columns, rows = cost_report.rows(card.networks)
    return {
        "columns": columns,
        "rows": rows,
        "threads": card.threads,
        "processor": card.machine["processor"],
    }


def recipe(source):
    """What the run of a `sources.Source` says about its training, in lines.

    Raises:
      DamagedFileError: if the run's result does not say it.
    """
    with files.interpreting(source.path.parent / run_dir.RESULT):
        return _recipe(source)


def _recipe(source):
    settings, result = source.result["settings"], source.result
    lines = [", ".join(f"{name} {value}" for name, value in settings.items())]
    removal = result.get("shortcut_removal", shortcut_removal.NoRemoval.name)
    removed = network_file(removal_label(shortcut_removal.parse_spec(removal)))
    if source.path.name in (network_file(DISTILLED), removed):
        loss = result.get("loss", recipes.KD)
        of_kd = (
            f", temperature {result['temperature']}, alpha {result['alpha']} (weight of the teacher's term)"
        )
        has_kd = recipes.parse_spec(loss).has_kd
        by = "" if loss == recipes.KD else f" by {loss}"
        lines.append(f"Distilled from a teacher{by}{of_kd if has_kd else ''}.")
    if source.path.name == removed:
        lines.append(f"Its shortcuts were removed in training: {removal}.")
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [*lines, f"Trained with {versions}."]


@dataclasses.dataclass(frozen=True)
class BundleConfig:
    """Which files, and how well they must agree with the model.

    Attributes:
      formats: of `formats.FORMATS`.
      kinds: of LiteRT files, of `formats.KINDS`.
      batch: images at a time; None: any number.
      fold: whether BatchNorm becomes a part of the convolutions.
      images: test images on which files are compared.
      tolerance: largest difference of logits of float32 files, as a share of the largest logit.
      same_class: share of images of which quantised files must say the same class.

    Raises:
      ValueError: for an unknown format or kind, or none.
    """

    formats: tuple = FORMATS
    kinds: tuple = KINDS
    batch: int | None = None
    fold: bool = True
    images: int = 300
    tolerance: float = 1e-4
    same_class: float = 0.95

    def __post_init__(self):
        if self.batch is not None:
            limits.IMAGES_AT_A_TIME.check("batch", self.batch)
        for name, allowed in RANGES.items():
            allowed.check(name, getattr(self, name))
        for name, known in (("formats", FORMATS), ("kinds", KINDS)):
            given = getattr(self, name)
            limits.check_each_once(name, given)
            unknown = [each for each in given if each not in known]
            if unknown or not given:
                raise ValueError(
                    f"{name} are {', '.join(known)}. Received: {', '.join(unknown) or 'nothing'}"
                )


RANGES = {"images": limits.IMAGES, "tolerance": limits.SHARE, "same_class": limits.SHARE}


def export_bundle(source, target, config, check_stop=lambda done: None):
    """Writes and checks every file, and then puts all in the place of what was there.

    Args:
      source: a `sources.Source`.
      target: folder of the files; those of the same network that are there already stay.
      config: a `BundleConfig`.
      check_stop: is called before each file; what it raises leaves the folder as it was.

    Returns:
      The `formats.ExportedFile`s of the manifest.

    Raises:
      FileExistsError: if the folder holds something else, or the files of another run.
      parity.ParityError: if a file differs too much from the model; the folder stays as it was.
    """
    check_target(target, source)
    recipe(source)  # what is damaged there is told before anything is written
    if config.batch:
        size = config.batch * cost_module.cost(source.network).peak("float32")
        limits.check_memory(f"a batch of {config.batch} images", size)
    digest = weights.digest(source.network)
    with folders.replacing_folder(target) as part:
        check_target(target, source)  # no other process writes there now
        listed = begin(target, part, digest)
        written = []
        for job in jobs(config.formats, config.kinds, target):
            check_stop(f"{target} left as it was")
            written.append(_write_checked(job, source, part, config))
        names = {each.file for each in written}
        written += [each for each in listed if each.file not in names]
        written.sort(key=lambda each: (formats.FORMATS.index(each.format), formats.KINDS.index(each.kind)))
        names = tuple(source.dataset.class_names)
        about = Manifest(str(source.path), digest, tuple(written), sources.run_of(source), names)
        write_manifest(source, part, about)
    return written


def _write_checked(job, source, folder, config):
    began = time.monotonic()
    options = {"batch": config.batch, "fold": config.fold, "tolerance": config.tolerance}
    found = formats.write(job, source, folder, count=config.images, **options)
    formats.check(found, tolerance=config.tolerance, same_class=config.same_class)
    print(f"{found.file}: written and compared in {time.monotonic() - began:.0f} s", flush=True)
    return found
