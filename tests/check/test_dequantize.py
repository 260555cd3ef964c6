import numpy as np
import pytest

from mxref import arrays, check
from mxref.check import Verdict
from mxref.formats import BLOCK_FORMATS, block_format


def blocks(fmt, n=256, seed=0):
    """Every scale code and every element code."""
    rng = np.random.default_rng(seed)
    count = block_format(fmt).element.code_count
    codes = rng.integers(0, count, (n, 32)).astype(np.uint8)
    codes.reshape(-1)[:count] = np.arange(count)
    return codes, np.arange(n).astype(np.uint8).reshape(n, 1)


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@pytest.mark.parametrize("overflow", ["inf", "saturate"])
def test_both_overflows_are_legal(fmt, overflow):
    codes, scales = blocks(fmt)
    y = arrays.dequantize(codes, scales, fmt, policy=f"ocp:decode_overflow={overflow}")
    report = check.dequantize(codes, scales, y, fmt)
    assert report.ok, str(report)
    if overflow == "saturate" and fmt != "mxint8":  # 2^127 * 127/64 is a float32
        assert report.verdict is Verdict.CONFORMS_AS
        assert report.findings[0].id == "OP-DECODE-OVERFLOW"


def multiplied(codes, scale_values, fmt):
    with np.errstate(all="ignore"):
        product = arrays.decode(codes, block_format(fmt).element).astype(np.float64) * scale_values
        return product.astype(np.float32)


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@pytest.mark.parametrize(
    ("fault", "code", "value"),
    [("D9", 0, 0.0), ("D10", 255, np.inf), ("D10", 255, 2.0**128), ("D11", 134, np.nan)],
)
def test_scale_decode_defects_are_named(fmt, fault, code, value):
    codes, scales = blocks(fmt)
    factors = 2.0 ** (scales.astype(np.float64) - 127)
    factors[255] = np.nan
    factors[code] = value
    report = check.dequantize(codes, scales, multiplied(codes, factors, fmt), fmt)
    assert report.findings[0].id == fault, str(report)
    assert report.verdict is Verdict.DEFECT


def test_small_scales_flushed_by_float16():
    codes, scales = blocks("mxfp4")
    factors = 2.0 ** (scales.astype(np.float64) - 127)
    factors[255], factors[103:113] = np.nan, 0
    report = check.dequantize(codes, scales, multiplied(codes, factors, "mxfp4"), "mxfp4")
    assert report.findings[0].id == "D12"


def test_scale_byte_used_as_a_number():
    codes, scales = blocks("mxfp8_e4m3")
    y = multiplied(codes, scales.astype(np.float64), "mxfp8_e4m3")
    assert check.dequantize(codes, scales, y, "mxfp8_e4m3").findings[0].id == "D13"


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp6_e2m3", "mxfp8_e4m3"])
def test_exponent_zero_as_normal(fmt):
    codes, scales = blocks(fmt, 255)
    element = block_format(fmt).element
    magnitude = codes.astype(int) & (element.sign_mask - 1)
    exponent = magnitude >> element.mantissa_bits
    mantissa = magnitude & ((1 << element.mantissa_bits) - 1)
    normal = (1 + mantissa / 2.0**element.mantissa_bits) * 2.0 ** (exponent - element.bias)
    normal *= np.where(codes >= element.sign_mask, -1, 1)
    right = arrays.decode(codes, element).astype(np.float64)
    with np.errstate(all="ignore"):
        y = np.where(exponent == 0, normal, right) * 2.0 ** (scales.astype(np.float64) - 127)
        y = y.astype(np.float32)
    report = check.dequantize(codes, scales, y, fmt)
    assert report.findings[0].id == "D1", str(report)


def test_nibbles_swapped_on_the_way_in():
    codes, scales = blocks("mxfp4", 200)
    swapped = codes.reshape(-1, 2)[:, ::-1].reshape(codes.shape)
    y = arrays.dequantize(swapped, scales, "mxfp4")
    report = check.dequantize(codes, scales, y, "mxfp4")
    assert report.findings[0].id == "L1"


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axis_and_coordinates(axis):
    rng = np.random.default_rng(0)
    q = arrays.quantize(rng.standard_normal((64, 96)).astype(np.float32), "mxfp6_e3m2", axis)
    y = q.dequantize()
    assert check.dequantize(q.codes, q.scales, y, "mxfp6_e3m2", axis).ok
    y[33, 70] += 1
    report = check.dequantize(q.codes, q.scales, y, "mxfp6_e3m2", axis)
    assert report.verdict is Verdict.UNEXPLAINED
    assert report.mismatches.first.index == (33, 70)
    assert report.mismatches.elements == 1


def test_nan_of_any_kind_is_nan():
    codes, scales = blocks("mxfp4")
    y = arrays.dequantize(codes, scales, "mxfp4")
    y[255] = -np.float32(np.nan)
    assert check.dequantize(codes, scales, y, "mxfp4").ok


def test_big_endian_and_tails():
    x = np.random.default_rng(0).standard_normal((5, 70)).astype(np.float32)
    q = arrays.quantize(x, "mxfp4", pad=True)
    y = q.dequantize().astype(">f4")
    assert check.dequantize(q.codes, q.scales, y, "mxfp4").ok


def test_a_fault_of_zero_is_named_in_a_tail():
    codes = np.random.default_rng(0).integers(0, 16, (5, 70)).astype(np.uint8)
    scales = np.full((5, 3), 127, np.uint8)
    y = arrays.decode(codes, "e2m1")
    y[codes & 7 < 2] += np.where(codes[codes & 7 < 2] & 8, -0.5, 0.5).astype(np.float32)
    y[codes & 7 == 1] -= np.where(codes[codes & 7 == 1] & 8, -0.25, 0.25).astype(np.float32)
    report = check.dequantize(codes, scales, y, "mxfp4")
    assert report.findings[0].id == "D1", str(report)
    assert report.verdict is Verdict.DEFECT


def test_empty_and_bad_input():
    none = np.zeros((0, 32), np.uint8)
    report = check.dequantize(none, np.zeros((0, 1), np.uint8), none.astype(np.float32), "mxfp4")
    assert report.verdict is Verdict.NOT_TESTABLE
    codes, scales = blocks("mxfp4")
    with pytest.raises(ValueError, match="scales"):
        check.dequantize(codes, scales[:-1], codes.astype(np.float32), "mxfp4")
    with pytest.raises(TypeError, match="float32"):
        check.dequantize(codes, scales, codes, "mxfp4")
