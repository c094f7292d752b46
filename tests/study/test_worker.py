"""A study's runs as they are really trained: twins, shared teachers, controls, fewer labels."""

import dataclasses
import pathlib
import re

import keras
import numpy as np
import pytest

from keras_kd.data import datasets
from keras_kd.models import fading, serialization, weights
from keras_kd.study import runner, worker
from keras_kd.study.design import Run, Teacher
from keras_kd.study.findings import summary
from keras_kd.training import config, evaluation
from keras_kd.training.trainer import distill
from keras_kd.utils import run_dir
from tests.support.arrays import tiny_arrays
from tests.support.colours import colour_teacher, coloured
from tests.support.networks import resnet8, same, weights_of

pytestmark = [
    pytest.mark.slow,  # whole runs
    pytest.mark.last,  # operations stay deterministic, and XLA is off
]

SETTINGS = config.Settings(epochs=2, batch_size=16, strategy="none", deterministic=True)
TWIN = Run(8, "residual", width=4, seed=3)
TAUGHT = Run(8, "plain + KD", width=4, seed=3, teacher=Teacher(TWIN))


SHUFFLED, SMOOTHING, UNTRAINED = (
    dataclasses.replace(TAUGHT, teacher=Teacher(TWIN, name))
    for name in ("shuffled", "smoothing", "untrained")
)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, **tiny_arrays(np.random.default_rng(0)))
    return worker.RunTrainer(str(path), SETTINGS)


def do(trainer, folder, *runs):
    return {run: runner.execute(trainer, run, folder) for run in runs}


@pytest.fixture(scope="module")
def trained(trainer, tmp_path_factory):
    """A study's folder and its results."""
    folder = tmp_path_factory.mktemp("study")
    return folder, do(trainer, folder, TWIN, TAUGHT.alone, TAUGHT, SHUFFLED, SMOOTHING, UNTRAINED)


def network_of(folder, run):
    return serialization.load_model(folder / "runs" / run.key / run_dir.MODEL)


def test_twins_start_from_the_same_weights(trainer, trained):
    _, results = trained
    assert len({result.start for result in results.values()}) == 1
    dataset = trainer.load()
    networks = [worker.build(run, dataset, SETTINGS) for run in (TWIN, TAUGHT)]
    assert same(*map(weights_of, networks))
    assert weights.digest(networks[0]) == results[TWIN].start
    other = worker.build(dataclasses.replace(TWIN, seed=4), dataset, SETTINGS)
    assert weights.digest(other) != results[TWIN].start


def test_a_result_is_what_the_saved_network_measures(trainer, trained):
    folder, results = trained
    teacher, network = network_of(folder, TWIN), network_of(folder, TAUGHT)
    result = results[TAUGHT]
    measured = evaluation.evaluate(network, trainer.load(), teacher=teacher)
    assert measured == pytest.approx({name: getattr(result, name) for name in measured}, rel=1e-5)
    assert result.parameters == sum(np.prod(w.shape) for w in network.trainable_weights)
    assert result.validation_accuracy == result.history["val_accuracy"][-1]
    assert len(results[TWIN].history["loss"]) == 2
    files = {path.name for path in (folder / "runs" / TWIN.key).iterdir()}
    assert files >= {"result.json", "log.txt", "model.keras", "flags.cfg", "checkpoints", "network"}


def test_with_early_stopping_validation_is_that_of_the_network_that_is_kept(trainer, tmp_path, monkeypatch):
    """Whatever the last epoch had: this training says 2, and leaves the network as it was."""
    ended = worker.trainer.Trained({"val_accuracy": [0.5, 2.0]}, 0.0)
    monkeypatch.setattr(worker.trainer, "train", lambda *given, **named: ended)
    stopping = dataclasses.replace(trainer, settings=dataclasses.replace(SETTINGS, early_stopping=1))
    result = stopping(TWIN, tmp_path)
    measured = evaluation.evaluate(network_of(tmp_path, TWIN), trainer.load(), "validation")
    assert result.validation_accuracy == measured["accuracy"]
    assert trainer(TWIN, tmp_path).validation_accuracy == 2.0  # without, the last epoch is what is kept


def test_a_taught_run_is_what_distill_gives(trainer, trained):
    folder, results = trained
    dataset = trainer.load()
    settings = dataclasses.replace(SETTINGS, seed=3)
    student = worker.build(TAUGHT, dataset, settings)
    teacher = network_of(folder, TWIN)
    live = distill(teacher, student, dataset, settings, temperature=4.0, alpha=0.9)
    assert live.history["loss"] == pytest.approx(results[TAUGHT].history["loss"], rel=1e-4)
    assert evaluation.evaluate(student, dataset)["loss"] == pytest.approx(results[TAUGHT].loss, rel=1e-3)


@pytest.mark.parametrize("run", [TAUGHT, TAUGHT.alone], ids=["taught", "alone"])
def test_a_run_that_loses_its_shortcuts_leaves_the_plain_network(trainer, trained, run):
    folder, results = trained
    faded = dataclasses.replace(run, shortcut_removal="fade:fade_end=0.5")
    result = do(trainer, folder, faded)[faded]
    network = network_of(folder, faded)
    assert weights.structure(network) == weights.structure(network_of(folder, run))
    assert (result.start, result.parameters) == (results[run].start, results[run].parameters)
    assert result.history["gate"][-1] == 0
    measured = evaluation.evaluate(network, trainer.load())
    assert measured == pytest.approx({name: getattr(result, name) for name in measured}, rel=1e-5)


def test_what_is_likely_wrong_with_a_run_stands_in_its_result(trainer, trained, capsys):
    folder, results = trained
    heavy = dataclasses.replace(TAUGHT, loss="kd+at:weight=1e6")
    notes = do(trainer, folder, heavy)[heavy].notes
    assert [note for note in notes if note.startswith("attention_transfer_loss times its weight is ")]
    assert "note: " not in capsys.readouterr().out
    assert results[SHUFFLED].notes == ()  # that it is at chance is no news
    assert "notes" not in results[TWIN].to_json()  # as before there were any


def test_teachers_are_asked_once_and_controls_teach_something_else(trained):
    folder, results = trained
    assert len(list((folder / "teacher_logits").iterdir())) == 2  # the teacher's, and the untrained one's
    taught = [TAUGHT, SHUFFLED, SMOOTHING, UNTRAINED]
    assert len({results[run].loss for run in taught}) == len(taught)


def test_an_untrained_teacher_is_not_the_students_start(trainer):
    dataset = trainer.load()
    teacher = worker.teacher_network(UNTRAINED, dataset, trainer.settings_of(TWIN), None)
    assert not same(weights_of(teacher), weights_of(worker.build(TAUGHT, dataset, SETTINGS)))


def test_initial_weights_are_shared_or_own(trainer):
    """Of the student or of its teacher; the untrained control is the teacher's start, never the student's."""
    dataset, settings = trainer.load(), trainer.settings_of(TWIN)
    shared, own = {}, {}
    for found, start in ((shared, "shared"), (own, "own")):
        for run in (TWIN, TAUGHT):
            begun = worker.build(dataclasses.replace(run, initial_weights=start), dataset, settings)
            found[run] = weights.digest(begun)
    assert len(set(shared.values())) == len(set(own.values())) == 1
    assert shared[TWIN] != own[TWIN]
    other = dataclasses.replace(TWIN, initial_weights="own")
    for run, wanted in (
        (UNTRAINED, own),
        (dataclasses.replace(TAUGHT, teacher=Teacher(other, "untrained")), own),
        (dataclasses.replace(UNTRAINED, initial_weights="own"), shared),
    ):
        assert weights.digest(worker.teacher_network(run, dataset, settings, None)) == wanted[TWIN]


def test_the_teacher_leaves_after_its_epochs():
    run = dataclasses.replace(TAUGHT, alpha_epochs=2, alpha=0.7)
    alpha = worker.alpha_of(run, steps_per_epoch=5)
    values = [float(alpha(keras.ops.convert_to_tensor(step, "int32"))) for step in range(12)]
    assert values == pytest.approx([0.7] * 10 + [0.0] * 2)
    fewer = dataclasses.replace(run, label_fraction=0.5)
    assert float(worker.alpha_of(fewer, 5)(19)) == pytest.approx(0.7)
    assert float(worker.alpha_of(fewer, 5)(20)) == 0.0
    assert worker.alpha_of(TAUGHT, 5) == 0.9


def test_fewer_labels_mean_fewer_examples_and_as_many_steps(trainer, tmp_path):
    run = dataclasses.replace(TAUGHT.alone, label_fraction=0.5)
    (result,) = do(trainer, tmp_path, run).values()
    assert len(result.history["loss"]) == 4
    whole = trainer.load()
    part = datasets.subset(whole, 0.5, 3)
    assert len(part.train.labels) == len(whole.train.labels) / 2
    assert set(np.unique(part.train.labels)) == set(range(4))
    np.testing.assert_array_equal(part.mean, whole.mean)
    np.testing.assert_array_equal(part.std, whole.std)
    assert part.test is whole.test
    assert datasets.subset(whole, 1.0) is whole


@pytest.mark.parametrize("share", [0.0, 1.5, 0.02])
def test_too_few_labels_are_refused(trainer, share):
    with pytest.raises(ValueError, match=r"share of training examples|aside|there is no example"):
        datasets.subset(trainer.load(), share)


def test_a_run_taken_up_again_is_the_same_bit_for_bit(trainer, trained, tmp_path, monkeypatch):
    saves = []

    def killed(model, path):
        saves.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(serialization, "save_model", killed)
    with pytest.raises(KeyboardInterrupt):
        do(trainer, tmp_path, TWIN)
    monkeypatch.undo()
    (cut,) = do(trainer, tmp_path, TWIN).values()
    assert saves
    whole = trained[1][TWIN]
    assert dataclasses.replace(whole, seconds=0) == dataclasses.replace(cut, seconds=0)


def test_networks_of_specs_are_taught_by_one_in_a_file(trainer, trained, tmp_path, monkeypatch):
    """Whose path is that from where the study was begun, though a process may run elsewhere."""
    folder, _ = trained
    path = pathlib.Path("runs", TWIN.key, run_dir.MODEL)
    trainer = dataclasses.replace(trainer, folder=str(folder))
    monkeypatch.chdir(folder)
    taught = Run(
        variant="network + KD",
        student="wide_resnet:10:1",
        teacher=Teacher(Run(variant="network", student=str(path))),
    )
    trainer.check([taught])
    monkeypatch.chdir(tmp_path)
    results = do(trainer, tmp_path, taught.alone, taught)
    assert results[taught].start == results[taught.alone].start
    assert results[taught].agreement is not None
    assert network_of(tmp_path, taught).name == "wide_resnet10_1"
    found = summary.summarize(
        {run: runner.RunRecord(run, result) for run, result in results.items()},
        ["C2"],
        margin=0.01,
        test_examples=24,
    )
    assert (found.depths, found.verdicts[0].verdict) == ([], "undecided")
    assert [gain.condition.axes["student"] for gain in found.gains] == ["wide_resnet:10:1"]
    with pytest.raises(ValueError, match="at least 32x32"):
        trainer.check([Run(variant="network", student="applications:MobileNetV2")])


def test_a_loss_that_cannot_compare_the_networks_of_a_run_is_refused_before_its_teacher_is_trained(
    trainer, tmp_path
):
    images = keras.Input(trainer.load().image_shape)
    flat = keras.layers.Dense(8)(keras.layers.Flatten()(images))
    keras.Model(images, keras.layers.Dense(4)(flat), name="flat").save(tmp_path / "flat.keras")
    flat = Run(
        variant="network + KD", student=str(tmp_path / "flat.keras"), teacher=Teacher(TWIN), loss="kd+at"
    )
    with pytest.raises(
        ValueError, match=r"loss='kd\+at' of '.*flat.*-kd-r8w4.*': .*no layer with feature maps"
    ):
        trainer.check([flat])
    trainer.check([dataclasses.replace(flat, loss="kd+dkd"), dataclasses.replace(TAUGHT, loss="simkd")])
    of_taught = dataclasses.replace(TAUGHT, teacher=Teacher(dataclasses.replace(TAUGHT, loss="simkd")))
    trainer.check([dataclasses.replace(of_taught, loss="rkd")])
    fading = dataclasses.replace(TAUGHT, shortcut_removal="fade", loss="kd+at")
    trainer.check([fading])
    unknown = dataclasses.replace(fading, loss="at:teacher_layers=stage1_block1_out:student_layers=nowhere")
    with pytest.raises(ValueError, match="loss='at.* of '.*fade.*nowhere"):
        trainer.check([unknown])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"shortcut_removal": "blockwise", "teacher": Teacher(dataclasses.replace(TWIN, width=2))},
            "which differ in",
        ),
        (
            {"shortcut_removal": "layerwise", "teacher": Teacher(dataclasses.replace(TWIN, depth=14))},
            "which differ in",
        ),
        (
            {
                "shortcut_removal": "fade+merge",
                "variant": "network + KD",
                "student": "wide_resnet:10:1:shortcuts=none",
            },
            "BatchNorm",
        ),
        ({"shortcut_removal": "fade", "variant": "network + KD", "student": "cifar_resnet:8"}, "shortcuts"),
    ],
    ids=lambda value: value["shortcut_removal"] if isinstance(value, dict) else "",
)
def test_shortcuts_that_cannot_be_removed_so_are_told_before_the_teacher_is_trained(
    trainer, changes, message
):
    run = dataclasses.replace(TAUGHT, **changes)
    way = re.escape(changes["shortcut_removal"])
    with pytest.raises(ValueError, match=f"(?s)^'.*{way}.*': .*{message}"):
        trainer.check([run])


def test_a_student_in_the_middle_of_fading_is_refused(trainer, tmp_path):
    faded = fading.with_fading_shortcuts(resnet8(shortcuts=False), [(0, 9)] * 3)
    serialization.save_model(faded, tmp_path / "faded.keras")
    run = dataclasses.replace(TWIN, variant="network", student=str(tmp_path / "faded.keras"))
    with pytest.raises(ValueError, match="has fading shortcuts already"):
        trainer.check([run])


def test_a_teacher_in_a_file_is_adapted_and_measured(tmp_path, capsys):
    splits = {
        "train": coloured(72, (8, 8, 3)),
        "val": coloured(120, (8, 8, 3), 1),
        "test": coloured(24, (8, 8, 3)),
    }
    arrays = {f"x_{name}": split.images for name, split in splits.items()}
    np.savez(tmp_path / "x.npz", **arrays, **{f"y_{name}": split.labels for name, split in splits.items()})
    colour_teacher(lambda pixels: pixels / 127.5 - 1).save(tmp_path / "teacher.keras")
    taught = Run(
        variant="network + KD", student="cifar_resnet:8:width=4", teacher=of_file(tmp_path / "teacher.keras")
    )
    own = worker.RunTrainer(str(tmp_path / "x.npz"), SETTINGS)
    own.check([taught])
    lines = capsys.readouterr().out.splitlines()
    assert "asked about images of 12x12x3, scaled as 'minus_one_one'" in lines[0]
    assert lines[1] == f"teacher {tmp_path / 'teacher.keras'}: 100.0% on validation"
    found = worker.teacher_network(taught, own.load(), SETTINGS, tmp_path)
    assert found.input_shape == (None, 8, 8, 3)
    colour_teacher(lambda pixels: pixels, places=(1, 2, 3, 0)).save(tmp_path / "teacher.keras")
    with pytest.raises(ValueError, match="no better than chance"):
        own.check([taught])


def of_file(path):
    return Teacher(Run(variant="network", student=str(path)))
