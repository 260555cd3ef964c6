"""What the standards fix: element, scale and block formats, as tables and by name.

Every format is one row of a table: widths, bias and special codes. All other numbers (emax, the
largest value, the smallest subnormal) are derived from the row, so that nothing is typed twice.

Notes
-----
A *code* is a bit pattern, a *value* is a real number, a *scale code* is the E8M0 byte.

Clauses: MX-1.0/5.2/formats, MX-1.0/5.3/fp8, MX-1.0/5.3/fp6, MX-1.0/5.3/fp4, MX-1.0/5.3/int8,
MX-1.0/5.4/e8m0, OFP8-1.0/e4m3, OFP8-1.0/e5m2.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mxref._format_types import (
    MX_BLOCK_SIZE,
    BlockFormat,
    ElementFormat,
    Kind,
    ScaleFormat,
    pow2,
)
from mxref._suggest import shown, unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BLOCK_FORMATS",
    "ELEMENT_FORMATS",
    "SCALE_FORMATS",
    "BlockFormat",
    "ElementFormat",
    "Kind",
    "ScaleFormat",
    "block_format",
    "element_format",
    "pow2",
    "scalar_format",
]


_NONE: frozenset[int] = frozenset()


def _float(
    name: str,
    exponent_bits: int,
    mantissa_bits: int,
    clause: str,
    nan: frozenset[int] = _NONE,
    inf: int | None = None,
) -> ElementFormat:
    bias = (1 << (exponent_bits - 1)) - 1  # IEEE 754 convention, which every OCP format follows
    return ElementFormat(name, Kind.FLOAT, exponent_bits, mantissa_bits, bias, nan, inf, clause)


ELEMENT_FORMATS: Mapping[str, ElementFormat] = MappingProxyType(
    {
        f.name: f
        for f in (
            # S.1111.111 is the only NaN, so the top binade is finite up to 448; no infinity.
            _float("e4m3", 4, 3, "OFP8-1.0/e4m3", nan=frozenset({0x7F})),
            # IEEE-like: S.11111.00 is infinity, the other mantissas of that exponent are NaN.
            _float("e5m2", 5, 2, "OFP8-1.0/e5m2", nan=frozenset({0x7D, 0x7E, 0x7F}), inf=0x7C),
            # FP6 and FP4 spend every code on a finite value.
            _float("e3m2", 3, 2, "MX-1.0/5.3/fp6"),
            _float("e2m3", 2, 3, "MX-1.0/5.3/fp6"),
            _float("e2m1", 2, 1, "MX-1.0/5.3/fp4"),
            ElementFormat("int8", Kind.FIXED, 0, 6, 1, _NONE, None, "MX-1.0/5.3/int8"),
        )
    }
)
"""The element formats of OCP MX v1.0, by name."""

SCALE_FORMATS: Mapping[str, ScaleFormat] = MappingProxyType(
    {"e8m0": ScaleFormat("e8m0", bits=8, bias=127, nan_code=0xFF, clause="MX-1.0/5.4/e8m0")}
)
"""The scale formats, by name."""

BLOCK_FORMATS: Mapping[str, BlockFormat] = MappingProxyType(
    {
        name: BlockFormat(name, ELEMENT_FORMATS[element], SCALE_FORMATS["e8m0"], MX_BLOCK_SIZE)
        for name, element in (
            ("mxfp8_e4m3", "e4m3"),
            ("mxfp8_e5m2", "e5m2"),
            ("mxfp6_e3m2", "e3m2"),
            ("mxfp6_e2m3", "e2m3"),
            ("mxfp4", "e2m1"),
            ("mxint8", "int8"),
        )
    }
)
"""The six concrete MX-compliant formats at k = 32, by name."""

# Names under which the same formats are known elsewhere (ml_dtypes, torch, microxcaling, PTX).
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "mxfp4_e2m1": "mxfp4",
        "float8_e4m3fn": "e4m3",
        "fp8_e4m3": "e4m3",
        "e4m3fn": "e4m3",
        "float8_e5m2": "e5m2",
        "fp8_e5m2": "e5m2",
        "float6_e3m2fn": "e3m2",
        "fp6_e3m2": "e3m2",
        "float6_e2m3fn": "e2m3",
        "fp6_e2m3": "e2m3",
        "float4_e2m1fn": "e2m1",
        "fp4_e2m1": "e2m1",
        "float8_e8m0fnu": "e8m0",
        "ue8m0": "e8m0",
    }
)

# The beginnings of names that are no MX formats, and where those formats live.
_RELATIVES: Mapping[str, str] = MappingProxyType(
    {
        "nvfp4": "mxref.nvfp4",
        **dict.fromkeys(("mx9", "mx6", "mx4", "msfp", "bfp16", "vsq", "bdr"), "mxref.bdr"),
        **dict.fromkeys(("scaled_int", "scaled_fp8"), "mxref.bdr"),
    }
)


def _canonical(name: str) -> str:
    lowered = name.strip().lower().replace("-", "_")
    return _ALIASES.get(lowered, lowered)


def _home_of_relative(canonical: str) -> str | None:
    """Return the module of a format that is no MX format, by the beginning of its name."""
    homes = (home for name, home in _RELATIVES.items() if canonical.startswith(name))
    return next(homes, None)


def _named_type(given: object, known: Mapping[str, object]) -> str:
    """Say what a type is called here that stands for a format elsewhere, as in ml_dtypes."""
    name = _canonical(str(getattr(given, "__name__", getattr(given, "name", ""))))
    return f", which is called {name!r} here" if name in known else ""


def element_format(name: str | ElementFormat) -> ElementFormat:
    """Look an element format up by name or by one of its usual aliases.

    Raises
    ------
    ValueError
        If no such format exists; the message names the nearest ones.
    TypeError
        If `name` is neither a string nor a format.

    Examples
    --------
    >>> element_format("float4_e2m1fn").name
    'e2m1'
    """
    if isinstance(name, ElementFormat):
        return name
    if not isinstance(name, str):
        msg = (
            f"an element format is a name, such as 'e4m3', or an ElementFormat, got "
            f"{shown(name)}{_named_type(name, ELEMENT_FORMATS)}"
        )
        raise TypeError(msg)
    found = ELEMENT_FORMATS.get(_canonical(name))
    if found is None:
        raise ValueError(unknown_name("element format", name, ELEMENT_FORMATS))
    return found


def scalar_format(name: str | ElementFormat | ScaleFormat) -> ElementFormat | ScaleFormat:
    """Look up an element or a scale format: whatever ``encode`` and ``decode`` accept.

    Raises
    ------
    ValueError
        If no such format exists; the message names the nearest ones.

    Examples
    --------
    >>> scalar_format("e8m0").bits
    8
    """
    if isinstance(name, ScaleFormat):
        return name
    if isinstance(name, str):
        canonical = _canonical(name)
        if canonical in SCALE_FORMATS:
            return SCALE_FORMATS[canonical]
        if canonical in BLOCK_FORMATS:
            msg = (
                f"{name!r} is a block format; this function takes a scalar format, such as its "
                f"element {BLOCK_FORMATS[canonical].element.name!r} or its scale 'e8m0'"
            )
            raise ValueError(msg)
        if canonical not in ELEMENT_FORMATS:
            if (home := _home_of_relative(canonical)) is not None:
                raise ValueError(
                    f"{name!r} is a block format, in {home}; this function takes the format of one "
                    f"number: {', '.join([*ELEMENT_FORMATS, *SCALE_FORMATS])}"
                )
            known = [*ELEMENT_FORMATS, *SCALE_FORMATS]
            raise ValueError(unknown_name("element or scale format", name, known))
    return element_format(name)


def block_format(name: str | BlockFormat, block_size: int | None = None) -> BlockFormat:
    """Look a block format up by name, ``"name/k"`` for blocks of k elements.

    Parameters
    ----------
    name : str or BlockFormat
        ``"mxfp4"``, ``"mxfp8_e4m3/16"``, or a format.
    block_size : int, optional
        Block length; default: the name's, or 32.

    Raises
    ------
    ValueError
        If no such format exists (the message names the nearest ones), or the block size is not a
        positive integer.

    Examples
    --------
    >>> block_format("mxfp8_e4m3/16").block_size
    16
    """
    if isinstance(name, BlockFormat):
        return name if block_size is None else name.with_block_size(block_size)
    if not isinstance(name, str):
        msg = (
            f"a block format is a name, such as 'mxfp4', or a BlockFormat, got "
            f"{shown(name)}{_named_type(name, ELEMENT_FORMATS)}"
        )
        raise TypeError(msg)
    base, slash, size = name.partition("/")
    canonical = _canonical(base)
    found = BLOCK_FORMATS.get(canonical)
    if found is None:
        for fmt in BLOCK_FORMATS.values():
            if fmt.element.name == canonical:
                msg = f"{name!r} is an element format; the block format made of it is {fmt.base!r}"
                raise ValueError(msg)
        if (home := _home_of_relative(canonical)) is not None:
            raise ValueError(
                f"{name!r} is no MX format: it has arrays and policies of its own, in {home}; "
                "mxref.quantize, mxref.matmul, mxref.compare and mxref.check.quantize take it"
            )
        known = [*BLOCK_FORMATS, "nvfp4", "mx9", "mx6", "mx4"]  # the relatives are found elsewhere
        raise ValueError(unknown_name("block format", name, known))
    if slash:
        if not size.isascii() or not size.isdigit():
            msg = f"the block size behind '/' in {name!r} must be a positive integer"
            raise ValueError(msg)
        found = found.with_block_size(int(size))
    return found if block_size is None else found.with_block_size(block_size)


def __getattr__(name: str) -> object:
    """Say how a format is looked up, to whoever looks for it among the attributes."""
    canonical = _canonical(name)
    if canonical in BLOCK_FORMATS:
        hint = f"; formats go by their names: mxref.block_format({canonical!r})"
    elif canonical in ELEMENT_FORMATS or canonical in SCALE_FORMATS:
        hint = f"; formats go by their names: mxref.scalar_format({canonical!r})"
    else:
        hint = ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
