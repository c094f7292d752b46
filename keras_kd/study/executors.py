"""Where runs are done elsewhere than on this machine: on the workers of a Ray cluster.

    with RayExecutor("local") as executor:
        future = executor.submit(function, *arguments)

It has the interface of `keras_kd.utils.processes.ProcessExecutor`.
"""

import concurrent.futures
import importlib.util
import os
import re
import signal
import socket
import threading

# How often Ray begins a call again whose worker was lost.
RAY_RETRIES = 5

ANSWER_SECONDS = 5.0


# What decides how a worker computes, and must be as it is here.
FORWARDED = ("KERAS_BACKEND", "XLA_FLAGS", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")


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
