"""Write a trained network as files that run elsewhere, each checked by its own runtime; say what it costs.

    keras-kd export --model=runs/distill-digits/student.keras --cost

writes a SavedModel, LiteRT and ONNX files and a model card to `runs/distill-digits/exported/student/`;
`--cost` also compares the network with its twin and its teacher. Names alone, without a file, are compared by

    keras-kd export --cost --networks=resnet20,plain20,resnet50,plain50
"""

import pathlib

from keras_kd.cli import export_flags


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    export_flags.define(values)


def check(values):
    """Raises an error for flags that do not go together."""
    if bool(values.model) == bool(values.networks):
        raise ValueError("give --model=FILE.keras, or --cost with --networks=resnet20,plain20")
    if values.networks and not values.cost:
        raise ValueError("--networks are compared with --cost: add it")
    export_flags.check_given(values)
    if values.images and not values.model:
        raise ValueError("--images are of a network that was trained elsewhere: give its --model")


def _source(values):
    """The network that flags name, of a run or from elsewhere."""
    from keras_kd.export import given, sources

    if not values.images:
        return sources.find_source(values.model, values.dataset, values.data_dir)
    asked = {"preprocessing": values.preprocessing or given.AUTO, "class_map": values.class_map}
    return given.find_source(values.model, values.images, **asked)


def main(values):
    """Does what the flags ask for."""
    from keras_kd.cli import console, runs, terminal
    from keras_kd.cli.main import command_line
    from keras_kd.export import bundle, cost_card, model_card
    from keras_kd.utils import backend, folders

    if not backend.on_tensorflow():
        raise ValueError("files are written with the TensorFlow backend: give it without KERAS_BACKEND")
    config = bundle.BundleConfig(
        formats=tuple(values.formats),
        kinds=tuple(values.litert),
        batch=values.batch or None,
        fold=values.fold,
        images=values.test_images,
        tolerance=values.tolerance,
        same_class=values.same_class,
    )
    export_flags.require_runtimes(("litert", "onnx") if values.cost else values.formats)
    backend.hide_gpus()
    costs = cost_card.CostConfig(tuple(map(int, values.batches)), values.calls, values.threads, values.fold)
    if values.cost:
        cost_card.set_threads(costs.threads)
    asked = {"config": costs, "command": command_line(), "check_stop": console.stop_signal().check}
    if values.networks:
        folder = pathlib.Path(values.out or "costs")
        runs.check_place(folder, lock_beside=True)
        card, paths = cost_card.compare_names(values.networks, folder, **asked)
        terminal.print_costs(card)
        console.print_paths(**paths)
        return
    source = _source(values)
    target = source.path.parent / "exported" / source.path.stem
    if values.out:
        target = pathlib.Path(values.out) / source.name
    terminal.print_files(bundle.export_bundle(source, target, config, asked["check_stop"]))
    paths = {}
    if values.cost:
        card, paths = cost_card.compare_twins(source, target, **asked)
        terminal.print_costs(card)
        with folders.alone_in(target, cost_card.PATIENCE):
            model_card.write(source, target)
    console.print_paths(folder=target, card=target / model_card.CARD, **paths)
    console.print_next("predict", arguments=(target, "IMAGE"))
