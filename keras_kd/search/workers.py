"""A chief and its workers: how a search is shared by processes, and ends although some of them are lost.

keras-tuner's own environment variables say who is who; the chief hands out trials by gRPC. In keras-tuner
1.4.8 a chief waits without end for a worker that is gone, and a worker an hour for a chief that is. Here a
worker says every second which trial it has, a silent one loses its trial to another, and a worker ends when
nobody listens at the chief's address any more.
"""

import contextlib
import dataclasses
import os
import socket
import threading
import time

from keras_kd.training import callbacks
from keras_kd.training.distributed import watchdog
from keras_kd.utils import progress

BEAT_SECONDS = 1.0

_NAMES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


@dataclasses.dataclass(frozen=True)
class WorkerConfig:
    """Which process of a search this one is.

    Attributes:
      name: of this process, its own among all.
      address: `(host, port)` of the chief.
    """

    name: str
    address: tuple[str, int]

    @property
    def is_chief(self):
        """Whether this process hands out the trials: keras-tuner's rule is that its name says so."""
        return "chief" in self.name

    @property
    def place(self):
        """The chief's address in words."""
        return f"{self.address[0]}:{self.address[1]}"


def worker_config():
    """The `WorkerConfig` that the environment variables describe; None where this process searches alone.

    Raises:
      ValueError: if some of the variables are missing, or the port is none.
    """
    given = {name: os.environ[name] for name in _NAMES if os.environ.get(name)}
    if not given:
        return None
    missing = [name for name in _NAMES if name not in given]
    if missing:
        raise ValueError(
            f"a search with several workers needs {', '.join(_NAMES)} for each process. Missing: "
            f"{', '.join(missing)}"
        )
    name, host, port = given.values()
    if not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError(f"KERASTUNER_ORACLE_PORT must be a port from 1 to 65535. Received: {port!r}")
    return WorkerConfig(name, (host, int(port)))


def find_chief(own, patience):
    """Returns when somebody listens at the chief's address.

    Args:
      own: the `WorkerConfig`.
      patience: seconds to wait for it.

    Raises:
      ValueError: if nobody does, or the name cannot be resolved.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(own.address, timeout=2).close()
            return
        except socket.gaierror as error:
            raise ValueError(f"there is no host {own.address[0]!r} ({error.strerror})") from error
        except OSError:
            if time.monotonic() >= deadline:
                raise ValueError(
                    f"no chief answers at {own.place} within {patience:g} s: give the same "
                    f"command with KERASTUNER_TUNER_ID=chief first, or correct KERASTUNER_ORACLE_IP and _PORT"
                ) from None
        time.sleep(0.2)


def check_free(own):
    """Raises a ValueError if somebody listens at the chief's address: gRPC would share the port."""
    with contextlib.suppress(OSError):
        socket.create_connection(own.address, timeout=2).close()
        raise ValueError(f"{own.place} is in use, perhaps by another chief: choose another port")


class Heartbeat:
    """A worker's sign of life, and its ear for the chief's.

    Args:
      own: the `WorkerConfig`.
      tuner: the worker's; its oracle asks the chief, and its `trial` is the one that it has.
      silence: seconds after which a chief that cannot be reached counts as lost.
      end: what to call with a message and an exit status when it is lost; must not return.
    """

    def __init__(self, own, tuner, silence, end=watchdog.end_process):
        self._own = own
        self._tuner = tuner
        self._silence = silence
        self._end = end
        self._closed = threading.Event()

    def __enter__(self):
        for task in (self._speak, self._listen):
            threading.Thread(target=task, daemon=True).start()
        return self

    def __exit__(self, *error):
        self._closed.set()

    def _speak(self):
        while not self._closed.wait(BEAT_SECONDS):
            trial = self._tuner.trial
            if trial is not None:
                with contextlib.suppress(Exception):  # gRPC's; who listens finds out what it means
                    self._tuner.oracle.get_trial(trial)

    def _listen(self):
        answered = time.monotonic()
        while not self._closed.wait(BEAT_SECONDS):
            try:
                socket.create_connection(self._own.address, timeout=2).close()
                answered = time.monotonic()
            except OSError as error:
                refused = isinstance(error, ConnectionRefusedError)  # the process is gone, not the way to it
                if self._closed.is_set():
                    return
                if refused or time.monotonic() - answered > self._silence:
                    self._end(f"the chief at {self._own.place} is gone", watchdog.EXIT_RESUME)
                    return


def run_chief(tuner, oracle, own, *, prepare, watch, silence, patience):
    """What the chief does: hands out trials until all have ended, and gives back those of lost workers.

    Args:
      tuner: whose `search` serves the oracle at the chief's address, without end.
      oracle: of `oracles`.
      own: the `WorkerConfig`.
      prepare: called once; workers that come before it is done wait.
      watch: called twice a second.
      silence: seconds after which a worker that says nothing is lost.
      patience: seconds without any worker after which to stop.

    Raises:
      ValueError: if the address cannot be used.
      TrainingInterruptedError: if no worker came, or none was left, for too long.
    """
    failures = []

    def serve():
        try:
            tuner.search()
        except Exception as error:
            failures.append(error)

    oracle.ready = False
    threading.Thread(target=serve, daemon=True).start()
    prepare()
    oracle.ready = True
    alone = time.monotonic()
    while not _over(oracle):
        if failures:
            raise ValueError(f"cannot listen at {own.place} ({failures[0]}): choose another address")
        time.sleep(0.5)
        _give_back(oracle, silence)
        watch()
        now = time.monotonic()
        alone = now if oracle.heard else alone
        if now - alone > patience:
            raise callbacks.TrainingInterruptedError(
                f"no worker for {patience:g} s, with {len(oracle.end_order)} trials done"
            )


def _over(oracle):
    """Whether no trial is left, and every worker knows."""
    total = oracle.max_trials
    done = oracle.exhausted or (total and len(set(oracle.end_order)) >= total)
    return done and not oracle.ongoing_trials and not oracle.tuner_ids


def _give_back(oracle, silence):
    for name, heard in list(oracle.heard.items()):
        if time.monotonic() - heard > silence:
            trial = oracle.lose(name)
            taken = f": trial {trial} goes to another" if trial is not None else ""
            progress.say(f"worker {name} has been silent for {silence:g} s{taken}")
