"""Several hosts that train one network together: who they are, and how they end.

A collective operation of TensorFlow waits for every host, and no Python runs while it waits: the
loss of a host shows after 10 to 25 s, as a traceback, and a host that never came is waited for
without end. So each host also holds a plain connection to the chief. When one ends without a
farewell, or is silent for too long, the chief's connections end, and with them every process: one
line, and the exit status that says "start the same command again". An error on one host ends the
others with an error.
"""

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time

# Of sysexits.h, EX_TEMPFAIL: not done, and worth the same command again.
EXIT_RESUME = 75

HOW_TO_RESUME = "the same command, without --overwrite, goes on from the last checkpoint"


# The connections use the port that lies so far above the chief's own, which TensorFlow takes.
PORT_OFFSET = 1000

_BEAT, _FAREWELL, _FAILURE = b".", b"!", b"?"

_INDEX_BYTES = 2


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The hosts of a training, and which of them this process is.

    Attributes:
      addresses: "name:port" of each, the chief first.
      index: of this process.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self):
        """Whether this process writes what the training leaves behind."""
        return self.index == 0

    @property
    def meeting_point(self):
        """`(name, port)` where the chief waits for the others."""
        name, port = self.addresses[0].rsplit(":", 1)
        return name, int(port) + PORT_OFFSET


def cluster():
    """The cluster that the environment variable `TF_CONFIG` describes.

    Raises:
      ValueError: if it is not there, or is not what TensorFlow documents for workers.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        tasks, task = config["cluster"], config["task"]
        if not tasks.keys() <= {"chief", "worker"}:
            raise ValueError(f"tasks of the types {sorted(tasks)}")
        chiefs, workers = tasks.get("chief", []), tasks.get("worker", [])
        before = 0 if task["type"] == "chief" else len(chiefs)
        found = Cluster((*chiefs, *workers), before + int(task["index"]))
        if not 0 < found.meeting_point[1] < 2**16 or not 0 <= found.index < len(found.addresses):
            raise ValueError(f"the chief needs a port below {2**16 - PORT_OFFSET}, each task an address")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            "strategy='multiworker' needs the environment variable TF_CONFIG on each host, such as "
            '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: TF_CONFIG={text!r} ({type(error).__name__}: {error})"
        ) from error
    return found


class Watchdog:
    """This process's connections to the other hosts.

    Args:
      members: the `Cluster`.
      wait: seconds until every host must have come.
      silence: seconds after which a host that says nothing counts as lost.
      end: what to call with a message and an exit status when a host is lost; must not return.
    """

    def __init__(self, members, *, wait=600.0, silence=30.0, end=None):
        self._members = members
        self._wait = wait
        self._silence = silence
        self._end = end or end_process
        self._closed = threading.Event()
        self._parted = {}
        deadline = time.monotonic() + wait
        self._links = self._receive_all(deadline) if members.is_chief else {0: self._reach_chief(deadline)}
        self._listeners = []
        for host, link in self._links.items():
            link.settimeout(silence)
            self._parted[host] = threading.Event()
            self._listeners.append(threading.Thread(target=self._listen, args=(host, link), daemon=True))
            self._listeners[-1].start()
        threading.Thread(target=self._beat, daemon=True).start()

    def leave(self, failed=False):
        """Parts from the others; returns when the chief, which has most to do, has parted too.

        Args:
          failed: whether this process ended with an error: the others end at once.
        """
        if failed:
            self._closed.set()  # before the chief passes the word on, to this host too
            self._send(_FAILURE)
            self.close()
            return
        self._send(_FAREWELL)
        if self._members.is_chief:
            for listener in self._listeners:
                listener.join(timeout=5)  # until the other side has read the farewell and closed
        else:
            self._parted[0].wait()
        self.close()

    def close(self):
        """Ends the connections; without `leave` before, the others end their processes."""
        self._closed.set()
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _receive_all(self, deadline):
        links = {}
        missing = set(range(1, len(self._members.addresses)))
        with socket.create_server(("", self._members.meeting_point[1])) as server:
            while missing:
                server.settimeout(max(deadline - time.monotonic(), 0.001))
                try:
                    link, _ = server.accept()
                except TimeoutError:
                    names = ", ".join(self._members.addresses[host] for host in sorted(missing))
                    self._end(f"waited {self._wait:.0f} s for {names}, which did not come", EXIT_RESUME)
                link.settimeout(5)
                with contextlib.suppress(OSError):
                    host = int.from_bytes(link.recv(_INDEX_BYTES), "big")
                    if 0 < host < len(self._members.addresses):  # one that comes again has started again
                        links[host] = link
                        missing.discard(host)
        for link in links.values():
            with contextlib.suppress(OSError):  # who listens on that link says so
                link.sendall(_BEAT)
        return links

    def _reach_chief(self, deadline):
        chief = self._members.addresses[0]
        while True:
            with contextlib.suppress(OSError):
                link = socket.create_connection(self._members.meeting_point, timeout=2)
                break
            if time.monotonic() > deadline:
                self._end(
                    f"waited {self._wait:.0f} s for the chief at {chief}, which did not come", EXIT_RESUME
                )
            time.sleep(0.2)
        try:
            link.sendall(self._members.index.to_bytes(_INDEX_BYTES, "big"))
            link.settimeout(max(deadline - time.monotonic(), 1))
            if not link.recv(1):
                self._end(f"the chief at {chief} is gone", EXIT_RESUME)
        except OSError:
            self._end(f"waited {self._wait:.0f} s for all hosts to reach the chief at {chief}", EXIT_RESUME)
        return link

    def _beat(self):
        while not self._closed.wait(1.0):
            self._send(_BEAT)

    def _send(self, message):
        for link in self._links.values():
            with contextlib.suppress(OSError):  # who listens on that link says so
                link.sendall(message)

    def _listen(self, host, link):
        name = f"host {host} at {self._members.addresses[host]}"
        try:
            while received := link.recv(64):
                if _FAREWELL in received:
                    self._parted[host].set()
                if _FAILURE in received and not self._closed.is_set():
                    self._closed.set()  # that the others end for it too is no news
                    if self._members.is_chief:
                        self._send(_FAILURE)  # hosts know of each other through the chief
                    self._end(f"{name} ended with an error, which its output names", 1)
                    return
            reason = "is gone"
        except TimeoutError:
            reason = f"has been silent for {self._silence:g} s"
        except OSError as error:
            reason = f"is gone ({error.strerror})"
        if not self._parted[host].is_set() and not self._closed.is_set():
            self._end(f"{name} {reason}", EXIT_RESUME)


def end_process(message, status):
    """Ends this process at once with one line: a thread that waits in TensorFlow cannot be asked to."""
    advice = f": {HOW_TO_RESUME}" if status == EXIT_RESUME else ""
    os.write(2, f"{message}{advice}\n".encode())
    os._exit(status)
