"""Every code of every format against ml_dtypes and NumPy."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from mxref.exact import block, element, ieee, scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import ELEMENT_FORMATS, block_format, pow2
from mxref.policy import Policy

DTYPES = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}


def number_of(x: float) -> Number:
    sign = int(np.signbit(x))
    if np.isnan(x):
        return Number.nan(sign)
    if np.isinf(x):
        return Number.inf(sign)
    return Number.finite(Fraction(float(x)), sign_of_zero=sign)


@pytest.mark.parametrize("name", DTYPES)
def test_float_codes_against_ml_dtypes(name):
    codes = np.arange(ELEMENT_FORMATS[name].code_count, dtype=np.uint8)
    theirs = codes.view(DTYPES[name]).astype(np.float64)
    ours = [element.decode(code, name) for code in codes]
    assert ours == [number_of(x) for x in theirs]


def test_int8_codes_against_numpy():
    codes = np.arange(256, dtype=np.uint8)
    theirs = codes.view(np.int8) * 2.0**-6
    assert [element.decode(code, "int8") for code in codes] == [number_of(x) for x in theirs]


def test_e8m0_codes_are_powers_of_two():
    for scale_code in range(255):
        assert scale.decode(scale_code, "e8m0") == number_of(2.0 ** (scale_code - 127))
    assert scale.decode(255, "e8m0") == Number.nan(0)


def test_e8m0_codes_against_ml_dtypes():
    scale_codes = np.arange(256, dtype=np.uint8)
    theirs = scale_codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
    for scale_code, x in zip(scale_codes, theirs, strict=True):
        ours = scale.decode(scale_code, "e8m0")
        # The sign that ml_dtypes gives to its NaN is its own: E8M0 has none.
        assert ours == (Number.nan(0) if np.isnan(x) else number_of(x))


# format: codes, distinct values (the two zeros count once), NaNs, infinities
CENSUS = {
    "e4m3": (256, 253, 2, 0),
    "e5m2": (256, 247, 6, 2),
    "e3m2": (64, 63, 0, 0),
    "e2m3": (64, 63, 0, 0),
    "e2m1": (16, 15, 0, 0),
    "int8": (256, 256, 0, 0),
}


@pytest.mark.parametrize("name", CENSUS)
def test_census_of_codes(name):
    count = ELEMENT_FORMATS[name].code_count
    numbers = [element.decode(code, name) for code in range(count)]
    values = {n.value for n in numbers if n.cls in (NumberClass.ZERO, NumberClass.FINITE)}
    nans = sum(n.cls is NumberClass.NAN for n in numbers)
    infs = sum(n.cls is NumberClass.INF for n in numbers)
    assert (count, len(values), nans, infs) == CENSUS[name]


def test_fp4_is_the_table_of_the_standard():
    magnitudes = [element.decode(code, "e2m1").magnitude for code in range(8)]
    assert magnitudes == [0, Fraction(1, 2), 1, Fraction(3, 2), 2, 3, 4, 6]


@pytest.mark.parametrize(
    ("name", "code"), [("e2m1", 16), ("e3m2", 64), ("e4m3", 256), ("int8", -1), ("e8m0", 256)]
)
def test_codes_out_of_range_are_refused(name, code):
    decode = scale.decode if name == "e8m0" else element.decode
    with pytest.raises(ValueError, match=rf"code of {name}: expected 0 to .* got {code}"):
        decode(code, name)


@pytest.mark.parametrize("code", [1.0, "1", None])
def test_codes_that_are_no_integers_are_refused(code):
    with pytest.raises(TypeError, match="expected an integer"):
        element.decode(code, "e4m3")


def test_formats_of_the_wrong_kind_are_refused():
    with pytest.raises(ValueError, match="e4m3"):
        element.decode(0, "e4m4")
    with pytest.raises(ValueError, match="'e4m3' is an element format"):
        scale.decode(0, "e4m3")


# --- subnormals that hardware flushes ------------------------------------------------------------

# The codes of the subnormals, without a sign.
SUBNORMALS = {
    "e4m3": range(1, 8),
    "e5m2": range(1, 4),
    "e3m2": range(1, 4),
    "e2m3": range(1, 8),
    "e2m1": range(1, 2),
    "int8": range(0),
}


@pytest.mark.parametrize("name", SUBNORMALS)
def test_subnormal_elements_read_as_zero(name):
    fmt = ELEMENT_FORMATS[name]
    policy = Policy(decode_subnormal="flush-element")
    for code in range(fmt.code_count):
        number = element.decode(code, name)
        if code % fmt.sign_mask in SUBNORMALS[name]:
            number = Number.zero(number.sign)
        assert element.decode(code, name, policy) == number
        for others in ("gradual", "flush-result"):
            got = element.decode(code, name, Policy(decode_subnormal=others))
            assert got == element.decode(code, name)


def test_blocks_of_subnormal_elements():
    policy = Policy(decode_subnormal="flush-element")
    codes = (0x1, 0x9, 0x2, 0xF)
    expected = (Number.zero(0), Number.zero(1), Number.finite(2), Number.finite(-12))
    assert block.dequantize(0x80, codes, "mxfp4/4", policy) == expected
    nan = tuple(Number.nan(sign) for sign in (0, 1, 0, 1))
    assert block.dequantize(0xFF, codes, "mxfp4/4", policy) == nan
    # A product below 2^-126 of elements that are normal is none of its business.
    assert block.dequantize(0, (0x2,), "mxfp4/1", policy)[0].value == pow2(-127)


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp4", "mxint8"])
def test_subnormal_results_become_zero(name):
    fmt, policy = block_format(name, 1), Policy(decode_subnormal="flush-result")
    for scale_code in (0, 1, 2, 127):
        for code in range(fmt.element.code_count):
            (value,) = block.dequantize(scale_code, (code,), fmt, policy)
            kept = ieee.to_bits(value, "float32")
            is_subnormal = kept & 0x7F800000 == 0
            expected = kept & 0x80000000 if is_subnormal else kept
            assert ieee.to_bits(value, "float32", policy) == expected


def test_a_result_of_a_cast_is_a_result_too():
    policy = Policy(decode_subnormal="flush-result")
    assert ieee.to_bits(scale.decode(0, "e8m0"), "float32", policy) == 0
    assert ieee.to_bits(scale.decode(1, "e8m0"), "float32", policy) == 0x00800000
    # Only float32 is a result of a decoder.
    tiny = Number.finite(pow2(-140))
    assert ieee.to_bits(tiny, "float64", policy) == ieee.to_bits(tiny, "float64")
    assert ieee.to_bits(Number.finite(-pow2(-15)), "float16", policy) == 0x8200
