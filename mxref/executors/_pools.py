"""Threads and processes of this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mxref.executors._managed import ManagedExecutor
from mxref.executors._worker import begin_process

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

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
        with _interrupts_blocked():  # a process that starts here inherits that
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # the base class has it so
        """End the processes when they have done what they are at."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def restart(self) -> None:
        """Start new processes; the pool has ended the old ones when one of them was lost."""
        self.terminate()
        self._pool = self._new_pool()

    def check(self) -> None:
        """End a pool with a lost process that it does not notice; its units are lost as well.

        It waits for the rest of a result if the process was killed while it sent one.
        """
        from multiprocessing.connection import wait

        if wait([process.sentinel for process in self._processes()], timeout=0):
            self._kill()

    def terminate(self) -> None:
        """End the processes at once."""
        # The pool's thread fails of a cancelled call when processes are gone (Python 3.11).
        for call in list(getattr(self._pool, "_pending_work_items", {}).values()):
            if call.future.cancelled():
                call.future = Future()
        self._kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _kill(self) -> None:
        for process in self._processes():
            with suppress(OSError, ValueError):  # it ended by itself
                process.kill()
        # The pool's thread may be in the middle of a result, whose rest never comes. It reads on
        # until nobody can write, and this process could as well: its own end is still open.
        results = getattr(self._pool, "_result_queue", None)
        if results is not None:
            results._writer.close()  # noqa: SLF001  # no public way to close one end

    def _processes(self) -> list[BaseProcess]:
        # Python 3.14 has public methods to end them; before, they are known here only.
        return list((getattr(self._pool, "_processes", None) or {}).values())

    def lost(self, error: Exception) -> str | None:
        """Return why an error means that a process is gone."""
        return str(error) if isinstance(error, BrokenExecutor) else None


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C from processes that have not come to `begin_process` yet."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
