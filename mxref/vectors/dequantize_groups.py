"""Covergroups of dequantize: blocks of codes under scale codes, built to reach one situation.

Elements move from lane to lane as the scale code changes, so that a lane read wrongly shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mxref.exact import element
from mxref.exact.number import NumberClass
from mxref.formats import BlockFormat, ElementFormat, Kind, pow2
from mxref.vectors.bits import finite_codes
from mxref.vectors.covergroups import Covergroup, Stimuli
from mxref.vectors.operations import Inputs

__all__ = ["DEQUANTIZE"]

_SCALES = (0x7F, 0x00, 0x01, 0x02, 0x7E, 0x80, 0xFD, 0xFE)
_ONE, _NAN = 0x7F, 0xFF
_SUBNORMAL_END = pow2(-126)
_FLOAT32_END = pow2(128)


def _block(fmt: BlockFormat, codes: Sequence[int], scale_code: int, turn: int = 0) -> Inputs:
    """A block of these codes, repeated to its length and moved up by some lanes."""
    k = fmt.block_size
    lanes = tuple(codes[(lane - turn) % k % len(codes)] for lane in range(k))
    return Inputs(None, lanes, (scale_code,))


def _magnitudes(elem: ElementFormat) -> dict[str, int]:
    """Codes that stand for the ends and the middle of an element format."""
    codes = {n.value: code for code, n in finite_codes(elem) if n.cls is NumberClass.FINITE}
    least_normal = elem.min_normal or elem.min_subnormal
    return {
        "least": codes[elem.min_subnormal],
        "least normal": codes[least_normal],
        "one": codes[Fraction(1)],
        "largest": codes[elem.max],
        "-one": codes[Fraction(-1)],
        "-largest": codes[-elem.max],
        "-least": codes[-elem.min_subnormal],
    }


def _every_element(fmt: BlockFormat) -> Stimuli:
    k, count = fmt.block_size, fmt.element.code_count
    for turn, scale_code in enumerate(_SCALES):
        for first in range(0, count, k):
            codes = range(first, min(first + k, count))
            where = f"codes from {first:02x} under {scale_code:02x}"
            yield _block(fmt, codes, scale_code, 5 * turn), where


def _every_scale(fmt: BlockFormat) -> Stimuli:
    zeros = (0, fmt.element.sign_mask) if fmt.element.kind is Kind.FLOAT else (0,)
    codes = (*_magnitudes(fmt.element).values(), *zeros)
    for scale_code in range(fmt.scale.code_count):
        yield _block(fmt, codes, scale_code, scale_code), f"scale code {scale_code:02x}"


def _nan_scale(fmt: BlockFormat) -> Stimuli:
    elem = fmt.element
    for name, code in {"zero": 0, "sign bit alone": elem.sign_mask, **_magnitudes(elem)}.items():
        yield _block(fmt, (code,), _NAN), f"{name} in every lane"
    yield _block(fmt, range(min(elem.code_count, fmt.block_size)), _NAN), "different codes"
    for name, codes in _specials(elem).items():
        yield _block(fmt, codes, _NAN), name
        yield _block(fmt, (*codes, 0, _magnitudes(elem)["one"]), _NAN), f"{name} and numbers"


def _specials(elem: ElementFormat) -> dict[str, list[int]]:
    """Codes of NaN and of infinity, as far as there are any."""
    by_class: dict[str, list[int]] = {}
    for code in range(elem.code_count):
        cls = element.decode(code, elem).cls
        if cls in (NumberClass.NAN, NumberClass.INF):
            name = "NaN" if cls is NumberClass.NAN else "Inf"
            by_class.setdefault(name, []).append(code)
    return by_class


def _special_elements(fmt: BlockFormat) -> Stimuli:
    elem = fmt.element
    one, ones = _magnitudes(elem)["one"], elem.sign_mask - 1
    # Elsewhere the codes that look like NaN, or are NaN in a relative of the format, are numbers.
    lookalikes = {"no NaN, the number": [ones, elem.sign_mask | ones, elem.sign_mask]}
    for name, codes in (_specials(elem) or lookalikes).items():
        for scale_code in (0x00, 0x01, 0x40, 0x7E, _ONE, 0x80, 0xC0, 0xFD, 0xFE):
            for code in codes:
                where = f"{name} {code:02x} under {scale_code:02x}"
                # Numbers beside it: it must not spread.
                lanes = [one] * fmt.block_size
                lanes[(scale_code + code) % fmt.block_size] = code
                yield _block(fmt, lanes, scale_code), where


def _overflow(fmt: BlockFormat) -> Stimuli:
    """Scales around the one from which on an element leaves the range of float32."""
    elem = fmt.element
    numbers = [n for n in finite_codes(elem) if n[1].cls is NumberClass.FINITE]
    for code, number in numbers:
        top = _floor_log2(number.magnitude)
        last = 254 - top  # the last scale code under which it stays below 2^128
        if last >= fmt.scale.max_code:
            continue
        if not _is_power_or_largest(number.magnitude, elem):
            continue
        for scale_code in (last, last + 1):
            where = f"{code:02x} times 2^{scale_code - 127}"
            yield _block(fmt, (code, 0, 0), scale_code, code), where
    yield _block(fmt, [code for code, _ in numbers], fmt.scale.max_code), "all that there is"


def _floor_log2(value: Fraction) -> int:
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if pow2(guess) <= value else guess - 1


def _is_power_or_largest(magnitude: Fraction, elem: ElementFormat) -> bool:
    return magnitude in (elem.max, pow2(_floor_log2(magnitude)))


def _subnormal_results(fmt: BlockFormat) -> Stimuli:
    elem = fmt.element
    numbers = [n for n in finite_codes(elem) if n[1].cls is NumberClass.FINITE]
    for scale_code in range(160):
        X = pow2(scale_code - fmt.scale.bias)
        below = [code for code, n in numbers if n.magnitude * X < _SUBNORMAL_END]
        edge = [code for code, n in numbers if n.magnitude * X == _SUBNORMAL_END]
        if not below:
            return
        # Some of all, and those next to the least normal float32.
        codes = (*edge, *below[:: max(1, len(below) // 9)][:10], below[-1])
        yield _block(fmt, codes, scale_code, scale_code), f"scale code {scale_code:02x}"


def _positions(fmt: BlockFormat) -> Stimuli:
    finite = [code for code, _ in finite_codes(fmt.element)]
    n, k = len(finite), fmt.block_size
    for step in (1, 3, 5, 7, n - 1):
        codes = [finite[(step * lane + lane // n * 3) % n] for lane in range(k)]
        for scale_code in (0x7C, 0x85):
            yield _block(fmt, codes, scale_code), f"step {step} under {scale_code:02x}"
    one = _magnitudes(fmt.element)["one"]
    for lane in range(k):
        codes = [0] * k
        codes[lane] = one
        yield _block(fmt, codes, 0x60 + lane), f"one in lane {lane}"


def _zeros(fmt: BlockFormat) -> Stimuli:
    signs = (0, fmt.element.sign_mask) if fmt.element.kind is Kind.FLOAT else (0,)
    for scale_code in (0x00, 0x01, 0x67, _ONE, 0x86, 0xFD, 0xFE):
        for code in signs:
            name = "-0" if code else "0"
            yield _block(fmt, (code,), scale_code), f"{name} under {scale_code:02x}"
        yield _block(fmt, signs[::-1], scale_code, 1), f"zeros under {scale_code:02x}"


# fmt: off
DEQUANTIZE = (
    Covergroup("every-element",
               "every element code under scales of 1 and at the ends: wrong tables, a scale that"
               " is not applied or applied to some",
               ("MX-1.0/5.1/value", "MX-1.0/5.3/subnormals", "MX-1.0/5.3.4/int8-min"),
               _every_element),
    Covergroup("every-scale",
               "every scale code with the least, largest, middle and zero elements: codes flushed,"
               " taken for NaN or for zero",
               ("MX-1.0/5.4/e8m0", "MX-1.0/5.1/nan-scale"), _every_scale),
    Covergroup("nan-scale",
               "the scale code ff above every kind of element: all lanes are NaN, whatever they"
               " hold",
               ("MX-1.0/5.1/nan-scale", "OP-DECODE-NAN"), _nan_scale),
    Covergroup("special-elements",
               "a NaN or infinite element under ordinary scales, among numbers: it neither scales"
               " nor spreads; where a format has none, the codes that might be taken for one",
               ("MX-1.0/5.1/special-elements", "OP-DECODE-NAN"), _special_elements),
    Covergroup("overflow",
               "products just inside and just beyond the range of float32",
               ("MX-1.0/5.1/overflow", "OP-DECODE-OVERFLOW"), _overflow),
    Covergroup("subnormal-results",
               "products below 2^-126, exact as subnormals: flushed, or lost in a reciprocal",
               ("MX-1.0/5.1/underflow", "OP-ELEM-SUBNORMAL"), _subnormal_results),
    Covergroup("positions",
               "different codes in all lanes, and one lane at a time: exchanged nibbles, halves",
               ("MX-1.0/5.1/value", "OP-PACKING"), _positions),
    Covergroup("zeros",
               "zeros of either sign under every kind of scale: they stay what they are",
               ("MX-1.0/5.1/value", "OP-NEG-ZERO"), _zeros),
)
# fmt: on
