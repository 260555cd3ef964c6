"""What a record is: scale codes and element codes of a few blocks in one run of bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Record"]


@dataclass(frozen=True, slots=True)
class Record:
    """How the codes of a few blocks lie in one run of bytes.

    As for `Packing`, bits of a record are counted from bit 0 of byte 0 on. A line is a run of
    records, one after the other without gaps: one of odd size leaves the next unaligned.

    Attributes
    ----------
    name, format : str
        The format is the block format whose codes it holds: ``"mxfp4"``, ``"nvfp4"``, or
        ``"mx9"``, ``"mx6"`` and ``"mx4"`` of the BDR paper.
    elements, bits : int
        Element codes of a record, and bits of each.
    blocks : int
        Blocks of a record: so many scale codes of 8 bits.
    nbytes : int
        Bytes of a record.
    scale_starts, code_starts, micro_starts : tuple of int
        The bit at which bit 0 of each scale code, element code and microexponent lies. A
        microexponent is one bit that a pair of elements shares; most formats have none.
    codes_as : (str, int)
        What kernels call the way in which the codes are packed, and units of it.
    text, used_by, source, evidence : str
        As for `Packing`.
    """

    name: str
    format: str
    elements: int
    bits: int
    blocks: int
    nbytes: int
    scale_starts: tuple[int, ...]
    code_starts: tuple[int, ...]
    micro_starts: tuple[int, ...]
    codes_as: tuple[str, int]
    text: str
    used_by: str
    source: str
    evidence: str

    @property
    def block_size(self) -> int:
        """Elements that share a scale code."""
        return self.elements // self.blocks

    @property
    def head(self) -> int:
        """Bytes before the element codes."""
        return min(self.code_starts) // 8

    def place(self, field: str, i: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the byte and the bit in it at which bit 0 of an item of a line lies.

        Parameters
        ----------
        field : str
            ``"scales"``, ``"codes"`` or ``"micro"``.
        i : int or array of int
            Number of the item in its line of records.

        Examples
        --------
        >>> from mxref.layouts.records import RECORDS
        >>> byte, bit = RECORDS["gguf-mxfp4"].place("codes", [0, 16, 32])
        >>> byte.tolist(), bit.tolist()
        ([1, 1, 18], [0, 4, 0])
        """
        fields = {
            "scales": self.scale_starts,
            "codes": self.code_starts,
            "micro": self.micro_starts,
        }
        if field not in fields:
            msg = f"field is {field!r}; a record has {', '.join(fields)}"
            raise ValueError(msg)
        starts = fields[field]
        if not starts:
            msg = f"{self.name} has no {field}"
            raise ValueError(msg)
        index = np.asarray(i, np.int64)
        if index.size and int(index.min()) < 0:
            msg = f"an item's number must be at least 0; got {index.min()}"
            raise ValueError(msg)
        record, item = np.divmod(index, len(starts))
        bit = np.array(starts, np.int64)[item]
        return record * self.nbytes + bit // 8, bit % 8
