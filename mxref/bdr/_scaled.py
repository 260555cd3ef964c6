"""Arrays in BDR formats with float32 scales: by blocks along an axis, or one scale for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.bdr._array import BDRArray
from mxref.bdr._walk import pieces
from mxref.kernels import bdr_scaled as kernels
from mxref.relatives.bdr_format import BDRFormat

__all__ = ["decode", "encode"]

_SLAB = 1 << 20
_RUN = 1 << 12
"""Elements of a tensor with one scale that are a group for the kernels."""


def encode(x: NDArray[Any], source: str, made: BDRArray, random: NDArray[np.uint32] | None) -> None:
    """Convert an array and fill `made`."""
    fmt, policy = made.format, made.policy
    if fmt.k1 is None:
        _encode_whole(x, source, made, random)
        return
    size = fmt.k2 if fmt.has_subscales else fmt.k1
    parts = (x, made.codes, made.scales, made.subscales)
    for piece in pieces(*parts, fmt, made.axis, random):
        values = _float32(piece.values)
        amax, poison = kernels.find_amax(values, size, policy, source)
        n = piece.scales.size
        found = kernels.select(amax, poison, fmt, policy, n)
        rest = (piece.codes, found.subscales, piece.random)
        kernels.encode(values, size, found.divisors, fmt, policy, source, *rest)
        piece.scales[...] = found.scales
        piece.codes.reshape(n, fmt.k1)[found.cleared] = 0
        if piece.subscales is not None and found.subscales is not None:
            found.subscales.reshape(n, fmt.k1 // fmt.k2)[found.cleared | found.zero] = 0
            piece.subscales[...] = found.subscales


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return flat numbers as float32: exactly, or float64 rounded to nearest even."""
    if values.dtype == np.float64:
        return kernels.narrow(values)
    if values.dtype == np.float32:
        return values
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _encode_whole(
    x: NDArray[Any], source: str, made: BDRArray, random: NDArray[np.uint32] | None
) -> None:
    """With one scale: the largest magnitude of all pieces first."""
    fmt, policy = made.format, made.policy
    found = [
        kernels.find_amax(_float32(part), _RUN, policy, source) for (part,) in _flat(x.shape, x)
    ]
    amax = max((int(sizes.max(initial=0)) for sizes, _ in found), default=0)
    is_poisoned = np.array([any(bool(poison.any()) for _, poison in found)])
    scale = kernels.select(np.array([amax], np.uint32), is_poisoned, fmt, policy, 1)
    made.scales[...] = scale.scales[0]
    if scale.cleared[0]:
        made.codes[...] = 0
        return
    arrays = (x, made.codes) if random is None else (x, made.codes, random)
    for where, views in _slabs(x.shape, arrays):
        values = _float32(_copied(views[0]))
        divisors = np.full(-(-values.size // _RUN), scale.divisors[0])
        codes = np.empty(values.size, np.uint8)
        drawn = None if random is None else _copied(views[2])
        kernels.encode(values, _RUN, divisors, fmt, policy, source, codes, None, drawn)
        made.codes[where] = codes.reshape(views[1].shape)


def _slabs(
    shape: tuple[int, ...], arrays: tuple[NDArray[Any], ...]
) -> Iterator[tuple[Any, tuple[NDArray[Any], ...]]]:
    for where in inputs.slabs(shape, _SLAB):
        yield where, tuple(array[where] for array in arrays)


def _flat(shape: tuple[int, ...], *arrays: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    for _, views in _slabs(shape, arrays):
        yield tuple(_copied(view) for view in views)


def _copied(view: NDArray[Any]) -> NDArray[Any]:
    """Return a flat array in native byte order; a copy only where it has to be."""
    return np.ascontiguousarray(view, view.dtype.newbyteorder("=")).reshape(-1)


def decode(
    codes: NDArray[np.uint8],
    scales: NDArray[np.float32],
    subscales: NDArray[np.uint8] | None,
    fmt: BDRFormat,
    axis: int,
    values: NDArray[np.float32],
) -> None:
    """Decode to float32."""
    if fmt.k1 is None:
        for where, (part, target) in _slabs(codes.shape, (codes, values)):
            flat = _copied(part)
            each = np.full(-(-flat.size // _RUN), scales, np.float32)
            decoded = np.empty(flat.size, np.float32)
            kernels.decode(each, None, flat, _RUN, fmt, decoded)
            values[where] = decoded.reshape(target.shape)
        return
    size = fmt.k2 if fmt.has_subscales else fmt.k1
    for piece in pieces(values, codes, scales, subscales, fmt, axis, fill=("values",)):
        kernels.decode(piece.scales, piece.subscales, piece.codes, size, fmt, piece.values)
