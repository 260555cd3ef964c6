"""A program on the other end of two pipes, which may crash, hang, fall silent or never stop.

Input is written while output is read, so that no pipe can fill up and stop both sides. Each wait
has a deadline, each output a limit, and the end of a program is the end of all its children.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO, Self

from mxref.check.target import TargetError
from mxref.check.targets._escape import escaped

__all__ = ["Program", "ending", "kill_group"]

_PIECE = 1 << 16  # what a pipe takes at once
_STDERR_KEPT = 4096
_GRACE = 0.5  # seconds in which output may follow the end of the program itself
_QUOTED = 200


def ending(code: int | None) -> str:
    """Say how a process ended.

    Examples
    --------
    >>> ending(3), ending(-11)
    ('ended with exit code 3', 'was ended by signal SIGSEGV')
    """
    if code is None:
        return "is still running"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and everything that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Program:
    """A running program; use it as a context, which ends it.

    Parameters
    ----------
    argv : sequence of str
        The program and its arguments; no shell is involved.
    limit : int
        How many bytes it may print before it is stopped.
    timeout : float
        Seconds that it may take for an answer.

    Raises
    ------
    TargetError
        If it cannot be started.
    """

    def __init__(self, argv: Sequence[str], limit: int, timeout: float) -> None:
        self.name = escaped(argv[0], 80)
        self.limit = limit
        self._timeout = timeout
        self._received = bytearray()
        self._searched = 0  # how much of it is known to hold no line feed
        self._outgoing = memoryview(b"")
        self._then_close = False
        self._stderr = b""
        self._process = _started(argv)
        self._selector = selectors.DefaultSelector()
        pipes = self._pipes()
        self._open = {"stdout", "stderr"}
        for name, pipe in pipes.items():
            os.set_blocking(pipe.fileno(), False)
            if name != "stdin":
                self._selector.register(pipe, selectors.EVENT_READ, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program, and everything that it has started."""
        kill_group(self._process)
        self._selector.close()
        for pipe in self._pipes().values():
            # Closing flushes, and there may be nobody to flush to.
            with contextlib.suppress(OSError):
                pipe.close()

    def is_running(self) -> bool:
        """Whether it can still be spoken to."""
        return self._process.poll() is None and "stdout" in self._open

    def exchange(self, text: bytes) -> tuple[bytes, TargetError | None]:
        """Write everything, close its input, and read until its end.

        Returns
        -------
        bytes
            Everything that it printed.
        TargetError or None
            How it ended, if not with exit code 0.

        Raises
        ------
        TargetError
            If it does not end in time, or prints too much.
        """
        self._send(text, then_close=True)
        self._pump(self._timeout, lambda: False)
        return bytes(self._received), self._crashed() if self._process.poll() else None

    def ask(self, line: bytes | None, left: float) -> bytes:
        """Write a line, if one is given, and return the next line that it prints.

        Parameters
        ----------
        line : bytes or None
        left : float
            What is left of its time, in seconds.

        Raises
        ------
        TargetError
            If none comes in time, it is too long, or the program ends instead.
        """
        if line is not None:
            self._send(line + b"\n", then_close=False)
        self._pump(left, lambda: self._has_line() or "stdout" not in self._open)
        if not self._has_line():
            raise self._crashed()
        end = self._received.index(b"\n", self._searched)
        answer = bytes(self._received[:end])
        del self._received[: end + 1]
        self._searched = 0
        return answer

    def end(self, line: bytes, timeout: float) -> None:
        """Write a last line and wait a little for the end; what comes meanwhile is lost."""
        with contextlib.suppress(TargetError, OSError, ValueError):
            self._send(line + b"\n", then_close=True)
            self._pump(timeout, lambda: False)
        self.close()

    # --- the pump ----------------------------------------------------------------------------

    def _pipes(self) -> dict[str, IO[bytes]]:
        process = self._process
        found = {"stdin": process.stdin, "stdout": process.stdout, "stderr": process.stderr}
        return {name: pipe for name, pipe in found.items() if pipe is not None}

    def _send(self, data: bytes, *, then_close: bool) -> None:
        """Put data on their way; `_pump` writes them."""
        # Something is left of the last line if it was answered before it was read.
        self._outgoing = memoryview(bytes(self._outgoing) + data)
        self._then_close = then_close
        stdin = self._pipes()["stdin"]
        if not stdin.closed and stdin not in self._selector.get_map():
            self._selector.register(stdin, selectors.EVENT_WRITE, "stdin")

    def _has_line(self) -> bool:
        found = self._received.find(b"\n", self._searched)
        self._searched = len(self._received) if found < 0 else found
        return found >= 0

    def _pump(self, timeout: float, is_done: Callable[[], bool]) -> None:
        """Write and read until it is done, or the program has ended and all is read."""
        deadline = time.monotonic() + timeout
        ended_at: float | None = None
        while not is_done():
            now = time.monotonic()
            if ended_at is None and self._process.poll() is not None:
                ended_at = now
            if ended_at is not None and not self._open:
                return
            if now >= deadline:
                raise self._timed_out()
            # Without pipes left there is nothing to wake up for but the end of the process.
            longest = 0.05 if ended_at is not None or not self._open else 0.2
            ready = self._selector.select(min(deadline - now, longest))
            if ended_at is not None and not ready and now > ended_at + _GRACE:
                return  # a child of it may hold the pipe for ever
            for key, _ in ready:
                self._move(key.data)

    def _move(self, name: str) -> None:
        if name == "stdin":
            self._write()
            return
        pipe = self._pipes()[name]
        try:
            piece = os.read(pipe.fileno(), _PIECE)
        except BlockingIOError:
            return
        if not piece:
            self._selector.unregister(pipe)
            self._open.discard(name)
        elif name == "stderr":
            self._stderr = (self._stderr + piece)[-_STDERR_KEPT:]
        else:
            self._received += piece
            if len(self._received) > self.limit:
                raise TargetError(
                    f"{self.name} printed more than {self.limit:,} bytes, which no right answer "
                    f"needs; it begins with '{escaped(bytes(self._received[:80]))}'",
                    kind="garbage",
                )

    def _write(self) -> None:
        stdin = self._pipes()["stdin"]
        try:
            sent = os.write(stdin.fileno(), self._outgoing[:_PIECE])
        except BlockingIOError:
            return
        except OSError:  # it closed its end: whatever it has answered until now counts
            sent = len(self._outgoing)
        self._outgoing = self._outgoing[sent:]
        if not self._outgoing:
            self._selector.unregister(stdin)
            if self._then_close:
                with contextlib.suppress(OSError):
                    stdin.close()

    # --- endings -----------------------------------------------------------------------------

    def _crashed(self) -> TargetError:
        # Whoever closes its output is as good as gone, but may need a moment to be.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        code = self._process.poll()
        how = "closed its output" if code is None else ending(code)
        return TargetError(f"{self.name} {how}{self._said()}", kind="crashed")

    def _timed_out(self) -> TargetError:
        got = f"{len(self._received):,} bytes of output" if self._received else "no output"
        return TargetError(
            f"{self.name} gave {got} and did not finish within {self._timeout:g} s{self._said()} "
            "(--timeout SECONDS allows more)",
            kind="timed-out",
        )

    def _said(self) -> str:
        said = self._stderr.strip()
        return f"; its standard error ends with '{escaped(said[-_QUOTED:])}'" if said else ""


def _started(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(  # noqa: S603  # running the user's program is the purpose
            list(argv), stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
        )
    except FileNotFoundError:
        text = f"no program {escaped(argv[0])!r}: give a path such as ./prog, or a name in PATH"
    except PermissionError:
        text = f"{escaped(argv[0])!r} may not be run: is it executable (chmod +x)?"
    except (OSError, ValueError) as error:
        text = f"{escaped(argv[0])!r} cannot be run: {escaped(str(error))}"
    raise TargetError(text, kind="mis-wired")
