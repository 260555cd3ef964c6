"""The operands of a product: validated, K last on both sides, scales beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.formats import BlockFormat
from mxref.mxarray import MXArray

__all__ = ["Operands", "addend_of", "operands_of"]

Bytes = NDArray[np.uint8]
_RELATIVES = ("NVFP4Array", "BDRArray")


@dataclass(frozen=True, slots=True, eq=False)
class Operands:
    """What a matrix product, or a batch of dot products, is computed from.

    Attributes
    ----------
    a_codes : ndarray of uint8, shape (M, K)
        Element codes of the left operand, one a byte. Any memory layout.
    a_scales : ndarray of uint8, shape (M, blocks)
        A scale code for each block of `block` elements; the last block may be short.
    b_codes : ndarray of uint8, shape (N, K)
        Element codes of the right operand, a row here for each column there. Any memory layout.
    b_scales : ndarray of uint8, shape (N, blocks)
    a_format, b_format : BlockFormat
    c : ndarray of float64, float32, float16 or bfloat16, or None
        The addend, in the shape of the result; read-only where it was broadcast.
    is_paired : bool
        Whether row i of one side meets row i of the other alone: the result then has shape (M,).
        Otherwise every row of a meets every row of b, and the result has shape (M, N).
    """

    a_codes: Bytes
    a_scales: Bytes
    b_codes: Bytes
    b_scales: Bytes
    a_format: BlockFormat
    b_format: BlockFormat
    c: NDArray[Any] | None = None
    is_paired: bool = False

    @property
    def block(self) -> int:
        """The block size, of both sides."""
        return int(self.a_format.block_size)

    @property
    def k(self) -> int:
        """How many products each result sums."""
        return int(self.a_codes.shape[1])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        m = self.a_codes.shape[0]
        return (m,) if self.is_paired else (m, self.b_codes.shape[0])


def operands_of(a: Any, b: Any, c: Any = None) -> Operands:
    """Validate the operands of ``a @ b + c``.

    Raises
    ------
    TypeError, ValueError
        If they are no matrices in block formats, blocked along K, that fit each other.
    """
    for operand, name, axis in ((a, "a", 1), (b, "b", 0)):
        if not isinstance(operand, MXArray):
            if type(operand).__name__ in _RELATIVES:
                raise TypeError(
                    f"{name} is of type {type(operand).__name__}, which only mxref.matmul "
                    "multiplies; to check a product of such operands, compare it with "
                    "mxref.matmul(a, b, c), the exact sums rounded once, or with what a named "
                    "accumulate= gives"
                )
            raise TypeError(
                f"{name} is a {type(operand).__name__}; expected an MXArray: "
                f"mxref.quantize({name}, format, axis={axis}), or mxref.MXArray(codes, scales, "
                f"format, axis={axis}) for bytes of your own"
            )
        if operand.ndim != 2:
            hint = "for a batch, call matmul for each of its matrices"
            if operand.ndim == 1:
                row = "codes[None], scales[None]" if axis else "codes[:, None], scales[:, None]"
                hint = f"of a vector make one: mxref.MXArray({row}, format, axis={axis})"
            raise ValueError(f"{name} has shape {operand.shape}; expected a matrix: {hint}")
        if operand.axis != axis:
            raise ValueError(_wrong_axis(name, operand, axis))
    if a.shape[1] != b.shape[0]:
        raise ValueError(_wrong_shapes(a, b))
    if a.format.block_size != b.format.block_size:
        raise ValueError(
            f"a has blocks of {a.format.block_size} and b of {b.format.block_size}; expected one "
            "size, since a product takes block by block: quantise one of them again with the "
            "other's block_size"
        )
    shape = (a.shape[0], b.shape[1])
    return Operands(
        a.codes, a.scales, b.codes.T, b.scales.T, a.format, b.format, addend_of(c, shape)
    )


def addend_of(c: Any, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Validate an addend and broadcast it to the shape of the result.

    Raises
    ------
    TypeError, ValueError
        If it is no array of real numbers, or cannot be broadcast.
    """
    if c is None:
        return None
    array, _ = inputs.as_float(c, "c")
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"c has shape {array.shape}; expected {shape}, that of the result, or a shape that "
            "broadcasts to it"
        ) from None


def _wrong_axis(name: str, operand: MXArray, axis: int) -> str:
    where = "rows" if axis == 1 else "columns"
    return (
        f"{name} has shape {operand.shape} and is blocked along axis {operand.axis}; expected axis "
        f"{axis}, the one that the product sums over (each block lies in one of its {where}). "
        f"Blocks cannot be transposed: quantise the values again, mxref.quantize({name}_values, "
        f"{operand.format.name!r}, axis={axis})"
    )


def _wrong_shapes(a: MXArray, b: MXArray) -> str:
    hint = ""
    if a.shape[1] == b.shape[1]:
        hint = (
            "; b looks transposed: quantise b.T along axis 0, or wrap the same bytes as "
            "mxref.MXArray(b.codes.T, b.scales.T, b.format, axis=0)"
            if b.axis == 0
            else "; b looks transposed"
        )
    return (
        f"a has shape {a.shape} and b {b.shape}; expected (M, K) and (K, N) with one K, got "
        f"{a.shape[1]} and {b.shape[0]}{hint}"
    )
