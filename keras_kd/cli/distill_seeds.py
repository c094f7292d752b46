"""`distill --seeds`: the whole comparison for each seed, each in a folder of its own, and what they say."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import io
import os

import keras
from absl import flags as absl_flags

from keras_kd.cli import console, distill, distill_runs, flags, runs, terminal
from keras_kd.reporting import notes
from keras_kd.training import comparison
from keras_kd.training.labels import network_file
from keras_kd.training.networks_line import NetworksLine
from keras_kd.utils import files, processes, progress, run_dir

# Between two looks at processes that train.
SECONDS = 0.5

# Of a run over seeds, not of one seed's.
_OWN = ("seeds", "seed", "jobs")

# Of the result of one seed, not of all.
_OF_A_SEED = ("seed", "export", "fingerprints")


def main(values):
    """Does what the flags ask for, over seeds."""
    seeds = distill.seeds_of(values)
    name = f"{runs.default_folder('distill', values.dataset).removeprefix('runs/')}-seeds"
    run = runs.open_run(values, "distill", name=name, changeable=distill.CHANGEABLE)
    result = runs.finished(run, values)
    each = {seed: _arguments(values, run, seed, is_first=seed == seeds[0]) for seed in seeds}
    if result is None:
        first, own = _opened(each[seeds[0]], values.overwrite)
        prepared = distill_runs.prepare(first, own)
        work = functools.partial(_train, values, run, each, prepared)
        result = runs.complete(run, values, prepared.settings, work)
    with files.interpreting(run.path / run_dir.RESULT):
        found = {
            int(seed): comparison.Comparison.from_json(stored)
            for seed, stored in result["comparisons"].items()
        }
    _print(run, result, found, *_opened(each[seeds[0]]))


def _arguments(values, run, seed, is_first):
    """Flags of one seed's run: those that were given, with its seed and folder; the first one exports."""
    given = {name: text for name, text in flags.as_text(values, only_given=True).items() if name not in _OWN}
    given |= {"seed": seed, "out": folder_of(run, seed), "jobs": values.jobs}
    if is_first and values.saved_models:
        given["saved_models"] = values.saved_models
    return [f"--{name}={text}" for name, text in given.items()]


def _opened(arguments, overwrite=False):
    """`(values, run)` of one seed; what an earlier run left there may be of other flags if it makes room."""
    values = absl_flags.FlagValues()
    distill.define_flags(values)
    values(["distill", *arguments, *(["--overwrite"] if overwrite else [])])
    return values, runs.open_run(values, "distill", changeable=distill.CHANGEABLE)


def folder_of(run, seed):
    """Where the run of one seed is."""
    return run.path / f"seed-{seed}"


def _train(values, run, each, prepared):
    """Trains all seeds that are not finished; returns the result of the whole."""
    folders = {seed: folder_of(run, seed) for seed in each}
    at_a_time = seeds_at_a_time(values, prepared, len(each))
    with NetworksLine(prepared.labels(values), [*folders.values()], prepared.settings.epochs) as line:
        left = list(each) if at_a_time == 1 else _train_beside(each, at_a_time, line)
        _train_in_turn({seed: each[seed] for seed in left}, folders, prepared.dataset, line)
    stored = [files.read_json(folder / run_dir.RESULT) for folder in folders.values()]
    kept = [field.name for field in dataclasses.fields(comparison.Comparison) if field.name != "models"]
    comparisons = {
        str(seed): {name: one[name] for name in kept if name in one}
        for seed, one in zip(each, stored, strict=True)
    }
    shared = {name: value for name, value in stored[0].items() if name not in (*kept, *_OF_A_SEED)}
    return {"seeds": list(each), "comparisons": comparisons} | shared


def seeds_at_a_time(values, prepared, seeds):
    """How many seeds are trained at a time, each two networks at a time: as many as have two cores each."""
    if runs.networks_at_a_time(values, prepared.settings, prepared.student) == 1:
        return 1
    return max(1, min(seeds, (os.cpu_count() or 1) // 2))


def _train_in_turn(each, folders, dataset, line):
    """Trains seeds in this process, one after the other."""
    first = next(iter(folders))
    for seed, arguments in each.items():
        keras.utils.clear_session()  # as if each seed had a process of its own
        line.folder = folders[seed]
        print(f"seed {seed}", flush=True)
        train_seed(arguments, is_first=seed == first, dataset=dataset)


def train_seed(arguments, is_first, dataset=None):
    """Trains, or goes on with, the run of one seed.

    Args:
      arguments: flags of that run.
      is_first: whether its student is exported.
      dataset: where it is loaded already.
    """
    values, run = _opened(arguments)
    if run.result() is None:
        prepared = distill_runs.prepare(values, run, dataset)
        work = functools.partial(distill_runs.distil, prepared, run.path, values, exports=is_first)
        runs.complete(run, values, prepared.settings, work)


def _train_beside(each, at_a_time, line):
    """Trains seeds in other processes, so many at a time; returns those whose process ended."""
    print(f"{len(each)} seeds, {at_a_time} at a time", flush=True)
    first, waiting, running, left = next(iter(each)), list(each.items()), {}, []
    with processes.ProcessExecutor(at_a_time, threads=None) as executor:
        while waiting or running:
            while waiting and len(running) < at_a_time:
                seed, arguments = waiting.pop(0)
                running[executor.submit(_train_there, arguments, seed == first)] = seed
            done, _ = concurrent.futures.wait(running, SECONDS, concurrent.futures.FIRST_COMPLETED)
            line.look()
            runs.check_stop()
            for future in done:
                seed = running.pop(future)
                try:
                    future.result()  # raises what went wrong there
                except concurrent.futures.BrokenExecutor as error:
                    progress.say(f"seed {seed}: its own process ended ({error}), it is trained here")
                    left.append(seed)
                else:
                    print(f"seed {seed} is done", flush=True)
    return left


def _train_there(arguments, is_first):
    """What is called in another process."""
    with progress.silence(), contextlib.redirect_stdout(io.StringIO()):
        train_seed(arguments, is_first)


def _print(run, result, found, first_values, first_run):
    first, *_ = found
    about = {"loss": result["loss"], "epochs": result["settings"]["epochs"]}
    if len(found) == 1:
        terminal.print_comparison(found[first], **about)
    else:
        terminal.print_over_seeds(list(found.values()), **about)
        noted = [
            (f"seed {seed}, {label.replace('_', ' ')}", sentences)
            for seed, each in found.items()
            for label, sentences in each.notes.items()
        ]
        console.print_notes(notes.grouped(noted))
    print(f"Each seed's folder is a run of its own; the student of seed {first}, the first, is exported.")
    console.print_paths(
        run=run.path,
        seeds=", ".join(folder_of(run, seed).name for seed in found),
        tensorboard=runs.tensorboard_of(run),
        curves=first_run.path / "curves.png",
        saved_model=runs.find_export(first_values, first_run),
        result=run.path / run_dir.RESULT,
    )
    student = first_run.path / network_file(list(found[first].networks)[-1])
    console.print_next("export", "cost", model=student, **flags.given_of(first_values, ["data_dir"]))
