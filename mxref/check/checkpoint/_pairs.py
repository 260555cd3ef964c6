"""A quantized tensor and the tensor that it was made from, read in runs of rows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mxref.check.checkpoint._stats import block_length

if TYPE_CHECKING:
    from mxref.checkpoints.find import Found
    from mxref.checkpoints.store import Store

__all__ = ["Pair", "Part", "Readers", "read", "rounded"]

_STRIP = 1 << 22  # elements of a transposed source that are read together


@dataclass(frozen=True, slots=True)
class Pair:
    """What is compared, and how it is read.

    Attributes
    ----------
    found : Found
        The quantized tensor.
    source_name : str
    transposed : bool
        Whether the last two axes of the source are exchanged.
    rounding : str
        Type that the source is rounded to first: ``"bfloat16"``, ``"float16"`` or empty.
    reading : str
        How codes are put right before they are judged: see `_readings`.
    """

    found: Found
    source_name: str
    transposed: bool = False
    rounding: str = ""
    reading: str = ""

    @property
    def rows(self) -> int:
        """Rows of the tensor: all axes but the last, flattened."""
        return int(np.prod(self.found.shape[:-1], dtype=np.int64))

    @property
    def columns(self) -> int:
        """Elements of a row."""
        return int(self.found.shape[-1])

    @property
    def blocks(self) -> int:
        """Blocks of a row."""
        return -(-self.columns // block_length(self.found.format))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of a pair.

    Attributes
    ----------
    start : int
        The first of them.
    x : ndarray, shape (rows, columns)
    codes, scales : ndarray of uint8
    gain : float
        NVFP4's second scale, 1 without one.
    stored : tuple of ndarray or None
        Values, codes and scale codes as the files have them; None where that is what `x`, `codes`
        and `scales` are.
    """

    start: int
    x: NDArray[Any]
    codes: NDArray[np.uint8]
    scales: NDArray[np.uint8]
    gain: float = 1.0
    stored: tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.uint8]] | None = None


@dataclass(slots=True)
class Readers:
    """Open checkpoints of one check, at most one for each path, in this process."""

    token: str
    stores: dict[str, Store] = field(default_factory=dict)

    def store(self, path: str) -> Store:
        """Return the open checkpoint at `path`."""
        from mxref.checkpoints._source import open_source

        if path not in self.stores:
            self.stores[path] = open_source(Path(path))
        return self.stores[path]

    def close(self) -> None:
        """Close what is open."""
        for store in self.stores.values():
            store.close()
        self.stores.clear()


_current: dict[str, Readers] = {}
_lock = threading.Lock()


def readers(token: str) -> Readers:
    """Return the open checkpoints of a check; those of the check before are closed.

    Workers are told the paths only: they keep the files open from one unit to the next.
    """
    with _lock:
        if token not in _current:
            for other in _current.values():
                other.close()
            _current.clear()
            _current[token] = Readers(token)
        return _current[token]


def open_in(token: str, path: str) -> Store:
    """Return the open checkpoint at `path`, in this process."""
    found = readers(token)
    with _lock:
        return found.store(path)


def forget(token: str) -> None:
    """Close the files of a check."""
    with _lock:
        found = _current.pop(token, None)
    if found is not None:
        found.close()


def read(pair: Pair, quantized: Store, source: Store, start: int, stop: int) -> Part:
    """Read some rows of both sides."""
    fields = pair.found.read(quantized, start, stop)
    rows = stop - start
    x = _source_rows(pair, source, start, stop)
    codes = np.ascontiguousarray(fields.codes.reshape(rows, -1))
    scales = np.ascontiguousarray(fields.scales.reshape(rows, -1))
    stored = (x, codes, scales) if pair.rounding or pair.reading else None
    if pair.rounding:
        x = rounded(x, pair.rounding)
    if pair.reading:
        from mxref.check.checkpoint._readings import put_right

        codes, scales = put_right(codes, scales, pair.reading, block_length(pair.found.format))
        codes, scales = np.ascontiguousarray(codes), np.ascontiguousarray(scales)
    return Part(start, x, codes, scales, _gain(fields.global_scale), stored)


def _gain(scale: Any) -> float:
    if scale is None:
        return 1.0
    numbers = np.unique(np.asarray(scale, np.float64))
    if len(numbers) != 1:
        raise ValueError(
            "these rows have several global scales; a check wants one for each tensor or row"
        )
    return float(numbers[0])


def _source_rows(pair: Pair, source: Store, start: int, stop: int) -> NDArray[Any]:
    if not pair.transposed:
        x = source.read(pair.source_name, start, stop)
        return x.reshape(stop - start, pair.columns)
    # Columns of each matrix: read its rows in strips, and keep the columns that are wanted.
    height, width = pair.columns, pair.found.shape[-2]
    out: NDArray[Any] | None = None
    step = max(1, _STRIP // width)
    at = start
    while at < stop:
        matrix, first = divmod(at, width)
        last = min(width, first + stop - at)
        for top in range(0, height, step):
            bottom = min(height, top + step)
            strip = source.read(pair.source_name, matrix * height + top, matrix * height + bottom)
            if out is None:
                out = np.empty((stop - start, height), strip.dtype)
            out[at - start : at - start + last - first, top:bottom] = strip[:, first:last].T
        at += last - first
    assert out is not None  # noqa: S101  # there is a row
    return out


def rounded(x: NDArray[Any], name: str) -> NDArray[Any]:
    """Round numbers to a narrower type, to nearest even."""
    if name == "bfloat16":
        import ml_dtypes

        return x.astype(ml_dtypes.bfloat16)
    with np.errstate(over="ignore"):
        return x.astype(np.float16)


def with_reading(pair: Pair, **changes: Any) -> Pair:
    """Return a pair that is read in another way."""
    return replace(pair, **changes)


def row_step(pair: Pair) -> int:
    """Rows of which a run has to be a multiple; all of them where rows can't be read apart."""
    return int(pair.found.row_step) or pair.rows


def runs(pair: Pair, elements: int) -> Sequence[tuple[int, int]]:
    """Cut the rows of a pair into runs of about so many elements."""
    step = row_step(pair)
    length = max(1, elements // max(1, pair.columns * step)) * step
    height = pair.found.shape[-2] if len(pair.found.shape) > 1 else 1
    if pair.transposed:  # each run reads whole rows of the source
        length = max(length, min(height, 4 * elements // pair.columns) // step * step)
    if len(pair.found.shape) > 2 and height % step == 0:  # each matrix may have a scale of its own
        length = min(length, height)
        tops: Sequence[int] = range(0, pair.rows, height)
    else:
        height, tops = pair.rows, (0,)
    return [
        (at, min(top + height, at + length))
        for top in tops
        for at in range(top, top + height, length)
    ]
