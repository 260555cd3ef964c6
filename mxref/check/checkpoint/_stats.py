"""What quantization cost: QSNR, and the elements beyond either end of the range of their block."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import casts
from mxref.formats import block_format

__all__ = ["Stats", "block_length", "measured"]

_E8M0_BIAS = 127
_ALL = np.arange(256, dtype=np.uint8)


def block_length(name: str) -> int:
    """Return how many elements share a scale."""
    return 16 if name == "nvfp4" else block_format(name).block_size


@functools.lru_cache(maxsize=32)
def tables(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what element codes and scale codes mean: 256 numbers each, NaN for what is none."""
    units: NDArray[np.float64]
    if name == "nvfp4":
        element = "e2m1"
        units = casts.decode(_ALL & 0x7F, "e4m3").astype(np.float64)
    else:
        element = block_format(name).element.name
        units = np.ldexp(1.0, np.arange(256) - _E8M0_BIAS)
        units[255] = np.nan
    count = block_format("mxfp4" if name == "nvfp4" else name).element.code_count
    values = np.full(256, np.nan)
    values[:count] = casts.decode(_ALL[:count], element)
    return values, units


@dataclass(slots=True)
class Stats:
    """Sums over a part of a tensor, to be merged.

    Attributes
    ----------
    elements, blocks : int
    counts : dict of str to int
        As `mxref.kernels.statistics.COUNTS` says.
    first_nan : int or None
        Number of the first block whose scale is NaN.
    signal, noise : ExactSum
        Sums of x squared and of the squared error.
    """

    elements: int = 0
    blocks: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    first_nan: int | None = None
    signal: Any = None
    noise: Any = None

    def merge(self, other: Stats) -> None:
        """Add another part."""
        self.elements += other.elements
        self.blocks += other.blocks
        for name, count in other.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        both = [n for n in (self.first_nan, other.first_nan) if n is not None]
        self.first_nan = min(both, default=None)
        if self.signal is None:
            self.signal, self.noise = other.signal, other.noise
        elif other.signal is not None:
            self.signal.merge(other.signal)
            self.noise.merge(other.noise)

    def count(self, name: str) -> int:
        """Return one of the counts."""
        return self.counts.get(name, 0)

    def share(self, name: str) -> float:
        """Return a count as a share of the elements."""
        return self.count(name) / self.elements if self.elements else 0.0

    @property
    def qsnr(self) -> float | None:
        """10 log10 of signal over noise in dB; infinite without an error, None without a signal."""
        signal, noise = (self.signal.value, self.noise.value) if self.signal else (0, 0)
        if not signal:
            return None
        if not noise:
            return math.inf
        return 10 * (_log10(signal) - _log10(noise))


def _log10(fraction: Any) -> float:
    """The logarithm of a positive fraction whose terms may be beyond float64."""
    return math.log10(fraction.numerator) - math.log10(fraction.denominator)


def measured(
    x: NDArray[Any],
    codes: NDArray[np.uint8],
    scales: NDArray[np.uint8],
    format: str,  # noqa: A002
    gain: float = 1.0,
    start: int = 0,
) -> Stats:
    """Measure some rows.

    Parameters
    ----------
    x : ndarray of float, shape (rows, columns)
    codes, scales : ndarray of uint8
        As in `Fields`, for these rows.
    format : str
    gain : float
        What decoded values are multiplied by besides.
    start : int
        Number of the first block.
    """
    from mxref.kernels.statistics import COUNTS, ExactSum, measure

    values, units = tables(format)
    wide = _as_float(x)
    unit = units * gain if gain != 1.0 else units
    block = block_length(format)
    codes, scales = np.ascontiguousarray(codes), np.ascontiguousarray(scales)
    counts, sums = measure(wide, codes, scales, values, unit, block)
    totals = {name: int(n) for name, n in zip(COUNTS, counts.sum(0), strict=True)}
    first = None
    if totals["nan_scales"]:
        first = start + int(np.argmax(np.isnan(unit[scales.reshape(-1)])))
    signal, noise = ExactSum(), ExactSum()
    signal.add(np.ascontiguousarray(sums[:, 0]))
    noise.add(np.ascontiguousarray(sums[:, 1]))
    return Stats(x.size, scales.size, totals, first, signal, noise)


def _as_float(x: NDArray[Any]) -> NDArray[Any]:
    """Numbers as the kernel reads them: float32 or float64."""
    if x.dtype.name == "bfloat16":
        words = x.view(np.uint16).astype(np.uint32)
        words <<= np.uint32(16)
        return words.view(np.float32)
    if x.dtype == np.float16:
        return x.astype(np.float32)
    return np.ascontiguousarray(x, x.dtype.newbyteorder("="))
