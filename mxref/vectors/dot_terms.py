"""Operands of dot products, built from the sum that they shall have.

A covergroup says which powers of two are to meet, in which order; the format says how far elements
reach, and where they do not, blocks of their own with other scales take over.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from mxref.formats import BlockFormat, ElementFormat, Kind, pow2
from mxref.vectors.bits import finite_codes
from mxref.vectors.operations import Inputs

__all__ = ["Block", "Pair", "block", "corners", "operands", "powers", "reach", "total_of", "varied"]

Pair = tuple[BlockFormat, BlockFormat]

_BIAS = 127
_LANES = 32
_MOST_BLOCKS = 4
_LEAST_SCALE, _MOST_SCALE = -127, 127


class Block(NamedTuple):
    """One block of each operand: scale codes and element codes."""

    scale_a: int
    codes_a: tuple[int, ...]
    scale_b: int
    codes_b: tuple[int, ...]


def block(
    lanes: Mapping[int, tuple[int, int]], scale_a: int = _BIAS, scale_b: int = _BIAS
) -> Block:
    """Return a block of zeros but for some lanes, given as codes of both operands.

    Examples
    --------
    >>> block({1: (0x2, 0x4)}).codes_b[:3]
    (0, 4, 0)
    """
    codes = [lanes.get(lane, (0, 0)) for lane in range(_LANES)]
    codes_a, codes_b = zip(*codes, strict=True)
    return Block(scale_a, codes_a, scale_b, codes_b)


def operands(blocks: Sequence[Block], k: int | None = None) -> Inputs:
    """Return blocks as the inputs of a dot product of k elements; default: all of them.

    Examples
    --------
    >>> operands([block({}), block({})], 40).shape
    (40,)
    """
    codes_a = tuple(itertools.chain.from_iterable(b.codes_a for b in blocks))
    codes_b = tuple(itertools.chain.from_iterable(b.codes_b for b in blocks))
    other = Inputs(None, codes_b, scales=tuple(b.scale_b for b in blocks))
    size = _LANES * len(blocks) if k is None else k
    scales = tuple(b.scale_a for b in blocks)
    return Inputs(None, codes_a, scales=scales, other=other, shape=(size,))


# --- codes of an element format --------------------------------------------------------------


@functools.cache
def powers(fmt: ElementFormat, sign: int = 1) -> Mapping[int, int]:
    """The codes of the powers of two that have both signs, by exponent; `sign` is 1 or -1.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> powers(element_format("e2m1"))
    {-1: 1, 0: 2, 1: 4, 2: 6}
    """
    codes = {number.value: code for code, number in finite_codes(fmt)}
    found = {}
    for exponent in range(-16, 17):
        value = pow2(exponent)
        if value in codes and -value in codes:
            found[exponent] = codes[sign * value]
    return found


def reach(pair: Pair) -> tuple[int, int]:
    """Exponents of the least and the largest product of two powers of two.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> reach((block_format("mxfp4"), block_format("mxint8")))
    (-7, 2)
    """
    sides = [powers(fmt.element) for fmt in pair]
    return sum(min(side) for side in sides), sum(max(side) for side in sides)


@functools.cache
def corners(fmt: ElementFormat) -> tuple[int, ...]:
    """Codes at the ends of each binade; every code but zero where there are at most 64.

    A float format of 8 bits gives positive codes: its sign is a bit of its own.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> [hex(code) for code in corners(element_format("e4m3"))][:4]
    ['0x1', '0x7', '0x8', '0xf']
    """
    finite = {code: number for code, number in finite_codes(fmt) if number.magnitude}
    if fmt.bits < 8:
        return tuple(finite)
    if fmt.kind is Kind.FIXED:
        edges = {edge for bit in range(7) for edge in (1 << bit, (1 << (bit + 1)) - 1)}
        return tuple(sorted(edges | {fmt.code_count - edge for edge in edges} | {fmt.sign_mask}))
    positive = [code for code in finite if code < fmt.sign_mask]
    binades = itertools.groupby(positive, key=lambda code: code >> fmt.mantissa_bits)
    ends: set[int] = set()
    for _, codes in binades:
        found = list(codes)
        ends |= {found[0], found[-1]}
    return tuple(sorted(ends))


@functools.cache
def varied(fmt: ElementFormat) -> tuple[int, ...]:
    """A code for each of 32 lanes, neighbours different, magnitudes between 1/2 and 4.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> varied(element_format("e2m1"))[:6]
    (1, 2, 3, 4, 5, 9)
    """
    middle = [c for c, n in finite_codes(fmt) if Fraction(1, 2) <= n.magnitude < 4]
    step = max(len(middle) // _LANES, 1)
    return tuple(middle[(lane * step) % len(middle)] for lane in range(_LANES))


# --- sums of powers of two -------------------------------------------------------------------


class _Home:
    """A block that is being filled: its products in units of its scales must stay in reach."""

    def __init__(self) -> None:
        self.terms: list[tuple[int, int]] = []

    def takes(self, exponent: int, width: int, room: int) -> bool:
        exponents = [exponent, *(e for _, e in self.terms)]
        return max(exponents) - min(exponents) <= width and len(self.terms) < room


def total_of(
    pair: Pair,
    terms: Iterable[tuple[int, int]],
    *,
    start: int = 0,
    step: int = 1,
    apart: bool = False,
    skew: int = 0,
) -> Inputs | None:
    """Return operands whose products are these powers of two, in this order.

    Parameters
    ----------
    pair : tuple of BlockFormat
        The formats.
    terms : iterable of (int, int)
        Sign (1 or -1) and exponent of each product.
    start, step : int
        The first lane in each block, and the distance to the next.
    apart : bool
        Whether each product gets a block of its own.
    skew : int
        How much more of the scale's exponent the first operand has.

    Returns
    -------
    Inputs or None
        None where it takes more than four blocks, or scales that do not exist.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> pair = block_format("mxfp4"), block_format("mxfp4")
    >>> found = total_of(pair, [(1, 0), (-1, -20)])
    >>> [hex(code) for code in found.scales], [hex(code) for code in found.other.scales]
    (['0x7f', '0x76'], ['0x7f', '0x76'])
    """
    low, high = reach(pair)
    room = (_LANES - 1 - start) // step + 1
    homes: list[_Home] = []
    for sign, exponent in terms:
        fits = (home for home in homes if not apart and home.takes(exponent, high - low, room))
        home = next(fits, None)
        if home is None:
            home = _Home()
            homes.append(home)
        home.terms.append((sign, exponent))
    blocks = [_filled(pair, home.terms, start, step, skew) for home in homes]
    if len(blocks) > _MOST_BLOCKS or None in blocks:
        return None
    return operands([found for found in blocks if found is not None])


def _filled(
    pair: Pair, terms: list[tuple[int, int]], start: int, step: int, skew: int
) -> Block | None:
    low, high = reach(pair)
    exponents = [exponent for _, exponent in terms]
    # The scales stay at 1 as long as the elements reach.
    scale = min(max(0, max(exponents) - high), min(exponents) - low)
    half = min(max(scale // 2 + skew, _LEAST_SCALE), _MOST_SCALE)
    rest = min(max(scale - half, _LEAST_SCALE), _MOST_SCALE)
    half = scale - rest
    if not _LEAST_SCALE <= half <= _MOST_SCALE:
        return None
    lanes = {}
    for index, (sign, exponent) in enumerate(terms):
        lane = start + index * step
        lanes[lane] = _factors(pair, exponent - scale, sign, minus_in_a=bool(lane % 2))
    return block(lanes, half + _BIAS, rest + _BIAS)


def _factors(pair: Pair, exponent: int, sign: int, *, minus_in_a: bool) -> tuple[int, int]:
    """Codes of two powers of two with this product; the middle of all such pairs."""
    side_a, side_b = (powers(fmt.element) for fmt in pair)
    ways = [e for e in side_a if exponent - e in side_b]
    exponent_a = ways[len(ways) // 2]
    sign_a, sign_b = (sign, 1) if minus_in_a else (1, sign)
    return (
        powers(pair[0].element, sign_a)[exponent_a],
        powers(pair[1].element, sign_b)[exponent - exponent_a],
    )
