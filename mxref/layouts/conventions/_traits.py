"""What a layout has to know about a block format: widths, block length and kind of scale."""

from __future__ import annotations

from typing import NamedTuple

from mxref._suggest import unknown_name
from mxref.formats import BLOCK_FORMATS, block_format

__all__ = ["Traits", "traits"]


class Traits(NamedTuple):
    """Sizes of a block format.

    Attributes
    ----------
    name : str
    bits : int
        Of an element code.
    block_size : int
    scale : str
        ``"e8m0"``, or ``"e4m3"`` for NVFP4.
    """

    name: str
    bits: int
    block_size: int
    scale: str


# A relative of MX: E2M1 elements in blocks of 16, an E4M3 scale code, and a float32 factor besides.
_NVFP4 = Traits("nvfp4", 4, 16, "e4m3")


def traits(format: str) -> Traits:  # noqa: A002
    """The sizes of a block format by name, those of NVFP4 among them.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> traits("mxfp6_e2m3")
    Traits(name='mxfp6_e2m3', bits=6, block_size=32, scale='e8m0')
    >>> traits("nvfp4").block_size
    16
    """
    if isinstance(format, str) and format.strip().lower() == _NVFP4.name:
        return _NVFP4
    try:
        found = block_format(format)
    except ValueError:
        known = [*BLOCK_FORMATS, _NVFP4.name]
        if isinstance(format, str) and "/" not in format:
            raise ValueError(unknown_name("block format", format, known)) from None
        raise
    return Traits(found.name, found.element.bits, found.block_size, found.scale.name)
