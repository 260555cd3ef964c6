"""Python functions in a process of their own: they may crash, hang or leave, and mxref goes on.

The process is started once and answers one call after another over two pipes. If it dies, or is
killed because its time is up, the next call starts another one. What the function prints goes to
standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
import weakref
from typing import Any

from mxref.check._call import RefusalError
from mxref.check.target import TargetError
from mxref.check.targets._program import ending, kill_group
from mxref.check.targets._wire import Reader, pack, packed_tree, unpacked_tree

__all__ = ["Worker"]

_START_SECONDS = 60.0  # beyond the user's timeout: importing torch from a cold disk takes a while
# -P and the parent's own path: a module of the user's, say random.py, must not replace Python's.
# -u: what the function has printed is seen even if the process is killed.
_MAIN = """\
import json, sys
sys.path[:] = json.loads(sys.argv[3])
from mxref.check.targets._worker import serve
serve(int(sys.argv[1]), int(sys.argv[2]))
"""


class Worker:
    """A process that holds one function and calls it.

    Parameters
    ----------
    source : dict
        What to load, as `mxref.check.targets._worker` knows it.
    timeout : float
        Seconds that a call may take.
    """

    def __init__(self, source: dict[str, Any], timeout: float) -> None:
        self._source = source
        self._timeout = timeout
        self._running: _Running | None = None

    def start(self) -> Any:
        """Start the process and load the function; return what the loader has to say.

        Raises
        ------
        TargetError
            If it cannot be loaded.
        """
        self._running = _Running()
        message = pack({"load": self._source}, [])
        try:
            return self._answer(message, self._timeout + _START_SECONDS, "while it was loaded")
        except BaseException:
            self.close()
            raise

    def call(self, *inputs: Any) -> Any:
        """Call the function.

        Raises
        ------
        TargetError
            If it crashes, hangs, raises or returns what cannot be read.
        """
        return self.request({}, *inputs)

    def request(self, what: dict[str, Any], *inputs: Any) -> Any:
        """Call the function with something that the loader of this source understands.

        Raises
        ------
        TargetError
            As `call`.
        """
        if self._running is None:
            self.start()
        arrays: list[Any] = []
        tree = packed_tree(inputs, arrays)
        message = pack({"call": tree, "what": what}, arrays)
        return self._answer(message, self._timeout, "during the call")

    def close(self) -> None:
        """End the process."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _answer(self, message: list[memoryview], timeout: float, when: str) -> Any:
        running = self._running
        assert running is not None  # noqa: S101  # both callers have started it
        try:
            head, arrays = running.exchange(message, timeout)
        except TimeoutError:
            self.close()
            raise TargetError(
                f"the target did not return within {timeout:g} s {when} and was stopped: a hang, "
                "or a first call that compiles (--timeout SECONDS allows more)",
                "timed-out",
            ) from None
        except (EOFError, OSError, ValueError):
            code = running.ended()
            self.close()
            raise TargetError(
                f"the process of the target {ending(code)} {when}", "crashed"
            ) from None
        except BaseException:  # interrupted: the answer that is under way would be the next one's
            self.close()
            raise
        if "error" in head:
            text, kind = head["error"], head["kind"]
            raise RefusalError(text) if head["refusal"] else TargetError(text, kind)
        return unpacked_tree(head["result"], arrays)


class _Running:
    """The process and its two pipes."""

    def __init__(self) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The path may hold what is not a string, and is not needed then.
        path = json.dumps([each for each in sys.path if isinstance(each, str)])
        command = [sys.executable, "-P", "-u", "-c", _MAIN, str(theirs_in), str(theirs_out), path]
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=_standard_error(),
                pass_fds=(theirs_in, theirs_out),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._in)
            os.close(self._out)
            raise TargetError(f"no process could be started for the target: {error}") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        os.set_blocking(self._out, False)
        self.close = weakref.finalize(self, _end, self._process, self._in, self._out)

    def exchange(self, message: list[memoryview], timeout: float) -> Any:
        """Send a message and return the next one."""
        deadline = time.monotonic() + timeout
        for piece in message:
            left = piece
            while left:
                self._wait(deadline, writing=True)
                with contextlib.suppress(BlockingIOError):
                    left = left[os.write(self._out, left) :]
        return Reader(self._in, lambda: self._wait(deadline, writing=False)).message()

    def _wait(self, deadline: float, *, writing: bool) -> None:
        """Return when the pipe is ready; raise when time is up or the process is gone."""
        poll = select.poll()  # select() knows no descriptor above 1023
        poll.register(
            self._out if writing else self._in, select.POLLOUT if writing else select.POLLIN
        )
        while True:
            has_ended = self._process.poll() is not None
            left = deadline - time.monotonic()
            if poll.poll(0 if has_ended else 1000 * max(0.0, min(left, 0.2))):
                return
            if has_ended:
                raise EOFError  # a child of it may hold the pipe open
            if left <= 0:
                raise TimeoutError

    def ended(self) -> int | None:
        """Return the exit code of a process that has closed its pipe."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        return self._process.poll()


def _end(process: subprocess.Popen[bytes], *pipes: int) -> None:
    kill_group(process)
    for pipe in pipes:
        os.close(pipe)


def _standard_error() -> int:
    """Return the descriptor of standard error, or of nothing where there is none."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2
