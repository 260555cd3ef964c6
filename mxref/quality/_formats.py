"""Every block format by its name, whichever family it is of, and the shape of its elements."""

from __future__ import annotations

from fractions import Fraction

from mxref._suggest import unknown_name
from mxref.formats import BLOCK_FORMATS, BlockFormat, ElementFormat, Kind, block_format
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_formats import BDR_FORMATS, bdr_format, is_bdr_name
from mxref.relatives.nvfp4_format import NVFP4, NVFP4Format

__all__ = ["AnyFormat", "any_format", "float_magnitudes"]

AnyFormat = BlockFormat | NVFP4Format | BDRFormat


def any_format(name: str | AnyFormat) -> AnyFormat:
    """Look up a format of any family.

    Raises
    ------
    ValueError
        If there is none; the message names the nearest ones.
    TypeError
        If it is neither a name nor a format.

    Examples
    --------
    >>> any_format("mxfp4").name, any_format("mx9").name, any_format("nvfp4").name
    ('mxfp4', 'mx9', 'nvfp4')
    """
    if isinstance(name, BlockFormat | NVFP4Format | BDRFormat):
        return name
    if not isinstance(name, str):
        raise TypeError(f"a format is a name such as 'mxfp4', got {type(name).__name__}")
    lowered = name.strip().lower()
    if lowered == NVFP4.name:
        return NVFP4
    if is_bdr_name(lowered):
        return bdr_format(lowered)
    try:
        return block_format(name)
    except ValueError as error:
        if "unknown" not in str(error):
            raise
        known = [*BLOCK_FORMATS, NVFP4.name, *BDR_FORMATS]
        raise ValueError(unknown_name("format", name, known)) from None


def float_magnitudes(element: ElementFormat) -> list[Fraction]:
    """Every finite magnitude of an element format, from zero up.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> [float(v) for v in float_magnitudes(ELEMENT_FORMATS["e2m1"])]
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    """
    step = element.min_subnormal
    if element.kind is Kind.FIXED:
        return [i * step for i in range(element.max_magnitude + 1)]
    fractions = 1 << element.mantissa_bits
    found = []
    for code in range(element.max_magnitude + 1):
        exponent, mantissa = divmod(code, fractions)
        hidden = fractions if exponent else 0
        found.append((hidden + mantissa) * step * (1 << max(0, exponent - 1)))
    return found
