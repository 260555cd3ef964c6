"""The unit of work: 2^24 inputs cast, hashed and compared with what they must give.

Arguments and results are small and can be pickled, so that any ``concurrent.futures.Executor``
can run it, on this machine or on others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.executors import one_kernel_thread
from mxref.formats import scalar_format
from mxref.sweep.oracle import expected_runs
from mxref.sweep.subject import Subject

__all__ = ["CHUNK", "CHUNKS", "ChunkResult", "Difference", "sweep_chunk"]

CHUNK = 1 << 24
"""Inputs in a chunk: chunk i begins with the float32 of bits ``i * CHUNK``."""
CHUNKS = (1 << 32) // CHUNK
"""Chunks of a sweep."""

# Small enough that words and codes stay in a core's cache, large enough that the interpreter
# lock does not count. Two threads, all 2^32 inputs of E4M3, on two AVX-512 cores with 2 MB of
# cache each: 2^15 8.7 s, 2^16 5.5 s, 2^17 4.1 s, 2^18 3.6 s, 2^24 16 s.
_TILE = 1 << 18


@dataclass(frozen=True, slots=True)
class Difference:
    """The first input of a chunk whose code is not the expected one.

    Examples
    --------
    >>> str(Difference(0x3F800000, 0x39, 0x38))
    'float32 0x3f800000 gave 0x39, expected 0x38'
    """

    pattern: int
    got: int
    expected: int

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"float32 {self.pattern:#010x} gave {self.got:#04x}, expected {self.expected:#04x}"


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What one chunk gave.

    Attributes
    ----------
    chunk : int
        0 to 255.
    digest : str
        SHA-256 of the codes, one byte each, in hexadecimal.
    wrong : int
        Inputs that the oracle expects another code of; 0 if it was not asked.
    first : Difference or None
        The first of them.
    """

    chunk: int
    digest: str
    wrong: int = 0
    first: Difference | None = None


def sweep_chunk(subject: Subject, chunk: int, *, oracle: bool = True) -> ChunkResult:
    """Cast, hash and check one chunk.

    Parameters
    ----------
    subject : Subject
        The cast.
    chunk : int
        0 to 255.
    oracle : bool
        Whether to compare each code with the oracle as well.

    Raises
    ------
    ValueError
        If there is no such chunk.

    Examples
    --------
    >>> result = sweep_chunk(Subject.of("e2m1"), 0x40)  # 2 to below 8
    >>> result.digest[:16], result.wrong
    ('fdbd8f08935fe3ec', 0)
    """
    if not 0 <= chunk < CHUNKS:
        raise ValueError(f"chunk must lie between 0 and {CHUNKS - 1}, got {chunk}")
    fmt = scalar_format(subject.format)
    runs = expected_runs(subject.format, subject.policy) if oracle else None
    offsets = np.arange(_TILE, dtype=np.uint32)
    words = np.empty(_TILE, np.uint32)
    codes = np.empty(_TILE, np.uint8)
    is_other = np.empty(_TILE, np.bool_)
    digest = hashlib.sha256()
    wrong, first = 0, None
    with one_kernel_thread():
        for start in range(chunk * CHUNK, (chunk + 1) * CHUNK, _TILE):
            np.bitwise_or(offsets, np.uint32(start), out=words)
            arrays.encode(words.view(np.float32), fmt, subject.policy, out=codes)
            digest.update(codes.data)
            if runs is None:
                continue
            for lo, hi, code in runs.within(start, _TILE):
                place = slice(lo - start, hi - start)
                others = np.not_equal(codes[place], np.uint8(code), out=is_other[place])
                if others.any():
                    wrong += int(np.count_nonzero(others))
                    first = first or _difference(others, codes[place], lo, code)
    return ChunkResult(chunk, digest.hexdigest(), wrong, first)


def _difference(
    others: NDArray[np.bool_], codes: NDArray[np.uint8], start: int, expected: int
) -> Difference:
    at = int(others.argmax())
    return Difference(start + at, int(codes[at]), expected)
