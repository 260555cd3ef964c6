"""Stochastic rounding with given random bits: covergroups of encode, and what they expect.

With R given a stochastic rounding is as reproducible as any other. A magnitude between two
neighbouring values, a fraction f of their distance above the lower one, goes up from some R on; the
three modes put that threshold at slightly different places, and mistakes put it elsewhere
(OP-ELEM-STOCHASTIC).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from mxref.exact import element, ieee
from mxref.exact.number import Number, NumberClass
from mxref.formats import ElementFormat, Kind, pow2
from mxref.policy import Policy
from mxref.vectors.bits import exact_bits, finite_codes, landmarks, negated, neighbour
from mxref.vectors.choices import Outcome, tabulate
from mxref.vectors.covergroups import Covergroup, Stimuli
from mxref.vectors.expectation import Expectation, deciding, verdict_of
from mxref.vectors.operations import Inputs, Output

__all__ = ["STOCHASTIC", "expect_stochastic"]

_N = 16  # random bits a rounding: stochastic_bits of the policies that have vectors
_ALL = (1 << _N) - 1
_F32 = "float32"
# Whatever the fraction: none, the least, those around a half, all, and two whose bits or bytes,
# reversed or cut off, lie on the other side of most thresholds.
_EVER = (0, 1, 0x00FF, 0x7FFF, 0x8000, 0xFF00, _ALL)
_FEW = (0, 0x8000, _ALL)
_UNIT = pow2(-_N)


# --- covergroups -----------------------------------------------------------------------------


class _Gap(NamedTuple):
    """Two neighbouring magnitudes, and where they lie."""

    low: Fraction
    high: Fraction
    where: str

    def at(self, fraction: Fraction) -> Fraction:
        return self.low + fraction * (self.high - self.low)


def _gaps(fmt: ElementFormat) -> Iterator[_Gap]:
    """Gaps that a rounding treats apart, as far as the format has them."""
    magnitudes = sorted({n.magnitude for _, n in finite_codes(fmt) if n.magnitude <= fmt.max})
    pairs = list(itertools.pairwise(magnitudes))
    one = next(index for index, low in enumerate(magnitudes) if low >= 1)
    chosen = {
        "below the least": 0,
        "above the least": 1,
        "even code above 1" if one % 2 == 0 else "odd code above 1": one,
        "odd code above 1" if one % 2 == 0 else "even code above 1": one + 1,
        "below 1": one - 1,
        "below 4": magnitudes.index(Fraction(4)) - 1 if Fraction(4) in magnitudes else -1,
        "below the largest": len(pairs) - 1,
    }
    least_normal = fmt.min_normal
    if fmt.kind is Kind.FLOAT and least_normal is not None:
        chosen["below the least normal"] = magnitudes.index(least_normal) - 1
    seen = set()
    for where, index in chosen.items():
        if index not in seen and 0 <= index < len(pairs):
            seen.add(index)
            yield _Gap(*pairs[index], where)
    step = magnitudes[-1] - magnitudes[-2]
    yield _Gap(magnitudes[-1], magnitudes[-1] + step, "above the largest")


def _draws(fraction: Fraction) -> list[int]:
    """R around the thresholds of the three modes, and a few whatever the fraction."""
    threshold = (1 << _N) - int(fraction / _UNIT)
    near = range(threshold - 2, threshold + 2)
    return sorted({*_EVER, *(R for R in near if 0 <= R <= _ALL)})


def _drawn(
    gap: _Gap, fraction: Fraction, source: str, draws: list[int], *, negative: bool, ulps: int = 0
) -> Stimuli:
    """One input under several R; nothing where its type does not have the number."""
    bits = exact_bits(gap.at(fraction), source)
    near = None if bits is None else neighbour(bits, source, ulps)
    if near is None:
        return
    signed = negated(near, source) if negative else near
    parts = f"{fraction.numerator}/{fraction.denominator}" if fraction else "0"
    where = f"{gap.where}, {parts} of the way" + (f" {ulps:+d} ulp" if ulps else "")
    for R in draws:
        yield Inputs(source, (signed,), random=(R,)), f"{where}, R {R:04x}"


def _quarters(fmt: ElementFormat) -> Stimuli:
    fractions = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
    for number, gap in enumerate(_gaps(fmt)):
        for index, fraction in enumerate(fractions):
            negative = (number + index) % 2 == 1
            yield from _drawn(gap, fraction, _F32, _draws(fraction), negative=negative)
            if index == 1:
                yield from _drawn(gap, fraction, _F32, list(_FEW), negative=not negative)


def _fine(fmt: ElementFormat) -> Stimuli:
    """Fractions of which every bit counts, or which have more bits than R."""
    fractions = (
        _UNIT,
        _UNIT / 2,
        3 * _UNIT / 2,
        Fraction(0x1234, 1 << _N),
        Fraction(0x1234, 1 << _N) + _UNIT / 2,
        Fraction(0xABCD, 1 << _N),
        1 - _UNIT / 2,
        1 - 3 * _UNIT / 2,
    )
    for number, gap in enumerate(_gaps(fmt)):
        for index, fraction in enumerate(fractions):
            if (number + index) % 2:  # each of them at half of the places
                continue
            draws = [R for R in _draws(fraction) if R not in _EVER or R in (0, _ALL)]
            yield from _drawn(gap, fraction, _F32, draws, negative=(number + index) % 4 == 0)


def _sticky(fmt: ElementFormat) -> Stimuli:
    """One ulp of the input beside a value or a fraction: bits that R does not reach."""
    for number, gap in enumerate(_gaps(fmt)):
        for index, (fraction, ulps) in enumerate(
            ((Fraction(0), 1), (Fraction(1, 2), -1), (Fraction(1, 2), 1), (Fraction(1), -1))
        ):
            negative = (number + index) % 2 == 1
            half = (1 << _N) - int(fraction / _UNIT)
            draws = [R for R in (0, half - 1, half, half + 1, _ALL) if 0 <= R <= _ALL]
            draws = list(dict.fromkeys(draws))
            yield from _drawn(gap, fraction, _F32, draws, negative=negative, ulps=ulps)


def _narrow_types(fmt: ElementFormat) -> Stimuli:
    for source in ("bfloat16", "float16"):
        for number, gap in enumerate(_gaps(fmt)):
            for fraction in (Fraction(1, 4), Fraction(1, 2), Fraction(5, 8)):
                threshold = (1 << _N) - int(fraction / _UNIT)
                draws = [0, threshold - 1, threshold, _ALL]
                yield from _drawn(gap, fraction, source, draws, negative=number % 2 == 0)


def _tiny(fmt: ElementFormat) -> Stimuli:
    """Far below the least value: fractions too small for R, or just large enough."""
    gap = _Gap(Fraction(0), fmt.min_subnormal, "far below the least")
    for ulps in (-1, 1):  # beside a tie between two values of R; the input has many bits below it
        for factor in (1, 3, 5):
            fraction = factor * _UNIT / 2
            R = (1 << _N) - 1 - factor // 2
            draws = [R, R - 1]
            yield from _drawn(gap, fraction, _F32, draws, negative=ulps < 0, ulps=ulps)
    for exponent in (-15, -16, -17, -18, -40):
        fraction = pow2(exponent)
        for negative in (False, True):
            yield from _drawn(
                gap, fraction, _F32, [0, _ALL - 1, _ALL] if exponent > -18 else [_ALL],
                negative=negative,
            )  # fmt: skip


def _far_beyond(fmt: ElementFormat) -> Stimuli:
    for exponent in (1, 2, 3, 5, 9, 40):
        low, high = pow2(fmt.emax + exponent), pow2(fmt.emax + exponent + 1)
        gap = _Gap(low, high, f"2^{exponent} times the largest power")
        for fraction in (Fraction(0), Fraction(1, 4), Fraction(3, 4)):
            negative = exponent % 2 == 0
            yield from _drawn(gap, fraction, _F32, [0, _ALL], negative=negative)


def _exact_values(fmt: ElementFormat) -> Stimuli:
    codes = finite_codes(fmt)
    for index, (code, number) in enumerate(codes):
        if len(codes) > 64 and index % 5 and number.magnitude != fmt.max:
            continue
        bits = exact_bits(number.magnitude, _F32)
        if bits is not None:
            signed = negated(bits, _F32) if number.sign else bits
            for R in (0, _ALL) if index % 2 else (0x8000,):
                yield Inputs(_F32, (signed,), random=(R,)), f"value of {code:02x}, R {R:04x}"


def _specials(_: ElementFormat) -> Stimuli:
    for bits, name in landmarks(_F32):
        if any(word in name for word in ("zero", "Inf", "NaN", "largest", "least")):
            for R in (0, _ALL):
                yield Inputs(_F32, (bits,), random=(R,)), f"{name}, R {R:04x}"
    for source in ("bfloat16", "float16"):
        for bits, name in landmarks(source):
            if "normal" in name or "largest" in name:
                for random in (0, 0x7FFF, 0xFFFF):
                    yield Inputs(source, (bits,), random=(random,)), f"{name} of {source}"


_OPEN = ("OP-ELEM-STOCHASTIC", "OFP8-1.0/rounding-other", "MX-1.0/6.3/rounding-other")

# fmt: off
STOCHASTIC = (
    Covergroup("stochastic-quarters",
               "a quarter, half and three quarters of the way, R at and beside the threshold: R"
               " ignored, cut off, bits reversed, or compared the wrong way round",
               _OPEN, _quarters),
    Covergroup("stochastic-fine",
               "fractions of 16 and 17 bits: every bit of R counts, and the three modes differ",
               _OPEN, _fine),
    Covergroup("stochastic-sticky",
               "one ulp of the input beside a value or a tie: bits below those that R reaches",
               _OPEN, _sticky),
    Covergroup("stochastic-narrow-types",
               "bfloat16 and float16 inputs: R aligned to the wrong end of a short significand",
               _OPEN, _narrow_types),
    Covergroup("stochastic-tiny",
               "far below the least value: up at random only while the fraction reaches R's bits",
               (*_OPEN, "OP-NEG-ZERO", "OFP8-1.0/underflow", "MX-1.0/6.3/underflow"), _tiny),
    Covergroup("stochastic-overflow",
               "far beyond the range, whatever R: no draw brings these back",
               (*_OPEN, "OP-FP8-OVERFLOW", "MX-1.0/6.3/clamp", "OFP8-1.0/order"), _far_beyond),
    Covergroup("stochastic-exact",
               "values of the format under any R: what needs no rounding gets none",
               (*_OPEN, "OFP8-1.0/in-range"), _exact_values),
    Covergroup("stochastic-specials",
               "zeros, infinities, NaN and the ends of the input type's ranges under any R",
               (*_OPEN, "OFP8-1.0/zero", "OFP8-1.0/nan", "OP-INF-ELEMENT"), _specials),
)
# fmt: on


# --- expectation -----------------------------------------------------------------------------


def expect_stochastic(fmt: ElementFormat, policy: Policy, inputs: Inputs) -> Expectation:
    """Work out the code of one number under a stochastic rounding, its random bits given.

    Parameters
    ----------
    fmt : ElementFormat
        The element format.
    policy : Policy
        The policy of the file, with a stochastic ``rounding``; it, ``stochastic`` and
        ``stochastic_bits`` are taken for granted.
    inputs : Inputs
        The number, and R in ``random``.

    Notes
    -----
    OP-ELEM-STOCHASTIC. The standards speak of other rounding modes in OFP8-1.0/rounding-other and
    MX-1.0/6.3/rounding-other.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> from mxref.policy import get_policy
    >>> policy, e2m1 = get_policy("ocp:rounding=stochastic-a"), element_format("e2m1")
    >>> quarter = 0x3FA00000  # 1.25, halfway between 1 and 1.5
    >>> for R in (0x7FFF, 0x8000):
    ...     found = expect_stochastic(e2m1, policy, Inputs("float32", (quarter,), random=(R,)))
    ...     print(found.members[0].out.bits, found.verdict)
    (2,) must
    (3,) must
    """
    from mxref.vectors.expect import expect  # it imports this module

    source, R = str(inputs.type), inputs.random[0]
    number = ieee.from_bits(inputs.bits[0], source)
    own = {"OP-ELEM-STOCHASTIC"}
    if number.cls in (NumberClass.NAN, NumberClass.INF):
        # Nothing is rounded, so R does not matter.
        found = expect("encode", fmt, policy, replace(inputs, random=()))
        return replace(found, clauses=tuple(sorted(own | set(found.clauses))))

    def outcome(p: Policy) -> Outcome:
        code = element.encode(number, fmt, p, source=source, random=R)
        return code, Output((code,))

    members = tabulate(policy, _fields(fmt, number, source), outcome)
    own.add("OFP8-1.0/rounding-other" if fmt.is_fp8 else "MX-1.0/6.3/rounding-other")
    out = members[0].out
    rounds_to_zero = out is not None and out.bits[0] & (fmt.sign_mask - 1) == 0
    if number.cls is NumberClass.ZERO:
        own |= {"OFP8-1.0/zero"} if fmt.is_fp8 else set()
    elif number.magnitude > fmt.max:
        own |= {"OFP8-1.0/order"} if fmt.is_fp8 else {"MX-1.0/6.3/clamp"}
    elif fmt.kind is Kind.FLOAT and rounds_to_zero:
        own.add("OFP8-1.0/underflow" if fmt.is_fp8 else "MX-1.0/6.3/underflow")
    return Expectation(members, verdict_of(members), tuple(sorted(own | deciding(members))))


def _fields(fmt: ElementFormat, number: Number, source: str) -> tuple[str, ...]:
    """Fields other than the rounding that may decide the code of a finite number."""
    if fmt.is_fp8:
        # OFP8-1.0/sign keeps the sign of zero. Which NaN an overflow gives is a choice, too.
        fields: tuple[str, ...] = ("fp8_overflow", "nan_payload")
    else:
        fields = ("neg_zero" if fmt.kind is Kind.FLOAT else "int8_min",)
    is_subnormal = ieee.flushed(number, source).cls is not number.cls
    return (*fields, "input_subnormal") if is_subnormal else fields
