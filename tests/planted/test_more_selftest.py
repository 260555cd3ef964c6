"""Each mistake of `plants` departs from a correct implementation exactly where it should.

The references are those of `test_selftest`, hence ml_dtypes.
"""

import composed as com
import more_decoders as dec
import more_elements as ele
import more_scales as sca
import numpy as np
import pytest
from implementations import E2M1, E2M3, E3M2, E4M3, E5M2, FLOAT_TYPES, K, decode_by_table
from more_elements import INT8
from plants import COMPOSED, ELEMENTS, MORE, SCALES
from stimuli import encoder_input, quantizer_input
from test_selftest import divided, midpoints, reference_codes, reference_scales, same, values

TYPES = {t.block: t for t in FLOAT_TYPES}


def outputs(plant):
    inputs = plant.inputs()
    with np.errstate(all="ignore"):
        return inputs, plant.fn(*inputs)


def by_blocks(plant):
    (x,), (codes, scales) = outputs(plant)
    return x.reshape(-1, K), codes.reshape(-1, K), scales.reshape(-1, 1)


@pytest.mark.parametrize("plant", [*MORE, *COMPOSED], ids=str)
def test_there_is_a_mistake_and_it_repeats(plant):
    inputs, first = outputs(plant)
    _, second = outputs(plant)
    several = (first, second) if isinstance(first, tuple) else ((first,), (second,))
    for a, b in zip(*several, strict=True):
        np.testing.assert_array_equal(a, b)
    if plant.op == "decode" and plant.format != "e8m0":
        t = next(t for t in FLOAT_TYPES if t.name == plant.format)
        assert not same(first, decode_by_table(inputs[0], t)).all()
    if plant.op == "quantize" and plant.format in TYPES:
        x, codes, scales = by_blocks(plant)
        t = TYPES[plant.format]
        live = np.broadcast_to(scales != 255, x.shape) & np.isfinite(x)
        right = reference_codes(divided(np.nan_to_num(x), scales), t)
        wrong_scale = scales != reference_scales(x, t)
        assert wrong_scale.any() or (codes != right)[live].any()


RIGHT_ELEMENTS = [p for p in SCALES if p.fault not in {"S12", "S14", "D16", "D17"}]


@pytest.mark.parametrize("plant", RIGHT_ELEMENTS, ids=str)
def test_elements_follow_the_scale_that_is_given(plant):
    x, codes, scales = by_blocks(plant)
    live = np.broadcast_to(scales != 255, x.shape) & np.isfinite(x)
    right = reference_codes(divided(np.nan_to_num(x), scales), TYPES[plant.format])
    np.testing.assert_array_equal(codes[live], right[live])
    assert (scales != reference_scales(x, TYPES[plant.format])).any()


@pytest.mark.parametrize("plant", [p for p in ELEMENTS if p.format != "mxint8"], ids=str)
def test_scales_are_right_where_elements_are_wrong(plant):
    x, _, scales = by_blocks(plant)
    np.testing.assert_array_equal(scales, reference_scales(x, TYPES[plant.format]))


# Where an encoder must be wrong, given |v|, the magnitude of the right value, and the type.
WHERE = [
    (ele.e3_fp4_one_boundary, E2M1, lambda a, _y, _t: a == 2.5),
    (ele.e8_fp4, E2M1, lambda a, y, _t: (a < 0.5) & (y > 0)),
    (ele.e12_e5m2, E5M2, lambda a, y, t: (a >= 2.0**15) & (y < t.max)),
    (ele.e15_clip(E4M3, 416.0), E4M3, lambda _a, y, _t: y > 416),
    (ele.e15_clip(E4M3, 224.0), E4M3, lambda _a, y, _t: y > 224),
    (ele.e15_clip(E5M2, 49152.0), E5M2, lambda _a, y, _t: y > 49152),
    (com.top_binade(com.nearest(E4M3), E4M3), E4M3, lambda a, y, _t: (a >= 256) & (y < 448)),
    (com.flushing(com.nearest(E3M2), E3M2), E3M2, lambda _a, y, t: (y > 0) & (y < 2.0**t.emin)),
]


def ordinary(t):
    x = encoder_input(t)
    return x[np.isfinite(x) & (np.abs(x) < 2.0 ** (t.emax + 1))].astype(np.float64)


@pytest.mark.parametrize(("encode", "t", "where"), WHERE)
def test_encoders_are_wrong_exactly_where_they_should_be(encode, t, where):
    v = ordinary(t)
    right = reference_codes(v, t)
    wrong = encode(v) != right
    y = np.abs(values(t)[right]).astype(np.float64)
    np.testing.assert_array_equal(wrong, where(np.abs(v), y, t))
    assert wrong.any()


@pytest.mark.parametrize("t", FLOAT_TYPES, ids=lambda t: t.name)
def test_e3_is_wrong_only_beyond_midpoints_and_rounds_down(t):
    v = ordinary(t)
    right, given = reference_codes(v, t), ele.e3_no_sticky(t)(v)
    wrong = given != right
    assert wrong.any()
    assert np.all((right - given.astype(int))[wrong] == 1)
    assert not np.isin(np.abs(v[wrong]), midpoints(t)).any()


@pytest.mark.parametrize("width", [32, 64])
def test_e11_makes_numbers_of_what_lies_far_below(width):
    v = ordinary(E4M3)
    right, given = reference_codes(v, E4M3), ele.e11_alignment_modulo(E4M3, width)(v)
    wrong = given != right
    assert wrong.any()
    assert np.abs(v[wrong]).max() < 2.0 ** (E4M3.emin + 1 - width)
    np.testing.assert_array_equal(right[wrong] & 0x7F, 0)


def test_e11_shows_where_the_taxonomy_says():
    tiny = 2.0 ** -np.arange(66.0, 78.0)
    given = ele.e11_alignment_modulo(E4M3, 64)(tiny)
    assert np.flatnonzero(given).tolist() == [4, 5, 6, 7]  # 2^-70 to 2^-73
    assert ele.e11_alignment_modulo(E5M2, 64)(np.array([3.3e-24]))[0] != 0


@pytest.mark.parametrize("t", [E4M3, E5M2, E2M1], ids=lambda t: t.name)
def test_e17_is_about_infinity_alone(t):
    x = encoder_input(t)
    for make in (ele.e17_encode, ele.e17_encode_masked):
        wrong = make(t)(x) != ele.cast(x, t)
        np.testing.assert_array_equal(wrong, np.isinf(x))


def test_e20_is_right_in_e4m3_and_wrong_in_int8():
    v = np.array([-1e-4, 1e-4, -0.5, -1.0, 0.0])
    np.testing.assert_array_equal(ele.e20_negative_underflow(v), reference_codes(v, E4M3))
    assert ele.e20_int8(v).view(np.int8).tolist() == [-128, 0, -32, -64, 0]


def test_e23_cuts_where_e22_rounds():
    v = np.float64([1 + 2.0**-4 + 2.0**-11 + 2.0**-20, 1 + 2.0**-4 + 2.0**-10])
    assert ele.cut_to_float16(v).tolist() == [1 + 2.0**-4, 1 + 2.0**-4 + 2.0**-10]
    half = v.astype(np.float16).astype(np.float64)
    assert half.tolist() == [1 + 2.0**-4 + 2.0**-10, 1 + 2.0**-4 + 2.0**-10]


# --- scales -------------------------------------------------------------------------------------


def steps(plant_fn, t, amax):
    """Offset from the rule of OCP, for blocks of one number."""
    x = np.zeros((len(amax), K), np.float32)
    x[:, 3] = amax
    return (plant_fn(x, t)[1].astype(int) - reference_scales(x, t)).ravel().tolist()


def test_s8_masks_and_ties_of_s9():
    m = [1.0, 1 + 2.0**-20, 1.25, 1.5, 1.75, 2.0, 3.0, 6.0]
    assert steps(sca.s8_mask_misses_top_bit, E2M1, m) == [0, 1, 1, 0, 1, 0, 0, 0]
    assert steps(sca.s8_mask_misses_low_bits, E2M1, m) == [0, 0, 1, 1, 1, 0, 1, 1]
    assert steps(sca.s9_even_exponent, E2M1, m) == [0, 0, 0, 0, 1, 0, 1, 0]
    assert steps(sca.s9_even_code, E2M1, m) == [0, 0, 0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize("t", [E4M3, E2M1], ids=lambda t: t.name)
def test_s12_and_s14_leave_the_scale_right(t):
    x = quantizer_input(t)
    for fn in (sca.s12_guarded_scale(1e-12), sca.s14_unrounded_floor, sca.s14_other_power):
        codes, scales = fn(x, t)
        np.testing.assert_array_equal(scales, reference_scales(x, t))
        live = np.broadcast_to(scales != 255, x.shape)
        assert (codes != reference_codes(divided(x, scales), t))[live].any()


def test_s12_touches_blocks_of_zeros_alone():
    for fn, t in ((sca.s12_zero_over_zero, E4M3), (sca.s12_zero_over_zero_fp4, E2M1)):
        x = quantizer_input(t)
        codes, scales = fn(x)
        live = np.broadcast_to(scales != 255, x.shape)
        wrong = (codes != reference_codes(divided(x, scales), t)) & live
        np.testing.assert_array_equal(wrong.all(1), (x == 0).all(1))
        np.testing.assert_array_equal(wrong.any(1), (x == 0).all(1))


def test_d16_reaches_the_top_bit_of_a_neighbour():
    x = np.zeros((1, 4 * K), np.float32)
    x[0, ::K] = 1.0, 1e-39, 1.0, 1.0  # the second block has the scale 2^-127
    _, scales = sca.row_d16_packed_inverse(x, E2M1)
    assert scales.tolist() == [[125 | 0x80, 0, 125, 125]]


def test_d17_is_about_the_largest_scale_alone():
    x = quantizer_input(INT8)
    right, scales = ele.quantize_int8(x)
    for fn in (dec.d17_inverse_by_bits, dec.d17_flushed):
        codes, same_scales = fn(x)
        np.testing.assert_array_equal(scales, same_scales)
        assert set(scales[(codes != right).any(1), 0]) == {254}


# --- decoders -----------------------------------------------------------------------------------

DECODE = [
    (dec.d2_decode(E4M3, -1), E4M3, lambda c: (c & 0x78 == 0) & (c & 7 != 0)),
    (dec.d7_decode(E4M3), E4M3, lambda c: c == 0x80),
    (dec.d7_decode(E2M1), E2M1, lambda c: c == 8),
    (dec.d8_decode(E5M2), E5M2, lambda c: (c & 0x7C == 0) & (c & 3 != 0)),
    (dec.d8_unsigned(E2M3), E2M3, lambda c: (c & 0x18 == 0) & (c != 0)),
    (dec.d3_decode_e5m2, E5M2, lambda c: c & 0x7F > 0x7C),
    (dec.d5_into_half, E4M3, lambda c: (c & 0x7F != 0) & (c & 0x7F != 0x7F)),
    (com.formula(E4M3), E4M3, lambda c: (c & 0x78 == 0) | (c & 0x7F == 0x7F)),
    (com.no_specials(E5M2), E5M2, lambda c: c & 0x7C == 0x7C),
]


@pytest.mark.parametrize(("decode", "t", "where"), DECODE)
def test_decoders_are_wrong_exactly_where_they_should_be(decode, t, where):
    codes = np.arange(2 * t.sign, dtype=np.uint8)
    np.testing.assert_array_equal(~same(decode(codes), values(t)), where(codes))


SCALE_CODES = [
    (dec.d9_wrap, [0]),
    (dec.d10_finite, [255]),
    (dec.d10_zero, [255]),
    (dec.d11_value_128, [134]),
    (dec.d11_code(254), [254]),
    (dec.d12_low_codes, list(range(103, 113))),
    (dec.d12_float16_exponent, list(range(113))),
    (dec.d12_through_float16, [*range(113), *range(143, 255)]),
    (com.shifted_scale, [0, 255]),
    (com.sentinel_by_value, [134, 255]),
]


@pytest.mark.parametrize(("factor", "wrong"), SCALE_CODES)
def test_scale_codes_are_wrong_exactly_where_they_should_be(factor, wrong):
    codes = np.arange(256, dtype=np.uint8)
    right = np.where(codes == 255, np.nan, np.ldexp(1.0, codes.astype(int) - 127))
    assert np.flatnonzero(~same(np.asarray(factor(codes), float), right)).tolist() == wrong
