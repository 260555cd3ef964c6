"""Profiles against second models: the arithmetic of the described thing, written anew in numpy.

Each model follows the sentence in its docstring, in float32 as the thing does, and knows nothing
of policies. The inputs are those of `mxref.differences`: every threshold in every binade.
"""

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref.differences import _inputs
from mxref.formats import BLOCK_FORMATS, block_format

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")


@pytest.fixture(params=BLOCK_FORMATS.values(), ids=str)
def fmt(request):
    return request.param


def blocks_of(fmt):
    return _inputs.blocks(fmt).view(np.float32)


def finite(x):
    return x[np.isfinite(x).all(axis=1)]


def amax(x):
    """The largest magnitude, as fmaxf takes it: a NaN is left out."""
    return np.where(np.isnan(x), np.float32(0), np.abs(x)).max(axis=1)


def field(x):
    """Exponent field and mantissa of positive float32 numbers."""
    bits = x.view(np.uint32).astype(np.int64)
    return bits >> 23, bits & 0x7FFFFF


def test_tosa(fmt):
    """The least power of two at which amax is at most max and half a step, for E4M3; else below."""
    x = finite(blocks_of(fmt))
    element = fmt.element
    reach = float(element.max) + 2.0 ** (element.emax - element.mantissa_bits) / 2
    largest = amax(x).astype(np.float64)
    guess = np.frexp(np.where(largest > 0, largest, 1))[1] - 1 - element.emax
    exponents = guess + np.arange(-1, 3)[:, None]
    limits = reach * np.exp2(exponents.astype(np.float64))
    fits = largest <= limits if element.name == "e4m3" else largest < limits
    least = np.take_along_axis(exponents, fits.argmax(axis=0)[None], axis=0)[0]
    expected = np.where(largest == 0, 0, np.clip(least, -127, 127) + 127)
    np.testing.assert_array_equal(mxref.quantize(x, fmt, policy="tosa-1.1").scales[:, 0], expected)


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2"])
def test_te(name):
    """amax * fl(1/max), its exponent rounded up unless it is 2^-127 or less; then x * 2^-e."""
    fmt = block_format(name)
    x = blocks_of(fmt)
    top = np.float32(float(fmt.element.max))
    ratio = amax(x) * (np.float32(1) / top)
    exponent, mantissa = field(ratio)
    exponent += (mantissa > 0) & ~((exponent == 0) & (mantissa <= 1 << 22))
    expected = np.where(np.isinf(ratio), 254, exponent)
    q = mxref.quantize(x, fmt, policy="te-mxfp8")
    np.testing.assert_array_equal(q.scales[:, 0], expected)
    scaled = x * np.exp2(127.0 - expected).astype(np.float32)[:, None]
    kind = ml_dtypes.float8_e4m3fn if name.endswith("e4m3") else ml_dtypes.float8_e5m2
    codes = np.clip(scaled, -top, top).astype(kind).view(np.uint8)
    np.testing.assert_array_equal(q.codes, np.where(np.isnan(scaled), 0x7F, codes))


def test_mslk():
    """Exponent bits of amax, carried by any mantissa bit, minus emax, at most 125."""
    x = blocks_of(block_format("mxfp4"))
    exponent = (amax(x).view(np.uint32).astype(np.int64) + (1 << 23) - 1) >> 23
    expected = np.clip(exponent - 127 - 2, -127, 125) + 127
    scales = mxref.quantize(x, "mxfp4", policy="mslk").scales[:, 0]
    np.testing.assert_array_equal(scales, expected)


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp4"])
def test_triton_kernels(name):
    """The bits of amax / max, carried by any mantissa bit: also those of a subnormal quotient."""
    fmt = block_format(name)
    x = blocks_of(fmt)
    x = x[~np.isnan(x).any(axis=1)]
    bits = (amax(x) / np.float32(float(fmt.element.max))).view(np.uint32)
    scales = mxref.quantize(x, name, policy="triton-kernels").scales[:, 0]
    np.testing.assert_array_equal(scales, (bits.astype(np.int64) + 0x7FFFFF) >> 23 & 0xFF)


def test_quark():
    """Half a step of the element's mantissa added to the bits of amax; beyond 2^128 it parts."""
    for name in ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4"):
        fmt = block_format(name)
        x = finite(blocks_of(fmt))
        half = 1 << (22 - fmt.element.mantissa_bits)
        exponent = (amax(x).view(np.uint32).astype(np.int64) + half) >> 23
        there = exponent < 255
        expected = np.clip(exponent - fmt.element.emax, 0, 254)
        scales = mxref.quantize(x, name, policy="amd-quark-even").scales[:, 0]
        np.testing.assert_array_equal(scales[there], expected[there])
        assert there.sum() < there.size
