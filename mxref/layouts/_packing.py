"""What a packing is: the place of every bit of every code, as plain numbers.

This is the definition. Pictures, checks and tests read it; the kernels are written for speed and
know nothing of it, and a test holds the two against each other bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Packing"]


@dataclass(frozen=True, slots=True)
class Packing:
    """How the element codes of a line lie in bytes (open point OP-PACKING).

    A line is cut into units of `group` codes, and each unit fills `unit_bytes` bytes. Within a unit
    bits are counted from bit 0 of byte 0 on: bit 8 is bit 0 of byte 1.

    Attributes
    ----------
    name : str
    bits : int
        Bits of a code: 4, 6, or 8 where a byte is stored as it is.
    group, unit_bytes : int
        Codes and bytes of a unit.
    starts : tuple of int
        For each code of a unit, the bit of the unit at which its bit 0 lies; its other bits follow.
    whole : bool
        Whether a line ends with a whole unit even if codes are missing. Otherwise it ends with the
        last byte that holds a bit of a code.
    text, used_by, source, evidence : str
        What it is in a sentence; who stores codes so; where that was taken from; how sure it is.

    Examples
    --------
    >>> from mxref.layouts.packings import PACKINGS
    >>> PACKINGS["nibbles-split"].place([0, 16, 1])
    (array([0, 0, 1]), array([0, 4, 0]))
    """

    name: str
    bits: int
    group: int
    unit_bytes: int
    starts: tuple[int, ...]
    whole: bool
    text: str
    used_by: str
    source: str
    evidence: str

    def place(
        self, i: ArrayLike, count: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the byte and the bit in it at which bit 0 of code `i` of a line lies.

        Parameters
        ----------
        i : int or array of int
        count : int, optional
            Codes of the line, to refuse an `i` behind its end. No place depends on it.

        Returns
        -------
        tuple of two arrays of int64
        """
        index = np.asarray(i, np.int64)
        if index.size and (int(index.min()) < 0 or (count is not None and index.max() >= count)):
            end = "" if count is None else f" and less than {count}, the codes of the line"
            msg = f"a code's number must be at least 0{end}; got {index.min()} to {index.max()}"
            raise ValueError(msg)
        unit, lane = np.divmod(index, self.group)
        bit = np.array(self.starts, np.int64)[lane]
        return unit * self.unit_bytes + bit // 8, bit % 8

    def bit_places(
        self, i: ArrayLike, count: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return byte and bit of every bit of code `i`: one axis more, bit 0 first.

        Examples
        --------
        >>> from mxref.layouts.packings import PACKINGS
        >>> byte, bit = PACKINGS["fp6-dense"].bit_places(1)
        >>> byte.tolist(), bit.tolist()
        ([0, 0, 1, 1, 1, 1], [6, 7, 0, 1, 2, 3])
        """
        byte, bit = self.place(i, count)
        start = byte * 8 + bit
        place: NDArray[Any] = start[..., np.newaxis] + np.arange(self.bits)
        return place // 8, place % 8

    def packed_size(self, count: int) -> int:
        """Return the bytes that a line of `count` codes takes.

        Examples
        --------
        >>> from mxref.layouts.packings import PACKINGS
        >>> [PACKINGS["fp6-dense"].packed_size(n) for n in (0, 1, 2, 3, 4, 32)]
        [0, 1, 2, 3, 3, 24]
        """
        units, rest = divmod(count, self.group)
        if not rest:
            return units * self.unit_bytes
        if self.whole:
            return (units + 1) * self.unit_bytes
        return units * self.unit_bytes + (max(self.starts[:rest]) + self.bits + 7) // 8

    def capacity(self, nbytes: int) -> int:
        """Return the most codes that a line of `nbytes` bytes can hold.

        Raises
        ------
        ValueError
            If no line has that many bytes.
        """
        units, rest = divmod(nbytes, self.unit_bytes)
        if rest and self.whole:
            msg = (
                f"a line of {nbytes} bytes is no multiple of {self.unit_bytes}: {self.name} stores "
                f"{self.group} codes in {self.unit_bytes} bytes"
            )
            raise ValueError(msg)
        return units * self.group + sum(1 for start in self.starts if start + self.bits <= rest * 8)

    def used_bits(self, count: int) -> NDArray[np.uint8]:
        """Return a line of bytes in which the bits that hold codes are one."""
        units, rest = divmod(count, self.group)
        unit = np.zeros(self.unit_bytes, np.uint8)
        tail = np.zeros(self.packed_size(rest), np.uint8)
        for line, codes in ((unit, self.group), (tail, rest)):
            byte, bit = self.bit_places(np.arange(codes))
            np.bitwise_or.at(line, byte, (1 << bit).astype(np.uint8))
        return np.concatenate([np.tile(unit, units), tail])
