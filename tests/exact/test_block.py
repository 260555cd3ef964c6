"""Blocks: the two steps together, at the edges and under every choice."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref.exact import block, element, ieee
from mxref.exact.number import Number, NumberClass
from mxref.formats import BLOCK_FORMATS, block_format, pow2
from mxref.policy import Policy

NAN, INF, MINUS_INF, MINUS_ZERO = Number.nan(1), Number.inf(0), Number.inf(1), Number.zero(1)
BLOCKS = list(BLOCK_FORMATS)
MODES = ["nearest-even", "nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd"]


def numbers(*values):
    return [v if isinstance(v, Number) else Number.finite(Fraction(v)) for v in values]


def float32(bits):
    return ieee.from_bits(bits, "float32")


def test_a_block_by_hand():
    # amax 5: largest power of two 4, over that of E2M1 which is 4, so X = 1.
    values = numbers(5, -5, Fraction(1, 4), Fraction(3, 4), Fraction(5, 4), Fraction(-1, 5))
    # 5 ties between 4 and 6: 4 is even. 1/4 ties to 0, 3/4 to 1, 5/4 to 1, and -1/5 to -0.
    expected = (127, (0b0110, 0b1110, 0b0000, 0b0010, 0b0010, 0b1000))
    assert block.quantize(values, "mxfp4/6") == expected
    decoded = block.dequantize(*expected, "mxfp4/6")
    assert decoded == tuple(numbers(4, -4, 0, 1, 1, MINUS_ZERO))


@pytest.mark.parametrize("name", BLOCKS)
def test_a_zero_block_is_all_zeros(name):
    fmt = block_format(name, 3)
    zero_code = 0 if name == "mxint8" else fmt.element.sign_mask
    assert block.quantize(numbers(0, MINUS_ZERO, 0), fmt) == (0, (0, zero_code, 0))
    assert all(v.cls is NumberClass.ZERO for v in block.dequantize(0, (0, zero_code, 0), fmt))


# The element codes of a block whose scale is NaN.
@pytest.mark.parametrize(
    ("name", "policy", "code"),
    [
        ("mxfp8_e4m3", {}, 0x7F),
        ("mxfp8_e5m2", {}, 0x7F),
        ("mxfp8_e5m2", {"nan_payload": "signed"}, 0x7F),
        ("mxfp8_e5m2", {"nan_payload": "quiet-signed"}, 0x7E),
        ("mxfp6_e3m2", {}, 0x1F),
        ("mxfp4", {}, 0x7),
        ("mxfp4", {"nan_element": "zero"}, 0x0),
        ("mxfp4", {"nan_element": "flipped-zero"}, 0x8),
        ("mxint8", {}, 0x7F),
        ("mxint8", {"nan_element": "signed-max"}, 0x7F),
    ],
)
@pytest.mark.parametrize("special", [NAN, INF, MINUS_INF])
def test_a_nan_scale_makes_every_element_nan(special, name, policy, code):
    values = numbers(1, special, -2, MINUS_ZERO)
    fmt = block_format(name, 4)
    assert block.quantize(values, fmt, Policy(**policy)) == (0xFF, (code,) * 4)
    decoded = block.dequantize(0xFF, (code,) * 4, fmt)
    assert all(v.cls is NumberClass.NAN for v in decoded)


def test_a_nan_scale_from_a_zero_block():
    policy = Policy(scale_zero_block="nan")
    assert block.quantize(numbers(0, 0), "mxfp8_e4m3/2", policy) == (0xFF, (0x7F, 0x7F))


def test_nan_and_infinity_on_their_own():
    policy = Policy(scale_nan="ignore", scale_inf="ignore", nan_payload="signed")
    values = numbers(1, NAN, INF, MINUS_INF)
    assert block.quantize(values, "mxfp8_e4m3/4", policy) == (119, (0x78, 0xFF, 0x7E, 0xFE))
    assert block.quantize(values, "mxfp4/4", policy) == (125, (0x6, 0x7, 0x7, 0xF))
    overflow = policy.replace(fp8_overflow="overflow")
    assert block.quantize(values, "mxfp8_e5m2/4", overflow) == (112, (0x78, 0xFF, 0x7C, 0xFC))


def test_an_infinity_under_the_largest_scale():
    policy = Policy(scale_inf="saturate")
    # Everything else is far below the smallest element under 2^127.
    assert block.quantize(numbers(1, INF, -1, 0), "mxfp4/4", policy) == (0xFE, (0, 7, 8, 0))


@pytest.mark.parametrize(
    ("bits", "name", "scale_code", "code"),
    [
        (0x00000001, "mxfp8_e4m3", 0, 0x00),  # 2^-149 / 2^-127 = 2^-22
        (0x00000001, "mxint8", 0, 0x00),
        (0x00400000, "mxfp8_e4m3", 0, 0x38),  # 2^-127 / 2^-127 = 1
        (0x00400000, "mxfp4", 0, 0x2),
        (0x00400000, "mxint8", 0, 0x40),
        (0x80002000, "mxfp8_e4m3", 0, 0x81),  # -2^-136 / 2^-127 = -2^-9: the least subnormal
        (0x00002000, "mxfp8_e4m3", 0, 0x01),
        (0x00001000, "mxfp8_e4m3", 0, 0x00),  # half of it: a tie, to even
        (0x00001001, "mxfp8_e4m3", 0, 0x01),
        (0x7F7FFFFF, "mxfp8_e4m3", 246, 0x7E),  # the largest float32 saturates
        (0xFF7FFFFF, "mxfp4", 252, 0xF),
        (0x7F7FFFFF, "mxint8", 254, 0x7F),
    ],
)
def test_the_ends_of_float32(bits, name, scale_code, code):
    assert block.quantize([float32(bits)], block_format(name, 1)) == (scale_code, (code,))


def test_a_clamped_scale_saturates_its_elements():
    # 2^130 / 2^127 = 8: beyond 6.
    huge = numbers(pow2(130), -pow2(130), pow2(128))
    assert block.quantize(huge, "mxfp4/3") == (0xFE, (0x7, 0xF, 0x4))
    nan = Policy(scale_above="nan")
    assert block.quantize(huge, "mxfp4/3", nan) == (0xFF, (0x7, 0x7, 0x7))


def test_elements_take_any_scale():
    values = numbers(3, -1, Fraction(1, 2))
    assert block.encode_with_scale(values, 127, "mxfp4/3") == (0x5, 0xA, 0x1)
    assert block.encode_with_scale(values, 128, "mxfp4/3") == (0x3, 0x9, 0x0)
    assert block.encode_with_scale(values, 0, "mxfp4/3") == (0x7, 0xF, 0x7)
    assert block.encode_with_scale(values, 254, "mxfp4/3") == (0x0, 0x8, 0x0)
    assert block.encode_with_scale(values, 255, "mxfp8_e4m3/3") == (0x7F, 0x7F, 0x7F)


# --- decoding --------------------------------------------------------------------------------


def test_special_elements_ignore_the_scale():
    for scale_code in (0, 127, 254):
        got = block.dequantize(scale_code, (0x7C, 0xFC, 0x7D, 0xFE, 0x80), "mxfp8_e5m2")
        expected = (INF, MINUS_INF, Number.nan(0), Number.nan(1), MINUS_ZERO)
        assert got == expected


def test_a_nan_scale_beats_everything_and_the_element_gives_the_sign():
    got = block.dequantize(0xFF, (0x00, 0x80, 0x7C, 0xFC, 0x38), "mxfp8_e5m2")
    assert got == tuple(Number.nan(s) for s in (0, 1, 0, 1, 0))
    got = block.dequantize(0xFF, (0x00, 0x80, 0x7F, 0xFF), "mxint8")
    assert got == tuple(Number.nan(s) for s in (0, 1, 0, 1))


@pytest.mark.parametrize(
    ("name", "code", "exponent"), [("mxfp8_e5m2", 1, -143), ("mxfp8_e4m3", 1, -136)]
)
def test_the_least_products_are_exact_in_float32(name, code, exponent):
    (value,) = block.dequantize(0, (code,), name)
    assert value.value == pow2(exponent)
    assert ieee.from_bits(ieee.to_bits(value, "float32"), "float32") == value


def test_products_beyond_float32_stay_exact_until_they_are_rounded():
    (value,) = block.dequantize(0xFE, (0xFE,), "mxfp8_e4m3")
    assert value.value == -448 * pow2(127)
    assert ieee.to_bits(value, "float32") == 0xFF800000
    assert ieee.to_bits(value, "float32", "ocp:decode_overflow=saturate") == 0xFF7FFFFF
    assert ieee.from_bits(ieee.to_bits(value, "float64"), "float64") == value


# --- properties ------------------------------------------------------------------------------

floats = st.integers(0, 0xFFFFFFFF).filter(lambda bits: bits & 0x7F800000 != 0x7F800000)
close_floats = st.integers(0x3E000000, 0x42000000) | st.integers(0xBE000000, 0xC2000000)


@given(
    st.lists(floats, min_size=4, max_size=4) | st.lists(close_floats, min_size=4, max_size=4),
    st.sampled_from(BLOCKS),
)
def test_values_lie_within_half_a_step_where_nothing_saturates(patterns, name):
    fmt = block_format(name, 4)
    values = [float32(bits) for bits in patterns]
    scale_code, codes = block.quantize(values, fmt, "ocp:scale_rule=rceil")
    scale = pow2(scale_code - 127)
    for value, decoded in zip(values, block.dequantize(scale_code, codes, fmt), strict=True):
        step = element.quantum(value.magnitude / scale, fmt.element) * scale
        # INT8 leaves -128 unused, and the range of its RCEIL ends at 127 / 64: nothing clips.
        assert abs(value.value - decoded.value) <= step / 2


@given(st.lists(floats, min_size=4, max_size=4), st.sampled_from(BLOCKS), st.sampled_from(MODES))
def test_quantizing_what_was_dequantized_changes_nothing(patterns, name, rounding):
    fmt, policy = block_format(name, 4), Policy(rounding=rounding)
    scale_code, codes = block.quantize([float32(bits) for bits in patterns], fmt, policy)
    once = block.dequantize(scale_code, codes, fmt)
    # FLOOR puts amax between the largest power of two of the format and its largest value.
    assert block.quantize(once, fmt, policy) == (scale_code, codes)


# --- bad input -------------------------------------------------------------------------------


def test_counts_that_do_not_fit():
    with pytest.raises(ValueError, match="has 32 elements, got 2"):
        block.quantize(numbers(1, 2), "mxfp4")
    with pytest.raises(ValueError, match="has 2 elements, got 3"):
        block.encode_with_scale(numbers(1, 2, 3), 127, "mxfp4/2")
    with pytest.raises(ValueError, match="has 2 elements, got 3 codes"):
        block.dequantize(127, (0, 0, 0), "mxfp4/2")


def test_scale_codes_and_codes_that_do_not_exist():
    with pytest.raises(ValueError, match="scale code of e8m0: expected 0 to 0xff"):
        block.dequantize(256, (0,), "mxfp4")
    with pytest.raises(ValueError, match="code of e2m1: expected 0 to 0xf"):
        block.dequantize(127, (16,), "mxfp4")
    with pytest.raises(TypeError, match="expected an integer"):
        block.encode_with_scale(numbers(1), 1.0, "mxfp4/1")


def test_short_last_blocks():
    policy = Policy(block_tail="zero-pad")
    assert block.quantize(numbers(1, 2), "mxfp4", policy) == (126, (0x4, 0x6))
    assert block.dequantize(126, (0x4, 0x6), "mxfp4") == tuple(numbers(1, 2))


def test_a_nan_that_nothing_can_hold_is_refused():
    policy = Policy(scale_nan="ignore", nan_element="raise")
    with pytest.raises(ValueError, match="nan_element=raise"):
        block.quantize(numbers(1, NAN), "mxfp4/2", policy)
