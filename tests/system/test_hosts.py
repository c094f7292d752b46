"""Several hosts, here processes on the loopback: who they are, how they meet and part, how they train."""

import collections
import contextlib
import json
import re
import signal
import socket
import threading
import time

import numpy as np
import pytest

from keras_kd.models import serialization
from keras_kd.training.distributed import watchdog
from tests.support.processes import Forked, run_forked
from tests.system import kill_and_resume

JOB = ("--dataset=tiny.npz", "--batch_size=24", "--deterministic")
DISTILL = (
    *JOB,
    "--epochs=2",
    *("--teacher_depth=8", "--teacher_width=4", "--student_depth=8"),
    *("--student_width=4", "--shortcut_removal=none", "--jobs=1"),
)
TRAIN = (*JOB, "--epochs=12", "--student_depth=8", "--student_width=4", "--student_shortcuts=all")


def free_addresses(count):
    """Addresses on the loopback with free ports, of which one lies so far above the first one's."""
    while True:
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
            ports = [each.getsockname()[1] for each in opened]
            with contextlib.suppress(OSError, OverflowError):
                stack.enter_context(socket.create_server(("", ports[0] + watchdog.PORT_OFFSET)))
                return [f"127.0.0.1:{port}" for port in ports]


def tf_config(addresses, index):
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


@pytest.mark.parametrize(
    ("config", "addresses", "index"),
    [
        ({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}, ("a:1", "b:2"), 1),
        (
            {"cluster": {"worker": ["b:2", "c:3"], "chief": ["a:1"]}, "task": {"type": "worker", "index": 1}},
            ("a:1", "b:2", "c:3"),
            2,
        ),
        (
            {"cluster": {"worker": ["b:2"], "chief": ["a:1"]}, "task": {"type": "chief", "index": 0}},
            ("a:1", "b:2"),
            0,
        ),
    ],
)
def test_the_cluster_is_what_tf_config_says(monkeypatch, config, addresses, index):
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    found = watchdog.cluster()
    assert (found.addresses, found.index, found.is_chief) == (addresses, index, index == 0)
    assert found.meeting_point == ("a", 1 + watchdog.PORT_OFFSET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:64536"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}',
    ],
)
def test_a_missing_or_wrong_cluster_is_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="needs the environment variable TF_CONFIG on each host"):
        watchdog.cluster()


class EndedError(Exception):
    """Stands for the end of the process."""


class Group:
    """Watches of one cluster, each made in a thread of its own; notes how each would have ended.

    An end takes `linger` seconds, in which the host hears the others.
    """

    def __init__(self, count, present=None, linger=0.0, **options):
        addresses = tuple(free_addresses(count))
        self.messages, self.statuses, self.watches = {}, {}, {}
        self.ends = collections.Counter()
        self._linger = linger
        self._joining = [
            threading.Thread(target=self._join, args=(watchdog.Cluster(addresses, index), options))
            for index in present or range(count)
        ]
        for thread in self._joining:
            thread.start()
        for thread in self._joining:
            thread.join()

    def _join(self, cluster, options):
        def end(message, status):
            self.ends[cluster.index] += 1
            self.statuses.setdefault(cluster.index, status)
            self.messages.setdefault(cluster.index, message)
            if threading.current_thread() in self._joining:
                raise EndedError
            while cluster.index not in self.watches:
                time.sleep(0.01)
            time.sleep(self._linger)
            self.watches[cluster.index].close()

        with contextlib.suppress(EndedError):
            self.watches[cluster.index] = watchdog.Watchdog(cluster, end=end, **options)

    def ending_of(self, host):
        deadline = time.monotonic() + 10
        while host not in self.messages and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.messages[host]


def test_a_host_that_is_silent_is_named():
    group = Group(3, silence=0.5)  # a beat comes each second
    assert any("has been silent for 0.5 s" in group.ending_of(host) for host in range(3))


def test_the_end_of_one_host_is_the_end_of_all():
    group = Group(3)
    group.watches[2].close()
    assert re.match(r"host 2 at 127.0.0.1:\d+ is gone", group.ending_of(0))
    assert re.match(r"host 0 at 127.0.0.1:\d+ is gone", group.ending_of(1))
    assert group.statuses == {0: 75, 1: 75}


def test_an_error_of_one_host_is_an_error_of_all():
    group = Group(3)
    group.watches[1].leave(failed=True)
    assert re.match(r"host 1 at 127.0.0.1:\d+ ended with an error", group.ending_of(0))
    assert re.match(r"host 0 at 127.0.0.1:\d+ ended with an error", group.ending_of(2))
    assert group.statuses == {0: 1, 2: 1}


def test_a_host_that_ends_for_another_is_not_taken_for_the_cause():
    group = Group(3, linger=0.5)
    group.watches[1].leave(failed=True)
    assert "host 0" in group.ending_of(2)
    time.sleep(0.2)
    assert group.ends == {0: 1, 2: 1}
    assert "host 1" in group.ending_of(0)


def test_hosts_that_part_do_not_miss_each_other():
    group = Group(3)
    workers = [threading.Thread(target=group.watches[host].leave) for host in (1, 2)]
    for worker in workers:
        worker.start()
    time.sleep(0.2)
    assert all(worker.is_alive() for worker in workers)  # the chief has not parted yet
    group.watches[0].leave()
    for worker in workers:
        worker.join(timeout=10)
        assert not worker.is_alive()
    assert group.messages == {}


@pytest.mark.parametrize(
    ("present", "message"),
    [
        (0, r"waited 1 s for 127\.0\.0\.1:\d+, which did not come"),
        (1, r"waited 1 s for the chief at 127\.0\.0\.1:\d+, which did not come"),
    ],
)
def test_hosts_that_never_come_are_not_waited_for_without_end(present, message):
    group = Group(2, present=[present], wait=1.0)
    assert list(group.messages) == [present]
    assert re.match(message, group.messages[present])


class Hosts:
    """One job on two processes."""

    def __init__(self, script, arguments, folders):
        self._addresses = free_addresses(2)
        self._command = [f"experiments.{script}", "--strategy=multiworker", *arguments]
        self._folders = folders

    def start(self):
        self.began = [self._start(index) for index in range(2)]

    def _start(self, index):
        config, folder = tf_config(self._addresses, index), self._folders[index]
        output = folder / f"output{index}.txt"
        output.unlink(missing_ok=True)
        return Forked(*self._command, cwd=folder, output=output, TF_CONFIG=config)

    def output(self, index):
        return (self._folders[index] / f"output{index}.txt").read_text(errors="replace")

    def wait(self):
        """The exit statuses; nothing of the job is left afterwards."""
        try:
            return [process.wait(timeout=300) for process in self.began]
        finally:
            for process in self.began:
                process.kill()


@pytest.fixture
def folder(tmp_path):
    kill_and_resume.tiny_dataset(tmp_path / "tiny.npz")
    return tmp_path


def weights(path):
    return serialization.load_model(path).get_weights()


def relative_difference(found, expected):
    flat = [
        np.concatenate([value.ravel() for value in values]).astype(np.float64) for values in (found, expected)
    ]
    return np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[1])


@pytest.mark.slow
def test_two_hosts_train_to_the_weights_of_one(folder):
    """The second one has a disk of its own, on which nothing is written."""
    second = folder / "second"
    second.mkdir()
    kill_and_resume.tiny_dataset(second / "tiny.npz")
    job = Hosts("distill", (*DISTILL, "--out=runs/two"), (folder, second))
    job.start()
    assert job.wait() == [0, 0], job.output(0)[-2000:] + job.output(1)[-2000:]
    assert {path.name for path in second.iterdir()} == {"tiny.npz", "output1.txt"}
    assert "this host is done" in job.output(1)

    flags = (*DISTILL, "--strategy=none", "--out=runs/one")
    status, _, errors = run_forked("experiments.distill", *flags, cwd=folder)
    assert status == 0, errors
    one, two = (folder / "runs" / name for name in ("one", "two"))
    for name in ("teacher.keras", "student.keras"):
        assert relative_difference(weights(two / name), weights(one / name)) < 1e-5
    one, two = (json.loads((run / "result.json").read_text()) for run in (one, two))
    for label, history in one["history"].items():
        assert two["history"][label].keys() == history.keys()
        for name, values in history.items():
            np.testing.assert_allclose(
                two["history"][label][name], values, rtol=1e-5, atol=1e-6, err_msg=name
            )
    for label, row in one["networks"].items():
        assert two["networks"][label]["accuracy"] == row["accuracy"]


def epochs_logged(run):
    log = run / "log.txt"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.slow
def test_a_lost_host_ends_the_others_and_the_job_goes_on(folder):
    job = Hosts("train", (*TRAIN, "--out=runs/lost"), (folder, folder))
    for victim, number, epochs in ((1, signal.SIGTERM, 1), (0, signal.SIGKILL, 4)):
        job.start()
        deadline = time.monotonic() + 300
        while epochs_logged(folder / "runs" / "lost") <= epochs:
            assert time.monotonic() < deadline, job.output(0)[-2000:]
            time.sleep(0.02)
        job.began[victim].send_signal(number)
        statuses = job.wait()
        assert statuses[1 - victim] == 75, job.output(1 - victim)[-2000:]
        assert statuses[victim] == {signal.SIGKILL: -9, signal.SIGTERM: 75}[number]
        assert number == signal.SIGKILL or not list((folder / "runs").rglob(".part-*"))
        assert watchdog.HOW_TO_RESUME in job.output(1 - victim)
    job.start()
    assert job.wait() == [0, 0], job.output(0)[-2000:]
    whole = Hosts("train", (*TRAIN, "--out=runs/whole"), (folder, folder))
    whole.start()
    assert whole.wait() == [0, 0]
    lost, whole = (weights(folder / "runs" / name / "model.keras") for name in ("lost", "whole"))
    assert all(map(np.array_equal, lost, whole))
