"""Write a planned output: give out the slices, put what comes back in its place, and go on later.

Workers quantize; this process alone writes, each slice at its own offset, and then says so in the
journal. The order in which slices come back leaves no trace in the files.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from mxref.checkpoints._atomic import Workplace
from mxref.checkpoints._journal import Done, Journal
from mxref.checkpoints._plan import Plan, Unit, units_of
from mxref.checkpoints._words import displayed
from mxref.checkpoints._work import Job, Outcome, forget, run_unit
from mxref.checkpoints.store import CheckpointError
from mxref.executors import open_executor, run_units
from mxref.executors._pools import Threads

__all__ = ["RefusedError", "Tally", "write_plan"]

Progress = Callable[[int, int], None]
_CHUNK = 1 << 24
_HERE = "threads:2"  # one reads while what the other has read is written


class RefusedError(CheckpointError):
    """Weights that the policy refuses: going on later would not help."""


@dataclass(slots=True)
class Tally:
    """What was counted in one tensor."""

    nan: int = 0
    inf: int = 0
    nan_scales: int = 0
    first: tuple[int, int] | None = None


@dataclass(slots=True)
class _Target:
    """Where the bytes of a stored tensor go."""

    file: str
    size: int
    offset: int


class _Writer:
    def __init__(self, plan: Plan, place: Workplace, journal: Journal) -> None:
        self.plan, self.place, self.journal = plan, place, journal
        self.targets: dict[tuple[str, str], _Target] = {}
        homes = {name: file for file in plan.files for name in file.places}
        for tensor in plan.stored:
            file = homes[tensor.name]
            target = _Target(file.name, file.size, file.places[tensor.name])
            self.targets[tensor.source, tensor.role] = target

    def spans(self, unit: Unit) -> Iterator[tuple[str, _Target, int, int]]:
        """Where each part of a unit lies: role, target, offset in the file, length."""
        if unit.is_copy:
            target = self.targets[unit.tensor, ""]
            yield "", target, target.offset + unit.start, unit.nbytes
            return
        weight = self.plan.weights[unit.tensor]
        for role, run in weight.run.items():
            target = self.targets[unit.tensor, role]
            if weight.step:
                first = unit.start // weight.step * run
                length = -(-(unit.stop - unit.start) // weight.step) * run
            else:
                first, length = 0, run
            yield role, target, target.offset + first, length

    def write_marks(self) -> None:
        """Write what is known without reading anything."""
        for tensor in self.plan.stored:
            if tensor.data:
                target = self.targets[tensor.source, tensor.role]
                self.place.write(target.file, target.size, tensor.data, target.offset)

    def write(self, unit: Unit, outcome: Outcome) -> None:
        if outcome.refused:
            raise RefusedError(f"{displayed(unit.tensor)}: {outcome.refused}")
        for role, target, offset, length in self.spans(unit):
            data = memoryview(outcome.parts[role]).cast("B")
            if len(data) != length:
                raise CheckpointError(
                    f"{displayed(unit.tensor)}: its {role or 'copy'} has {len(data)} bytes where "
                    f"{length} were planned; please report it"
                )
            self.place.write(target.file, target.size, data, offset)
        entry = {
            "unit": unit.number,
            "crc": outcome.crc,
            "nan": outcome.nan,
            "inf": outcome.inf,
            "nan_scales": outcome.nan_scales,
            "first": list(outcome.first or ()),
        }
        self.place.guarded(lambda: self.journal.add(entry))

    def is_there(self, unit: Unit, entry: Done) -> bool:
        """Whether the files hold what the journal says."""
        for role, target, offset, length in self.spans(unit):
            handle, crc, done = self.place.file(target.file, target.size), 0, 0
            while done < length:
                data = os.pread(handle, min(_CHUNK, length - done), offset + done)
                if not data:
                    return False
                crc, done = zlib.crc32(data, crc), done + len(data)
            if entry["crc"].get(role) != crc:
                return False
        return True


def write_plan(  # each is a thing of its own
    plan: Plan,
    job: Job,
    place: Workplace,
    journal: Journal,
    *,
    executor: str | Executor | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Tally], int]:
    """Write all files of a plan into its workplace.

    Returns
    -------
    tallies : dict of str to Tally
        For each quantized tensor.
    resumed : int
        Bytes of source that an earlier run had done.

    Raises
    ------
    RefusedError
        If the policy refuses weights.
    CheckpointError
        If something cannot be read or written, or the source changes.
    """
    writer = _Writer(plan, place, journal)
    for file in plan.files:
        place.write(file.name, file.size, file.header, 0)
    writer.write_marks()
    total = sum(unit.nbytes for unit in units_of(plan))
    waiting, resumed = [], 0
    for unit in units_of(plan):
        entry = journal.done.get(unit.number)
        if entry is not None and writer.is_there(unit, entry):
            resumed += unit.nbytes
        else:
            journal.forget(unit.number)
            waiting.append(unit)
    done = resumed
    if progress is not None:
        progress(done, total)
    try:
        # Closing waits for the workers: they must not find the source closed.
        with closing(_outcomes(waiting, job, executor)) as outcomes:
            for unit, outcome in outcomes:
                writer.write(unit, outcome)
                done += unit.nbytes
                if progress is not None:
                    progress(done, total)
    finally:
        forget(job)
    return _tallies(plan, journal), resumed


def _outcomes(
    waiting: list[Unit], job: Job, executor: str | Executor | None
) -> Generator[tuple[Unit, Outcome]]:
    """Copies are read in this process: sending them through a pipe would cost more than they do."""
    run = functools.partial(run_unit, job)
    with open_executor(executor) as pool:
        if not isinstance(pool, Threads | ThreadPoolExecutor):
            copies = [unit for unit in waiting if unit.is_copy]
            waiting = [unit for unit in waiting if not unit.is_copy]
            with open_executor(_HERE) as near:
                yield from run_units(near, run, copies, describe=_described)
        yield from run_units(pool, run, waiting, describe=_described)


def _described(unit: Unit) -> str:
    what = "bytes" if unit.is_copy else "rows"
    return f"{what} {unit.start} to {unit.stop - 1} of {displayed(unit.tensor)}"


def _tallies(plan: Plan, journal: Journal) -> dict[str, Tally]:
    tallies = {name: Tally() for name in plan.weights}
    for unit in units_of(plan):
        if unit.is_copy:
            continue
        entry, tally = journal.done[unit.number], tallies[unit.tensor]
        tally.nan += entry["nan"]
        tally.inf += entry["inf"]
        tally.nan_scales += entry["nan_scales"]
        if entry["first"] and tally.first is None:  # units come in the order of rows
            row, column = entry["first"]
            tally.first = (row, column)
    return tallies
