"""What one way to quantize does to an array: its QSNR, its largest error, what was lost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.quality._candidates import Candidate, top_codes
from mxref.quality._estimate import Estimate, estimate_mean, estimate_ratio
from mxref.quality._ratio import decibels, squares

__all__ = ["Measurement", "measure"]

_AT_ONCE = 1 << 18  # elements: what is converted to float64 at a time


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured.

    Attributes
    ----------
    pooled : Estimate
        QSNR in dB over all vectors together.
    mean : Estimate
        Mean of the QSNR of each vector, vectors of zeros left out.
    least : float
        Lowest QSNR of any vector.
    max_error : float
        Largest absolute error.
    saturated : int
        Elements whose magnitude is beyond the largest that their scale allows.
    flushed : int
        Elements other than zero that became zero.
    lost : int
        Elements that became NaN or infinite; they are in no other number but make these NaN.
    elements : int
        How many there are.
    """

    pooled: Estimate
    mean: Estimate
    least: float
    max_error: float
    saturated: int
    flushed: int
    lost: int
    elements: int


def measure(x: NDArray[Any], candidate: Candidate, vector: int) -> Measurement:
    """Quantize the rows of a matrix and compare.

    Parameters
    ----------
    x : ndarray, shape (rows, columns)
        Finite numbers; blocks lie along the rows.
    candidate : Candidate
    vector : int
        Elements of a vector; it divides the length of a row, or a row is one vector.
    """
    q = candidate.quantize(x)
    y, codes = q.dequantize(), q.codes
    top = top_codes(candidate.format)
    signals, noises, exponents = [], [], []
    largest, saturated, flushed, lost = 0.0, 0, 0, 0
    step = max(1, _AT_ONCE // max(1, x.shape[1]))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        wide, other = x[part].astype(np.float64), y[part].astype(np.float64)
        with np.errstate(all="ignore"):
            error = np.abs(wide - other)
            largest = float(np.maximum(largest, error.max(initial=0.0)))  # NaN stays
            saturated += int(np.count_nonzero(top[codes[part]] & (np.abs(wide) > np.abs(other))))
        flushed += int(np.count_nonzero((wide != 0) & (other == 0)))
        lost += int(np.count_nonzero(~np.isfinite(other)))
        width = vector if x.shape[1] % vector == 0 else x.shape[1]
        pair = squares(wide.reshape(-1, width), other.reshape(-1, width))
        signals.append(pair[0][0])
        noises.append(pair[1][0])
        exponents.append(np.stack([pair[0][1], pair[1][1]]))
    signal, noise = np.concatenate(signals), np.concatenate(noises)
    powers = np.concatenate(exponents, axis=1)
    return Measurement(
        *_estimates(signal, noise, powers), largest, saturated, flushed, lost, int(x.size)
    )


def _estimates(
    signal: NDArray[np.float64], noise: NDArray[np.float64], powers: NDArray[np.int64]
) -> tuple[Estimate, Estimate, float]:
    ratios = decibels((signal, powers[0]), (noise, powers[1]))
    filled = (signal != 0) | (noise != 0)
    mean = (
        estimate_mean(ratios[filled]) if filled.any() else Estimate(math.inf, math.nan, math.nan, 0)
    )
    # A common power of two: the loudest vector decides, and what vanishes beside it may.
    most = int(powers[0].max(initial=0))
    with np.errstate(all="ignore"):
        loud = np.ldexp(signal, 2 * (powers[0] - most))
        soft = np.ldexp(noise, 2 * (powers[1] - most))
        pooled = estimate_ratio(loud, soft)
    return pooled, mean, float(ratios.min(initial=math.inf))
