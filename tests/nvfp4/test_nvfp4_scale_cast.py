"""UE4M3 by itself: every code, and every number against the definition and two other casts."""

import itertools

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref.exact import ieee
from mxref.exact import nvfp4 as exact
from mxref.nvfp4._scale_cast import decode_scale, encode_scale

CODES = np.arange(128, dtype=np.uint8)
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
POLICIES = [
    f"scale_rounding={rounding},scale_overflow={overflow}"
    for rounding, overflow in itertools.product(
        ["nearest-even", "nearest-up", "toward-zero"], ["saturate", "nan"]
    )
]


def turns():
    """Every value and midpoint, beyond the range too, with neighbours; no number below zero."""
    values = np.array(
        [float(exact.decode_scale(int(c)).value) for c in CODES[:-1]] + [480.0, 512.0]
    )
    points = np.concatenate([values, (values[1:] + values[:-1]) / 2, [464.0]]).astype(np.float32)
    words = points.view(np.int32)[:, None] + np.arange(-2, 3, dtype=np.int32)
    odd = np.float32([0, 2.0**-149, 2.0**-126, 2.0**-20, 1e30, np.inf, np.nan])
    return np.concatenate([np.maximum(words, 0).reshape(-1).view(np.float32), odd])


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_code_comes_back(dtype):
    values = mxref.decode(CODES, "ue4m3")
    np.testing.assert_array_equal(mxref.encode(values.astype(dtype), "ue4m3"), CODES)
    assert np.isnan(values[127])
    assert not np.isnan(values[:127]).any()


def test_codes_mean_what_the_definition_and_ml_dtypes_say():
    values = decode_scale(CODES)
    theirs = CODES.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    np.testing.assert_array_equal(values, theirs)
    for code in CODES:
        number = exact.decode_scale(int(code))
        assert str(number) == "nan" or float(number.value) == values[code]
    np.testing.assert_array_equal(decode_scale(CODES.view(ml_dtypes.float8_e4m3fn)), values)


def test_rounding_is_that_of_e4m3():
    x = turns()
    np.testing.assert_array_equal(mxref.encode(x, "ue4m3"), mxref.encode(x, "e4m3"))
    inside = x[np.isfinite(x) & (x <= 464)]
    theirs = inside.astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    np.testing.assert_array_equal(encode_scale(inside), theirs)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_is_the_definition(policy):
    policy = "te-1d:" + policy
    x = turns()
    wanted = [
        exact.encode_scale(ieee.from_bits(int(word), "float32"), policy)
        for word in x.view(np.uint32)
    ]
    np.testing.assert_array_equal(mxref.encode(x, "ue4m3", policy), wanted)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_all_short_numbers(dtype):
    x = np.arange(1 << 15, dtype=np.uint16).view(dtype)
    np.testing.assert_array_equal(encode_scale(x), mxref.encode(x.astype(np.float32), "e4m3"))


def test_float64_is_rounded_once():
    just_above = 1.0625 + 2.0**-40  # in float32 a tie, that goes down to 1
    assert encode_scale(np.array([1.0625, just_above])).tolist() == [0x38, 0x39]


@pytest.mark.parametrize("dtype", DTYPES)
def test_signs(dtype):
    zero_and_nan = np.array([-0.0, -np.nan, np.nan]).astype(dtype)
    assert encode_scale(zero_and_nan).tolist() == [0, 0x7F, 0x7F]
    for below in (-1.0, -np.inf, -6e-8):
        with pytest.raises(ValueError, match="no sign"):
            mxref.encode(np.array([1.0, below]).astype(dtype), "ue4m3")


def test_the_top_bit_is_refused():
    with pytest.raises(ValueError, match=r"0x80 at \(1, 0\) has the top bit set"):
        mxref.decode(np.array([[1, 2], [0x80, 0]], np.uint8), "ue4m3")


def test_other_arguments_are_refused():
    with pytest.raises(ValueError, match="draws nothing"):
        mxref.encode([1.0], "ue4m3", random=np.zeros(1, np.uint8))
    with pytest.raises(ValueError, match="unknown policy 'ocp'"):
        mxref.encode([1.0], "ue4m3", "ocp")
    with pytest.raises(TypeError, match="uint8"):
        mxref.decode(np.array([1.0]), "UE4M3")


def test_outputs_and_layouts():
    x = np.abs(np.random.default_rng(1).standard_normal((6, 8)).astype(np.float32))
    plain = encode_scale(x)
    codes = np.zeros((8, 6), np.uint8).T
    assert mxref.encode(np.asfortranarray(x), "ue4m3", out=codes) is codes
    np.testing.assert_array_equal(codes, plain)
    np.testing.assert_array_equal(encode_scale(x.astype(">f4")[::-1, ::2]), plain[::-1, ::2])
    values = np.zeros((8, 6), np.float32).T
    assert mxref.decode(codes, "ue4m3", out=values) is values
    np.testing.assert_array_equal(values, decode_scale(plain))
    assert encode_scale(np.float32(2)).shape == ()
