"""Covergroups: sets of inputs built to reach one situation, each with its reason and clauses.

Nothing here is random, and nothing here knows an expected output. This module holds the groups of
encode and decode, `mxref.vectors.blocks` those of quantize.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from mxref.formats import ElementFormat, Kind, ScaleFormat, pow2
from mxref.vectors.bits import (
    exact_bits,
    finite_codes,
    landmarks,
    midpoints,
    negated,
    neighbour,
)
from mxref.vectors.operations import INPUT_DIGITS, SHORT_TYPE, Inputs

__all__ = ["DECODE", "ENCODE_ELEMENT", "ENCODE_SCALE", "Covergroup", "Stimuli"]

_WIDE = "float32"
_DENSE = 8

Stimuli = Iterator[tuple[Inputs, str]]
"""Inputs, each with a few words for the comment of the case (may be empty)."""


@dataclass(frozen=True, slots=True)
class Covergroup:
    """A named set of inputs.

    Attributes
    ----------
    name, reason : str
        Name in lower case with hyphens, and one line that says which mistake hides there.
    clauses : tuple of str
        Clauses and open points that the group is about.
    stimuli : callable
        Gives the inputs for a format: ElementFormat or ScaleFormat here, BlockFormat for quantize.
    """

    name: str
    reason: str
    clauses: tuple[str, ...]
    stimuli: Callable[..., Stimuli]


def _around(
    source: str, value: Fraction, reach: int, detail: str, *, positive: bool = False
) -> Stimuli:
    """A value and its neighbours up to `reach` ulps of the input type, with both signs.

    Nothing where the input type does not have the value.
    """
    bits = exact_bits(value, source)
    if bits is None:
        return
    for ulps in range(-reach, reach + 1):
        near = neighbour(bits, source, ulps)
        where = f"{detail} {ulps:+d} ulp" if ulps else detail
        if near is not None:
            yield Inputs(source, (near,)), where
            if not positive:
                yield Inputs(source, (negated(near, source),)), where


# --- decode ----------------------------------------------------------------------------------


def _every_code(fmt: ElementFormat | ScaleFormat) -> Stimuli:
    for code in range(fmt.code_count):
        yield Inputs(None, (code,)), ""


DECODE = (
    Covergroup(
        "every-code",
        "all bit patterns of the format; a wrong bias, subnormal or special code shows at once",
        ("MX-1.0/5.3/subnormals", "MX-1.0/5.3.4/int8-min", "MX-1.0/5.4/e8m0", "OP-DECODE-NAN"),
        _every_code,
    ),
)


# --- encode to an element --------------------------------------------------------------------


def _code_values(fmt: ElementFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        for code, number in finite_codes(fmt):
            bits = exact_bits(number.magnitude, source)
            if bits is not None:
                signed = negated(bits, source) if number.sign else bits
                yield Inputs(source, (signed,)), f"value of {code:02x}"


def _midpoints(fmt: ElementFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        for middle in midpoints(fmt):
            yield from _around(source, middle, 1, "tie")


def _overflow_edge(fmt: ElementFormat) -> Stimuli:
    threshold = midpoints(fmt)[-1]
    for source in INPUT_DIGITS:
        yield from _around(source, fmt.max, 3, "largest")
        yield from _around(source, threshold, 3, "overflow threshold")
        yield from _around(source, 2 * threshold - fmt.max, 3, "one step past the largest")
        yield from _around(source, pow2(fmt.emax + 1), 3, "next power of two")
        yield from _around(source, pow2(fmt.emax + 2), 1, "far beyond")


def _underflow_edge(fmt: ElementFormat) -> Stimuli:
    least = fmt.min_subnormal
    for source in INPUT_DIGITS:
        yield from _around(source, least / 4, 1, "quarter of the least")
        yield from _around(source, least / 2, 3, "half the least")
        yield from _around(source, least, 3, "least subnormal")
        yield from _around(source, fmt.min_normal or least, 3, "least normal")
        edge = (fmt.min_normal or least) - least / 2
        yield from _around(source, edge, 3, "tie at the least normal")


def _nan_payloads(_: ElementFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        special = {name: bits for bits, name in landmarks(source)}
        infinity, width = special["+Inf"], (special["+least normal"]).bit_length() - 1
        for place in range(width):
            bits = infinity | 1 << place
            signed = negated(bits, source) if place % 2 else bits
            yield Inputs(source, (signed,)), f"bit {place} of the mantissa"


def _classes(fmt: ElementFormat) -> list[tuple[str, int]]:
    """Positive codes with an even and an odd last bit, for each class of magnitudes."""
    one = 1 << fmt.mantissa_bits
    if fmt.kind is Kind.FIXED:
        return [("small", 2), ("small", 3), ("large", 0x62), ("large", 0x63)]
    middle = (fmt.max_magnitude >> fmt.mantissa_bits) // 2 * one
    top = fmt.max_magnitude & ~(one - 1)
    found = [("least normal binade", one), ("middle binade", middle), ("top binade", top)]
    if fmt.mantissa_bits > 1:
        found.insert(0, ("subnormal", 2))
    else:
        found.insert(0, ("subnormal", 0))
    return [(name, code + last) for name, code in found for last in (0, 1)]


def _guard_and_sticky(fmt: ElementFormat) -> Stimuli:
    finite = [n.magnitude for code, n in finite_codes(fmt) if not n.sign]
    for source in INPUT_DIGITS:
        for name, code in _classes(fmt):
            if code + 1 >= len(finite):
                continue
            low, step = finite[code], finite[code + 1] - finite[code]
            for guard in (0, 1):
                # A lone bit behind the guard, walking down to the last bit of the input.
                sticky, place = step / 4, 2
                while sticky:
                    bits = exact_bits(low + guard * step / 2 + sticky, source)
                    if bits is None:
                        break
                    detail = f"{name}, last bit {code & 1}, guard {guard}, sticky {place} behind"
                    yield Inputs(source, (bits,)), detail
                    yield Inputs(source, (negated(bits, source),)), detail
                    sticky, place = sticky / 2, place + 1
                    if source == _WIDE and place > _DENSE:
                        sticky /= 2  # every other bit will do far behind
                        place += 1


def _far_below(fmt: ElementFormat) -> Stimuli:
    value = fmt.min_subnormal / 4
    while (bits := exact_bits(value, _WIDE)) is not None:
        where = f"2^{value.denominator.bit_length() - 1} below one"
        yield Inputs(_WIDE, (bits,)), where
        longer = exact_bits(value * Fraction(31, 16), _WIDE)
        if longer is not None:
            yield Inputs(_WIDE, (negated(longer, _WIDE),)), f"31/16 times {where}"
        value /= 2


def _specials(_: ElementFormat | ScaleFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        for bits, name in landmarks(source):
            yield Inputs(source, (bits,)), f"{name} of {SHORT_TYPE[source]}"


ENCODE_ELEMENT = (
    Covergroup(
        "code-values",
        "the value of every code comes back as that code: an encoder must be exact where it can",
        ("OFP8-1.0/in-range", "MX-1.0/5.3/subnormals", "OP-NEG-ZERO"),
        _code_values,
    ),
    Covergroup(
        "midpoints",
        "every tie and its neighbours at one ulp of the input: ties away, truncation, lost sticky"
        " bits and double rounding all differ here",
        ("OFP8-1.0/rounding", "MX-1.0/6.3/rounding", "OP-ELEM-ROUNDING"),
        _midpoints,
    ),
    Covergroup(
        "overflow-edge",
        "three ulps around the largest value and the threshold: range checked before rounding",
        ("OFP8-1.0/order", "OFP8-1.0/thresholds", "MX-1.0/6.3/clamp", "OP-FP8-OVERFLOW",
         "OP-INT8-MIN"),
        _overflow_edge,
    ),
    Covergroup(
        "underflow-edge",
        "three ulps around half the least value and the least normal: flushed subnormals, a lost"
        " sign of zero",
        ("OFP8-1.0/underflow", "MX-1.0/6.3/underflow", "OP-ELEM-SUBNORMAL", "OP-NEG-ZERO"),
        _underflow_edge,
    ),
    Covergroup(
        "specials",
        "zeros, infinities, quiet and signalling NaN, and the ends of the input type's ranges",
        ("OFP8-1.0/nan", "OFP8-1.0/inf-sat", "MX-1.0/5.3/nan-source", "OP-NAN-PAYLOAD",
         "OP-NAN-ELEMENT", "OP-INF-ELEMENT"),
        _specials,
    ),
    Covergroup(
        "guard-sticky",
        "last bit x guard bit x a lone sticky bit at each place, for each class of magnitudes: a"
        " rounding that looks at some of the bits only",
        ("OFP8-1.0/rounding", "MX-1.0/6.3/rounding", "MX-1.0/5.3/subnormals"),
        _guard_and_sticky,
    ),
    Covergroup(
        "nan-payloads",
        "NaN with one mantissa bit: a NaN taken for infinity, a payload cut at the wrong place",
        ("OFP8-1.0/nan", "MX-1.0/5.3/nan-source", "OP-NAN-PAYLOAD", "OP-NAN-ELEMENT"),
        _nan_payloads,
    ),
    Covergroup(
        "far-below",
        "every binade below the least value: a shift count that wraps at 32 or 64",
        ("OFP8-1.0/underflow", "MX-1.0/6.3/underflow"),
        _far_below,
    ),
)  # fmt: skip


# --- encode to E8M0 --------------------------------------------------------------------------

# bfloat16 has the exponents of float32: a few binades show how its shorter significand is read.
_BFLOAT16_BINADES = (-126, -125, -100, -64, -2, -1, 0, 1, 2, 63, 100, 126, 127)


def _powers(fmt: ScaleFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        for exponent in range(fmt.emin, fmt.emax + 1):
            bits = exact_bits(pow2(exponent), source)
            if bits is not None:
                yield Inputs(source, (bits,)), f"2^{exponent}"


def _binades(fmt: ScaleFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        chosen = range(fmt.emin, fmt.emax + 1) if source != "bfloat16" else _BFLOAT16_BINADES
        for exponent in chosen:
            low, tie = (exact_bits(f * pow2(exponent), source) for f in (1, Fraction(3, 2)))
            if low is None or tie is None:
                continue
            for bits, ulps, name in ((low, 1, "just above"), (tie, -1, "below 1.5 times"),
                                     (tie, 0, "1.5 times"), (tie, 1, "above 1.5 times"),
                                     (low, -1, "just below")):  # fmt: skip
                near = neighbour(bits, source, ulps)
                if near is not None:
                    yield Inputs(source, (near,)), f"{name} 2^{exponent}"


def _scale_range(fmt: ScaleFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        for exponent in (fmt.emin - 22, fmt.emin - 2, fmt.emin - 1, fmt.emin, fmt.emin + 1):
            yield from _around(source, pow2(exponent), 3, f"2^{exponent}", positive=True)


def _negative(_: ScaleFormat) -> Stimuli:
    for source in INPUT_DIGITS:
        for exponent in (-126, -14, -1, 0, 1, 15, 127):
            for factor in (Fraction(1), Fraction(3, 2)):
                bits = exact_bits(-factor * pow2(exponent), source)
                if bits is not None:
                    yield Inputs(source, (bits,)), f"-{float(factor):g} times 2^{exponent}"


ENCODE_SCALE = (
    Covergroup(
        "powers-of-two",
        "the value of every code comes back as that code, whatever the rounding",
        ("MX-1.0/5.4/e8m0",),
        _powers,
    ),
    Covergroup(
        "binades",
        "beside each power of two and around 1.5 times it: down, up and nearest differ here",
        ("OP-E8M0-CAST",),
        _binades,
    ),
    Covergroup(
        "low-end",
        "around 2^-127 and below, in float32's subnormals: flushing, and code 0 taken for zero",
        ("MX-1.0/5.4/e8m0", "OP-E8M0-CAST", "OP-SCALE-SUBNORMAL"),
        _scale_range,
    ),
    Covergroup(
        "negative", "E8M0 has no sign: NaN, or the sign dropped", ("OP-E8M0-CAST",), _negative
    ),
    Covergroup(
        "specials",
        "zeros, infinities, NaN, and the ends of the input type's ranges",
        ("MX-1.0/5.4/e8m0", "OP-E8M0-CAST"),
        _specials,
    ),
)
