"""Python and the scripts in processes of their own.

`run_python` begins a new Python, which imports Keras for seven seconds. A `Forked` process is forked from one
that has imported it and has not computed, so it has no threads yet: it begins in a tenth of a second.
"""

import functools
import multiprocessing
import os
import pathlib
import re
import runpy
import socket
import subprocess
import sys
import tempfile
from unittest import mock

ROOT = pathlib.Path(__file__).parents[2]


class Forked:
    """`python -m MODULE ARGUMENTS` with the methods of a `subprocess.Popen`.

    Args:
      module: a name, or the path of a script.
      arguments: made texts.
      cwd: its folder.
      output, errors: files for what it prints; both in `output` without the second, nowhere without both.
      environment: added to this process's own, for what is read after the imports.
    """

    def __init__(self, module, *arguments, cwd=ROOT, output=os.devnull, errors=None, **environment):
        everything = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        streams = [str(output), str(errors or output)]
        begin = (str(module), list(map(str, arguments)), str(cwd), everything, streams)
        self._process = _server().Process(target=_become, args=begin)
        self._process.start()
        self.pid = self._process.pid

    def poll(self):
        """The exit status, negative after a signal, or None."""
        return self._process.exitcode

    def wait(self, timeout=600):
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self.poll()

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self._process.kill()


@functools.cache
def _server():
    """A process to fork from. It is not forked from this one, which computes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.imported"])
    with mock.patch.dict(os.environ, PYTHONPATH=str(ROOT), OPENBLAS_NUM_THREADS="1"):
        multiprocessing.forkserver.ensure_running()
    return context


def _become(module, arguments, cwd, environment, streams):
    """Runs the module in this new process as a command line would."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, path in enumerate(streams, start=1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    is_path = module.endswith(".py")
    sys.path[:1] = [os.path.dirname(module) if is_path else cwd, str(ROOT)]
    sys.argv = [module, *arguments]
    if is_path:
        runpy.run_path(module, run_name="__main__")
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def run_forked(module, *arguments, cwd=ROOT, timeout=600, **environment):
    """As `run_python`, of a module or script in a `Forked` process; (exit status, stdout, stderr)."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = (pathlib.Path(folder, name) for name in ("output", "errors"))
        process = Forked(module, *arguments, cwd=cwd, output=output, errors=errors, **environment)
        status = process.wait(timeout)
        return status, output.read_text(errors="replace"), errors.read_text(errors="replace")


def run_python(*arguments, cwd=ROOT, timeout=600, **environment):
    """Runs Python in a process of its own; returns (exit status, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def error_line(stderr):
    """The one line a script ends in."""
    lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, stderr
    assert not re.search("Traceback", stderr), stderr
    return lines[0]


def free_port():
    """A port of this machine that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
