"""Say what networks cost against their residual twins: parameters, multiply-adds, peak memory, latency.

    keras-kd cost plain20
    keras-kd cost runs/distill-digits cifar_resnet:20:width=8:shortcuts=none any.keras

A network is a text as for --student (or short: plain20, resnet50), a run's folder (its last student), or any
.keras file. Nothing of its dataset is read.
"""

import pathlib

from keras_kd.cli import export_flags, flags
from keras_kd.utils import checks

ARGUMENTS = "NETWORK..."


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    common = flags.Group(values, flags.COMMON)
    common.text("out", "costs", "Folder that gets the page and the numbers.")
    common.switch("latency", True, "Convert and time in three runtimes; else costs are counted, at once.")
    export_flags.define_costs(values)
    flags.Group(values, "costs").switch("fold", True, "Make BatchNorm a part of the convolutions.")


def check_arguments(arguments):
    """Raises a ValueError without a network, or with one that a page cannot name."""
    if not arguments:
        raise ValueError("give a network, as in keras-kd cost plain20 or keras-kd cost student.keras")
    for network in arguments:
        checks.check_line(network, "the network")


def main(values, arguments):
    """Does what the flags ask for, of networks."""
    from keras_kd.cli import console, runs, terminal
    from keras_kd.cli.main import command_line
    from keras_kd.export import cost_card
    from keras_kd.utils import backend

    runs.check_place(values.out, lock_beside=True)
    if values.latency:
        if not backend.on_tensorflow():
            raise ValueError(
                "latencies are of the TensorFlow backend: add --nolatency, or leave KERAS_BACKEND"
            )
        export_flags.require_runtimes(("litert", "onnx"))
        cost_card.set_threads(values.threads)
    backend.hide_gpus()
    config = cost_card.CostConfig(
        tuple(map(int, values.batches)), values.calls, values.threads, values.fold, values.latency
    )
    asked = {"config": config, "command": command_line(), "check_stop": console.stop_signal().check}
    card, paths = cost_card.compare_with_twins(arguments, pathlib.Path(values.out), **asked)
    terminal.print_costs(card)
    console.print_paths(**paths)
    _print_next(arguments[0])


def _print_next(network):
    """Of the first network: a file is exported, a text is trained."""
    from keras_kd.cli import console
    from keras_kd.export import cost_networks, sources

    path = pathlib.Path(network)
    path = sources.file_of_run(path) if path.is_dir() else path
    if path.suffix != ".keras":
        console.print_next("distill", student=cost_networks.spec_of(network))
    else:
        console.print_next_export(path)
