"""Kernels whose output is no rule of the input: races, neighbours, the size of the batch."""

import numpy as np
import pytest

import mxref
from mxref import check


def right(x):
    q = mxref.quantize(x, "mxfp4")
    return q.codes.copy(), q.scales


def test_a_race_on_large_inputs_alone_is_found_by_repeating():
    rng = np.random.default_rng(5)

    def fn(x):
        codes, scales = right(x)
        if len(x) > 100:  # the easy cases are few
            rows = rng.choice(len(x), 40, replace=False)
            codes[rows, 7] ^= 1
        return codes, scales

    report = check.kernel(fn, "mxfp4")
    assert report.verdict == "unexplained"
    assert report.trouble.kind == "nondeterministic"
    assert any("change between" in place.what for place in report.places), report
    assert any("7 of 32" in place.what for place in report.places), report


def test_what_depends_on_neighbouring_rows_is_found_by_poison():
    def fn(x):
        codes, scales = right(x)
        noise = np.flatnonzero(np.roll(np.abs(x).max(1), 1) > 1e6)  # the row before is large
        codes[noise, 3] = 5
        return codes, scales

    report = check.kernel(fn, "mxfp4")
    assert report.verdict == "unexplained"
    assert report.trouble is None
    assert any("put" in place.what for place in report.places), report


@pytest.mark.parametrize("rows", [32, 16])
def test_a_batch_that_is_no_multiple_is_no_false_conformance(rows):
    def fn(x):
        codes, scales = right(x)
        rest = len(x) % rows
        if rest:  # the last, partial group is never written
            codes[len(x) - rest :] = 0
        return codes, scales

    report = check.kernel(fn, "mxfp4")
    assert not report.ok, report
    assert report.verdict in ("unexplained", "not-testable")


def test_repeating_and_poison_stay_in_the_budget():
    calls = []

    def fn(x):
        calls.append(x.size)
        codes, scales = right(x)
        codes[:, 3] = 5
        return codes, scales

    report = check.kernel(fn, "mxfp4")
    assert report.verdict == "unexplained"
    assert any("lane 3 of 32" in place.what for place in report.places), report
    assert len(calls) <= 64
    assert max(calls) <= 1 << 20
