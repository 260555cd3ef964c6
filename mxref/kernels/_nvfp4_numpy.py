"""NVFP4 on arrays by NumPy alone: what runs without a compiler, and a check on the loops.

Every function takes blocks as rows of 16 float32 and follows the recipe step by step, each step one
float32 operation of NumPy. The floating-point mode must be the default one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = [
    "ELEMENTS",
    "Globals",
    "amax",
    "decode",
    "encode",
    "errors",
    "scale_codes",
    "scale_values",
]

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_LARGEST = np.float32(np.finfo(np.float32).max)
_LARGEST_BF16 = np.uint32(0x7F7F0000).view(np.float32)
ELEMENTS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float64)
"""The magnitudes of E2M1, by code."""
_MIDDLES = (ELEMENTS[1:] + ELEMENTS[:-1]) / 2
# E4M3: subnormals are multiples of 2^-9, above them 8 + m eighths of a power of two.
SCALE_TABLE = np.array(
    [m * 2.0**-9 if e == 0 else (8 + m) * 2.0 ** (e - 10) for e in range(16) for m in range(8)],
    np.float64,
)
SCALE_TABLE[0x7F] = np.nan
"""The values of the codes 0x00 to 0x7F."""


class Globals(NamedTuple):
    """Both forms of the tensor's scale, and the amax that they come from.

    Attributes
    ----------
    encode, decode : float32
        S and g.
    amax : float32
        As the errors of a selection want it.
    """

    encode: np.float32
    decode: np.float32
    amax: np.float32


def target(policy: NVFP4Policy) -> int:
    """Return T."""
    return 4 if policy.target is choice.Target.FOUR else 6


def top(policy: NVFP4Policy) -> int:
    """Return M."""
    return int(policy.scale_top.value)


def amax(x: Floats, policy: NVFP4Policy) -> Floats:
    """Return the largest magnitude of each row."""
    sizes = np.abs(x)
    if policy.amax_nan is choice.AmaxNan.IGNORE:
        sizes = np.where(np.isnan(sizes), np.float32(0), sizes)
    return np.asarray(sizes.max(axis=-1), np.float32)


def scale_values(codes: Bytes, policy: NVFP4Policy) -> NDArray[np.float64]:
    """Return the numbers that scale codes stand for."""
    values = SCALE_TABLE[codes & 0x7F]
    if policy.scale_sign is choice.ScaleSign.SIGNED:
        values = np.where(codes & 0x80, -values, values)
    return np.asarray(values, np.float64)


# --- scales -------------------------------------------------------------------------------------


def scale_codes(b: Floats, of: Globals, policy: NVFP4Policy, *, is_four: bool = False) -> Bytes:
    """Return the scale codes of blocks with these largest magnitudes.

    With `is_four`, those of the candidate that maps to 4 under four-over-six.
    """
    with np.errstate(all="ignore"):
        if policy.scale_order is choice.ScaleOrder.EXACT:
            wanted, unit = _exact_scale(b, of, policy, is_four=is_four)
        else:
            number = _wanted(b, of, policy)
            if is_four:
                number = number * np.float32(1.5)
            wanted, unit = number.astype(np.float64), np.float64(1)
        if policy.scale_zero is choice.ScaleZero.ONE:
            wanted = np.where(wanted == 0, unit, wanted)
        least = {"0": 0.0, "2^-9": 2.0**-9, "2^-6": 2.0**-6}[policy.scale_least.value]
        wanted = np.where(wanted < least * unit, least * unit, wanted)
        codes = _rounded_scales(wanted, unit, policy)
    if policy.scale_zero is choice.ScaleZero.EIGHTH:
        codes = np.where(codes == 0, 0x20, codes)
    return np.asarray(codes, np.uint8)


def _wanted(b: Floats, of: Globals, policy: NVFP4Policy) -> Floats:
    T, S, g = np.float32(target(policy)), of.encode, of.decode
    match policy.scale_order:
        case choice.ScaleOrder.FOLDED:
            return b * (S * (np.float32(1) / T))
        case choice.ScaleOrder.DIVIDED:
            return (b / T) * S
        case choice.ScaleOrder.QUOTIENT:
            return (b / T) / g
        case _:
            return b / (T * g)


def _exact_scale(
    b: Floats, of: Globals, policy: NVFP4Policy, *, is_four: bool
) -> tuple[NDArray[np.float64], np.float64]:
    """Numerator and denominator of b / (T g); float64 holds both, and middles times the second."""
    T = np.float64(target(policy))
    numerator = b.astype(np.float64)
    if is_four:
        numerator, T = numerator * 3, T * 2
    unit = T * np.float64(of.decode)
    if np.isinf(unit) or unit == 0 or np.isnan(unit):
        return numerator / unit, np.float64(1)
    return numerator, unit


def _rounded_scales(
    wanted: NDArray[np.float64], unit: np.float64, policy: NVFP4Policy
) -> NDArray[np.int64]:
    """E4M3 codes of wanted / unit."""
    grid = np.append(SCALE_TABLE[:127], 480.0)
    middles = (grid[1:] + grid[:-1]) / 2 * unit  # exact: 5 bits times at most 27
    grid = grid * unit
    match policy.scale_rounding:
        case choice.ScaleRounding.TOWARD_ZERO:
            codes = np.searchsorted(grid[1:], wanted, side="right")
        case choice.ScaleRounding.NEAREST_UP:
            codes = np.searchsorted(middles, wanted, side="right")
        case _:
            below = np.searchsorted(middles, wanted, side="left")
            codes = below + _is_tie_to_odd(below, wanted, middles)
    over = 0x7F if policy.scale_overflow is choice.ScaleOverflow.NAN else 0x7E
    codes = np.where(codes > 0x7E, over, codes)
    return np.asarray(np.where(np.isnan(wanted), 0x7F, codes), np.int64)


def _is_tie_to_odd(
    below: NDArray[Any], wanted: NDArray[np.float64], middles: NDArray[np.float64]
) -> NDArray[np.bool_]:
    nearest = middles[np.minimum(below, len(middles) - 1)]
    is_odd = (below & 1) == 1
    return np.asarray(is_odd & (nearest == wanted))


# --- elements -----------------------------------------------------------------------------------


def encode(
    x: Floats,
    scales: Bytes,
    of: Globals,
    policy: NVFP4Policy,
    random: NDArray[np.uint32] | None = None,
) -> Bytes:
    """Return the codes of rows of 16 elements under scale codes, one for each row."""
    s = scale_values(scales, policy)[:, None]
    is_negative = np.signbit(x) ^ np.signbit(s)
    with np.errstate(all="ignore"):
        if policy.element_order is choice.ElementOrder.EXACT:
            sizes, unit = _exact_elements(x, np.abs(s), of)
        else:
            y = _scaled(x, s.astype(np.float32), of, policy)
            sizes, unit = np.abs(y).astype(np.float64), np.ones_like(s)
        codes = _rounded_elements(sizes, unit, policy, random)
    if policy.zero_scale is choice.ZeroScale.ZERO:
        no_scale = s == 0
        codes = np.where(no_scale, 0, codes)
        sizes = np.where(no_scale, np.abs(x), sizes)
    is_nan = np.isnan(sizes)
    is_zero = codes == 0
    match policy.neg_zero:
        case choice.NegZero.DROP:
            is_negative = is_negative & ~is_zero
        case choice.NegZero.DROP_INPUT:
            is_negative = is_negative & (sizes != 0)
        case _:
            pass
    signed = codes | (is_negative.astype(np.int64) << 3)
    match policy.nan_element:
        case choice.NanElement.POS_MAX:
            nan_codes: Any = 7
        case choice.NanElement.SIGNED_MAX:
            nan_codes = 7 | (np.signbit(x).astype(np.int64) << 3)
        case _:
            nan_codes = 0
    return np.asarray(np.where(is_nan, nan_codes, signed), np.uint8)


def _exact_elements(
    x: Floats, s: NDArray[np.float64], of: Globals
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerator and denominator of |x| / (s g)."""
    sizes, unit = np.abs(x).astype(np.float64), s * np.float64(of.decode)
    odd = ~np.isfinite(unit) | (unit == 0)
    # A zero stays zero under no scale, and everything else goes beyond 6.
    divided = np.where(sizes == 0, np.where(np.isnan(unit), np.nan, 0.0), sizes / unit)
    return np.where(odd, divided, sizes), np.where(odd, 1.0, unit)


def _scaled(x: Floats, s: Floats, of: Globals, policy: NVFP4Policy) -> Floats:
    one, S, g = np.float32(1), of.encode, of.decode
    match policy.element_order:
        case choice.ElementOrder.DIVIDE:
            return x / (s * g)
        case choice.ElementOrder.DIVIDE_ENCODE:
            return x / (s / S)
        case choice.ElementOrder.RECIPROCAL:
            r = one / (s * g)
        case choice.ElementOrder.QUOTIENT:
            r = (one / g) / s
        case _:
            r = S / s
    is_narrow = policy.factor_type is choice.FactorType.BFLOAT16
    if policy.factor_cap is choice.FactorCap.CLAMP:
        r = np.fmin(r, _LARGEST_BF16 if is_narrow else _LARGEST)
    if is_narrow:
        r = _bfloat16(r)
    return x * r


def _bfloat16(r: Floats) -> Floats:
    """To nearest even; a NaN stays."""
    bits = np.ascontiguousarray(r).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(r), r, rounded.view(np.float32))


def _rounded_elements(
    sizes: NDArray[np.float64],
    unit: NDArray[np.float64],
    policy: NVFP4Policy,
    random: NDArray[np.uint32] | None,
) -> NDArray[np.int64]:
    """E2M1 codes without a sign of sizes / unit; `unit` is finite and above zero."""
    codes = np.zeros(sizes.shape, np.int64)
    for k, middle in enumerate(_MIDDLES):
        match policy.rounding:
            case choice.Rounding.NEAREST_EVEN:
                is_up = sizes >= middle * unit if k % 2 else sizes > middle * unit
            case choice.Rounding.NEAREST_DOWN:
                is_up = sizes > middle * unit
            case choice.Rounding.NEAREST_AWAY:
                is_up = sizes >= middle * unit
            case _:
                is_up = sizes >= ELEMENTS[k + 1] * unit
        codes += is_up
    if policy.rounding is choice.Rounding.STOCHASTIC:
        if random is None:
            raise ValueError("rounding=stochastic needs random bits")
        bits = int(policy.stochastic_bits.value)
        upper = np.minimum(codes + 1, 7)
        lower, step = ELEMENTS[codes], ELEMENTS[upper] - ELEMENTS[codes]
        share = 1 - random.astype(np.float64) / (1 << bits)
        codes += (codes < 7) & (random > 0) & (sizes >= (lower + step * share) * unit)
    return codes


# --- values and errors --------------------------------------------------------------------------


def decode(codes: Bytes, scales: Bytes, g: np.float32, policy: NVFP4Policy) -> Floats:
    """Return the values of rows of 16 codes."""
    e = ELEMENTS[codes & 7]
    e = np.where(codes & 8, -e, e)
    s = scale_values(scales, policy)[:, None]
    with np.errstate(all="ignore"):
        if policy.decode_order is choice.DecodeOrder.SCALE_FIRST:
            values = (s.astype(np.float32) * g) * e.astype(np.float32)
        else:
            values = (e * s * np.float64(g)).astype(np.float32)
    return np.where(np.isnan(values), np.float32(np.nan), values)


def errors(x: Floats, codes: Bytes, scales: Bytes, of: Globals, policy: NVFP4Policy) -> Floats:
    """Return what each row loses under a candidate, in float32 from first to last."""
    e = ELEMENTS[codes & 7].astype(np.float32)
    e = np.where(codes & 8, -e, e)
    s = scale_values(scales, policy).astype(np.float32)[:, None]
    with np.errstate(all="ignore"):
        values = ((e * s) * of.amax) / np.float32(6 * top(policy))
        lost = np.abs(values - x)
        if policy.selection is choice.Selection.ABS_MAX:
            return np.asarray(lost.max(axis=-1), np.float32)
        if policy.selection is choice.Selection.MSE:
            lost = lost * lost
        total = np.zeros(x.shape[0], np.float32)
        for i in range(x.shape[1]):
            total = total + lost[:, i]
    return total
