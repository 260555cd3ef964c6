"""Covergroups of the dot product, and the pairs of formats that have a file.

Nothing here is random, and nothing here knows an expected output. `dot_terms` builds the operands.
The standard leaves the precision of a sum open, so that sums come in two kinds: those that float32
gives in any order (all products, lanes, blocks, padding), which bind everybody, and those that need
more (alignment, ties, range), which bind whoever claims an exact sum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from mxref.formats import ElementFormat, Kind, block_format
from mxref.vectors.bits import finite_codes
from mxref.vectors.covergroups import Covergroup, Stimuli
from mxref.vectors.dot_specials import nonfinite, special_codes, zeros
from mxref.vectors.dot_sums import alignment, cancellation, carries, range_ends, scale_codes
from mxref.vectors.dot_terms import Block, Pair, block, corners, operands, powers, varied

__all__ = ["DOT", "PAIRS", "probed_products"]

PAIRS: tuple[Pair, ...] = tuple(
    (block_format(a), block_format(b))
    for a, b in (
        ("mxfp4", "mxfp4"),
        ("mxfp6_e2m3", "mxfp6_e2m3"),
        ("mxfp6_e3m2", "mxfp6_e3m2"),
        ("mxfp6_e2m3", "mxfp6_e3m2"),
        ("mxfp4", "mxfp6_e2m3"),
        ("mxfp4", "mxfp6_e3m2"),
        ("mxfp8_e4m3", "mxfp8_e4m3"),
        ("mxfp8_e5m2", "mxfp8_e5m2"),
        ("mxfp8_e4m3", "mxfp8_e5m2"),
        ("mxint8", "mxint8"),
        ("mxfp8_e4m3", "mxfp4"),
        ("mxint8", "mxfp4"),
    )
)
"""The pairs of formats of which the set has a file of dot products."""

_LANES = 32
_ONE = 0x7F  # the scale code of 1
_NAN = 0xFF


# --- products --------------------------------------------------------------------------------


def _has_every_product(pair: Pair) -> bool:
    a, b = (fmt.element.bits for fmt in pair)
    return max(a, b) < 8 or (pair[0].element.kind is Kind.FIXED and b < 8)


def probed_products(pair: Pair) -> list[tuple[int, int]]:
    """Pairs of codes whose product some case must show, in the order of the cases.

    Every pair of FP4 and FP6 codes, and of INT8 with FP4; elsewhere the ends of all binades, small
    products first, so that each case of 32 sums exactly in float32.

    Examples
    --------
    >>> [len(probed_products(pair)) for pair in PAIRS[:2]]
    [256, 4096]
    """
    a, b = (fmt.element for fmt in pair)
    if _has_every_product(pair):
        # One sign of either operand at a time: a wrong magnitude cannot cancel against its twin.
        signs = itertools.product((0, a.sign_mask), (0, b.sign_mask))
        sizes = list(itertools.product(range(a.sign_mask), range(b.sign_mask)))
        return [(sa | ma, sb | mb) for sa, sb in signs for ma, mb in sizes]
    value_a, value_b = ({code: n.magnitude for code, n in finite_codes(e)} for e in (a, b))
    found = itertools.product(corners(a), corners(b))
    return sorted(
        found,
        key=lambda pair: (
            pair[0] >= a.sign_mask,
            pair[1] >= b.sign_mask,
            math.frexp(float(value_a[pair[0]] * value_b[pair[1]]))[1],
        ),
    )


def _companies(pair: Pair) -> Iterator[list[tuple[int, int, int]]]:
    """Each product twice, in other company and in another lane: (lane, code, code)."""
    found = probed_products(pair)
    rows = [list(enumerate(found[i : i + _LANES])) for i in range(0, len(found), _LANES)]
    for row in rows:
        yield [(lane, a, b) for lane, (a, b) in row]
    if _has_every_product(pair):
        for turn in range(len(rows)):
            picked = [rows[(turn + lane) % len(rows)][lane][1] for lane in range(_LANES)]
            yield [((lane + 1) % _LANES, a, b) for lane, (a, b) in enumerate(picked)]
        return
    # Half a row further: a whole diagonal would need more than 24 bits.
    for first in range(-_LANES // 2, len(found), _LANES):
        window = found[max(first, 0) : first + _LANES]
        yield [(_LANES - 1 - lane, a, b) for lane, (a, b) in enumerate(window)]


def _products(pair: Pair) -> Stimuli:
    masks = [f.element.sign_mask if _has_sign_bit(f.element) else 0 for f in pair]
    if _has_every_product(pair):
        masks = [0, 0]
    for index, company in enumerate(_companies(pair)):
        minus_a, minus_b = masks[0] * (index & 1), masks[1] * (index >> 1 & 1)
        lanes = {lane: (a ^ minus_a, b ^ minus_b) for lane, a, b in company}
        yield operands([block(lanes)]), ""


def _has_sign_bit(fmt: ElementFormat) -> bool:
    return fmt.kind is Kind.FLOAT and fmt.bits == 8  # corners() has one sign of these


def _codes(pair: Pair) -> Stimuli:
    ones = [powers(fmt.element)[0] for fmt in pair]
    for side in (0, 1):
        codes = [code for code, _ in finite_codes(pair[side].element)]
        width = min(len(codes) // 2, _LANES)  # one sign at a time
        for first in range(0, len(codes), width):
            for turn in (0, 13):
                chunk = codes[first : first + width]
                lanes = {}
                for index, code in enumerate(chunk):
                    both = (code, ones[1]) if side == 0 else (ones[0], code)
                    lanes[(index + turn) % _LANES] = both
                yield operands([block(lanes)]), f"{'ab'[side]} from {chunk[0]:02x}"


# --- lanes, blocks and padding ---------------------------------------------------------------


def _lanes(pair: Pair) -> Stimuli:
    full = [varied(fmt.element) for fmt in pair]
    zeros = (0,) * _LANES
    for lane in range(_LANES):
        hot = [_single(codes[(lane * 7 + 3) % _LANES], lane) for codes in full]
        yield operands([Block(_ONE, full[0], _ONE, hot[1])]), f"lane {lane} of b"
        yield operands([Block(_ONE, hot[0], _ONE, full[1])]), f"lane {lane} of a"
    for lane in range(4, _LANES, 9):
        hot = [_single(powers(fmt.element)[0], lane) for fmt in pair]
        first, second = Block(_ONE, full[0], _ONE, zeros), Block(_ONE, full[0], _ONE, hot[1])
        yield operands([first, second]), f"lane {lane} of the second b"
        first, second = Block(_ONE, hot[0], _ONE, full[1]), Block(_ONE, zeros, _ONE, full[1])
        yield operands([first, second]), f"lane {lane} of the first a"


def _single(code: int, lane: int) -> tuple[int, ...]:
    return tuple(code if index == lane else 0 for index in range(_LANES))


def _with_blocks(pair: Pair) -> Stimuli:
    sides = [varied(fmt.element) for fmt in pair]
    up, down = (0x80, 0x83, 0x7D, 0x7E), (0x7C, 0x7F, 0x81, 0x84)
    for n in (2, 3, 4):
        for turn in range(4):
            blocks = []
            for index in range(n):
                lanes = {
                    lane: (sides[0][lane], sides[1][(lane + index) % _LANES])
                    for lane in range(index + turn, _LANES, 7 - n)
                }
                blocks.append(block(lanes, up[(index + turn) % 4], down[(index * 3 + turn) % 4]))
            yield operands(blocks), f"{n} blocks"
    one_a, one_b = (powers(fmt.element)[0] for fmt in pair)
    for n, hot in ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1), (4, 2), (4, 3)):
        blocks = [block({7: (one_a, one_b)} if j == hot else {}, 0x80 + j, 0x84) for j in range(n)]
        yield operands(blocks), f"block {hot} of {n}"


def _padding(pair: Pair) -> Stimuli:
    sides = [varied(fmt.element) for fmt in pair]
    full = {lane: (sides[0][lane], sides[1][lane]) for lane in range(_LANES)}
    a_max, b_max = (powers(fmt.element)[max(powers(fmt.element))] for fmt in pair)
    loud = dict.fromkeys(range(_LANES), (a_max, b_max))
    kept, dirty = block(full), block(loud)
    for k in (1, 2, 31):
        yield operands([kept], k), f"k = {k}"
        yield operands([Block(_ONE, *_behind(kept, dirty, k))], k), f"k = {k}, loud padding"
    for scales in ((_NAN, _NAN), (_NAN, _ONE), (_ONE, _NAN), (_ONE, _ONE), (0xFE, 0x00)):
        name = "/".join(f"{scale:02x}" for scale in scales)
        behind = block(loud, *scales)
        yield operands([kept, behind], 32), f"k = 32, second block {name}"
        yield operands([kept, behind, behind], 32), f"k = 32, two blocks {name}"
        yield operands([kept, kept, behind], 64), f"k = 64, third block {name}"
        yield operands([kept, block({}, *scales)], 32), f"k = 32, second block {name}, zeros"
    for k in (33, 40, 63):
        mixed = Block(_ONE, *_behind(kept, dirty, k - 32))
        yield operands([kept, mixed], k), f"k = {k}, loud padding"
        yield operands([kept, kept], k), f"k = {k}"
    for side, code in special_codes(pair, few=True):
        both = (code, b_max) if side == 0 else (a_max, code)
        poison = block(dict.fromkeys(range(_LANES), both))
        yield operands([kept, poison], 32), f"k = 32, {code:02x} behind"
        yield operands([Block(_ONE, *_behind(kept, poison, 9))], 9), f"k = 9, {code:02x} behind"


def _behind(kept: Block, padding: Block, k: int) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    codes_a = kept.codes_a[:k] + padding.codes_a[k:]
    return codes_a, _ONE, kept.codes_b[:k] + padding.codes_b[k:]


# --- operands --------------------------------------------------------------------------------


def _sides(pair: Pair) -> Stimuli:
    common = min(fmt.element.sign_mask for fmt in pair)
    codes = [
        code
        for code in range(2 * common)
        if all(code in dict(finite_codes(fmt.element)) for fmt in pair)
    ]
    ones = [powers(fmt.element)[0] for fmt in pair]
    step = max(len(codes) // _LANES, 1)
    for first in range(0, len(codes), 4 * step):
        code = codes[first]
        detail = f"{code:02x} on either side"
        yield operands([block({first % _LANES: (code, code)})]), detail
        yield operands([block({2: (code, ones[1])}, 0x83, 0x7B)]), f"{code:02x} in a"
        yield operands([block({2: (ones[0], code)}, 0x7B, 0x80)]), f"{code:02x} in b"


DOT: tuple[Covergroup, ...] = (
    Covergroup(
        "products",
        "every product of two codes of FP4 and FP6, the ends of all binades elsewhere, each in two"
        " lanes and companies, so that two errors cannot hide each other",
        ("MX-1.0/6.1/dot", "MX-1.0/6.1/mixed-types", "MX-1.0/6.2/float32"),
        _products,
    ),
    Covergroup(
        "codes",
        "each code times one, on either side: a table with one wrong entry",
        ("MX-1.0/6.1/dot", "MX-1.0/5.3/subnormals"),
        _codes,
    ),
    Covergroup(
        "lanes",
        "one product in each lane, the other operand full: lanes left out, doubled or exchanged",
        ("MX-1.0/6.1/dot", "MX-1.0/6.2/dot-general"),
        _lanes,
    ),
    Covergroup(
        "operands",
        "one code on either side: operands exchanged, or both read in the format of one",
        ("MX-1.0/6.1/mixed-types", "OP-DOT-MIXED-TYPES"),
        _sides,
    ),
    Covergroup(
        "blocks",
        "two to four blocks under different scales: the scale of another block, or of the other"
        " operand",
        ("MX-1.0/6.2/dot-general",),
        _with_blocks,
    ),
    Covergroup(
        "padding",
        "codes and scales behind the last element, NaN among them, that must not count",
        ("MX-1.0/6.2/padding",),
        _padding,
    ),
    Covergroup(
        "scales",
        "scale codes at the ends and around one, on either side",
        ("MX-1.0/6.1/dot", "MX-1.0/5.1/nan-scale", "OP-DOT-SCALE-PLACE"),
        scale_codes,
    ),
    Covergroup(
        "range",
        "a product of scales beyond float32 whose result is not; overflow, subnormal results, ties",
        ("MX-1.0/6.2/float32", "OP-DOT-SCALE-PLACE", "OP-DOT-OUTPUT"),
        range_ends,
    ),
    Covergroup(
        "alignment",
        "one large and one small product up to 60 binades apart: where the small one vanishes is"
        " the width of the accumulator",
        ("MX-1.0/6.1/precision", "OP-DOT-PRECISION", "OP-DOT-GROUPING"),
        alignment,
    ),
    Covergroup(
        "cancellation",
        "large products that cancel and a small rest, within a block and across blocks",
        ("MX-1.0/6.1/precision", "MX-1.0/6.2/precision", "OP-DOT-PRECISION"),
        cancellation,
    ),
    Covergroup(
        "carries",
        "sums that cross powers of two, ties at 24 bits and what lies far below them",
        ("MX-1.0/6.2/float32", "OP-DOT-OUTPUT", "OP-DOT-PRECISION"),
        carries,
    ),
    Covergroup(
        "zeros",
        "zeros of both signs, also under scales whose product is no float32",
        ("OP-DOT-OUTPUT", "OP-DOT-SCALE-PLACE"),
        zeros,
    ),
    Covergroup(
        "nonfinite",
        "NaN scales, NaN and infinite elements, beside numbers, zeros and each other",
        ("MX-1.0/5.1/nan-scale", "MX-1.0/5.1/special-elements", "OP-DOT-NAN"),
        nonfinite,
    ),
)
"""Covergroups of dot; their stimuli take a pair of block formats."""
