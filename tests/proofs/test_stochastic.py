"""Stochastic rounding is right for every input, scale and random number: proven with z3.

Between two neighbouring values the definition says from which fraction v of the step on a given R
rounds up; the least float64 there is linear in R, except below the least subnormal element, where
it is the float64 of R itself times a power of two. So R stays a symbol as well: a proof speaks of
2^63 magnitudes times 255 scales times 2^N random numbers, and takes 0.3 to 3 s on one core.
"""

import pytest
from obligations import wrong_draw

from mxref.formats import ELEMENT_FORMATS

MODES = ["stochastic-a", "stochastic-b", "stochastic-c"]


def assert_proven(element, mode, bits, source):
    for negative in (False, True):
        found = wrong_draw(element, mode, bits, negative, source)
        assert found is None, f"{element.name} {mode} N={bits} {source}: {found}"


@pytest.mark.parametrize(
    ("name", "bits", "source"),
    [("e4m3", 8, "float64"), ("e2m1", 16, "float64"), ("e2m1", 8, "float32")],
)
@pytest.mark.parametrize("mode", MODES)
def test_common_counts_of_random_bits(mode, name, bits, source):
    assert_proven(ELEMENT_FORMATS[name], mode, bits, source)


COUNTS = [
    (element, bits)
    for element in ELEMENT_FORMATS.values()
    for bits in (range(1, 25) if element.name in ("e5m2", "e2m1") else (8, 16))
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("element", "bits"), COUNTS, ids=lambda v: getattr(v, "name", v))
@pytest.mark.parametrize("mode", MODES)
def test_every_count_of_random_bits(mode, element, bits):
    for source in ("float64", "float32"):
        assert_proven(element, mode, bits, source)
