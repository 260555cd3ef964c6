"""Mistakes at the ends of the range, as packages make them, are named, driven and on given data."""

import ends
import numpy as np
import pytest
from implementations import E2M1, E2M3, E3M2, E4M3, E5M2, arithmetic, floor_scale, scaled
from stimuli import dequantizer_input, quantizer_input

from mxref import check

TYPES = (E4M3, E5M2, E3M2, E2M3, E2M1)
LOWEST = "under scale code 0 "

# The function, the types, and every finding: its id and how its variant begins.
PLANTS = (
    (ends.divided_by_least_normal, TYPES, {("S14", LOWEST + "divided by 2^-126")}),
    (ends.not_divided, (E4M3, E2M3, E2M1), {("S14", LOWEST + "not divided")}),
    (ends.emptied, (E5M2, E2M1), {("S14", LOWEST + "not divided")}),
    (ends.never_written, (E4M3, E3M2, E2M1), {("S12", LOWEST + "all elements are +0")}),
    (ends.frexp_of_quotient, (E4M3, E2M1), {("S1", ""), ("S11", "amax up to ")}),
    (ends.wraps_in_store, (E4M3, E2M1), {
        ("S11", "the code wraps modulo 256"),
        ("S11", "NaN and infinity in a block give 0x80"),
        ("S14", "divided by the scale before its code wrapped; in a block of NaN or infinity"),
    }),
    (ends.nearest_in_table, (E2M1,), {
        ("S11", "NaN and infinity in a block give 0x00"),
        ("E13", "nearest by float32 distances, the first of equals"),
    }),
)  # fmt: skip
CASES = [
    pytest.param(fn, t, named, id=f"{fn.__name__}-{t.name}") for fn, ts, named in PLANTS for t in ts
]


def correct(x, t):
    scales = floor_scale(x, t)
    return arithmetic(scaled(x, scales), t), scales


def assert_named(report, named):
    assert report.verdict == "defect", report
    assert all(finding.residual == 0 for finding in report.findings), report
    found = [(finding.id, finding.detail) for finding in report.findings]
    for fault, detail in named:
        assert any(f == fault and d.startswith(detail) for f, d in found), report
    assert len(found) == len(named), report


@pytest.mark.parametrize(("fn", "t", "named"), CASES)
def test_a_driven_kernel_is_named(fn, t, named):
    assert_named(check.kernel(lambda x: fn(x, t), t.block), named)


@pytest.mark.parametrize(("fn", "t", "named"), CASES)
def test_given_data_are_named(fn, t, named):
    x = quantizer_input(t)
    assert_named(check.quantize(x, *fn(x, t), t.block), named)


@pytest.mark.parametrize(("fn", "t"), [(fn, ts[-1]) for fn, ts, _ in PLANTS])
def test_ordinary_blocks_are_right(fn, t):
    """Otherwise the mistake would be another one than its name says."""
    x = quantizer_input(t)
    amax = np.abs(x).max(1)
    x = x[np.isfinite(amax) & (amax > 1e-30) & (amax < 1e38)]
    codes, scales = fn(x, t)
    if fn == ends.frexp_of_quotient:  # a rule of its own
        assert (scales != correct(x, t)[1]).any()
        return
    assert np.array_equal(scales, correct(x, t)[1])
    if fn is not ends.nearest_in_table:  # ties, and -0
        assert np.array_equal(codes, correct(x, t)[0])


def test_a_decoder_without_minus_zero():
    codes, scales = dequantizer_input(E2M1)
    expected = {("E19", "its code is decoded as +0"), ("D10", "2**128")}
    y = ends.decodes_zero_without_sign(codes, scales)
    assert_named(check.dequantize(codes, scales, y, "mxfp4"), expected)
    driven = check.kernel(ends.decodes_zero_without_sign, "mxfp4", op="dequantize")
    assert_named(driven, expected)
