"""Scale selection's rarer choices, against float32 arithmetic of NumPy and what peers give."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mxref._choices import ScaleRule
from mxref.exact import block, ieee, scale
from mxref.exact.logarithm import log2_float32
from mxref.exact.number import Number
from mxref.formats import ELEMENT_FORMATS, block_format, pow2
from mxref.policy import Policy

ULP = Fraction(1, 2**23)
BLOCKS = {"e4m3": "mxfp8_e4m3", "e5m2": "mxfp8_e5m2", "e3m2": "mxfp6_e3m2", "e2m3": "mxfp6_e2m3"}
BLOCKS |= {"e2m1": "mxfp4", "int8": "mxint8"}
MAX = {"e4m3": 448, "e5m2": 57344, "e3m2": 28, "e2m3": 7.5, "e2m1": 6, "int8": 127 / 64}
EMAX = {"e4m3": 8, "e5m2": 15, "e3m2": 4, "e2m3": 2, "e2m1": 2, "int8": 0}

positive_float32 = st.integers(1, 0x7F7FFFFF)


def select(value, name, policy=None, **choices):
    """The scale code of a block of one number; an int is the bits of a float32."""
    number = ieee.from_bits(value, "float32") if isinstance(value, int) else Number.finite(value)
    policy = Policy(**choices) if policy is None else policy
    return scale.select([number], block_format(BLOCKS.get(name, name), 1), policy)


def float32(bits):
    return np.array([bits], np.uint32).view(np.float32)


def bits_of(x):
    return int(np.float32(x).reshape(1).view(np.uint32)[0])


def as_fraction(bits):
    return Fraction(float(float32(bits)[0]))


# --- a logarithm in float32 ----------------------------------------------------------------------


@settings(max_examples=400)
@given(positive_float32 | st.integers(0x3F000000, 0x40800000))
@example(0x3F800001)
@example(0x3F7FFFFF)
@example(1)
@example(0x7F7FFFFF)
def test_the_logarithm_against_float64(bits):
    # math.log2 is off by 2^-52 or so: only next to the middle of two float32 could that matter.
    log2 = math.log2(float(float32(bits)[0]))
    assert log2_float32(as_fraction(bits)) == Fraction(float(np.float32(log2)))


@pytest.mark.parametrize(
    ("binade", "count"),
    [
        *((E, 0) for E in (-2, -1, 0, 1)),
        *((2, 1), (3, 1), (5, 2), (-8, 2), (10, 5), (20, 11), (-20, 11)),
        *((-64, 22), (64, 44), (126, 44), (-126, 44)),
    ],
)
def test_how_many_significands_are_misled(binade, count):
    """Below 2^(E + 1): the table of the survey, counted."""
    tops = [(2 - n * ULP) * pow2(binade) for n in range(1, count + 2)]
    misled = [v for v in tops if log2_float32(v) == binade + 1]
    assert misled == tops[:count]
    policy = Policy(scale_log2="float32")
    got = [scale.rule_exponent(v, "int8", ScaleRule.FLOOR, policy=policy) for v in tops]
    assert got == [binade + 1] * count + [binade]


def test_bfloat16_is_never_misled():
    policy = Policy(scale_log2="float32")
    for binade in range(-126, 128):
        top = (2 - Fraction(1, 128)) * pow2(binade)
        assert scale.rule_exponent(top, "e2m1", ScaleRule.FLOOR, policy=policy) == binade - 2


def test_every_rule_that_takes_a_logarithm():
    top = (2 - ULP) * pow2(9)  # its float32 logarithm is 10
    low = (1 + ULP) * pow2(10)  # likewise
    root_two = Fraction(0xB504F3, 2**23) * pow2(40)  # a float32 below sqrt(2) * 2^40
    policy = Policy(scale_log2="float32")
    for rule, v, exact, rounded in (
        (ScaleRule.FLOOR, top, 9, 10),
        (ScaleRule.PLUS_ONE, top, 10, 11),
        (ScaleRule.CEIL, top, 10, 10),
        (ScaleRule.CEIL, low, 11, 10),
        (ScaleRule.NEAREST_LOG, top, 10, 10),
        (ScaleRule.NEAREST_LOG, root_two, 40, 41),
        (ScaleRule.EVEN, top, 10, 10),
        (ScaleRule.EVEN_DOWN, top, 10, 10),
    ):
        assert scale.rule_exponent(v, "int8", rule) == exact, rule
        assert scale.rule_exponent(v, "int8", rule, policy=policy) == rounded, rule


def test_a_quotient_below_its_logarithm():
    # 6 * 2^10 and the next float32: the survey's 6144.0005, which ends one code too low.
    bits = bits_of(6144.0) + 1
    assert select(bits, "e2m1", scale_rule="rceil") == 138
    assert select(bits, "e2m1", scale_rule="rceil", scale_log2="float32") == 137
    for k in range(4):
        above = bits_of(6.0 * 2**k) + 1
        assert select(above, "e2m1", scale_rule="rceil", scale_log2="float32") == 128 + k
    # With a logarithm the quotient is a float32 in any case.
    assert select(1, "e2m1", scale_rule="rceil", scale_zero_block="nan") == 0
    nan = {"scale_rule": "rceil", "scale_zero_block": "nan", "scale_log2": "float32"}
    assert select(1, "e2m1", **nan) == 0xFF


# --- a quotient in float32 -----------------------------------------------------------------------


def float32_rceil(bits, name, quotient):
    """The code by float32 arithmetic of NumPy, None where the quotient is zero."""
    x, largest = float32(bits)[0], np.float32(MAX[name])
    with np.errstate(under="ignore"):
        v = x / largest if quotient == "float32" else x * (np.float32(1) / largest)
    if v == 0:
        return None
    m, e = math.frexp(float(v))  # v = m * 2^e, 1/2 <= m < 1
    return min(254, max(0, (e - 1 if m == 0.5 else e) + 127))


@settings(max_examples=300)
@given(positive_float32 | st.integers(1, 0x06000000), st.sampled_from(["float32", "reciprocal"]))
@example(1, "float32")
@example(3, "reciprocal")
def test_quotients_against_numpy(bits, quotient):
    policy = Policy(scale_rule="rceil", scale_quotient=quotient, scale_zero_block="nan")
    for name in BLOCKS:
        expected = float32_rceil(bits, name, quotient)
        assert select(bits, name, policy) == (0xFF if expected is None else expected), name


def test_the_one_significand_that_tells_a_division_from_a_multiplication():
    division = Policy(scale_rule="rceil", scale_quotient="float32")
    product = Policy(scale_rule="rceil", scale_quotient="reciprocal")
    one = bits_of(float.fromhex("0x1.fc0002p0"))
    assert (select(one, "int8", division), select(one, "int8", product)) == (128, 127)
    # Around each threshold, and here and there: nothing else.
    for name, largest in MAX.items():
        threshold = bits_of(largest) & 0x7FFFFF
        around = range(max(0, threshold - 40), threshold + 40)
        for mantissa in itertools.chain(around, range(0, 1 << 23, 104729)):
            bits = 0x3F800000 + mantissa
            codes = {select(bits, name, p) for p in (division, product)}
            assert (len(codes) == 2) == (name == "int8" and bits == one), (name, hex(bits))
            exact = select(bits, name, scale_rule="rceil")
            assert exact == select(bits, name, division)


# --- amax in another type ------------------------------------------------------------------------

TYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}


@settings(max_examples=300)
@given(
    positive_float32 | st.integers(0x33000000, 0x47800000), st.sampled_from(["bfloat16", "float16"])
)
@example(0x3FFFFFFF, "bfloat16")
@example(0x33000000, "float16")  # 2^-25, a tie to zero
@example(0x33000001, "float16")
@example(0x477FEFFF, "float16")
@example(0x477FF000, "float16")  # infinity in float16
@example(0x7F7F8000, "bfloat16")  # infinity in bfloat16
def test_amax_against_casts_of_numpy(bits, held_in):
    with np.errstate(all="ignore"):
        held = float(float32(bits).astype(TYPES[held_in]).astype(np.float64)[0])
    policy = Policy(scale_amax=held_in, scale_zero_block="one")
    for scale_inf, beyond in (("nan-scale", 255), ("saturate", 254), ("exponent-field", 126 + 127)):
        got = select(bits, "e2m1", policy.replace(scale_inf=scale_inf))
        if held == 0:
            assert got == 127
        elif held == math.inf:
            assert got == beyond
        else:
            assert got == max(0, math.frexp(held)[1] - 1 - 2 + 127)


def test_amax_beyond_its_type():
    value = Fraction(65520)  # rounds to 2^16, beyond float16
    numbers = [Number.finite(value), Number.finite(1)]
    for scale_inf, scale_code, codes in (
        ("nan-scale", 255, (0x7F, 0x7F)),
        ("saturate", 254, (0, 0)),
        ("flush-block", 0, (0, 0)),
        ("exponent-field", 247, (0, 0)),
        ("ignore", 135, (0x78, 2)),
        ("raise", 135, (0x78, 2)),
    ):
        policy = Policy(scale_amax="float16", scale_inf=scale_inf)
        got = block.quantize(numbers, "mxfp8_e4m3/2", policy)
        assert got == (scale_code, codes), scale_inf
    # float64 beyond float32: only where float32 is asked for.
    huge = pow2(130)
    assert select(huge, "e4m3") == 249
    for choices in (
        {"scale_amax": "float32"},
        {"scale_log2": "float32"},
        {"scale_rule": "rceil", "scale_quotient": "float32"},
        {"scale_rule": "rceil", "scale_quotient": "reciprocal"},
    ):
        assert select(huge, "e4m3", **choices) == 255
        assert select(huge, "e4m3", scale_inf="ignore", **choices) == 249
    assert select(huge, "e4m3", scale_rule="even", scale_log2="float32") == 249
    assert select(huge, "e4m3", scale_quotient="float32") == 249  # no rule divides
    # 2^128 from the input is no exponent field.
    assert select(pow2(128), "e4m3", scale_amax="float32") == 255
    assert select(pow2(-150), "e4m3", scale_amax="float32", scale_zero_block="one") == 127


# --- NaN and infinity ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [Number.inf(0), Number.inf(1), Number.nan(0)])
def test_an_exponent_field_taken_for_a_number(number):
    policy = Policy(scale_nan="exponent-field", scale_inf="exponent-field")
    for name, emax in EMAX.items():
        fmt = block_format(BLOCKS[name], 2)
        numbers = [Number.finite(1), number]
        assert scale.select(numbers, fmt, policy) == min(254, 128 - emax + 127)
        nan = policy.replace(scale_above="nan")
        assert scale.select(numbers, fmt, nan) == (255 if name == "int8" else 128 - emax + 127)
        for amax in ("float16", "bfloat16", "float32"):  # an infinity again
            assert scale.select(numbers, fmt, policy.replace(scale_amax=amax)) == min(
                254, 128 - emax + 127
            )
    rceil = policy.replace(scale_rule="rceil", scale_quotient="float32")
    assert scale.select([number], "mxfp4/1", rceil) == 127 + 126  # 2^128 / 6 = 1.33 * 2^125
    # It goes the way of any amax: in a float32 it would be an infinity itself.
    nan_only = Policy(scale_nan="exponent-field", scale_inf="nan-scale", scale_above="nan")
    for choices, scale_code in (({}, 253), ({"scale_amax": "float32"}, 255)):
        assert scale.select([Number.nan(0)], "mxfp4/1", nan_only.replace(**choices)) == scale_code
    # torchao FLOOR and EVEN of infinity, and the largest element under such a scale.
    got = block.quantize([Number.inf(1), Number.finite(1)], "mxfp8_e4m3/2", policy)
    assert got == (247, (0xFE, 0))


def test_a_flushed_block_is_plus_zero_throughout():
    policy = Policy(scale_nan="flush-block", scale_inf="flush-block", scale_zero_block="one")
    for number in (Number.nan(1), Number.inf(1)):
        for name in BLOCKS.values():
            got = block.quantize([Number.finite(-3), number], block_format(name, 2), policy)
            assert got == (0, (0, 0))


# --- the low end ---------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.integers(1, 0x00FFFFFF))
@example(0x00400000)
@example(0x007FFFFF)
@example(0x00800000)
def test_subnormal_bits_against_the_fields(bits):
    policy = Policy(scale_subnormal="bits", scale_below="wrap")
    E, mantissa = (bits >> 23) - 127, bits & 0x7FFFFF
    for name, emax in EMAX.items():
        got = {
            rule: select(bits, name, policy.replace(scale_rule=rule)) for rule in ("floor", "ceil")
        }
        assert got["floor"] == (E - emax + 127) % 256
        assert got["ceil"] == (E - emax + (mantissa > 0) + 127) % 256
        even = bits + (1 << (22 - ELEMENT_FORMATS[name].mantissa_bits))  # torchao EVEN
        assert select(bits, name, policy.replace(scale_rule="even")) == ((even >> 23) - emax) % 256


def test_subnormal_bits_leave_logarithms_and_normal_numbers_alone():
    bits, true = Policy(scale_subnormal="bits"), Policy()
    for policy in (bits, true):
        log = policy.replace(scale_log2="float32", scale_rule="plus-one", scale_below="wrap")
        assert select(pow2(-140), "int8", log) == -139 + 127 + 256
        assert select(pow2(-126), "int8", policy) == 1


def test_flushed_amax_and_flushed_quotient():
    flush = Policy(scale_subnormal="flush", scale_zero_block="one")
    assert select(0x007FFFFF, "e4m3", flush) == 127
    assert select(0x00800000, "e4m3", flush) == 0
    # For RCEIL it is the quotient that counts.
    rceil = flush.replace(scale_rule="rceil")
    assert select(pow2(-126) * 448, "e4m3", rceil) == 1
    assert select(pow2(-126) * 447, "e4m3", rceil) == 127
    # The elements keep what they have.
    got = block.quantize([Number.finite(pow2(-127))], "mxfp4/1", "ocp:scale_subnormal=flush")
    assert got == (0, (2,))


def test_the_range_of_exponents():
    top = 0x7F7FFFFF  # PLUS_ONE gives INT8 128
    above = {"clamp": 254, "nan": 255, "clamp-125": 252, "wrap": 255}
    for choice, code in above.items():
        assert select(top, "int8", scale_rule="plus-one", scale_above=choice) == code
        assert select(pow2(129), "int8", scale_above=choice) == {**above, "wrap": 0}[choice]
        assert select(pow2(127), "int8", scale_above=choice) == min(
            254, code if code != 255 else 254
        )
        assert select(pow2(125), "int8", scale_above=choice) == 252
    assert select(pow2(127) * Fraction(3, 2), "mxint8", scale_above="clamp-125") == 252
    below = {"clamp": 0, "flush-block": 0, "wrap": 255}
    for choice, code in below.items():
        assert select(pow2(-126), "e2m1", scale_below=choice) == code
        assert select(pow2(-125), "e2m1", scale_below=choice) == 0
        elements = {"clamp": 4, "flush-block": 0, "wrap": 7}[choice]  # 2^-126 / 2^-127; NaN scale
        got = block.quantize([Number.finite(-pow2(-126))], "mxfp4/1", Policy(scale_below=choice))
        assert got == (code, (elements + 8 * (choice == "clamp"),))
    # The saturation of an infinity is no overflow of the rule.
    policy = Policy(scale_inf="saturate", scale_above="clamp-125")
    assert scale.select([Number.inf(0)], "mxfp4/1", policy) == 254


def test_min_normal_goes_all_the_way():
    zero = [Number.zero(1)]
    for choices, codes in (
        ({}, {"e4m3": 0, "e2m1": 0, "int8": 1}),
        ({"scale_rule": "plus-one"}, {"e4m3": 0, "e2m1": 0, "int8": 2}),
        ({"scale_below": "wrap"}, {"e4m3": 249, "e2m1": 255, "int8": 1}),
        ({"scale_rule": "rceil"}, {"e4m3": 0, "e2m1": 0, "int8": 1}),
        ({"scale_rule": "p3109"}, {"e4m3": 1, "e2m1": 1, "int8": 1}),
        ({"scale_rule": "mse"}, {"e4m3": 0, "e2m1": 0, "int8": 1}),
        # Where 2^-126 or its quotient counts as zero as well, the least scale is left.
        ({"scale_amax": "float16"}, {"e4m3": 0, "e2m1": 0, "int8": 0}),
        ({"scale_rule": "rceil", "scale_subnormal": "flush"}, {"e4m3": 0, "int8": 0}),
    ):
        policy = Policy(scale_zero_block="min-normal", **choices)
        for name, code in codes.items():
            assert scale.select(zero, block_format(BLOCKS[name], 1), policy) == code, choices
    flush = Policy(scale_zero_block="min-normal", scale_below="flush-block", neg_zero="keep")
    assert block.quantize(zero, "mxfp4/1", flush) == (0, (0,))
    assert block.quantize(zero, "mxfp4/1", flush.replace(scale_below="clamp")) == (0, (8,))


@pytest.mark.parametrize("rule", [r for r in ScaleRule if r != "stochastic"])
def test_a_block_that_counts_as_zero(rule):
    policy = Policy(scale_rule=rule, scale_zero_block="one", scale_nan="ignore")
    policy = policy.replace(scale_subnormal="flush", input_subnormal="flush")
    numbers = [Number.finite(-pow2(-127)), Number.nan(0)]
    assert scale.select(numbers, "mxfp4/2", policy) == 127


# --- P3109 ---------------------------------------------------------------------------------------


def test_p3109_projects_amax_itself():
    # The nearest of all 255 scales, found by looking at them; of two the one with the even code.
    values = [(pow2(code - 127), code) for code in range(255)]
    for E in (-126, -125, -1, 0, 1, 2, 125, 126):
        for m in (
            1,
            Fraction(5, 4),
            Fraction(3, 2) - ULP,
            Fraction(3, 2),
            Fraction(3, 2) + ULP,
            2 - ULP,
        ):
            amax = m * pow2(E)
            _, expected = min(values, key=lambda v: (abs(v[0] - amax), v[1] % 2))
            for name in BLOCKS:
                assert select(amax, name, scale_rule="p3109") == expected, (str(m), E)
    # An infinity is ignored there, and nothing is divided by the largest element.
    policy = Policy(scale_rule="p3109", scale_inf="ignore")
    assert scale.select([Number.inf(0), Number.finite(6)], "mxfp4/2", policy) == 130


# --- what the survey measured on peers -----------------------------------------------------------

NEXT_BELOW_8, FLT_MAX = bits_of(np.nextafter(np.float32(8), np.float32(0))), 0x7F7FFFFF
TINY = {"2^-126": 0x00800000, "2^-149": 1, "2^-119": 0x04000000}
PEERS = {
    "gguf": {"scale_log2": "float32", "scale_below": "wrap"},
    "mlx": {
        "scale_rule": "rceil",
        "scale_quotient": "float32",
        "scale_below": "wrap",
        "scale_zero_block": "one",
    },
    "triton": {"scale_rule": "rceil", "scale_quotient": "float32", "scale_subnormal": "bits"},
    "te": {"scale_rule": "rceil", "scale_quotient": "reciprocal"},
    "ceil": {"scale_rule": "ceil"},
    "even": {"scale_rule": "even"},
}


@pytest.mark.parametrize(
    ("peer", "name", "codes"),
    [
        # amax 4, 5, 6, 6.5, 7, nextafter(8, 0), 2^-126, 2^-149, the largest float32
        ("gguf", "e2m1", (127, 127, 127, 127, 127, 128, 255, 232, 253)),
        ("mlx", "e2m1", (127, 127, 127, 128, 128, 128, 255, 127, 253)),
        ("triton", "e2m1", (127, 127, 127, 128, 128, 128, 1, 0, 253)),
        ("te", "e2m1", (127, 127, 127, 128, 128, 128, 0, 0, 253)),
        ("ceil", "e2m1", (127, 128, 128, 128, 128, 128, 0, 0, 253)),
    ],
)
def test_fp4_scales_of_peers(peer, name, codes):
    inputs = [*map(bits_of, (4, 5, 6, 6.5, 7)), NEXT_BELOW_8, 0x00800000, 1, FLT_MAX]
    assert tuple(select(bits, name, **PEERS[peer]) for bits in inputs) == codes


@pytest.mark.parametrize(
    ("peer", "codes"),
    [
        # amax 256, 384, 448, 464, 496, 2^-119, 2^-126, the largest float32
        ("mlx", (127, 127, 127, 128, 128, 0, 249, 247)),
        ("triton", (127, 127, 127, 128, 128, 1, 1, 247)),
        ("te", (127, 127, 127, 128, 128, 0, 0, 247)),
        ("even", (127, 127, 127, 127, 128, 0, 0, 247)),
    ],
)
def test_fp8_scales_of_peers(peer, codes):
    inputs = [*map(bits_of, (256, 384, 448, 464, 496)), 0x04000000, 0x00800000, FLT_MAX]
    assert tuple(select(bits, "e4m3", **PEERS[peer]) for bits in inputs) == codes


# --- the scalar cast -----------------------------------------------------------------------------


def cast(value, **choices):
    return scale.encode(Number.finite(value), "e8m0", Policy(**choices))


@pytest.mark.parametrize(
    ("value", "down", "up", "nearest", "nearest_even"),
    [
        # As fields, x is 2^-127 * (1 + x / 2^-126): ONNX "up" is 1 throughout.
        (pow2(-149), 0, 1, 0, 0),
        (pow2(-128), 0, 1, 0, 0),
        (pow2(-127) - pow2(-149), 0, 1, 0, 0),
        (pow2(-127), 0, 1, 1, 0),
        (pow2(-127) + pow2(-149), 0, 1, 1, 1),
        (pow2(-126) - pow2(-149), 0, 1, 1, 1),
        (pow2(-126), 1, 1, 1, 1),
        (pow2(-126) * Fraction(3, 2), 1, 2, 2, 2),
        (pow2(-125) * Fraction(3, 2), 2, 3, 3, 2),
    ],
)
def test_cast_of_subnormal_bits(value, down, up, nearest, nearest_even):
    expected = {"down": down, "up": up, "nearest": nearest, "nearest-even": nearest_even}
    for rounding, code in expected.items():
        choices = {"e8m0_rounding": rounding, "e8m0_subnormal": "bits", "e8m0_underflow": "nan"}
        assert cast(value, **choices) == code, rounding


def test_the_cast_of_gfloat():
    gfloat = {"e8m0_rounding": "nearest-even", "e8m0_underflow": "nan", "e8m0_overflow": "saturate"}
    for value, code in ((3, 128), (1.5, 128), (1.25 * 2.0**-127, 0), (1.5 * 2.0**-127, 0)):
        assert cast(Fraction(value), **gfloat) == code
    assert cast(pow2(-128), **gfloat) == 255
    assert cast(Fraction(3.4e38), **gfloat) == 254
