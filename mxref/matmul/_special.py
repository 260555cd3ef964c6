"""Results that are NaN or infinite because an element or a scale is.

OP-DOT-NAN: as in IEEE 754. A NaN gives NaN, infinity times zero and infinity minus infinity too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import ElementFormat
from mxref.kernels.gemm.survey import HAS_NAN, HAS_SPECIAL
from mxref.matmul._operands import Operands

_NAN_SCALE = 0xFF

__all__ = ["put_special", "special_dots", "special_results"]

Bools = NDArray[np.bool_]


def special_results(
    operands: Operands, a_flags: NDArray[np.uint8], b_flags: NDArray[np.uint8]
) -> NDArray[np.float32] | None:
    """Find the results that NaN and infinities of the operands decide.

    Parameters
    ----------
    operands : Operands
    a_flags, b_flags : ndarray of uint8
        What the survey found in each row of a and each column of b.

    Returns
    -------
    ndarray of float32, or None
        NaN, infinities, and 0 where neither is; None if there are none at all.
    """
    a, b, c = operands.a_format.element, operands.b_format.element, operands.c
    is_tame = not a_flags.any() and not b_flags.any()
    if c is not None:
        # ml_dtypes warns of a NaN in bfloat16, and numpy of a signalling one.
        with np.errstate(invalid="ignore"):
            c = np.where(np.isfinite(c), 0, c).astype(np.float32)
    if is_tame and (c is None or not (c != 0).any()):
        return None
    rows, a_infinite = _split(operands.a_codes, a_flags, a)
    columns, b_infinite = _split(operands.b_codes, b_flags, b)
    values = np.zeros(operands.shape, np.float32)
    if len(a_infinite):
        codes = operands.a_codes[a_infinite]
        values[a_infinite] = _infinities(codes, a, operands.b_codes, b)
    if len(b_infinite):
        codes = operands.b_codes[b_infinite]
        values[:, b_infinite] = _infinities(operands.a_codes, a, codes, b)
    values[rows] = np.nan
    values[:, columns] = np.nan
    if c is not None:
        with np.errstate(invalid="ignore"):
            values = values + c
    return values


def special_dots(operands: Operands) -> NDArray[np.float32]:
    """As `special_results`, where each row of a meets one row of b."""
    a = _values(operands.a_codes, operands.a_format.element)
    b = _values(operands.b_codes, operands.b_format.element)
    with np.errstate(invalid="ignore"):
        products = a * b
        found = np.where(np.isfinite(products), 0, products).sum(1, dtype=np.float32)
        is_nan = (operands.a_scales == _NAN_SCALE) | (operands.b_scales == _NAN_SCALE)
        found = np.where(is_nan.any(1), np.float32(np.nan), found)
        if operands.c is not None:
            found = found + np.where(np.isfinite(operands.c), 0, operands.c).astype(np.float32)
    return np.asarray(found, np.float32)


def _values(codes: NDArray[np.uint8], fmt: ElementFormat) -> NDArray[np.float32]:
    """-1, 0 and 1 for numbers, infinities, and NaN."""
    signs = _signs(codes, fmt)
    values = signs["plus"].astype(np.float32) - signs["minus"]
    values[signs["inf+"]], values[signs["inf-"]] = np.inf, -np.inf
    if fmt.nan_magnitudes:
        values[np.isin(codes & np.uint8(fmt.sign_mask - 1), sorted(fmt.nan_magnitudes))] = np.nan
    return values


def put_special(values: NDArray[np.float32], out: NDArray[Any], nan: int) -> int:
    """Write NaN and infinities over the results of the finite parts; return how many there are."""
    is_special = values != 0
    with np.errstate(all="ignore"):
        out[is_special] = values[is_special].astype(out.dtype)
    out.view(f"u{out.dtype.itemsize}")[np.isnan(values)] = nan
    return int(is_special.sum())


def _split(
    codes: NDArray[np.uint8], flags: NDArray[np.uint8], fmt: ElementFormat
) -> tuple[Bools, NDArray[np.intp]]:
    """Which rows have a NaN, and the numbers of those that have infinities alone."""
    is_nan = (flags & HAS_NAN) != 0
    special = np.flatnonzero(flags & HAS_SPECIAL)
    if not len(special):
        return is_nan, special
    magnitude = codes[special] & np.uint8(fmt.sign_mask - 1)
    has_nan = np.isin(magnitude, sorted(fmt.nan_magnitudes)).any(1)
    is_nan[special[has_nan]] = True
    return is_nan, special[~has_nan & ~is_nan[special]]


def _infinities(
    a_codes: NDArray[np.uint8], a: ElementFormat, b_codes: NDArray[np.uint8], b: ElementFormat
) -> NDArray[np.float32]:
    """The sum of the products that have an infinite factor: 0 if there are none.

    Counts in float32, which holds them exactly up to 2^24 products.
    """
    of_a, of_b = _signs(a_codes, a), _signs(b_codes, b)
    counts = {}
    for x in ("inf+", "inf-", "plus", "minus", "zero"):
        for y in ("inf+", "inf-", "plus", "minus", "zero"):
            if "inf" in x + y and of_a[x].any() and of_b[y].any():
                counts[x, y] = (of_a[x].astype(np.float32) @ of_b[y].astype(np.float32).T) > 0
    shape = (len(a_codes), len(b_codes))
    up, down, bad = (np.zeros(shape, np.bool_) for _ in range(3))
    for (x, y), is_there in counts.items():
        if "zero" in (x, y):
            bad |= is_there
        elif (x in ("inf-", "minus")) == (y in ("inf-", "minus")):
            up |= is_there
        else:
            down |= is_there
    values = np.where(up, np.float32(np.inf), np.where(down, -np.float32(np.inf), 0))
    return np.where(bad | (up & down), np.float32(np.nan), values).astype(np.float32)


def _signs(codes: NDArray[np.uint8], fmt: ElementFormat) -> dict[str, Bools]:
    mask = fmt.sign_mask - 1
    magnitude, minus = codes & np.uint8(mask), (codes & np.uint8(fmt.sign_mask)) != 0
    if fmt.kind.value == "fixed":
        magnitude, minus = codes, codes >= 0x80
    infinite = np.zeros(codes.shape, np.bool_)
    if fmt.inf_magnitude is not None:
        infinite = magnitude == fmt.inf_magnitude
    zero = magnitude == 0
    return {
        "inf+": infinite & ~minus,
        "inf-": infinite & minus,
        "plus": ~infinite & ~zero & ~minus,
        "minus": ~infinite & ~zero & minus,
        "zero": zero,
    }
