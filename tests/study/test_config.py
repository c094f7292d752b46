"""Study files: what they mean, and the line of every mistake."""

import json
import re

import numpy as np
import pytest

from keras_kd.study import config
from keras_kd.study.design import Run, Teacher
from keras_kd.study.findings import naming
from keras_kd.study.findings.claims import CLAIMS
from keras_kd.study.findings.pairing import PairedResults
from keras_kd.utils import seeding
from tests.support.processes import ROOT

STUDIES = sorted((ROOT / "keras_kd" / "study" / "studies").glob("*.yaml"))

GOOD = """\
question: Is it so?
claims: [C1]
seeds: 2
recipe: {epochs: 4}
network: {width: 8}
teachers:
  twin: {variant: residual}
  other: {depth: 8, width: 4, control: shuffled}
runs:
  - {depth: [14, 20], variant: [residual, plain]}
  - depth: 20
    variant: plain + KD
    teacher: [twin, other]
    alpha: [0.5, 0.9]
"""


def read(tmp_path, text, **options):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return config.read_config(path, **options)


def test_entries_stand_for_all_combinations_once_a_seed(tmp_path):
    grid = read(tmp_path, GOOD)
    assert (grid.name, grid.question, grid.claims) == ("mine", "Is it so?", ("C1",))
    assert (grid.dataset, grid.seeds, grid.settings.epochs, grid.margin) == ("digits", (0, 1), 4, 0.01)
    first = [run for run in grid.runs if run.seed == 0]
    assert len(grid.runs) == 2 * len(first)
    twin, small = Run(20, "residual", width=8), Run(8, "residual", width=4)
    alone = {Run(depth, variant, width=8) for depth in (14, 20) for variant in ("residual", "plain")}
    taught = {
        Run(20, "plain + KD", width=8, teacher=teacher, alpha=alpha)
        for teacher in (Teacher(twin), Teacher(small, "shuffled"))
        for alpha in (0.5, 0.9)
    }
    assert set(first) == alone | taught | {small}
    assert first.index(small) < min(first.index(run) for run in taught if run.teacher.network == small)
    assert all(run.needs in grid.runs for run in grid.runs if run.needs)


def test_a_run_takes_numbers_of_any_type():
    teacher = Teacher(Run(20, width=8))
    given = Run(
        np.int64(8), "plain + KD", np.uint8(8), np.float32(0.5), teacher=teacher, alpha=np.float16(0.5)
    )
    wanted = Run(8, "plain + KD", 8, 0.5, teacher=teacher, alpha=0.5)
    assert given == wanted
    assert json.dumps(given.describe()) == json.dumps(wanted.describe())


def test_teachers_begin_with_the_weights_of_the_seed_unless_they_say_otherwise(tmp_path):
    text = GOOD.replace("width: 4, control", "width: 4, initial_weights: own, control")
    runs = read(tmp_path, text).runs
    starts = {run.teacher.condition: run.teacher.network.initial_weights for run in runs if run.teacher}
    assert starts == {"r20w8": "shared", "shuffled-r8w4-own": "own"}
    runs = read(tmp_path, GOOD, network={"width": 8, "initial_weights": "own"}).runs
    assert {run.initial_weights for run in runs if run.depth == 14 or run.teacher} == {"own"}
    assert {run.teacher.network.initial_weights for run in runs if run.teacher} == {"shared"}
    with pytest.raises(ValueError, match=r"mine.yaml:11: student and teacher would begin with the same"):
        read(tmp_path, text, network={"width": 8, "initial_weights": "own"})


def test_what_is_given_beside_the_file_goes_before_it(tmp_path):
    given = {"dataset": "x.npz", "seeds": [7], "network": {"width": 4}, "recipe": {"epochs": 9}}
    grid = read(tmp_path, GOOD, **given)
    assert (grid.dataset, grid.seeds, grid.settings.epochs) == ("x.npz", (7,), 9)
    assert {run.width for run in grid.runs} == {4}


def test_seeds_are_how_many_or_which(tmp_path):
    for text, wanted in (("3", (0, 1, 2)), ("5..7", (5, 6, 7)), ("'4,9'", (4, 9)), ("[4, 9]", (4, 9))):
        assert read(tmp_path, GOOD.replace("seeds: 2", f"seeds: {text}")).seeds == wanted
    assert seeding.numbers("seeds", "5..6") == [5, 6]


def test_some_depths_keep_their_teachers(tmp_path):
    runs = read(tmp_path, GOOD).runs
    for depths, wanted in (([20], (8, 20)), ([14], (14,))):
        assert read(tmp_path, GOOD, depths=depths).runs == tuple(run for run in runs if run.depth in wanted)
    message = r"mine\.yaml: depths must be some of the study's: 8, 14, 20\. Received: 33"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, GOOD, depths=[33])


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_studies_that_come_along(path):
    grid = config.read_config(path)
    others = {
        "smoke": 2,
        "initial_weights": 16,
        "early_guidance": 30,
        "regularisation": 30,
        "depth_cifar10": 3,
        "int8_digits": 3,
        "routes_cifar10": 3,
        "methods_cifar10": 3,
        "methods_residual": 3,
        "methods_digits": 10,
        "routes_digits": 10,
    }
    assert len(grid.seeds) == others.get(path.stem, 5)
    comment = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert (
        f"python -m experiments.study{'' if path.stem == 'smoke' else f' --study={path.stem}'}" in comment[0]
    )
    assert re.search(r"(minutes|hour)s? on two cores", " ".join(comment))
    alone = {run.alone for run in grid.runs if run.is_taught}
    assert alone <= set(grid.runs)
    few = [run for run in grid.runs if run.seed in grid.seeds[:2]]
    deeper_is_better = {run: 0.5 + run.seed / 10 + run.depth / 1000 + len(run.key) / 10_000 for run in few}
    results = PairedResults(deeper_is_better)
    for claim in grid.claims:
        assert CLAIMS[claim].test(results).missing is None, claim
    if path.stem != "regularisation":
        assert {run.baseline for run in grid.runs if run.is_taught} <= set(grid.runs)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("depth: [14, 20], ", "deep: [14, 20], ", 10, "unknown axis 'deep': use one of alpha, "),
        ("depth: [14, 20], ", "depth: [], ", 10, "depth is empty: give it a value, or leave it out"),
        ("[14, 20]", "[14, 21]", 10, "depth must be 6n+2 with n >= 1"),
        (
            "    teacher: [twin",
            "    teacher: [r110, twin",
            13,
            "no run trains the teacher 'r110': the teachers are",
        ),
        ("depth: 8, width", "depth: 9, width", 8, "depth must be 6n+2"),
        ("control: shuffled", "control: guess", 8, "control must be one of"),
        ("alpha: [0.5, 0.9]", "alpha: [0.5, 9]", 14, "alpha, the weight of the teacher's term"),
        ("alpha: [0.5, 0.9]", "alpha_epochs: 4", 11, "alpha_epochs must be below the 4 epochs"),
        ("    teacher: [twin, other]\n", "", 11, "teacher must be given where the variant ends in"),
        ("depth: [14, 20], ", "", 10, "depth is missing"),
        ("seeds: 2", "seeds: 0", 3, "seeds must be a whole number from 1 to 1000"),
        ("seeds: 2", "seeds: [1, 1]", 3, "seeds must hold each value once. Received: 1 twice"),
        ("seeds: 2", "seeds: many", 3, "seeds must be how many, as 5, or which, as 5..9 or 0,7"),
        ("seeds: 2", "seeds: 9..5", 3, "seeds must be how many"),
        ("seeds: 2", "seeds: 0..5000", 3, "the number of seeds must be a whole number from 1 to 1000"),
        ("seeds: 2", "seeds: [-1]", 3, "from 0 to 2147483647. Received: -1"),
        ("seeds: 2", "seeds: 1000000000", 3, "seeds must be a whole number from 1 to 1000"),
        ("seeds: 2", "seeds: .nan", 3, "seeds must be a whole number from 1 to 1000"),
        ("seeds: 2", f"seeds: {list(range(1001))}", 3, "the number of seeds must be"),
        (
            "epochs: 4",
            'epochs: "1"',
            4,
            "epochs must be a whole number from 1 to 1000000. Received: epochs='1'",
        ),
        ("epochs: 4", "epochs: 99999999999999999999", 4, "epochs must be a whole number"),
        ("epochs: 4", "epochs: 4, learning_rate: .inf", 4, "learning_rate must lie in"),
        ("epochs: 4", "epochs: 4, schedule: [step]", 4, "schedule must be one of"),
        ("epochs: 4", "epochs: 4, deterministic: 1", 4, "deterministic must be True or False"),
        ("width: 8}", "width: 100000000}", 5, "width must be a whole number from 1 to 100000"),
        ("[14, 20]", "[14, 599999999999999999996]", 10, "depth must be a whole number from 1 to 2000"),
        ("alpha: [0.5, 0.9]", "alpha: [0.5, .nan]", 14, "alpha, the weight of the teacher's term"),
        ("alpha: [0.5, 0.9]", "temperature: 1.0e+300", 14, "temperature must lie in"),
        ("seeds: 2", "seeds: 2\ndataset: ''", 4, "a word is needed here"),
        ("question: Is it so?", "question: 5", 1, "a word is needed here"),
        ("network: {width: 8}", "margin: .nan", 5, "a share of accuracy between 0 and 1"),
        ("seeds: 2", f"seeds: [1, {2**31}]", 3, "each of the seeds must be a whole number"),
        ("seeds: 2", "seeds: 2\ndataset: [a]", 4, "a word is needed here"),
        ("seeds: 2", "seeds: 2\n[a]: 1", 4, "a word is needed here"),
        ("[14, 20], ", "[14, 20], shortcut_removal: fade, ", 10, "shortcut_removal is for plain networks"),
        ("[residual, plain]}", "plain, shortcut_removal: tails}", 10, "needs a residual teacher"),
        (
            "alpha: [0.5, 0.9]",
            "shortcut_removal: fad",
            14,
            "unknown shortcut_removal 'fad': did you mean",
        ),
        ("[C1]", "[C1, C1]", 2, "the claim 'C1' stands here twice"),
        ("[C1]", "[{C1: yes}]", 2, "a word is needed here"),
        ("epochs: 4", "epochs: 4, deterministic: maybe", 4, "deterministic must be True or False"),
        ("epochs: 4", "epochs: 4, strategy: multiworker", 4, "one host each"),
        ("Is it so?", "\x07", 1, "is no YAML text"),
        ("seeds: 2", "seed: 2", 3, "unknown entry 'seed'"),
        ("seeds: 2\n", "", 1, "'seeds' is missing"),
        ("[C1]", "[C9]", 2, "unknown claim 'C9': use of C1"),
        ("epochs: 4", "epochs: -4", 4, "epochs must be a whole number from 1"),
        ("epochs: 4", "seed: 4", 4, "unknown setting 'seed'"),
        ("epochs: 4", "epochs: many", 4, "epochs must be a whole number from 1"),
        ("width: 8}", "width: [8]}", 5, "width must be a whole number"),
        ("question: Is it so?", "question: [", 3, "is no YAML"),
        ("network: {width: 8}", "margin: 3", 5, "a share of accuracy between 0 and 1"),
        ("seeds: 2", "seeds: 2\nseeds: 3", 4, "'seeds' stands here twice"),
        ("recipe: {epochs: 4}", "recipe: 4", 4, "names with values are needed here. Received: 4"),
        ("twin: {variant: residual}", "twin: {variant: plain + KD}", 7, "teacher must be given"),
        ("twin: {variant: residual}", "twin: {teacher: [other]}", 7, "a word is needed here"),
        ("[twin, other]", '"vgg:16"', 13, "unknown network 'vgg'"),
        ("Is it so?", "!!python/object/apply:os.getcwd []", 1, "could not determine a constructor"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, old, new, line, message):
    assert old in GOOD
    with pytest.raises(ValueError, match=rf"mine\.yaml:{line}: .*{re.escape(message)}"):
        read(tmp_path, GOOD.replace(old, new, 1))


# Ten lists, each of ten times the one before: small as values, ten billion words as text.
LEVELS = [f"&a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
BOMB = f"[&a0 [{', '.join('x' * 10)}], {', '.join(LEVELS)}]"


@pytest.mark.parametrize("name", ["question", "claims", "seeds", "recipe", "network", "margin", "runs"])
def test_lists_that_hold_each_other_many_times_are_answered_at_once(tmp_path, name):
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(f"{name}:"))
    text = text.partition("runs:")[0] if name == "runs" else text
    with pytest.raises(ValueError, match=r"^\S*mine\.yaml:\d+: ") as caught:
        read(tmp_path, f"{name}: {BOMB}\n{text}\n")
    assert len(str(caught.value)) < 400


def test_a_file_that_is_nested_too_deep_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"mine\.yaml:1: is nested too deep"):
        read(tmp_path, GOOD.replace("Is it so?", "[" * 500 + "]" * 500))


def test_more_runs_than_a_study_has_are_counted_before_one_is_made(tmp_path):
    many = GOOD.replace("[14, 20]", f"{list(range(8, 6000, 6))}").replace("seeds: 2", "seeds: 100")
    with pytest.raises(
        ValueError, match=r"mine\.yaml:\d+: a study has 10000 runs at the most. Received: \d{6}"
    ):
        read(tmp_path, many)


@pytest.mark.parametrize("name", ["claims", "seeds", "runs"])
def test_what_a_study_cannot_do_without_is_not_to_be_left_out(tmp_path, name):
    text = re.sub(rf"^{name}:(.*\n)(  .*\n)*", f"{name}: []\n", GOOD, flags=re.M)
    with pytest.raises(ValueError, match=rf"mine\.yaml:\d+: {name} is empty: give it a value$"):
        read(tmp_path, text)


def test_an_empty_or_absent_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"mine\.yaml:1: is empty"):
        read(tmp_path, "# nothing\n")
    (tmp_path / "mine.yaml").write_bytes(GOOD.replace("so?", "s\xf6?").encode("latin-1"))
    with pytest.raises(ValueError, match=r"mine\.yaml:1: is no YAML text"):
        config.read_config(tmp_path / "mine.yaml")
    with pytest.raises(FileNotFoundError, match="there is no study file"):
        config.read_config(tmp_path / "none.yaml")


CHAIN = """
question: Does an assistant help?
claims: [C1]
dataset: digits
seeds: 2
network: {width: 8}
teachers:
  large: {depth: 20, width: 16}
  assistant: {variant: residual + KD, depth: 14, teacher: large, temperature: 2, loss: kd+at}
runs:
  - {depth: 8, variant: plain + KD, teacher: assistant, loss: [kd, sp]}
"""


def test_a_teacher_may_be_taught_itself(tmp_path):
    (tmp_path / "chain.yaml").write_text(CHAIN)
    runs = config.read_config(tmp_path / "chain.yaml").runs
    assert [run.key for run in runs if run.seed == 0] == [
        "r20w16-s0",
        "r14w8-kd-r20w16-T2-a0.9-kd+at-s0",
        "p8w8-kd-r14w8-kd-r20w16-T2-a0.9-kd+at-T4-a0.9-s0",
        "p8w8-kd-r14w8-kd-r20w16-T2-a0.9-kd+at-sp-s0",
    ]
    assert [run.key for run in runs[3].needs_all] == [run.key for run in runs[:2]]
    (tmp_path / "chain.yaml").write_text(
        CHAIN.replace("width: 16}", "variant: plain + KD, teacher: assistant}")
    )
    with pytest.raises(ValueError, match="'assistant' would be taught by itself"):
        config.read_config(tmp_path / "chain.yaml")


def test_a_teacher_that_is_taught_is_the_student_whose_size_its_own_teacher_has(tmp_path):
    text = CHAIN.replace("{depth: 20, width: 16}", "{variant: residual}").replace(
        "depth: 14,", "depth: 14, width: 4,"
    )
    assert [run.key for run in read(tmp_path, text).runs if run.seed == 0][:2] == [
        "r14w4-s0",
        "r14w4-kd-r14w4-T2-a0.9-kd+at-s0",
    ]


@pytest.mark.parametrize(
    ("teacher", "network"),
    [("runs/a/model.keras", "runs/a/model.keras"), ('"wide_resnet:16:2"', "wide_resnet:16:2")],
)
def test_a_teacher_that_is_taught_may_have_a_teacher_that_is_named_by_its_text(tmp_path, teacher, network):
    runs = read(tmp_path, CHAIN.replace("teacher: large", f"teacher: {teacher}")).runs
    assert runs[-1].teacher.network.teacher == Teacher(
        Run(variant="network", student=network, seed=runs[-1].seed)
    )


def test_numbers_are_those_of_yaml_1_2(tmp_path):
    text = GOOD.replace("epochs: 4", "epochs: 4, learning_rate: 1e-3, momentum: .5").replace(
        "depth: 20\n", "depth: 20\n    weight_decay: [1E-4, 0, 5e-4]\n"
    )
    grid = read(tmp_path, text + "margin: 2e-2\n")
    assert (grid.settings.learning_rate, grid.settings.momentum, grid.margin) == (1e-3, 0.5, 0.02)
    assert {run.weight_decay for run in grid.runs if run.is_taught} == {1e-4, 0.0, 5e-4}
    with pytest.raises(ValueError, match=r"mine.yaml:3: seeds must be how many.* Received: seeds='1:30'"):
        read(tmp_path, GOOD.replace("seeds: 2", "seeds: 1:30"))


def test_what_belongs_to_kd_is_refused_without_it(tmp_path):
    (tmp_path / "chain.yaml").write_text(CHAIN.replace("loss: [kd, sp]", "loss: sp, alpha: 0.5"))
    with pytest.raises(ValueError, match="alpha belongs to kd, which loss='sp' lacks"):
        config.read_config(tmp_path / "chain.yaml")


SPECS = """\
question: Which network learns most from whom?
claims: [C2]
seeds: 1
network: {width: 8, variant: residual}
teachers:
  large: {student: "wide_resnet:16:2", weight_decay: 0.001}
runs:
  - {depth: 8}
  - {student: ["wide_resnet:10:1", "applications:MobileNetV2:alpha=0.35"]}
  - {student: "wide_resnet:10:1", teacher: [large, "cifar_resnet:14:width=4", runs/a/model.keras]}
"""


def test_networks_are_named_by_their_specs(tmp_path):
    runs = read(tmp_path, SPECS).runs
    small, mobile = (
        Run(variant="network", student=spec)
        for spec in ("wide_resnet:10:1", "applications:MobileNetV2:alpha=0.35")
    )
    large = Run(variant="network", student="wide_resnet:16:2", weight_decay=0.001)
    middle = Run(variant="network", student="cifar_resnet:14:width=4")
    read_from = Run(variant="network", student="runs/a/model.keras")
    taught = [
        Run(variant="network + KD", student=small.student, teacher=Teacher(each))
        for each in (large, middle, read_from)
    ]
    assert list(runs) == [Run(8, width=8), small, mobile, large, taught[0], middle, taught[1], taught[2]]
    assert (small.depth, small.width, small.spec, small.baseline) == (None, None, "wide_resnet:10:1", None)
    assert taught[2].needs is None  # it is trained already
    assert [run.key for run in taught] == [
        "wide_resnet-10-1-kd-wide_resnet-16-2-wd0.001-T4-a0.9-s0",
        "wide_resnet-10-1-kd-cifar_resnet-14-width4-T4-a0.9-s0",
        "wide_resnet-10-1-kd-runs-a-model.keras-T4-a0.9-s0",
    ]
    assert taught[0].alone == small
    assert naming.label(taught[1]) == "wide_resnet:10:1, taught by cifar_resnet:14:width=4 (T 4, alpha 0.9)"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{depth: 8}", "{depth: 8, student: vgg}", "mine.yaml:8: unknown network 'vgg'"),
        (
            "{depth: 8}",
            '{depth: 8, student: "wide_resnet:10:1"}',
            "mine.yaml:8: student='wide_resnet:10:1' says",
        ),
        (
            "{depth: 8}",
            '{student: "wide_resnet:10:1", variant: plain}',
            "mine.yaml:8: .* has the variant 'network'",
        ),
        ("{depth: 8}", "{depth: 8, variant: network}", "mine.yaml:8: .* and no other has"),
        (
            "weight_decay: 0.001",
            "depth: 8",
            "mine.yaml:6: student='wide_resnet:16:2' says .*: leave depth out",
        ),
        ("width: 8, variant", 'student: "wide_resnet:10:1", variant', "mine.yaml:4: unknown axis 'student'"),
    ],
)
def test_networks_that_are_said_twice_are_told_with_their_line(tmp_path, old, new, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, SPECS.replace(old, new, 1))
