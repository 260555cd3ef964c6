"""Sweep subjects chunk by chunk on any executor, and put their digests together."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass

from mxref.sweep.chunk import CHUNKS, ChunkResult, Difference, sweep_chunk
from mxref.sweep.journal import Journal
from mxref.sweep.subject import Subject

__all__ = ["Outcome", "Progress", "cores", "root_of", "sweep"]

Progress = Callable[[str, int, int], None]
_IN_FLIGHT = 64


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
    digests: tuple[str, ...]
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


def sweep(
    subjects: Iterable[Subject],
    *,
    executor: Executor | None = None,
    oracle: bool = True,
    journal: Journal | None = None,
    progress: Progress | None = None,
    in_flight: int = _IN_FLIGHT,
) -> Iterator[Outcome]:
    """Cast all 2^32 float32 inputs under each policy; yield the outcomes as they are complete.

    Parameters
    ----------
    subjects : iterable of Subject
        Such as `published` gives.
    executor : concurrent.futures.Executor, optional
        What runs the chunks; default one thread for each core. A process pool does as well (with
        the start method ``spawn``, as kernels run threads of their own), and a Dask cluster by
        ``distributed.Client(...).get_executor()`` where its workers have mxref installed.
    oracle : bool
        Whether to compare each code with the oracle too, not only to hash it.
    journal : Journal, optional
        Chunks that it holds are not swept again; others are added to it.
    progress : callable, optional
        Called as ``progress(name, done, total)`` after each chunk.
    in_flight : int
        Chunks handed to the executor at a time; more than it has workers.

    Raises
    ------
    ValueError
        If `in_flight` is not positive.
    JournalError
        If the journal cannot be written.

    Examples
    --------
    >>> for outcome in sweep([]):  # with subjects, about 4 s each
    ...     outcome.subject.name, outcome.root, outcome.first
    """
    if in_flight < 1:
        raise ValueError(f"in_flight must be at least 1, got {in_flight}")
    return _sweep(tuple(subjects), executor, oracle, journal, progress, in_flight)


def _sweep(
    subjects: tuple[Subject, ...],
    executor: Executor | None,
    oracle: bool,  # noqa: FBT001  # keyword-only in `sweep`
    journal: Journal | None,
    progress: Progress | None,
    in_flight: int,
) -> Iterator[Outcome]:
    found: dict[Subject, dict[int, ChunkResult]] = {subject: {} for subject in subjects}
    resumed = dict.fromkeys(subjects, 0)
    waiting: deque[tuple[Subject, int]] = deque()
    for subject, results in found.items():
        for chunk in range(CHUNKS):
            known = journal.digest_of(subject.name, chunk) if journal else None
            if known is None:
                waiting.append((subject, chunk))
            else:
                results[chunk] = ChunkResult(chunk, known)
                resumed[subject] += 1
    total = len(found) * CHUNKS
    done = total - len(waiting)
    running: dict[Future[ChunkResult], Subject] = {}
    with ExitStack() as stack:
        pool = executor or stack.enter_context(ThreadPoolExecutor(cores()))
        stack.callback(_cancel, running)
        yield from _complete(found, resumed)
        while waiting or running:
            while waiting and len(running) < in_flight:
                subject, chunk = waiting.popleft()
                running[pool.submit(sweep_chunk, subject, chunk, oracle=oracle)] = subject
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                subject, result = running.pop(future), future.result()
                found[subject][result.chunk] = result
                done += 1
                if journal is not None:
                    journal.add(subject.name, result, oracle=oracle)
                if progress is not None:
                    progress(subject.name, done, total)
            yield from _complete(found, resumed)


def _cancel(running: dict[Future[ChunkResult], Subject]) -> None:
    """Take back what has not begun, if the caller stops early or a unit failed."""
    for future in running:
        future.cancel()


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
