"""Files to deploy: what each format writes, how it is compared with its model, the card beside them."""

import dataclasses
import math
import pathlib
import shutil
import time
import warnings

from keras_kd.export import formats, manifest, model_card, parity, saved_model, sources
from keras_kd.export.formats import FORMATS, KINDS
from keras_kd.models import cost as cost_module
from keras_kd.models import weights
from keras_kd.utils import files, folders, limits, progress


def jobs(names, kinds, target):
    """The `formats.Job`s of some formats, LiteRT once for each of some kinds.

    And of a SavedModel that `target` holds already, if no manifest says which network it is of.
    """
    if (target / "saved_model.pb").is_file() and not (target / manifest.MANIFEST).is_file():
        names = dict.fromkeys([formats.FORMATS[0], *names])
    return [
        formats.Job(name, kind) for name in names for kind in (kinds if name == "litert" else ("float32",))
    ]


def check_target(path, source):
    """Raises a FileExistsError if a folder holds something else than exported files of this run.

    And a ValueError for a path that is a pattern to TensorFlow.

    Args:
      path: of the folder.
      source: the `sources.Source` that is to be exported there.
    """
    saved_model.check_path(path)
    if not path.exists():
        return
    if not any((path / name).is_file() for name in ("saved_model.pb", manifest.MANIFEST)):
        raise FileExistsError(f"{path} exists and holds no exported network: choose another folder")
    listed = manifest.read(path)
    if not listed and not saved_model.is_exported(path):
        raise FileExistsError(f"{path} holds a SavedModel that export did not write: choose another folder")
    run = listed.run if listed else saved_model.made_by(path)
    if not sources.is_run(source, run):
        raise FileExistsError(f"{path} holds the files of another run, {run}: choose another folder")


# Names that an export gives; what else is in its folder is the user's.
OF_EXPORT = {*formats.FILES, manifest.MANIFEST, model_card.CARD, model_card.COSTS, model_card.COSTS_PAGE}


def begin(target, part, source, written=()):
    """Makes the folder of an export, with the files of an earlier one of the same `sources.identity`.

    What is of no export stays anyway.

    Args:
      target: folder of the earlier one, which need not be there.
      part: the new folder.
      source: the `sources.Source` that is exported.
      written: names of the files that are written anyway.

    Returns:
      The `ExportedFile`s that are as they were compared.
    """
    kept = manifest.read(target)
    if kept and kept.is_of(source):
        if (target / model_card.COSTS).is_file():
            files.read_json(target / model_card.COSTS)  # damage is told before anything is written
        _copy(target, part)
        return _whole(kept, target, part)
    lost = [each.file for each in kept.files if (target / each.file).is_file()] if kept else []
    _tell_of_lost(target, [name for name in lost if name not in written])
    if target.exists():
        _copy(target, part, {*OF_EXPORT, *lost})
    else:
        part.mkdir(parents=True)
    return []


def _copy(target, part, without=()):
    """Copies a folder, but for some names in it, which folders within it may have; links stay links."""

    def left_out(folder, _):
        return without if pathlib.Path(folder) == target else ()

    shutil.copytree(target, part, symlinks=True, ignore=left_out)


def _whole(kept, target, part):
    """The files that a manifest lists and that are as they were compared; warns of the others."""
    whole = [each for each in kept.files if each.is_in(part)]
    for each in kept.files:
        if each not in whole:
            warnings.warn(
                f"{target / each.file} is not the file that was compared with the model: the card does not "
                f"list it, write it again",
                stacklevel=3,
            )
    return whole


def _tell_of_lost(target, names):
    """Says that files of an earlier export do not stay."""
    if names:
        progress.say(
            f"{target}: {', '.join(names)} is of another network, or of other images, classes or scales of "
            f"pixels, and not taken over: write it again"
        )


@dataclasses.dataclass(frozen=True)
class BundleConfig:
    """Which files, and how well they must agree with the model.

    Attributes:
      formats: of `formats.FORMATS`.
      kinds: of LiteRT files, of `formats.KINDS`.
      batch: images at a time; None: any number.
      fold: whether BatchNorm becomes a part of the convolutions.
      images: test images on which files are compared; None: all, or as many as take `QUICK` multiply-adds.
      tolerance: largest difference of logits of float32 files, as a share of the largest logit.
      same_class: share of images of which quantised files must say the same class.

    Raises:
      ValueError: for an unknown format or kind, or none.
    """

    formats: tuple = FORMATS
    kinds: tuple = KINDS
    batch: int | None = None
    fold: bool = True
    images: int | None = None
    tolerance: float = 1e-4
    same_class: float = 0.95

    def __post_init__(self):
        if self.batch is not None:
            limits.IMAGES_AT_A_TIME.check("batch", self.batch)
        for name, allowed in RANGES.items():
            if getattr(self, name) is not None:
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
      target: folder of the files; those of the same `sources.identity` that are there already stay.
      config: a `BundleConfig`.
      check_stop: is called before each file; what it raises leaves the folder as it was.

    Returns:
      The `manifest.Manifest`.

    Raises:
      FileExistsError: if the folder holds something else, or the files of another run.
      parity.ParityError: if a file differs too much from the model; the folder stays as it was.
    """
    check_target(target, source)
    model_card.recipe(source)  # what is damaged there is told before anything is written
    if config.batch:
        size = config.batch * cost_module.cost(source.network).peak("float32")
        limits.check_memory(f"a batch of {config.batch} images", size)
    with folders.replacing_folder(target) as part:
        check_target(target, source)  # no other process writes there now
        to_write = jobs(config.formats, config.kinds, target)
        listed = begin(target, part, source, [job.file for job in to_write])
        written, reference = [], parity.reference_of(source.network, source.dataset, _count(source, config))
        for job in to_write:
            check_stop(f"{target} left as it was")
            written.append(_write_checked(job, source, part, config, reference))
        names = {each.file for each in written}
        written += [each for each in listed if each.file not in names]
        written.sort(key=lambda each: (formats.FORMATS.index(each.format), formats.KINDS.index(each.kind)))
        about = manifest.Manifest(
            model=str(source.path),
            digest=weights.digest(source.network),
            files=tuple(written),
            run=sources.run_of(source),
            class_names=tuple(source.dataset.class_names),
            accuracy=reference.accuracy if reference.is_whole else source.accuracy,
            test_images=reference.of,
            resizing=source.dataset.resizing,
            identity=sources.identity(source),
        )
        files.write_json(about.to_json(), part / manifest.MANIFEST)
        model_card.write(source, part)
    return about


# Multiply-adds of the images that a file is asked about, without being told how many: a minute on one core.
QUICK = 1e12

# So many images are asked about all the same.
_LEAST = 300

# And no more than take so many bytes.
_LARGEST = 5e8


def _count(source, config):
    """How many test images files are compared on."""
    if config.images:
        return config.images
    in_time = QUICK / max(cost_module.cost(source.network).multiply_adds, 1)
    in_memory = _LARGEST / math.prod(source.dataset.image_shape)
    return int(max(_LEAST, min(in_time, in_memory, limits.IMAGES.high)))


def _write_checked(job, source, folder, config, reference):
    began = time.monotonic()
    options = {"batch": config.batch, "fold": config.fold, "tolerance": config.tolerance}
    found = formats.write(job, source, folder, reference=reference, **options)
    formats.check(found, tolerance=config.tolerance, same_class=config.same_class)
    progress.say(f"{found.file}: written and compared in {time.monotonic() - began:.0f} s")
    return found
