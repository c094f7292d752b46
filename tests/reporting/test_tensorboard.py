"""TensorBoard's files, and the page itself in a headless browser."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_kd.data import datasets
from keras_kd.reporting import figures, tensorboard
from keras_kd.training import config, evaluation, trainer
from tests.support.browser import CHROMIUM
from tests.support.networks import one_block
from tests.support.networks import resnet8 as network
from tests.support.processes import ROOT


def run_folder(folder, npz):
    """A folder as `experiments.distill` leaves it, from tiny networks."""
    dataset = datasets.load(npz)
    settings = config.Settings(epochs=2, batch_size=24, strategy="none")
    teacher = network(seed=1)
    tensorboard.write_picture(folder, "samples", figures.sample_grid(dataset))
    trainer.train(teacher, dataset, settings, folder=folder, label="teacher")
    trainer.train(network(seed=2), dataset, settings, folder=folder, label="student_alone")
    trainer.distill(teacher, network(seed=2), dataset, settings, folder=folder, label="student_distilled")
    write_hparams(folder, accuracy=0.5)


def drawn_folder(folder, npz):
    """The same of curves that no network was trained for."""
    tensorboard.write_picture(folder, "samples", figures.sample_grid(datasets.load(npz)))
    for label in ("teacher", "student_alone", "student_distilled"):
        with contextlib.closing(tensorboard.epoch_writer(folder / label)) as writer:
            for epoch in range(3):
                logs = {"accuracy": 0.2 * epoch, "val_accuracy": 0.1 * epoch, "alpha": 0.9}
                tensorboard.write_epoch(writer, epoch, logs)
    write_hparams(folder, accuracy=0.5)


def write_hparams(folder, accuracy):
    tensorboard.write_hparams(
        folder,
        folder.name,
        {"schedule": "cosine", "alpha": 0.9, "temperature": 4.0},
        {"accuracy": accuracy, "recovery": None},
    )


def tags(folder, kind):
    events = EventAccumulator(str(folder))
    events.Reload()
    return set(events.Tags()[kind])


@pytest.mark.slow
def test_the_files_hold_curves_images_and_hyperparameters(tmp_path, npz):
    run_folder(tmp_path / "run", npz)
    logs = tmp_path / "run"
    both = {f"epoch_{name}/{split}" for name in ("loss", "accuracy") for split in ("train", "validation")}
    for label in ("teacher", "student_alone"):
        assert tags(logs / label, "tensors") == both | {"epoch_learning_rate/train"}
    further = ("hard_loss/train", "soft_loss/train", "agreement/validation", "alpha/train")
    assert both | {f"epoch_{name}" for name in further} <= tags(logs / "student_distilled", "tensors")
    of_the_run = {tag for tag in tags(logs, "tensors") if not tag.startswith("_")}
    assert of_the_run == {"pictures/samples", "final/accuracy"}
    assert max(both) < "final/accuracy" < "pictures/samples"  # as they are sorted on the page


def test_epochs_are_whole_and_their_numbers_are_those_of_training(tmp_path, npz):
    settings = config.Settings(epochs=2, batch_size=24, strategy="none")
    trained = trainer.train(network(), datasets.load(npz), settings, folder=tmp_path, label="teacher")
    for tag, name in (("loss/train", "loss"), ("accuracy/validation", "val_accuracy")):
        epochs, values = curve(tmp_path / "teacher", tag)
        assert epochs == [1, 2]
        assert values == pytest.approx(trained.history[name], rel=1e-6)


def test_what_the_teacher_knows_and_whom_the_student_agrees_with_are_among_the_curves(tmp_path, npz):
    dataset, settings = datasets.load(npz), config.Settings(epochs=1, batch_size=24, strategy="none")
    teacher, student = one_block(seed=1), one_block(seed=2)
    trained = trainer.distill(
        teacher, student, dataset, settings, trust_teacher=True, folder=tmp_path, label="student"
    )
    known = evaluation.evaluate(teacher, dataset, "validation")["accuracy"]
    alike = evaluation.evaluate(student, dataset, "validation", teacher=teacher)["agreement"]
    for name, measured in (("teacher_accuracy", known), ("agreement", alike)):
        assert curve(tmp_path / "student", f"{name}/validation")[1] == pytest.approx([measured])
        assert curve(tmp_path / "student", f"{name}/train")[1] == pytest.approx(trained.history[name])


def curve(folder, tag):
    """`(epochs, values)`, lists."""
    events = EventAccumulator(str(folder))
    events.Reload()
    points = events.Tensors(f"epoch_{tag}")
    return [each.step for each in points], [float(tf.make_ndarray(each.tensor_proto)) for each in points]


@contextlib.contextmanager
def served(logdir):
    """TensorBoard on a free port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--host=127.0.0.1", "--reload_interval=1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{address}/data/runs", timeout=5) as answer,
            ):
                if b"student_distilled" in answer.read():
                    break
            time.sleep(0.5)
        else:
            pytest.fail("TensorBoard did not show the run within two minutes")
        yield address
    finally:
        process.terminate()
        process.wait()


def browse(url, profile, screenshot):
    """The page's text as Chromium renders it, and a picture of it."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={profile}", "--window-size=1600,1400", "--virtual-time-budget=20000"]
    shared = {"capture_output": True, "timeout": 180, "check": True}
    subprocess.run([*command, f"--screenshot={screenshot}", url], **shared)
    page = subprocess.run([*command, "--dump-dom", url], **shared).stdout.decode()
    return re.sub(r"<[^>]+>", " ", page)


def hparams_rows(address):
    """What the HParams tab asks the server for: its page draws it where no DOM dump can see."""
    query = {"experimentName": "", "startIndex": 0, "sliceSize": 10}
    query["allowedStatuses"] = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    request = urllib.request.Request(
        f"{address}/data/plugin/hparams/session_groups",
        json.dumps(query).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        groups = json.loads(answer.read())["sessionGroups"]
    return sorted(groups, key=lambda group: group["name"])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
def test_a_browser_shows_curves_images_and_hyperparameters(tmp_path, npz):
    first, second = (tmp_path / "runs" / name for name in ("run0", "run1"))
    drawn_folder(first, npz)
    shutil.copytree(first, second)
    for events in second.glob("events.*"):
        events.unlink()
    write_hparams(second, accuracy=0.6)
    pictures = tmp_path if "SCREENSHOTS" not in os.environ else ROOT / os.environ["SCREENSHOTS"]
    with served(tmp_path / "runs") as address:
        scalars = browse(f"{address}/#timeseries", tmp_path / "profile", pictures / "timeseries.png")
        browse(f"{address}/#hparams", tmp_path / "profile", pictures / "hparams.png")
        rows = hparams_rows(address)
    for label in ("teacher", "student_alone", "student_distilled"):
        assert f"run0/{label}" in scalars
    assert scalars.index("epoch_accuracy") < scalars.index("final") < scalars.index("pictures")
    assert [row["hparams"]["temperature"] for row in rows] == [4.0, 4.0]
    assert [row["metricValues"][0]["value"] for row in rows] == pytest.approx([0.5, 0.6])
    for picture in ("timeseries.png", "hparams.png"):
        assert (pictures / picture).stat().st_size > 20_000
