"""The bits of ordinary floats against NumPy and ml_dtypes."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.exact import ieee
from mxref.exact.number import Number, NumberClass
from mxref.policy import Policy

TYPES = {
    "float16": (np.float16, np.uint16),
    "bfloat16": (ml_dtypes.bfloat16, np.uint16),
    "float32": (np.float32, np.uint32),
    "float64": (np.float64, np.uint64),
}
SIGNED = Policy(decode_nan="signed")


def bits_of(x, name):
    dtype, unsigned = TYPES[name]
    with np.errstate(all="ignore"):
        return int(np.asarray(x).astype(dtype).view(unsigned))


@pytest.mark.parametrize("name", TYPES)
def test_parameters(name):
    fmt, info = ieee.IEEE_FORMATS[name], ml_dtypes.finfo(TYPES[name][0])
    assert (fmt.bits, fmt.mantissa_bits, 1 - fmt.bias) == (info.bits, info.nmant, info.minexp)
    assert fmt.max == Fraction(float(info.max))


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_every_pattern_of_16_bits(name):
    patterns = np.arange(1 << 16, dtype=np.uint16)
    with np.errstate(all="ignore"):  # NumPy warns of NaN
        values = patterns.view(TYPES[name][0]).astype(np.float64)
    top = 1 << (ieee.IEEE_FORMATS[name].mantissa_bits - 1)
    quiet = bits_of(np.inf, name) + top
    for bits, x in zip(patterns.tolist(), values.tolist(), strict=True):
        number = ieee.from_bits(bits, name)
        assert number.sign == bits >> 15
        if x != x:  # noqa: PLR0124  # NaN
            assert number.cls is NumberClass.NAN
            assert ieee.to_bits(number, name) == quiet
            assert ieee.to_bits(number, name, SIGNED) == (bits & 0x8000) + quiet
            continue
        assert ieee.to_bits(number, name) == bits
        if abs(x) == np.inf:
            assert number.cls is NumberClass.INF
        else:
            assert number.value == Fraction(x)


@given(st.floats(width=32, allow_nan=False) | st.floats(width=32, max_value=2.0**-120, min_value=0))
def test_float32_round_trip(x):
    number = ieee.from_bits(bits_of(x, "float32"), "float32")
    assert ieee.to_bits(number, "float32") == bits_of(x, "float32")
    assert ieee.to_bits(number, "float64") == bits_of(x, "float64")  # widening is exact
    if np.isfinite(x):
        assert number.value == Fraction(x)


@given(st.floats(allow_nan=False) | st.floats(max_value=2.0**-1000, min_value=0))
def test_float64_round_trip(x):
    number = ieee.from_bits(bits_of(x, "float64"), "float64")
    assert ieee.to_bits(number, "float64") == bits_of(x, "float64")
    if np.isfinite(x):
        assert number.value == Fraction(x)


# Doubles around everything that can happen to a float32 or a float16: ties, subnormals, overflow.
def beside(x, quarters):
    # np.spacing overflows at the largest number of a type; the unit below it is the same there.
    unit = abs(float(x) - float(np.nextafter(x, x.dtype.type(0)))) if x else float(np.spacing(x))
    return float(x) + quarters / 4 * unit  # exact in float64; 2 is a tie


near_float32 = st.builds(
    lambda bits, quarters: beside(np.uint32(bits).view(np.float32), quarters),
    st.integers(0, 0xFFFFFFFF).filter(lambda b: b & 0x7F800000 != 0x7F800000),
    st.sampled_from([-1, 0, 1, 2, 3]),
)
near_float16 = st.builds(
    lambda bits, quarters: beside(np.uint16(bits).view(np.float16), quarters),
    st.integers(0, 0xFFFF).filter(lambda b: b & 0x7C00 != 0x7C00),
    st.sampled_from([-1, 0, 1, 2, 3]),
)


@settings(max_examples=400)
@given(st.floats(allow_nan=False) | near_float32 | near_float16)
def test_rounding_of_a_float64_against_numpy(x):
    number = ieee.from_bits(bits_of(x, "float64"), "float64")
    for name in ("float32", "float16"):
        assert ieee.to_bits(number, name) == bits_of(np.float64(x), name)


@settings(max_examples=200)
@given(st.integers(0, 0xFFFFFFFF).filter(lambda b: b & 0x7F800000 != 0x7F800000))
def test_rounding_of_a_float32_to_bfloat16_against_ml_dtypes(bits):
    number = ieee.from_bits(bits, "float32")
    assert ieee.to_bits(number, "bfloat16") == bits_of(np.uint32(bits).view(np.float32), "bfloat16")


FLOAT32_MAX = (2 - Fraction(1, 2**23)) * 2**127


@pytest.mark.parametrize(
    ("value", "inf", "saturate"),
    [
        (FLOAT32_MAX, 0x7F7FFFFF, 0x7F7FFFFF),
        (Fraction(2) ** 128 - 2**103 - 1, 0x7F7FFFFF, 0x7F7FFFFF),
        (Fraction(2) ** 128 - 2**103, 0x7F800000, 0x7F7FFFFF),
        (Fraction(-(2**140)), 0xFF800000, 0xFF7FFFFF),
    ],
)
def test_overflow(value, inf, saturate):
    number = Number.finite(value)
    assert ieee.to_bits(number, "float32") == inf
    assert ieee.to_bits(number, "float32", Policy(decode_overflow="saturate")) == saturate


def test_an_infinity_is_no_overflow():
    saturate = Policy(decode_overflow="saturate")
    assert ieee.to_bits(Number.inf(1), "float32", saturate) == 0xFF800000


def test_zeros_and_nans():
    assert [ieee.to_bits(Number.zero(s), "float32") for s in (0, 1)] == [0, 0x80000000]
    assert [ieee.to_bits(Number.nan(s), "float32") for s in (0, 1)] == [0x7FC00000] * 2
    signed = [ieee.to_bits(Number.nan(s), "float32", SIGNED) for s in (0, 1)]
    assert signed == [0x7FC00000, 0xFFC00000]
    below_half = Number.finite(Fraction(-1, 2**151))
    assert ieee.to_bits(below_half, "float32") == 0x80000000


@pytest.mark.parametrize("bits", [-1, 1 << 32])
def test_patterns_out_of_range_are_refused(bits):
    with pytest.raises(ValueError, match="bits of float32: expected 0 to 0xffffffff"):
        ieee.from_bits(bits, "float32")


def test_unknown_formats_are_refused():
    with pytest.raises(ValueError, match="float32"):
        ieee.from_bits(0, "flaot32")
    with pytest.raises(TypeError, match="expected an integer"):
        ieee.from_bits(1.0, "float32")


@pytest.mark.parametrize("name", TYPES)
def test_flushing_takes_subnormals_only(name):
    least = Fraction(float(ml_dtypes.finfo(TYPES[name][0]).smallest_normal))
    for sign in (1, -1):
        kept = Number.finite(sign * least)
        assert ieee.flushed(kept, name) is kept
        lost = Number.finite(sign * least * Fraction(1023, 1024))
        assert ieee.flushed(lost, name) == Number.zero(int(sign < 0))
    for number in (Number.zero(1), Number.inf(0), Number.nan(1)):
        assert ieee.flushed(number, name) is number
    with pytest.raises(ValueError, match="float32"):
        ieee.flushed(Number.zero(0), "flaot32")


@given(st.fractions(0, 70000), st.sampled_from(["float16", "bfloat16", "float32"]))
def test_rounding_has_no_upper_bound(value, name):
    rounded = ieee.round_magnitude(value, name)
    assert ieee.round_magnitude(value * 2**2000, name) == rounded * 2**2000 or value < 2**-14
    in_range = rounded <= ieee.largest(name)
    assert (ieee.to_bits(Number.finite(value), name) < bits_of(np.inf, name)) == in_range
