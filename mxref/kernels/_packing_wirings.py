"""How packings come about by shuffles and shifts: what the kernels for packing know.

A unit's codes are put in `order`, neighbouring fields are merged, and the bytes that result are
spread over the unit with zeros between. Unpacking goes the other way.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["INDEX", "WIRINGS", "Wiring"]


class Wiring(NamedTuple):
    """How one packing comes about.

    Attributes
    ----------
    bits : int
        Bits of a code.
    merged : int
        Neighbouring fields that become whole bytes together: 2 nibbles, 4 fields of 6 bits, 8 of
        any width, or 1 that stays alone.
    order : tuple of int
        Field f of a unit holds code ``order[f]``.
    unit_bytes : int
        Bytes of a unit; those that are not filled come last.
    shift : int
        Where a lone code lies in its byte.
    """

    bits: int
    merged: int
    order: tuple[int, ...]
    unit_bytes: int
    shift: int = 0

    @property
    def group(self) -> int:
        """Codes of a unit."""
        return len(self.order)

    @property
    def kept(self) -> int:
        """Bytes that merged fields fill."""
        return self.merged * self.bits // 8 if self.merged > 1 else 1

    @property
    def filled(self) -> int:
        """Bytes of a unit that hold codes."""
        return self.group // self.merged * self.kept


def _zipped(size: int) -> tuple[int, ...]:
    half = size // 2
    return tuple(i // 2 + half * (i % 2) for i in range(size))


_NAMED = {
    "bytes-high": Wiring(6, 1, (0,), 1, shift=2),
    "bytes-middle": Wiring(4, 1, (0,), 1, shift=2),
    "nibbles-low-first": Wiring(4, 2, (0, 1), 1),
    "nibbles-high-first": Wiring(4, 2, (1, 0), 1),
    "nibbles-split": Wiring(4, 2, _zipped(32), 16),
    "nibbles-split-16": Wiring(4, 2, _zipped(16), 8),
    "nibbles-padded": Wiring(4, 2, tuple(range(16)), 16),
    "fp6-dense": Wiring(6, 4, (0, 1, 2, 3), 3),
    "fp6-padded": Wiring(6, 4, tuple(range(16)), 16),
    "fp6-gfx950": Wiring(6, 4, _zipped(32), 24),
    # The elements of records that are no packing of their own
    "dense-8": Wiring(8, 1, tuple(range(16)), 16),
    "dense-5": Wiring(5, 8, tuple(range(16)), 10),
    "dense-3": Wiring(3, 8, tuple(range(16)), 6),
}

WIRINGS: tuple[Wiring, ...] = tuple(_NAMED.values())
INDEX: dict[str, int] = {name: index for index, name in enumerate(_NAMED)}
"""Kernels know a wiring by its number, a constant that they are compiled for."""
