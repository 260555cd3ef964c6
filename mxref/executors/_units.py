"""Hand out units of work, a bounded number at a time, and give back results as they are done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

from mxref.executors._errors import ExecutorError
from mxref.executors._managed import ManagedExecutor
from mxref.executors._worker import environment, run_batch

__all__ = ["run_units"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")

_IN_FLIGHT = 64  # for executors that do not say how many workers they have
_PER_WORKER = 3  # one at work, and the next ones there before it ends
_LOOK_AFTER = 2.0  # seconds without a result before the workers are asked after
_TOGETHER = 2  # losses after which a unit runs alone, to see whether it is the one that kills
_SHOWN = 120
_GUARD = (
    ' (a script that works with processes must do so under `if __name__ == "__main__":`, '
    "as each of them imports it)"
)
# A call to a cluster costs its scheduler 1 to 4 ms (docs/scaling.md): short units travel together.
_WORTH_A_CALL = 0.5  # seconds
_MOST_TOGETHER = 64


def run_units(
    executor: Executor,
    function: Callable[[Unit], Result],
    units: Iterable[Unit],
    *,
    in_flight: int | None = None,
    retries: int = 3,
    ordered: bool = False,
    describe: Callable[[Unit], str] = repr,
) -> Iterator[tuple[Unit, Result]]:
    """Run a function on units of work; yield each unit with its result.

    A unit runs with the kernels held to one thread: the units are what runs in parallel. Results
    must not depend on who computes them, or how often. To workers elsewhere short units travel
    several at a time.

    Parameters
    ----------
    executor : Executor
        Of `open_executor`, or any other.
    function : callable
        Takes a unit. Processes and clusters must be able to pickle it: a function of a module, or a
        `functools.partial` of one.
    units : iterable
        Taken one by one as workers become free; there may be millions.
    in_flight : int, optional
        How many units may be handed out, or done and not yet yielded. It bounds the memory.
        Default: three calls for each worker.
    retries : int
        How often a unit is handed out again whose worker process was lost. (Dask has its own limit,
        ``distributed.scheduler.allowed-failures``.)
    ordered : bool
        Yield in the order of `units`, not as they are done.
    describe : callable
        What to call a unit in messages.

    Yields
    ------
    unit, result
        Stop early and what has not begun is taken back.

    Raises
    ------
    ExecutorError
        If a unit loses its worker once more than `retries` times, or all workers are gone.
    Exception
        Whatever `function` raises, with a note that names the unit.

    Examples
    --------
    >>> from mxref.executors import open_executor
    >>> with open_executor("threads:2") as executor:
    ...     list(run_units(executor, abs, [-1, 2], ordered=True))
    [(-1, 1), (2, 2)]
    """
    if in_flight is not None and in_flight < 1:
        raise ValueError(f"in_flight must be at least 1, got {in_flight}")
    if retries < 0:
        raise ValueError(f"retries must not be negative, got {retries}")
    run = _Run(executor, function, iter(units), in_flight, retries, describe)
    return run.in_order() if ordered else ((unit, r) for _, unit, r in run.as_done())


@dataclass(slots=True, eq=False)
class _Item(Generic[Unit]):
    """Units that travel together, and the place of the first among all."""

    place: int
    units: tuple[Unit, ...]
    losses: int = 0

    def singles(self) -> Iterator[_Item[Unit]]:
        for place, unit in enumerate(self.units, start=self.place):
            yield _Item(place, (unit,), self.losses)


class _Run(Generic[Unit, Result]):
    def __init__(
        self,
        executor: Executor,
        function: Callable[[Unit], Result],
        units: Iterator[Unit],
        in_flight: int | None,
        retries: int,
        describe: Callable[[Unit], str],
    ) -> None:
        self._executor = executor
        self._managed = executor if isinstance(executor, ManagedExecutor) else None
        self._function = function
        self._units = units
        self._place = 0
        self._in_flight = in_flight
        self._retries = retries
        self._describe = describe
        # Workers elsewhere may have another mxref; those of this machine have the same files.
        self._is_elsewhere = is_elsewhere(executor)
        self._expected = environment() if self._is_elsewhere else None
        self._running: dict[Future[tuple[list[Result], float]], _Item[Unit]] = {}
        self._again: deque[_Item[Unit]] = deque()
        self._kept = 0  # results that wait for their turn
        self._seconds: float | None = None  # that a unit takes

    def in_order(self) -> Iterator[tuple[Unit, Result]]:
        kept: dict[int, tuple[Unit, Result]] = {}
        due = 0
        for place, unit, result in self.as_done():
            kept[place] = unit, result
            while due in kept:
                self._kept = len(kept) - 1
                yield kept.pop(due)
                due += 1
            self._kept = len(kept)

    def as_done(self) -> Iterator[tuple[int, Unit, Result]]:
        try:
            while self._hand_out():
                done = wait(self._running, _LOOK_AFTER, return_when=FIRST_COMPLETED).done
                if not done and self._managed is not None:
                    self._managed.check()
                yield from self._results(done)
        finally:
            for future in self._running:
                future.cancel()

    def _results(
        self, done: Iterable[Future[tuple[list[Result], float]]]
    ) -> Iterator[tuple[int, Unit, Result]]:
        lost: list[_Item[Unit]] = []
        for future in done:
            item = self._running.pop(future)
            error = self._error(future, item)
            if isinstance(error, BrokenExecutor):
                lost.append(item)
            elif error is not None:  # one of several units failed: alone it shows which
                self._again.extend(item.singles())
            else:
                results, seconds = future.result()
                mean = seconds / len(results)
                # Slowly, as the first units also load what they need.
                self._seconds = mean if self._seconds is None else (3 * self._seconds + mean) / 4
                for place, (unit, result) in enumerate(
                    zip(item.units, results, strict=True), start=item.place
                ):
                    yield place, unit, result
        if lost:
            yield from self._replace_workers(lost)

    # --- handing out -------------------------------------------------------------------------

    def _hand_out(self) -> bool:
        """Submit what may be; return whether anything is to be waited for."""
        while item := self._next():
            call = partial(run_batch, self._function, item.units, self._expected)
            try:
                future = self._executor.submit(call)
            except BrokenExecutor:
                # Lost since the last result: what is handed out already will tell.
                self._again.appendleft(item)
                if not self._running:
                    self._count_loss([item])
                    self._restart()
                break
            self._running[future] = item
        return bool(self._running or self._again)

    def _next(self) -> _Item[Unit] | None:
        is_alone = any(item.losses >= _TOGETHER for item in self._running.values())
        if self._again:
            # A unit that was lost repeatedly runs alone, so that the one that kills is known.
            is_alone = is_alone or any(item.losses >= _TOGETHER for item in self._again)
            return None if self._running and is_alone else self._again.popleft()
        room, wanted = self._room(), self._batch()
        if is_alone or room < 1 or (room < wanted and self._running):
            return None
        units = tuple(islice(self._units, min(wanted, room)))
        if not units:
            return None
        item = _Item(self._place, units)
        self._place += len(units)
        return item

    def _room(self) -> int:
        """How many more units may be handed out."""
        running = sum(len(item.units) for item in self._running.values())
        if self._in_flight is not None:
            return self._in_flight - running - self._kept
        if self._managed is None:
            return _IN_FLIGHT - running - self._kept
        return _PER_WORKER * self._managed.workers() * self._batch() - running - self._kept

    def _batch(self) -> int:
        """How many units make a call: short ones travel together, where a journey costs."""
        if not self._is_elsewhere or self._seconds is None:
            return 1
        most = _MOST_TOGETHER
        if self._in_flight is not None and self._managed is not None:
            most = self._in_flight // (2 * self._managed.workers())
        elif self._managed is None:
            most = _IN_FLIGHT // 8
        return max(1, min(most, _MOST_TOGETHER, int(_WORTH_A_CALL / max(self._seconds, 1e-6))))

    # --- losses ------------------------------------------------------------------------------

    def _error(
        self, future: Future[tuple[list[Result], float]], item: _Item[Unit]
    ) -> BaseException | None:
        """Return an error after which the units are to be tried again; raise any other."""
        try:
            error = future.exception()
        except CancelledError as cancelled:
            raise ExecutorError(
                f"{self._name(item)} was cancelled by what should run it: the connection was lost, "
                "or the executor was shut down"
            ) from cancelled
        if error is None or isinstance(error, BrokenExecutor) or len(item.units) > 1:
            return error
        if self._managed is not None and isinstance(error, Exception):
            why = self._managed.lost(error)
            if why is not None:
                raise ExecutorError(f"{self._name(item)}: {why}") from error
        error.add_note(f"while working on {self._name(item)}")
        raise error

    def _replace_workers(self, lost: list[_Item[Unit]]) -> Iterator[tuple[int, Unit, Result]]:
        """Start anew after a loss; what was done by then counts, what was not is done again."""
        rest = dict(self._running)
        wait(rest)
        whole = [future for future in rest if not isinstance(future.exception(), BrokenExecutor)]
        lost += [self._running.pop(future) for future in rest if future not in whole]
        yield from self._results(whole)
        self._count_loss(lost)
        self._again.extend(sorted(lost, key=lambda item: item.place))
        self._restart()

    def _count_loss(self, lost: list[_Item[Unit]]) -> None:
        for item in lost:
            item.losses += 1
        worst = max(lost, key=lambda item: item.losses)
        if worst.losses <= self._retries and self._managed and self._managed.can_restart:
            return
        which = self._name(worst) if len(lost) == 1 else f"{self._name(worst)} or one beside it"
        # Each process runs the script of the main one as a module; unguarded, it starts processes.
        guard = "" if self._seconds is not None else _GUARD
        times = "" if worst.losses == 1 else f" {worst.losses} times"
        raise ExecutorError(
            f"a worker process ended too early{times}, at {which}: it was killed, perhaps for want "
            f"of memory, or could not start{guard}; look for its message above, or use threads"
        )

    def _restart(self) -> None:
        if self._managed is not None and self._managed.can_restart:
            self._managed.restart()

    def _name(self, item: _Item[Any]) -> str:
        text = self._describe(item.units[0])
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def is_elsewhere(executor: Executor) -> bool:
    """Whether the workers of an executor may be on other machines, so far as can be seen."""
    if isinstance(executor, ManagedExecutor):
        return executor.is_elsewhere
    return not isinstance(executor, ThreadPoolExecutor | ProcessPoolExecutor)
