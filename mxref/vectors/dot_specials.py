"""Stimuli of the dot product with zeros of both signs, NaN and infinity."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from mxref.formats import Kind
from mxref.vectors.bits import finite_codes
from mxref.vectors.covergroups import Stimuli
from mxref.vectors.dot_terms import Pair, block, operands, powers, varied

__all__ = ["nonfinite", "special_codes", "zeros"]

_LANES = 32
_ONE = 0x7F  # the scale code of 1
_NAN = 0xFF


def special_codes(pair: Pair, *, few: bool = False) -> Iterator[tuple[int, int]]:
    """Yield the NaN and Inf codes of both formats: (side, code); `few`: one NaN a format.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> list(special_codes((block_format("mxfp8_e4m3"), block_format("mxfp4"))))
    [(0, 127), (0, 255)]
    """
    for side, fmt in enumerate(fmt.element for fmt in pair):
        numbers = {code for code, _ in finite_codes(fmt)}
        for code in range(fmt.code_count):
            least_nan = min(fmt.nan_magnitudes, default=0)
            is_other_nan = code > least_nan and code != fmt.sign_mask + (fmt.inf_magnitude or 0)
            if code not in numbers and not (few and is_other_nan):
                yield side, code


# --- zeros, NaN, infinity --------------------------------------------------------------------


def zeros(pair: Pair) -> Stimuli:
    """Zeros of both signs, also under scales whose product is no float32.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [detail for _, detail in zeros((block_format("mxfp4"),) * 2)][0]
    'all zero under 7f/7f'
    """
    minus = [f.element.sign_mask if f.element.kind is Kind.FLOAT else 0 for f in pair]
    ones = [powers(f.element)[0] for f in pair]
    every = range(_LANES)
    for scales in ((_ONE, _ONE), (0x00, 0x00), (0xFE, 0xFE)):
        name = "/".join(f"{scale:02x}" for scale in scales)
        yield operands([block({}, *scales)]), f"all zero under {name}"
        for lanes, detail in (
            (dict.fromkeys(every, (minus[0], ones[1])), "-0 times 1"),
            (dict.fromkeys(every, (ones[0], 0)), "1 times +0"),
            (dict.fromkeys(every, (minus[0], minus[1])), "-0 times -0"),
            ({lane: (minus[0] * (lane % 2), ones[1]) for lane in every}, "both signs"),
            ({9: (minus[0], minus[1]), 10: (ones[0], ones[1])}, "one product beside zeros"),
        ):
            yield operands([block(lanes, *scales)]), f"{detail} under {name}"


def nonfinite(pair: Pair) -> Stimuli:
    """NaN scales, NaN and infinite elements, beside numbers, zeros and each other.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [detail for _, detail in nonfinite((block_format("mxfp4"),) * 2)][0]
    'scales ff/7f, products'
    """
    a, b = (varied(fmt.element) for fmt in pair)
    full = {lane: (a[lane], b[lane]) for lane in range(_LANES)}
    zero_a, zero_b = dict.fromkeys(range(_LANES), (0, b[0])), dict.fromkeys(full, (a[0], 0))
    for scales in ((_NAN, _ONE), (_ONE, _NAN), (_NAN, _NAN), (_NAN, 0x00), (0xFE, _NAN)):
        name = "/".join(f"{scale:02x}" for scale in scales)
        poisoned = [(full, "products"), (zero_a, "zeros in a"), (zero_b, "zeros in b")]
        for lanes, detail in [*poisoned, ({}, "zeros")]:
            yield operands([block(lanes, *scales)]), f"scales {name}, {detail}"
            if lanes is not zero_b:
                yield operands([block(full), block(lanes, *scales)]), f"{name} second, {detail}"
        yield operands([block(full), block(full, *scales)], 33), f"scales {name} for one element"
    few = list(special_codes(pair, few=True))
    for index, (side, code) in enumerate(special_codes(pair)):
        other = (b, a)[side]
        minus_one = powers(pair[1 - side].element, -1)[0]
        places = [(index * 3 % _LANES, other[0]), (17, 0), (31, minus_one)]
        for lane, partner in places if (side, code) in few else places[:2]:
            both = (code, partner) if side == 0 else (partner, code)
            detail = f"{code:02x} in {'ab'[side]}, lane {lane}"
            yield operands([block(full | {lane: both})]), detail
        if (side, code) in few:
            both = (code, other[0]) if side == 0 else (other[0], code)
            yield operands([block(full), block({30: both}, 0x70, 0x90)]), f"{code:02x} second"
            yield operands([block({30: both}, 0xFE, 0xFE)]), f"{code:02x} under fe/fe"
    yield from _meetings(pair, full)


def _meetings(pair: Pair, full: dict[int, tuple[int, int]]) -> Stimuli:
    """Two special elements in one sum."""
    special = list(special_codes(pair, few=True))
    ones = [powers(fmt.element)[0] for fmt in pair]
    for (side, code), (other, second) in itertools.product(special, repeat=2):
        if (side, code) == (other, second):
            continue
        lanes = dict(full)
        lanes[4] = (code, ones[1]) if side == 0 else (ones[0], code)
        lanes[5] = (second, ones[1]) if other == 0 else (ones[0], second)
        yield operands([block(lanes)]), f"{code:02x} and {second:02x}"
        if side == 0 and other == 1:
            yield operands([block(full | {8: (code, second)})]), f"{code:02x} times {second:02x}"
