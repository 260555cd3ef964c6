"""Rows cut into blocks."""

from __future__ import annotations

from mxref.layouts.conventions._traits import Traits

__all__ = ["whole_blocks"]

Shape = tuple[int, ...]


def whole_blocks(shape: Shape, of: Traits, name: str, multiple: int = 1) -> int:
    """The blocks of a row.

    Raises
    ------
    ValueError
        If rows are no whole number of blocks, or of `multiple` blocks.
    """
    if not shape:
        raise ValueError(f"layout {name!r} holds tensors of one axis or more, got shape ()")
    blocks, rest = divmod(shape[-1], of.block_size * multiple)
    if rest:
        raise ValueError(
            f"rows of {shape[-1]} elements; layout {name!r} keeps whole "
            f"{'blocks' if multiple == 1 else 'records'} of {of.block_size * multiple}: pad the "
            f"tensor to {shape[-1] - rest + of.block_size * multiple} columns"
        )
    return blocks * multiple
