"""Where the scale codes of a convention lie: row by row, padded, or in tiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.layouts.scale_orders import pack_scales, unpack_scales

__all__ = ["PADDED_128X4", "ROW_MAJOR", "TILES_32X16", "TILES_128X4", "ScalePlane"]

Shape = tuple[int, ...]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ScalePlane:
    """An arrangement of scale codes.

    Attributes
    ----------
    shape : callable
        ``shape(lines, blocks)`` is the stored shape for the axes `lines` and `blocks` of a line.
    put, take : callable
        ``put(scales)`` and ``take(stored, lines, blocks)``.
    row_step : int
        As in `Layout`.
    """

    shape: Callable[[Shape, int], Shape]
    put: Callable[[Bytes], Bytes]
    take: Callable[[Bytes, Shape, int], Bytes]
    row_step: int = 1


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _plain_take(stored: Bytes, lines: Shape, blocks: int) -> Bytes:
    return stored.reshape(*lines, blocks)


ROW_MAJOR = ScalePlane(lambda lines, blocks: (*lines, blocks), np.ascontiguousarray, _plain_take)


def _padded_shape(lines: Shape, blocks: int) -> Shape:
    return _up(math.prod(lines), 128), _up(blocks, 4)


def _padded_put(scales: Bytes) -> Bytes:
    *lines, blocks = scales.shape
    stored = np.zeros(_padded_shape(tuple(lines), blocks), np.uint8)
    flat = scales.reshape(math.prod(lines), blocks)
    stored[: len(flat), :blocks] = flat
    return stored


def _padded_take(stored: Bytes, lines: Shape, blocks: int) -> Bytes:
    rows = stored.reshape(_padded_shape(lines, blocks))[: math.prod(lines), :blocks]
    return np.ascontiguousarray(rows).reshape(*lines, blocks)


PADDED_128X4 = ScalePlane(_padded_shape, _padded_put, _padded_take, 128)


def _tiles_shape(lines: Shape, blocks: int) -> Shape:
    # Matrices are tiled as one tall matrix, and the result is then cut into as many pieces.
    rows = lines[-1] if lines else 1
    if len(lines) > 1 and rows % 128:
        raise ValueError(
            f"{math.prod(lines[:-1])} matrices of {rows} rows: tiles of 128 rows would hold rows "
            f"of two of them; pad each to {_up(rows, 128)} rows"
        )
    return (*lines[:-1], _up(rows, 128) // 4, _up(blocks, 4) * 4)


def _tiles_put(scales: Bytes) -> Bytes:
    *lines, blocks = scales.shape
    shape = _tiles_shape(tuple(lines), blocks)
    return pack_scales(scales if lines else scales[None], "128x4").reshape(shape)


def _tiles_take(stored: Bytes, lines: Shape, blocks: int) -> Bytes:
    rows = lines[-1] if lines else 1
    count = math.prod(lines[:-1])
    plain = unpack_scales(
        stored.reshape(count, _up(rows, 128) * _up(blocks, 4)), "128x4", (rows, blocks)
    )
    return plain.reshape(*lines, blocks)


TILES_32X16 = ScalePlane(_tiles_shape, _tiles_put, _tiles_take, 128)


def _flat_shape(lines: Shape, blocks: int) -> Shape:
    if len(lines) > 1:
        raise ValueError(f"tensors of two axes are held, got one with {len(lines) + 1}")
    return _padded_shape(lines, blocks)


def _flat_put(scales: Bytes) -> Bytes:
    *lines, blocks = scales.shape
    return _tiles_put(scales).reshape(_flat_shape(tuple(lines), blocks))


# The same tiles; the shape is that of the padded plane.
TILES_128X4 = ScalePlane(_flat_shape, _flat_put, _tiles_take, 128)
