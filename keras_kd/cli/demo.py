"""See it once, in less than a minute: four small networks on digits, and what the teacher gave.

    keras-kd demo

trains, on the 8x8 digits that come with scikit-learn, a residual teacher, a plain student alone, one with the
teacher's help and one whose shortcuts fade while the teacher helps. Nothing is installed or downloaded. It
is `keras-kd distill` with a smaller setting, and leaves the same folder, runs/demo.
"""

from absl import flags as absl_flags

from keras_kd.cli import distill, flags

# Chosen so that it ends within a minute on two cores, and that what shortcuts are worth shows on 360 images.
SETTING = ("--teacher_depth=20", "--student_depth=20", "--epochs=12", "--snapshots=0")

WORDS = (
    "Four small networks on 8x8 digits, in less than a minute on two cores: a residual teacher, the same\n"
    "network without shortcuts (alone), one with the teacher's help (distilled), and one whose shortcuts\n"
    "fade while the teacher helps (fade)."
)


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    flags.define_run(values, "runs/demo")


def main(values):
    """Does what the flags ask for."""
    from keras_kd.cli import console, terminal
    from keras_kd.utils import run_dir

    own = absl_flags.FlagValues()
    distill.define_flags(own)
    own(["demo", *SETTING, f"--out={values.out or 'runs/demo'}", f"--overwrite={values.overwrite}"])
    print(WORDS, flush=True)
    run, measured, about = distill.trained(own)
    terminal.print_networks(measured)
    console.print_paths(run=run.path, curves=run.path / "curves.png", result=run.path / run_dir.RESULT)
    print("\n".join(["", *terminal.sentences(measured, **about)]))
    console.print_next("distill", seeds=3)
