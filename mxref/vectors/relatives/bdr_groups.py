"""Covergroups of BDR formats whose scales are powers of two: MX9, MX6, MX4 and MSFP.

In most blocks one *anchor* lane fixes the shared exponent, and the other lanes probe elements, or
the microexponents of their sub-blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mxref.exact import ieee
from mxref.exact.number import Number
from mxref.formats import pow2
from mxref.relatives.bdr_format import BDRFormat
from mxref.vectors.bits import exact_bits, landmarks, negated, neighbour
from mxref.vectors.covergroups import Covergroup, Stimuli
from mxref.vectors.operations import INPUT_DIGITS, SHORT_TYPE, Inputs

__all__ = ["DEQUANTIZE", "FEWER", "QUANTIZE"]

_F32 = "float32"
_INFINITY, _NAN = 0x7F800000, 0x7FC00000
_BIAS = 127
_EXPONENTS = (0, -37, 90)
_SHORT = 3


def _f32(value: Fraction, ulps: int = 0) -> int:
    bits = ieee.to_bits(Number.finite(value), _F32)
    near = neighbour(bits, _F32, ulps)
    return bits if near is None else near


def _lanes_of(fmt: BDRFormat) -> int:
    return fmt.k1 or 0


def _filled(fmt: BDRFormat, exponent: int) -> list[int]:
    """Lanes of known parts of 2^exponent, of both signs, with shifts of both kinds."""
    lanes = []
    for lane in range(_lanes_of(fmt)):
        places = lane // 2 % 3
        value = Fraction(17 + 5 * (lane % 3), 32) * pow2(exponent - places)
        bits = _f32(value)
        # In short elements the small ones become zero, whose sign is another question.
        lanes.append(negated(bits, _F32) if lane % 3 == 1 and fmt.m > _SHORT else bits)
    return lanes


def _block(fmt: BDRFormat, exponent: int, changes: dict[int, int]) -> Inputs:
    """A filled block with some lanes set; those must hold the largest magnitude or less."""
    lanes = _filled(fmt, exponent)
    for lane, bits in changes.items():
        lanes[lane % len(lanes)] = bits
    return Inputs(_F32, tuple(lanes))


def _probes(fmt: BDRFormat, exponent: int, probes: Sequence[int]) -> list[Inputs]:
    """Blocks whose first sub-block has an anchor, and whose other ones hold the probes."""
    first = max(fmt.k2, 1)
    size = _lanes_of(fmt) - first
    anchor = [_f32(pow2(exponent))] * first
    found = []
    for start in range(0, len(probes), size):
        part = list(probes[start : start + size])
        part += [0] * (size - len(part))
        found.append(Inputs(_F32, (*anchor, *part)))
    return found


# --- the shared exponent ---------------------------------------------------------------------


def _exponents(fmt: BDRFormat) -> Stimuli:
    chosen = [*range(-126, -116), *range(-110, 120, 11), *range(118, 128)]
    for index, exponent in enumerate(chosen):
        block = _block(fmt, exponent, {index: _f32(pow2(exponent))})
        yield block, f"2^{exponent}"


def _carries(fmt: BDRFormat) -> Stimuli:
    """Around the largest element, the tie above it and the next power of two."""
    largest = 2 - pow2(1 - fmt.m)
    edges = ((largest, "largest"), (2 - pow2(-fmt.m), "tie above largest"), (Fraction(2), "2"))
    for index, exponent in enumerate(_EXPONENTS):
        for value, name in edges:
            for ulps in (-1, 0, 1):
                for is_negative in (False, True):
                    bits = _f32(value * pow2(exponent), ulps)
                    bits = negated(bits, _F32) if is_negative else bits
                    sign = "-" if is_negative else ""
                    where = f"{sign}{name} {ulps:+d} ulp, times 2^{exponent}"
                    yield _block(fmt, exponent - 1, {3 + index: bits}), where


def _carries_below(fmt: BDRFormat) -> Stimuli:
    """The same in a sub-block that is shifted, where the block itself has room."""
    if not fmt.has_subscales:
        return
    for shift in range(1, fmt.max_shift + 1):
        for value, name in ((2 - pow2(1 - fmt.m), "largest"), (2 - pow2(-fmt.m), "tie above")):
            for ulps in (-1, 0, 1):
                for exponent in _EXPONENTS[:2]:
                    lane = fmt.k2 * 2
                    bits = _f32(value * pow2(exponent - shift), ulps)
                    changes = {0: _f32(pow2(exponent)), lane: bits, lane + 1: negated(bits, _F32)}
                    where = f"shift {shift}, {name} {ulps:+d} ulp, 2^{exponent}"
                    yield _block(fmt, exponent - 2, changes), where


def _in_every_lane(fmt: BDRFormat) -> Stimuli:
    for lane in range(_lanes_of(fmt)):
        for is_negative in (False, True):
            bits = _f32(Fraction(11, 8) * pow2(5))
            bits = negated(bits, _F32) if is_negative else bits
            where = f"lane {lane}, {'negative' if is_negative else 'positive'}"
            yield _block(fmt, 3, {lane: bits}), where


# --- microexponents --------------------------------------------------------------------------


def _microexponents(fmt: BDRFormat) -> Stimuli:
    if not fmt.has_subscales:
        return
    for place in range(0, _lanes_of(fmt), fmt.k2):
        for lane in (place, place + fmt.k2 - 1):
            for ulps in (-1, 0):
                # Every sub-block but the first has one number at the edge of a shift.
                lanes = [_f32(Fraction(1, 8))] * _lanes_of(fmt)
                lanes[(lane + fmt.k2) % len(lanes)] = _f32(Fraction(1))
                lanes[lane] = _f32(Fraction(1), ulps)
                where = f"sub-block {place // fmt.k2}, lane {lane}, 1 {ulps:+d} ulp"
                yield Inputs(_F32, tuple(lanes)), where
    for exponent in _EXPONENTS:
        for shift in range(fmt.max_shift + 3):
            for ulps in (-1, 0, 1):
                bits = _f32(pow2(exponent - shift), ulps)
                changes = {0: _f32(pow2(exponent))}
                changes |= dict.fromkeys(range(fmt.k2, 2 * fmt.k2), bits)
                where = f"sub-block at 2^-{shift} {ulps:+d} ulp of 2^{exponent}"
                yield _block(fmt, exponent - 3, changes), where


def _far_below(fmt: BDRFormat) -> Stimuli:
    for places in range(1, fmt.m + 6):
        for factor in (Fraction(1), Fraction(3, 2)):
            value = factor * pow2(-places)
            lanes = [_f32(value), negated(_f32(value), _F32)] * (_lanes_of(fmt) // 2)
            lanes[4] = _f32(Fraction(1))
            yield Inputs(_F32, tuple(lanes)), f"{float(factor):g} times 2^-{places} beside 1"


def _distances(fmt: BDRFormat) -> Stimuli:
    for places in (31, 32, 33, 34, 39, 63, 64, 65, 127, 128, 129, 200):
        for shift in range(fmt.max_shift + 1):
            value = Fraction(3, 2) * pow2(100 - places)
            lanes = [_f32(value)] * _lanes_of(fmt)
            lanes[4] = _f32(pow2(100))
            lanes[7] = _f32(Fraction(3, 2) * pow2(100 - shift))
            yield Inputs(_F32, tuple(lanes)), f"2^-{places} of the largest, shift {shift} beside"


# --- elements --------------------------------------------------------------------------------


def _element_values(fmt: BDRFormat) -> Stimuli:
    for shift in range(fmt.max_shift + 1):
        unit = fmt.step * pow2(-shift)
        magnitudes = [M * unit for M in range(fmt.max_magnitude + 1)]
        below = [value for value in magnitudes if value < 2 * pow2(-shift)]
        bits = [_f32(value) for value in below]
        probes = [*bits, *(negated(b, _F32) for b in bits)]
        for number, block in enumerate(_probes(fmt, 0, probes)):
            yield block, f"values below 2^{1 - shift}, part {number}"


def _element_ties(fmt: BDRFormat) -> Stimuli:
    # Each tie needs a sub-block mate that sets the shift.
    for shift in range(fmt.max_shift + 1):
        unit = fmt.step * pow2(-shift)
        for ulps in (-1, 0, 1):
            probes: list[int] = []
            step = 1 if ulps == 0 or fmt.m < 5 else 3
            for M in range(0, fmt.max_magnitude, step):
                bits = _f32((M + Fraction(1, 2)) * unit, ulps)
                mate = _f32(pow2(-shift))
                probes += [bits, negated(bits, _F32)] if not fmt.has_subscales else [bits, mate]
                if fmt.has_subscales:
                    probes += [negated(mate, _F32), negated(bits, _F32)]
            for number, block in enumerate(_probes(fmt, 0, probes)):
                where = f"ties under shift {shift} {ulps:+d} ulp, part {number}"
                yield block, where


# --- the ends --------------------------------------------------------------------------------


def _range_ends(fmt: BDRFormat) -> Stimuli:
    for bits, name in (
        (1, "least subnormal"), (2, "2^-148"), (0x7FFFFF, "largest subnormal"),
        (0x200000, "2^-128"), (0x1FFFFF, "below 2^-128"), (0x400000, "2^-127"),
        (0x3FFFFF, "below 2^-127"), (0x800000, "least normal"), (0x800001, "above least normal"),
        (0x7F000000, "2^127"), (0x7F7FFFFF, "largest"), (0x7F7F8000, "rounds to 2^128"),
        (0x7F7E0000, "below the largest"),
    ):  # fmt: skip
        lanes = [0] * _lanes_of(fmt)
        lanes[5] = bits
        yield Inputs(_F32, tuple(lanes)), f"{name}, alone"
        value = ieee.from_bits(bits, _F32).magnitude
        rest = [_f32(value * Fraction(3 + lane, 20)) for lane in range(_lanes_of(fmt))]
        rest[2] = negated(bits, _F32)
        yield Inputs(_F32, tuple(rest)), f"{name}, beside parts of it"


def _zeros(fmt: BDRFormat) -> Stimuli:
    size, minus = _lanes_of(fmt), 1 << 31
    yield Inputs(_F32, (0,) * size), "all +0"
    yield Inputs(_F32, (minus,) * size), "all -0"
    yield Inputs(_F32, (0, minus) * (size // 2)), "zeros of both signs"
    for lane in range(0, size, 3):
        zero = minus if lane % 2 else 0
        yield _block(fmt, 0, {lane: zero}), f"a zero in lane {lane}"
        yield _block(fmt, 0, {lane: zero, lane ^ 1: zero}), f"zeros in lanes {lane} and its mate"
    tiny = _f32(pow2(-40))
    yield Inputs(_F32, (_f32(Fraction(1)), *[negated(tiny, _F32)] * (size - 1))), "rounds to -0"


def _nonfinite(fmt: BDRFormat) -> Stimuli:
    for bits, name in landmarks(_F32):
        if bits & _INFINITY != _INFINITY:
            continue
        for lane in (0, 7, _lanes_of(fmt) - 1):
            yield _block(fmt, 2, {lane: bits}), f"{name} in lane {lane}"
    size = _lanes_of(fmt)
    for lane in range(size):
        yield _block(fmt, 2, {lane: _INFINITY if lane % 2 else _NAN}), f"in lane {lane}"
    yield _block(fmt, 2, {1: _INFINITY, 6: _NAN}), "Inf and NaN"
    yield Inputs(_F32, (_NAN,) * size), "nothing but NaN"
    yield Inputs(_F32, (_INFINITY,) * size), "nothing but Inf"


def _input_types(fmt: BDRFormat) -> Stimuli:
    for source in list(INPUT_DIGITS)[1:]:
        for exponent in (-13, -2, 0, 7):
            for step in range(3):
                lanes = []
                for lane in range(_lanes_of(fmt)):
                    value = Fraction(9 + (lane * 7 + step * 3) % 24, 8)
                    value *= pow2(exponent - lane // 2 % 4)
                    bits = exact_bits(value, source) or 0
                    lanes.append(negated(bits, source) if lane % 2 else bits)
                where = f"{SHORT_TYPE[source]}, 2^{exponent}, step {step}"
                yield Inputs(source, tuple(lanes)), where
        specials = [(bits, name) for bits, name in landmarks(source) if "sub" in name]
        for bits, name in specials:
            yield Inputs(source, (bits, *[0] * (_lanes_of(fmt) - 1))), f"{name} alone"


# --- decoding --------------------------------------------------------------------------------


def _every_code(fmt: BDRFormat) -> Stimuli:
    size = _lanes_of(fmt)
    count = size // fmt.k2 if fmt.has_subscales else 0
    codes = list(range(fmt.code_count))
    codes += [0] * (-len(codes) % size)
    for scale in (_BIAS, 0x01, 0x80):
        for shift in range(fmt.max_shift + 1):
            for start in range(0, len(codes), size):
                part = tuple(codes[start : start + size])
                given = Inputs(None, part, scales=(scale,), subscales=(shift,) * count)
                yield given, f"scale {scale:02x}, shift {shift}, codes from {start:02x}"


def _every_scale(fmt: BDRFormat) -> Stimuli:
    size = _lanes_of(fmt)
    top = fmt.max_magnitude
    minus = fmt.sign_mask
    codes = ((0, 1, top, top | minus, minus, minus | 1, 2, top - 1) * size)[:size]
    count = size // fmt.k2 if fmt.has_subscales else 0
    for scale in range(256):
        shifts = tuple((scale + place) % (fmt.max_shift + 1) for place in range(count))
        yield Inputs(None, codes, scales=(scale,), subscales=shifts), f"scale {scale:02x}"


def _every_place(fmt: BDRFormat) -> Stimuli:
    if not fmt.has_subscales:
        return
    size = _lanes_of(fmt)
    count = size // fmt.k2
    codes = tuple(1 + lane % fmt.max_magnitude for lane in range(size))
    for place in range(count):
        for shift in range(1, fmt.max_shift + 1):
            shifts = tuple(shift if i == place else 0 for i in range(count))
            given = Inputs(None, codes, scales=(_BIAS,), subscales=shifts)
            yield given, f"sub-block {place} alone shifted by {shift}"


_POINT = ("OP-BDR-QUANTIZER",)

QUANTIZE = (
    Covergroup(
        "exponents",
        "shared exponents over the range of float32: a wrong bias, an exponent off by one",
        _POINT, _exponents,
    ),
    Covergroup(
        "carries",
        "around the largest element of a block and the tie above it: clamped or bumped, an"
        " exponent taken after rounding",
        _POINT, _carries,
    ),
    Covergroup(
        "carries-below",
        "the same in a shifted sub-block: the shift given up, or its elements clamped",
        _POINT, _carries_below,
    ),
    Covergroup(
        "microexponents",
        "every sub-block alone at and below the edge of each shift: microexponents of the wrong"
        " lanes, from one lane only, uncapped, inverted or absent",
        _POINT, _microexponents,
    ),
    Covergroup(
        "lanes",
        "the largest magnitude in every lane with either sign: a maximum over some lanes only",
        _POINT, _in_every_lane,
    ),
    Covergroup(
        "element-values",
        "the value of every element comes back as its code, under every shift",
        _POINT, _element_values,
    ),
    Covergroup(
        "element-ties",
        "every tie between elements and its neighbours, under every shift: ties away, truncation,"
        " a rounding before the shift",
        _POINT, _element_ties,
    ),
    Covergroup(
        "far-below",
        "small numbers beside a large one: what underflows, and with which sign",
        _POINT, _far_below,
    ),
    Covergroup(
        "distances",
        "numbers that many binades below the largest: a shift count cut to the width of a register",
        _POINT, _distances,
    ),
    Covergroup(
        "range-ends",
        "subnormal and largest numbers: exponents below code 0, a bump beyond the last one",
        _POINT, _range_ends,
    ),
    Covergroup(
        "zeros",
        "blocks and sub-blocks of zeros, of either sign: a scale or shift of nothing",
        _POINT, _zeros,
    ),
    Covergroup(
        "nonfinite",
        "NaN and infinity in every lane",
        _POINT, _nonfinite,
    ),
    Covergroup(
        "input-types",
        "the same from bfloat16 and float16, and their subnormals",
        _POINT, _input_types,
    ),
)  # fmt: skip

_LEFT_OUT = {"exponents", "element-values", "far-below", "input-types"}
FEWER = tuple(group for group in QUANTIZE if group.name not in _LEFT_OUT)
"""For further profiles: where they differ, and the ends."""

DEQUANTIZE = (
    Covergroup(
        "every-code",
        "all codes under every shift: a wrong radix point, sign or shift",
        _POINT, _every_code,
    ),
    Covergroup(
        "every-scale",
        "all scale codes: a wrong bias, a NaN scale taken for 2^128, subnormal results flushed",
        _POINT, _every_scale,
    ),
    Covergroup(
        "every-place",
        "each sub-block alone shifted: microexponents in another order, or of other lanes",
        _POINT, _every_place,
    ),
)  # fmt: skip
