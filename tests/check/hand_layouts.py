"""Readers and writers of stored tensors, right and wrong, for the tests of the checks.

Deliberately nothing of mxref in it: layouts are made by reshaping and transposing, values by
ml_dtypes. Blocks lie along the last axis; `along` turns a function to another axis.
"""

import ml_dtypes
import numpy as np

TYPES = {
    "mxfp8_e4m3": (ml_dtypes.float8_e4m3fn, 8, 448.0),
    "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 15, 57344.0),
    "mxfp6_e3m2": (ml_dtypes.float6_e3m2fn, 4, 28.0),
    "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 2, 7.5),
    "mxfp4": (ml_dtypes.float4_e2m1fn, 2, 6.0),
}


# --- numbers ----------------------------------------------------------------------------------


def values_of(codes, fmt):
    if fmt == "mxint8":
        return codes.view(np.int8).astype(np.float64) / 64
    return codes.view(TYPES[fmt][0]).astype(np.float64)


def decode(codes, plane, fmt):
    """Codes (lines, length) and scale codes (lines, blocks of 32) to float32."""
    scale = np.where(plane == 255, np.nan, np.ldexp(1.0, plane.astype(int) - 127))
    spread = np.repeat(scale, 32, 1)[:, : codes.shape[1]]
    return (values_of(codes, fmt) * spread).astype(np.float32)


def scales_of(amax, fmt):
    emax = 0 if fmt == "mxint8" else TYPES[fmt][1]
    exponent = np.frexp(np.where(amax > 0, amax, 1.0))[1] - 1 - emax
    return np.where(amax > 0, np.clip(exponent + 127, 0, 254), 0).astype(np.uint8)


def encode(x, plane, fmt):
    scale = np.repeat(plane.astype(int) - 127, 32, 1)[:, : x.shape[1]]
    v = np.ldexp(x.astype(np.float64), -scale)
    if fmt == "mxint8":
        return np.clip(np.rint(v * 64), -127, 127).astype(np.int8).view(np.uint8)
    dtype, _, largest = TYPES[fmt]
    return np.clip(v, -largest, largest).astype(np.float32).astype(dtype).view(np.uint8)


def cut(x, k=32):
    """Blocks of k, the last one filled with zeros."""
    full = np.zeros((x.shape[0], -(-x.shape[1] // k) * k))
    full[:, : x.shape[1]] = x
    return full.reshape(x.shape[0], -1, k)


def amax_of(x):
    return np.abs(cut(x)).max(-1)


# --- packing ----------------------------------------------------------------------------------


def pack(codes, *, high_first=False):
    first, second = codes.reshape(-1)[::2], codes.reshape(-1)[1::2]
    if high_first:
        first, second = second, first
    return (second << 4) | first


def unpack(data, shape, *, high_first=False):
    low, high = data & 15, data >> 4
    pair = (high, low) if high_first else (low, high)
    return np.stack(pair, -1).reshape(shape)


def unpack_split(data, shape):
    """ggml: byte j of a block holds elements j and j + 16."""
    blocks = data.reshape(-1, 16)
    return np.concatenate([blocks & 15, blocks >> 4], -1).reshape(shape)


def pack_split(codes):
    blocks = codes.reshape(-1, 32)
    return (blocks[:, :16] | blocks[:, 16:] << 4).reshape(-1)


def unpack_down(data, shape):
    """Two neighbours of a column in a byte."""
    rows = data.reshape(shape[0] // 2, shape[1])
    return np.stack([rows & 15, rows >> 4], 1).reshape(shape)


def pack_down(codes):
    pairs = codes.reshape(codes.shape[0] // 2, 2, codes.shape[1])
    return (pairs[:, 0] | pairs[:, 1] << 4).reshape(-1)


# --- scale planes -----------------------------------------------------------------------------


def padded(plane, lines, blocks, fill=0x7F):
    full = np.full(
        (-(-plane.shape[0] // lines) * lines, -(-plane.shape[1] // blocks) * blocks), fill, np.uint8
    )
    full[: plane.shape[0], : plane.shape[1]] = plane
    return full


def swizzle(plane):
    full = padded(plane, 128, 4)
    a, b = full.shape[0] // 128, full.shape[1] // 4
    return full.reshape(a, 4, 32, b, 4).transpose(0, 3, 2, 1, 4).reshape(-1)


def unswizzle(data, lines, blocks):
    a, b = -(-lines // 128), -(-blocks // 4)
    full = data[: a * b * 512].reshape(a, b, 32, 4, 4).transpose(0, 3, 2, 1, 4)
    return full.reshape(a * 128, b * 4)[:lines, :blocks]


def unswizzle_twice(data, lines, blocks):
    once = unswizzle(data, -(-lines // 128) * 128, -(-blocks // 4) * 4)
    return unswizzle(once.reshape(-1), lines, blocks)


def shuffle_gfx950(plane):
    full = padded(plane, 32, 8)
    a, b = full.shape[0] // 32, full.shape[1] // 8
    return full.reshape(a, 2, 16, b, 2, 4).transpose(0, 3, 5, 2, 4, 1).reshape(-1)


def unshuffle_gfx950(data, lines, blocks):
    a, b = -(-lines // 32), -(-blocks // 8)
    full = long_enough(data, a * b * 256)[: a * b * 256].reshape(a, b, 4, 16, 2, 2)
    return full.transpose(0, 5, 3, 1, 4, 2).reshape(a * 32, b * 8)[:lines, :blocks]


def tile_gfx1250(plane):
    full = padded(plane, 32, 4)
    a, b = full.shape[0] // 32, full.shape[1] // 4
    return full.reshape(a, 32, b, 4).transpose(0, 2, 1, 3).reshape(-1)


def tile_8x4(plane):
    full = padded(plane, 8, 4)
    a, b = full.shape[0] // 8, full.shape[1] // 4
    return full.reshape(a, 8, b, 4).transpose(0, 2, 1, 3).reshape(-1)


def words_down(plane):
    full = padded(plane, 4, 4)
    return full.reshape(full.shape[0], -1, 4).transpose(1, 0, 2).reshape(-1)


LAYOUTS = {
    "row-major": lambda plane: plane.reshape(-1),
    "column-major": lambda plane: plane.T.reshape(-1),
    "128x4": swizzle,
    "8x4": tile_8x4,
    "gfx950-32x8": shuffle_gfx950,
    "gfx1250-32x4": tile_gfx1250,
    "mn-major-words": words_down,
}


def read_plane(layout, data, lines, blocks):
    """Undo a layout without its inverse: lay the numbers of the scales out, and see where they go.

    Where no scale lies, every digit is the padding, and that is no number of a scale.
    """
    number = np.arange(lines * blocks).reshape(lines, blocks)
    laid = [LAYOUTS[layout]((number >> s & 0xFF).astype(np.uint8)).astype(int) for s in (0, 8, 16)]
    held = laid[0] | laid[1] << 8 | laid[2] << 16
    plane = np.zeros(lines * blocks, np.uint8)
    inside = held < lines * blocks
    plane[held[inside]] = data[inside]
    return plane.reshape(lines, blocks)


def long_enough(data, size):
    """What a reader that leaves the buffer finds behind it: zeros."""
    return np.concatenate([data, np.zeros(max(0, size - data.size), np.uint8)])
