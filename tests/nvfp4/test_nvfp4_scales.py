"""Scales of NVFP4, exhaustively: loops, NumPy, the definition and the enumerated points agree."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from nvfp4_cases import floats, number

from mxref import nvfp4
from mxref.exact import nvfp4 as exact
from mxref.kernels import _nvfp4_numpy as plain
from mxref.kernels import nvfp4 as kernels

SIGNIFICANDS = np.arange(1 << 23, dtype=np.uint32)
ORDERS = ("te-1d", "te-2d-test", "torchao", "modelopt", "compressed-tensors", "gguf", "nvfp4-exact")


def amax_at(exponent):
    """Every float32 with this exponent."""
    return (SIGNIFICANDS + np.uint32((exponent + 127) << 23)).view(np.float32)


def test_every_scale_code_decodes_as_ml_dtypes_has_it():
    codes = np.arange(128, dtype=np.uint8)
    theirs = codes.view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    ours = [exact.decode_scale(int(code)) for code in codes]
    assert [n.value for n in ours[:-1]] == [Fraction(v) for v in theirs[:-1]]
    assert np.isnan(theirs[-1])
    assert str(ours[-1]) == "nan"
    for code in range(128):
        signed = exact.decode_scale(code + 128, "te-1d:scale_sign=signed")
        assert str(exact.decode_scale(code + 128)) == str(ours[code])
        assert str(signed) == ("nan" if code == 127 else f"-{ours[code]}")


def test_every_scale_code_is_what_its_value_becomes():
    for code in range(127):
        for policy in ("te-1d", "gguf", "te-1d:scale_rounding=toward-zero"):
            assert exact.encode_scale(exact.decode_scale(code), policy) == code


@pytest.mark.parametrize("rounding", ["nearest-even", "nearest-up", "toward-zero"])
def test_scales_go_to_the_nearest_of_the_enumerated_points(rounding):
    """Around every middle and every point, by distance among all points."""
    points = np.arange(127, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    middles = (points[1:] + points[:-1]) / 2
    x = np.concatenate([points, middles, [447, 449, 463, 464, 465, 480, 1e30]]).astype(np.float32)
    x = np.unique(
        np.concatenate([np.nextafter(x, np.float32(0)), x, np.nextafter(x, np.float32(1e38))])
    )
    policy = nvfp4.get_policy(f"mlx:scale_rounding={rounding}")
    with np.errstate(over="ignore"):
        six = x[x < 1000] * np.float32(6)  # most of these divide back to x exactly
    back = (six / np.float32(6)).astype(np.float64)
    distance = np.abs(points[None, :] - back[:, None])
    if rounding == "toward-zero":
        expected = np.searchsorted(points, back, side="right") - 1
    else:
        best = distance.min(axis=1, keepdims=True)
        low = (distance == best).argmax(axis=1)
        is_tie = (distance == best).sum(axis=1) == 2
        goes_up = is_tie & ((low % 2 == 1) | (rounding == "nearest-up"))
        expected = low + goes_up
    found = nvfp4.block_scales(six, policy=policy)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("exponent", [-7, 2])
def test_every_significand_of_amax(name, exponent):
    """Loops and NumPy on all 2^23, the definition on some."""
    policy = nvfp4.get_policy(name)
    b = amax_at(exponent)
    of = kernels.global_scales(np.float32(37.3), policy)
    found = kernels.scale_codes(b, of, policy)
    np.testing.assert_array_equal(found, plain.scale_codes(b, of, policy))
    scales = exact.global_scales(number(37.3), policy)
    steps = np.flatnonzero(np.diff(found)) + 1
    sample = np.concatenate([steps, steps - 1, [0, 1, (1 << 23) - 1]])[:400]
    for i in sample:
        assert exact.block_scale(number(b[i]), scales, policy) == found[i]
    assert len(steps) >= (0 if name == "gguf" and exponent < 0 else 7)  # eight codes a binade
    assert (np.diff(found.astype(int)) >= 0).all()


@pytest.mark.slow
def test_a_quotient_by_six_and_a_product_with_a_sixth_differ_and_e4m3_hides_it():
    """A third of float32 differs; after E4M3 one significand of 2^23 does."""
    b = amax_at(0)
    quotient, product = b / np.float32(6), b * (np.float32(1) / np.float32(6))
    assert 0.33 < np.mean(quotient != product) < 0.34
    folded = nvfp4.block_scales(b, policy="te-1d:levels=single-level")
    divided = nvfp4.block_scales(b, policy="torchao-single:scale_least=0")
    (different,) = np.flatnonzero(folded != divided)
    assert float(b[different]).hex() == "0x1.c7fffe0000000p+0"


@pytest.mark.parametrize("name", nvfp4.PROFILES)
def test_the_scale_of_a_tensor(name):
    """amax across the whole range: the definition, and float32 division as NumPy has it."""
    policy = nvfp4.get_policy(name)
    for bits in (
        0,
        1,
        5000,
        0x00800000,
        0x01234567,
        0x3F800000,
        0x40C00000,
        0x45280000,
        0x7F7FFFFF,
    ):
        amax = np.uint32(bits).view(np.float32)
        found = nvfp4.global_scales_of(amax, policy)
        expected = exact.global_scales(number(amax), policy)
        assert floats([expected.encode])[0] == found.encode
        assert floats([expected.decode])[0] == found.decode
    product = np.float32(plain.target(policy) * plain.top(policy))
    amax = np.float32(3.7)
    found = nvfp4.global_scales_of(amax, policy)
    if policy.levels == "single-level":
        assert found.decode == 1
    elif policy.global_order == "quotient":
        assert found.decode == amax / product
    elif policy.global_order == "inverted":
        assert found.encode == np.float32(1) / amax * product
    else:
        assert found.encode == product / amax
        assert found.decode == np.float32(1) / (product / amax)


def test_a_tensor_of_zeros():
    zeros = np.zeros((16, 32), np.float32)
    found = {name: nvfp4.quantize(zeros, policy=name) for name in nvfp4.PROFILES}
    assert {n: hex(q.scales[0, 0]) for n, q in found.items()} == {
        **dict.fromkeys(found, "0x0"),
        "torchao": "0x7f",
        "torchao-single": "0x8",
        "modelopt": "0x7f",
        "compressed-tensors": "0x20",
    }
