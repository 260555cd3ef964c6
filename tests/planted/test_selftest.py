"""Each planted mistake departs from a correct implementation exactly where the taxonomy says.

The reference is ml_dtypes (clipped, since its casts do not saturate), so that a slip in the
style's own correct version cannot hide.
"""

# ruff: noqa: ARG005 - the rules share one signature

import implementations as impl
import ml_dtypes
import numpy as np
import pytest
from implementations import E2M1, E2M3, E4M3, E5M2, FLOAT_TYPES, K
from stimuli import dequantizer_input, encoder_input, quantizer_input

ML_DTYPE = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}


def reference_codes(v, t):
    """Codes of finite numbers: nearest even, saturating."""
    clipped = np.clip(v, -t.max, t.max).astype(np.float32)
    return clipped.astype(ML_DTYPE[t.name]).view(np.uint8) & (2 * t.sign - 1)


def values(t):
    codes = np.arange(2 * t.sign, dtype=np.uint8)
    return codes.view(ML_DTYPE[t.name]).astype(np.float32)


def floor_exponents(x, t):
    amax = np.abs(x).max(axis=-1, keepdims=True)
    finite = np.isfinite(amax) & (amax > 0)
    log2 = np.floor(np.log2(np.where(finite, amax, 1).astype(np.longdouble)))
    return log2.astype(int) - t.emax, finite


def reference_scales(x, t):
    exponent, is_number = floor_exponents(x, t)
    amax = np.abs(x).max(axis=-1, keepdims=True)
    byte = np.where(is_number, np.clip(exponent + 127, 0, 254), 0)
    return np.where(np.isfinite(amax), byte, 255).astype(np.uint8)


def divided(x, scales):
    return np.ldexp(np.where(scales == 255, 0, x).astype(float), 127 - scales.astype(int))


def correct_quantizers():
    for t in FLOAT_TYPES:
        yield pytest.param(lambda x, t=t: impl.quantize_by_arithmetic(x, t), t, id=f"math-{t.name}")
        yield pytest.param(lambda x, t=t: impl.quantize_by_bits(x, t), t, id=f"bits-{t.name}")
    yield pytest.param(impl.quantize_by_table, E2M1, id="table-e2m1")


@pytest.mark.parametrize(("quantizer", "t"), list(correct_quantizers()))
def test_correct_quantizers_agree_with_ml_dtypes(quantizer, t):
    x = quantizer_input(t)
    codes, scales = quantizer(x)
    np.testing.assert_array_equal(scales, reference_scales(x, t))
    expected = reference_codes(divided(x, scales), t)
    live = np.broadcast_to(scales != 255, x.shape)
    np.testing.assert_array_equal(codes[live], expected[live])


@pytest.mark.parametrize("t", FLOAT_TYPES, ids=lambda t: t.name)
def test_correct_encoder_and_decoders_agree_with_ml_dtypes(t):
    x = encoder_input(t)
    x = x[~np.isnan(x)]
    np.testing.assert_array_equal(impl.encode_by_bits(x, t), reference_codes(x, t))
    codes, scales = dequantizer_input(t)
    np.testing.assert_array_equal(impl.decode_by_table(codes, t), values(t)[codes])
    factor = scales.view(ml_dtypes.float8_e8m0fnu).astype(float)
    with np.errstate(over="ignore"):
        expected = (values(t)[codes].astype(float) * factor).astype(np.float32)
    np.testing.assert_array_equal(impl.dequantize_by_table(codes, scales, t), expected)


# --- elements: the predicate gets |v|, |value of the right code|, the right code's magnitude ------


def midpoints(t):
    grid = values(t)[: t.max_code + 1].astype(float)
    return (grid[1:] + grid[:-1]) / 2


def top_of_wrapping(a, y, code, t):
    is_carry = (a < y) & (code & ((1 << t.mbits) - 1) == 0)
    return is_carry | (a >= t.max + (t.max - values(t)[t.max_code - 1]) / 2)


ELEMENT = {
    "e1_fp4_boundaries": (E2M1, lambda a, y, c, t: np.isin(a, midpoints(t)) & (y < a)),
    "e1_add_half": (E4M3, lambda a, y, c, t: np.isin(a, midpoints(t)) & (y < a)),
    "e2_truncation": (E2M3, lambda a, y, c, t: y > a),
    "e2_fp4_table": (E2M1, lambda a, y, c, t: y > a),
    "e4_mantissa_mask": (E4M3, lambda a, y, c, t: c % 2 == 1),
    "e5_carry_clamped": (E4M3, lambda a, y, c, t: (y > a) & (c & 7 == 0)),
    "e5_carry_wrapped": (E2M1, top_of_wrapping),
    "e7_flush_input": (E2M1, lambda a, y, c, t: (a < 1) & (c > 0)),
    "e7_flush_output": (E4M3, lambda a, y, c, t: (y < 2.0**-6) & (c > 0)),
    "e8_cutoff": (E4M3, lambda a, y, c, t: (a < 2.0**-9) & (c > 0)),
    "e12_top_binade": (E4M3, lambda a, y, c, t: (a >= 256) & (y < 448)),
    "e12_fp4_top_binade": (E2M1, lambda a, y, c, t: (a >= 4) & (y < 6)),
    "e13_nan_on_overflow": (E4M3, lambda a, y, c, t: a > 464),
    "e15_max_416": (E4M3, lambda a, y, c, t: y == 448),
    "e19_sign_by_multiplication": (E2M1, None),
    "e21_through_bfloat16": (E4M3, None),
    "e22_through_float16": (E4M3, None),
    "e9_subnormal_binade": (E2M3, None),
    "e10_sticky_lost": (E2M1, None),
}


def element_case(name):
    t, predicate = ELEMENT[name]
    x = quantizer_input(t)
    codes, scales = getattr(impl, name)(x)
    np.testing.assert_array_equal(scales, reference_scales(x, t))
    live = np.broadcast_to(scales != 255, x.shape)
    v = divided(x, scales)[live]
    right = reference_codes(v, t)
    return t, predicate, v, codes[live], right


@pytest.mark.parametrize("name", [name for name, (_, rule) in ELEMENT.items() if rule])
def test_element_mistakes_are_where_they_should_be(name):
    t, predicate, v, codes, right = element_case(name)
    magnitude = right & (t.sign - 1)
    expected = predicate(np.abs(v), values(t)[magnitude], magnitude, t)
    np.testing.assert_array_equal(codes != right, expected)
    assert expected.any()


def test_e19_loses_exactly_the_negative_zeros():
    t, _, _, codes, right = element_case("e19_sign_by_multiplication")
    np.testing.assert_array_equal(codes, np.where(right == t.sign, 0, right))
    assert (right == t.sign).any()


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("e21_through_bfloat16", ml_dtypes.bfloat16), ("e22_through_float16", np.float16)],
)
def test_double_rounding_is_that_of_the_narrow_type(name, dtype):
    t, _, v, codes, right = element_case(name)
    twice = reference_codes(v.astype(np.float32).astype(dtype).astype(float), t)
    np.testing.assert_array_equal(codes, twice)
    assert (codes != right).any()


def test_e9_halves_every_subnormal():
    t, _, v, codes, right = element_case("e9_subnormal_binade")
    assert np.all(np.abs(v[codes != right]) < 1.0)
    exact = np.abs(v) == values(t)[right & 31]
    small = exact & (np.abs(v) < 1.0)
    np.testing.assert_array_equal(codes[small] & 31, np.rint((right[small] & 31) / 2))


def test_e10_rounds_a_hair_above_a_midpoint_down():
    _, _, v, codes, right = element_case("e10_sticky_lost")
    wrong = np.abs(v[codes != right])
    assert np.all((wrong > 0.25) & (wrong < 0.25 * (1 + 2.0**-21)))
    assert np.float32(0.25000006) in wrong.astype(np.float32)


# --- casts ------------------------------

CAST = {
    "e13_encode_inf": (E5M2, lambda x: np.abs(x) >= 61440),
    "e14_encode": (E4M3, lambda x: (np.abs(x) > 464) & (np.abs(x) < 512)),
    "e15_encode_49152": (E5M2, lambda x: np.abs(x) > 53248),
    "e16_encode_inf_kept": (E5M2, np.isinf),
    "e16_encode_inf_nan": (E4M3, np.isinf),
    "e18_encode_nan_max": (E4M3, np.isnan),
    "e18_encode_nan_zero": (E4M3, np.isnan),
}


@pytest.mark.parametrize("name", CAST)
def test_cast_mistakes_are_where_they_should_be(name):
    t, predicate = CAST[name]
    x = encoder_input(t)
    right = np.where(
        np.isnan(x), 0x7F, reference_codes(np.nan_to_num(x, posinf=1e9, neginf=-1e9), t)
    )
    np.testing.assert_array_equal(getattr(impl, name)(x) != right, predicate(x))


# --- scales: offset from the rule of OCP, by the significand of amax ------------------------------

OFFSET = {
    "s1_floor_of_quotient": lambda m, t: -1 * (m < t.max / 2**t.emax),
    "s2_nearest_power": lambda m, t: -1 * (m < 0.75 * t.max / 2**t.emax),
    "s3_round_log2": lambda m, t: -1 * (m < t.max / 2**t.emax / np.sqrt(2)),
    "s4_no_emax": lambda m, t: t.emax + 0 * m,
    "s5_ceil": lambda m, t: 1 * (m > 1),
    "s6_bias_125": lambda m, t: -2 + 0 * m,
    "s7_amax_bfloat16": lambda m, t: 1 * (m >= 2 - 2.0**-8),
    "s10_rceil": lambda m, t: 1 * (m > t.max / 2**t.emax),
    "s10_even": lambda m, t: 1 * (m >= 2 - 2.0 ** -(t.mbits + 1)),
}


@pytest.mark.parametrize("t", FLOAT_TYPES, ids=lambda t: t.name)
@pytest.mark.parametrize("name", OFFSET)
def test_scale_mistakes_step_where_they_should(name, t):
    x = quantizer_input(t)
    codes, scales = getattr(impl, name)(x, t)
    exponent, is_number = floor_exponents(x, t)
    amax = np.where(is_number, np.abs(x).max(axis=-1, keepdims=True), 1).astype(float)
    m = amax / np.exp2(exponent + t.emax)
    if name == "s7_amax_bfloat16":  # a subnormal bfloat16 has fewer bits: other steps
        is_number &= amax >= 2.0**-126
    expected = np.clip(exponent + 127 + OFFSET[name](m, t).astype(int), 0, 254)
    if name == "s7_amax_bfloat16":  # the largest float32 become infinity
        expected = np.where(amax >= (2 - 2.0**-8) * 2.0**127, 255, expected)
    np.testing.assert_array_equal(scales[is_number], expected[is_number])
    assert (scales != reference_scales(x, t)).any()
    live = np.broadcast_to(scales != 255, x.shape)
    right = reference_codes(divided(x, scales), t)
    np.testing.assert_array_equal(codes[live], right[live])  # the elements follow the scale given


@pytest.mark.parametrize("t", FLOAT_TYPES, ids=lambda t: t.name)
def test_s11_wraps_tiny_blocks_only(t):
    x = quantizer_input(t)
    _, scales = impl.s11_wrap(x, t)
    exponent, is_number = floor_exponents(x, t)
    tiny = is_number & (exponent < -127)
    np.testing.assert_array_equal(scales != reference_scales(x, t), tiny)
    np.testing.assert_array_equal(scales[tiny], exponent[tiny] + 127 + 256)
    assert tiny.any()


@pytest.mark.parametrize(("name", "first"), [("s13_fmax", 0), ("s13_std_max", 1)])
def test_s13_gives_nan_blocks_a_scale(name, first):
    x = quantizer_input(E4M3)
    codes, scales = getattr(impl, name)(x)
    lost = np.isnan(x[:, first:]).any(axis=-1) & ~np.isinf(x).any(axis=-1)
    if first:
        lost &= ~np.isnan(x[:, 0])
    np.testing.assert_array_equal((scales != reference_scales(x, E4M3))[:, 0], lost)
    np.testing.assert_array_equal(codes[np.isnan(x)], 0x7F)


# --- layout and decoders ------------------------------


def test_l1_swaps_pairs():
    x = quantizer_input(E2M1)
    swapped, _ = impl.l1_nibbles(x)
    right, _ = impl.quantize_by_table(x)
    np.testing.assert_array_equal(swapped.reshape(-1, 2)[:, ::-1], right.reshape(-1, 2))
    codes, scales = dequantizer_input(E2M1)
    y = impl.l1_dequantize(codes, scales)
    right = impl.dequantize_by_table(codes, scales, E2M1)
    np.testing.assert_array_equal(y.reshape(-1, 2)[:, ::-1], right.reshape(-1, 2))


DECODE = {
    "d1_decode": (E4M3, lambda c: c & 0x78 == 0),
    "d3_decode": (E4M3, lambda c: c & 0x7F == 0x7F),
    "d4_decode": (E5M2, lambda c: c & 0x7F == 0x7C),
}


def same(a, b):
    return (a == b) & (np.signbit(a) == np.signbit(b)) | (np.isnan(a) & np.isnan(b))


@pytest.mark.parametrize("name", DECODE)
def test_decode_mistakes_are_where_they_should_be(name):
    t, predicate = DECODE[name]
    codes = np.arange(256, dtype=np.uint8)
    wrong = ~same(getattr(impl, name)(codes), values(t))
    np.testing.assert_array_equal(wrong, predicate(codes))


def test_scale_decode_mistakes():
    codes = np.arange(256, dtype=np.uint8)
    right = codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
    assert np.flatnonzero(~same(impl.d9_decode_scale(codes), right)).tolist() == [0]
    assert np.flatnonzero(~same(impl.d10_decode_scale(codes), right)).tolist() == [255]
    assert impl.d6_decode_scale(codes)[127] == 127.0


DEQUANTIZE = {
    "d1_fp4": (E2M1, lambda c, s: (c & 6 == 0) & (s != 255)),
    "d3_dequantize": (E4M3, lambda c, s: (c & 0x7F == 0x7F) & (s != 255)),
    "d9_shift": (E4M3, lambda c, s: (s == 0) & (c & 0x7F != 0) & (c & 0x7F != 0x7F)),
    "d10_inf": (E2M1, lambda c, s: (s == 255) & (c & 7 != 0)),
}


@pytest.mark.parametrize("name", DEQUANTIZE)
def test_dequantize_mistakes_are_where_they_should_be(name):
    t, predicate = DEQUANTIZE[name]
    codes, scales = dequantizer_input(t)
    wrong = ~same(getattr(impl, name)(codes, scales), impl.dequantize_by_table(codes, scales, t))
    np.testing.assert_array_equal(wrong, predicate(codes, np.repeat(scales, K, axis=-1)))
