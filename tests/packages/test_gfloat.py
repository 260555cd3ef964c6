"""gfloat: its block functions and casts, against the profile gfloat."""

import _adapters as packages
import numpy as np
import pytest
from _compare import (
    Case,
    Quirk,
    check_decode,
    check_dequantize,
    check_encode,
    check_quantize,
    peers,
    starts,
)
from _data import block_of, blocks, casts, codes_and_scales, scale_casts

from mxref import arrays
from mxref.formats import scalar_format

pytestmark = peers("gfloat")

ELEMENTS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8")
WITH_NAN = ("e4m3", "e5m2")


def negative_infinity(case: Case) -> None:
    case.codes[case.x == -np.inf] = 0xFE


QUIRKS = (Quirk("Negative infinity", "encode", negative_infinity, ("e8m0",)),)


def test_every_divergence_is_tested():
    starts("gfloat", QUIRKS)


@pytest.mark.parametrize("element", ELEMENTS)
def test_quantize(element):
    x = blocks(element, 20)  # a block takes a third of a millisecond
    if element not in WITH_NAN:
        x = x[~np.isnan(x).any(axis=1)]
    check_quantize("gfloat", element, x, packages.gfloat_quantize(x, element), QUIRKS)


@pytest.mark.parametrize("element", ["e3m2", "e2m3", "e2m1", "int8"])
def test_a_nan_is_refused(element):
    x = np.ones((1, 32), np.float32)
    x[0, 5] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        packages.gfloat_quantize(x, element)
    with pytest.raises(ValueError, match="NaN"):
        arrays.quantize(x, block_of(element), policy="gfloat")


@pytest.mark.parametrize("element", ELEMENTS)
def test_dequantize(element):
    given = codes_and_scales(element, 16)
    theirs = packages.gfloat_dequantize(*given, element)
    check_dequantize("gfloat", element, given, theirs, QUIRKS)


@pytest.mark.parametrize("name", ELEMENTS)
def test_encode(name):
    x = casts(name)
    if name not in WITH_NAN:
        x = x[~np.isnan(x)]
    check_encode("gfloat", name, x, packages.gfloat_encode(x, name), QUIRKS)


@pytest.mark.parametrize("name", WITH_NAN)
def test_encode_without_saturation(name):
    x = casts(name)
    theirs = packages.gfloat_encode(x, name, saturate=False)
    check_encode("gfloat", name, x, theirs, QUIRKS, fp8_overflow="overflow")


def test_encode_scales():
    x = scale_casts()
    x = np.concatenate([x[::3], x[~np.isfinite(x)], x[x == 0]])
    check_encode("gfloat", "e8m0", x, packages.gfloat_encode_scales(x), QUIRKS)


@pytest.mark.parametrize("name", [*ELEMENTS, "e8m0"])
def test_decode(name):
    codes = np.arange(scalar_format(name).code_count, dtype=np.uint16).astype(np.uint8)
    check_decode("gfloat", name, codes, packages.gfloat_decode(codes, name), QUIRKS)
