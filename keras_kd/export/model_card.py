"""The model card that goes with exported files: what a deployer reads before the files are used.

Source: Mitchell et al. 2019, arXiv:1810.03993 (what belongs on a card).
"""

import dataclasses
import warnings

import jinja2

from keras_kd.distillation import compatibility, recipes, shortcut_removal
from keras_kd.export import cost_report, file_table, licences, manifest
from keras_kd.export.cost_results import CostCard
from keras_kd.export.formats import FORMATS
from keras_kd.models import cost as cost_module
from keras_kd.models.cost import BYTES
from keras_kd.reporting import formatting
from keras_kd.training.labels import DISTILLED, network_file, removal_label
from keras_kd.utils import files, run_dir

CARD = "README.md"
COSTS, COSTS_PAGE = "costs.json", "costs.html"


def write(source, folder):
    """Writes the model card of a folder with a manifest, with the measured costs if they are there."""
    about = manifest.read(folder)
    if not about.is_of(source):
        raise ValueError(f"{folder} holds the files of another export now: write them again")
    cost = cost_module.cost(source.network)
    outputs, names = compatibility.output_count(source.network), source.dataset.class_names or ()
    listed = [file for file in about.files if file.is_in(folder)]
    shown = dataclasses.replace(about, files=tuple(listed))
    others = {path.name for path in folder.glob("model*")} - {file.file for file in listed}
    _write(
        folder / CARD,
        name=source.name,
        dataset=source.result["dataset"],
        classes=outputs,
        shape=list(source.dataset.image_shape),
        class_names=[manifest.name_of(names, place) for place in range(outputs)] if names else [],
        columns=file_table.COLUMNS,
        table=file_table.rows(shown),
        advice=list(zip(file_table.advice(shown), map(_made, listed), strict=True)),
        remarks=[file.remark for file in listed if file.remark],
        first={name: next((each.file for each in listed if each.format == name), None) for name in FORMATS},
        batch=listed[0].batch if listed else None,
        others=sorted(others),
        model=about.model,
        digest=about.digest,
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        not_counted=cost.not_counted,
        peak={dtype: cost.peak(dtype) for dtype in BYTES},
        measured=_measured(folder / COSTS, about.digest),
        recipe=recipe(source),
        was_trained_in_run=source.was_trained_in_run,
        accuracy=source.accuracy if about.accuracy is None else about.accuracy,
        test_images=about.test_images or "all",
        licence=licences.licence_of(source.dataset.absolute_name or source.dataset.name),
        quantised=any(file.kind != "float32" for file in listed),
    )


def _made(file):
    """How a file takes images, and what became of BatchNorm."""
    counts = {None: "any number of images", 1: "one image"}
    count = counts.get(file.batch, f"{file.batch} images")
    return f"{count} at a time, BatchNorm {'folded into convolutions' if file.folded else 'as trained'}"


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
        "answers": card.answers,
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
    if source.comes_with_images:
        return [
            f"Trained elsewhere: how, and on what, is not known to this package. Pixels are "
            f"{source.result['preprocessing']}."
        ]
    with files.interpreting(source.path.parent / run_dir.RESULT):
        return _recipe(source)


def _recipe(source):
    if not source.was_trained_in_run:
        return ["Trained before this run: how, and on what, is not known to it. The data above measured it."]
    settings, result = source.result["settings"], source.result
    lines = [", ".join(f"{name} {value}" for name, value in settings.items())]
    removal = result.get("shortcut_removal", shortcut_removal.NoRemoval.name)
    removed = network_file(removal_label(shortcut_removal.parse_spec(removal.partition(":")[0])))
    is_removal = removal != shortcut_removal.NoRemoval.name
    if source.path.name in (network_file(DISTILLED), removed):
        loss = result.get("loss", recipes.KD)
        of_kd = (
            f", temperature {result['temperature']}, alpha {result['alpha']} (weight of the teacher's term)"
        )
        has_kd = recipes.parse_spec(loss).has_kd
        by = "" if loss == recipes.KD else f" by {loss}"
        lines.append(f"Distilled from a teacher{by}{of_kd if has_kd else ''}.")
    if is_removal and source.path.name in (removed, run_dir.MODEL):
        lines.append(f"Its shortcuts were removed in training: {removal}.")
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [*lines, f"Trained with {versions}."]


def _write(path, **values):
    """Writes a card as Markdown, atomically.

    Args:
      path: of the file.
      **values: what the template `card.md` asks for; one that lacks is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_kd.reporting"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it is Markdown, and nothing here comes from strangers
    )
    told = {"in_words": formatting.in_words, "number": formatting.number}
    files.write_text(environment.get_template("card.md").render(**told, **values), path)
