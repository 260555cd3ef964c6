"""Quantizers of tensors: `mxref.faults.tensors` gives each a name.

Notes
-----
A tensor is cut into blocks along its *lines* (rows under axis 1, columns under axis 0), each block
is measured, and scales and codes are handed out; a fault replaces one of these steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.encoder import Encoder
from mxref.faults.scale import Selector
from mxref.faults.stats import block_stats
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["QUANTIZERS", "Quantizer", "quantize"]

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """A tensor to be quantized, its lines as rows, cut into blocks.

    Attributes
    ----------
    x : ndarray, shape (lines, length)
        The numbers.
    blocks : ndarray, shape (lines, blocks, k)
        The same, with zeros behind them.
    """

    x: npt.NDArray[Any]
    blocks: npt.NDArray[Any]


def _cut(x: npt.NDArray[Any], k: int) -> npt.NDArray[Any]:
    """Lines cut into blocks, the last one completed with zeros."""
    count = -(-x.shape[-1] // k)
    padded = np.zeros((*x.shape[:-1], count * k), x.dtype)
    padded[..., : x.shape[-1]] = x
    return padded.reshape(*x.shape[:-1], count, k)


_Measured = Callable[[_Lines], npt.NDArray[Any]]
_Spoiled = Callable[[Bytes, Bytes, int], tuple[Bytes, Bytes]]


@dataclass(frozen=True, slots=True, eq=False)
class Quantizer:
    """How a tensor is cut, measured, and handed out.

    Attributes
    ----------
    measured : callable
        Gives the numbers over which each amax is taken, shape (lines, blocks, any).
    block_size : callable
        Gives the length of a block from k and the length of a line.
    turned : bool
        Whether blocks lie along the other axis.
    is_flat : bool
        Whether the rows are one line.
    takes_tails : bool
        Whether a partial block is taken, whatever the policy says.
    spoiled : callable
        Changes the scale plane and the codes at the end.
    """

    measured: _Measured = lambda lines: lines.blocks
    block_size: Callable[[int, int], int] = lambda k, _: k
    turned: bool = False
    is_flat: bool = False
    takes_tails: bool = False
    spoiled: _Spoiled = lambda scales, codes, _: (scales, codes)


def quantize(
    fmt: BlockFormat, policy: Policy, quantizer: Quantizer, x: npt.NDArray[Any], axis: int
) -> tuple[Bytes, Bytes]:
    """Cut, measure, select and encode; gives the scale plane and the codes."""
    axis = axis % 2
    has_tail = x.shape[axis] % fmt.block_size != 0
    if has_tail and policy.block_tail == "forbid" and not quantizer.takes_tails:
        raise ValueError(
            f"block_tail=forbid refuses a length of {x.shape[axis]}: a block of {fmt.name} has "
            f"{fmt.block_size} elements; pad with zeros, or choose block_tail=zero-pad"
        )
    if quantizer.turned:
        axis = 1 - axis
    turned = np.moveaxis(x, axis, 1)
    rows = turned.reshape(1, -1) if quantizer.is_flat else turned
    k = quantizer.block_size(fmt.block_size, rows.shape[1])
    lines = _Lines(rows, _cut(rows, k))
    scales = Selector(fmt, policy).select(block_stats(quantizer.measured(lines)))
    codes = Encoder(fmt.element, policy).encode(lines.blocks, scales[..., None])
    codes = codes.reshape(rows.shape[0], -1)[:, : rows.shape[1]].reshape(turned.shape)
    plane, codes = np.moveaxis(scales, 1, axis), np.moveaxis(codes, 1, axis)
    return quantizer.spoiled(np.ascontiguousarray(plane), np.ascontiguousarray(codes), axis)


# amax over the wrong elements.


def _part(start: int, stop: int) -> _Measured:
    return lambda lines: lines.blocks[..., start:stop]


def _neighbour(by: int) -> _Measured:
    """The block before or behind on the line; the one at the end counts for itself."""

    def measured(lines: _Lines) -> npt.NDArray[Any]:
        last = lines.blocks.shape[1] - 1
        return lines.blocks[:, np.clip(np.arange(last + 1) + by, 0, last)]

    return measured


def _pair(lines: _Lines) -> npt.NDArray[Any]:
    """The block and the one with which it forms a block of 64."""
    other = np.minimum(np.arange(lines.blocks.shape[1]) ^ 1, lines.blocks.shape[1] - 1)
    return np.concatenate([lines.blocks, lines.blocks[:, other]], -1)


def _next_line(lines: _Lines) -> npt.NDArray[Any]:
    """The block on the line behind; the last line counts for itself."""
    return np.concatenate([lines.blocks[1:], lines.blocks[-1:]])


def _moved_by(places: int) -> _Measured:
    """Blocks that begin one place early or late on their line."""

    def measured(lines: _Lines) -> npt.NDArray[Any]:
        moved = np.zeros_like(lines.x)
        if places > 0:
            moved[:, :-places] = lines.x[:, places:]
        else:
            moved[:, -places:] = lines.x[:, :places]
        return _cut(moved, lines.blocks.shape[2])

    return measured


def _without_tail(lines: _Lines) -> npt.NDArray[Any]:
    """The elements of a partial block do not count."""
    k = lines.blocks.shape[2]
    full = lines.x.copy()
    if lines.x.shape[1] % k:
        full[:, lines.x.shape[1] // k * k :] = 0
    return _cut(full, k)


def _tail_reads_on(lines: _Lines) -> npt.NDArray[Any]:
    """A partial block is measured with what follows it in memory: the next line."""
    count, k = lines.blocks.shape[1:]
    beyond = np.zeros((lines.x.shape[0], count * k - lines.x.shape[1]), lines.x.dtype)
    follows = lines.x[1:, : beyond.shape[1]]
    beyond[:-1, : follows.shape[1]] = follows
    return np.concatenate([lines.x, beyond], -1).reshape(-1, count, k)


# Right numbers, handed out wrongly.


def _dropped_tail(scales: Bytes, codes: Bytes, axis: int) -> tuple[Bytes, Bytes]:
    """L4: only whole blocks are written; the codes behind them stay zero."""
    length = codes.shape[axis]
    whole = length // 32
    if whole * 32 == length:
        return scales, codes
    kept = np.where(np.arange(length) < whole * 32, 1, 0).astype(np.uint8)
    return scales.take(range(whole), axis), codes * (kept[:, None] if axis == 0 else kept)


def _kept_padding(scales: Bytes, codes: Bytes, axis: int) -> tuple[Bytes, Bytes]:
    """L4: the codes of the padding are handed out, too."""
    missing = -codes.shape[axis] % 32
    width = [(0, 0), (0, 0)]
    width[axis] = (0, missing)
    return scales, np.pad(codes, width)


def _leaking(scales: Bytes, codes: Bytes, _: int) -> tuple[Bytes, Bytes]:
    """D16: scales as float32 bits, four exponents or-ed into a word, mantissa bits included."""
    own = scales.ravel().astype(np.uint64)
    floats = np.zeros(-(-own.size // 4) * 4, np.uint64)
    floats[: own.size] = np.where(own == 0, 0x00400000, own << 23)
    first, second, third, fourth = floats.reshape(-1, 4).T
    words = first >> 23 | second >> 15 | third >> 7 | fourth << 1
    four = [words >> 8 * byte & 0xFF for byte in range(4)]
    packed = np.stack(four, -1).ravel()[: scales.size]
    return packed.reshape(scales.shape).astype(np.uint8), codes


def _turned(byte: Indices, *, by: int) -> Indices:
    return (byte + by) % 4


def _words(byte: Callable[[Indices], Indices]) -> _Spoiled:
    """L5: the bytes of each word of four in another order."""

    def spoiled(scales: Bytes, codes: Bytes, _: int) -> tuple[Bytes, Bytes]:
        place = np.arange(scales.size)
        full = np.zeros(-(-scales.size // 4) * 4, np.uint8)
        full[: scales.size] = scales.ravel()
        found = full[place // 4 * 4 + byte(place % 4)]
        return found.reshape(scales.shape), codes

    return spoiled


def _as_planes(scales: Bytes, codes: Bytes, axis: int) -> tuple[Bytes, Bytes]:
    """L7: records of a scale and its codes, cut up as though they were two planes."""
    k = 32
    data = _cut(np.moveaxis(codes, axis, 1), k)
    plane = np.moveaxis(scales, axis, 1)[..., None]
    stream = np.concatenate([plane, data], -1).ravel()
    found = stream[codes.size : codes.size + scales.size].reshape(scales.shape)
    return found, stream[: codes.size].reshape(codes.shape)


def _transposed_plane(scales: Bytes, codes: Bytes, _: int) -> tuple[Bytes, Bytes]:
    return np.ascontiguousarray(scales.T).reshape(scales.shape), codes


def _transposed_codes(scales: Bytes, codes: Bytes, _: int) -> tuple[Bytes, Bytes]:
    return scales, np.ascontiguousarray(codes.T).reshape(codes.shape)


def _measured(measured: _Measured, *, takes_tails: bool = False) -> Quantizer:
    return Quantizer(measured=measured, takes_tails=takes_tails)


def _of_size(size: int) -> Quantizer:
    return Quantizer(block_size=lambda *_: size, takes_tails=True)


QUANTIZERS: tuple[tuple[str, str, Quantizer], ...] = (
    ("S15", "the first 16 elements", _measured(_part(0, 16))),
    ("S15", "the last 16 elements", _measured(_part(16, 32))),
    ("S15", "all but the first element", _measured(_part(1, 32))),
    ("S15", "all but the last element", _measured(_part(0, 31))),
    ("S15", "the block before", _measured(_neighbour(-1))),
    ("S15", "the block behind", _measured(_neighbour(1))),
    ("S15", "two neighbouring blocks", _measured(_pair)),
    ("S15", "the block on the next line", _measured(_next_line)),
    ("S15", "blocks one element late", _measured(_moved_by(1))),
    ("S15", "blocks one element early", _measured(_moved_by(-1))),
    ("S15", "blocks go on in the next line", Quantizer(is_flat=True, takes_tails=True)),
    ("S15", "blocks of 16", _of_size(16)),
    ("S15", "blocks of 64", _of_size(64)),
    (
        "S15",
        "the length divided by the number of blocks",
        Quantizer(block_size=lambda k, length: -(-length // -(-length // k)), takes_tails=True),
    ),
    ("S15", "all but the tail", _measured(_without_tail, takes_tails=True)),
    ("S15", "a tail and what follows it", _measured(_tail_reads_on, takes_tails=True)),
    ("L4", "the tail dropped", Quantizer(takes_tails=True, spoiled=_dropped_tail)),
    ("L4", "the padding handed out", Quantizer(takes_tails=True, spoiled=_kept_padding)),
    *(
        ("L5", f"bytes of a word moved by {by}", Quantizer(spoiled=_words(partial(_turned, by=by))))
        for by in (1, 2, 3)
    ),
    ("L5", "bytes of a word reversed", Quantizer(spoiled=_words(lambda byte: 3 - byte))),
    ("L5", "byte 0 of every word", Quantizer(spoiled=_words(lambda byte: byte * 0))),
    ("L7", "records cut up as planes", Quantizer(spoiled=_as_planes)),
    ("L8", "blocks along the other axis", Quantizer(turned=True, takes_tails=True)),
    ("L8", "scale plane transposed", Quantizer(spoiled=_transposed_plane)),
    ("L8", "elements transposed", Quantizer(spoiled=_transposed_codes)),
    ("D16", "", Quantizer(spoiled=_leaking)),
)
