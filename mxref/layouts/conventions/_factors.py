"""NVFP4's second scale: a factor or divisor for a weight, or one for each expert."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.layouts._layout import Part

__all__ = ["Global", "factor_shape", "read_factor", "stored_factor"]

Shape = tuple[int, ...]

_LARGEST = 6.0 * 448.0  # of E2M1 and of E4M3


@dataclass(frozen=True, slots=True)
class Global:
    """How NVFP4's second scale is stored.

    Attributes
    ----------
    suffixes : tuple of str
    shape : tuple of int
        Of a single one.
    means : str
        ``"factor"`` or ``"divisor"`` of decoded values, or ``"amax"``: the largest magnitude of the
        tensor, which is the factor times the largest element and the largest scale.
    optional : bool
    """

    suffixes: tuple[str, ...]
    shape: Shape = ()
    means: str = "factor"
    optional: bool = False

    def part(self) -> Part:
        """The same, as users see it."""
        return Part("global_scale", self.suffixes, ("F32",), self.optional)

    def stored(self, factor: NDArray[np.float64]) -> NDArray[np.float32]:
        """What is stored for a factor."""
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            wide = 1 / factor if self.means == "divisor" else factor
            wide = factor * _LARGEST if self.means == "amax" else wide
            return np.asarray(wide, np.float32)

    def factor(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """The factor that is meant; `stored` gives back every bit of a float32."""
        wide = np.asarray(stored, np.float64)
        with np.errstate(divide="ignore"):
            wide = 1 / wide if self.means == "divisor" else wide
        return np.asarray(wide / _LARGEST if self.means == "amax" else wide)


def stored_factor(
    factor: NDArray[np.float64] | None,
    how: Global | None,
    name: str,
    format: str,  # noqa: A002
) -> NDArray[np.float32] | None:
    """The global scale as it is stored; None for none."""
    if how is None:
        if factor is not None:
            raise ValueError(f"layout {name!r} has no place for a global scale in {format!r}")
        return None
    if factor is None:
        if how.optional:
            return None
        factor = np.ones((), np.float64)
    stored = how.stored(np.asarray(factor, np.float64))
    return stored.reshape(how.shape) if stored.size == 1 else stored


def read_factor(
    stored: NDArray[Any] | None, how: Global | None, shape: Shape, name: str
) -> NDArray[np.float64] | None:
    """The factor that a stored global scale means."""
    if stored is None or how is None:
        if how is not None and not how.optional:
            raise ValueError(f"the global scale is missing, which layout {name!r} always has")
        return None
    array = np.asarray(stored)
    return how.factor(array).reshape(factor_shape(array.shape, shape, name))


def factor_shape(stored: Shape, shape: Shape, name: str) -> Shape:
    """The shape of factors that broadcasts against a weight: one for all, experts or rows."""
    count = math.prod(stored)
    if count == 1:
        return ()
    if len(shape) == 2 and count == shape[0]:  # what is left of experts in a run of rows
        return count, 1
    if len(shape) > 2 and count == math.prod(shape[:-2]):
        return (*shape[:-2], 1, 1)
    raise ValueError(
        f"global scale of shape {stored}; layout {name!r} has one for a weight of shape "
        f"{shape}, or one for each of its {math.prod(shape[:-2])} matrices"
    )
