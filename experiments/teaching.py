"""What the scripts that distil share: flags of teacher and student, the networks, kept logits."""

import pathlib

import keras
from absl import flags

import keras_kd
from experiments import common
from keras_kd.distillation import logit_file, teacher_cache
from keras_kd.training import trainer
from keras_kd.training.distributed import strategy

TEACHER = flags.DEFINE_string("teacher", None, "A .keras file to use instead of training one.")
TEACHER_DEPTH = flags.DEFINE_integer("teacher_depth", 32, "6n+2.")
TEACHER_WIDTH = flags.DEFINE_integer("teacher_width", 16, "Channels of the first stage.")
STUDENT_DEPTH = flags.DEFINE_integer("student_depth", 32, "6n+2.")
STUDENT_WIDTH = flags.DEFINE_integer("student_width", 16, "Channels of the first stage.")
STUDENT_SHORTCUTS = flags.DEFINE_string("student_shortcuts", "none", "'none', 'all' or 1,0,1,...")
TEMPERATURE = flags.DEFINE_float("temperature", 4.0, "Softening factor, > 0.")
ALPHA = flags.DEFINE_float("alpha", 0.9, "Weight of the teacher's term, in [0, 1].")
ALPHA_EPOCHS = flags.DEFINE_integer(
    "alpha_epochs", 0, "Epochs after which alpha falls to 0; 0: the teacher stays.", lower_bound=0
)
TEACHER_VIEWS = flags.DEFINE_integer(
    "teacher_views",
    0,
    "Ask the teacher once about each training image in so many augmented views, keep its logits, and "
    "show those views in turn; 0: ask it at each step, about a new view in each epoch.",
    lower_bound=0,
)
TEACHER_LOGITS = flags.DEFINE_string(
    "teacher_logits", "runs/teacher_logits", "Where logits are kept, for all runs that can share them."
)
TEACHER_DTYPE = flags.DEFINE_enum("teacher_dtype", "float16", logit_file.DTYPES, "Of kept logits.")
TEACHER_TOP_K = flags.DEFINE_integer(
    "teacher_top_k", 0, "Keep the k largest logits and spread the rest evenly; 0: keep all.", lower_bound=0
)


def new_teacher(dataset, settings):
    """The untrained teacher that the flags ask for, from the settings' seed."""
    return _network(dataset, settings, TEACHER_DEPTH.value, TEACHER_WIDTH.value, shortcuts=True)


def new_student(dataset, settings, shortcuts=None):
    """The untrained student that the flags ask for, from the settings' seed.

    Args:
      dataset, settings: as for `trainer.train`.
      shortcuts: other ones than the flags say, or None.
    """
    if shortcuts is None:
        shortcuts = common.parse_shortcuts(STUDENT_SHORTCUTS.value)
    return _network(dataset, settings, STUDENT_DEPTH.value, STUDENT_WIDTH.value, shortcuts)


def _network(dataset, settings, depth, width, shortcuts):
    with strategy.scope(settings):
        keras.utils.set_random_seed(settings.seed)
        return keras_kd.cifar_resnet(
            depth, dataset.image_shape, dataset.num_classes, width=width, shortcuts=shortcuts
        )


def teacher_file(folder):
    """The teacher that --teacher names, or the one that is trained in a folder."""
    return TEACHER.value or pathlib.Path(folder) / "teacher.keras"


def absolute(path):
    """A path as it is found from elsewhere."""
    return str(pathlib.Path(path).absolute())


def views(settings):
    """Of each training image, where the teacher is always kept: as many as epochs, or as the flag says."""
    return TEACHER_VIEWS.value or settings.epochs


def kept_logits(teacher, dataset, settings, views):
    """The teacher's logits under so many views, kept as the flags ask; None for no views."""
    if not views:
        return None
    return teacher_cache.cache_logits(
        teacher,
        dataset,
        trainer.batch_schedule(dataset, settings, views),
        TEACHER_LOGITS.value,
        dtype=TEACHER_DTYPE.value,
        top_k=TEACHER_TOP_K.value,
    )
