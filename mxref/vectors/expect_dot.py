"""The expectation of a dot product: the exact sum, and whether the precision could change it.

The standard leaves the precision and the order of a dot product open (MX-1.0/6.1/precision,
MX-1.0/6.2/precision). So a case is ``must`` only where that freedom cannot show: where whoever sums
in float32 or wider, in any order and grouping, with the scales at any place, gets these bits.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import NamedTuple

from mxref.exact import element, ieee
from mxref.exact.dot import dot_general
from mxref.exact.number import Number, NumberClass
from mxref.formats import BlockFormat, ElementFormat, pow2
from mxref.policy import Policy
from mxref.vectors.expectation import Expectation
from mxref.vectors.model import Member, Verdict
from mxref.vectors.operations import Inputs, Output

__all__ = ["DotFacts", "dot_facts", "expect_dot"]

_NAN_SCALE = 0xFF
_BIAS = 127
_LEAST, _MOST = -126, 127  # exponents of float32's normal numbers
_SIGNIFICANT = 24


def expect_dot(
    fmts: tuple[BlockFormat, BlockFormat],
    policy: Policy,  # noqa: ARG001  # every field of a dot product has one choice, the exact one
    inputs: Inputs,
) -> Expectation:
    """Work out what the standard says about one dot product.

    Parameters
    ----------
    fmts : tuple of BlockFormat
        The formats of the two operands.
    policy : Policy
        The policy of the file.
    inputs : Inputs
        Scales and codes of the first operand, the second one in `other`, and in `shape` how many
        elements count.

    Returns
    -------
    Expectation
        The one member is the infinitely precise sum, rounded once. The verdict is ``must`` where
        any accumulation in float32 or wider gives it, otherwise ``open``; then only who claims
        exact accumulation must give it.

    Notes
    -----
    MX-1.0/6.1/dot, MX-1.0/6.2/dot-general, MX-1.0/6.2/padding, MX-1.0/6.2/float32.

    A sum does not depend on its order where all products are multiples of one power of two, and
    neither the positive nor the negative ones add up to more than 2^24 of it: every partial sum is
    then a float32. The place of the scales does not matter where no product of a scale with a
    scale, an element or a sum leaves the normal range. An exact zero is settled where every product
    is +0.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> from mxref.policy import get_policy
    >>> one = Inputs(None, (0x2,) + (0,) * 31, scales=(0x7F,))
    >>> two = Inputs(None, (0x2,) + (0,) * 31, scales=(0x80,), other=one, shape=(32,))
    >>> found = expect_dot((block_format("mxfp4"),) * 2, get_policy("ocp"), two)
    >>> hex(found.members[0].out.bits[0]), str(found.verdict)
    ('0x40000000', 'must')
    """
    found = dot_facts(fmts, inputs)
    return Expectation(
        (Member(Output((found.bits,)), ({},)),),
        Verdict.OPEN if found.openings else Verdict.MUST,
        tuple(sorted(found.clauses | found.openings)),
    )


class DotFacts(NamedTuple):
    """What is known of one dot product.

    Attributes
    ----------
    total : Number
        The exact sum.
    bits : int
        It as a float32, rounded once.
    clauses : frozenset of str
        What it follows from.
    openings : frozenset of str
        Open points on which the bits depend; none where any accumulation in float32 or wider gives
        them.
    """

    total: Number
    bits: int
    clauses: frozenset[str]
    openings: frozenset[str]


def dot_facts(fmts: tuple[BlockFormat, BlockFormat], inputs: Inputs) -> DotFacts:
    """Work out one dot product: as `expect_dot`, with the exact sum beside the bits.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from mxref.formats import block_format
    >>> one = Inputs(None, (0x2,), scales=(0x7F,), other=Inputs(None, (0x3,), scales=(0x80,)))
    >>> dot_facts((block_format("mxfp4"),) * 2, replace(one, shape=(1,))).total.value
    Fraction(3, 1)
    """
    fmt_a, fmt_b = fmts
    blocks = _counted(fmts, inputs)
    total = dot_general(
        [(block.scale_a, block.codes_a) for block in blocks],
        fmt_a,
        [(block.scale_b, block.codes_b) for block in blocks],
        fmt_b,
    )
    n, size = len(inputs.scales), fmt_a.block_size
    clauses = {"MX-1.0/6.1/dot", "MX-1.0/6.2/float32"}
    if n > 1:
        clauses.add("MX-1.0/6.2/dot-general")
    if inputs.shape[0] < size * n:
        clauses.add("MX-1.0/6.2/padding")
    if fmt_a.element != fmt_b.element:
        clauses |= {"MX-1.0/6.1/mixed-types", "OP-DOT-MIXED-TYPES"}
    clauses |= _special_clauses(blocks, total)
    openings = _openings(blocks, total)
    if "OP-DOT-PRECISION" in openings or "OP-DOT-SCALE-PLACE" in openings:
        clauses.add("MX-1.0/6.1/precision")
        if n > 1:
            clauses.add("MX-1.0/6.2/precision")
    bits = ieee.to_bits(total, "float32")
    return DotFacts(total, bits, frozenset(clauses), frozenset(openings))


class _Block(NamedTuple):
    """One block of each operand, without the padding behind its last element."""

    scale_a: int
    codes_a: tuple[int, ...]
    scale_b: int
    codes_b: tuple[int, ...]
    numbers_a: tuple[Number, ...]
    numbers_b: tuple[Number, ...]

    @property
    def has_nan_scale(self) -> bool:
        return _NAN_SCALE in (self.scale_a, self.scale_b)


@functools.cache
def _decode(code: int, fmt: ElementFormat) -> Number:
    return element.decode(code, fmt)


def _counted(fmts: tuple[BlockFormat, BlockFormat], inputs: Inputs) -> list[_Block]:
    other, k, size = inputs.other, inputs.shape[0], fmts[0].block_size
    if other is None:
        raise TypeError("a dot product takes two operands; Inputs.other is missing")
    blocks = []
    for index, start in enumerate(range(0, k, size)):
        end = min(start + size, k)
        codes_a, codes_b = inputs.bits[start:end], other.bits[start:end]
        blocks.append(
            _Block(
                inputs.scales[index],
                codes_a,
                other.scales[index],
                codes_b,
                tuple(_decode(code, fmts[0].element) for code in codes_a),
                tuple(_decode(code, fmts[1].element) for code in codes_b),
            )
        )
    return blocks


def _special_clauses(blocks: list[_Block], total: Number) -> set[str]:
    clauses = set()
    if any(block.has_nan_scale for block in blocks):
        clauses.add("MX-1.0/5.1/nan-scale")
    if any(
        number.cls in (NumberClass.NAN, NumberClass.INF)
        for block in blocks
        for number in (*block.numbers_a, *block.numbers_b)
    ):
        clauses.add("MX-1.0/5.1/special-elements")
    if total.cls is NumberClass.NAN:
        clauses.add("OP-DOT-NAN")
    return clauses


# --- what could change the bits --------------------------------------------------------------


def _openings(blocks: list[_Block], total: Number) -> set[str]:
    """Open points on which the bits depend; empty where they follow from the standard alone."""
    numbers = [n for block in blocks for n in (*block.numbers_a, *block.numbers_b)]
    if any(block.has_nan_scale for block in blocks) or any(
        number.cls is NumberClass.NAN for number in numbers
    ):
        return set()  # NaN, in whatever order
    openings = set() if all(_is_tame(block) for block in blocks) else {"OP-DOT-SCALE-PLACE"}
    terms = [term for block in blocks for term in _terms(block)]
    if any(number.cls is NumberClass.INF for number in numbers):
        return openings  # Inf, or NaN from Inf times zero or Inf minus Inf, in whatever order
    if not terms:
        if _has_negative_zero(blocks):
            openings.add("OP-DOT-OUTPUT")
        return openings
    if not _is_exact_in_float32(terms):
        openings |= {"OP-DOT-PRECISION", "OP-DOT-GROUPING"}
    if not total.magnitude or not _is_float32(total.magnitude):
        openings.add("OP-DOT-OUTPUT")
    return openings


def _lanes(block: _Block) -> list[tuple[Fraction, Fraction]]:
    """The magnitudes that meet; Inf counts as zero, since no scale changes it."""
    return [
        (a.magnitude, b.magnitude) for a, b in zip(block.numbers_a, block.numbers_b, strict=True)
    ]


def _terms(block: _Block) -> list[Fraction]:
    scale = pow2(block.scale_a + block.scale_b - 2 * _BIAS)
    numbers = zip(block.numbers_a, block.numbers_b, strict=True)
    both = (NumberClass.FINITE, NumberClass.FINITE)
    return [a.value * b.value * scale for a, b in numbers if (a.cls, b.cls) == both]


def _is_tame(block: _Block) -> bool:
    """Whether nothing can leave float32's normal range, wherever the two scales are applied."""
    exponent_a, exponent_b = block.scale_a - _BIAS, block.scale_b - _BIAS
    lanes = _lanes(block)
    products = [a * b for a, b in lanes if a and b]
    factors = {value for lane in lanes for value in lane if value}
    if products:
        factors |= {_unit(products), sum(products, Fraction(0))}
    factors |= {Fraction(1)}
    least, beyond = pow2(_LEAST), pow2(_MOST + 1)
    return all(
        least <= factor * pow2(exponent) < beyond
        for exponent in (exponent_a, exponent_b, exponent_a + exponent_b)
        for factor in (min(factors), max(factors))
    )


def _unit(values: list[Fraction]) -> Fraction:
    """The largest power of two of which all values are multiples; values are dyadic."""
    return min(Fraction(v.numerator & -v.numerator, v.denominator) for v in values)


def _is_exact_in_float32(terms: list[Fraction]) -> bool:
    """Whether every partial sum, in any order, is a normal float32 or zero."""
    unit = _unit(terms)
    most = max(sum((t for t in terms if t * sign > 0), Fraction(0)) * sign for sign in (1, -1))
    return unit >= pow2(_LEAST) and most < pow2(_MOST + 1) and most <= unit * pow2(_SIGNIFICANT)


def _is_float32(magnitude: Fraction) -> bool:
    unit = _unit([magnitude])
    return pow2(_LEAST) <= magnitude < pow2(_MOST + 1) and magnitude < unit * pow2(_SIGNIFICANT)


def _has_negative_zero(blocks: list[_Block]) -> bool:
    return any(
        a.sign ^ b.sign
        for block in blocks
        for a, b in zip(block.numbers_a, block.numbers_b, strict=True)
    )
