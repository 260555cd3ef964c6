"""Estimates with a 95 % confidence interval; nothing is drawn, so that results can be repeated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "estimate_mean", "estimate_ratio", "student_quantile"]


class Estimate(NamedTuple):
    """A number and its 95 % confidence interval.

    Attributes
    ----------
    value : float
    low, high : float
        NaN where fewer than two independent vectors leave nothing to judge by.
    vectors : int
        From how many vectors it comes.
    """

    value: float
    low: float
    high: float
    vectors: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


def estimate_mean(samples: Sequence[float] | NDArray[np.float64]) -> Estimate:
    """Mean of independent samples, with Student's interval.

    Examples
    --------
    >>> estimate_mean([1.0, 2.0, 3.0])
    Estimate(value=2.0, low=-0.48413771..., high=4.48413771..., vectors=3)
    """
    values = np.asarray(samples, np.float64)
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n < 2 or not math.isfinite(mean):
        return Estimate(mean, math.nan, math.nan, n)
    half = student_quantile(n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def estimate_ratio(signal: NDArray[np.float64], noise: NDArray[np.float64]) -> Estimate:
    """Pooled QSNR of vectors in dB: the ratio of two sums, with the interval of such a ratio.

    Parameters
    ----------
    signal, noise : ndarray of float64
        Sums of squares of each vector.

    Notes
    -----
    The usual linearisation: the ratio r of two sums errs by that of the mean of
    ``noise - r signal``. Vectors are taken for independent.

    Examples
    --------
    >>> estimate_ratio(np.array([100.0, 200.0]), np.array([1.0, 2.0]))
    Estimate(value=20.0, low=20.0, high=20.0, vectors=2)
    """
    n = len(signal)
    # As shares of the whole, so that none of what follows overflows.
    total = float(signal.sum())
    if not math.isfinite(total) or total == 0:
        return Estimate(math.nan if total != 0 else math.inf, math.nan, math.nan, n)
    ratio = float(noise.sum()) / total
    if ratio == 0:
        return Estimate(math.inf, math.nan, math.nan, n)
    value = -10 * math.log10(ratio)
    if n < 2 or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, n)
    residuals = (noise - ratio * signal) / (total / n)
    deviation = math.sqrt(float((residuals * residuals).sum()) / (n - 1) / n)
    # An interval of r in its logarithm: it is the logarithm that is reported.
    half = student_quantile(n - 1) * deviation / ratio * 10 / math.log(10)
    return Estimate(value, value - half, value + half, n)


def student_quantile(freedom: int) -> float:
    """97.5 % quantile of Student's distribution, to six digits.

    Examples
    --------
    >>> [round(student_quantile(n), 3) for n in (1, 2, 10, 1000)]
    [12.706, 4.303, 2.228, 1.962]
    """
    low, high = 1.9, 13.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _student(middle, freedom) < 0.975 else (low, middle)
    return (low + high) / 2


def _student(t: float, n: int) -> float:
    """Student's distribution function: the finite sums in the angle ``atan(t / sqrt n)``."""
    if n > 200:  # the sums grow long; two terms of the expansion around the normal are enough here
        shrunk = t * (1 - 1 / (4 * n)) / math.sqrt(1 + t * t / (2 * n))
        return 0.5 * (1 + math.erf(shrunk / math.sqrt(2)))
    angle = math.atan(t / math.sqrt(n))
    cosine = math.cos(angle)
    term, total = (1.0, 0.0)
    if n % 2:
        term = cosine
        for k in range(3, n + 1, 2):
            total += term
            term *= cosine * cosine * (k - 1) / k
        return 0.5 + (angle + math.sin(angle) * total) / math.pi
    for k in range(2, n + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    return 0.5 + 0.5 * math.sin(angle) * total
