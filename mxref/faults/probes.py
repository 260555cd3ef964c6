"""Dense inputs of each operation: what shows that a fault cannot show, or that one can.

Everything is worked out in integers, so that the inputs are the same on every machine: all
patterns of the 16-bit types, and float32 numbers around every edge of a format.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from mxref.faults.decode import element_table
from mxref.faults.encoder import as_float64
from mxref.faults.implementations import AnyFormat
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy

__all__ = ["normal_form", "probe"]

_Array = npt.NDArray[Any]
_Words = npt.NDArray[np.uint32]

_NAN_SCALE = 0xFF
_NAN_BITS = 0x7FC00000
_SCATTERED = 1 << 16  # float32 numbers with exponents and significands of all kinds
_PIECE = 1 << 11  # blocks of one call; each takes something of everything
_RARE = (0x7F800000, 0x7F800001, 0x7FA00000, 0x7FC00000, 0x7FFFFFFF, 0x7F7FFFFF, 1, 0, 0x00800000)


def probe(operation: str, fmt: AnyFormat, policy: Policy) -> Iterator[tuple[Any, ...]]:
    """Yield the arguments of calls that together try an operation densely.

    Parameters
    ----------
    operation : str
        ``"encode"``, ``"decode"``, ``"quantize"`` or ``"dequantize"``.
    fmt : ElementFormat, ScaleFormat or BlockFormat
        What the operation is about.
    policy : Policy
        Says whether random numbers are needed, and how many bits they have.

    Raises
    ------
    ValueError
        If there are no probes of the operation.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> [codes] = next(probe("decode", element_format("e2m1"), Policy()))
    >>> codes[-1]
    np.uint8(15)
    """
    match operation, fmt:
        case "encode", ElementFormat() | ScaleFormat():
            bits = int(policy.stochastic_bits.value)
            is_random = policy.rounding.value.startswith("stochastic")
            for x in _numbers(fmt if isinstance(fmt, ElementFormat) else None):
                yield x, (_random(len(x), bits) if is_random else None)
        case "decode", ElementFormat() | ScaleFormat():
            yield (np.arange(fmt.code_count, dtype=np.uint8),)
        case "quantize", BlockFormat():
            for blocks in _blocks(fmt):
                pieces = -(-len(blocks) // _PIECE)
                yield from ((blocks[start::pieces],) for start in range(pieces))
        case "dequantize", BlockFormat():
            yield _coded(fmt)
        case _:
            raise ValueError(f"there are no probes of {operation} for {fmt}")


def normal_form(
    operation: str, fmt: AnyFormat, arguments: tuple[Any, ...], result: Any
) -> tuple[_Array, ...]:
    """Bring a result into a form in which equal means equal under the rules of the vectors.

    Parameters
    ----------
    operation, fmt
        As for `probe`.
    arguments : tuple
        What the operation was called with.
    result : array or pair of arrays
        What it returned.

    Notes
    -----
    MX-1.0/5.1/nan-scale (element codes under a NaN scale), OP-NAN-PAYLOAD and OP-DECODE-NAN (NaN
    patterns), OP-SCALE-ZERO-BLOCK (the scale of a block of zeros).

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> e4m3 = element_format("e4m3")
    >>> nan = np.array([0xFFC00000], np.uint32).view(np.float32)
    >>> [hex(bits) for bits in normal_form("decode", e4m3, (), nan)[0]]
    ['0x7fc00000']
    """
    if operation == "quantize" and isinstance(fmt, BlockFormat):
        return _normal_blocks(fmt, arguments[0], *result)
    if operation == "encode":
        return (np.asarray(result),)
    bits = np.ascontiguousarray(result, np.float32).view(np.uint32)
    return (np.where(np.isnan(result), np.uint32(_NAN_BITS), bits),)


def _normal_blocks(
    fmt: BlockFormat, x: _Array, scales: _Array, codes: _Array
) -> tuple[_Array, _Array]:
    is_nan = np.isnan(element_table(fmt.element))[codes]
    codes = np.where((scales == _NAN_SCALE)[:, None], 0, np.where(is_nan, 0x7F, codes))
    is_zero = (as_float64(x) == 0).all(-1)
    return np.where(is_zero & (scales != _NAN_SCALE), 0, scales), codes


# --- numbers ----------------------------------------------------------------------------------


def _mixed(n: int, seed: int = 0) -> _Words:
    """Numbers of 32 bits without order: a multiplicative hash of their places."""
    word = np.arange(n, dtype=np.uint64) + np.uint64(seed << 20)
    for factor, shift in ((0x9E3779B97F4A7C15, 29), (0xBF58476D1CE4E5B9, 32)):
        word = word * np.uint64(factor)
        word ^= word >> np.uint64(shift)
    return (word >> np.uint64(16)).astype(np.uint32)


def _random(n: int, bits: int) -> _Words:
    """Random numbers, every eighth one extreme."""
    mask = np.uint32((1 << bits) - 1)
    found = _mixed(n, 7) & mask
    found[::16], found[1::16] = 0, mask
    found[2::16], found[3::16] = 1 << (bits - 1), (1 << (bits - 1)) - 1
    return found


def _edges(fmt: ElementFormat) -> npt.NDArray[np.float64]:
    """Positive values, midpoints and quarters of a format, up to four times its largest value."""
    table = np.abs(element_table(fmt))
    values = np.unique(table[np.isfinite(table)])
    largest, step = values[-1], values[-1] - values[-2]
    beyond = largest + step * np.array([1, 2, 3, 4, 8])
    values = np.concatenate([values, beyond, [2 * largest, 4 * largest, 57344.0, 61440.0, 65536.0]])
    values.sort()
    quarters = [values[:-1] + np.diff(values) * part for part in (0.25, 0.5, 0.75)]
    return np.unique(np.concatenate([values, *quarters]))[1:]


def _near(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Float32 numbers at given ones and beside them, at the distances that double rounding has."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.int64)
    steps = [0, 1, 2, 3, *(1 << i for i in range(2, 16)), 5 << 10, 3 << 12, 5 << 13, 3 << 14]
    moves = np.unique([sign * step for step in steps for sign in (-1, 1)])
    found = np.unique((bits[:, None] + moves).clip(0, 0x7F7FFFFF))
    return found.astype(np.uint32).view(np.float32)


@functools.cache
def _directed(fmt: ElementFormat | None) -> npt.NDArray[np.float32]:
    """Finite positive float32 numbers that matter to a format; None stands for E8M0."""
    powers = np.arange(-149, 128)
    significands = np.array([1, 1.25, 1.5, 1.75])
    lattice = np.ldexp(significands[:, None], powers).ravel()
    edges = lattice if fmt is None else np.concatenate([_edges(fmt), lattice])
    return _near(edges[edges < 2.0**128])


@functools.cache
def _numbers(fmt: ElementFormat | None) -> tuple[_Array, ...]:
    """Lone numbers: every pattern of the two 16-bit types, then float32."""
    scattered = _mixed(_SCATTERED)
    near_one = (scattered & np.uint32(0x87FFFFFF)) | np.uint32(0x38000000)  # 2^-15 to 2
    directed = _directed(fmt).view(np.uint32)
    rare = np.array(_RARE, np.uint32)
    half = [directed, rare]
    sign = np.uint32(0x80000000)
    words = np.concatenate([*half, *(part | sign for part in half), scattered, near_one[::2]])
    every = np.arange(1 << 16, dtype=np.uint16)
    return every.view(ml_dtypes.bfloat16), every.view(np.float16), words.view(np.float32)


# --- blocks -----------------------------------------------------------------------------------


@functools.cache
def _blocks(fmt: BlockFormat) -> tuple[_Array, ...]:
    """Blocks of each input type."""
    single = np.concatenate([_anchored(fmt), _swept(fmt), _special(fmt)])
    narrow = []
    for dtype in (ml_dtypes.bfloat16, np.float16):
        every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
        with np.errstate(all="ignore"):
            others = _special(fmt).astype(dtype)
        spread = every.reshape(fmt.block_size, -1).T  # all magnitudes in one block
        spread = np.where(np.isfinite(spread.astype(np.float32)), spread, dtype(1))
        narrow.append(np.concatenate([every.reshape(-1, fmt.block_size), spread, others]))
    return single, *narrow


def _anchored(fmt: BlockFormat) -> _Array:
    """Elements on and beside every edge, under a first element that fixes the scale."""
    element, k = fmt.element, fmt.block_size
    edges = _edges(element)
    near = _near(edges[edges <= float(element.max)])
    tiny = np.ldexp(1.0 + _mixed(1024, 5) % 8 / 8, -(np.arange(1024) % 120)).astype(np.float32)
    x = np.concatenate([near, tiny])
    x = np.resize(x, (-(-len(x) // (k - 1)), k - 1))
    x = np.where(_mixed(x.size, 3).reshape(x.shape) & 1 == 1, -x, x)
    anchor = np.full((len(x), 1), element.max, np.float32)
    anchor[1::4], anchor[2::4] = -anchor[1::4], 2.0**element.emax
    blocks = np.concatenate([anchor, x], -1).astype(np.float64)
    least, most = -126 - element.emax, 127 - element.emax
    exponents = (-3, -14, -24, 40, most, most - 1, least, least - 1, least + 1)
    moved = (np.ldexp(blocks[::8], exponent) for exponent in exponents)
    return np.concatenate([blocks, np.ldexp(blocks[::2], 1), *moved]).astype(np.float32)


def _swept(fmt: BlockFormat) -> _Array:
    """Edges of all rules as amax, at many exponents, in all places and with both signs."""
    top = float(fmt.element.max) / 2.0**fmt.element.emax
    width = 2.0 ** -(fmt.element.mantissa_bits + 1)
    edges = [
        1,
        1.5,
        top,
        2 - width,
        top + width,
        0.75 * top,
        2**0.5,
        top / 2**0.5,
        1.25,
        1.9990234375,
    ]
    edges += [1 + 2.0**-i for i in range(2, 24)] + [2 - 2.0**-i for i in range(2, 24)]
    m = _near(np.array([edge for edge in edges if 1 <= edge < 2]))
    m = m[(m >= 1) & (m < 2)]
    ends = [*range(-149, -98), *range(-64, 20, 6), *range(-2, 10), *range(98, 128)]
    m, exponent = np.meshgrid(m[:: max(len(m) // 97, 1)], ends, indexing="ij")
    amax = np.ldexp(m.ravel().astype(np.float64), exponent.ravel())
    # Everywhere at the edges, at all significands in the middle.
    fine = np.ldexp(_near(np.array([e for e in edges if 1 <= e < 2])).astype(np.float64), 1)
    near = [-149, -127, -126, -1, 0, 3, 63, 64, 126, 127]
    ulps = np.array(edges)[:, None] + np.arange(-2, 4) * 2.0**-23
    fine = np.concatenate([fine, *(np.ldexp(ulps.ravel(), e) for e in near)])
    amax = np.concatenate([amax, fine])
    amax = amax[amax < 2.0**128].astype(np.float32)
    n, k = len(amax), fmt.block_size
    part = (_mixed(n * k, 9).reshape(n, k) % 1024 / 1024).astype(np.float32)
    blocks = amax[:, None] * part
    place = np.arange(n) % k
    blocks[np.arange(n), place] = np.where(np.arange(n) // k % 2 == 1, -amax, amax)
    return np.asarray(blocks, np.float32)


def _special(fmt: BlockFormat) -> _Array:
    """Zeros, NaN and infinity in every place, among numbers large and small."""
    k = fmt.block_size
    rows = []
    for base in (0.0, 1.0, -3.0, 1e-40, 1e-13, 1e38):
        for value in (np.nan, np.inf, -np.inf, 0.0, -0.0, float(fmt.element.max), -1e-38):
            block = np.full((k, k), base)
            block[np.arange(k), np.arange(k)] = value
            rows.append(block[:: 1 if base == 1 else 8])
    rows += [np.zeros((1, k)), np.full((1, k), -0.0)]
    return np.concatenate(rows).astype(np.float32)


def _coded(fmt: BlockFormat) -> tuple[_Array, _Array]:
    """Every element code under every scale code."""
    k, count = fmt.block_size, fmt.element.code_count
    codes = np.resize(np.arange(count, dtype=np.uint8), (-(-count // k), k))
    scales = np.repeat(np.arange(256, dtype=np.uint8), len(codes))
    return scales, np.tile(codes, (256, 1))
