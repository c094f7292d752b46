"""Output that may go away while a command works: that costs what is shown, and not the work."""

import contextlib
import os
import sys


@contextlib.contextmanager
def lasting():
    """Within the block stdout and stderr are there, and what cannot be written to them is dropped."""
    _open_descriptors()
    before = sys.stdout, sys.stderr
    wrapped = [each if isinstance(each, _Lasting) else _Lasting(each) for each in before]
    sys.stdout, sys.stderr = wrapped
    try:
        yield
    finally:
        for each in wrapped:
            each.flush()
        sys.stdout, sys.stderr = before


def _open_descriptors():
    """Files that are opened later must not get the numbers of stdout and stderr."""
    for descriptor in (1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


class _Lasting:
    """A text stream whose `write` and `flush` do not fail; all else is that of the stream."""

    def __init__(self, stream):
        self._stream = stream
        self._is_lost = stream is None

    def __getattr__(self, name):
        if self._stream is None:
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text):
        self._try("write", text)
        return len(text)

    def flush(self):
        self._try("flush")

    def isatty(self):
        try:
            return not self._is_lost and self._stream.isatty()
        except ValueError:  # it is closed
            return False

    def _try(self, name, *values):
        if self._is_lost:
            return
        try:
            getattr(self._stream, name)(*values)
        except UnicodeError:
            raise
        except (OSError, ValueError) as error:
            self._is_lost = True
            self._discard()
            if self is sys.stdout:
                print(f"output cannot be shown any more ({error}): the work goes on", file=sys.stderr)

    def _discard(self):
        """What is buffered goes nowhere, else Python's last flush fails."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
