"""What happens where a unit runs: in a thread, in a process of this machine, or far away."""

from __future__ import annotations

import hashlib
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from mxref import __version__
from mxref.executors._errors import ExecutorError

__all__ = ["Environment", "begin_process", "cores", "environment", "one_kernel_thread", "run_batch"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def cores() -> int:
    """Return how many cores this process may use.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- a unit ----------------------------------------------------------------------------------


def run_batch(
    function: Callable[[Unit], Result], units: Sequence[Unit], expected: Environment | None
) -> tuple[list[Result], float]:
    """Run units on one thread; refuse where another mxref would answer than the caller's.

    Returns
    -------
    results, seconds
        How long the units took together.
    """
    if expected is not None and (difference := environment().difference(expected)):
        raise ExecutorError(f"the worker on {platform.node()} has {difference}")
    with one_kernel_thread():
        began = time.perf_counter()
        results = [function(unit) for unit in units]
    return results, time.perf_counter() - began


_lock = threading.Lock()
_working = 0
_held = ExitStack()


@contextmanager
def one_kernel_thread() -> Iterator[None]:
    """Keep the kernels to the caller's own thread while any unit of this process is at work.

    The units are what runs in parallel; threads of a kernel beside them would only wait for a
    core: with them, two processes on two cores took 57 instead of 4 s for a sweep. Whoever holds
    the kernels' one parallel slot keeps all others from it, so the first unit takes it for all.
    """
    from mxref.kernels._jit import PARALLEL_MIN, parallel_slot

    global _working  # noqa: PLW0603  # a count for the process, as the slot is one for the process
    with _lock:
        if _working == 0:
            _held.enter_context(parallel_slot(PARALLEL_MIN))
        _working += 1
    try:
        yield
    finally:
        with _lock:
            _working -= 1
            if _working == 0:
                _held.close()


# --- a process -------------------------------------------------------------------------------


def begin_process() -> None:
    """Make a worker process end with its parent, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A pool's workers hold both ends of its queue: a killed parent never looks gone to them.
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


# --- another machine -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Environment:
    """What has to be the same on all workers for their results to be those of one program.

    Attributes
    ----------
    mxref, numba, numpy, Python : str
        Versions; of Python the first two numbers.
    sources : str
        A hash of mxref's source files, as a version does not tell two checkouts apart.

    Examples
    --------
    >>> mine = environment()
    >>> mine.difference(mine)
    ''
    >>> Environment("0.0", "0.66", "2.0", "3.11", "").difference(mine).startswith("mxref 0.0, ")
    True
    """

    mxref: str
    numba: str
    numpy: str
    Python: str
    sources: str

    def difference(self, ours: Environment) -> str:
        """Say in which way it is not ours; "" where it is the same."""
        for field in fields(self):
            theirs, own = getattr(self, field.name), getattr(ours, field.name)
            if theirs != own and field.name == "sources":
                return f"other sources of mxref {self.mxref} ({theirs}, this process has {own})"
            if theirs != own:
                return f"{field.name} {theirs}, this process has {own}"
        return ""


@cache
def environment() -> Environment:
    """Return that of this process."""
    python = ".".join(platform.python_version_tuple()[:2])
    numba, numpy = _version("numba"), _version("numpy")
    return Environment(__version__, numba, numpy, python, _hash_of_sources())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of unknown version"


def _hash_of_sources() -> str:
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]
