"""Covergroups of formats under float32 scales: integers, FP8 of a whole tensor, and VSQ."""

from __future__ import annotations

from fractions import Fraction

from mxref.exact import ieee
from mxref.exact.number import Number
from mxref.formats import pow2
from mxref.relatives.bdr_format import BDRFormat
from mxref.vectors.bits import finite_codes, midpoints, negated
from mxref.vectors.bits import neighbour as ulps_away
from mxref.vectors.covergroups import Covergroup, Stimuli
from mxref.vectors.operations import Inputs
from mxref.vectors.relatives.fit import SCALED_LANES

__all__ = ["DEQUANTIZE", "QUANTIZE"]

_F32 = "float32"
_LANES = SCALED_LANES
# The first is the largest element itself, so that the scale is 1.
_AMAXES = (Fraction(1), Fraction(22, 7), Fraction(7, 10) * pow2(-30), Fraction(9, 7) * pow2(50))
_MOST_TIES = 64


def _f32(value: Fraction, ulps: int = 0) -> int:
    bits = ieee.to_bits(Number.finite(value), _F32)
    found = ulps_away(bits, _F32, ulps)
    return bits if found is None else found


def _largest(fmt: BDRFormat) -> Fraction:
    """The largest element under a scale of 1, with the largest sub-scale."""
    return fmt.largest * max(fmt.max_subscale, 1)


def _ties(fmt: BDRFormat) -> list[Fraction]:
    element = fmt.float_element
    if element is None:
        found = [M + Fraction(1, 2) for M in range(fmt.max_magnitude)]
    else:
        found = midpoints(element)[:-1]
    step = -(-len(found) // _MOST_TIES)
    return [tie * max(fmt.max_subscale, 1) for tie in found[::step]]


def _units(fmt: BDRFormat) -> list[tuple[str, Fraction]]:
    return [
        (f"amax {index}", Fraction(1) if not index else amax / _largest(fmt))
        for index, amax in enumerate(_AMAXES)
    ]


def _blocks(fmt: BDRFormat, unit: Fraction, bits: list[int], where: str) -> Stimuli:
    """The numbers beside the largest one, which fixes the scale, in each half."""
    top = _f32(_largest(fmt) * unit)
    size = _LANES - 2
    for number, start in enumerate(range(0, len(bits), size)):
        part = bits[start : start + size]
        part += [0] * (size - len(part))
        half = size // 2
        lanes = (top, *part[:half], negated(top, _F32), *part[half:])
        yield Inputs(_F32, lanes), f"{where}, part {number}"


def _element_ties(fmt: BDRFormat) -> Stimuli:
    for where, unit in _units(fmt):
        for ulps in (-1, 0, 1):
            bits = [_f32(tie * unit, ulps) for tie in _ties(fmt)]
            bits = [negated(b, _F32) if index % 2 else b for index, b in enumerate(bits)]
            yield from _blocks(fmt, unit, bits, f"{where}, ties {ulps:+d} ulp")


def _values(fmt: BDRFormat) -> Stimuli:
    element, factor = fmt.float_element, max(fmt.max_subscale, 1)
    if element is None:
        magnitudes = [Fraction(M) for M in range(fmt.max_magnitude + 1)]
    else:
        magnitudes = [n.magnitude for code, n in finite_codes(element) if code <= element.sign_mask]
    bits = [_f32(value * factor) for value in magnitudes]
    bits = [negated(b, _F32) if index % 2 else b for index, b in enumerate(bits)]
    yield from _blocks(fmt, Fraction(1), bits, "values")


def _every_lane(_: object) -> Stimuli:
    for lane in range(_LANES):
        lanes = [_f32(Fraction(3 + 5 * n, 200)) for n in range(_LANES)]
        bits = _f32(Fraction(22, 7))
        lanes[lane] = negated(bits, _F32) if lane % 2 else bits
        yield Inputs(_F32, tuple(lanes)), f"largest in lane {lane}"


def _subscales(fmt: BDRFormat) -> Stimuli:
    """Sub-blocks whose integer scale is at, or beside, a tie."""
    if not fmt.max_subscale:
        return
    for count in sorted({0, 1, 2, 3, fmt.max_subscale // 2, fmt.max_subscale - 1}):
        for ulps in (-1, 0, 1):
            size = (count + Fraction(1, 2)) * fmt.largest
            small = [_f32(size * Fraction(9 + n, 25), ulps) for n in range(fmt.k2 - 1)]
            large = [_f32(_largest(fmt) * Fraction(3 + n, 19)) for n in range(fmt.k2 - 1)]
            lanes = (_f32(size, ulps), *small, _f32(_largest(fmt)), *large)
            yield Inputs(_F32, lanes), f"integer scale {count} and a half, {ulps:+d} ulp"


def _ends(_: object) -> Stimuli:
    for exponent in (-149, -140, -126, -100, 127):
        for factor in (Fraction(1), Fraction(7, 4)):
            top = factor * pow2(exponent)
            lanes = [_f32(top * Fraction(_LANES - n, _LANES)) for n in range(_LANES)]
            yield Inputs(_F32, tuple(lanes)), f"largest {float(factor):g} times 2^{exponent}"
    for count in (1, 3, 4, 10, 11, 24, 100, 191):  # the scale has few bits, or none
        few = tuple(max(1, count - n) | (n % 2) << 31 for n in range(_LANES))
        yield Inputs(_F32, few), f"largest {count} times 2^-149"
    minus = 1 << 31
    yield Inputs(_F32, (0,) * _LANES), "all +0"
    yield Inputs(_F32, (minus,) * _LANES), "all -0"
    tiny = (0x3F800000, *[minus, 0, 0x80000001, 0xA0000000] * 7, 0, 0, 0)
    yield Inputs(_F32, tiny), "zeros and what rounds to zero"
    for bits, name in ((0x7F800000, "Inf"), (0xFF800000, "-Inf"), (0x7FC00000, "NaN")):
        for lane in (3, 17):
            plain = [_f32(Fraction(3 + 5 * n, 200)) for n in range(_LANES)]
            plain[lane] = bits
            yield Inputs(_F32, tuple(plain)), f"{name} in lane {lane}"


def _every_code(fmt: BDRFormat) -> Stimuli:
    count = _LANES // fmt.k2 if fmt.has_subscales else 0
    codes = list(range(fmt.code_count))
    codes += [0] * (-len(codes) % _LANES)
    second = (0, 1, fmt.max_subscale) if count else (0,)
    for own in second:
        for scale in (0x3F800000, 0x3DCCCCCD, 0x00000001, 0x7F000000):
            for start in range(0, len(codes), _LANES):
                part = tuple(codes[start : start + _LANES])
                given = Inputs(None, part, scales=(scale,), subscales=(own,) * count)
                yield given, f"scale {scale:08x}, sub-scale {own:02x}, codes from {start:02x}"


def _special_scales(fmt: BDRFormat) -> Stimuli:
    count = _LANES // fmt.k2 if fmt.has_subscales else 0
    codes = tuple(n % fmt.code_count for n in range(_LANES))
    for scale in (0x00000000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x00800000):
        subscales = tuple(range(2, 2 + count))
        yield Inputs(None, codes, scales=(scale,), subscales=subscales), f"scale {scale:08x}"


_POINT = ("OP-BDR-QUANTIZER",)

QUANTIZE = (
    Covergroup(
        "element-ties",
        "ties between elements and their neighbours under scales of few and of many bits: ties"
        " away, truncation, a quotient or its reciprocal rounded to float32 first",
        _POINT, _element_ties,
    ),
    Covergroup(
        "values", "the value of every element comes back as its code", _POINT, _values
    ),
    Covergroup(
        "lanes", "the largest magnitude in every lane", _POINT, _every_lane
    ),
    Covergroup(
        "subscales",
        "integer scales of sub-blocks at their ties: rounded up, truncated, or elements divided"
        " by the scale before it was rounded",
        _POINT, _subscales,
    ),
    Covergroup(
        "ends", "the ends of float32, zeros, NaN and infinity", _POINT, _ends
    ),
)  # fmt: skip

DEQUANTIZE = (
    Covergroup(
        "every-code",
        "all codes under scales of few and of many bits, and at the ends of float32",
        _POINT, _every_code,
    ),
    Covergroup(
        "special-scales", "scales of zero, infinity and NaN", _POINT, _special_scales
    ),
)  # fmt: skip
