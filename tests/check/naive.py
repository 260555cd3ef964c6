# ruff: noqa: ARG001 (planted defects share one signature)
"""A naive quantizer with planted defects, for the tests of the checks.

Deliberately nothing of mxref in it: values come from tables that are built here, and an element is
encoded by looking for its neighbours in the table.
"""

import ml_dtypes
import numpy as np

ELEMENT_TYPES = {
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn,
    "mxfp8_e5m2": ml_dtypes.float8_e5m2,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn,
    "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp4": ml_dtypes.float4_e2m1fn,
}
EMAX = {
    "mxfp8_e4m3": 8,
    "mxfp8_e5m2": 15,
    "mxfp6_e3m2": 4,
    "mxfp6_e2m3": 2,
    "mxfp4": 2,
    "mxint8": 0,
}
MANTISSA = {"mxfp8_e4m3": 3, "mxfp8_e5m2": 2, "mxfp6_e3m2": 2, "mxfp6_e2m3": 3, "mxfp4": 1}
SIGN = {"mxfp8_e4m3": 0x80, "mxfp8_e5m2": 0x80, "mxfp6_e3m2": 0x20, "mxfp6_e2m3": 0x20, "mxfp4": 8}
FORMATS = tuple(ELEMENT_TYPES)


def finite_values(fmt):
    """Non-negative finite values in the order of their codes."""
    magnitudes = np.arange(SIGN[fmt], dtype=np.uint8).view(ELEMENT_TYPES[fmt]).astype(np.float64)
    return magnitudes[np.isfinite(magnitudes)]


def amax_of(x, k=32):
    blocks = x.astype(np.float64).reshape(-1, k)
    return np.abs(np.where(np.isfinite(blocks), blocks, 0)).max(1)


def floor_exponent(fmt, amax):
    return np.frexp(amax)[1] - 1 - EMAX[fmt]


def to_scale_code(exponent, amax):
    code = np.clip(exponent + 127, 0, 254)
    return np.where(amax == 0, 0, code).astype(np.uint8)


def magnitude_codes(fmt, v, tie="even"):
    """Nearest code of |v|, saturating; `tie` is even, away or trunc."""
    values = finite_values(fmt)
    below = np.clip(np.searchsorted(values, v, side="right") - 1, 0, len(values) - 1)
    above = np.minimum(below + 1, len(values) - 1)
    if tie == "trunc":
        return below
    low, high = v - values[below], values[above] - v
    up = (high < low) | ((high == low) & ((below % 2 == 1) if tie == "even" else True))
    return np.where(up & (above > below), above, below)


def quantize(x, fmt, exponent=floor_exponent, tie="even", twist=None):
    """Codes and scales; `twist(fmt, magnitude codes, |V/X|, sign)` plants an element defect."""
    blocks = x.astype(np.float64).reshape(-1, 32)
    amax = amax_of(x)
    scales = to_scale_code(exponent(fmt, np.where(amax > 0, amax, 1.0)), amax)
    v = np.abs(blocks) * 2.0 ** (127 - scales.astype(np.float64))[:, None]
    sign = np.signbit(blocks)
    codes = magnitude_codes(fmt, v, tie)
    if twist is not None:
        codes, sign = twist(fmt, codes, v, sign)
    codes = (codes + sign * SIGN[fmt]).astype(np.uint8).reshape(x.shape)
    return codes, scales.reshape(*x.shape[:-1], -1)


# --- element defects --------------------------------------------------------------------------


def flush_input(fmt, codes, v, sign):
    return np.where(v < finite_values(fmt)[1 << MANTISSA[fmt]], 0, codes), sign


def flush_result(fmt, codes, v, sign):
    return np.where(codes < 1 << MANTISSA[fmt], 0, codes), sign


def top_binade_saturates(fmt, codes, v, sign):
    return np.where(v >= 2.0 ** EMAX[fmt], len(finite_values(fmt)) - 1, codes), sign


def minus_zero_lost(fmt, codes, v, sign):
    return codes, sign & (codes != 0)


def saturation_inverted(fmt, codes, v, sign):
    values = finite_values(fmt)
    half_step = (values[-1] - values[-2]) / 2
    top_is_even = (len(values) - 1) % 2 == 0
    over = v > values[-1] + half_step if top_is_even else v >= values[-1] + half_step
    special = 0x7F if fmt == "mxfp8_e4m3" else 0x7C
    sign = sign & ~(over & (fmt == "mxfp8_e4m3"))  # the canonical NaN has no sign
    return np.where(over, special, codes), sign


# --- scale defects ----------------------------------------------------------------------------


def largest(fmt):
    return 127 / 64 if fmt == "mxint8" else finite_values(fmt)[-1]


def floor_of_quotient(fmt, amax):
    return np.floor(np.log2(amax / largest(fmt))).astype(int)


def nearest_of_quotient(fmt, amax):
    low = np.floor(np.log2(amax / largest(fmt)))
    return (low + (amax / largest(fmt) / 2**low >= 1.5)).astype(int)


def ceil_of_amax(fmt, amax):
    return np.ceil(np.log2(amax)).astype(int) - EMAX[fmt]


def ceil_of_quotient(fmt, amax):
    return np.ceil(np.log2(amax / largest(fmt))).astype(int)


def rounded_log(fmt, amax):
    return np.rint(np.log2(amax / largest(fmt))).astype(int)


def no_emax(fmt, amax):
    return np.frexp(amax)[1] - 1


def bias_125(fmt, amax):
    return floor_exponent(fmt, amax) - 2


def data(seed=0, rows=64, columns=256, dtype=np.float32):
    """Values with ties, underflow, negative zeros and saturation under the floor rule."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns)) * 2.0 ** rng.integers(-4, 5, (rows, columns))
    x[:, ::16] = np.round(x[:, ::16] * 8) / 8  # many ties
    tiny = x[:, 9::16]
    tiny *= 2.0 ** -rng.integers(6, 34, tiny.shape)  # subnormal results, even in E5M2
    x[:, 5] = -0.0
    x[::2] = x[::2].astype(ml_dtypes.bfloat16).astype(np.float64)
    return x.astype(dtype)
