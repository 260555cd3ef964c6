"""`Look`: what an array in a block format shows of itself, as text and in a notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.mxarray._look_gather import block_of, counts_of, places
from mxref.mxarray._look_parts import Block, Counts, Family

__all__ = ["Look"]

_CELLS = 64  # of a block, and rows of them, that a notebook shows unless it is told otherwise
_ROWS = 16
_SHOWN = 512


class Look:
    """A view of an array: its scales, what its elements are, and blocks element by element.

    Printed, it is text of 80 columns; in a notebook, a table in which a pointer over an element
    shows its bits. It shows the array as it is at that moment.

    Parameters
    ----------
    family : Family
        The array, and what is particular about its formats.
    source : array of float64, float32, float16 or bfloat16, optional
        The numbers that the array was made of: with them, what was flushed and what was saturated
        can be told from what is zero or large.
    blocks : int, optional
        How many blocks to show at most; by default as many as fit a screen.

    Raises
    ------
    TypeError, ValueError
        If the source is no array of numbers of the same shape, or `blocks` is no count.
    """

    __slots__ = ("_blocks", "_family", "_source")

    def __init__(self, family: Family, source: Any = None, blocks: int | None = None) -> None:
        self._family, self._blocks = family, _count(blocks)
        self._source = None if source is None else _numbers(source, family)

    def counts(self, limit: int | None = None) -> Counts:
        """Count zeros, large elements and special blocks.

        Parameters
        ----------
        limit : int, optional
            Count in a first part of about so many elements; by default in all of the array.
        """
        return counts_of(self._family, self._source, limit)

    def shown(self, rows: int, *, tail: bool) -> list[Block | None]:
        """Return the blocks that a view shows; None stands for those left out.

        Parameters
        ----------
        rows : int
            How many, where the maker of the view did not say it.
        tail : bool
            Whether to leave out the middle; otherwise the end.
        """
        rows = rows if self._blocks is None else self._blocks
        head = rows - rows // 2 if tail else rows
        found = places(self._family.block_shape, head, rows - head)
        if self._family.codes.size == 0:
            return []
        return [
            None if at is None else block_of(self._family, at, self._source, _CELLS) for at in found
        ]

    @property
    def family(self) -> Family:
        """The array, and what is particular about its formats."""
        return self._family

    @property
    def has_source(self) -> bool:
        """Whether the numbers that the array was made of are known."""
        return self._source is not None

    def __str__(self) -> str:
        """Return the text: 80 columns, without colour."""
        from mxref.mxarray._look_text import lines

        return "\n".join(line.rstrip() for line in lines(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mxref.mxarray._look_html import table

        rows = max(4, min(_ROWS, _SHOWN // min(_CELLS, self._family.block_size)))
        return table(self, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and the blocks in types that JSON knows; exact numbers are strings."""
        from mxref.mxarray._look_text import document

        return document(self)


def _count(blocks: Any) -> int | None:
    if blocks is None:
        return None
    if isinstance(blocks, bool) or not isinstance(blocks, int | np.integer) or blocks < 1:
        raise ValueError(f"blocks is how many blocks to show, 1 or more, got {blocks!r}")
    return int(blocks)


def _numbers(source: Any, family: Family) -> NDArray[Any]:
    array, _ = inputs.as_float(source, "source")
    if array.shape != family.codes.shape:
        raise ValueError(
            f"source has shape {array.shape}, the array {family.codes.shape}: give the numbers "
            "that it was made of, as in mxref.quantize(x, ...).look(x)"
        )
    return array
