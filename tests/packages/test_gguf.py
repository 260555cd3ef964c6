"""gguf: ``quants.quantize`` and ``quants.dequantize`` of MXFP4, against gguf-mxfp4."""

import _adapters as packages
import numpy as np
from _compare import Case, Quirk, check_dequantize, check_quantize, peers, starts
from _data import blocks, codes_and_scales

pytestmark = peers("gguf")

# Twice the value of each magnitude code.
DOUBLED = np.array([0, 1, 2, 3, 4, 6, 8, 12], np.float32)


def nearest_in_float32(case: Case) -> None:
    """The nearest code by distances in float32, which are all alike beside a large number."""
    rows = ~np.isfinite(case.x).all(axis=1)
    numbers = case.x[rows, :, None]
    values = np.concatenate([DOUBLED, -DOUBLED]) * np.float32(2.0**-128)  # under scale code 0
    case.codes[rows] = np.abs(values - numbers).argmin(axis=-1)


def four_overflows(case: Case) -> None:
    """Under code 253, 4 times the scale is infinite in float32, and 3 times is the largest."""
    rows = (case.scales == 253).ravel()
    codes = case.codes[rows]
    case.codes[rows] = np.where(codes & 7 > 5, codes & 8 | 5, codes)


def nan_scale_is_finite(case: Case) -> None:
    rows = (case.scales == 0xFF).ravel()
    magnitude = DOUBLED[case.codes[rows] & 7] * np.float32(2.0**127)
    sign = np.where(case.codes[rows] & 8, np.float32(-1), np.float32(1))
    case.bits[rows] = (magnitude * sign).view(np.uint32)


def negative_zero_decodes_positive(case: Case) -> None:
    case.bits[case.codes == 8] = 0


QUIRKS = (
    Quirk("Beside a NaN or an infinity", "quantize", nearest_in_float32),
    Quirk("Under scale code 253", "quantize", four_overflows),
    Quirk("The decoder takes scale code 0xFF", "dequantize", nan_scale_is_finite),
    Quirk("Code 8", "dequantize", negative_zero_decodes_positive),
)


def test_every_divergence_is_tested():
    starts("gguf-mxfp4", QUIRKS)


def test_quantize():
    x = blocks("e2m1")
    check_quantize("gguf-mxfp4", "e2m1", x, packages.gguf_quantize(x), QUIRKS)


def test_dequantize():
    given = codes_and_scales("e2m1")
    check_dequantize("gguf-mxfp4", "e2m1", given, packages.gguf_dequantize(*given), QUIRKS)
