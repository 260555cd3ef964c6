"""ml_dtypes: casts with ``astype``, against the profile ml_dtypes."""

import numpy as np
import pytest
from _compare import Case, Quirk, check_decode, check_encode, peers, starts
from _data import casts, scale_casts

from mxref.check.adapters import ml_dtypes as packages
from mxref.formats import scalar_format

pytestmark = peers("ml_dtypes")

ELEMENTS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")


def nearest_above_the_lowest(case: Case) -> None:
    case.codes[(case.x > 2.0**-127) & (case.x < 1.5 * 2.0**-127)] = 1


QUIRKS = (Quirk("S17:", "encode", nearest_above_the_lowest, ("e8m0",)),)


def test_every_divergence_is_tested():
    starts("ml_dtypes", QUIRKS)


@pytest.mark.parametrize("name", ELEMENTS)
def test_encode(name):
    x = casts(name)
    check_encode("ml_dtypes", name, x, packages.encode(x, name), QUIRKS)


def test_encode_scales():
    x = scale_casts()
    check_encode("ml_dtypes", "e8m0", x, packages.encode(x, "e8m0"), QUIRKS)


@pytest.mark.parametrize("name", [*ELEMENTS, "e8m0"])
def test_decode(name):
    codes = np.arange(scalar_format(name).code_count, dtype=np.uint16).astype(np.uint8)
    check_decode("ml_dtypes", name, codes, packages.decode(codes, name), QUIRKS)
