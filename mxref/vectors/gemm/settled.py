"""Stimuli whose results float32 gives in any order: whatever differs there is a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mxref.formats import ElementFormat, Kind, pow2
from mxref.vectors.bits import finite_codes
from mxref.vectors.covergroups import Stimuli
from mxref.vectors.dot_specials import special_codes
from mxref.vectors.dot_terms import Pair
from mxref.vectors.gemm.operands import Row, by_value, matrices, sequence, sparse, whole
from mxref.vectors.operations import Inputs

__all__ = ["integers", "places", "ragged", "scaled", "specials", "subnormals"]

_BLOCK = 32
_ONE = 0x7F  # the scale code of 1
_NAN = 0xFF
# Tiles and beyond them in two formats alone: which element it is does not matter there.
_LARGE = {"mxfp4": [(17, 9, 64)], "mxfp8_e4m3": [(16, 16, 64)]}
_MOST_FLOAT, _MOST_FIXED = 6, 127

_Shape = tuple[int, int, int]
_Scales = Sequence[tuple[int, ...]]


def integers(pair: Pair) -> Stimuli:
    """Small integers under scales of 1: every sum fits an accumulator of 14 bits but for INT8.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> inputs, detail = next(integers((block_format("mxfp4"),) * 2))
    >>> inputs.shape, detail
    ((1, 1, 32), '1 x 1, k = 32')
    """
    shapes: list[_Shape] = [(1, 1, 32), (3, 5, 64), (1, 9, 64)]
    if pair[0] == pair[1]:
        shapes += _LARGE.get(pair[0].name, [])
    for seed, shape in enumerate(shapes, start=1):
        m, n, k = shape
        scales = (_ONE,) * (k // _BLOCK)
        yield _dense(pair, shape, ([scales] * m, [scales] * n), seed), _named(shape)


def scaled(pair: Pair) -> Stimuli:
    """Small integers, each block under a scale of its own."""
    for seed, shape in enumerate([(3, 2, 96)], start=11):
        m, n, k = shape
        blocks = range(k // _BLOCK)
        a = [tuple(125 + (2 * row + 5 * block) % 6 for block in blocks) for row in range(m)]
        b = [tuple(130 - (3 * row + 4 * block) % 6 for block in blocks) for row in range(n)]
        yield _dense(pair, shape, (a, b), seed, most=3), _named(shape)


def ragged(pair: Pair) -> Stimuli:
    """Sums whose length is no multiple of the block."""
    for k in (1, 31, 33, 40):
        scales = tuple(_ONE + block for block in range(-(-k // _BLOCK)))
        shape = (2, 3, k)
        yield _dense(pair, shape, ([scales] * 2, [scales[::-1]] * 3), k), _named(shape)


def places(pair: Pair) -> Stimuli:
    """One element that is not zero in each row of one operand: each result is one product."""
    m, n, k = 5, 3, 64
    blocks = range(k // _BLOCK)
    for side in (0, 1):
        full, hot = pair[side].element, pair[1 - side]
        codes = [code for code, number in finite_codes(full) if number.value]
        dense: list[Row] = [
            (
                tuple(122 + 3 * row + block for block in blocks),
                tuple(codes[(7 * row + 11 * lane + 1) % len(codes)] for lane in range(k)),
            )
            for row in range(n)
        ]
        single = [
            sparse(hot, k, {(37 * row + 9) % k: Fraction(1)}, [118 + 3 * row + j for j in blocks])
            for row in range(m)
        ]
        pairs = (dense, single) if side == 0 else (single, dense)
        yield matrices(*pairs), f"every element of {'ab'[side]} in its place"


def subnormals(pair: Pair) -> Stimuli:
    """The ends of the subnormal range and what lies beside them, each with each."""
    lines = []
    for fmt in (f.element for f in pair):
        first = 1 << fmt.mantissa_bits if fmt.kind is Kind.FLOAT else _BLOCK
        lines.append([1, first - 1, first, first + 1])
    a = [((_ONE,), (0,) * row + (code,) + (0,) * (31 - row)) for row, code in enumerate(lines[0])]
    b = [((_ONE,), (code,) * _BLOCK) for code in lines[1]]
    yield matrices(a, b), "around the least normal number"


def specials(pair: Pair) -> Stimuli:
    """A NaN scale, NaN and infinite elements: each must spoil its own row or column alone."""
    shape = (2, 3, 64)
    plain = _dense(pair, shape, ([(_ONE, _ONE)] * 2, [(_ONE, _ONE)] * 3), 21)
    in_a = _changed(plain, "scales_a", {1: _NAN})
    yield in_a, "NaN scale in row 0 of a"
    zeros = dict.fromkeys(range(_BLOCK, 2 * _BLOCK), 0)
    yield _changed(in_a, "codes_a", zeros), "NaN scale over zeros in row 0 of a"
    yield _changed(plain, "scales_b", {4: _NAN}), "NaN scale in column 2 of b"
    yield _changed(in_a, "scales_b", {0: _NAN}), "NaN scales on both sides"
    for side, code in special_codes(pair, few=True):
        name = "ab"[side]
        changed = _changed(plain, f"codes_{name}", {64 + 45: code})
        yield changed, f"{code:02x} in line 1 of {name}"
        if code == pair[side].element.inf_magnitude:
            yield _infinities(pair, side, code), f"two {code:02x} in a line of {name}"


def _infinities(pair: Pair, side: int, code: int) -> Inputs:
    """Two infinities that meet numbers of one sign, of two signs, and zero."""
    other = by_value(pair[1 - side].element)
    lines = [((_ONE,), (0, code, 0, code, *(0,) * 28)), ((_ONE,), (0, code, *(0,) * 30))]
    meeting = [
        ((_ONE,), (0, other[Fraction(x)], 0, other[Fraction(y)], *(0,) * 28))
        for x, y in ((1, 1), (-1, -1), (1, -1), (0, 1), (1, 0))
    ]
    return matrices(lines, meeting) if side == 0 else matrices(meeting, lines)


# --- how they are made -----------------------------------------------------------------------


def _named(shape: _Shape) -> str:
    return f"{shape[0]} x {shape[1]}, k = {shape[2]}"


def _dense(
    pair: Pair, shape: _Shape, scales: tuple[_Scales, _Scales], seed: int, most: int = _MOST_FLOAT
) -> Inputs:
    """Small integers, by the first seed that gives no sum of zero: its sign would be open."""
    while True:
        numbers = sequence(seed)
        a, b = (
            [(own, _drawn(numbers, fmt.element, shape[2], most)) for own in side]
            for fmt, side in zip(pair, scales, strict=True)
        )
        if all(_total(pair, x, y) for x in a for y in b):
            return matrices(a, b)
        seed += 100


def _drawn(numbers: Iterator[int], fmt: ElementFormat, k: int, most: int) -> tuple[int, ...]:
    codes = whole(fmt, most if fmt.kind is Kind.FLOAT else _MOST_FIXED)
    return tuple(codes[next(numbers) % len(codes)] for _ in range(k))


def _total(pair: Pair, a: Row, b: Row) -> Fraction:
    values = [{code: value for value, code in by_value(fmt.element).items()} for fmt in pair]
    return sum(
        (
            values[0][x] * values[1][y] * pow2(a[0][lane // _BLOCK] + b[0][lane // _BLOCK])
            for lane, (x, y) in enumerate(zip(a[1], b[1], strict=True))
        ),
        Fraction(0),
    )


def _changed(inputs: Inputs, part: str, places: Mapping[int, int]) -> Inputs:
    """The same matrices with a few codes exchanged, in `scales_a`, `codes_b` and so on."""
    attribute, _, side = part.partition("_")
    if side == "b" and inputs.other is not None:
        inner = _changed(inputs.other, f"{attribute}_a", places)
        return replace(inputs, other=inner)
    name = "bits" if attribute == "codes" else attribute
    numbers = list(getattr(inputs, name))
    for place, code in places.items():
        numbers[place] = code
    changes: dict[str, Any] = {name: tuple(numbers)}
    return replace(inputs, **changes)
