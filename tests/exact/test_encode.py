"""Element encoding against "the nearest of the code points", found by looking at all of them.

The oracle below knows formats by decoding only: it sorts the values, adds the one that would come
next beyond the largest, and applies the words of each rounding mode to the two neighbours.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref._choices import FP8Overflow, Int8Min, NanElement, NanPayload, NegZero, Rounding
from mxref.exact import element
from mxref.exact.number import Number, NumberClass
from mxref.formats import ELEMENT_FORMATS
from mxref.policy import Policy

FORMATS = list(ELEMENT_FORMATS)
REAL = (NumberClass.ZERO, NumberClass.FINITE)
TINY = Fraction(1, 2**300)
# Beyond range in a direction that points toward zero, a finite number stays finite.
INWARD = {
    (Rounding.TOWARD_ZERO, 0),
    (Rounding.TOWARD_ZERO, 1),
    (Rounding.TO_ODD, 0),
    (Rounding.TO_ODD, 1),
    (Rounding.DOWN, 0),
    (Rounding.UP, 1),
}
# The modes that need no random bits.
DETERMINISTIC = [mode for mode in Rounding if not mode.startswith("stochastic")]
OVERFLOWS_TO = {("e4m3", 0): 0x7F, ("e4m3", 1): 0x7F, ("e5m2", 0): 0x7C, ("e5m2", 1): 0xFC}


@functools.cache
def ladder(name, sign, int8_min):
    """Magnitudes and codes with this sign, ascending; the last magnitude has no code."""
    codes = {}
    for code in range(ELEMENT_FORMATS[name].code_count):
        n = element.decode(code, name)
        if n.cls in REAL and (n.sign == sign or (name == "int8" and code == 0)):
            codes[n.magnitude] = code
    if name == "int8" and int8_min is Int8Min.UNUSED:
        codes.pop(Fraction(2), None)
    magnitudes = sorted(codes)
    beyond = 2 * magnitudes[-1] - magnitudes[-2]
    return [*magnitudes, beyond], [codes[m] for m in magnitudes]


def oracle(magnitude, sign, name, policy):
    """The code of a real number, by definition over the list of all values."""
    magnitudes, codes = ladder(name, sign, policy.int8_min)
    lower = bisect.bisect_right(magnitudes, magnitude) - 1
    chosen = lower
    if lower < len(codes) and magnitudes[lower] != magnitude:
        to_lower = magnitude - magnitudes[lower]
        to_upper = magnitudes[lower + 1] - magnitude
        lower_is_even = codes[lower] % 2 == 0  # neighbours alternate
        takes_upper = {
            Rounding.NEAREST_EVEN: to_upper < to_lower
            or (to_upper == to_lower and not lower_is_even),
            Rounding.NEAREST_AWAY: to_upper <= to_lower,
            Rounding.NEAREST_DOWN: to_upper < to_lower,
            Rounding.TOWARD_ZERO: False,
            Rounding.UP: sign == 0,
            Rounding.DOWN: sign == 1,
            Rounding.TO_ODD: lower_is_even,
        }[policy.rounding]
        chosen = lower + takes_upper
    if chosen < len(codes):
        return codes[chosen]
    inward = (policy.rounding, sign) in INWARD
    saturates = {
        FP8Overflow.SATURATE: True,
        FP8Overflow.OVERFLOW: inward,
        FP8Overflow.PROPAGATE: True,  # the number is finite
        FP8Overflow.SAT_NONE: name == "e4m3" or (inward and policy.rounding != "to-odd"),
    }[policy.fp8_overflow]
    return codes[-1] if saturates else OVERFLOWS_TO.get((name, sign), codes[-1])


def points(name, sign, int8_min):
    """Each value, each midpoint, the surroundings of both, and what lies far out."""
    magnitudes, _ = ladder(name, sign, int8_min)
    for lower, upper in itertools.pairwise(magnitudes):
        middle = (lower + upper) / 2
        yield from (lower, lower + TINY, middle - TINY, middle, middle + TINY, upper - TINY)
    top = magnitudes[-1]
    yield from (top, top + TINY, top * 5 / 4, 2 * top, 3 * top, Fraction(2) ** 128, 1 / TINY)


@pytest.mark.parametrize("rounding", DETERMINISTIC)
@pytest.mark.parametrize("name", FORMATS)
def test_every_code_midpoint_and_edge(name, rounding):
    int8_mins = list(Int8Min) if name == "int8" else [Int8Min.UNUSED]
    for overflow in FP8Overflow:
        for int8_min in int8_mins:
            policy = Policy(rounding=rounding, fp8_overflow=overflow, int8_min=int8_min)
            for sign in (0, 1):
                for magnitude in points(name, sign, int8_min):
                    number = Number.finite(-magnitude if sign else magnitude, sign_of_zero=sign)
                    got = element.encode(number, name, policy)
                    expected = oracle(magnitude, sign, name, policy)
                    assert got == expected, f"{number} -> {got:#x}, not {expected:#x}; {policy}"


@given(
    value=st.fractions(-500, 500) | st.fractions(-2, 2) | st.fractions(-70000, 70000),
    exponent=st.integers(-130, 130),
    rounding=st.sampled_from(DETERMINISTIC),
    overflow=st.sampled_from(FP8Overflow),
    name=st.sampled_from(FORMATS),
)
def test_any_fraction_under_any_scale(value, exponent, rounding, overflow, name):
    policy = Policy(rounding=rounding, fp8_overflow=overflow)
    scale = Fraction(2) ** exponent
    expected = oracle(abs(value), int(value < 0), name, policy)
    assert element.encode(Number.finite(value * scale), name, policy, scale=scale) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_encode_inverts_decode(name):
    policy = Policy(int8_min="used", nan_payload="signed", fp8_overflow="overflow")
    for code in range(ELEMENT_FORMATS[name].code_count):
        number = element.decode(code, name)
        got = element.encode(number, name, policy)
        if number.cls is NumberClass.NAN:
            assert got == (0xFF if number.sign else 0x7F)
        else:
            assert got == code


# The thresholds that OFP8 implies, and their neighbours (OFP8-1.0/thresholds).
@pytest.mark.parametrize(
    ("name", "value", "saturate", "overflow"),
    [
        ("e4m3", 448, 0x7E, 0x7E),
        ("e4m3", 464, 0x7E, 0x7E),
        ("e4m3", 464 + TINY, 0x7E, 0x7F),
        ("e4m3", -480, 0xFE, 0x7F),
        ("e5m2", 61440 - TINY, 0x7B, 0x7B),
        ("e5m2", 61440, 0x7B, 0x7C),
        ("e5m2", -61440, 0xFB, 0xFC),
        ("e2m1", 5, 0x6, 0x6),
        ("e2m1", 7, 0x7, 0x7),
        ("e2m1", -1000, 0xF, 0xF),
        ("e2m3", Fraction(31, 4), 0x1F, 0x1F),
        ("e3m2", -31, 0x3F, 0x3F),
        ("int8", 2, 0x7F, 0x7F),
        ("int8", -2, 0x81, 0x81),
    ],
)
def test_overflow_thresholds(name, value, saturate, overflow):
    number = Number.finite(value)
    assert element.encode(number, name) == saturate
    assert element.encode(number, name, Policy(fp8_overflow="overflow")) == overflow


@pytest.mark.parametrize(
    ("rounding", "e4m3", "e5m2"),
    [
        # codes of +500 and -500 in E4M3, of +70000 and -70000 in E5M2, under OVF
        (Rounding.NEAREST_EVEN, (0x7F, 0x7F), (0x7C, 0xFC)),
        (Rounding.NEAREST_AWAY, (0x7F, 0x7F), (0x7C, 0xFC)),
        (Rounding.NEAREST_DOWN, (0x7F, 0x7F), (0x7C, 0xFC)),
        (Rounding.TOWARD_ZERO, (0x7E, 0xFE), (0x7B, 0xFB)),
        (Rounding.UP, (0x7F, 0xFE), (0x7C, 0xFB)),
        (Rounding.DOWN, (0x7E, 0x7F), (0x7B, 0xFC)),
        (Rounding.TO_ODD, (0x7E, 0xFE), (0x7B, 0xFB)),
    ],
)
def test_directed_modes_overflow_as_in_ieee_754(rounding, e4m3, e5m2):
    policy = Policy(rounding=rounding, fp8_overflow="overflow")
    for name, value, expected in (("e4m3", 500, e4m3), ("e5m2", 70000, e5m2)):
        got = [element.encode(Number.finite(v), name, policy) for v in (value, -value)]
        assert got == list(expected)
        # An infinity does not lie between two values: no rounding keeps it out.
        for sign in (0, 1):
            got = element.encode(Number.inf(sign), name, policy)
            assert got == OVERFLOWS_TO[name, sign]


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("e4m3", (0x7E, 0xFE)),
        ("e5m2", (0x7B, 0xFB)),
        ("e3m2", (0x1F, 0x3F)),
        ("e2m3", (0x1F, 0x3F)),
        ("e2m1", (0x7, 0xF)),
        ("int8", (0x7F, 0x81)),
    ],
)
@pytest.mark.parametrize("rounding", DETERMINISTIC)
def test_infinity_saturates(name, codes, rounding):
    policy = Policy(rounding=rounding)
    assert [element.encode(Number.inf(sign), name, policy) for sign in (0, 1)] == list(codes)


# --- NaN -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "e4m3", "e5m2"),
    [
        (NanPayload.CANONICAL, (0x7F, 0x7F), (0x7F, 0x7F)),
        (NanPayload.SIGNED, (0x7F, 0xFF), (0x7F, 0xFF)),
        (NanPayload.QUIET_SIGNED, (0x7F, 0xFF), (0x7E, 0xFE)),
        (NanPayload.NEGATIVE, (0xFF, 0xFF), (0xFF, 0xFF)),
        (NanPayload.PAYLOAD, (0x7F, 0xFF), (0x7E, 0xFE)),
    ],
)
def test_nan_payloads(payload, e4m3, e5m2):
    policy = Policy(nan_payload=payload, fp8_overflow="overflow")
    assert [element.encode(Number.nan(s), "e4m3", policy) for s in (0, 1)] == list(e4m3)
    assert [element.encode(Number.nan(s), "e5m2", policy) for s in (0, 1)] == list(e5m2)
    # Overflow in E4M3 is a NaN, and keeps or loses its sign likewise.
    for number in (Number.finite(-(10**6)), Number.inf(1)):
        assert element.encode(number, "e4m3", policy) == e4m3[1]
        assert element.encode(number, "e5m2", policy) == 0xFC


# NaN and -NaN in a format that has none
NAN_ELEMENTS = {
    NanElement.POS_MAX: {"e3m2": (0x1F, 0x1F), "e2m1": (0x7, 0x7), "int8": (0x7F, 0x7F)},
    NanElement.SIGNED_MAX: {"e3m2": (0x1F, 0x3F), "e2m1": (0x7, 0xF), "int8": (0x7F, 0x81)},
    NanElement.ZERO: {"e3m2": (0, 0), "e2m1": (0, 0), "int8": (0, 0)},
    NanElement.FLIPPED_ZERO: {"e3m2": (0x20, 0), "e2m1": (0x8, 0), "int8": (0, 0)},
}


@pytest.mark.parametrize("choice", NAN_ELEMENTS)
def test_nan_in_formats_without_one(choice):
    policy = Policy(nan_element=choice)
    for name, codes in NAN_ELEMENTS[choice].items():
        assert [element.encode(Number.nan(s), name, policy) for s in (0, 1)] == list(codes)


@pytest.mark.parametrize("name", FORMATS)
def test_nan_can_be_refused_where_there_is_none(name):
    policy = Policy(nan_element="raise")
    if ELEMENT_FORMATS[name].has_nan:
        assert element.encode(Number.nan(1), name, policy) == 0x7F
    else:
        with pytest.raises(ValueError, match=f"NaN cannot be encoded in {name}.*nan_element"):
            element.encode(Number.nan(0), name, policy)


# --- zeros and INT8 --------------------------------------------------------------------------


@pytest.mark.parametrize("neg_zero", NegZero)
@pytest.mark.parametrize("name", FORMATS)
def test_negative_zero(name, neg_zero):
    fmt = ELEMENT_FORMATS[name]
    policy = Policy(neg_zero=neg_zero, nan_element="flipped-zero")
    has_sign = name != "int8"
    kept = fmt.sign_mask if neg_zero is not NegZero.DROP and has_sign else 0
    from_zero = fmt.sign_mask if neg_zero is NegZero.KEEP and has_sign else 0
    assert element.encode(Number.zero(1), name, policy) == from_zero
    assert element.encode(Number.zero(0), name, policy) == 0
    assert element.encode(Number.finite(-TINY), name, policy) == kept
    assert element.encode(Number.finite(TINY), name, policy) == 0
    if name != "int8":  # other negative numbers keep their sign in any case
        least = Number.finite(-fmt.min_subnormal)
        assert element.encode(least, name, policy) == fmt.sign_mask + 1
    if not fmt.has_nan:
        assert element.encode(Number.nan(0), name, policy) == kept
        assert element.encode(Number.nan(1), name, policy) == 0


@pytest.mark.parametrize(
    ("sixty_fourths", "unused", "used"),
    [
        (Fraction(-127), 0x81, 0x81),
        (Fraction(-255, 2) + TINY, 0x81, 0x81),
        (Fraction(-255, 2), 0x81, 0x80),  # a tie: -128 is the even one
        (Fraction(-128), 0x81, 0x80),
        (Fraction(-1000), 0x81, 0x80),
        (Fraction(1000), 0x7F, 0x7F),
    ],
)
def test_int8_min(sixty_fourths, unused, used):
    number = Number.finite(sixty_fourths / 64)
    assert element.encode(number, "int8", Policy(int8_min="unused")) == unused
    assert element.encode(number, "int8", Policy(int8_min="used")) == used


def test_int8_min_is_the_largest_negative_magnitude_for_infinity_and_nan_too():
    policy = Policy(int8_min="used", nan_element="signed-max")
    assert element.encode(Number.inf(1), "int8", policy) == 0x80
    assert element.encode(Number.nan(1), "int8", policy) == 0x80


@pytest.mark.parametrize("scale", [Fraction(0), Fraction(-1)])
def test_a_scale_that_is_no_scale_is_refused(scale):
    with pytest.raises(ValueError, match="a scale is greater than 0"):
        element.encode(Number.finite(1), "e4m3", scale=scale)


@given(st.fractions(), st.fractions(), st.sampled_from(FORMATS), st.sampled_from(DETERMINISTIC))
def test_encoding_keeps_the_order(a, b, name, rounding):
    policy = Policy(rounding=rounding)
    low, high = sorted((a, b))
    coded = [element.encode(Number.finite(v), name, policy) for v in (low, high)]
    lower, higher = (element.decode(code, name).value for code in coded)
    assert lower <= higher
