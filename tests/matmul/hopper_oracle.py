"""What Hopper's instructions give, a second time: in float64, from their description alone.

Shares nothing with the package. Every aligned and cut addend is an integer below 2^53, so float64
adds them exactly. Slow, and only for tests.
"""

from __future__ import annotations

import numpy as np

NOTHING = -100000  # the exponent of a zero


def exponents(values, least):
    """Exponents of normalised numbers, at least `least`."""
    return np.maximum(np.frexp(values)[1] - 1, least)


def stored_exponents(codes, exponent_bits, mantissa_bits, bias):
    field = codes.astype(np.int64) >> mantissa_bits & ((1 << exponent_bits) - 1)
    return np.maximum(field, 1) - bias


def to_precision(values, precision, least, most, *, nearest):
    """Round to a binary type: `least` is the exponent of its last bit, `most` of its largest."""
    finite = np.where(np.isfinite(values), values, 0.0)
    unit = np.maximum(np.frexp(finite)[1] - precision, least)
    scaled = np.ldexp(finite, -unit)
    result = np.ldexp(np.rint(scaled) if nearest else np.trunc(scaled), unit)
    largest = np.ldexp(2.0 - 2.0 ** (1 - precision), most)
    result = np.where(abs(result) > largest, np.copysign(np.inf, result), result)
    return np.where(np.isfinite(values), result, values) + 0.0


def float32_toward_zero(values, precision=24):
    return to_precision(values, precision, -149, 127, nearest=False)


def float32(values):
    return to_precision(values, 24, -149, 127, nearest=True)


def bfloat16(values):
    return to_precision(values, 8, -133, 127, nearest=True)


def float16(values):
    return to_precision(values, 11, -24, 15, nearest=True)


def step(a, b, total, bits, rounded, least):
    """Fuse products and the running sum; a and b are (values, exponents)."""
    with np.errstate(all="ignore"):
        products = a[0][:, None, :] * b[0][None, :, :]
        exponent = np.where(products == 0, NOTHING, a[1][:, None, :] + b[1][None, :, :])
        finite_total = np.where(np.isfinite(total), total, 0.0)
        of_total = np.where(finite_total == 0, NOTHING, exponents(finite_total, least))
        top = np.maximum(np.maximum(exponent.max(-1), of_total), -133)
        finite = np.where(np.isfinite(products), products, 0.0)
        units = np.trunc(np.ldexp(finite, (bits - top)[:, :, None])).sum(-1)
        units += np.trunc(np.ldexp(finite_total, bits - top))
        result = rounded(np.ldexp(units, top - bits))
        # float64's own NaN and infinities say what becomes of special products.
        special = products.sum(-1, where=~np.isfinite(products)) + (total - finite_total)
    is_special = ~np.isfinite(products).all(-1) | ~np.isfinite(total)
    return np.where(is_special, special, result)


def chain(a, b, total, k_step, bits, rounded, least=-126):
    """One running sum over K."""
    for start in range(0, a[0].shape[1], k_step):
        at = slice(start, start + k_step)
        x, y = (a[0][:, at], a[1][:, at]), (b[0][:, at], b[1][:, at])
        total = step(x, y, total, bits, rounded, least)
    return total


def fp8_chain(a, b, total):
    return chain(a, b, total, 32, 13, lambda v: float32_toward_zero(v, 14))


def promoted(a, b, total, every):
    for start in range(0, a[0].shape[1], every):
        at = slice(start, start + every)
        x, y = (a[0][:, at], a[1][:, at]), (b[0][:, at], b[1][:, at])
        total = float32(total + fp8_chain(x, y, np.zeros_like(total)))
    return total


def sixteen_chain(a, b, total):
    return chain(a, b, total, 16, 25, float32_toward_zero)


def words(values, kind):
    """The bits of values that the type holds; NaN is all ones but the sign."""
    with np.errstate(all="ignore"):
        wide = values.astype(np.float32).view(np.uint32)
        if kind == "f32":
            return np.where(np.isnan(values), np.uint32(0x7FFFFFFF), wide)
        half = values.astype(np.float16).view(np.uint16)
    bits = half if kind == "f16" else (wide >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FFF), bits)
