"""Stimuli that need more than 24 bits: every way to add leaves its own trace.

Each column of a product is an experiment of its own, and each row does it in another place, so that
one small product asks many questions. In the probes of width a large term, a small one and the
negative of the large one meet: what is left of the small one says how many bits were kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction

from mxref.formats import BlockFormat, pow2
from mxref.vectors.bits import finite_codes
from mxref.vectors.covergroups import Stimuli
from mxref.vectors.dot_terms import Pair, powers
from mxref.vectors.gemm.operands import Row, matrices, sequence, sparse
from mxref.vectors.operations import Inputs

__all__ = ["cancelling", "orders", "range_ends", "spread", "ties", "unscaled", "widths"]

_BLOCK = 32
_ONE = 0x7F  # the scale code of 1
_WIDE = (7, 10, 11, 13, 14, 22, 23, 24, 25, 26, 34, 35, 36, 60)
_NARROW = (1, 6, 10, 13, 22, 23)
_MOST = 12  # columns of a probe inside one block

_Term = tuple[int, int]  # sign and exponent


# --- what is left of a small term ------------------------------------------------------------

# Where row i of a has a one: a block holds +1 in the lanes 0, 15 and 31 (the second of them small)
# and -1 in 1, 16 and 30; the third block has -1 in 0, 15 and 31, and +1 in 5.
_LARGE = {0: 1, 15: 1, 31: 1, 1: -1, 16: -1, 30: -1}
_SMALL = {0: 1, 15: 1, 31: 1, 7: -1}
_BACK = {0: -1, 15: -1, 31: -1, 5: 1}
_Choice = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
_CHOICES: tuple[_Choice, ...] = (
    ((0,), (0,), (0,)),
    ((31,), (15,), (31,)),
    ((0, 1), (31,), ()),
    ((15,), (7,), (15,)),
    ((30,), (0,), (5,)),
    ((0, 15, 31), (0, 15, 31), (0, 15, 31)),
)


def widths(pair: Pair) -> Stimuli:
    """One large term, one that is smaller by up to 60 binades, and the large one taken away.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> inputs, detail = next(widths((block_format("mxfp4"),) * 2))
    >>> inputs.shape, detail
    ((6, 14, 96), '1 + 2^-d - 1 for d = 7 to 60')
    """
    yield _across(pair, _WIDE, _CHOICES), "1 + 2^-d - 1 for d = 7 to 60"


def cancelling(pair: Pair) -> Stimuli:
    """The same within 24 bits, so that no order may lose the small term."""
    yield _across(pair, _NARROW, _CHOICES[:-1]), "1 + 2^-d - 1 for d = 1 to 23"


def _across(pair: Pair, distances: Iterable[int], choices: tuple[_Choice, ...]) -> Inputs:
    k, ones = 3 * _BLOCK, (_ONE,) * 3
    a = []
    for chosen in choices:
        places = (_BLOCK * block + lane for block, lanes in enumerate(chosen) for lane in lanes)
        a.append(sparse(pair[0], k, dict.fromkeys(places, Fraction(1)), ones))
    values = {
        _BLOCK * block + lane: Fraction(sign)
        for block, part in enumerate((_LARGE, _SMALL, _BACK))
        for lane, sign in part.items()
    }
    b = [sparse(pair[1], k, values, (_ONE, _ONE - distance, _ONE)) for distance in distances]
    return matrices(a, b)


def unscaled(pair: Pair) -> Stimuli:
    """The same under scales of 1, as far apart as the elements reach, for machines without scales.

    Within one block, and where the elements reach far enough across three.
    """
    sides = [powers(fmt.element) for fmt in pair]
    (least_a, most_a), (least_b, most_b) = ((min(own), max(own)) for own in sides)
    yield _by_elements(pair, 1, _NEAR), "largest + small - largest in one block"
    if most_a - least_a + most_b - least_b >= _FAR_ENOUGH:
        yield _by_elements(pair, 3, _FAR), "largest + small - largest in three blocks"


# The lanes of the large term, the small one and the large one that is taken away, and whether the
# element of a is large in the small term as well. b is the same in all rows.
_NEAR = ((2, 9, 20, True), (2, 9, 20, False), (2, 25, 20, False))
_FAR = ((2, 41, 84, True), (2, 41, 84, False), (34, 9, 84, False), (2, 73, 84, False))
_TOP, _LEFT, _AWAY = (2, 34), (9, 25, 41, 73), (20, 84)
_FAR_ENOUGH = 24


def _by_elements(pair: Pair, blocks: int, rows: Iterable[tuple[int, int, int, bool]]) -> Inputs:
    k, ones = blocks * _BLOCK, (_ONE,) * blocks
    sides = [powers(fmt.element) for fmt in pair]
    (least_a, large), (least_b, top) = ((min(own), max(own)) for own in sides)
    a = []
    for first, middle, last, is_large in rows:
        lanes = {first: pow2(large), middle: pow2(large if is_large else least_a)}
        a.append(sparse(pair[0], k, {**lanes, last: pow2(large)}, ones))
    b = []
    for exponent in range(least_b, top + 1, -(-(top - least_b + 1) // _MOST)):
        lanes = dict.fromkeys(_TOP, pow2(top)) | dict.fromkeys(_AWAY, -pow2(top))
        lanes |= dict.fromkeys(_LEFT, pow2(exponent))
        inside = {lane: value for lane, value in lanes.items() if lane < k}
        b.append(sparse(pair[1], k, inside, ones))
    return matrices(a, b)


# --- in which order --------------------------------------------------------------------------


def orders(pair: Pair) -> Stimuli:
    """Ones everywhere, but 2^26 in one block and -2^26 in another, for each two of four blocks.

    What is added between the two is lost, what comes before or behind them is counted: the results
    are the tree of the sum.
    """
    k = 4 * _BLOCK
    b = []
    for first, last in itertools.combinations(range(4), 2):
        lanes = {lane: Fraction(1) for lane in range(k) if lane // _BLOCK not in (first, last)}
        lanes |= {first * _BLOCK: Fraction(1), last * _BLOCK: Fraction(-1)}
        scales = [_ONE + 26 * (block in (first, last)) for block in range(4)]
        b.append(sparse(pair[1], k, lanes, scales))
    a = [
        sparse(pair[0], k, {lane: Fraction(1) for lane in range(0, k, step)}, (_ONE,) * 4)
        for step in (1, 2, 16)
    ]
    yield matrices(a, b), "2^26 and -2^26 in two of four blocks"


def spread(pair: Pair) -> Stimuli:
    """Every code and scales 16 binades apart: results in which each order rounds its own way."""
    for seed, (m, n, k) in enumerate([(1, 1, 32), (1, 1, 96), (2, 3, 128), (2, 2, 72)], start=31):
        numbers = sequence(seed)
        a, b = (
            [_drawn(numbers, fmt, k) for _ in range(lines)]
            for fmt, lines in zip(pair, (m, n), strict=True)
        )
        yield matrices(a, b), f"{m} x {n}, k = {k}"


def _drawn(numbers: Iterator[int], fmt: BlockFormat, k: int) -> Row:
    codes = [code for code, number in finite_codes(fmt.element) if number.value]
    scales = tuple(_ONE - 8 + next(numbers) % 17 for _ in range(-(-k // _BLOCK)))
    return scales, tuple(codes[next(numbers) % len(codes)] for _ in range(k))


# --- one rounding ----------------------------------------------------------------------------

_TIES: tuple[tuple[_Term, ...], ...] = (
    ((1, 0), (1, -24)),
    ((1, 0), (1, -24), (1, -60)),
    ((1, 0), (1, -24), (-1, -60)),
    ((1, -60), (1, -24), (1, 0)),
    ((-1, 0), (-1, -24), (-1, -60)),
    ((1, 0), (-1, -25)),
    ((1, 0), (-1, -25), (-1, -60)),
    ((1, 0), (-1, -60)),
    ((1, 0), (1, -23), (1, -24)),
    ((1, 0), (1, -25), (1, -25)),
    ((1, -25), (1, -25), (1, 0)),
)
_ENDS: tuple[tuple[_Term, ...], ...] = (
    ((1, 0), (1, 0)),
    ((1, 1), (-1, 0)),
    ((-1, 0), (1, 1)),
    ((1, 1), (-1, 1)),
    ((1, 0), (-1, -25)),
    ((1, -22),),
    ((1, -23),),
    ((-1, -24),),
    ((1, -23), (1, -24)),
    ((1, -22), (1, -23)),
    ((1, 0), (1, -23)),
)


def ties(pair: Pair) -> Stimuli:
    """Sums at and beside the middle of two float32, one term in each block."""
    yield _terms(pair, _TIES, 3, [_ONE]), "up to three terms, at and beside ties"


def range_ends(pair: Pair) -> Stimuli:
    """The same terms times 2^127 and 2^-127: overflow on the way, subnormal results."""
    yield _terms(pair, _ENDS, 2, [0xFE, 0x00]), "two terms times 2^127 and 2^-127"


def _terms(pair: Pair, sums: Iterable[tuple[_Term, ...]], blocks: int, of_a: list[int]) -> Inputs:
    k = blocks * _BLOCK
    starts = {block * _BLOCK: Fraction(1) for block in range(blocks)}
    a = [sparse(pair[0], k, starts, (scale,) * blocks) for scale in of_a]
    b = []
    for terms in sums:
        lanes = {block * _BLOCK: Fraction(sign) for block, (sign, _) in enumerate(terms)}
        scales = [_ONE + exponent for _, exponent in terms]
        b.append(sparse(pair[1], k, lanes, scales + [_ONE] * (blocks - len(terms))))
    return matrices(a, b)
