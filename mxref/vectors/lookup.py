"""Formats as vector files name them: scalar formats, block formats, and pairs of block formats."""

from __future__ import annotations

from mxref.formats import BlockFormat, ElementFormat, ScaleFormat, block_format, scalar_format
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.nvfp4_format import NVFP4, NVFP4Format
from mxref.vectors.operations import FAMILY

__all__ = ["AnyFormat", "MXFormat", "RelativeFormat", "block_of", "format_name", "vector_format"]

MXFormat = ElementFormat | ScaleFormat | BlockFormat | tuple[BlockFormat, BlockFormat]
RelativeFormat = NVFP4Format | BDRFormat
AnyFormat = MXFormat | RelativeFormat

_SCALAR = ("encode", "decode")
_PRODUCTS = ("dot", "matmul")


def vector_format(operation: str, name: str) -> AnyFormat:
    """Return the format that a vector file of this operation is about.

    Parameters
    ----------
    operation : str
        Such as ``"encode"``.
    name : str
        Of an element or scale format (encode, decode), of two block formats (dot,
        matmul), or of one; ``"nvfp4"`` or the name of a BDR format where the operation says so.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> a, b = vector_format("dot", "mxfp4-mxint8")
    >>> a.name, b.name
    ('mxfp4', 'mxint8')
    """
    if FAMILY[operation] == "nvfp4":
        if name != NVFP4.name:
            raise ValueError(f"{operation} is about the format {NVFP4.name}, got {name!r}")
        return NVFP4
    if FAMILY[operation] == "bdr":
        return bdr_format(name)
    if operation in _SCALAR:
        return scalar_format(name)
    if operation not in _PRODUCTS:
        return block_format(name)
    first, dash, second = name.partition("-")
    if not dash:
        raise ValueError(f"a product takes two formats, such as mxfp4-mxint8, got {name!r}")
    return block_format(first), block_format(second)


def format_name(fmt: AnyFormat) -> str:
    """Return the name that `vector_format` takes.

    Examples
    --------
    >>> format_name(vector_format("dot", "mxfp4-mxint8"))
    'mxfp4-mxint8'
    """
    return "-".join(f.name for f in fmt) if isinstance(fmt, tuple) else fmt.name


def block_of(fmt: AnyFormat) -> BlockFormat:
    """Return the block format, or the first of a pair.

    Raises
    ------
    TypeError
        If it is a scalar format.
    """
    found = fmt[0] if isinstance(fmt, tuple) else fmt
    if not isinstance(found, BlockFormat):
        raise TypeError(f"{found.name} is no block format")
    return found
