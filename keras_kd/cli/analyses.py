"""What the commands that analyze the networks of a run share: flags, the run they name, what is printed."""

import dataclasses
import functools
import pathlib

from keras_kd.cli import flags
from keras_kd.utils import limits


def define_flags(values):
    """Which networks and which images."""
    common = flags.Group(values, flags.COMMON)
    common.text("run", None, "Folder of a run of train, distill or study.")
    common.texts("depths", None, "Of a study, such as 20,56; all if not given.")
    common.texts("seeds", None, "Of a study, such as 0,1,2; all if not given.")
    words = "Of a study, ways of students to compare too, such as fade or none; all if not given."
    common.texts("shortcut_removals", None, words)
    flags.define_run(values, "a folder in that of --run")
    images = flags.Group(values, "images")
    images.choice("split", "train", ("train", "test"), "Which are used.")
    images.integer(
        "examples", 0, "How many, 8 at least; 0: as many as --standard_error takes.", limits.EXAMPLES
    )
    images.number("standard_error", 0.05, "Of the mean loss of each network, nats.", limits.STANDARD_ERROR)
    images.text("dataset", None, "Where the run's dataset is, if it has moved.")
    images.text("data_dir", None, "Where tensorflow-datasets keeps its data.")


def check(values):
    """Raises a ValueError for flags that cannot be."""
    if not values.run:
        raise ValueError("--run must name the folder of a run of train, distill or study")
    if 0 < values.examples < 8:
        raise ValueError(f"--examples must be 0, or at least 8. Received: --examples={values.examples}")


def config_of(values, config_type):
    """The configuration of an analysis that the flags ask for."""
    names = [field.name for field in dataclasses.fields(config_type) if field.name in values]
    return config_type(**{name: values[name].value for name in names})


def analyze(values, name, config, analyze_group, check_inputs):
    """Analyzes the networks of the run that flags name.

    Args:
      values: an `absl.flags.FlagValues`.
      name: of the analysis.
      config: of the analysis.
      analyze_group: such as `session.landscape_of`.
      check_inputs: such as `session.check_landscape`; called before anything is written.
    """
    from keras_kd.analysis import inputs, session
    from keras_kd.cli import console
    from keras_kd.cli import main as main_line
    from keras_kd.data import provenance
    from keras_kd.data.dataset import check_one_class
    from keras_kd.study.findings import analyses, networks
    from keras_kd.utils import progress

    report = analyses.REPORTS[name]
    result, groups = networks.read_groups(values.run, values.depths, values.seeds, values.shortcut_removals)

    def load_dataset(seed):
        found = provenance.load_dataset(values.run, result, seed, values.dataset, values.data_dir)
        check_one_class(found, "an analysis")
        return found

    source = inputs.ExampleSource(load_dataset, values.split, values.examples, values.standard_error)
    check_inputs(groups, source, config)
    folder = pathlib.Path(values.out or pathlib.Path(values.run) / name)
    with session.claimed(folder, values.run, flags.as_text(values), values.overwrite, name):
        with progress.WorkLine("networks", sum(len(group.files) for group in groups)) as line:
            shown = functools.partial(_on_progress, line, groups, console.stop_signal().check)
            found = session.analyze_groups(
                groups,
                folder,
                report.result_type,
                lambda group, own: analyze_group(group, own, config, source, functools.partial(shown, group)),
            )
        record = session.AnalysisRecord(
            command=main_line.command_line(),
            run=values.run,
            dataset=result["dataset"]["name"],
            split=values.split,
            versions=session.versions(),
            groups=found,
        )
        _print(*analyses.write(record, report, folder), report, folder)
        _print_next(groups, report, values.run, flags.given_of(values, flags.MOVED_DATA))


def _on_progress(line, groups, check_stop, group, title, share):
    """Shows how many of all networks are done, and ends the work where a signal asked for it.

    Args:
      line: a `progress.WorkLine`.
      groups: `NetworkGroup`s, in their order.
      check_stop: is called with what is done, in words; what it raises ends the work.
      group: the one under way.
      title: of what is being measured.
      share: of the group's work that is done, in [0, 1].
    """
    check_stop(f"{group.name}, {title}: {share:.0%} done")
    before = sum(len(each.files) for each in groups[: groups.index(group)])
    line.show(before + share * len(group.files), f"{group.name}, {title}" if len(groups) > 1 else title)


def _print(record, study_page, report, folder):
    from keras_kd.analysis import session
    from keras_kd.cli import console
    from keras_kd.study.findings import analyses
    from keras_kd.utils import backend, run_dir

    answer = analyses.answer(record, report)
    print(*answer.sentences, *answer.basis, sep="\n")
    for title, columns, rows in analyses.printed_tables(record, report):
        console.print_table(title, [dict(zip(columns, row, strict=True)) for row in rows], columns)
    for remark in dict.fromkeys(remark for group in record.groups for remark in report.remarks(group)):
        print(remark)
    first = record.groups[0]
    has_tensorboard = backend.has_tensorflow()
    console.print_paths(
        page=folder / f"{report.name}.html",
        **({"report": study_page} if study_page else {}),
        pictures=session.folder_of(folder, first.kind, first.name) / "pictures",
        tensorboard=folder if has_tensorboard else "only where TensorFlow is installed",
        result=folder / run_dir.RESULT,
    )


def _print_next(groups, report, run, data):
    """The other analysis; where that was made, the export of the last network; with flags of the data."""
    from keras_kd.cli import console
    from keras_kd.study.findings import analyses
    from keras_kd.utils import run_dir

    (other,) = (name for name in analyses.REPORTS if name != report.name)
    if (pathlib.Path(run) / other / run_dir.RESULT).is_file():
        console.print_next_export(list(groups[-1].files.values())[-1], **data)
    else:
        console.print_next(other, run=run, **data)
