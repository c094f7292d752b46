"""Functions that are called in other processes of this machine.

    with ProcessExecutor(jobs=2) as executor:
        future = executor.submit(function, *arguments)

An executor has `slots`, the number of calls that make sense at a time, and `submit`, which returns a
`concurrent.futures.Future`: it raises what the function raised, or a `BrokenExecutor` where its process
died. What is submitted must be importable by name in another process.
"""

import concurrent.futures
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading

# After so many calls another process goes on: what backends keep of networks that are gone adds up.
CALLS_OF_A_PROCESS = 16


class ProcessExecutor:
    """Processes of this machine, which share its cores and end with the process that made them.

    Each has an executor of its own, so that one that dies takes nothing else along; another takes its place.

    Args:
      jobs: how many.
      threads: of TensorFlow in each, for one operation; with another number it rounds otherwise. None: as
        many as in this process.

    Raises:
      ValueError: for fewer than one.
    """

    def __init__(self, jobs=1, threads=1):
        if jobs < 1 or (threads is not None and threads < 1):
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
            1,
            mp_context=context,
            initializer=_begin_worker,
            initargs=(threads, theirs),
            max_tasks_per_child=CALLS_OF_A_PROCESS,
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
    if threads is not None:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of many graphs: each run has its own

    def watch():
        multiprocessing.connection.wait([tie])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
