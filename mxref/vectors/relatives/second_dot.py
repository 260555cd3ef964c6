"""A second computation of dot products of NVFP4 and BDR, over integers of any size.

Elements and scales become integers times one power of two, the global scales of NVFP4 theirs; the
sum is exact, and one rounding by hand makes a float32 of it. Nothing here knows `mxref.exact`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.arrays import decode
from mxref.relatives.bdr_format import BDRFormat

__all__ = ["bdr_dot", "nvfp4_dot"]

_NAN, _INFINITY, _LEAST, _DIGITS = 0x7FC00000, 0x7F800000, -149, 24
_E2M1, _E4M3 = 1, 9  # units of 2^-1, and of 2^-9
_BLOCK = 16


def nvfp4_dot(k: int, *parts: Any) -> np.float32:
    """Return the dot product of two operands, each a global scale, scale codes and codes.

    Examples
    --------
    >>> one = np.float32(1), np.array([0x38], np.uint8), np.full(16, 3, np.uint8)
    >>> nvfp4_dot(2, *one, *one)
    np.float32(4.5)
    """
    exponent = -2 * (_E2M1 + _E4M3)
    factor, special = 1, []
    sides = []
    for g, scales, codes in (parts[:3], parts[3:]):
        mantissa, power = math.frexp(float(g)) if np.isfinite(g) else (1.0, 0)
        special.append(float(g) if not np.isfinite(g) else 0.0)
        factor *= int(mantissa * (1 << _DIGITS))
        exponent += power - _DIGITS
        blocks = -(-k // _BLOCK)
        own = decode((scales[:blocks] & 0x7F).astype(np.uint8), "e4m3").astype(np.float64)
        lanes = decode(codes[:k].astype(np.uint8), "e2m1").astype(np.float64)
        sides.append((own, lanes))
    if any(np.isnan(own).any() for own, _ in sides) or any(map(math.isnan, special)):
        return _float(_NAN)
    if any(special):
        return _under_infinity(sides, special)
    a, b = (
        [int(lane * (1 << _E2M1)) * int(own[i // _BLOCK] * (1 << _E4M3))
         for i, lane in enumerate(lanes)]
        for own, lanes in sides
    )  # fmt: skip
    total = sum(x * y for x, y in zip(a, b, strict=True)) * factor
    return _rounded(total, exponent)


def _under_infinity(sides: Sequence[Any], special: Sequence[float]) -> np.float32:
    """With an infinite global scale: in floating point, which knows what is NaN."""
    products = 1.0
    values = []
    with np.errstate(invalid="ignore"):
        for (own, lanes), g in zip(sides, special, strict=True):
            scaled = lanes * np.repeat(own, _BLOCK)[: len(lanes)]
            values.append(np.sign(scaled) * (g or products))
        found = (values[0] * values[1]).sum()
    return _float(_NAN) if np.isnan(found) else np.float32(found)


def bdr_dot(fmt: BDRFormat, k: int, *parts: Any) -> np.float32:
    """Return the dot product of two operands, each scale codes, shifts or None, and codes.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import bdr_format
    >>> one = np.array([127], np.uint8), None, np.full(16, 0x60, np.uint8)
    >>> bdr_dot(bdr_format("msfp16"), 2, *one, *one)
    np.float32(4.5)
    """
    sides = []
    for scales, shifts, codes in (parts[:3], parts[3:]):
        side = _powers(fmt, k, scales, shifts, codes)
        if side is None:
            return _float(_NAN)
        sides.append(side)
    least = min(exponent for side in sides for _, exponent in side)
    total = sum(x * y << (i + j - 2 * least) for (x, i), (y, j) in zip(*sides, strict=True))
    return _rounded(total, 2 * least)


def _powers(
    fmt: BDRFormat, k: int, scales: NDArray[np.uint8], shifts: Any, codes: NDArray[np.uint8]
) -> list[tuple[int, int]] | None:
    """Each element as an integer times a power of two; None where a scale is NaN."""
    size = fmt.k1 or len(codes)
    found = []
    for place, code in enumerate(codes[:k].tolist()):
        scale = int(scales[place // size])
        if scale == fmt.nan_scale:
            return None
        shift = 0 if shifts is None else int(shifts[place // fmt.k2])
        magnitude = code & fmt.max_magnitude
        signed = -magnitude if code & fmt.sign_mask else magnitude
        found.append((signed, scale - fmt.bias - shift + 1 - fmt.m))
    return found


def _rounded(total: int, exponent: int) -> np.float32:
    """An integer times a power of two as float32, to nearest even."""
    sign, size = int(total < 0) << 31, abs(total)
    step = max(size.bit_length() - _DIGITS, _LEAST - exponent)
    if step <= 0:
        size, exponent, step = size << -step, exponent + step, 0
    count, rest = size >> step, size & ((1 << step) - 1)
    half = (1 << step) >> 1
    count += step > 0 and (rest > half or (rest == half and count & 1 == 1))
    bits = count + ((step + exponent - _LEAST) << (_DIGITS - 1)) if count else 0
    return _float((sign if total else 0) | min(bits, _INFINITY))


def _float(bits: int) -> np.float32:
    found: np.float32 = np.array([bits], np.uint32).view(np.float32)[0]
    return found
