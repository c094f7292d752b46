"""What the commands that analyze the networks of a run share: flags, the run they name, what is printed."""

import dataclasses
import pathlib
import shlex
import sys

from absl import flags

from experiments import console
from keras_kd.analysis import inputs, session
from keras_kd.analysis.landscape import surface
from keras_kd.data import provenance
from keras_kd.study.findings import analyses, networks
from keras_kd.utils import backend, progress


def define_flags(values):
    """Which networks and which images."""
    of = {"flag_values": values}
    flags.DEFINE_string("run", None, "Folder of a run of train, distill or study.", required=True, **of)
    flags.DEFINE_string("out", None, "Folder for what is found; in --run's if not given.", **of)
    flags.DEFINE_bool("overwrite", False, "Delete what is there already.", **of)
    flags.DEFINE_list("depths", None, "Of a study, such as 20,56; all if not given.", **of)
    flags.DEFINE_list("seeds", None, "Of a study, such as 0,1,2; all if not given.", **of)
    flags.DEFINE_string("dataset", None, "Where the run's dataset is, if it has moved.", **of)
    flags.DEFINE_string("data_dir", None, "Where tensorflow-datasets keeps its data.", **of)
    flags.DEFINE_enum("split", "train", inputs.SPLITS, "Which images are used.", **of)
    least = surface.FEWEST_EXAMPLES
    flags.DEFINE_integer(
        "examples", 0, f"How many; 0: as many as --standard_error takes, {least} at least.", **of
    )
    flags.register_validator(
        "examples",
        lambda count: count == 0 or count >= inputs.FEWEST,
        f"--examples must be 0, or at least {inputs.FEWEST}",
        flag_values=values,
    )
    flags.DEFINE_float(
        "standard_error", 0.05, "Of the mean loss of each network, nats.", lower_bound=1e-9, **of
    )


def config_of(values, config_type):
    """The configuration of an analysis that the flags ask for."""
    names = [field.name for field in dataclasses.fields(config_type) if field.name in values]
    return config_type(**{name: values[name].value for name in names})


def run(values, name, analyze, config, check):
    """Analyzes the networks of the run that flags name.

    Args:
      values: an `absl.flags.FlagValues`.
      name: of the analysis.
      analyze: such as `session.landscape_of`.
      config: of the analysis.
      check: `check(groups, source, config)` raises a ValueError before anything is written.
    """
    report = analyses.REPORTS[name]
    result, groups = networks.read_groups(values.run, values.depths, values.seeds)

    def load_dataset(seed):
        return provenance.load_dataset(values.run, result, seed, values.dataset, values.data_dir)

    source = inputs.ExampleSource(load_dataset, values.split, values.examples, values.standard_error)
    check(groups, source, config)
    settings = console.flags_of_script()
    folder = values.out or pathlib.Path(values.run) / name
    with session.claimed(folder, values.run, settings, values.overwrite) as folder:
        with progress.ProgressReporter(console.STOP.check) as shown:

            def analyze_one(group, own):
                return analyze(group, own, config, source, shown.named(group.name))

            found = session.analyze_groups(groups, folder, report.result_type, analyze_one)
        for remark in dict.fromkeys(remark for group in found for remark in report.remarks(group)):
            progress.say(remark)
        record = session.AnalysisRecord(
            command=shlex.join(["python", "-m", f"experiments.{name}", *sys.argv[1:]]),
            run=values.run,
            dataset=result["dataset"]["name"],
            split=values.split,
            versions=session.versions(),
            groups=found,
        )
        _print(*analyses.write(record, report, folder), report, folder)


def _print(record, study_page, report, folder):
    for title, columns, rows in analyses.printed_tables(record, report):
        console.print_table(title, [dict(zip(columns, row, strict=True)) for row in rows], columns)
    first = record.groups[0]
    console.print_paths(
        page=folder / f"{report.name}.html",
        **({"report": study_page} if study_page else {}),
        pictures=session.folder_of(folder, first.kind, first.name) / "pictures",
        tensorboard=folder / "tensorboard"
        if backend.has_tensorflow()
        else "only where TensorFlow is installed",
        result=folder / "result.json",
    )
