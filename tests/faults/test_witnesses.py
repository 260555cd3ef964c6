"""What each new model does, on inputs that were worked out by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from mxref.exact.logarithm import log2_float32
from mxref.faults import correct, implementations, scale_models
from mxref.faults._logarithm import ceil_log2_float32, floor_log2_float32
from mxref.faults.scale_models import sees_neighbours
from mxref.faults.stats import block_stats, with_neighbours
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS
from mxref.policy import Policy, get_policy

FORMATS = {**ELEMENT_FORMATS, **SCALE_FORMATS, **BLOCK_FORMATS}


def subject(operation, name, fault, detail, policy="ocp"):
    models = implementations(operation, FORMATS[name], get_policy(policy))
    [found] = [m.subject for m in models if (m.id, m.detail) == (fault, detail)]
    return found


def quantized(name, fault, detail, numbers, policy="ocp"):
    """Scale code and the first element codes of a block that zeros complete."""
    x = np.zeros((1, 32), np.float32)
    x[0, : len(numbers)] = numbers
    scales, codes = subject("quantize", name, fault, detail, policy)(x)
    return int(scales[0]), codes[0, : len(numbers)].tolist()


def test_a_shift_that_wraps():
    wraps = subject("encode", "e4m3", "E11", "modulo 64")
    # 20 places for the mantissa and 64 for the exponent: shifted by 20 that should be by 84.
    assert wraps(np.float32([2.0**-70, -(2.0**-73), 2.0**-49, 0.0])).tolist() == [8, 0x81, 0, 0]
    wraps = subject("encode", "e5m2", "E11", "modulo 64")
    assert wraps(np.float32([3.3e-24])).tolist() == [4]  # the report of the corpus


def test_the_shift_of_int8_wraps_behind_32_bits():
    wraps = subject("encode", "int8", "E11", "modulo 32")
    # 17 places for the mantissa and 15 for the exponent: 32 in all, taken for 0.
    assert wraps(np.float32([2.0**-14, -(2.0**-15)])).tolist() == [0, 0x81]
    assert wraps(np.float32([2.0**-32, 2.0**-33])).tolist() == [64, 32]


def test_underflow_to_0x80_is_right_in_ocp_formats():
    x = np.float32([-1e-5, 1e-5, -0.0])
    for name in ("e4m3", "e5m2", "int8"):
        made = subject("encode", name, "E20", "")(x)
        assert made.tolist() == correct("encode", FORMATS[name], Policy())(x).tolist()
    assert subject("encode", "e4m3", "E20", "")(x).tolist() == [0x80, 0, 0x80]


def test_zero_over_zero():
    assert quantized("mxfp8_e4m3", "S12", "0/0 in a block of zeros", [0, -0.0]) == (0, [0x7F] * 2)
    assert quantized("mxfp4", "S12", "0/0 in a block of zeros", [0, -0.0]) == (0, [7, 7])
    assert quantized("mxfp4", "S12", "0/0 in a block of zeros", [0, 6.0]) == (127, [0, 7])
    largest = "the largest codes in a block of zeros"
    assert quantized("mxfp8_e4m3", "S12", largest, [0, -0.0]) == (0, [0x7E, 0xFE])
    assert quantized("mxint8", "S12", largest, [0, -0.0]) == (0, [0x7F, 0x81])


def test_the_smallest_scale_flushed():
    tiny = [2.0**-127, -(2.0**-140), 0.0]
    flushed = "division by a scale flushed to zero"
    assert quantized("mxfp4", "S12", flushed, tiny) == (0, [7, 0xF, 7])
    assert quantized("mxfp4", "S12", flushed + ", zeros kept", tiny) == (0, [7, 0xF, 0])
    assert quantized("mxfp4", "S12", flushed, [2.0**-124, 0.0]) == (1, [6, 0])


def test_tiny_blocks_scaled_as_though_amax_were_one():
    guard = "amax 1 in place of one below 1e-12"
    assert quantized("mxfp4", "S12", guard, [1e-13, -1e-13]) == (125, [0, 8])
    assert quantized("mxfp4", "S12", guard, [1e-11])[0] != 125
    guard = "amax 1 in place of one below 2^-126"
    assert quantized("mxfp8_e4m3", "S12", guard, [2.0**-127]) == (119, [0])
    assert quantized("mxfp8_e4m3", "S12", guard, [2.0**-126]) == (0, [0x40])


def test_elements_divided_by_another_scale_than_the_stored_one():
    x = [4.0, -1.0, np.float32(2.0)]
    assert quantized("mxfp4", "S14", "divided by the unrounded amax / max", x) == (
        127,
        [7, 0xB, 5],  # 6, -1.5, 3
    )
    assert quantized("mxfp4", "S14", "multiplied by the unrounded max / amax", x) == (
        127,
        [7, 0xB, 5],
    )
    later = "scale rounded up after the elements were made"
    assert quantized("mxfp4", "S14", later, [3.25, 1.0]) == (127, [7, 4])  # 6, 1.85
    assert quantized("mxfp4", "S14", "divided by twice the stored scale", x) == (127, [4, 9, 2])
    assert quantized("mxfp4", "S14", "divided by half the stored scale", x) == (127, [7, 0xC, 6])


def test_a_factor_that_overflows():
    factor = "multiplied by the unrounded max / amax"
    assert quantized("mxfp8_e4m3", "S14", factor, [2.0**-140, -(2.0**-149), 0.0]) == (
        0,
        [0x7E, 0xFE, 0x7F],
    )


def test_the_inverse_of_the_largest_scale_flushed():
    assert quantized("mxint8", "D17", "", [2.0**127, -(2.0**126)]) == (254, [0, 0])
    assert quantized("mxint8", "D17", "", [2.0**126, -(2.0**125)]) == (253, [64, 0xE0])
    assert quantized("mxint8", "E6", "", [2.0**127, -(2.0**126)]) == (254, [64, 0xE0])


def test_an_absent_scale_read_as_code_0():
    absent = subject("decode", "e4m3", "D14", "scale code zero in place of none")
    assert absent(np.array([0x38], np.uint8)).tolist() == [2.0**-127]


def test_a_float32_logarithm_near_a_power_of_two():
    below = [np.float32(8 - 2.0**-21)]
    floor = "floor of a float32 logarithm"
    assert quantized("mxfp4", "S8", floor, below)[0] == 128  # floor gives 127
    above = [np.float32(6 * 2.0**64 * (1 + 2.0**-23))]
    policy = "ocp:scale_rule=rceil"
    assert quantized("mxfp4", "S8", "ceil of a float32 logarithm", above, policy)[0] == 127 + 64
    right = correct("quantize", FORMATS["mxfp4"], get_policy(policy))
    assert right(np.full((1, 32), above[0]))[0].tolist() == [127 + 65]


@pytest.mark.parametrize("n", [*range(-148, -120), *range(-9, 10), *range(60, 70), 126, 127, 128])
def test_logarithms_are_those_of_the_definition(n):
    for gap in range(1, 40):
        for value in (2 - gap * 2.0**-24, 1 + gap * 2.0**-24):
            exponent = n - 1 if value > 1.5 else n
            number = np.array([math.ldexp(value, exponent)])
            logarithm = log2_float32(Fraction(value) * Fraction(2) ** exponent)
            assert floor_log2_float32(number).tolist() == [math.floor(logarithm)]
            assert ceil_log2_float32(number).tolist() == [math.ceil(logarithm)]


def test_degenerate_stochastic_roundings():
    policy = "ocp:rounding=stochastic-a"
    x, random = np.float32([1.25, 1.25, -1.375, 1.5]), np.array([0, 0xFFFF, 0, 9], np.uint32)

    def codes(fault, detail):
        return subject("encode", "e2m1", fault, detail, policy)(x, random).tolist()

    right = correct("encode", FORMATS["e2m1"], get_policy(policy))
    assert right(x, random).tolist() == [2, 3, 0xA, 3]
    assert codes("R1", "always toward zero") == [2, 2, 0xA, 3]
    assert codes("R1", "always away from zero") == [3, 3, 0xB, 3]
    assert codes("R1", "to nearest, random bits unused") == [2, 2, 0xB, 3]
    assert codes("R1", "random bits one place too low") == [2, 2, 0xA, 3]
    assert codes("R2", "all random bits zeros") == [2, 2, 0xA, 3]
    assert codes("R2", "all random bits ones") == [3, 3, 0xB, 3]
    assert codes("R3", "") == [0, 0, 0, 0]


def test_a_stochastic_model_wants_its_random_numbers():
    encode = correct("encode", FORMATS["e2m1"], Policy(rounding="stochastic-b"))
    with pytest.raises(ValueError, match="needs random numbers"):
        encode(np.float32([1.25]))


def test_ends_of_the_cast_to_e8m0():
    x = np.float32([1.0, np.nan, np.inf, 0.0, -1.0, 2.0**-127])

    def codes(fault, detail):
        return subject("encode", "e8m0", fault, detail)(x).tolist()

    assert codes("S6", "+1") == [128, 255, 255, 0, 255, 1]
    assert codes("S11", "NaN gives 0xfe") == [127, 254, 255, 0, 255, 0]
    assert codes("S11", "infinity gives 0x80") == [127, 255, 128, 0, 255, 0]
    assert codes("S11", "zero gives 0x7f") == [127, 255, 255, 127, 255, 0]
    assert codes("S11", "a negative number gives 0x00") == [127, 255, 255, 0, 0, 0]
    assert codes("S11", "clamped at 0x01") == [127, 255, 255, 1, 255, 1]


def test_neighbours_count_only_where_there_are_some():
    fmt = BLOCK_FORMATS["mxfp4"]
    models = [model for model in scale_models(fmt) if sees_neighbours(model)]
    assert len(models) == 3
    stats = with_neighbours(block_stats(np.array([[4.0], [8.0], [16.0]])))
    found = {m.detail: m.selector(fmt, Policy()).select(stats).tolist() for m in models}
    assert found["the next block's amax"] == [128, 129, 129]
    assert found["the previous block's amax"] == [127, 127, 128]
    names = {m.detail for m in implementations("quantize", fmt, Policy())}
    assert not names & set(found)
