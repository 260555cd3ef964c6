"""Sweep subjects chunk by chunk on any executor, and put their digests together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from mxref.executors import cores, open_executor, run_units
from mxref.sweep.chunk import CHUNKS, ChunkResult, Difference, sweep_chunk
from mxref.sweep.journal import Journal
from mxref.sweep.subject import Subject

__all__ = ["Outcome", "Progress", "cores", "root_of", "sweep"]

Progress = Callable[[str, int, int], None]
_Unit: TypeAlias = tuple[Subject, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sweep of all 2^32 inputs gave.

    Attributes
    ----------
    subject : Subject
        The cast.
    digests : tuple of str
        SHA-256 of the codes of each chunk, in hexadecimal.
    wrong : int
        Inputs of which the oracle expects another code.
    first : Difference or None
        The first of them.
    resumed : int
        Chunks that were taken from the journal.
    """

    subject: Subject
    digests: tuple[str, ...] = field(repr=False)  # 256 of 64 digits
    wrong: int = 0
    first: Difference | None = None
    resumed: int = 0

    @property
    def root(self) -> str:
        """SHA-256 over the binary digests of all chunks, in hexadecimal."""
        return root_of(self.digests)


def root_of(digests: Iterable[str]) -> str:
    """Return the SHA-256 over the binary form of hexadecimal digests, in hexadecimal.

    Examples
    --------
    >>> root_of(["00" * 32])[:16]
    '66687aadf862bd77'
    """
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


def sweep(
    subjects: Iterable[Subject],
    *,
    executor: Executor | None = None,
    oracle: bool = True,
    journal: Journal | None = None,
    progress: Progress | None = None,
    in_flight: int | None = None,
) -> Iterator[Outcome]:
    """Cast all 2^32 float32 inputs under each policy; yield the outcomes as they are complete.

    Parameters
    ----------
    subjects : iterable of Subject
        Such as `published` gives.
    executor : concurrent.futures.Executor, optional
        What runs the chunks, such as one of `mxref.executors.open_executor`; default one thread for
        each core.
    oracle : bool
        Whether to compare each code with the oracle too, not only to hash it.
    journal : Journal, optional
        Chunks that it holds are not swept again; others are added to it.
    progress : callable, optional
        Called as ``progress(name, done, total)`` after each chunk.
    in_flight : int, optional
        Chunks handed to the executor at a time; more than it has workers. Default: as
        `mxref.executors.run_units` has it.

    Raises
    ------
    ValueError
        If `in_flight` is not positive.
    ExecutorError
        If workers are lost again and again.
    JournalError
        If the journal cannot be written.

    Examples
    --------
    >>> for outcome in sweep([]):  # with subjects, about 4 s each
    ...     outcome.subject.name, outcome.root, outcome.first
    """
    if in_flight is not None and in_flight < 1:
        raise ValueError(f"in_flight must be at least 1, got {in_flight}")
    return _sweep(tuple(subjects), executor, oracle, journal, progress, in_flight)


def _sweep(
    subjects: tuple[Subject, ...],
    executor: Executor | None,
    oracle: bool,  # noqa: FBT001  # keyword-only in `sweep`
    journal: Journal | None,
    progress: Progress | None,
    in_flight: int | None,
) -> Iterator[Outcome]:
    found: dict[Subject, dict[int, ChunkResult]] = {subject: {} for subject in subjects}
    units: list[_Unit] = []
    for subject, results in found.items():
        for chunk in range(CHUNKS):
            known = journal.digest_of(subject.name, chunk) if journal else None
            if known is None:
                units.append((subject, chunk))
            else:
                results[chunk] = ChunkResult(chunk, known)
    resumed = {subject: len(results) for subject, results in found.items()}
    total = len(found) * CHUNKS
    yield from _complete(found, resumed)
    with open_executor(executor) as pool:
        swept = run_units(
            pool, partial(_swept, oracle=oracle), units, in_flight=in_flight, describe=_name
        )
        for done, ((subject, chunk), result) in enumerate(swept, start=total - len(units) + 1):
            found[subject][chunk] = result
            if journal is not None:
                journal.add(subject.name, result, oracle=oracle)
            if progress is not None:
                progress(subject.name, done, total)
            yield from _complete(found, resumed)


def _swept(unit: _Unit, *, oracle: bool) -> ChunkResult:
    subject, chunk = unit
    return sweep_chunk(subject, chunk, oracle=oracle)


def _name(unit: _Unit) -> str:
    subject, chunk = unit
    return f"chunk {chunk} of {subject.name}"


def _complete(
    found: dict[Subject, dict[int, ChunkResult]], resumed: dict[Subject, int]
) -> Iterator[Outcome]:
    """Yield, and forget, the subjects of which all chunks are there."""
    for subject in [s for s, results in found.items() if len(results) == CHUNKS]:
        results = [result for _, result in sorted(found.pop(subject).items())]
        yield Outcome(
            subject,
            tuple(result.digest for result in results),
            sum(result.wrong for result in results),
            next((result.first for result in results if result.first), None),
            resumed[subject],
        )
