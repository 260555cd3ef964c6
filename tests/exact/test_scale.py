"""Scale rules against the table of thresholds, the choices of a block, and the scalar cast."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref._choices import (
    E8M0Inf,
    E8M0Negative,
    E8M0Overflow,
    E8M0Rounding,
    E8M0Underflow,
    E8M0Zero,
    ScaleInf,
    ScaleNan,
    ScaleRule,
)
from mxref.exact import ieee, scale
from mxref.exact.number import Number
from mxref.formats import ELEMENT_FORMATS, block_format, pow2
from mxref.policy import Policy

BLOCKS = ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8")
ULP = Fraction(1, 2**23)
EMAX = {"e4m3": 8, "e5m2": 15, "e3m2": 4, "e2m3": 2, "e2m1": 2, "int8": 0}

# With amax = m * 2^E, every rule is E - emax + [m beyond a threshold]; the second entry says
# whether the threshold itself is beyond. Typed from the table, not derived from the formats.
RCEIL = {"e4m3": 1.75, "e5m2": 1.75, "e3m2": 1.75, "e2m3": 1.875, "e2m1": 1.5, "int8": 1.984375}
EVEN = {"e4m3": 1.9375, "e5m2": 1.875, "e3m2": 1.875, "e2m3": 1.9375, "e2m1": 1.75}
EVEN["int8"] = 1.9921875
TOSA = {**EVEN, "e4m3": 1.8125}
NEVER = Fraction(2)

# Of the others, P3109 has no emax, and STOCHASTIC no threshold.
RULES = [r for r in ScaleRule if r not in (ScaleRule.P3109, ScaleRule.STOCHASTIC)]


def threshold(rule, name):
    match rule:
        case ScaleRule.FLOOR:
            return NEVER, True
        case ScaleRule.CEIL:
            return Fraction(1), False
        case ScaleRule.RCEIL:
            return Fraction(RCEIL[name]), False
        case ScaleRule.EVEN:
            return Fraction(EVEN[name]), True
        case ScaleRule.EVEN_DOWN:
            return Fraction(EVEN[name]), False
        case ScaleRule.TOSA:
            return Fraction(TOSA[name]), name != "e4m3"
        case ScaleRule.PLUS_ONE:
            return Fraction(1), True
        case ScaleRule.MSE | ScaleRule.MAE:  # where they begin
            return NEVER, True
    raise AssertionError(rule)


def steps_up(m, rule, name):
    if rule is ScaleRule.NEAREST_LOG:
        return m * m > 2
    theta, inclusive = threshold(rule, name)
    return m > theta or (inclusive and m == theta)


def significands(name):
    """Every threshold of every rule and a float32 ulp either side of it, and a coarse sweep."""
    thresholds = {threshold(r, name)[0] for r in RULES if r is not ScaleRule.NEAREST_LOG}
    thresholds.add(Fraction(0xB504F3, 2**23))  # the float32 below the square root of two
    around = {theta + d * ULP for theta in thresholds for d in (-1, 0, 1)}
    sweep = {1 + Fraction(i, 512) for i in range(512)}
    return sorted(m for m in around | sweep if 1 <= m < 2)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", EMAX)
def test_rules_step_at_their_thresholds(name, rule):
    for E in (-126, -20, 0, 1, 127):
        for m in significands(name):
            got = scale.rule_exponent(m * pow2(E), name, rule)
            assert got == E - EMAX[name] + steps_up(m, rule, name), (str(m), E)


def test_the_square_root_of_two_lies_between_two_floats():
    below, above = Fraction(0xB504F3, 2**23), Fraction(0xB504F4, 2**23)
    got = [scale.rule_exponent(m, "int8", ScaleRule.NEAREST_LOG) for m in (below, above)]
    assert got == [0, 1]


def test_floor_is_not_misled_just_below_a_power_of_two():
    # Here a float32 logarithm rounds up to the next integer.
    for n in (10, 20, 64, 126):
        amax = pow2(n) * (1 - ULP / 2)
        assert scale.rule_exponent(amax, "e2m1", ScaleRule.FLOOR) == n - 1 - 2


@given(st.integers(1, 2**24 - 1), st.integers(-149, 104), st.sampled_from(list(EMAX)))
def test_rules_by_what_they_promise(integer, exponent, name):
    amax, fmt = integer * pow2(exponent), ELEMENT_FORMATS[name]
    e = {rule: scale.rule_exponent(amax, fmt, rule) for rule in RULES}
    assert pow2(e[ScaleRule.FLOOR] + fmt.emax) <= amax < pow2(e[ScaleRule.FLOOR] + fmt.emax + 1)
    assert amax / pow2(e[ScaleRule.RCEIL]) <= fmt.max < amax / pow2(e[ScaleRule.RCEIL] - 1)
    assert e[ScaleRule.FLOOR] <= e[ScaleRule.TOSA] <= e[ScaleRule.RCEIL] <= e[ScaleRule.CEIL]
    assert e[ScaleRule.EVEN_DOWN] <= e[ScaleRule.EVEN] <= e[ScaleRule.PLUS_ONE]
    if name != "e4m3":
        assert e[ScaleRule.TOSA] == e[ScaleRule.EVEN]


@pytest.mark.parametrize("amax", [0, -1])
def test_a_rule_needs_a_positive_amax(amax):
    with pytest.raises(ValueError, match="positive"):
        scale.rule_exponent(Fraction(amax), "e4m3", ScaleRule.FLOOR)


# --- the scale of a block ----------------------------------------------------------------------


def block(*values):
    return [v if isinstance(v, Number) else Number.finite(Fraction(v)) for v in values]


NAN, INF, MINUS_INF = Number.nan(1), Number.inf(0), Number.inf(1)
MINUS_ZERO = Number.zero(1)


@pytest.mark.parametrize(
    ("choice", "codes"),
    [
        ("min", {"mxfp8_e4m3": 0, "mxfp8_e5m2": 0, "mxfp4": 0, "mxint8": 0}),
        ("one", {"mxfp8_e4m3": 127, "mxfp8_e5m2": 127, "mxfp4": 127, "mxint8": 127}),
        ("minus-emax", {"mxfp8_e4m3": 119, "mxfp8_e5m2": 112, "mxfp4": 125, "mxint8": 127}),
        ("nan", {"mxfp8_e4m3": 255, "mxfp8_e5m2": 255, "mxfp4": 255, "mxint8": 255}),
        # FLOOR of 2^-126: only INT8, whose emax is 0, does not end below 2^-127.
        ("min-normal", {"mxfp8_e4m3": 0, "mxfp8_e5m2": 0, "mxfp4": 0, "mxint8": 1}),
    ],
)
def test_zero_blocks(choice, codes):
    policy = Policy(scale_zero_block=choice, scale_inf="ignore", scale_nan="ignore")
    for name, scale_code in codes.items():
        fmt = block_format(name, 4)
        assert scale.select(block(0, 0, MINUS_ZERO, 0), fmt, policy) == scale_code
        # Nothing finite and nonzero: the same rule.
        assert scale.select(block(INF, NAN, MINUS_ZERO, 0), fmt, policy) == scale_code


# Scale code of a block whose finite amax is 1, for MXFP4: 125 from the finite elements, and from
# 2^128 it is 128 - 2 + 127.
NAN_CHOICES = {
    "nan-scale": 255,
    "flush-block": 0,
    "exponent-field": 253,
    "ignore": 125,
    "raise": None,
}
INF_CHOICES = {**NAN_CHOICES, "saturate": 254}


def selected(values, scale_nan, scale_inf):
    policy = Policy(scale_nan=scale_nan, scale_inf=scale_inf)
    try:
        return scale.select(block(*values), "mxfp4/4", policy)
    except ValueError as error:
        refused = "a NaN" if scale_nan == "raise" and NAN in values else "an infinity"
        assert f"the block holds {refused}, and the policy refuses it" in str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize("scale_inf", list(ScaleInf))
@pytest.mark.parametrize("scale_nan", list(ScaleNan))
def test_nan_and_infinity_alone_and_together(scale_nan, scale_inf):
    assert selected((1, NAN, 0, 0), scale_nan, scale_inf) == NAN_CHOICES[scale_nan]
    assert selected((1, 0, MINUS_INF, 0), scale_nan, scale_inf) == INF_CHOICES[scale_inf]
    assert selected((1, 0, 0, 0), scale_nan, scale_inf) == 125
    # Refusal, the NaN scale, the flush, the largest scale, 2^128, the finite elements.
    first = ("raise", "nan-scale", "flush-block", "saturate", "exponent-field", "ignore")
    strongest = next(choice for choice in first if choice in (scale_nan, scale_inf))
    expected = INF_CHOICES[strongest]
    assert selected((INF, 1, NAN, 0), scale_nan, scale_inf) == expected


def float32(bits):
    return ieee.from_bits(bits, "float32")


@pytest.mark.parametrize(
    ("bits", "codes"),
    [
        # amax, then the FLOOR scale codes of e4m3, e5m2, e3m2, e2m3, e2m1, int8
        (0x00000001, (0, 0, 0, 0, 0, 0)),  # 2^-149
        (0x00400000, (0, 0, 0, 0, 0, 0)),  # 2^-127: INT8 reaches it exactly
        (0x00800000, (0, 0, 0, 0, 0, 1)),  # 2^-126
        (0x03FFFFFF, (0, 0, 3, 5, 5, 7)),  # just below 2^-119
        (0x04000000, (0, 0, 4, 6, 6, 8)),  # 2^-119: the last that E4M3 clamps or reaches
        (0x04800000, (1, 0, 5, 7, 7, 9)),
        (0x07800000, (7, 0, 11, 13, 13, 15)),  # 2^-112: E5M2 reaches code 0
        (0x08000000, (8, 1, 12, 14, 14, 16)),
        (0x3F800000, (119, 112, 123, 125, 125, 127)),  # 1
        (0x7F7FFFFF, (246, 239, 250, 252, 252, 254)),  # the largest float32
    ],
)
def test_clamping_at_the_low_end_and_the_largest_float32(bits, codes):
    for name, scale_code in zip(BLOCKS, codes, strict=True):
        assert scale.select([float32(bits)], block_format(name, 1)) == scale_code, name


KEEPS_254 = (ScaleRule.FLOOR, ScaleRule.MSE, ScaleRule.MAE)


@pytest.mark.parametrize(("above", "scale_code"), [("clamp", 0xFE), ("nan", 0xFF)])
def test_the_high_end(above, scale_code):
    policy = Policy(scale_above=above)
    # From float32, only INT8 under a rule that goes up can leave the range.
    largest = [float32(0x7F7FFFFF)]
    for rule in RULES:
        got = scale.select(largest, "mxint8/1", policy.replace(scale_rule=rule))
        assert got == (0xFE if rule in KEEPS_254 else scale_code)
    # From float64, every format can; 2^(127 + emax) is the last that cannot.
    for name in BLOCKS:
        fmt = block_format(name, 1)
        last = Number.finite(pow2(127 + fmt.element.emax))
        assert scale.select([last], fmt, policy) == 0xFE
        assert scale.select([Number.finite(2 * last.value)], fmt, policy) == scale_code


@pytest.mark.parametrize("count", [0, 31, 33])
def test_blocks_of_the_wrong_length_are_refused(count):
    with pytest.raises(ValueError, match=rf"a block of mxfp4 has 32 elements, got {count}; pad"):
        scale.select([Number.zero(0)] * count, "mxfp4")


def test_a_short_last_block_is_one_filled_with_zeros():
    policy = Policy(block_tail="zero-pad")
    values = block(1, Fraction(-7, 3), 5)
    full = [*values, *[Number.zero(0)] * 29]
    assert scale.select(values, "mxfp4", policy) == scale.select(full, "mxfp4", policy)
    for count in (0, 33):
        with pytest.raises(ValueError, match="got"):
            scale.select([Number.zero(0)] * count, "mxfp4", policy)


# --- the scalar cast ---------------------------------------------------------------------------

ABOVE, BELOW = "above", "below"  # rounded to 2^128 or more, rounded below 2^-127


@pytest.mark.parametrize(
    ("value", "down", "up", "nearest", "nearest_even"),
    [
        (Fraction(1), 127, 127, 127, 127),
        (Fraction(3, 2) - ULP, 127, 128, 127, 127),
        (Fraction(3, 2), 127, 128, 128, 128),
        (Fraction(3, 2) + ULP, 127, 128, 128, 128),
        (Fraction(2) - ULP, 127, 128, 128, 128),
        (Fraction(3), 128, 129, 129, 128),
        (Fraction(3) + ULP, 128, 129, 129, 129),
        (Fraction(6), 129, 130, 130, 130),
        (Fraction(12), 130, 131, 131, 130),
        (pow2(-127), 0, 0, 0, 0),
        (pow2(-127) * Fraction(5, 4), 0, 1, 0, 0),
        (pow2(-127) * Fraction(3, 2), 0, 1, 1, 0),
        (pow2(-126) * Fraction(3, 2), 1, 2, 2, 2),
        (pow2(-128) * Fraction(3, 2), BELOW, 0, 0, 0),
        (pow2(-128) * Fraction(5, 4), BELOW, 0, BELOW, BELOW),
        (pow2(-128), BELOW, BELOW, BELOW, BELOW),
        (pow2(-129) * Fraction(3, 2), BELOW, BELOW, BELOW, BELOW),
        (pow2(-149), BELOW, BELOW, BELOW, BELOW),
        (pow2(-1074), BELOW, BELOW, BELOW, BELOW),
        (pow2(127), 254, 254, 254, 254),
        (pow2(127) * Fraction(5, 4), 254, ABOVE, 254, 254),
        (pow2(127) * Fraction(3, 2), 254, ABOVE, ABOVE, 254),
        (pow2(127) * Fraction(7, 4), 254, ABOVE, ABOVE, ABOVE),
        (pow2(128), ABOVE, ABOVE, ABOVE, ABOVE),
    ],
)
def test_cast_of_positive_numbers(value, down, up, nearest, nearest_even):
    expected = {"down": down, "up": up, "nearest": nearest, "nearest-even": nearest_even}
    for rounding, overflow, underflow in itertools.product(
        E8M0Rounding, E8M0Overflow, E8M0Underflow
    ):
        policy = Policy(e8m0_rounding=rounding, e8m0_overflow=overflow, e8m0_underflow=underflow)
        scale_code = {
            ABOVE: 0xFF if overflow == "nan" else 0xFE,
            BELOW: 0xFF if underflow == "nan" else 0,
        }.get(expected[rounding], expected[rounding])
        assert scale.encode(Number.finite(value), "e8m0", policy) == scale_code, str(policy)


@pytest.mark.parametrize("sign", [0, 1])
def test_cast_of_zero_and_nan(sign):
    assert scale.encode(Number.zero(sign), "e8m0", Policy(e8m0_zero=E8M0Zero.MIN)) == 0
    assert scale.encode(Number.zero(sign), "e8m0", Policy(e8m0_zero=E8M0Zero.NAN)) == 0xFF
    assert scale.encode(Number.nan(sign), "e8m0") == 0xFF


def test_cast_of_negatives_and_infinities():
    for inf, inf_code in ((E8M0Inf.NAN, 0xFF), (E8M0Inf.SATURATE, 0xFE)):
        nan = Policy(e8m0_negative=E8M0Negative.NAN, e8m0_inf=inf)
        magnitude = Policy(e8m0_negative=E8M0Negative.MAGNITUDE, e8m0_inf=inf)
        assert scale.encode(Number.inf(0), "e8m0", nan) == inf_code
        assert scale.encode(Number.inf(1), "e8m0", nan) == 0xFF
        assert scale.encode(Number.inf(1), "e8m0", magnitude) == inf_code
        assert scale.encode(Number.finite(-4), "e8m0", nan) == 0xFF
        assert scale.encode(Number.finite(-4), "e8m0", magnitude) == 129


@pytest.mark.parametrize("rounding", E8M0Rounding)
def test_cast_inverts_decode(rounding):
    for scale_code in range(256):
        number = scale.decode(scale_code, "e8m0")
        assert scale.encode(number, "e8m0", Policy(e8m0_rounding=rounding)) == scale_code
