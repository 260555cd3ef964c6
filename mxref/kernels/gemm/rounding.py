"""One rounding of an exact number to a binary floating-point type, in every deterministic mode.

A number comes as its sign, 64 bits of its magnitude with the first of them set, the exponent of
that bit, and whether anything lies behind.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mxref.kernels._jit import helper, inlined

__all__ = ["MODES", "round_magnitude", "rounded_to_odd", "times_exactly"]

MODES = (
    "nearest-even", "nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd",
)  # fmt: skip
"""The rounding modes; the place of each is the number that kernels take."""


@helper
def round_magnitude(negative, word, exponent, sticky, mode, precision, emin, emax) -> Any:  # type: ignore[no-untyped-def]
    """Return the bits of the magnitude in a type of `precision` bits, normal from emin to emax.

    Parameters
    ----------
    negative : bool
    word : uint64
        Bit 63 is set.
    exponent : int64
        That of bit 63.
    sticky : bool
        Whether the number is larger than `word` says.
    mode : int64
        Place in `MODES`.
    precision, emin, emax : int64

    Returns
    -------
    uint64
        Without the sign; infinity, or the largest number, on overflow as the mode says.
    """
    one = np.uint64(1)
    subnormal = max(np.int64(0), np.int64(emin) - np.int64(exponent))
    drop = np.int64(64) - np.int64(precision) + subnormal  # at least 11
    kept, half, rest = np.uint64(0), False, sticky
    if drop < 64:
        kept = np.uint64(word >> np.uint64(drop))
    if drop <= 64:
        guard = np.uint64(one << np.uint64(drop - 1))
        half = np.uint64(word & guard) != np.uint64(0)
        rest = rest or np.uint64(word & np.uint64(guard - one)) != np.uint64(0)
    else:
        rest = True
    odd = np.uint64(kept & one) != np.uint64(0)
    up = False
    if mode == 0:
        up = half and (rest or odd)
    elif mode == 1:
        up = half
    elif mode == 2:
        up = half and rest
    elif mode == 4:
        up = (half or rest) and not negative
    elif mode == 5:
        up = (half or rest) and negative
    elif mode == 6:
        up = (half or rest) and not odd
    if up:
        kept = np.uint64(kept + one)
    field = max(np.int64(0), np.int64(exponent) - np.int64(emin))
    bits = np.uint64(kept + np.uint64(np.uint64(field) << np.uint64(precision - 1)))
    infinity = np.uint64(np.uint64(emax - emin + 2) << np.uint64(precision - 1))
    if bits >= infinity or field > np.int64(emax) - np.int64(emin):
        bits = infinity
        if mode in (3, 6) or (mode == 4 and negative) or (mode == 5 and not negative):
            bits = np.uint64(infinity - one)
    return bits


@inlined
def times_exactly(x, y) -> Any:  # type: ignore[no-untyped-def]
    """Return a product of two float64 and what rounding it lost: exact, far from either end.

    Dekker's, by halves of 26 bits: not every processor has an FMA.
    """
    product = x * y
    wide = x * 134217729.0  # 2^27 + 1
    x1 = wide - (wide - x)
    x2 = x - x1
    wider = y * 134217729.0
    y1 = wider - (wider - y)
    y2 = y - y1
    lost = ((x1 * y1 - product) + x1 * y2 + x2 * y1) + x2 * y2
    return product, lost


@inlined
def rounded_to_odd(high, low) -> Any:  # type: ignore[no-untyped-def]
    """Return ``high + low``, rounded to odd: rounded once more, to float32, it is as the sum is."""
    total = high + low
    back = total - high
    lost = (high - (total - back)) + (low - back)
    word = np.float64(total).view(np.int64)
    step = np.int64(1) if (lost > 0.0) == (total > 0.0) else np.int64(-1)
    moves = (lost != 0.0) & (np.int64(word & np.int64(1)) == np.int64(0))
    return np.int64(word + (step if moves else np.int64(0))).view(np.float64)
