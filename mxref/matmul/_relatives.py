"""Operands of other families, NVFP4 and BDR: validated, K last on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.matmul._operands import addend_of
from mxref.mxarray import MXArray

__all__ = ["RelativeOperands", "RelativeSide", "family_of", "is_relative", "relatives_of"]


@dataclass(frozen=True, slots=True, eq=False)
class RelativeSide:
    """One operand, a row for each row or column of the result.

    Attributes
    ----------
    family : str
        ``"mx"``, ``"nvfp4"`` or ``"bdr"``.
    format : BlockFormat, NVFP4Format or BDRFormat
    codes : ndarray of uint8, shape (rows, K)
    scales : ndarray, shape (rows, blocks) or ()
        As the array has them: codes in uint8, or float32 numbers.
    subscales : ndarray of uint8, shape (rows, blocks of k2), or None
    global_scale : float32
        Of NVFP4; 1 elsewhere.
    decode : callable
        Returns the values in float32, shape (rows, K), as the array's policy decodes them.
    has_signed_scales : bool
        Of NVFP4: whether the array's policy reads the sign bit of a scale.
    """

    family: str
    format: Any
    codes: NDArray[np.uint8]
    scales: NDArray[Any]
    subscales: NDArray[np.uint8] | None
    global_scale: np.float32
    decode: Callable[[], NDArray[np.float32]]
    has_signed_scales: bool = False

    @property
    def name(self) -> str:
        """The name of the format."""
        return str(self.format.name)


@dataclass(frozen=True, slots=True, eq=False)
class RelativeOperands:
    """What a product is computed from where an operand is no MXArray.

    Attributes
    ----------
    a, b : RelativeSide
    c : ndarray of float64, float32, float16 or bfloat16, or None
        The addend, in the shape of the result.
    """

    a: RelativeSide
    b: RelativeSide
    c: NDArray[Any] | None = None

    @property
    def k(self) -> int:
        """How many products each result sums."""
        return int(self.a.codes.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the result."""
        return self.a.codes.shape[0], self.b.codes.shape[0]


def family_of(operand: Any) -> str:
    """Return ``"mx"``, ``"nvfp4"`` or ``"bdr"``, or "" for anything else."""
    from mxref.bdr import BDRArray
    from mxref.nvfp4 import NVFP4Array

    for family, kind in (("mx", MXArray), ("nvfp4", NVFP4Array), ("bdr", BDRArray)):
        if isinstance(operand, kind):
            return family
    return ""


def is_relative(a: Any, b: Any) -> bool:
    """Return whether an operand is of another family than MX, and both are of some."""
    if isinstance(a, MXArray) and isinstance(b, MXArray):
        return False
    families = family_of(a), family_of(b)
    return all(families) and families != ("mx", "mx")


def relatives_of(a: Any, b: Any, c: Any = None) -> RelativeOperands:
    """Validate the operands of ``a @ b + c``.

    Raises
    ------
    TypeError, ValueError
        If they are no matrices, blocked along K, that fit each other.
    """
    for operand, name, axis in ((a, "a", 1), (b, "b", 0)):
        if len(operand.shape) != 2:
            raise ValueError(
                f"{name} has shape {operand.shape}; expected a matrix: for a batch, call matmul "
                "for each of its matrices"
            )
        if operand.axis % 2 != axis:
            where = "rows" if axis == 1 else "columns"
            raise ValueError(
                f"{name} has shape {operand.shape} and is blocked along axis {operand.axis % 2}; "
                f"expected axis {axis}, the one that the product sums over (each block lies in one "
                f"of its {where}). Blocks cannot be transposed: quantise the values again along "
                f"axis {axis}"
            )
    if a.shape[1] != b.shape[0]:
        hint = "; b looks transposed" if a.shape[1] == b.shape[1] else ""
        raise ValueError(
            f"a has shape {a.shape} and b {b.shape}; expected (M, K) and (K, N) with one K, got "
            f"{a.shape[1]} and {b.shape[0]}{hint}"
        )
    shape = (a.shape[0], b.shape[1])
    return RelativeOperands(_side(a, across=False), _side(b, across=True), addend_of(c, shape))


def _side(operand: Any, *, across: bool) -> RelativeSide:
    def turned(array: Any) -> Any:
        return array.T if across and array is not None else array

    def decode() -> NDArray[np.float32]:
        return np.asarray(turned(operand.dequantize()), np.float32)

    family = family_of(operand)
    return RelativeSide(
        family=family,
        format=operand.format,
        codes=turned(operand.codes),
        scales=turned(np.asarray(operand.scales)),
        subscales=turned(getattr(operand, "subscales", None)),
        global_scale=np.float32(getattr(operand, "global_scale", 1.0)),
        decode=decode,
        has_signed_scales=family == "nvfp4" and operand.policy.scale_sign != "ignore",
    )
