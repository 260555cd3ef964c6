"""Tensors as bytes, done right: a matrix is stored row by row, blocked along its rows."""

from __future__ import annotations

import numpy as np
from replayed import (
    K,
    block_amax,
    nearest,
    ocp_scale,
    products,
    scale_value,
    under,
    value_table,
)

ROWS, COLUMNS = 160, 320  # not square, and no multiples of a tile of 128 x 4 scales


def quantized(t, x):
    """Codes and scale codes of a matrix, blocked along its rows."""
    rows, columns = x.shape
    blocks = x.reshape(rows, columns // K, K)
    scales = ocp_scale(t, block_amax(blocks))
    codes = nearest(t, under(blocks, scales))
    return codes.reshape(rows, columns), scales[..., 0]


def pairs(codes):
    """Neighbours in one byte, the first one low."""
    return codes[:, 0::2] | (codes[:, 1::2] << 4)


def unpaired(elements, shape):
    packed = elements.reshape(shape[0], shape[1] // 2)
    codes = np.empty(shape, np.uint8)
    codes[:, 0::2], codes[:, 1::2] = packed & 15, packed >> 4
    return codes


def swizzled(plane):
    """Tiles of 128 x 4 scales; four rows, 32 apart, share 16 bytes."""
    rows, columns = plane.shape
    padded = np.zeros((-(-rows // 128) * 128, -(-columns // 4) * 4), np.uint8)
    padded[:rows, :columns] = plane
    tiles = padded.reshape(-1, 4, 32, padded.shape[1] // 4, 4)
    return tiles.transpose(0, 3, 2, 1, 4).reshape(-1)


def unswizzled(scales, rows, columns):
    down, across = -(-rows // 128), -(-columns // 4)
    tiles = scales.reshape(down, across, 32, 4, 4)
    return tiles.transpose(0, 3, 2, 1, 4).reshape(down * 128, across * 4)[:rows, :columns]


def decoded(t, codes, plane):
    """The matrix that codes and a plane of scales, one for 32 of a row, stand for."""
    return products(value_table(t)[codes], np.repeat(scale_value(plane), K, axis=1))


def matrix(seed=7, shape=(ROWS, COLUMNS)):
    """Rows and columns of different magnitudes, so that no two blocks need share a scale."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    x *= np.exp2(rng.integers(-30, 30, (shape[0], 1)) + rng.integers(-9, 9, shape[1]))
    return x.astype(np.float32)


def values(_t):
    return (matrix(),)


def stored(t):
    codes, plane = quantized(t, matrix())
    return codes, plane, codes.shape


def stored_in_nibbles(t):
    codes, plane = quantized(t, matrix())
    return pairs(codes), plane, codes.shape
