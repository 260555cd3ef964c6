"""Threads and processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from mxref.executors._managed import ManagedExecutor
from mxref.executors._worker import begin_process

__all__ = ["Processes", "Threads", "processes", "threads"]


class Threads(ManagedExecutor):
    """Threads of this process."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="mxref")

    def workers(self) -> int:
        """Return how many threads there are."""
        return self._count

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in one of the threads."""
        return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # the base class has it so
        """End the threads."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


class Processes(ManagedExecutor):
    """Processes of this machine; those that are lost can be replaced."""

    can_restart = True

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        from multiprocessing import get_context

        # Not fork: a child would inherit the locks of the kernels' threads.
        return ProcessPoolExecutor(self._count, get_context("spawn"), begin_process)

    def workers(self) -> int:
        """Return how many processes there are."""
        return self._count

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in one of the processes."""
        return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # the base class has it so
        """End the processes when they have done what they are at."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def restart(self) -> None:
        """Start new processes; the pool has ended the old ones when one of them was lost."""
        self.terminate()
        self._pool = self._new_pool()

    def terminate(self) -> None:
        """End the processes at once."""
        # Python 3.14 has a public method for this; before, the processes are known here only.
        for process in list((getattr(self._pool, "_processes", None) or {}).values()):
            with suppress(OSError, ValueError):  # it ended by itself
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def lost(self, error: Exception) -> str | None:
        """Return why an error means that a process is gone."""
        return str(error) if isinstance(error, BrokenExecutor) else None


@contextmanager
def threads(count: int) -> Iterator[Threads]:
    """Open threads."""
    pool = Threads(count)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def processes(count: int) -> Iterator[Processes]:
    """Open processes; when the caller fails or is interrupted, they end in mid-unit."""
    pool = Processes(count)
    try:
        yield pool
    except BaseException:
        pool.terminate()
        raise
    pool.shutdown(wait=True, cancel_futures=True)
