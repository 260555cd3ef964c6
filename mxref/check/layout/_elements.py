"""Where element codes may lie: every packing in use, and what mistakes make of it.

A candidate is a list of the elements in the order in which they are packed, cut into lines; what
packs them; and what happens to the bytes afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat
from mxref.layouts.packings import PACKINGS, Packing, pack_codes

__all__ = ["Elements", "element_candidates", "packings_of"]

Bytes = NDArray[np.uint8]
Order = Callable[[NDArray[np.int64]], NDArray[np.int64]]
After = Callable[[Bytes], Bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """One way in which the elements of a tensor may be packed.

    Attributes
    ----------
    name : str
    fault : str
        What it is where another was claimed; empty for a packing in use.
    packing : Packing
    order : callable
        From the numbers of the elements, shape (rows, columns), to lines of them; -1 for nothing.
    after : callable
        What is done with the packed lines.
    source : str
    """

    name: str
    fault: str
    packing: Packing
    order: Order
    after: After
    source: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether bytes stay as they were packed."""
        return self.after is _as_is

    def written(self, codes: Bytes) -> Bytes:
        """The bytes that codes become."""
        lines = self._lines(codes.shape)
        taken = np.where(lines >= 0, codes.reshape(-1)[np.maximum(lines, 0)], np.uint8(0))
        return self._stored(taken)

    def mask(self, shape: tuple[int, ...], bits: int) -> Bytes:
        """Which of those bits come from codes: what padding holds is not judged."""
        lines = self._lines(shape)
        full = (1 << bits) - 1 if self.packing.bits < 8 else 0xFF
        return self._stored(np.where(lines >= 0, np.uint8(full), np.uint8(0)))

    def _lines(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        return self.order(np.arange(shape[0] * shape[1]).reshape(shape))

    def _stored(self, lines: Bytes) -> Bytes:
        packed = pack_codes(np.ascontiguousarray(lines), self.packing)
        return np.ascontiguousarray(self.after(packed)).reshape(-1)


def packings_of(fmt: BlockFormat) -> list[Packing]:
    """Packings that hold the codes of a format.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [packing.name for packing in packings_of(block_format("mxfp6_e2m3"))]
    ['bytes', 'bytes-high', 'fp6-dense', 'fp6-padded', 'fp6-gfx950']
    """
    return [p for p in PACKINGS.values() if p.bits in (fmt.element.bits, 8)]


def element_candidates(fmt: BlockFormat, claimed: Packing | None) -> Iterator[Elements]:
    """Every candidate, what was claimed first, then what is in use, then mistakes."""
    known = sorted(packings_of(fmt), key=lambda packing: packing is not claimed)
    for packing in known:
        yield Elements(packing.name, "", packing, _rows, _as_is, packing.used_by)
    for packing in known:
        for order, what, fault in _ORDERS:
            yield Elements(f"{packing.name}, {what}", fault, packing, order, _as_is)
        for after, what, fault in _AFTER:
            yield Elements(f"{packing.name}, {what}", fault, packing, _rows, after)
        if packing.group > 1:
            down = f"{packing.name}, packed down the columns"
            yield Elements(down, "L9", packing, np.transpose, np.transpose)


# --- orders of the elements -------------------------------------------------------------------


def _rows(index: NDArray[np.int64]) -> NDArray[np.int64]:
    return index


def _one_line(index: NDArray[np.int64]) -> NDArray[np.int64]:
    return index.reshape(1, -1)


def _padded(multiple: int) -> Order:
    return lambda index: np.pad(
        index, ((0, 0), (0, -index.shape[1] % multiple)), constant_values=-1
    )


def _shifted(by: int) -> Order:
    """Each code `by` places further on; the first places, or the last, hold something else."""

    def order(index: NDArray[np.int64]) -> NDArray[np.int64]:
        flat = np.full(index.size, -1, np.int64)
        if by > 0:
            flat[by:] = index.reshape(-1)[:-by]
        else:
            flat[:by] = index.reshape(-1)[-by:]
        return flat.reshape(index.shape)

    return order


def _tiles(high: int, wide: int) -> Order:
    def order(index: NDArray[np.int64]) -> NDArray[np.int64]:
        rows, columns = index.shape
        full = np.pad(index, ((0, -rows % high), (0, -columns % wide)), constant_values=-1)
        split = full.reshape(full.shape[0] // high, high, -1, wide)
        return split.transpose(0, 2, 1, 3).reshape(1, -1)

    return order


_ORDERS: tuple[tuple[Order, str, str], ...] = (
    (np.transpose, "of the transposed tensor", "L8"),
    (_one_line, "rows without their ends", "L4"),
    *((_padded(n), f"rows padded to {n} codes", "L4") for n in (16, 32, 64, 128, 256)),
    *(
        (_tiles(high, wide), f"in tiles of {high} rows by {wide} columns", "L6")
        for high, wide in ((16, 16), (16, 4), (16, 32), (32, 16), (16, 64), (16, 128))
    ),
    (_shifted(1), "one code too far", "L4"),
    (_shifted(-1), "one code too early", "L4"),
)


# --- what happens to the bytes ----------------------------------------------------------------


def _as_is(packed: Bytes) -> Bytes:
    return packed


def _reversed_words(size: int) -> After:
    def after(packed: Bytes) -> Bytes:
        flat = packed.reshape(-1)
        whole = flat.size // size * size
        turned = flat[:whole].reshape(-1, size)[:, ::-1].reshape(-1)
        return np.concatenate([turned, flat[whole:]])

    return after


def _reversed_bits(packed: Bytes) -> Bytes:
    bits = np.unpackbits(packed.reshape(-1), bitorder="little")
    return np.packbits(bits, bitorder="big")


_AFTER: tuple[tuple[After, str, str], ...] = (
    *(
        (_reversed_words(size), f"the bytes of each word of {size} reversed", "L5")
        for size in (2, 4, 8)
    ),
    (_reversed_bits, "the bits of each byte reversed", "L5"),
)
