"""Readers of stored tensors: `mxref.faults.tensors` gives each a name.

Notes
-----
A stored tensor is read in two steps, the codes and the scale codes; a fault replaces one of them,
or both. Where a faulty reader leaves its buffer, it finds zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from mxref.faults.decode import Decoder
from mxref.faults.layout import split_half
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["NIBBLE_READERS", "READERS", "Reader", "dequantize"]

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Stored:
    """A tensor in bytes. *Lines* are what blocks lie on: rows under axis 1, columns under 0."""

    elements: Bytes
    scales: Bytes
    shape: tuple[int, int]
    axis: int
    packing: str
    layout: str
    k: int

    @property
    def lines(self) -> int:
        return self.shape[1 - self.axis]

    @property
    def blocks(self) -> int:
        """Blocks on a line."""
        return -(-self.shape[self.axis] // self.k)

    @property
    def has_nibbles(self) -> bool:
        return self.packing == "nibbles-low-first"


def dequantize(  # noqa: PLR0913, PLR0917  # the signature that all subjects share
    fmt: BlockFormat,
    policy: Policy,
    reader: Reader,
    elements: Bytes,
    scales: Bytes,
    shape: tuple[int, int],
    axis: int,
    packing: str,
    scale_layout: str,
) -> npt.NDArray[np.float32]:
    """Read a tensor and decode it."""
    shape = (int(shape[0]), int(shape[1]))
    flat = np.asarray(elements, np.uint8).ravel(), np.asarray(scales, np.uint8).ravel()
    stored = _Stored(*flat, shape, axis, packing, scale_layout, fmt.block_size)
    # A byte that is no code is read as though it were one.
    own = reader.codes(stored) & np.uint8(fmt.element.code_count - 1)
    codes = np.moveaxis(own, axis, 1)
    values = Decoder(fmt.element, policy).decode(codes, reader.scales(stored))
    return np.ascontiguousarray(np.moveaxis(values, 1, axis))


def _fetch(buffer: Bytes, places: Indices) -> Bytes:
    """Bytes at these places; zeros outside the buffer."""
    inside = (places >= 0) & (places < buffer.size)
    return np.where(inside, buffer[np.where(inside, places, 0)], 0).astype(np.uint8)


def _nibbles(data: Bytes) -> Bytes:
    """Codes of packed bytes, the low half first."""
    return np.stack([data & 0xF, data >> 4], -1).ravel()


def _unpacked(s: _Stored) -> Bytes:
    return _nibbles(s.elements) if s.has_nibbles else s.elements


def _right_codes(s: _Stored) -> Bytes:
    return _unpacked(s).reshape(s.shape)


def _row_major(line: Indices, block: Indices, s: _Stored) -> Indices:
    return line * s.blocks + block if s.axis == 1 else block * s.lines + line


def _tiled(line: Indices, block: Indices, s: _Stored) -> Indices:
    """The tiles of 128 lines by 4 blocks."""
    tile = line // 128 * -(-s.blocks // 4) + block // 4
    return tile * 512 + line % 32 * 16 + line % 128 // 32 * 4 + block % 4


def _place(line: Indices, block: Indices, s: _Stored) -> Indices:
    return (_tiled if s.layout == "128x4" else _row_major)(line, block, s)


_Codes = Callable[[_Stored], Bytes]
_Address = Callable[[Indices, Indices, _Stored], Indices]


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """How codes and scale codes are taken out of a stored tensor."""

    codes: _Codes = _right_codes
    address: _Address = _place
    other: _Codes | None = None  # gives the scale codes, where no address says them

    def scales(self, s: _Stored) -> Bytes:
        """The scale code of each element, one row a line."""
        if self.other is not None:
            return self.other(s)
        line, place = np.indices((s.lines, s.shape[s.axis]))
        return _fetch(s.scales, self.address(line, place // s.k, s))


# Codes in the wrong places.


def _moved(permutation: Callable[[int], Indices]) -> _Codes:
    """Codes permuted in each run of 32 of the packed order; those in bytes are right."""

    def codes(s: _Stored) -> Bytes:
        found = _unpacked(s)
        if s.has_nibbles:
            whole = found.size // s.k * s.k  # what is left over stays where it is
            runs = found[:whole].reshape(-1, s.k)[:, permutation(s.k)]
            found = np.concatenate([runs.ravel(), found[whole:]])
        return found.reshape(s.shape)

    return codes


def _unsplit(block_size: int) -> Indices:
    return np.argsort(split_half(block_size))


def _down_columns(s: _Stored) -> Bytes:
    """L9: two codes a byte taken for neighbours in a column."""
    if not s.has_nibbles:
        return _right_codes(s)
    row, column = np.indices(s.shape)
    data = _fetch(s.elements, row // 2 * s.shape[1] + column)
    return np.where(row % 2, data >> 4, data & 0xF).astype(np.uint8)


def _pitched(multiple: int) -> _Codes:
    """Rows taken to start at multiples of some length."""

    def codes(s: _Stored) -> Bytes:
        row, column = np.indices(s.shape)
        pitch = -(-s.shape[1] // multiple) * multiple
        return _fetch(_unpacked(s), row * pitch + column)

    return codes


def _column_major(s: _Stored) -> Bytes:
    row, column = np.indices(s.shape)
    return _fetch(_unpacked(s), column * s.shape[0] + row)


def _shuffled(width: int) -> _Codes:
    """Elements in tiles of 16 rows by some columns, one tile after the other."""

    def codes(s: _Stored) -> Bytes:
        row, column = np.indices(s.shape)
        tile = row // 16 * -(-s.shape[1] // width) + column // width
        return _fetch(_unpacked(s), tile * 16 * width + row % 16 * width + column % width)

    return codes


# Scale codes from the wrong places.


def _only(layout: str, wrong: _Address) -> _Address:
    """Wrong under one layout, right under the other."""
    return lambda line, block, s: (wrong if s.layout == layout else _place)(line, block, s)


def _twice(line: Indices, block: Indices, s: _Stored) -> Indices:
    """The tiling of the padded plane applied to its own result."""
    across = -(-s.blocks // 4) * 4
    once = _tiled(line, block, s)
    return _tiled(once // across, once % across, s)


def _unpadded_lines(line: Indices, block: Indices, s: _Stored) -> Indices:
    """A tile takes as many bytes as it has scales in lines that exist."""
    tile = line // 128 * -(-s.blocks // 4) + block // 4
    size = 4 * min(s.lines, 128)
    return tile * size + line % 32 * 16 + line % 128 // 32 * 4 + block % 4


def _unpadded_blocks(line: Indices, block: Indices, s: _Stored) -> Indices:
    """Tiles across counted without the last, partial one."""
    tile = line // 128 * (s.blocks // 4) + block // 4
    return tile * 512 + line % 32 * 16 + line % 128 // 32 * 4 + block % 4


def _narrow_words(line: Indices, block: Indices, s: _Stored) -> Indices:
    """Words of as many bytes as there are blocks, where there are fewer than four."""
    width = min(s.blocks, 4)
    tile = line // 128 * -(-s.blocks // 4) + block // 4
    return tile * 128 * width + (line % 32 * 4 + line % 128 // 32) * width + block % 4


def _padded_rows(line: Indices, block: Indices, s: _Stored) -> Indices:
    """Rows of the plane taken to start at multiples of four scales."""
    row, column = (line, block) if s.axis == 1 else (block, line)
    width = s.blocks if s.axis == 1 else s.lines
    return row * (-(-width // 4) * 4) + column


def _tiles_down(line: Indices, block: Indices, s: _Stored) -> Indices:
    """Tiles that follow each other along the lines first."""
    tile = block // 4 * -(-s.lines // 128) + line // 128
    return tile * 512 + line % 32 * 16 + line % 128 // 32 * 4 + block % 4


def _in_word(byte: Callable[[Indices], Indices]) -> _Address:
    """Another byte of the word of four in which the scale lies."""

    def address(line: Indices, block: Indices, s: _Stored) -> Indices:
        place = _place(line, block, s)
        return place // 4 * 4 + byte(place % 4)

    return address


def _turned(byte: Indices, *, by: int) -> Indices:
    return (byte + by) % 4


def _other_lane(line: Indices, block: Indices, s: _Stored) -> Indices:
    """Lanes 0 to 2 of every 32 lines read the scales of the lines behind them."""
    return _place(line + (line % 32 < 3), block, s)


def _tiles_32x8(line: Indices, block: Indices, s: _Stored) -> Indices:
    """Tiles of 32 lines by 8 blocks: byte pairs of lines i and i + 16, then of blocks j, j + 4."""
    tile = line // 32 * -(-s.blocks // 8) + block // 8
    return tile * 256 + block % 4 * 64 + line % 16 * 4 + block // 4 % 2 * 2 + line // 16 % 2


def _transposed(line: Indices, block: Indices, s: _Stored) -> Indices:
    return block * s.lines + line if s.axis == 1 else line * s.blocks + block


def _along_other_axis(s: _Stored) -> Bytes:
    """Blocks taken to lie along the other axis, their scales in a plane of that shape."""
    row, column = np.indices(s.shape)
    if s.axis == 1:
        places = row // s.k * s.shape[1] + column
    else:
        places = row * -(-s.shape[1] // s.k) + column // s.k
    return np.moveaxis(_fetch(s.scales, places), s.axis, 1)


def _records(*, scale_first: bool) -> tuple[_Codes, _Codes]:
    """The two buffers, one after the other, read as records of a scale and its codes."""

    def parts(s: _Stored) -> tuple[Bytes, Bytes]:
        stream = np.concatenate([s.elements, s.scales])
        size = s.k // 2 if s.has_nibbles else s.k
        record = np.arange(s.lines * s.blocks)[:, None] * (size + 1)
        data = _fetch(stream, record + np.arange(size) + scale_first)
        scales = _fetch(stream, record[:, 0] + (0 if scale_first else size))
        codes = _nibbles(data).reshape(-1, s.k) if s.has_nibbles else data
        return codes, scales

    def codes(s: _Stored) -> Bytes:
        along = s.shape[s.axis]
        lines = parts(s)[0].reshape(s.lines, -1)[:, :along]
        return lines if s.axis == 1 else lines.T

    def scales(s: _Stored) -> Bytes:
        spread = np.repeat(parts(s)[1].reshape(s.lines, s.blocks), s.k, axis=1)
        return spread[:, : s.shape[s.axis]]

    return codes, scales


def _record_reader(*, scale_first: bool) -> Reader:
    codes, scales = _records(scale_first=scale_first)
    return Reader(codes=codes, other=scales)


_Readers = tuple[tuple[str, str, Reader], ...]

READERS: _Readers = (
    ("L3", "not undone", Reader(address=_only("128x4", _row_major))),
    ("L3", "applied where there is none", Reader(address=_only("row-major", _tiled))),
    ("L3", "applied twice", Reader(address=_only("128x4", _twice))),
    ("L4", "tiles without padding lines", Reader(address=_only("128x4", _unpadded_lines))),
    ("L4", "the partial tile not counted", Reader(address=_only("128x4", _unpadded_blocks))),
    ("L4", "words of fewer than four", Reader(address=_only("128x4", _narrow_words))),
    ("L4", "scale rows padded to four", Reader(address=_only("row-major", _padded_rows))),
    ("L4", "code rows padded to 128", Reader(codes=_pitched(128))),
    *(
        ("L5", f"bytes of a word moved by {by}", Reader(address=_in_word(partial(_turned, by=by))))
        for by in (1, 2, 3)
    ),
    ("L5", "bytes of a word reversed", Reader(address=_in_word(lambda byte: 3 - byte))),
    ("L5", "byte 0 of every word", Reader(address=_in_word(lambda byte: byte * 0))),
    ("L5", "wrong lanes of 32", Reader(address=_other_lane)),
    ("L6", "scales in tiles of 32 x 8", Reader(address=_tiles_32x8)),
    ("L6", "elements in tiles of 16 x 16", Reader(codes=_shuffled(16))),
    ("L6", "elements in tiles of 16 x 4", Reader(codes=_shuffled(4))),
    ("L7", "records, the scale first", _record_reader(scale_first=True)),
    ("L7", "records, the scale last", _record_reader(scale_first=False)),
    ("L8", "blocks along the other axis", Reader(other=_along_other_axis)),
    ("L8", "scale plane transposed", Reader(address=_only("row-major", _transposed))),
    ("L8", "elements transposed", Reader(codes=_column_major)),
)

NIBBLE_READERS: _Readers = (
    ("L1", "", Reader(codes=_moved(lambda k: np.arange(k) ^ 1))),
    ("L2", "linear order read as split", Reader(codes=_moved(_unsplit))),
    ("L2", "split order read as linear", Reader(codes=_moved(split_half))),
    ("L9", "unpacked down the columns", Reader(codes=_down_columns)),
    # Needs more than one tile both ways: only half a byte an element pays for such a tensor.
    ("L6", "tiles one below the other", Reader(address=_only("128x4", _tiles_down))),
)
