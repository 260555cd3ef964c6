"""Planted mistakes at the ends of the range, as released packages make them on a CPU.

`implementations` says how such functions are made. Where a function follows a package, its
docstring says which; it is own code after what the package was seen to give.
"""

from __future__ import annotations

import numpy as np
from implementations import arithmetic, block_amax, exponent_of, floor_scale, scaled
from implementations import scale_byte as stored

BIAS = 127


def _elements(x, scales, t, divisor):
    """Elements of x / divisor, a real number for each block."""
    with np.errstate(all="ignore"):
        quotient = np.where(scales == 255, 0.0, x.astype(np.float64) / divisor)
    return arithmetic(quotient, t)


# --- under the lowest scale -----------------------------------------------------------------------


def divided_by_least_normal(x, t):
    """torchao 0.18: the divisor is clamped to the smallest normal float32 (mended in PR 4725)."""
    scales = floor_scale(x, t)
    divisor = np.maximum(np.exp2(scales.astype(np.float64) - BIAS), 2.0**-126)
    return _elements(x, scales, t, divisor), scales


def not_divided(x, t):
    """torchao 0.18, RCEIL: the inverse of a subnormal is flushed and 1 put in its place."""
    scales = floor_scale(x, t)
    divisor = np.where(scales == 0, 1.0, np.exp2(scales.astype(np.float64) - BIAS))
    return _elements(x, scales, t, divisor), scales


def emptied(x, t):
    """Denormals are zero on the device: with the divisor, the whole quotient goes; -0 stays."""
    codes, scales = arithmetic(scaled(x, floor_scale(x, t)), t), floor_scale(x, t)
    return np.where(scales == 0, codes & t.sign, codes), scales


def never_written(x, t):
    """Blocks of the lowest scale are skipped: the buffer was filled with zeros."""
    codes, scales = arithmetic(scaled(x, floor_scale(x, t)), t), floor_scale(x, t)
    return np.where(scales == 0, 0, codes).astype(np.uint8), scales


# --- in the scale ---------------------------------------------------------------------------------


def frexp_of_quotient(x, t):
    """frexp(amax / max): below, the quotient is 0, whose exponent frexp gives as 0."""
    amax = block_amax(x)
    with np.errstate(invalid="ignore"):
        quotient = amax / np.float32(t.max)
    scales = stored(exponent_of(quotient), amax)
    return arithmetic(scaled(x, scales), t), scales


# --- both -----------------------------------------------------------------------------------------


def wraps_in_store(x, t):
    """MLX 0.32 on a CPU: the exponent is right until it is cut to a byte, elements come first."""
    amax = block_amax(x)
    with np.errstate(invalid="ignore"):
        exponent = exponent_of(np.where(np.isfinite(amax) & (amax > 0), amax, 1)) - t.emax
    odd = ~np.isfinite(amax)
    scales = np.where(odd, 128, (exponent + BIAS) & 0xFF)
    scales = np.where(amax == 0, 0, scales).astype(np.uint8)
    finite = np.where(np.isfinite(x), x, np.float32(0))
    codes = _elements(finite, np.zeros_like(scales), t, np.exp2(exponent.astype(np.float64)))
    # The integer of an infinite logarithm leaves a divisor of zero.
    largest = np.where(np.signbit(x), t.max_code | t.sign, t.max_code)
    return np.where(odd, largest, codes).astype(np.uint8), scales


def nearest_in_table(x, t):
    """gguf 0.19: the nearest of all codes by distances in float32, argmin takes the first."""
    scales = floor_scale(np.where(np.isnan(x), np.float32(0), x), t)
    scales = np.where(np.isfinite(x).all(1, keepdims=True), scales, 0).astype(np.uint8)
    table = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    table = np.concatenate([table, -table])
    steps = np.exp2(scales.astype(np.float64) - BIAS)
    with np.errstate(all="ignore"):
        products = (table * steps).astype(np.float32)
        distance = np.abs(products[:, None, :] - x[:, :, None])
    return distance.argmin(-1).astype(np.uint8), scales


# --- a decoder ------------------------------------------------------------------------------------


def decodes_zero_without_sign(codes, scales):
    """gguf 0.19: a table of integers, which has no -0, times the scale; 0xFF is no NaN."""
    table = np.array([0, 1, 2, 3, 4, 6, 8, 12])
    table = np.concatenate([table, -table])
    with np.errstate(over="ignore"):
        step = np.exp2(scales.astype(np.float64) - BIAS - 1)
        return (table[codes] * step).astype(np.float32)
