"""MLX on its CPU device: modes mxfp4 and mxfp8, against the profiles mlx and mlx-mxfp8."""

import _adapters as packages
import numpy as np
import pytest
from _compare import Case, Quirk, check_dequantize, check_quantize, peers, starts
from _data import block_of, blocks, codes_and_scales

from mxref import arrays

pytestmark = peers("mlx")

PROFILE_OF = {"e2m1": "mlx", "e4m3": "mlx-mxfp8"}


def exponents(case: Case) -> np.ndarray:
    """The exponent of each block's scale, before it is cut to eight bits."""
    amax = np.abs(case.x).max(axis=1)
    quotient = amax / np.float32(case.block.element.max)  # rounded to float32, as MLX does
    fraction, exponent = np.frexp(quotient.astype(np.float64))
    return np.where(fraction == 0.5, exponent - 1, exponent)


def wraps_after_scaling(case: Case) -> None:
    amax = np.abs(case.x).max(axis=1)
    exponent = exponents(case)
    rows = np.isfinite(amax) & (amax / np.float32(case.block.element.max) > 0) & (exponent < -127)
    scaled = np.ldexp(case.x[rows].astype(np.float64), -exponent[rows, None])
    case.codes[rows] = arrays.encode(scaled, case.format, case.policy)


def scaled_to_infinity(case: Case) -> None:
    """The logarithm of the scale becomes an int32 and overflows; the divisor is then zero."""
    rows = ~np.isfinite(case.x).all(axis=1)
    case.scales[rows] = 128
    signs = np.signbit(case.x[rows] / np.float32(0))  # 0 / 0 has the sign that the processor gives
    case.codes[rows] = np.where(signs, 0xFE, 0x7E) if case.format == "e4m3" else 0


def nan_scale_is_infinite(case: Case) -> None:
    rows = (case.scales == 0xFF).ravel()
    elements = arrays.decode(case.codes[rows], case.format)
    case.bits[rows] = (elements * np.float32(np.inf)).view(np.uint32)


def nan_bits(case: Case) -> None:
    nan = np.isnan(case.bits.view(np.float32)) & np.isnan(case.theirs.view(np.float32))
    case.bits[nan] = case.theirs[nan]


FP4_QUIRKS = (
    Quirk("Where the scale wraps", "quantize", wraps_after_scaling),
    Quirk("A NaN or an infinity gives", "quantize", scaled_to_infinity),
    Quirk("The decoder takes scale code 0xFF", "dequantize", nan_scale_is_infinite),
)
QUIRKS = {
    "e2m1": FP4_QUIRKS,
    "e4m3": (*FP4_QUIRKS, Quirk("Which NaN the decoder gives", "dequantize", nan_bits)),
}


@pytest.mark.parametrize("element", PROFILE_OF)
def test_every_divergence_is_tested(element):
    starts(PROFILE_OF[element], QUIRKS[element])


@pytest.mark.parametrize("element", PROFILE_OF)
def test_quantize(element):
    x = blocks(element)
    theirs = packages.mlx_quantize(x, element)
    check_quantize(PROFILE_OF[element], element, x, theirs, QUIRKS[element])


@pytest.mark.parametrize("element", PROFILE_OF)
def test_dequantize(element):
    given = codes_and_scales(element)
    theirs = packages.mlx_dequantize(*given, element)
    check_dequantize(PROFILE_OF[element], element, given, theirs, QUIRKS[element])


def test_elements_have_their_formats():
    assert [block_of(e).base for e in PROFILE_OF] == ["mxfp4", "mxfp8_e4m3"]
