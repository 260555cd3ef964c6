"""torchao: ``to_mx`` in its four modes, and ``to_dtype``, against the profiles torchao-*."""

import _adapters as packages
import numpy as np
import pytest
from _compare import Case, Quirk, check_dequantize, check_quantize, peers, starts
from _data import blocks, codes_and_scales

from mxref import arrays

pytestmark = peers("torch", "torchao")

MODES = ("FLOOR", "CEIL", "EVEN", "RCEIL")
ELEMENTS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")
SIX_AND_FOUR = ("e3m2", "e2m3", "e2m1")


def infinity_by_its_field(case: Case) -> None:
    rows = np.isinf(case.x).any(1) & ~np.isnan(case.x).any(1)
    policy = case.policy.replace(scale_inf="exponent-field")
    q = arrays.quantize(case.x[rows], case.block, policy=policy)
    case.codes[rows], case.scales[rows] = q.codes, q.scales


def lowest_scale_read_as(code: int) -> object:
    def apply(case: Case) -> None:
        rows = (case.scales == 0).ravel()
        divisor = np.full((rows.sum(), 1), code, np.uint8)
        case.codes[rows] = arrays.encode_with_scale(
            case.x[rows], divisor, case.block, policy=case.policy
        )

    return apply


def divided_by_infinity(case: Case) -> None:
    """The float32 divisor under 0xFF is infinity: what is finite becomes zero, the rest NaN."""
    rows = (case.scales == 0xFF).ravel()
    scaled = case.x[rows] / np.float32(np.inf)
    policy = case.policy.replace(nan_payload="signed")
    codes = arrays.encode(scaled, case.format, policy)
    if case.format in SIX_AND_FOUR:  # the NaN goes through integer arithmetic
        codes = np.where(np.isnan(scaled), case.theirs[rows], codes)
    case.codes[rows] = codes


def nan_by_arithmetic(case: Case) -> None:
    rows = (case.scales == 0xFF).ravel()
    case.codes[rows] = case.theirs[rows]


def nan_bits(case: Case) -> None:
    nan = np.isnan(case.bits.view(np.float32)) & np.isnan(case.theirs.view(np.float32))
    case.bits[nan] = case.theirs[nan]


FROM_NAN = Quirk("Which NaN the decoder gives", "dequantize", nan_bits, ("e4m3", "e5m2"))
BY_BITS = (
    Quirk("An infinity gives", "quantize", infinity_by_its_field),
    Quirk("Under scale code 0", "quantize", lowest_scale_read_as(1)),
    Quirk("Under the NaN scale", "quantize", divided_by_infinity),
    FROM_NAN,
)
QUIRKS = {
    "FLOOR": BY_BITS,
    "CEIL": BY_BITS,
    "EVEN": BY_BITS,
    "RCEIL": (
        Quirk("Under scale code 0", "quantize", lowest_scale_read_as(127)),
        Quirk("Under the NaN scale", "quantize", nan_by_arithmetic, SIX_AND_FOUR),
        FROM_NAN,
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_divergence_is_tested(mode):
    starts(f"torchao-{mode.lower()}", QUIRKS[mode])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("element", ELEMENTS)
def test_quantize(element, mode):
    x = blocks(element)
    theirs = packages.torchao_quantize(x, element, mode)
    check_quantize(f"torchao-{mode.lower()}", element, x, theirs, QUIRKS[mode])


@pytest.mark.parametrize("element", ELEMENTS)
def test_dequantize(element):
    given = codes_and_scales(element)
    theirs = packages.torchao_dequantize(*given, element)
    check_dequantize("torchao-floor", element, given, theirs, QUIRKS["FLOOR"])
