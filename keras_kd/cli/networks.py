"""The networks that flags name: student, teacher, and what is trained beside them."""

import pathlib

import keras

from keras_kd.cli import teacher_flags
from keras_kd.data import provenance
from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import compatibility
from keras_kd.export import sources
from keras_kd.models import blocks, heads, network_checks, registry, serialization
from keras_kd.training.distributed import strategy
from keras_kd.utils import files, progress, run_dir, seeding, specs


def student_spec(values):
    """What `registry.build_for` builds the student of."""
    if values.student:
        return values.student
    shortcuts = registry.parse_shortcuts(values.student_shortcuts)
    return _cifar_resnet(values.student_depth, values.student_width, shortcuts)


def teacher_spec(values):
    """The same of the teacher."""
    return values.teacher or _cifar_resnet(values.teacher_depth, values.teacher_width, True)


def _cifar_resnet(depth, width, shortcuts):
    return registry.format_spec("cifar_resnet", depth, width=width, shortcuts=shortcuts)


def teacher_file(values):
    """The path of a teacher that exists already; None where one is trained."""
    return values.teacher if values.teacher and specs.is_file(values.teacher) else None


def new_student(values, dataset, settings, spec=None):
    """The student before its training, from the settings' seed; that of a file is as it is there.

    Args:
      values: an `absl.flags.FlagValues`.
      dataset, settings: as for `training.train`.
      spec: of another network than flags say, one of --students; or None.
    """
    flag = "--students" if spec else values.student and "--student"
    return _network(spec or student_spec(values), dataset, settings, flag)


def new_teacher(values, dataset, settings):
    """The untrained teacher that flags ask for, from the settings' seed, or the one in a file."""
    path = teacher_file(values)
    if path is None:
        start = values.initial_weights if "initial_weights" in values else None
        flag = values.teacher and "--teacher"
        return _network(teacher_spec(values), dataset, settings, flag, start or seeding.SHARED)
    remark = provenance.split_remark(path, dataset)
    if remark:
        progress.say(remark)
    return read_teacher(values, path, dataset, settings)


def read_teacher(values, path, dataset, settings):
    """The teacher in a file, as the student's images and classes need it."""
    with strategy.scope(settings):
        teacher = serialization.load_model(path)
        return teacher_flags.adapted(values, teacher, dataset, recorded_accuracy(path, teacher))


def with_new_head(values, dataset, settings):
    """The trained network that --init names, with an untrained classifier for the classes of a dataset."""
    with strategy.scope(settings):
        keras.utils.set_random_seed(settings.seed)
        try:
            if not specs.is_file(values.init):
                return _of_trained_layers(values.init, dataset)
            network = heads.with_new_classifier(serialization.load_model(values.init), dataset.num_classes)
            network_checks.check_fits(network, dataset)
            return network
        except ValueError as error:
            raise ValueError(f"--init={values.init}: {error}") from error


def _of_trained_layers(spec, dataset):
    """The network of a spec with `weights`, which has a new classifier as it is built."""
    if registry.parse_spec(spec)[2].get("weights", "none") == "none":
        raise ValueError(
            "it is not trained: give applications:NAME:weights=imagenet, or weights=FILE.h5, or the path of "
            "a .keras file"
        )
    return registry.build_for(spec, dataset)


def recorded_accuracy(path, network):
    """Test accuracy of a network that the run beside its file measured; None without a file or such a run."""
    if not path:
        return None
    path = pathlib.Path(path)
    try:
        return sources.accuracy(files.read_json(path.parent / run_dir.RESULT), path.name, network)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it lies in no run's folder, and nothing is known


def _network(spec, dataset, settings, flag=None, start=seeding.SHARED):
    """The network of a spec, with the initial weights of `start`; `flag` is what gave it, for errors."""
    with strategy.scope(settings):
        keras.utils.set_random_seed(seeding.start_seed(settings.seed, start))
        try:
            network = registry.build_for(spec, dataset)
            _check_classes(network, spec, dataset)
            return network
        except ValueError as error:
            raise ValueError(f"{flag}={spec}: {error}" if flag else str(error)) from error


def _check_classes(network, spec, dataset):
    """Raises a ValueError for a network with outputs that are no class of the dataset it is trained on."""
    count = compatibility.output_count(network)
    if count not in (None, dataset.num_classes):
        raise ValueError(
            f"the network {network.name!r} has {count} outputs, and {dataset.name} has {dataset.num_classes} "
            f"classes: keras-kd train --init={spec} gives it a new classifier"
        )


def new_networks(values, dataset, settings, recipe, removal):
    """Teacher, student alone, distilled, with `removal`, and baseline, as `training.compare` takes them.

    Args:
      values, dataset, settings: as for `new_student`.
      recipe: a `recipes.Recipe`, whose losses may add layers to the students that they teach.
      removal: a `ShortcutRemoval`; by that of name "none" there is no `student_removed`.

    Raises:
      ValueError: if teacher and student do not fit.
    """
    teacher = new_teacher(values, dataset, settings)
    baseline = _baseline(values, dataset, settings)
    alone, distilled = (new_student(values, dataset, settings) for _ in range(2))
    compatibility.check_pair(teacher, distilled, independent=is_multi_label(dataset))
    _tell_of_removal(values, alone)
    removed = None if removal.name == "none" else new_student(values, dataset, settings)
    with strategy.scope(settings), seeding.initial_weights(settings.seed):
        distilled = recipe.student_of(teacher, distilled)
        removed = removed and recipe.student_of(teacher, removed)
    return teacher, alone, distilled, removed, baseline


def _tell_of_removal(values, student):
    """Says what a student of a file can lose: it may be trained, so nothing is put into it unasked."""
    lacks = any(block.add is None for block in blocks.blocks_of(student))
    if values.shortcut_removal is None and specs.is_file(values.student) and lacks:
        progress.say(
            f"--student={values.student} has blocks without shortcuts: --shortcut_removal=fade trains one "
            f"more student, which loses them on the way"
        )


def _baseline(values, dataset, settings):
    """ "teacher" if that is the student's residual twin, the twin if it is asked for, else None."""
    spec = student_spec(values)
    twin = registry.with_shortcuts(spec)
    is_teacher = twin and registry.same_network(twin, teacher_spec(values))
    if is_teacher and registry.lacks_shortcuts(spec):
        return "teacher"
    if not values.baseline:
        return None
    if twin is None:
        raise ValueError(
            f"--baseline trains the student's residual twin, which {spec} does not have: leave it out, or "
            f"take a network whose shortcuts can be switched off, such as cifar_resnet"
        )
    return _network(twin, dataset, settings)
