"""The encoder's rarer choices, against tables and against NumPy's own conversions."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mxref.exact import block, element, ieee
from mxref.exact.number import Number
from mxref.formats import ELEMENT_FORMATS, block_format, pow2
from mxref.policy import Policy

FORMATS = list(ELEMENT_FORMATS)
FP8, OTHERS = FORMATS[:2], FORMATS[2:]
BLOCK_OF = {"e4m3": "mxfp8_e4m3", "e5m2": "mxfp8_e5m2", "e3m2": "mxfp6_e3m2", "e2m3": "mxfp6_e2m3"}
BLOCK_OF |= {"e2m1": "mxfp4", "int8": "mxint8"}
ZERO, MINUS_ZERO, INF, MINUS_INF = Number.zero(0), Number.zero(1), Number.inf(0), Number.inf(1)


def encode(value, name, policy=None, **choices):
    number = value if isinstance(value, Number) else Number.finite(Fraction(value))
    source = choices.pop("source", "float32")
    return element.encode(
        number, name, Policy(**choices) if policy is None else policy, source=source
    )


# --- overflow ----------------------------------------------------------------------------------

# What becomes of +500, -500, +Inf and -Inf in E4M3, and of +70000, -70000, +Inf and -Inf in E5M2:
# the largest value, NaN or infinity.
SATURATION = {
    "saturate": [("nearest-even nearest-away to-odd up toward-zero", "MMMM", "MMMM")],
    "propagate": [("nearest-even to-odd up down toward-zero", "MMMM", "MMII")],
    "sat-none": [
        ("nearest-even nearest-away nearest-down to-odd", "MMMM", "IIII"),
        ("toward-zero", "MMMM", "MMII"),
        ("up", "MMMM", "IMII"),
        ("down", "MMMM", "MIII"),
    ],
    "overflow": [
        ("nearest-even nearest-away nearest-down", "NNNN", "IIII"),
        ("toward-zero to-odd", "MMNN", "MMII"),
        ("up", "NMNN", "IMII"),
        ("down", "MNNN", "MIII"),
    ],
}
ENDS = {"e4m3": {"M": 0x7E, "N": 0x7F}, "e5m2": {"M": 0x7B, "I": 0x7C}}


@pytest.mark.parametrize("overflow", SATURATION)
def test_saturation_modes(overflow):
    for modes, e4m3, e5m2 in SATURATION[overflow]:
        for mode in modes.split():
            policy = Policy(rounding=mode, fp8_overflow=overflow, nan_payload="signed")
            for name, large, row in (("e4m3", 500, e4m3), ("e5m2", 70000, e5m2)):
                got = [encode(v, name, policy) for v in (large, -large, INF, MINUS_INF)]
                ends = zip(row, (0, 0x80, 0, 0x80), strict=True)
                assert got == [ENDS[name][end] + sign for end, sign in ends], mode


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("sign", [0, 1])
def test_an_infinity_can_be_refused(name, sign):
    policy = Policy(inf_element="raise", scale_inf="ignore")
    with pytest.raises(ValueError, match=f"infinity cannot be encoded in {name}.*inf_element"):
        encode(Number.inf(sign), name, policy)
    with pytest.raises(ValueError, match="inf_element=raise"):  # a rectifier does not hide it
        encode(Number.inf(sign), name, policy.replace(relu="on"))
    fmt = block_format(BLOCK_OF[name], 2)
    numbers = [Number.finite(1), Number.inf(sign)]
    for call in (block.quantize, lambda n, f, p: block.encode_with_scale(n, 127, f, p)):
        with pytest.raises(ValueError, match="inf_element=raise"):
            call(numbers, fmt, policy)
    for scale_inf in ("nan-scale", "flush-block"):  # a scale that would hide it changes nothing
        with pytest.raises(ValueError, match="inf_element=raise"):
            block.quantize(numbers, fmt, policy.replace(scale_inf=scale_inf))
    # What is finite beyond the range clamps as ever, also on the way through float16.
    largest = encode(Number.inf(sign), name)
    huge = Number.finite(-(10**6) if sign else 10**6)
    assert encode(huge, name, policy) == largest
    assert encode(huge, name, policy.replace(scaled_intermediate="float16")) == largest


@pytest.mark.parametrize("name", FP8)
def test_fp8_has_rules_for_infinity(name):
    assert encode(INF, name, inf_element="raise") == {"e4m3": 0x7E, "e5m2": 0x7B}[name]


# --- NaN ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "bits", "e5m2"),
    [
        ("float32", 0x7FC00000, 0x7E),
        ("float32", 0x7FE00000, 0x7F),
        ("float32", 0xFFE00001, 0xFF),
        ("float32", 0x7F800001, 0x7E),  # a signalling NaN becomes a quiet one
        ("float32", 0xFFA00000, 0xFF),
        ("float32", 0x7FDFFFFF, 0x7E),
        ("bfloat16", 0x7FC0, 0x7E),
        ("bfloat16", 0xFFE0, 0xFF),
        ("float16", 0x7E00, 0x7E),
        ("float16", 0xFF00, 0xFF),
        ("float64", 0x7FF8000000000000, 0x7E),
        ("float64", 0xFFFC000000000000, 0xFF),
    ],
)
def test_a_payload_of_one_bit(source, bits, e5m2):
    number = ieee.from_bits(bits, source)
    assert encode(number, "e5m2", nan_payload="payload") == e5m2
    assert encode(number, "e4m3", nan_payload="payload") == 0x7F + 0x80 * number.sign
    for name in FP8:
        assert encode(number, name, nan_payload="negative") == 0xFF
        assert encode(number, name, nan_payload="canonical") == 0x7F
    # Under a NaN scale the elements come from a NaN without sign and payload.
    policy = Policy(nan_payload="payload")
    assert block.quantize([number], "mxfp8_e5m2/1", policy) == (0xFF, (0x7E,))


def test_a_nan_keeps_its_payload_from_e5m2_to_e5m2():
    codes = {
        code: encode(element.decode(code, "e5m2"), "e5m2", nan_payload="payload")
        for code in (0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF)
    }
    assert codes == {0x7D: 0x7F, 0x7E: 0x7E, 0x7F: 0x7F, 0xFD: 0xFF, 0xFE: 0xFE, 0xFF: 0xFF}


# --- zeros, rectifier, subnormals ----------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS[:-1])
def test_negative_zero_on_input_and_as_a_result(name):
    sign = ELEMENT_FORMATS[name].sign_mask
    minus_tiny, minus_subnormal = Number.finite(-pow2(-60)), Number.finite(-pow2(-140))
    expected = {"keep": (sign, sign, sign), "drop": (0, 0, 0), "drop-input": (0, sign, 0)}
    for neg_zero, codes in expected.items():
        policy = Policy(neg_zero=neg_zero, input_subnormal="flush")
        values = (MINUS_ZERO, minus_tiny, minus_subnormal)  # the last is flushed on input
        assert tuple(encode(v, name, policy) for v in values) == codes


@pytest.mark.parametrize("name", FORMATS)
def test_the_rectifier(name):
    for policy in (Policy(relu="on"), Policy(relu="on", rounding="down", neg_zero="keep")):
        for value in (-1, -pow2(-140), -(10**6), MINUS_ZERO, MINUS_INF):
            assert encode(value, name, policy) == 0
        for value in (1, pow2(-140), Fraction(1, 3), 10**6, ZERO, INF):
            assert encode(value, name, policy) == encode(value, name, policy.replace(relu="off"))
    for choices in ({}, {"nan_payload": "signed"}, {"nan_element": "signed-max"}):
        policy = Policy(relu="on", **choices)
        assert encode(Number.nan(1), name, policy) == encode(Number.nan(0), name, policy)


def test_the_rectifier_does_not_touch_the_scale():
    numbers = [Number.finite(v) for v in (-6, 1, 3)]
    assert block.quantize(numbers, "mxfp4/3", "ocp:relu=on") == (127, (0, 2, 5))
    assert block.quantize([Number.finite(-1)], "mxfp4/1", "ocp:relu=on") == (125, (0,))


@pytest.mark.parametrize(
    ("source", "least"),
    [("float32", -126), ("bfloat16", -126), ("float16", -14), ("float64", -1022)],
)
def test_subnormal_inputs_are_zero_in_their_own_type_only(source, least):
    policy = Policy(input_subnormal="flush", scale_zero_block="one")
    normal = Number.finite(-pow2(least))
    subnormal = Number.finite(-pow2(least) * (1 - pow2(-7)))
    scale = pow2(least)
    assert element.encode(normal, "e4m3", policy, scale=scale, source=source) == 0xB8
    assert element.encode(subnormal, "e4m3", policy, scale=scale, source=source) == 0x80
    assert element.encode(subnormal, "e4m3", scale=scale, source=source) == 0xB8
    fmt = block_format("mxint8", 2)
    codes = block.quantize([subnormal, MINUS_ZERO], fmt, policy, source=source)
    assert codes == (127, (0, 0))
    found = block.quantize([normal, subnormal], fmt, policy, source=source)
    assert found[1][1] == 0
    if least == -14:
        assert found == (113, (0xC0, 0))
    assert block.encode_with_scale([subnormal] * 2, 0, fmt, policy, source=source) == (0, 0)


@pytest.mark.parametrize("name", FORMATS)
def test_subnormal_results_can_be_flushed(name):
    fmt, policy = ELEMENT_FORMATS[name], Policy(element_subnormal="flush")
    for code in range(fmt.code_count):
        number = element.decode(code, name)
        kept = encode(number, name, policy)
        magnitude_code = code % fmt.sign_mask
        is_subnormal = name != "int8" and 0 < magnitude_code < 1 << fmt.mantissa_bits
        expected = code - magnitude_code if is_subnormal else encode(number, name)
        assert kept == expected
    if name != "int8":
        least = pow2(fmt.emin)
        # Flushed after rounding: what rounds up to a normal number stays.
        assert element.decode(encode(least * (1 - pow2(-20)), name, policy), name).value == least
        below = encode(-least * Fraction(5, 8), name, policy)
        assert below == fmt.sign_mask  # a result, so that its sign is a result's
        assert encode(-least * Fraction(5, 8), name, policy.replace(neg_zero="drop-input")) == below
        assert encode(-least * Fraction(5, 8), name, policy.replace(neg_zero="drop")) == 0


# --- rounding twice ------------------------------------------------------------------------------

DTYPES = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}
VIA = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
float32_bits = st.integers(0, 2**32 - 1) | st.integers(0x3A000000, 0x48000000)


def chain(x, *dtypes):
    with np.errstate(all="ignore"):  # overflow is the point
        for dtype in dtypes:
            x = x.astype(dtype)
    return int(x.view(np.uint8)[0])


@settings(max_examples=300)
@given(float32_bits, st.sampled_from(["bfloat16", "float16"]))
@example(0x3F880001, "bfloat16")  # 1.0625 and a little: a tie of E4M3 once it is bfloat16
@example(0x477FF000, "float16")  # 65520: infinity in float16
@example(0x7F7FFFFF, "bfloat16")  # infinity in bfloat16
@example(0xC77FF000, "float16")
@example(0x38800000 - 1, "float16")
def test_double_rounding_against_casts_of_numpy(bits, via):
    x = np.array([bits], np.uint32).view(np.float32)
    number = ieee.from_bits(bits, "float32")
    policy = Policy(
        fp8_overflow="overflow",
        nan_payload="quiet-signed",
        nan_element="flipped-zero",
        scaled_intermediate=via,
    )
    for name, dtype in DTYPES.items():
        assert encode(number, name, policy) == chain(x, VIA[via], dtype), name


@settings(max_examples=300)
@given(st.floats(-600, 600) | st.floats(-4, 4))
@example(1.0625 + 2.0**-40)
@example(0.25 + 2.0**-30)
@example(1e300)
def test_float64_through_float32(x):
    number = Number.finite(Fraction(x), sign_of_zero=int(np.signbit(x)))
    policy = Policy(fp8_overflow="overflow", nan_payload="signed", scaled_intermediate="float32")
    for name, dtype in DTYPES.items():
        got = element.encode(number, name, policy, source="float64")
        assert got == chain(np.array([x]), np.float32, dtype), name


def test_each_intermediate_loses_what_it_cannot_hold():
    # Just above the tie 1.0625 of E4M3, by 2^-d: exact goes up, a type that loses it does not.
    for d, types in ((8, {"bfloat16"}), (12, {"bfloat16", "float16"}), (25, set(VIA))):
        above_tie = Fraction(17, 16) + pow2(-d)
        for via in VIA:
            got = encode(above_tie, "e4m3", scaled_intermediate=via)
            assert got == (0x38 if via in types else 0x39), (d, via)
        assert encode(above_tie, "e4m3", scaled_intermediate="exact") == 0x39


def test_the_intermediate_is_that_of_the_quotient():
    policy, huge = Policy(scaled_intermediate="float32", rounding="up"), pow2(127)
    tiny = Number.finite(pow2(-23))
    assert element.encode(tiny, "e2m1", policy, scale=huge) == 0  # 2^-150 is a tie to zero
    assert element.encode(tiny, "e2m1", policy, scale=huge / 2) == 1  # 2^-149 is a float32
    assert element.encode(tiny, "e2m1", Policy(rounding="up"), scale=huge) == 1
    # A negative quotient that vanishes is a negative result.
    minus_tiny = Number.finite(-pow2(-23))
    for neg_zero, code in (("keep", 8), ("drop-input", 8), ("drop", 0)):
        policy = Policy(scaled_intermediate="float32", neg_zero=neg_zero)
        assert element.encode(minus_tiny, "e2m1", policy, scale=huge) == code
    # Beyond the intermediate it is an infinity, which no direction of rounding holds back.
    for overflow, code in (("saturate", 0xFB), ("overflow", 0xFC), ("propagate", 0xFC)):
        policy = Policy(
            scaled_intermediate="float16", fp8_overflow=overflow, rounding="toward-zero"
        )
        assert element.encode(Number.finite(-66000), "e5m2", policy) == code
    assert element.encode(Number.finite(-66000), "e5m2", "ocp:fp8_overflow=propagate") == 0xFB
