"""How arrays of any layout reach the kernels, which read blocks that lie one after the other.

Where memory already lies so, nothing is copied. Otherwise pieces of bounded size are copied,
converted and put back, so that memory stays bounded whatever the array.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.formats import BlockFormat
from mxref.kernels import block, composed
from mxref.policy import Policy

__all__ = ["SLAB", "decode_blocks", "encode_blocks", "flat_pieces", "storage_of"]

SLAB = 1 << 20
"""Elements copied at a time: enough for several threads, 9 MB at most for float64."""


def encode_blocks(  # noqa: PLR0913  # the random bits are two arrays more
    x: NDArray[Any],
    source: str,
    fmt: BlockFormat,
    axis: int,
    policy: Policy,
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    *,
    given: bool,
    random: NDArray[np.uint32] | None = None,
    scale_random: NDArray[np.uint32] | None = None,
) -> None:
    """Convert blocks: in place where memory lies as kernels read it, else slab by slab.

    Parameters
    ----------
    x : array of real numbers, any layout
    source : str
        Name of its type.
    axis : int
        Blocked axis, counted from the front. A ragged last block is completed with zeros.
    scales, codes : arrays of uint8
        Written; `scales` is read instead if `given`.
    random : array of uint32, shape of `x`, or None
        R for each element, under a stochastic rounding.
    scale_random : array of uint32, shape of `scales`, or None
        R for each block, under the stochastic rule.
    """
    k = fmt.block_size
    storage = storage_of(source)
    inner = math.prod(x.shape[axis + 1 :])
    kernel = block.encode_with_scale if given else block.quantize
    in_two_passes = random is not None or (composed.is_composed(policy) and not given)

    def convert(words: NDArray[Any], to: NDArray[Any], into: NDArray[Any], *drawn: Any) -> None:
        arguments = (words.reshape(-1).view(storage), fmt, policy, source)
        flat = (to.reshape(-1), into.reshape(-1))
        if not in_two_passes:
            kernel(*arguments, *flat)
        elif given:
            composed.encode_with_scale(*arguments, *flat, drawn[0])
        else:
            composed.quantize(*arguments, *flat, *drawn)

    if _is_plain(x, scales, codes) and _is_direct(x.shape[axis], k, inner):
        if not in_two_passes:
            words = x.reshape(-1).view(storage)
            kernel(words, fmt, policy, source, scales.reshape(-1), codes.reshape(-1), inner)
            return
        if inner == 1 and random is None and scale_random is None:
            convert(x, scales, codes, None, None)  # a search keeps its intermediates small itself
            return
    moved, moved_codes, moved_scales = (np.moveaxis(a, axis, -1) for a in (x, codes, scales))
    # Where nothing is drawn, codes and scales stand in for the bits and nobody looks at them.
    bits = moved_codes if random is None else np.moveaxis(random, axis, -1)
    scale_bits = moved_scales if scale_random is None else np.moveaxis(scale_random, axis, -1)
    parts = _split(moved, moved_codes, moved_scales, k)
    drawn = _split(bits, moved_codes, scale_bits, k)
    for (values, targets, shared), (more, _, one_each) in zip(parts, drawn, strict=True):
        for piece in inputs.slabs(shared.shape, max(1, SLAB // k)):
            words = _filled(values[piece], k, x.dtype.newbyteorder("="))
            piece_scales = np.ascontiguousarray(shared[piece])
            piece_codes = np.empty(words.shape, np.uint8)
            each = None if random is None else _filled(more[piece], k, np.uint32).reshape(-1)
            block_each = None if scale_random is None else one_each[piece].reshape(-1)
            convert(words, piece_scales, piece_codes, each, block_each)
            targets[piece] = piece_codes[..., : values.shape[-1]]
            if not given:
                shared[piece] = piece_scales


def _filled(values: NDArray[Any], k: int, dtype: Any) -> NDArray[Any]:
    """Copy blocks, a short one completed with zeros."""
    whole = np.zeros((*values.shape[:-1], k), dtype)
    whole[..., : values.shape[-1]] = values
    return whole


def decode_blocks(
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    fmt: BlockFormat,
    axis: int,
    policy: Policy,
    values: NDArray[np.float32],
) -> None:
    """Decode blocks into `values`, an array of float32 in any layout."""
    k = fmt.block_size
    inner = math.prod(codes.shape[axis + 1 :])
    if _is_plain(values, codes, scales) and _is_direct(codes.shape[axis], k, inner):
        bits = values.reshape(-1).view(np.uint32)
        block.dequantize(scales.reshape(-1), codes.reshape(-1), fmt, policy, bits, inner)
        return
    moved, moved_codes, moved_scales = (np.moveaxis(a, axis, -1) for a in (values, codes, scales))
    for targets, given, shared in _split(moved, moved_codes, moved_scales, k):
        length = given.shape[-1]
        for piece in inputs.slabs(shared.shape, max(1, SLAB // k)):
            piece_codes = np.zeros((*shared[piece].shape, k), np.uint8)
            piece_codes[..., :length] = given[piece]
            bits = np.empty(piece_codes.shape, np.uint32)
            flat = (np.ascontiguousarray(shared[piece]).reshape(-1), piece_codes.reshape(-1))
            block.dequantize(*flat, fmt, policy, bits.reshape(-1))
            targets[piece] = bits.view(np.float32)[..., :length]


def flat_pieces(x: NDArray[Any], out: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield pairs of flat contiguous arrays: the whole, or slab by slab through copies."""
    if _is_plain(x, out):
        yield x.reshape(-1), out.reshape(-1)
        return
    for piece in inputs.slabs(x.shape, SLAB):
        flat = x[piece].astype(x.dtype.newbyteorder("="), order="C").reshape(-1)
        target = np.empty(flat.shape, out.dtype)
        yield flat, target
        out[piece] = target.reshape(x[piece].shape)


def storage_of(source: str) -> str:
    """Return the unsigned integer type that holds the bits of an input type."""
    return {"float32": "u4", "float64": "u8"}.get(source, "u2")


def _is_plain(*arrays: NDArray[Any]) -> bool:
    """Whether kernels can read and write the arrays where they lie."""
    return all(a.flags.c_contiguous and a.flags.aligned and a.dtype.isnative for a in arrays)


def _is_direct(length: int, k: int, inner: int) -> bool:
    """Whether kernels read blocks along an axis of this length, with `inner` columns behind it."""
    return length % k == 0 and (inner == 1 or inner >= block.MIN_COLUMNS)


def _split(
    x: NDArray[Any], codes: NDArray[Any], scales: NDArray[Any], k: int
) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """View the last axis as (blocks, k): whole blocks, then the ragged one if there is one."""
    whole = x.shape[-1] // k
    cut = whole * k
    lead = x.shape[:-1]

    def blocks(a: NDArray[Any]) -> NDArray[Any]:
        return a[..., :cut].reshape(*lead, whole, k)  # splitting an axis never copies

    parts = [(blocks(x), blocks(codes), scales[..., :whole])]
    if cut < x.shape[-1]:
        tail = np.s_[..., np.newaxis, cut:]
        parts.append((x[tail], codes[tail], scales[..., whole:]))
    return parts
