"""Every code of every format against ml_dtypes and NumPy."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from mxref.exact import element, scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import ELEMENT_FORMATS

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
