"""The inputs of the two highest levels, in chunks that one call can take.

``full`` is 2^25 numbers, drawn so that every exponent and every significand next to a decision of
the format is there often. ``exhaustive`` is every input of a cast; for a quantizer every
significand of amax at four exponents, and every float32 element of 25 binades under a known scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check._call import CALL_ELEMENTS
from mxref.check._landmarks import as_float32, bits_of, both_signs, midpoints
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["chunks"]

Fmt = BlockFormat | ElementFormat | ScaleFormat
Inputs = tuple["NDArray[Any]", ...]
_Make = Callable[[int], Inputs]

_SEED = 20230907
_FULL = 1 << 25
_AMAX_EXPONENTS = (0, 1, -30, 60)
_BINADES = 25  # below the largest element: beyond, all is rounded to zero
_SIGNIFICANDS = 1 << 23


def chunks(
    fmt: Fmt, op: str, level: str, dtype: np.dtype[Any]
) -> tuple[int, Iterator[tuple[NDArray[Any], ...]]]:
    """Return how many chunks a level has, and the chunks.

    Parameters
    ----------
    fmt : BlockFormat, ElementFormat or ScaleFormat
    op : str
        ``"encode"``, ``"decode"``, ``"quantize"`` or ``"dequantize"``.
    level : str
        ``"full"`` or ``"exhaustive"``.
    dtype : numpy.dtype
        What the kernel takes as numbers.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> total, parts = chunks(element_format("e4m3"), "encode", "exhaustive", np.dtype("f4"))
    >>> total * len(next(parts)[0]) == 2**32
    True
    """
    make, total = _plan(fmt, op, level, dtype)
    return total, (make(number) for number in range(total))


def _plan(fmt: Fmt, op: str, level: str, dtype: np.dtype[Any]) -> tuple[_Make, int]:
    every = level == "exhaustive"
    if op in ("decode", "dequantize"):
        if not isinstance(fmt, BlockFormat) or every:  # the designed inputs were all there are
            return (lambda _: ()), 0
        return (lambda number: _random_codes(fmt, number)), _FULL // CALL_ELEMENTS
    if dtype.itemsize == 2:
        return (lambda number: (_sixteen_bits(fmt, dtype, number),)), 16
    if isinstance(fmt, BlockFormat):
        if every:
            return _every_block(fmt)
        return (lambda number: (_mixed_blocks(fmt, number),)), _FULL // CALL_ELEMENTS
    if every:
        return (lambda number: (_run(number * CALL_ELEMENTS),)), (1 << 32) // CALL_ELEMENTS
    return (lambda number: (_mixed(fmt, number),)), _FULL // CALL_ELEMENTS


def _run(start: int, count: int = CALL_ELEMENTS) -> NDArray[np.float32]:
    """Float32 numbers of successive bit patterns."""
    return as_float32(np.arange(start, start + count, dtype=np.uint64).astype(np.uint32))


def _random_codes(fmt: BlockFormat, number: int) -> Inputs:
    rng = np.random.default_rng((_SEED, number))
    n = CALL_ELEMENTS // fmt.block_size
    codes = rng.integers(0, fmt.element.code_count, (n, fmt.block_size), dtype=np.uint8)
    return codes, rng.integers(0, 256, (n, 1), dtype=np.uint8)


def _sixteen_bits(fmt: Fmt, dtype: np.dtype[Any], number: int) -> NDArray[Any]:
    """Every number of a 16-bit type, in another order in each chunk of blocks."""
    rng = np.random.default_rng((_SEED, number))
    bits = np.arange(1 << 16, dtype=np.uint16)
    if not isinstance(fmt, BlockFormat):
        return rng.permutation(bits).view(dtype)
    n = bits.size // fmt.block_size * fmt.block_size
    return rng.permutation(bits)[:n].view(dtype).reshape(-1, fmt.block_size)


def _mixed(fmt: ElementFormat | ScaleFormat, number: int) -> NDArray[np.float32]:
    """Random bits, and numbers within 2^13 steps of a midpoint between codes."""
    rng = np.random.default_rng((_SEED, number))
    half = CALL_ELEMENTS // 2
    bits = rng.integers(0, 1 << 32, half, dtype=np.uint32)
    if isinstance(fmt, ScaleFormat):
        near = rng.integers(0, 1 << 31, half, dtype=np.uint32)
    else:
        centres = both_signs(bits_of(midpoints(fmt)))
        near = rng.choice(centres, half) + rng.integers(-(1 << 13), 1 << 13, half).astype(np.uint32)
    return as_float32(np.concatenate([bits, near.astype(np.uint32)]))


def _mixed_blocks(fmt: BlockFormat, number: int) -> NDArray[np.float32]:
    """Blocks of Gaussian numbers of one exponent each, every other one in few bits."""
    rng = np.random.default_rng((_SEED, number))
    n = CALL_ELEMENTS // fmt.block_size
    exponent = rng.integers(-120, 110, (n, 1)).astype(np.float64)
    values = rng.standard_normal((n, fmt.block_size)) * np.exp2(exponent)
    bits = np.ascontiguousarray(values.astype(np.float32)).view(np.uint32)
    bits[::2] &= np.uint32(0xFFFF_0000)
    return as_float32(bits)


def _every_block(fmt: BlockFormat) -> tuple[_Make, int]:
    """Every amax at four exponents, then every element under the scale of the largest number."""
    k = fmt.block_size
    rows = CALL_ELEMENTS // k
    of_amax = -(-_SIGNIFICANDS // rows)
    lanes = max(k - 1, 1)
    of_binade = -(-_SIGNIFICANDS // (rows * lanes))
    first = of_amax * len(_AMAX_EXPONENTS)
    anchor = bits_of([fmt.element.max])[0]

    def make(number: int) -> Inputs:
        blocks = np.zeros((rows, k), np.uint32)
        if number < first:
            exponent = _AMAX_EXPONENTS[number // of_amax]
            m = np.arange(number % of_amax * rows, (number % of_amax + 1) * rows) % _SIGNIFICANDS
            amax = ((exponent + 127) << 23) + m
            blocks[:, -1] = amax - (1 << 23)  # half of it beside it
            blocks[np.arange(rows), np.arange(rows) % k] = amax
        else:
            binade, part = divmod(number - first, of_binade)
            top = (int(anchor) >> 23) - binade
            m = np.arange(part * rows * lanes, (part + 1) * rows * lanes) % _SIGNIFICANDS
            elements = np.minimum((top << 23) + m, anchor)
            blocks[:, :lanes] = elements.reshape(rows, lanes)
            blocks[:, :lanes:2] |= np.uint32(1 << 31)
            blocks[:, -1] = anchor
        return (as_float32(blocks),)

    return make, first + of_binade * _BINADES
