"""Where runs are done: in processes of this machine, or on the workers of a Ray cluster.

    with ProcessExecutor(jobs=2) as executor:
        future = executor.submit(function, *arguments)

An executor has `slots`, the number of calls that make sense at a time, and `submit`, which returns a
`concurrent.futures.Future`: it raises what the function raised, or a `BrokenExecutor` where its process
died. What is submitted must be importable by name in another process.
"""

import concurrent.futures
import importlib.util
import logging
import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import socket
import threading

# How often Ray begins a call again whose worker was lost.
RAY_RETRIES = 5

ANSWER_SECONDS = 5.0


# What decides how a worker computes, and must be as it is here.
FORWARDED = ("KERAS_BACKEND", "XLA_FLAGS", "TF_CPP_MIN_LOG_LEVEL")


class ProcessExecutor:
    """Processes of this machine, which share its cores and end with the process that made them.

    Each has an executor of its own, so that one that dies takes nothing else along; another takes its place.

    Args:
      jobs: how many.
      threads: of TensorFlow in each, for one operation; with another number it rounds otherwise.

    Raises:
      ValueError: for fewer than one.
    """

    def __init__(self, jobs=1, threads=1):
        if jobs < 1 or threads < 1:
            raise ValueError(
                f"at least one job and one thread are needed. Received: jobs={jobs}, threads={threads}"
            )
        self.slots = jobs
        self._threads = threads
        self._workers = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for worker in self._workers:
            worker.end()

    def submit(self, function, *arguments):
        worker = next((worker for worker in self._workers if worker.is_idle), None)
        if worker is None:
            worker = _Worker(self._threads)
            self._workers.append(worker)
        try:
            return worker.submit(function, *arguments)
        except concurrent.futures.BrokenExecutor:  # it died while it was idle, or with what it did last
            worker.end()
            self._workers.remove(worker)
            return self.submit(function, *arguments)


class _Worker:
    """One process, and the pipe whose end tells it to end."""

    def __init__(self, threads):
        context = multiprocessing.get_context("spawn")
        theirs, self._tie = context.Pipe(duplex=False)
        self._executor = concurrent.futures.ProcessPoolExecutor(
            1, mp_context=context, initializer=_begin_worker, initargs=(threads, theirs)
        )
        self._latest = None

    @property
    def is_idle(self):
        return self._latest is None or self._latest.done()

    def submit(self, function, *arguments):
        self._latest = self._executor.submit(function, *arguments)
        return self._latest

    def end(self):
        """At once, whatever it does; returns when it is gone."""
        self._tie.close()
        self._executor.shutdown(wait=True, cancel_futures=True)


def _begin_worker(threads, tie):
    """Takes its threads, leaves Ctrl-C to the parent, and ends when the tie to it is cut."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of many graphs: each run has its own

    def watch():
        multiprocessing.connection.wait([tie])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class RayExecutor:
    """The workers of a Ray cluster; all must see the same files under the same absolute paths.

    Ray begins a call again whose worker or node was lost. Where the cluster has GPUs each call gets one.

    Args:
      address: of the cluster; "local" starts one on this machine.
      threads: of TensorFlow in each call, for one operation; a call takes as many CPUs.

    Raises:
      ValueError: if Ray is not installed, or no cluster answers.
    """

    def __init__(self, address, threads=1):
        if importlib.util.find_spec("ray") is None:
            raise ValueError("a cluster needs Ray: pip install 'keras_kd[cluster]'")
        import ray

        _check_answers(address)
        self._ray = ray
        self._threads = threads
        before = signal.getsignal(signal.SIGTERM)  # which Ray replaces by its own
        here = {"include_dashboard": False} if address == "local" else {}
        environment = {name: os.environ[name] for name in FORWARDED if name in os.environ}
        environment["TF_NUM_INTRAOP_THREADS"] = str(threads)
        try:
            ray.init(address, **here, log_to_driver=False, runtime_env={"env_vars": environment})
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ValueError(_NO_ANSWER.format(address, str(error).split("\n")[0])) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._ray.shutdown()

    @property
    def slots(self):
        """As many calls as the cluster's present CPUs, or GPUs, allow."""
        resources = self._ray.cluster_resources()
        return max(1, int(resources.get("GPU", 0) or resources.get("CPU", 1) // self._threads))

    def submit(self, function, *arguments):
        gpus = 1 if self._ray.cluster_resources().get("GPU", 0) else 0
        remote = self._ray.remote(function).options(
            num_cpus=self._threads, num_gpus=gpus, max_retries=RAY_RETRIES
        )
        lost = (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError)
        return unwrapped(remote.remote(*arguments).future(), lost)


def unwrapped(future, lost=()):
    """A future with what the function raised, in place of an error whose `cause` that is, as Ray's are.

    Args:
      future: a `concurrent.futures.Future`.
      lost: types of errors that say that the process died: a `BrokenExecutor` takes their place.
    """
    own = concurrent.futures.Future()

    def hand_on(done):
        error = done.exception()
        if error is None:
            own.set_result(done.result())
            return
        raised = getattr(error, "cause", None)
        if isinstance(error, lost):
            raised = concurrent.futures.BrokenExecutor(str(error).split("\n")[0])
        if not isinstance(raised, BaseException):
            raised = error
        if raised is not error:
            raised.__cause__ = error  # it holds the traceback of the other process
        own.set_exception(raised)

    future.add_done_callback(hand_on)
    return own


_NO_ANSWER = "no Ray cluster answers at {!r} ({}): start one with 'ray start --head', or use 'local'"


def _check_answers(address):
    """Ray itself asks for minutes."""
    found = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address)
    if not found:
        return
    try:
        socket.create_connection((found[1], int(found[2])), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise ValueError(_NO_ANSWER.format(address, error)) from error
