"""torch: casts with ``Tensor.to``, against the profile torch."""

import _adapters as packages
import numpy as np
import pytest
from _compare import Case, Quirk, check_decode, check_encode, peers, starts
from _data import casts, scale_casts

pytestmark = peers("torch")


def nearest_above_the_lowest(case: Case) -> None:
    """S17: what lies beyond 2**-127 counts as nearer to 2**-126."""
    magnitude = np.abs(case.x)
    case.codes[(magnitude > 2.0**-127) & (magnitude < 1.5 * 2.0**-127)] = 1


def mantissa_widened(case: Case) -> None:
    shift, quiet = {"e4m3": (20, 0), "e5m2": (21, 0x400000)}[case.format]
    nan = np.isnan(case.bits.view(np.float32))
    code = case.codes[nan].astype(np.uint32)
    sign = case.bits[nan] & 0x80000000
    case.bits[nan] = sign | 0x7F800000 | ((code << shift) & 0x7FFFFF) | quiet


def signalling(case: Case) -> None:
    case.bits[case.codes == 0xFF] = 0x7F800001


QUIRKS = (
    Quirk("S17:", "encode", nearest_above_the_lowest, ("e8m0",)),
    Quirk("A decoded NaN keeps", "decode", mantissa_widened, ("e4m3", "e5m2")),
    Quirk("The decoded NaN of E8M0", "decode", signalling, ("e8m0",)),
)


def test_every_divergence_is_tested():
    starts("torch", QUIRKS)


@pytest.mark.parametrize("name", ["e4m3", "e5m2"])
def test_encode(name):
    x = casts(name)
    check_encode("torch", name, x, packages.torch_encode(x, name), QUIRKS)


def test_encode_scales():
    x = scale_casts()
    check_encode("torch", "e8m0", x, packages.torch_encode(x, "e8m0"), QUIRKS)


@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e8m0"])
def test_decode(name):
    codes = np.arange(256, dtype=np.uint8)
    check_decode("torch", name, codes, packages.torch_decode(codes, name), QUIRKS)
