"""Matrix products with one mistake in them: the faults of dot products, and wrong places.

Every number of a faulty product is a faulty dot product of row and column; a matrix has places
besides, at which the right numbers can be looked for in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.faults.dots import correct_dot, dot_models
from mxref.faults.implementations import Implementation
from mxref.formats import BlockFormat

__all__ = ["faulty_products"]

Pair = tuple[BlockFormat, BlockFormat]
Bytes = NDArray[np.uint8]
Planes = tuple[Bytes, Bytes, Bytes, Bytes]

_BLOCK = 32
# No padding lies behind the elements of a product.
_OF_PADDING = {
    "all blocks count",
    "the last block counts whole",
    "scale ff of padding poisons",
}


def faulty_products(fmts: Pair) -> tuple[Implementation, ...]:
    """Return every fault that can show in a matrix product of two formats.

    Parameters
    ----------
    fmts : pair of BlockFormat
        The formats of the operands, with blocks of 32.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> found = faulty_products((block_format("mxfp4"),) * 2)
    >>> [model.detail for model in found if model.id == "L8"][0]
    'result transposed'
    """
    of_sums = (
        Implementation(model.id, model.detail, _lifted(model.subject), model.legal_change)
        for model in dot_models(*fmts)
        if model.detail not in _OF_PADDING
    )
    right = _lifted(correct_dot(*fmts))
    of_places = (
        Implementation(fault, detail, _moved(right, move)) for fault, detail, move in _moves()
    )
    transposed = Implementation("L8", "result transposed", lambda *found: right(*found).T)
    return (*of_sums, transposed, *of_places)


def _lifted(dot: Callable[..., Any]) -> Callable[..., NDArray[Any]]:
    """A product of matrices out of dot products."""

    def matmul(scales_a: Bytes, codes_a: Bytes, scales_b: Bytes, codes_b: Bytes) -> NDArray[Any]:
        k = codes_a.shape[1]
        a = list(zip(scales_a, codes_a, strict=True))
        b = list(zip(scales_b, codes_b, strict=True))
        return np.array([[dot(k, *x, *y) for y in b] for x in a], np.float32)

    return matmul


def _moved(
    right: Callable[..., NDArray[Any]], move: Callable[..., Planes]
) -> Callable[..., NDArray[Any]]:
    return lambda *found: right(*move(*found))


def _moves() -> Iterator[tuple[str, str, Callable[..., Planes]]]:
    yield "L8", "codes of a read by columns", lambda sa, a, sb, b: (sa, _by_columns(a), sb, b)
    yield "L8", "codes of b read by columns", lambda sa, a, sb, b: (sa, a, sb, _by_columns(b))
    yield "L8", "scales of a read by columns", lambda sa, a, sb, b: (_by_columns(sa), a, sb, b)
    yield "L8", "scales of b read by columns", lambda sa, a, sb, b: (sa, a, _by_columns(sb), b)
    for axis, whose in ((1, "block"), (0, "row")):
        for side, name in enumerate("ab"):
            yield "L5", f"scale of the next {whose} of {name}", _rolled(2 * side, axis)
    for side, name in enumerate("ab"):
        yield "L4", f"rows of {name} as long as whole blocks", _strided(2 * side + 1, _BLOCK)


def _by_columns(plane: Bytes) -> Bytes:
    """The same bytes, read as though the first column came first."""
    return plane.reshape(plane.shape[::-1]).T


def _rolled(part: int, axis: int) -> Callable[..., Planes]:
    def move(*found: Bytes) -> Planes:
        planes = list(found)
        planes[part] = np.roll(planes[part], -1, axis)
        return planes[0], planes[1], planes[2], planes[3]

    return move


def _strided(part: int, multiple: int) -> Callable[..., Planes]:
    def move(*found: Bytes) -> Planes:
        planes = list(found)
        lines, k = planes[part].shape
        pitch = -(-k // multiple) * multiple
        flat = np.zeros(lines * pitch, np.uint8)
        flat[: lines * k] = planes[part].ravel()
        planes[part] = flat.reshape(lines, pitch)[:, :k]
        return planes[0], planes[1], planes[2], planes[3]

    return move
