"""Runs in other processes and on a Ray cluster, some of which are killed."""

import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from keras_kd.study import executors
from keras_kd.study.design import Run, Teacher
from keras_kd.study.runner import Study
from keras_kd.utils import processes
from tests.support.processes import ROOT
from tests.support.studies import run_result

TWIN = Run(8, "residual")
RUNS = [
    TWIN,
    *(Run(8, "plain + KD", teacher=Teacher(TWIN), alpha=a) for a in (0.1, 0.2, 0.3)),
    Run(8, "plain"),
]


class Work:
    """A training of half a second, which writes down that it began and ended; one may kill its process.

    Once two have ended, the others wait for the file `until`, where one is named.
    """

    def __init__(self, killed=None, seconds=0.5, until=None):
        self.killed = killed
        self.seconds = seconds
        self.until = until

    def __call__(self, run, folder):
        with (folder / f"began-{run.key}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        if run.key == self.killed and times(folder, "began", run) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        if self.until and len(list(folder.glob("ended-*"))) >= 2:
            wait_for((folder / self.until).exists, seconds=300)
        with (folder / f"ended-{run.key}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return run_result(0.5, seconds=float(os.environ.get("TF_NUM_INTRAOP_THREADS", "0")))


def times(folder, what, run):
    path = folder / f"{what}-{run.key}"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """So that other processes find this file."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def begun(folder, runs=RUNS):
    own = Study(folder, runs, {})
    own.begin()
    return own


@pytest.mark.slow
def test_processes_share_the_runs_and_one_that_is_killed_is_replaced(tmp_path):
    with processes.ProcessExecutor(jobs=2, threads=3) as pool:
        records = begun(tmp_path).run(Work(killed=RUNS[2].key), pool)
    assert not any(record.error for record in records.values())
    assert [times(tmp_path, "ended", run) for run in RUNS] == [1] * len(RUNS)
    assert times(tmp_path, "began", RUNS[2]) == 2
    assert {record.result.seconds for record in records.values()} == {3.0}  # the threads that it had


@pytest.mark.slow
def test_after_some_calls_another_process_goes_on(monkeypatch):
    monkeypatch.setattr(processes, "CALLS_OF_A_PROCESS", 2)
    with processes.ProcessExecutor() as pool:
        own = [pool.submit(os.getpid).result() for _ in range(5)]
    assert [own.count(each) for each in dict.fromkeys(own)] == [2, 2, 1]


@pytest.mark.slow
def test_processes_end_with_the_one_that_made_them(tmp_path):
    script = f"""
import pathlib
from keras_kd.utils import processes
from tests.study.test_executors import RUNS, Work, begun
if __name__ == "__main__":
    folder = pathlib.Path({str(tmp_path)!r})
    with processes.ProcessExecutor(jobs=1) as pool:
        begun(folder).run(Work(seconds=300), pool)
"""
    (tmp_path / "main.py").write_text(script)
    with subprocess.Popen([sys.executable, tmp_path / "main.py"]) as process:
        worker = wait_for(lambda: (tmp_path / f"began-{TWIN.key}").read_text().split())
        process.kill()
    wait_for(lambda: not pathlib.Path(f"/proc/{worker[0]}").exists() or [][0])


def wait_for(ask, seconds=60):
    """What `ask` returns once it no longer fails."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = ask()
            if found:
                return found
        except (OSError, IndexError):
            pass
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


@pytest.mark.slow
def test_leaving_a_pool_ends_what_it_does(tmp_path):
    own = begun(tmp_path)

    def watch(state):
        if times(tmp_path, "began", TWIN):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), processes.ProcessExecutor() as pool:
        own.run(Work(seconds=300), pool, watch=watch)
    worker = (tmp_path / f"began-{TWIN.key}").read_text().split()[0]
    assert not pathlib.Path(f"/proc/{worker}").exists()


@pytest.mark.parametrize("given", [{"jobs": 0}, {"threads": 0}])
def test_a_pool_needs_a_job_and_a_thread(given):
    with pytest.raises(ValueError, match="at least one job and one thread are needed. Received: .*=0"):
        processes.ProcessExecutor(**given)


@pytest.mark.slow
@pytest.mark.last
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_lost_node_of_a_ray_cluster_costs_only_what_it_was_doing(tmp_path):
    from ray.cluster_utils import Cluster

    runs = [Run(8, variant, seed=seed) for seed in range(4) for variant in ("residual", "plain")]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        lost = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        own = begun(tmp_path, runs)
        done_before = []

        def watch(state):
            under_way = [run for run in runs if times(tmp_path, "began", run) > times(tmp_path, "ended", run)]
            if len(state.records) >= 2 and len(under_way) >= 2 and not done_before:
                done_before.extend(state.records)
                cluster.remove_node(lost, allow_graceful=False)
                workers = [(tmp_path / f"began-{run.key}").read_text().strip() for run in under_way]
                wait_for(lambda: not all(pathlib.Path(f"/proc/{worker}").exists() for worker in workers))
                (tmp_path / "node is lost").touch()

        with executors.RayExecutor(cluster.address) as pool:
            assert pool.slots == 2
            records = own.run(Work(until="node is lost"), pool, watch=watch)
    finally:
        cluster.shutdown()
    assert done_before
    assert len(records) == len(runs)
    assert not any(record.error for record in records.values())
    assert [times(tmp_path, "began", run) for run in done_before] == [1] * len(done_before)
    assert [times(tmp_path, "ended", run) for run in runs] == [1] * len(runs)
    begins = [times(tmp_path, "began", run) for run in runs]
    assert sum(begins) > len(runs)  # what the node was doing was begun again
    results = [json.loads((own.folder_of(run) / "result.json").read_text()) for run in runs]
    assert {result["accuracy"] for result in results} == {0.5}


class RemoteError(Exception):
    """As Ray's: what was raised is its cause, itself it is the whole remote traceback."""

    def __init__(self, cause):
        super().__init__("line 1\nline 2")
        self.cause = cause


class LostError(Exception):
    """As of a node that died."""


@pytest.mark.parametrize("is_done", [True, False])
def test_what_was_raised_elsewhere_is_raised_here(is_done):
    def raised(error):
        future = concurrent.futures.Future()
        if is_done:
            future.set_exception(error)
        own = executors.unwrapped(future, (LostError,))
        if not is_done:
            future.set_exception(error)
        return own.exception(timeout=1)

    cause = ValueError("no luck")
    wrapped = RemoteError(cause)
    assert raised(wrapped) is cause
    assert cause.__cause__ is wrapped
    plain = KeyError("none")
    assert raised(plain) is plain
    assert plain.__cause__ is None
    assert isinstance(raised(RemoteError("no exception")), RemoteError)
    lost = raised(LostError("node 1 died\nlater"))
    assert isinstance(lost, concurrent.futures.BrokenExecutor)
    assert str(lost) == "node 1 died"


def test_what_was_returned_elsewhere_is_returned_here():
    future = concurrent.futures.Future()
    own = executors.unwrapped(future)
    assert not own.done()
    future.set_result(3)
    assert own.result(timeout=1) == 3


def test_a_cluster_without_ray_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'keras_kd\[cluster\]'"):
        executors.RayExecutor("local")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_named(address):
    with pytest.raises(ValueError, match=f"no Ray cluster answers at '{address}'"):
        executors.RayExecutor(address)
