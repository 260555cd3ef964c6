"""Given arrays as the arguments and results of a kernel: rows of blocks, or flat numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.check._problem import Problem
from mxref.check.dequantize import as_values
from mxref.check.identify._answers import Fmt, Inputs
from mxref.formats import BlockFormat

__all__ = ["Data", "as_data"]

_EXPECTED = {
    "quantize": ("x", "codes", "scales"),
    "dequantize": ("codes", "scales", "y"),
    "encode": ("x", "codes"),
    "decode": ("codes", "y"),
}
_PIECE = 1 << 20


class Data:
    """What went in and what came out, in pieces, with the coordinates of a caller."""

    def __init__(self, op: str, problem: Problem | None, flat: Inputs, shape: Any) -> None:
        self.op, self.problem, self.flat, self.shape = op, problem, flat, shape

    def pieces(self) -> Iterator[tuple[Inputs, Inputs]]:
        """Yield arguments and results, some rows at a time."""
        if self.problem is None:
            given, found = self.flat
            for start in range(0, len(given), _PIECE):
                part = slice(start, start + _PIECE)
                yield (given[part],), (found[part],)
            return
        for piece in self.problem.pieces():
            scales = piece.scales[:, None]
            if self.op == "quantize":
                yield (piece.x,), (piece.codes, scales)
            else:
                yield (piece.codes, scales), (piece.x,)

    def where(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Turn a row, or a row and a lane, into coordinates."""
        if self.problem is None:
            return tuple(int(i) for i in np.unravel_index(index[0], self.shape))
        if len(index) == 1:
            return self.problem.block_index(index[0])
        return self.problem.element_index(*index)


def as_data(op: str, arrays: tuple[Any, ...], fmt: Fmt, axis: int) -> Data:
    """Validate given arrays.

    Raises
    ------
    TypeError, ValueError
        If their number, dtypes, shapes or codes do not fit.
    """
    names = _EXPECTED[op]
    if len(arrays) != len(names):
        raise TypeError(
            f"{op} takes {len(names)} arrays ({', '.join(names)}), {len(arrays)} were given"
        )
    if not isinstance(fmt, BlockFormat):
        return _cast(op, arrays, fmt)
    if op == "quantize":
        values, _ = inputs.as_float(arrays[0])
        codes, scales = arrays[1:]
    else:
        codes, scales = arrays[:2]
        values = as_values(arrays[2], np.asarray(codes).shape)
    given = inputs.as_codes(codes, fmt.element.name).view(np.uint8)
    shared = inputs.as_codes(scales, fmt.scale.name, "scales").view(np.uint8)
    where = inputs.normal_axis(axis, values.shape)
    if given.shape != values.shape:
        raise ValueError(f"codes have shape {given.shape}; expected that of x, {values.shape}")
    expected = inputs.scale_shape(values.shape, where, fmt.block_size, pad=True)
    if shared.shape != expected:
        raise ValueError(
            f"scales have shape {shared.shape}; expected {expected}: one for each block of "
            f"{fmt.block_size} along axis {where} of {values.shape}"
        )
    inputs.check_range(given, fmt.element.code_count, fmt.element.name)
    return Data(op, Problem(values, given, shared, fmt, where), (), values.shape)


def _cast(op: str, arrays: tuple[Any, ...], fmt: Any) -> Data:
    raw = arrays[1] if op == "encode" else arrays[0]
    codes = inputs.as_codes(raw, fmt.name).view(np.uint8)
    values: NDArray[Any]
    if op == "encode":
        values, _ = inputs.as_float(arrays[0])
        if codes.shape != values.shape:
            raise ValueError(f"codes have shape {codes.shape}; expected that of x, {values.shape}")
    else:
        values = as_values(arrays[1], codes.shape)
    inputs.check_range(codes, fmt.code_count, fmt.name)
    pair = (values, codes) if op == "encode" else (codes, values)
    return Data(op, None, tuple(array.reshape(-1) for array in pair), codes.shape)
