"""Stimuli of the dot product that need more than 24 bits, or leave the range of float32.

The standard leaves open what comes out in less; whoever claims an exact sum must give it.
"""

from __future__ import annotations

import itertools

from mxref.vectors.bits import finite_codes
from mxref.vectors.covergroups import Stimuli
from mxref.vectors.dot_terms import Pair, block, operands, powers, reach, total_of, varied

__all__ = ["alignment", "cancellation", "carries", "range_ends", "scale_codes"]

_LANES = 32
_ONE = 0x7F  # the scale code of 1
_EDGE_SCALES = (0x00, 0x01, 0x7E, 0x7F, 0x80, 0xFD, 0xFE, 0xFF)

_Terms = list[tuple[int, int]]


def _probe(
    pair: Pair,
    terms: _Terms,
    detail: str,
    start: int = 0,
    *,
    step: int = 1,
    apart: bool = False,
    skew: int = 0,
) -> Stimuli:
    """The sum of some powers of two, or nothing where the formats do not have it."""
    inputs = total_of(pair, terms, start=start, step=step, apart=apart, skew=skew)
    if inputs is not None:
        yield inputs, detail


# --- scales ----------------------------------------------------------------------------------


def scale_codes(pair: Pair) -> Stimuli:
    """Scale codes at the ends and around one, and in company that stays in range.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> inputs, detail = next(scale_codes((block_format("mxfp4"),) * 2))
    >>> detail, inputs.scales
    ('00 and 00', (0,))
    """
    one_a, one_b = (powers(fmt.element)[0] for fmt in pair)
    half_b = powers(pair[1].element)[-1]
    lanes = {4: (one_a, one_b), 20: (one_a, half_b)}
    for scale_a, scale_b in itertools.product(_EDGE_SCALES, repeat=2):
        yield operands([block(lanes, scale_a, scale_b)]), f"{scale_a:02x} and {scale_b:02x}"
    # What a scale is read as shows in company that stays in range.
    for scale in (0x00, 0x01, 0x68, 0x96, 0xFD):
        partner = min(max(2 * _ONE - scale, 0), 0xFE)
        for scales in ((scale, partner), (partner, scale)):
            name = " and ".join(f"{code:02x}" for code in scales)
            yield operands([block(lanes, *scales), block(lanes)]), f"{name}, then 1"
            yield operands([block({3: (one_a, one_b)}, *scales)]), f"{name} alone"


def range_ends(pair: Pair) -> Stimuli:
    """Overflow, subnormal results and their ties, and scales whose product is no float32.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [detail for _, detail in range_ends((block_format("mxfp8_e5m2"),) * 2)][-1]
    '-2^-200'
    """
    low, high = reach(pair)
    for exponent in (128 + low, 127, 126 - high, -126 + low, -126, -127 + high, -149):
        for skew in (0, 40):
            yield from _probe(pair, [(1, exponent)], f"2^{exponent}", 3, skew=skew)
    edges: list[_Terms] = [
        # The largest float32, its tie with 2^128, just below that, and beyond.
        [(1, 128), (-1, 104)],
        [(1, 128), (-1, 103)],
        [(1, 128), (-1, 103), (-1, 60)],
        [(1, 128)],
        [(1, 127), (1, 127)],
        [(1, 128), (-1, 127)],
        [(1, 127), (1, 127), (-1, 127)],
        [(1, 128), (1, 0), (-1, 128)],
        # Subnormal results: ties both ways, below half the least, and the least normal.
        [(1, -149), (1, -150)],
        [(1, -148), (1, -150)],
        [(1, -150)],
        [(1, -151)],
        [(1, -150), (1, -151)],
        [(1, -150), (1, -180)],
        [(1, -150), (-1, -180)],
        [(1, -149), (1, -150), (-1, -160)],
        [(1, -126), (-1, -149)],
        [(1, -126), (-1, -150)],
        [(1, -126), (-1, -150), (-1, -151)],
        [(1, -127), (1, -127)],
        [(1, -140), (-1, -149)],
        [(1, -120), (-1, -120), (1, -149)],
        [(1, -200)],
    ]
    for index, terms in enumerate(edges):
        turn = -1 if index % 3 == 1 else 1
        signed = [(turn * sign, exponent) for sign, exponent in terms]
        start, step = index % 7, 1 + index % 5
        yield from _probe(pair, signed, _written(signed), start, step=step)


def _written(terms: _Terms) -> str:
    return " ".join(f"{'+' if sign > 0 else '-'}2^{exponent}" for sign, exponent in terms)


# --- sums ------------------------------------------------------------------------------------


def alignment(pair: Pair) -> Stimuli:
    """Two products up to 60 binades apart, in both orders.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [detail for _, detail in alignment((block_format("mxfp4"),) * 2)][-1]
    '2^-60 behind'
    """
    for distance in (*range(31), 34, 38, 42, 48, 54, 60):
        sign = -1 if distance % 3 == 1 else 1
        terms = [(1, 0), (sign, -distance)]
        start, step = distance * 5 % 12, 1 + distance % 17
        yield from _probe(pair, terms, f"2^-{distance} behind", start, step=step)
        if distance <= 10 or 12 < distance < 16 or 21 < distance < 28:
            yield from _probe(pair, terms[::-1], f"2^-{distance} ahead", start, step=step)
        if distance in (5, 10, 13, 14, 20, 23, 24, 25, 26):
            yield from _probe(pair, terms, f"2^-{distance} in another block", 6, apart=True)


def cancellation(pair: Pair) -> Stimuli:
    """Products that cancel, and a rest, within a block and across blocks.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [detail for _, detail in cancellation((block_format("mxfp4"),) * 2)][-1]
    'sixteen pairs to zero'
    """
    for distance in (1, 7, 10, 13, 20, 23, 24, 25, 30, 40):
        rest = (-1 if distance % 2 else 1, -distance)
        for order, terms in enumerate(
            ([(1, 0), (-1, 0), rest], [(1, 0), rest, (-1, 0)], [rest, (-1, 0), (1, 0)])
        ):
            start = (distance + 9 * order) % 20
            yield from _probe(pair, terms, f"rest of 2^-{distance}", start, step=3 + order)
            if order < 2:
                yield from _probe(pair, terms, f"rest of 2^-{distance} apart", start, apart=True)
    for terms in ([(1, 0), (-1, 0)], [(-1, 0), (1, 0)]):
        yield from _probe(pair, terms, "to zero", 5, step=9)
        yield from _probe(pair, terms, "to zero, apart", 5, apart=True)
    a, b = (varied(fmt.element) for fmt in pair)
    codes = {number.value: code for code, number in finite_codes(pair[0].element)}
    values = {code: value for value, code in codes.items()}
    minus = {code: codes[-value] for code, value in values.items() if -value in codes}
    lanes = {lane: (a[lane], b[lane]) for lane in range(16)}
    lanes |= {31 - lane: (minus[a[lane]], b[lane]) for lane in range(16)}
    yield operands([block(lanes)]), "sixteen pairs to zero"


def carries(pair: Pair) -> Stimuli:
    """Carries through powers of two, ties at 24 bits, and what lies far below them.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [detail for _, detail in carries((block_format("mxfp4"),) * 2)][0]
    '+2^12 +2^-12'
    """
    sums: list[_Terms] = [
        [(1, 24), (1, 0)],  # a tie, down to even
        [(1, 24), (1, 1), (1, 0)],  # a tie, up to even
        [(1, 24), (-1, -1)],  # a tie below a power of two, up
        [(1, 24), (-1, 0), (-1, -1)],  # a tie below a power of two, down
        [(1, 24), (-1, -2)],
        [(1, 24), (-1, -1), (-1, -2)],
        [(1, exponent) for exponent in range(24)],  # twenty-four ones
        [*((1, exponent) for exponent in range(24)), (1, 0)],  # and the carry through them all
        [*((1, exponent) for exponent in range(24)), (1, -1)],  # which a tie sets off as well
        [(1, 23), (1, 22), (1, 22)],
        [(1, 0)] * 16,
        [(1, 1)] * 31,
        [(1, 23), *[(1, 0)] * 3],
        [(1, 23), *[(1, -1)] * 6],  # lost one by one, three together
        [(1, 24), *[(1, 0)] * 6],
        [*[(1, 0)] * 6, (1, 24)],
    ]
    for distance in (1, 2, 5, 12, 30):
        for sign in (1, -1):
            sums.append([(1, 24), (1, 0), (sign, -distance)])  # sticky, far below a tie
            sums.append([(1, 24), (1, 1), (1, 0), (sign, -distance)])
            sums.append([(sign, -distance), (1, 0), (1, 24)])
    for index, terms in enumerate(sums):
        turn = -1 if index % 3 == 2 else 1
        signed = [(turn * sign, exponent - 12) for sign, exponent in terms]
        detail = _written(signed) if len(signed) < 5 else f"{len(signed)} products"
        yield from _probe(pair, signed, detail, index % 2)
    largest = [max(finite_codes(f.element), key=lambda c: c[1].magnitude)[0] for f in pair]
    lanes = dict.fromkeys(range(_LANES), (largest[0], largest[1]))
    for n in (1, 2, 4):
        yield operands([block(lanes)] * n), f"{n} blocks of the largest"
