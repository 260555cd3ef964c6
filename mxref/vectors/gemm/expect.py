"""The expectation of a matrix product: exact values, and who gives what where the order decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mxref.exact.number import Number, NumberClass
from mxref.formats import BlockFormat
from mxref.policy import Policy
from mxref.vectors.expect_dot import dot_facts
from mxref.vectors.expectation import Expectation
from mxref.vectors.gemm.models import labelled
from mxref.vectors.model import Member, Verdict
from mxref.vectors.operations import Inputs, Output

__all__ = ["dots", "exact_text", "expect_matmul"]


def expect_matmul(
    fmts: tuple[BlockFormat, BlockFormat],
    policy: Policy,  # noqa: ARG001  # every field of a product has one choice, the exact one
    inputs: Inputs,
) -> Expectation:
    """Work out what the standard says about a matrix product.

    Parameters
    ----------
    fmts : tuple of BlockFormat
        The formats of the two operands.
    policy : Policy
        The policy of the file.
    inputs : Inputs
        Scale codes and codes of the first operand, the second one in `other`, and in `shape` the
        rows and the columns of the result and the length of its sums.

    Returns
    -------
    Expectation
        ``must`` where every number is that of any accumulation in float32 or wider. Otherwise
        ``open``: the members are the infinitely precise sums, rounded once, and what each
        accumulation model gives; those that agree in all numbers share one. Where the length is no
        multiple of the block the product may be refused.

    Notes
    -----
    MX-1.0/6.2/dot-general, MX-1.0/6.2/float32, MX-1.0/6.2/precision, OP-BLOCK-TAIL.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> b = Inputs(None, (0x2, 0x3), scales=(0x7F,))
    >>> case = Inputs(None, (0x2, 0x2), scales=(0x80,), other=b, shape=(1, 1, 2))
    >>> found = expect_matmul((block_format("mxfp4/2"),) * 2, Policy(), case)
    >>> [hex(bits) for bits in found.members[0].out.bits], found.exact, str(found.verdict)
    (['0x40a00000'], ('0x5p+0',), 'must')
    """
    facts = [dot_facts(fmts, dot) for dot in dots(fmts, inputs)]
    out = Output(tuple(fact.bits for fact in facts))
    openings = frozenset[str]().union(*(fact.openings for fact in facts))
    clauses = openings.union(*(fact.clauses for fact in facts)) - {"MX-1.0/6.2/padding"}
    is_ragged = inputs.shape[2] % fmts[0].block_size != 0
    members: tuple[Member, ...] = (Member(out, ({},)),)
    verdict = Verdict.MUST
    if openings:
        members = labelled(fmts, inputs, out)
        verdict = Verdict.OPEN
    if is_ragged:
        # A block has k elements (MX-1.0/5.1/block): who has none shorter may refuse.
        clauses |= {"OP-BLOCK-TAIL"}
        members = (*members, Member(None, ()))
        verdict = verdict if openings else Verdict.ONE_OF
    exact = tuple(exact_text(fact.total) for fact in facts)
    return Expectation(members, verdict, tuple(sorted(clauses)), exact)


def dots(fmts: tuple[BlockFormat, BlockFormat], inputs: Inputs) -> Iterator[Inputs]:
    """Yield the dot product behind each number of the result, row by row.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> b = Inputs(None, (4, 5, 6, 7), scales=(127, 128))
    >>> case = Inputs(None, (2, 3), scales=(126,), other=b, shape=(1, 2, 2))
    >>> [dot.other.bits for dot in dots((block_format("mxfp4"),) * 2, case)]
    [(4, 5), (6, 7)]
    """
    other = inputs.other
    if other is None:
        raise TypeError("a matrix product takes two operands; Inputs.other is missing")
    rows, columns, k = inputs.shape
    blocks = -(-k // fmts[0].block_size)
    b = [_line(other, column, k, blocks) for column in range(columns)]
    for row in range(rows):
        a = _line(inputs, row, k, blocks)
        for line in b:
            yield replace(a, other=line, shape=(k,))


def _line(operand: Inputs, line: int, k: int, blocks: int) -> Inputs:
    codes = operand.bits[line * k : (line + 1) * k]
    return Inputs(None, codes, scales=operand.scales[line * blocks : (line + 1) * blocks])


def exact_text(number: Number) -> str:
    """Return an exact value as an odd integer times a power of two: ``-0x3p-5`` is -3/32.

    So C's ``strtod`` reads it, exactly where the integer has at most 53 bits.

    Examples
    --------
    >>> from fractions import Fraction
    >>> exact_text(Number.finite(Fraction(-3, 32))), exact_text(Number.finite(Fraction(0)))
    ('-0x3p-5', '0x0p+0')
    """
    if number.cls is NumberClass.NAN:
        return "nan"
    if number.cls is NumberClass.INF:
        return "-inf" if number.sign else "inf"
    numerator, denominator = abs(number.value).as_integer_ratio()
    power = (numerator & -numerator).bit_length() - 1 if numerator else 0
    exponent = power - (denominator.bit_length() - 1)
    return f"{'-' if number.value < 0 else ''}{numerator >> power:#x}p{exponent:+d}"
