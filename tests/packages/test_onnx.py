"""onnx: operator Cast of ``onnx.reference``, against the profile onnx (the operator's defaults)."""

import _adapters as packages
import numpy as np
import pytest
from _compare import Case, Quirk, check_decode, check_encode, peers, starts
from _data import casts, scale_casts

from mxref.formats import scalar_format

pytestmark = peers("onnx")

ELEMENTS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")


def test_every_divergence_is_tested():
    starts("onnx", ())


@pytest.mark.parametrize("name", ELEMENTS)
def test_encode(name):
    x = casts(name)
    check_encode("onnx", name, x, packages.onnx_encode(x, name), ())


@pytest.mark.parametrize("name", ["e4m3", "e5m2"])
def test_encode_without_saturation(name):
    x = casts(name)
    theirs = packages.onnx_encode(x, name, saturate=0)
    check_encode("onnx", name, x, theirs, (), fp8_overflow="overflow")


def nearest_above_the_lowest(case: Case) -> None:
    """S17, as in torch and ml_dtypes: what lies beyond 2**-127 counts as nearer to 2**-126."""
    magnitude = np.abs(case.x)
    case.codes[(magnitude > 2.0**-127) & (magnitude < 1.5 * 2.0**-127)] = 1


@pytest.mark.parametrize(
    ("mode", "subnormal", "quirks"),
    [
        ("up", "bits", ()),
        ("down", "bits", ()),
        ("nearest", "true", (Quirk("S17", "encode", nearest_above_the_lowest),)),
    ],
)
@pytest.mark.parametrize(("saturate", "overflow"), [(1, "saturate"), (0, "nan")])
def test_encode_scales(mode, subnormal, quirks, saturate, overflow):
    x = scale_casts()
    theirs = packages.onnx_encode(x, "e8m0", round_mode=mode, saturate=saturate)
    changes = {"e8m0_rounding": mode, "e8m0_subnormal": subnormal, "e8m0_overflow": overflow}
    check_encode("onnx", "e8m0", x, theirs, quirks, **changes)


def test_encode_scales_by_default():
    x = scale_casts()
    check_encode("onnx", "e8m0", x, packages.onnx_encode(x, "e8m0"), ())


@pytest.mark.parametrize("name", [*ELEMENTS, "e8m0"])
def test_decode(name):
    codes = np.arange(scalar_format(name).code_count, dtype=np.uint16).astype(np.uint8)
    check_decode("onnx", name, codes, packages.onnx_decode(codes, name), ())
