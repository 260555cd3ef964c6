"""The type of an output: rounding to it, and which sums may have been rounded to what came out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._exact import Floats, rounded_to_odd

__all__ = ["OUTPUTS", "Shape", "preimage", "rounded_to", "same_number"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A binary floating-point type.

    Attributes
    ----------
    precision : int
        Significant bits.
    least, most : int
        Exponents of the least and the largest normal number.
    """

    precision: int
    least: int
    most: int

    @property
    def top(self) -> float:
        """The largest finite number."""
        return float(np.ldexp(2.0 - 2.0 ** (1 - self.precision), self.most))

    def unit(self, values: Floats) -> Floats:
        """The distance from each value to the next one away from zero."""
        exponent = np.maximum(np.frexp(values)[1] - 1, self.least)
        return np.asarray(np.ldexp(1.0, exponent - (self.precision - 1)))

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Whether values are numbers of the type; NaN and infinities are."""
        with np.errstate(invalid="ignore"):
            steps = values / self.unit(values)
            whole = (steps == np.rint(steps)) & (np.abs(values) <= self.top)
        return np.asarray(whole | ~np.isfinite(values))

    def rounded(self, values: Floats, mode: str = "nearest") -> Floats:
        """Round to nearest even, or ``"toward-zero"``; overflow as IEEE 754 has it."""
        step = self.unit(values)
        with np.errstate(invalid="ignore", over="ignore"):
            steps = values / step
            result = (np.rint(steps) if mode == "nearest" else np.trunc(steps)) * step
            limit = self.top if mode == "toward-zero" else np.inf
            over = np.copysign(limit, result)
            result = np.where(np.abs(result) > self.top, over, result)
        return np.asarray(np.where(np.isfinite(values), result, values))


OUTPUTS = {
    "float32": Shape(24, -126, 127),
    "float16": Shape(11, -14, 15),
    "bfloat16": Shape(8, -126, 127),
}
"""The narrower output types; of float64 nothing is rounded."""


def same_number(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether the results are the same: every NaN is one, and so is zero of either sign."""
    return np.asarray((x == y) | (np.isnan(x) & np.isnan(y)))


def rounded_to(expansion: Floats, output: str, mode: str = "nearest") -> Floats:
    """Round expansions once to the type of an output; zero is +0.

    Examples
    --------
    >>> tie = np.array([[1 + 2.0**-8], [-(2.0**-80)]])
    >>> rounded_to(tie, "bfloat16")
    array([1.])
    """
    if output == "float64":
        return np.asarray(expansion[0] + 0.0)
    # To odd first: 53 bits are at least two more than any of these types has.
    return np.asarray(OUTPUTS[output].rounded(rounded_to_odd(expansion), mode) + 0.0)


def preimage(got: NDArray[np.floating], output: str, mode: str = "any") -> tuple[Floats, Floats]:
    """Return the ends between which a float32 sum lay that was rounded to what came out.

    Parameters
    ----------
    got : ndarray
        What came out.
    output : str
        The type that it was rounded to.
    mode : str
        ``"nearest"``, ``"toward-zero"``, or ``"any"`` for any rounding.

    Returns
    -------
    tuple of ndarray of float64
        Both ends; where `got` is no number of the type, they exclude every number.

    Examples
    --------
    >>> preimage(np.float32([1.0]), "bfloat16")
    (array([0.99609375]), array([1.0078125]))
    """
    values = got.astype(np.float64)
    if output in ("float32", "float64"):
        return values, values
    shape = OUTPUTS[output]
    size = np.abs(values)
    away = np.where(size >= shape.top, np.inf, size + shape.unit(size))
    closer = np.where(np.isinf(size), shape.top, size - shape.unit(np.nextafter(size, 0.0)))
    if mode == "toward-zero":
        near, far = size, away
        near = np.where(size == 0, -away, near)
    elif mode == "nearest":
        # The largest number ends half a unit above itself, where infinity begins.
        end = shape.top + shape.unit(np.asarray(shape.top)) / 2
        near = np.where(np.isinf(size), end, (size + closer) / 2)
        far = np.where(np.isinf(size), np.inf, np.where(np.isinf(away), end, (size + away) / 2))
    else:
        near, far = closer, away
    low = np.where(values < 0, -far, near)
    high = np.where(values < 0, -near, far)
    is_one = shape.holds(values) & ~np.isnan(values)
    return np.where(is_one, low, np.inf), np.where(is_one, high, -np.inf)
