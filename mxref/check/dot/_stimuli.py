"""Designed operands for a dot product that is driven: exact integers, widths, lengths, specials.

Most are those of the vector set, whose covergroups say what each is for. Added are those that need
more blocks: the search for the width of the accumulator, and lengths of K.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mxref.check.dot._problem import Bytes
from mxref.faults.decode import element_table
from mxref.formats import BlockFormat, ElementFormat
from mxref.vectors.dot_terms import powers
from mxref.vectors.dots import DOT
from mxref.vectors.operations import Inputs

__all__ = [
    "LENGTHS",
    "DotGroup",
    "DotStimuli",
    "designed",
    "integers",
    "of_length",
    "ragged",
    "width_probes",
]

LENGTHS = (32, 64, 96, 160, 512, 2048)
"""Values of K that are tried beside the designed one."""

_SEED = 20230907
_BLOCKS = 8
_ONE = 0x7F
_MOST_WIDTH = 60
_PLACES = (1, 3, 4, 7, 8, 15, 16, 31, 32, 64, 128)
# Padding is no input of a function that takes whole rows.
_LEFT_OUT = ("padding",)


@dataclass(frozen=True, slots=True)
class DotGroup:
    """A run of rows with one purpose."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class DotStimuli:
    """The operands of one call.

    Attributes
    ----------
    scales_a, codes_a, scales_b, codes_b : ndarray of uint8
    groups : tuple of DotGroup
        They cover the rows.
    """

    scales_a: Bytes
    codes_a: Bytes
    scales_b: Bytes
    codes_b: Bytes
    groups: tuple[DotGroup, ...]

    def inputs(self) -> tuple[Bytes, Bytes, Bytes, Bytes]:
        """The arguments of a kernel: codes and scales of a, then of b."""
        return self.codes_a, self.scales_a, self.codes_b, self.scales_b

    def group_of(self, row: int) -> str:
        """The name of the group that a row belongs to."""
        return next(g.name for g in self.groups if g.start <= row < g.stop)


_Row = tuple[Bytes, Bytes, Bytes, Bytes]


def _joined(groups: list[tuple[str, list[_Row]]]) -> DotStimuli:
    rows = [row for _, part in groups for row in part]
    arrays = [np.stack([row[i] for row in rows]) for i in range(4)]
    ends, found = 0, []
    for name, part in groups:
        found.append(DotGroup(name, ends, ends + len(part)))
        ends += len(part)
    return DotStimuli(arrays[0], arrays[1], arrays[2], arrays[3], tuple(found))


def _whole(inputs: Inputs, block: int) -> _Row:
    """A case of the vector set as a row of so many blocks, filled up with zeros."""
    other = inputs.other
    if other is None:
        raise TypeError("a dot product takes two operands; Inputs.other is missing")

    def side(scales: tuple[int, ...], codes: tuple[int, ...]) -> tuple[Bytes, Bytes]:
        long = np.full(_BLOCKS, _ONE, np.uint8)
        wide = np.zeros(_BLOCKS * block, np.uint8)
        long[: len(scales)], wide[: len(codes)] = scales, codes
        return long, wide

    return (*side(inputs.scales, inputs.bits), *side(other.scales, other.bits))


def designed(pair: tuple[BlockFormat, BlockFormat]) -> DotStimuli:
    """Everything that is designed for two formats, in rows of eight blocks.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> made = designed((block_format("mxfp4"),) * 2)
    >>> made.codes_a.shape[1], made.groups[0].name
    (256, 'integers')
    """
    block = pair[0].block_size
    groups = [("integers", list(integers(pair, _BLOCKS, 32)))]
    if block == 32:
        for group in DOT:
            if group.name not in _LEFT_OUT:
                rows = [_whole(inputs, block) for inputs, _ in group.stimuli(pair)]
                groups.append((group.name, rows))
    groups.append(("widths", [row for row, _ in width_probes(pair)]))
    groups.append(("random", list(_random(pair, _BLOCKS, 64))))
    return _joined([(name, rows) for name, rows in groups if rows])


# --- sums that are exact in any order ---------------------------------------------------------


def integers(
    pair: tuple[BlockFormat, BlockFormat], blocks: int, count: int, seed: int = 0
) -> Iterator[_Row]:
    """Rows whose partial sums are small integers under scales around 1, so that no width matters.

    Any difference is one of layout or scale.
    """
    rng = np.random.default_rng([_SEED, blocks, seed] if seed else [_SEED, blocks])
    size = blocks * pair[0].block_size
    pools = [_small_integers(fmt.element) for fmt in pair]
    for _ in range(count):
        a, b = (rng.choice(pool, size) for pool in pools)
        scales = rng.integers(_ONE - 1, _ONE + 3, (2, blocks)).astype(np.uint8)
        yield scales[0], a.astype(np.uint8), scales[1], b.astype(np.uint8)


def _small_integers(fmt: ElementFormat) -> Bytes:
    table = element_table(fmt)
    whole = np.isfinite(table) & (table == np.rint(table)) & (np.abs(table) <= 4)
    codes = np.flatnonzero(whole)
    return codes.astype(np.uint8)


def ragged(pair: tuple[BlockFormat, BlockFormat], k: int, count: int) -> DotStimuli:
    """Rows of integers whose last block is not full: k codes, and a scale for each block begun."""
    blocks = -(-k // pair[0].block_size)
    rows = [(sa, ca[:k], sb, cb[:k]) for sa, ca, sb, cb in integers(pair, blocks, count)]
    return _joined([("integers", rows)])


def of_length(pair: tuple[BlockFormat, BlockFormat], k: int, count: int) -> DotStimuli:
    """Rows of integers and of random codes, of one length."""
    blocks = k // pair[0].block_size
    exact, others = integers(pair, blocks, count), _random(pair, blocks, count)
    return _joined([("integers", list(exact)), ("random", list(others))])


# --- sums that are not -----------------------------------------------------------------------


def _random(pair: tuple[BlockFormat, BlockFormat], blocks: int, count: int) -> Iterator[_Row]:
    """Finite codes of every kind under scales a few binades apart."""
    rng = np.random.default_rng([_SEED, blocks, 1])
    size = blocks * pair[0].block_size
    pools = [np.flatnonzero(np.isfinite(element_table(fmt.element))) for fmt in pair]
    for index in range(count):
        a, b = (rng.choice(pool, size).astype(np.uint8) for pool in pools)
        spread = 1 + index % 12
        scales = rng.integers(_ONE - spread, _ONE + spread + 1, (2, blocks)).astype(np.uint8)
        yield scales[0], a, scales[1], b


def width_probes(
    pair: tuple[BlockFormat, BlockFormat],
) -> Iterator[tuple[_Row, tuple[str, int, int]]]:
    """One product of 1 and one of 2^-w further on; alone, and with -1 behind both.

    Yields
    ------
    row, (kind, place, w)
        With ``"cancel"`` the small one is what is left, so that the width shows whatever the last
        rounding does.
    """
    for width in range(_MOST_WIDTH + 1):
        for place in _PLACES:
            yield _probe(pair, {0: (1, 0), place: (1, -width)}), ("pair", place, width)
    block, reach = pair[0].block_size, _reach(pair)
    for width in range(_MOST_WIDTH + 1):
        for place in _PLACES:
            # What cancels must come behind the small one, which may lie a block further.
            fits = width <= reach[1] - reach[0]
            last = place + 1 if fits else (place // block + 2) * block
            terms = {0: (1, 0), place: (1, -width), last: (-1, 0)}
            yield _probe(pair, terms), ("cancel", place, width)


def _reach(pair: tuple[BlockFormat, BlockFormat]) -> tuple[int, int]:
    """Exponents of the least and the largest product of two powers of two that are normal."""
    ends = [sorted(powers(fmt.element)) for fmt in pair]
    least = [max(side[0], fmt.element.emin) for side, fmt in zip(ends, pair, strict=True)]
    return sum(least), sum(side[-1] for side in ends)


def _probe(pair: tuple[BlockFormat, BlockFormat], terms: dict[int, tuple[int, int]]) -> _Row:
    """Products of powers of two at some places; the scales of each block follow what it holds.

    Elements do not reach as far as scales: a product too small for the block that its place lies in
    goes to the same place of the next one.
    """
    block = pair[0].block_size
    sides = [powers(fmt.element) for fmt in pair]
    low, high = _reach(pair)
    homes: dict[int, dict[int, tuple[int, int]]] = {}
    for place, (sign, exponent) in sorted(terms.items(), key=lambda term: -term[1][1]):
        home = place // block
        while any(abs(e - exponent) > high - low for _, e in homes.get(home, {}).values()):
            home += 1
        homes.setdefault(home, {})[place % block] = (sign, exponent)
    codes = np.zeros((2, _BLOCKS * block), np.uint8)
    scales = np.full((2, _BLOCKS), _ONE, np.uint8)
    for home, lanes in homes.items():
        exponents = [exponent for _, exponent in lanes.values()]
        shift = min(max(0, max(exponents) - high), min(exponents) - low)
        scales[:, home] = _ONE + shift // 2, _ONE + shift - shift // 2
        for lane, (sign, exponent) in lanes.items():
            ways = [e for e in sides[0] if exponent - shift - e in sides[1]]
            of_a = ways[len(ways) // 2]  # far from the subnormal numbers of either
            at = home * block + lane
            codes[0, at] = powers(pair[0].element, sign)[of_a]
            codes[1, at] = sides[1][exponent - shift - of_a]
    return scales[0], codes[0], scales[1], codes[1]
