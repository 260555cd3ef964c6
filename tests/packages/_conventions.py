"""Random contents of weights, and what they mean: decoded with ml_dtypes, not with mxref."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from mxref.layouts.conventions import Fields, traits

__all__ = ["random_fields", "same_fields", "values"]

_ELEMENT = {
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn,
    "mxfp8_e5m2": ml_dtypes.float8_e5m2,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn,
    "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp4": ml_dtypes.float4_e2m1fn,
    "nvfp4": ml_dtypes.float4_e2m1fn,
}


def random_fields(name, shape=(160, 320), seed=0, factor=None):
    """Every code but NaN and infinity, scale codes in the middle of the range."""
    of = traits(name)
    rng = np.random.default_rng(seed)
    every = np.arange(1 << of.bits, dtype=np.uint8)
    finite = every[np.isfinite(every.view(_ELEMENT[name]).astype(np.float32))]
    codes = rng.choice(finite, shape)
    low, high = (100, 150) if of.scale == "e8m0" else (8, 0x7F)
    scales = rng.integers(low, high, (*shape[:-1], shape[-1] // of.block_size), np.uint8)
    return Fields(codes, scales, None if factor is None else np.asarray(factor, np.float64))


def values(fields, name):
    """The numbers, in float64."""
    of = traits(name)
    scale_type = ml_dtypes.float8_e8m0fnu if of.scale == "e8m0" else ml_dtypes.float8_e4m3fn
    elements = fields.codes.view(_ELEMENT[name]).astype(np.float64)
    scales = fields.scales.view(scale_type).astype(np.float64)
    found = elements * np.repeat(scales, of.block_size, -1)
    return found if fields.global_scale is None else found * fields.global_scale


def same_fields(found, expected):
    """Assert that contents are the same, bit for bit."""
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_array_equal(found.scales, expected.scales)
    if expected.global_scale is None:
        assert found.global_scale is None
    else:
        np.testing.assert_array_equal(found.global_scale, expected.global_scale)
