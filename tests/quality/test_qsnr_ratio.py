"""QSNR: against its formula in fractions, and at the ends of the range."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref.quality import estimate_mean, estimate_ratio, qsnr
from mxref.quality._estimate import student_quantile

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def in_fractions(x, y):
    noise = sum((Fraction(float(a)) - Fraction(float(b))) ** 2 for a, b in zip(x, y, strict=True))
    signal = sum(Fraction(float(a)) ** 2 for a in x)
    if noise == 0:
        return math.inf
    if signal == 0:
        return -math.inf
    ratio = signal / noise
    # The exponent apart: a fraction of these may be beyond float64.
    exponent = ratio.numerator.bit_length() - ratio.denominator.bit_length()
    return 10 * (math.log10(ratio / Fraction(2) ** exponent) + exponent * math.log10(2))


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=9))
def test_the_formula_in_fractions(pairs):
    x, y = (np.array(v, np.float32) for v in zip(*pairs, strict=True))
    assert qsnr(x, y) == pytest.approx(in_fractions(x, y), abs=1e-6)


@pytest.mark.parametrize("size", [1.0, 5e-324 * 2**60, 1.7e308])
def test_nothing_overflows_or_vanishes(size):
    x = np.array([1.0, -1.0, 0.5]) * size
    assert qsnr(x, -x) == pytest.approx(-20 * math.log10(2), abs=1e-9)
    assert qsnr(x, x * 0.9) == pytest.approx(20.0, abs=1e-6)


def test_axes_pooled_and_each():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 5))
    y = x + 0.1 * rng.standard_normal(x.shape)
    for axis in (0, 1, -1, (0, 2), (1, -1), None):
        axes = tuple(range(3)) if axis is None else axis
        expected = -10 * np.log10(((x - y) ** 2).sum(axis=axes) / (x**2).sum(axis=axes))
        np.testing.assert_allclose(qsnr(x, y, axis), expected, rtol=1e-12)


def test_conventions():
    assert qsnr([0.0, 0.0], [0.0, 0.0]) == math.inf
    assert qsnr([0.0, 0.0], [0.0, 1.0]) == -math.inf
    assert qsnr([], []) == math.inf
    assert math.isnan(qsnr([1.0, math.nan], [1.0, 1.0]))
    assert math.isnan(qsnr([1.0, 1.0], [1.0, math.inf]))
    assert math.isnan(qsnr([math.inf], [math.inf]))
    each = qsnr([[1.0, math.nan], [1.0, 2.0]], [[1.0, 1.0], [1.0, 2.0]], axis=1)
    assert np.isnan(each[0])
    assert each[1] == math.inf
    assert qsnr(np.arange(1, 5), np.arange(1, 5) + 1) == pytest.approx(10 * math.log10(30 / 4))


def test_refusals():
    with pytest.raises(ValueError, match=r"shape \(2,\) and y \(3,\)"):
        qsnr(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="axis"):
        qsnr(np.ones(2), np.ones(2), axis=1)
    with pytest.raises(TypeError, match="y must be an array of real numbers, got complex128"):
        qsnr(np.ones(2), np.ones(2) * 1j)


def test_student_quantiles():
    """Tables: 97.5 %."""
    table = {
        1: 12.7062,
        2: 4.30265,
        3: 3.18245,
        7: 2.36462,
        30: 2.04227,
        200: 1.97190,
        201: 1.97184,
    }
    for freedom, value in table.items():
        assert student_quantile(freedom) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("estimator", ["mean", "ratio"])
def test_intervals_cover_as_often_as_they_say(estimator):
    """95 of 100, within what 2000 trials leave to chance: four deviations are 2 %."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        if estimator == "mean":
            found = estimate_mean(rng.standard_normal(8) + 3)
            truth = 3.0
        else:
            signal = rng.gamma(4, 1, 100)
            found = estimate_ratio(signal, signal * 0.01 * rng.gamma(4, 0.25, 100))
            truth = 20.0
        hits += found.low <= truth <= found.high
    assert 0.93 < hits / 2000 < 0.97


def test_estimates_at_the_ends():
    assert math.isnan(estimate_mean([1.0]).low)
    assert estimate_ratio(np.array([1.0, 2.0]), np.zeros(2)).value == math.inf
    assert estimate_ratio(np.zeros(2), np.zeros(2)).value == math.inf
    assert math.isnan(estimate_ratio(np.array([1.0]), np.array([0.1])).half_width)
