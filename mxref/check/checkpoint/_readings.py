"""Ways in which nibbles and scale codes get out of place, and how to put them right again.

A layout says where the codes of a byte belong. A file that was written by another rule is garbage
under it, and everything but the order is as it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["READINGS", "put_right", "repair_text"]

READINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "exchanged": ("L1", ""),
        "halves": (
            "L2",
            "each byte holds codes of the two halves of a block, not two neighbours",
        ),
        "halves-exchanged": (
            "L2",
            "each byte holds codes of the two halves of a block, exchanged",
        ),
        "neighbours": (
            "L2",
            "each byte holds two neighbours, not codes of the two halves of a block",
        ),
        "neighbours-exchanged": (
            "L2",
            "each byte holds two neighbours, exchanged",
        ),
    }
)
"""Name: the fault, and what the file holds."""

_NAN = 255


def repair_text(reading: str) -> str:
    """Say what `put_right` does, to go on from "once".

    Examples
    --------
    >>> repair_text("exchanged"), repair_text("scale-1"), repair_text("")
    ('the two codes of each byte are exchanged back', '-1 is added to the scale codes', '')
    """
    if reading.startswith("scale"):
        return f"{int(reading.removeprefix('scale')):+d} is added to the scale codes"
    if reading == "exchanged":
        return "the two codes of each byte are exchanged back"
    return "the codes are put in order" if reading else ""


def put_right(
    codes: NDArray[np.uint8], scales: NDArray[np.uint8], reading: str, block: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return codes as they were meant.

    Parameters
    ----------
    codes, scales : ndarray of uint8
        As the layout says they are.
    reading : str
        One of `READINGS`, or ``scale+N``: N is to be added to the scale codes.
    block : int
        Block size; the last axis of `codes` is a multiple of it.

    Examples
    --------
    >>> codes = np.arange(4, dtype=np.uint8)[None]
    >>> put_right(codes, codes, "exchanged", 4)[0]
    array([[1, 0, 3, 2]], dtype=uint8)
    >>> put_right(codes, codes + 125, "scale+2", 4)[1]
    array([[127, 128, 129, 130]], dtype=uint8)
    >>> put_right(codes, codes, "halves", 4)[0]
    array([[0, 2, 1, 3]], dtype=uint8)
    """
    if reading.startswith("scale"):
        moved = scales.astype(np.int16) + int(reading.removeprefix("scale"))
        is_number = (scales > 0) & (scales < _NAN)
        return codes, np.where(is_number, moved.clip(0, _NAN - 1), scales).astype(np.uint8)
    kind, _, exchanged = reading.partition("-")
    if kind == "exchanged" or (exchanged and kind == "halves"):
        codes = codes.reshape(*codes.shape[:-1], -1, 2)[..., ::-1].reshape(codes.shape)
    blocks = codes.reshape(*codes.shape[:-1], -1, block)
    if kind == "halves":
        blocks = np.concatenate([blocks[..., ::2], blocks[..., 1::2]], -1)
    elif kind == "neighbours":
        half = block // 2
        pair = (blocks[..., half:], blocks[..., :half])
        pair = pair if exchanged else pair[::-1]
        blocks = np.stack(pair, -1)
    return blocks.reshape(codes.shape), scales
