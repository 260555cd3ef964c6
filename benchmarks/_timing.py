"""Timing calls in turn, so that their ratio holds while the machine's speed drifts."""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from typing import NamedTuple

import numba

__all__ = ["Paired", "interleaved", "paired", "thread_counts", "threads"]

THREADS = 2  # the aims are stated for two threads
UNSTEADY = 1.5  # somebody else was at work during a few rounds


class Paired(NamedTuple):
    """Medians over rounds: seconds of the subject, and how many times as fast as the baseline."""

    seconds: float
    ratio: float


def interleaved(calls, rounds, pause=0):
    """Seconds of each call in each round, after one round that does not count.

    `pause` seconds go by before each call, for pools of threads that spin after their work.
    """
    times = [[] for _ in calls]
    for round_ in range(rounds + 1):
        for call, seconds in zip(calls, times, strict=True):
            time.sleep(pause)
            start = time.perf_counter()
            call()
            elapsed = time.perf_counter() - start
            if round_:
                seconds.append(elapsed)
    return times


def paired(subject, baseline, rounds):
    """Time a subject and a baseline in turn; where rounds disagree widely, more of them."""
    ours, theirs = interleaved([subject, baseline], rounds)
    ratios = [b / s for s, b in zip(ours, theirs, strict=True)]
    if max(ratios) > UNSTEADY * min(ratios):
        more = interleaved([subject, baseline], 3 * rounds)
        ours, theirs = ours + more[0], theirs + more[1]
        ratios = [b / s for s, b in zip(ours, theirs, strict=True)]
    return Paired(statistics.median(ours), statistics.median(ratios))


def thread_counts():
    """The numbers of threads to measure, the larger first."""
    return sorted({1, min(THREADS, numba.config.NUMBA_NUM_THREADS)}, reverse=True)


@contextmanager
def threads(count):
    """Let mxref use that many threads."""
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)
