"""Covergroups of quantize: blocks built to reach one situation of scale selection or conversion.

In most blocks one *anchor* lane fixes the scale, so that the other lanes probe elements alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from mxref.exact import ieee
from mxref.formats import BlockFormat, ElementFormat, Kind, pow2
from mxref.vectors.bits import (
    below_square_root_of_two,
    exact_bits,
    finite_codes,
    landmarks,
    midpoints,
    negated,
    neighbour,
    power_of_two,
)
from mxref.vectors.covergroups import Covergroup, Stimuli
from mxref.vectors.operations import INPUT_DIGITS, SHORT_TYPE, Inputs

__all__ = ["QUANTIZE"]

_F32 = "float32"
# Binades at whose upper end a float32 logarithm may round up to the next integer.
_LOG2_BINADES = (1, 2, 4, 9, 19, 63, 125, -9, -21, -65, -121)


# --- building blocks -------------------------------------------------------------------------


def _present(bits: int | None) -> int:
    if bits is None:  # a stimulus is written for types that have it
        raise AssertionError("the input type of a stimulus cannot represent it")
    return bits


def _filled(fmt: BlockFormat, exponent: int, source: str, *, positive: bool = False) -> list[int]:
    """Lanes of known magnitudes below ``2**exponent``: neighbours differ, no lane is tiny.

    Where the input type cannot represent a magnitude the lane is zero.
    """
    lanes = []
    for lane in range(fmt.block_size):
        magnitude = Fraction(8 + lane % 8, 8) * pow2(exponent - 2 + lane // 8 % 2)
        bits = exact_bits(magnitude, source) or 0
        is_negative = bits and lane % 3 == 1 and not positive
        lanes.append(negated(bits, source) if is_negative else bits)
    return lanes


def _anchored(
    fmt: BlockFormat, amax: int, lane: int, source: str = _F32, *, positive: bool = False
) -> Inputs:
    """A filled block whose largest magnitude, given by its bits, lies in one lane."""
    value = ieee.from_bits(amax, source).magnitude
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    exponent -= value < pow2(exponent)
    lanes = _filled(fmt, exponent, source, positive=positive)
    lanes[lane % fmt.block_size] = amax
    return Inputs(source, tuple(lanes))


class _Probe(NamedTuple):
    """A float32 some ulps from a magnitude that is given in units of the element."""

    magnitude: Fraction
    ulps: int = 0
    negative: bool = False

    def bits(self, unit: Fraction) -> int:
        exact = _present(exact_bits(self.magnitude * unit, _F32))
        near = _present(neighbour(exact, _F32, self.ulps))
        return negated(near, _F32) if self.negative else near


def _probing(fmt: BlockFormat, probes: Sequence[_Probe]) -> Iterator[Inputs]:
    """As many blocks as the probes need, each with an anchor at the largest power of two.

    The scale differs from block to block, so that a scale which is not applied shows.
    """
    room = fmt.block_size - 1
    for number, start in enumerate(range(0, len(probes), room)):
        unit = pow2((5 * number) % 13 - 6)
        lanes = [probe.bits(unit) for probe in probes[start : start + room]]
        lanes += [0] * (room - len(lanes))
        lanes.insert((7 * number) % fmt.block_size, _Probe(pow2(fmt.element.emax)).bits(unit))
        yield Inputs(_F32, tuple(lanes))


def _keeps_scale(magnitude: Fraction, elem: ElementFormat) -> bool:
    """Whether a lane leaves the scale to the anchor."""
    return magnitude < pow2(elem.emax + 1)


# --- scale selection -------------------------------------------------------------------------


def _amax_lane(fmt: BlockFormat) -> Stimuli:
    for lane in range(fmt.block_size):
        bits = _present(exact_bits(Fraction(3, 2) * pow2(lane % 5 - 2), _F32))
        signed = negated(bits, _F32) if lane % 2 else bits
        yield _anchored(fmt, signed, lane), f"lane {lane}"


def _thresholds(fmt: BlockFormat) -> Stimuli:
    elem = fmt.element
    half_step = pow2(-elem.mantissa_bits - 1)
    rules = {
        "ceil": Fraction(1),
        "rceil": elem.max / pow2(elem.emax),
        "even": 2 - half_step,
        "tosa": midpoints(elem)[-1] / pow2(elem.emax),
    }
    lane = 0
    for source in INPUT_DIGITS:
        edges = {name: _present(exact_bits(value, source)) for name, value in rules.items()}
        edges["nearest-log"] = below_square_root_of_two(source)
        edges["top of the binade"] = _present(
            neighbour(_present(power_of_two(1, source)), source, -1)
        )
        for name, edge in edges.items():
            for ulps in (-1, 0, 1):
                lane += 5
                bits = _present(neighbour(edge, source, ulps))
                signed = negated(bits, source) if lane % 2 else bits
                where = f"{name} {ulps:+d} ulp" if ulps else name
                yield _anchored(fmt, signed, lane, source), where


def _wrong_steps(fmt: BlockFormat) -> Stimuli:
    # Where rules step that nobody published: 1.5, and amax / largest rounded to a power of two.
    largest = fmt.element.max / pow2(fmt.element.emax)
    steps = {"1.5": Fraction(3, 2), "largest": largest, "3/4 of largest": largest * Fraction(3, 4)}
    root = Fraction(below_square_root_of_two(_F32) - (127 << 23) + (1 << 23), 1 << 23)
    steps["largest over root 2"] = largest / 2 * root
    for index, (name, step) in enumerate(steps.items()):
        # The nearest float32 below, where the step itself is none.
        scaled = step * pow2(23)
        edge = _present(
            exact_bits(Fraction(scaled.numerator // scaled.denominator) / pow2(23), _F32)
        )
        for exponent in (0, 1):
            for ulps in (-1, 0, 1):
                amax = _present(neighbour(edge + (exponent << 23), _F32, ulps))
                where = f"{name} {ulps:+d} ulp, times 2^{exponent}"
                yield _anchored(fmt, amax, 7 * index + ulps + 1), where


def _quotient_edges(fmt: BlockFormat) -> Stimuli:
    # amax / largest in float32, or amax times its reciprocal, may err by an ulp or two here.
    largest = fmt.element.max / pow2(fmt.element.emax)
    for index, exponent in enumerate((-100, -3, 0, 2, 90)):
        edge = _present(exact_bits(largest * pow2(exponent), _F32))
        for ulps in (-3, -2, -1, 0, 1, 2, 3):
            amax = _present(neighbour(edge, _F32, ulps))
            where = f"largest times 2^{exponent} {ulps:+d} ulp"
            yield _anchored(fmt, amax, (5 * index + ulps) % fmt.block_size), where


def _log2_edges(fmt: BlockFormat) -> Stimuli:
    for index, exponent in enumerate(_LOG2_BINADES):
        bound = _present(power_of_two(exponent + 1, _F32))
        for ulps in (-1, 0):
            amax = _present(neighbour(bound, _F32, ulps))
            where = f"2^{exponent + 1}" + (" -1 ulp" if ulps else "")
            yield _anchored(fmt, amax, 3 * index + ulps + 1), where


def _single_bits(fmt: BlockFormat) -> Stimuli:
    for bit in range(23):
        amax = _present(power_of_two(bit % 7 - 3, _F32)) | 1 << bit
        yield _anchored(fmt, amax, 11 * bit), f"mantissa bit {bit}"


def _range_ends(fmt: BlockFormat) -> Stimuli:
    clamp = fmt.scale.emin + fmt.element.emax  # below this exponent of amax the scale clamps
    ends = [(exponent, ulps) for exponent in (-127, -126, clamp, 127) for ulps in (-1, 0, 1)]
    ends += [(-149, 0), (-149, 1), (-149, 2), (-140, 0), (clamp - 1, 0), (clamp + 1, 0)]
    amaxes = {(_present(power_of_two(e, _F32)) + u): f"2^{e} {u:+d} ulp" for e, u in ends}
    amaxes[0x7F7FFFFF] = "largest"
    for index, (bits, name) in enumerate(amaxes.items()):
        lane = 13 * index
        yield _anchored(fmt, bits, lane, positive=True), name
        yield _anchored(fmt, negated(bits, _F32), lane + 1, positive=True), f"-({name})"
    for source in ("bfloat16", "float16"):
        for bits, name in landmarks(source):
            if "zero" not in name and "Inf" not in name and "NaN" not in name:
                amax = _anchored(fmt, bits, bits, source, positive=True)
                yield amax, f"{name} of {SHORT_TYPE[source]}"


def _zeros(fmt: BlockFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        minus, k = negated(0, source), fmt.block_size
        patterns = {
            "all +0": [0] * k,
            "all -0": [minus] * k,
            "alternating": [minus * (lane % 2) for lane in range(k)],
            "-0 first": [minus, *[0] * (k - 1)],
            "-0 last": [*[0] * (k - 1), minus],
        }
        for name, lanes in patterns.items():
            yield Inputs(source, tuple(lanes)), f"{name} of {SHORT_TYPE[source]}"


# --- NaN and infinity ------------------------------------------------------------------------


def _nonfinite(fmt: BlockFormat) -> Stimuli:
    k = fmt.block_size
    for source in INPUT_DIGITS:
        for special, name in landmarks(source):
            if "NaN" not in name and "Inf" not in name:
                continue
            everywhere = source == _F32 and name in ("+quiet NaN", "-Inf")
            lanes = (0, k // 2, k - 1) if source == _F32 else (k - 1,)
            for lane in range(k) if everywhere else lanes:
                block = _filled(fmt, 0, source)
                block[lane] = special
                yield Inputs(source, tuple(block)), f"{name} in lane {lane}"


def _nonfinite_company(fmt: BlockFormat) -> Stimuli:
    k = fmt.block_size
    special = {name: bits for bits, name in landmarks(_F32)}
    nan, inf, minus_inf = special["+quiet NaN"], special["+Inf"], special["-Inf"]
    rest = _filled(fmt, 0, _F32)
    for lanes, name in (
        ([nan] * k, "all NaN"),
        ([inf] * k, "all Inf"),
        ([nan, *[0] * (k - 1)], "NaN and zeros"),
        ([*[0] * (k - 1), minus_inf], "-Inf and zeros"),
        ([inf, *rest[1:-1], minus_inf], "Inf and -Inf"),
        ([nan, *rest[1:-1], inf], "NaN, then Inf"),
        ([minus_inf, *rest[1:-1], nan], "-Inf, then NaN"),
    ):
        yield Inputs(_F32, tuple(lanes)), name


def _zero_lanes(fmt: BlockFormat) -> Stimuli:
    for lane in range(fmt.block_size):
        for zero, name in ((0, "+0"), (negated(0, _F32), "-0")):
            block = _filled(fmt, lane % 5 - 2, _F32)
            block[lane] = zero
            yield Inputs(_F32, tuple(block)), f"{name} in lane {lane}"
    special = {name: bits for bits, name in landmarks(_F32)}
    minus = negated(0, _F32)
    for name in ("+quiet NaN", "-quiet NaN", "+Inf", "-Inf"):
        rest = [0, minus] * (fmt.block_size // 2)
        rest[1] = special[name]
        yield Inputs(_F32, tuple(rest)), f"{name} between zeros of both signs"


# --- elements inside a block -----------------------------------------------------------------


def _element_codes(fmt: BlockFormat) -> Stimuli:
    elem = fmt.element
    probes = [
        _Probe(number.magnitude, negative=bool(number.sign))
        for code, number in finite_codes(elem)
        if code != elem.sign_mask and _keeps_scale(number.magnitude, elem)
    ]
    for block in _probing(fmt, probes):
        yield block, ""


def _element_midpoints(fmt: BlockFormat) -> Stimuli:
    elem = fmt.element
    # Ties beyond the largest value, and negative ones at zero, rest on open points: own groups.
    inner = midpoints(elem)[:-1]
    probes = [
        _Probe(middle, ulps, negative)
        for negative in (False, True)
        for middle in inner[int(negative) :]
        for ulps in (-1, 0, 1)
    ]
    for block in _probing(fmt, probes):
        yield block, ""


def _element_overflow(fmt: BlockFormat) -> Stimuli:
    elem = fmt.element
    for magnitude, name in (
        (elem.max, "largest"),
        (midpoints(elem)[-1], "threshold"),
        (pow2(elem.emax + 1), "next power of two"),
    ):
        for ulps in (-1, 0, 1):
            if ulps >= 0 and not _keeps_scale(magnitude, elem):
                continue
            for negative in (False, True):
                where = f"{'-' if negative else '+'}{name} {ulps:+d} ulp"
                for block in _probing(fmt, [_Probe(magnitude, ulps, negative)]):
                    yield block, where


def _signed_zeros(fmt: BlockFormat) -> Stimuli:
    least = fmt.element.min_subnormal
    for magnitude, ulps, name in (
        (Fraction(0), 0, "-0"),
        (least / 2, 0, "tie at zero"),
        (least / 2, -1, "below the tie at zero"),
        (least / 4, 0, "a quarter of the least"),
        (least * pow2(-60), 0, "tiny"),
    ):
        for block in _probing(fmt, [_Probe(magnitude, ulps, negative=True)] * 2):
            yield block, f"{name}, negative"
    if fmt.element.kind is Kind.FLOAT:
        tie_up = [_Probe(least / 2, 1, negative=True), _Probe(least / 2, 1)]
        for block in _probing(fmt, tie_up):
            yield block, "just above the tie at zero"


# fmt: off
# A table reads best as a table.
QUANTIZE = (
    Covergroup("amax-lane",
               "the largest magnitude in each lane, of either sign: a lane left out, a missing abs",
               ("MX-1.0/6.3/scale",), _amax_lane),
    Covergroup("scale-thresholds",
               "significands of amax at which the known scale rules step, and their neighbours",
               ("MX-1.0/6.3/scale", "MX-1.0/6.3/other-recipes", "OP-SCALE-RULE",
                "OP-SCALE-QUOTIENT"), _thresholds),
    Covergroup("log2-edges",
               "amax just below and at powers of two: a rounded logarithm is one too high",
               ("MX-1.0/6.3/scale", "OP-SCALE-LOG2"), _log2_edges),
    Covergroup("single-bit-significands",
               "one mantissa bit of amax set: a rule that looks at some of the bits only",
               ("MX-1.0/6.3/scale", "OP-SCALE-RULE"), _single_bits),
    Covergroup("range-ends",
               "amax at the ends of its type and where the scale clamps: wrapped or flushed scales",
               ("MX-1.0/5.4/e8m0", "OP-SCALE-RANGE", "OP-SCALE-SUBNORMAL"), _range_ends),
    Covergroup("zero-blocks",
               "nothing but zeros of either sign: log2 of zero, a lost sign",
               ("OP-SCALE-ZERO-BLOCK", "OP-NEG-ZERO", "OFP8-1.0/zero"), _zeros),
    Covergroup("nonfinite",
               "one NaN or infinity in each lane: a lane left out, NaN dropped by a maximum",
               ("OP-SCALE-NONFINITE", "MX-1.0/5.1/nan-scale"), _nonfinite),
    Covergroup("nonfinite-company",
               "NaN and infinity in every lane, among zeros, and together",
               ("OP-SCALE-NONFINITE", "OP-SCALE-ZERO-BLOCK"), _nonfinite_company),
    Covergroup("zero-lanes",
               "a zero of either sign in each lane, and special values between zeros",
               ("MX-1.0/6.3/elements", "OFP8-1.0/zero", "OP-NEG-ZERO", "OP-SCALE-NONFINITE"),
               _zero_lanes),
    Covergroup("element-codes",
               "every element value that leaves the scale alone, under several scales",
               ("MX-1.0/6.3/elements", "MX-1.0/5.3/subnormals"), _element_codes),
    Covergroup("element-midpoints",
               "every tie between element values and its neighbours, under several scales",
               ("MX-1.0/6.3/rounding", "OFP8-1.0/rounding", "OP-ELEM-ROUNDING",
                "OP-SCALED-INTERMEDIATE"), _element_midpoints),
    Covergroup("element-overflow",
               "scaled elements at and beyond the largest value: clamp, NaN or infinity",
               ("MX-1.0/6.3/clamp", "MX-1.0/6.3/clamp-normal", "MX-1.0/6.3/fp8-overflow",
                "OP-FP8-OVERFLOW"), _element_overflow),
    Covergroup("quotient-edges",
               "amax within 3 ulps of the largest value times a power of two: a rounded quotient",
               ("MX-1.0/6.3/other-recipes", "OP-SCALE-QUOTIENT", "OP-SCALE-RULE"),
               _quotient_edges),
    Covergroup("wrong-steps",
               "significands of amax at which wrong rules step, at an even and an odd exponent",
               ("MX-1.0/6.3/scale", "MX-1.0/6.3/other-recipes", "OP-SCALE-RULE"),
               _wrong_steps),
    Covergroup("signed-zeros",
               "-0 and negative elements that round to zero beside a normal one",
               ("OFP8-1.0/underflow", "MX-1.0/6.3/underflow", "OP-NEG-ZERO"), _signed_zeros),
)
# fmt: on
