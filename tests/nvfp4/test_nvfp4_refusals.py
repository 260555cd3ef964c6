"""What is no scale of a tensor is refused, by one rule everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mxref
from mxref import check, nvfp4

X = np.random.default_rng(1).standard_normal((8, 64)).astype(np.float32)
Q = mxref.quantize(X, "nvfp4")
AMAX = np.abs(X).max()


@pytest.mark.parametrize("g", [-1, 0, np.nan, np.inf, 1e300])
def test_a_multiplier_is_positive_and_finite(g: float) -> None:
    for call in (
        lambda: mxref.quantize(X, "nvfp4", global_scale=g),
        lambda: nvfp4.encode_with_scales(X, Q.scales, g),
        lambda: nvfp4.block_scales(np.ones(2, np.float32), g),
        lambda: check.quantize(X, Q.codes, Q.scales, "nvfp4", global_scale=g),
    ):
        with pytest.raises(ValueError, match="global_scale is"):
            call()


@pytest.mark.parametrize("amax", [-1, -np.inf])
def test_an_amax_is_not_negative(amax: float) -> None:
    with pytest.raises(ValueError, match="global_amax is"):
        mxref.quantize(X, "nvfp4", global_amax=amax)
    with pytest.raises(ValueError, match="negative"):
        nvfp4.block_scales(np.array([-1.0], np.float32), 1.0)


def test_python_floats_are_rounded() -> None:
    q = mxref.quantize(X, "nvfp4", global_scale=0.1)
    assert q.global_scale == np.float32(0.1)
    report = check.quantize(X, q.codes, q.scales, "nvfp4", global_scale=0.1)
    assert report.verdict == "conforms", report


def test_arrays_hold_what_recipes_make() -> None:
    for g in (0.0, np.inf, np.nan):
        nvfp4.NVFP4Array(Q.codes, Q.scales, g)
    with pytest.raises(ValueError, match="every sign"):
        nvfp4.NVFP4Array(Q.codes, Q.scales, -1.0)
    zeros = np.zeros((2, 32), np.float32)
    q = mxref.quantize(zeros, "nvfp4", policy="torchao")
    assert q.global_scale == 0
    made = check.quantize(zeros, q.codes, q.scales, "nvfp4", policy="torchao", global_scale=0)
    assert made.verdict == "conforms", made


def test_a_check_takes_the_amax() -> None:
    q = mxref.quantize(X, "nvfp4", global_amax=9)
    given = (X, q.codes, q.scales, "nvfp4")
    report = check.quantize(*given, global_scale=float(q.global_scale), global_amax=9)
    assert report.verdict == "conforms", report
    assert not report.findings


@pytest.mark.parametrize(
    ("g", "words"),
    [
        (Q.global_scale * np.float32(6), "without the 6"),
        (np.nextafter(Q.global_scale, np.float32(1)), "float32 step"),
    ],
)
def test_a_forgotten_factor_is_found(g: Any, words: str) -> None:
    q = mxref.quantize(X, "nvfp4", global_scale=g)
    report = check.quantize(X, q.codes, q.scales, "nvfp4", global_scale=g)
    found = {(f.id, words in f.detail) for f in report.findings}
    assert ("S16", True) in found, report


def test_a_policy_of_another_family_is_named() -> None:
    with pytest.raises(ValueError, match="one of the MX formats"):
        mxref.quantize(X, "nvfp4", policy="ocp")
