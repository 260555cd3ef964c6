"""A third implementation of power-of-two formats, over enumerated magnitudes and float64.

It shares nothing with the definition or the kernels: exponents come from frexp, elements from a
table of all magnitudes. Default policy, deterministic nearest roundings.
"""

import numpy as np


def quantize(x, m, k2, cap, rounding="nearest-even"):
    """Scale codes, shifts and codes of blocks, the rows of a float64 array of normal numbers."""
    amax = np.abs(x).max(axis=1)
    E = np.where(amax == 0, 0, np.frexp(amax)[1] - 1 + 127)
    D = np.zeros((len(x), x.shape[1] // k2), np.int64)
    if cap:
        sub = np.abs(x).reshape(len(x), -1, k2).max(axis=2)
        below = np.where(sub == 0, E[:, None], E[:, None] - (np.frexp(sub)[1] - 1 + 127))
        D = np.minimum(below, cap)
        D[amax == 0] = 0
    unit = np.ldexp(1.0, E[:, None] - 127 - np.repeat(D, k2, axis=1) + 1 - m)
    points = np.arange(1 << m)
    scaled = np.abs(x) / unit  # exact: a power of two
    above = np.minimum(np.searchsorted(points, scaled), points[-1])
    under = np.maximum(above - (points[above] > scaled), 0)
    left, right = scaled - points[under], points[above] - scaled
    tie = {
        "nearest-even": above % 2 == 0,
        "nearest-away": np.ones_like(x, bool),
        "half-up": ~np.signbit(x),
    }[rounding]
    goes_up = (right < left) | ((right == left) & tie)
    M = np.where(goes_up & (above > under), above, under)
    return E, D, M + (np.signbit(x).astype(np.int64) << m)


def dequantize(E, D, codes, m, k2):
    """Values of blocks as float64, which holds them all."""
    sign = np.where(codes >> m, -1.0, 1.0)
    exponent = E[:, None] - 127 - np.repeat(D, k2, axis=1) + 1 - m
    return sign * np.ldexp((codes & ((1 << m) - 1)).astype(np.float64), exponent)
