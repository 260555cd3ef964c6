"""Which format a name means: of elements, scales and blocks, of MX and of its relatives."""

from __future__ import annotations

import functools

from mxref._suggest import unknown_name
from mxref.formats import (
    BLOCK_FORMATS,
    ELEMENT_FORMATS,
    SCALE_FORMATS,
    BlockFormat,
    ElementFormat,
    ScaleFormat,
    block_format,
    scalar_format,
)
from mxref.relatives import family_of
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_formats import BDR_FORMATS, bdr_format
from mxref.relatives.nvfp4_format import NVFP4, NVFP4Format
from mxref.show._books import Book, ElementBook, ScaleBook
from mxref.show._text import with_article

__all__ = ["FORMAT_NAMES", "AnyFormat", "any_format", "book_of", "find"]

AnyFormat = ElementFormat | ScaleFormat | BlockFormat | NVFP4Format | BDRFormat

_UE4M3 = "ue4m3"
FORMAT_NAMES = (
    *ELEMENT_FORMATS,
    *SCALE_FORMATS,
    _UE4M3,
    *BLOCK_FORMATS,
    NVFP4.name,
    *BDR_FORMATS,
)
"""Every name that can be shown; ``bdr:m=..,k1=..`` and ``mxfp4/16`` are more."""


def any_format(
    name: str | ElementFormat | ScaleFormat | BlockFormat,
) -> ElementFormat | ScaleFormat | BlockFormat:
    """Look up an element, scale or block format of MX.

    Raises
    ------
    ValueError
        If no such format exists; the message names the nearest ones.
    TypeError
        If `name` is neither a string nor a format.

    Examples
    --------
    >>> any_format("mxfp4").name, any_format("E4M3").name
    ('mxfp4', 'e4m3')
    """
    if isinstance(name, ElementFormat | ScaleFormat | BlockFormat):
        return name
    if not isinstance(name, str):
        raise TypeError(_no_name(name))
    for look_up in (scalar_format, block_format):
        try:
            return look_up(name)
        except ValueError as error:
            # "mxfp4/0" names a format, so the complaint about its block size is the right one.
            if "/" in name and look_up is block_format and not str(error).startswith("unknown"):
                raise
    if name.strip().lower() == _UE4M3 or family_of(name) != "mx":
        raise ValueError(f"{name!r} is no MX format, and only those are taken here; show takes it")
    raise ValueError(unknown_name("format", name, FORMAT_NAMES) + _order(name))


def _no_name(given: object) -> str:
    """Say what goes where, for what is no name of a format."""
    kind = type(given).__name__
    text = f"a format is a name such as 'e4m3' or 'mxfp4', got {with_article(kind)}"
    if hasattr(given, "codes") and hasattr(given, "scales"):
        return f"{text}; print() shows one, and mxref.explain(q, at=...) one of its elements"
    if hasattr(given, "shape"):
        return f"{text}; mxref.explain(x, 'mxfp4', at=...) takes an array"
    return f"{text}; show(FORMAT, CODE) and explain(VALUE, FORMAT) take them in this order"


def _order(name: str) -> str:
    """Say in which order arguments come, where a number stands in the place of a format."""
    try:
        float.fromhex(name) if "0x" in name.lower() else float(name)
    except ValueError:
        return ""
    return "; a format has a name: show FORMAT CODE, explain VALUE FORMAT"


def find(name: str | AnyFormat) -> Book | BlockFormat | NVFP4Format | BDRFormat:
    """Return the codes of a scalar format, or the format itself if it is one of blocks.

    Raises
    ------
    ValueError
        If no such format exists; the message names the nearest ones.
    TypeError
        If `name` is neither a string nor a format.

    Examples
    --------
    >>> find("ue4m3").name, find("mx9").name, find("nvfp4").name
    ('ue4m3', 'mx9', 'nvfp4')
    """
    if isinstance(name, str) and name.strip().lower() == _UE4M3:
        return book_of(NVFP4)
    family = family_of(name)
    if family == "nvfp4":
        return NVFP4
    if family == "bdr":
        return bdr_format(name)  # type: ignore[arg-type]  # family_of has looked
    fmt = any_format(name)  # type: ignore[arg-type]  # likewise
    return fmt if isinstance(fmt, BlockFormat) else book_of(fmt)


@functools.lru_cache(maxsize=64)
def book_of(fmt: ElementFormat | ScaleFormat | NVFP4Format | BDRFormat) -> Book:
    """Return the codes of a format: of NVFP4 those of its scale, of a BDR format its elements.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> book_of(ELEMENT_FORMATS["e4m3"]).code_count
    256
    """
    if isinstance(fmt, ElementFormat):
        return ElementBook(fmt)
    if isinstance(fmt, ScaleFormat):
        return ScaleBook(fmt)
    from mxref.show._relative_books import BDRBook, UE4M3Book  # most looks are at MX formats

    return BDRBook(fmt) if isinstance(fmt, BDRFormat) else UE4M3Book()
