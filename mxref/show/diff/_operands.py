"""What `diff` compares: two arrays of one format, brought into one form."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref._foreign import as_numpy
from mxref._suggest import unknown_name
from mxref.formats import (
    BLOCK_FORMATS,
    ELEMENT_FORMATS,
    SCALE_FORMATS,
    BlockFormat,
    ElementFormat,
    ScaleFormat,
    scalar_format,
)
from mxref.relatives import family_of
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_formats import BDR_FORMATS
from mxref.relatives.nvfp4_format import NVFP4Format
from mxref.show._errors import ArgumentError, ArgumentTypeError
from mxref.show.diff._lines import Line, element_line, float_line, line_of

__all__ = ["Pair", "pair_of", "wrapped"]

_BITS = {2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two arrays of one shape and one format.

    Attributes
    ----------
    name : str
        Of the format, or of the type of numbers.
    kind : str
        ``"blocks"``, ``"codes"`` or ``"numbers"``.
    line : Line
        What the codes mean.
    a, b : array of unsigned integers
        Codes, or bit patterns of numbers, in the logical shape.
    axis, block_size : int or None
        Of blocks; None without them, or where one scale serves all.
    a_scales, b_scales : array of unsigned integers or None
        Scale codes, or bit patterns of float32 scales.
    a_subscales, b_subscales : array of uint8 or None
    global_scales : (float, float) or None
        Of NVFP4.
    format : object
        The format, where there is one.
    policies : (str, str) or None
        What the arrays say that they were made with, where that differs.
    notes : tuple of str
        What a reader has to know.
    """

    name: str
    kind: str
    line: Line
    a: NDArray[Any]
    b: NDArray[Any]
    axis: int | None = None
    block_size: int | None = None
    a_scales: NDArray[Any] | None = None
    b_scales: NDArray[Any] | None = None
    a_subscales: NDArray[np.uint8] | None = None
    b_subscales: NDArray[np.uint8] | None = None
    global_scales: tuple[float, float] | None = None
    format: BlockFormat | NVFP4Format | BDRFormat | ElementFormat | ScaleFormat | None = None
    policies: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape of both."""
        return self.a.shape


def pair_of(
    a: Any,
    b: Any,
    format: Any = None,  # noqa: A002  # the field's word
    axis: int | None = None,
    block_size: int | None = None,
) -> Pair:
    """Bring two arrays into one form; see `mxref.diff` for what they may be.

    Raises
    ------
    TypeError, ValueError
        If they cannot be compared bit by bit; the message says what can be.
    """
    a, b = (wrapped(each, name, format, axis, block_size) for each, name in ((a, "a"), (b, "b")))
    if _is_blocked(a) and _is_blocked(b):
        _refuse_unlike(a, b)
        _refuse_other_format(a, format)
        return _blocks(a, b)
    if _is_blocked(a) or _is_blocked(b):
        return _values(a, b)
    x, y = _array(a, "a", format), _array(b, "b", format)
    fmt = _format_of(x, y, format)
    if fmt is None:
        return _numbers(x, y)
    if axis is not None or block_size is not None:
        raise ArgumentError.after(
            f"an axis and a block size go with blocks, and {fmt.name} is no block format: leave "
            "them out, or give the scale codes too, as ",
            "mxref.MXArray(codes, scales, format)",
            "CODES.npy:SCALES.npy",
        )
    x, y = inputs.as_codes(x, fmt.name, "a"), inputs.as_codes(y, fmt.name, "b")
    _refuse_shapes(x.shape, y.shape)
    inputs.check_range(x, fmt.code_count, fmt.name)
    inputs.check_range(y, fmt.code_count, fmt.name)
    return Pair(fmt.name, "codes", element_line(fmt), x, y, format=fmt)


# --- what was given ---------------------------------------------------------------------------


def _array(given: Any, name: str, fmt: Any) -> NDArray[Any]:
    if isinstance(given, str | os.PathLike):
        raise TypeError(
            f"{name} is {given!r}, and diff takes arrays: load it with mxref.MXArray.load or "
            "numpy.load, or compare files by the command 'mxref diff A B'"
        )
    array = as_numpy(given, name)
    is_small = array.dtype.kind in "iu" and array.size and 0 <= array.min() <= array.max() <= 0xFF
    if isinstance(given, list) and fmt is None and array.dtype.kind in "iu":
        raise TypeError(
            f"{name} is a list of integers: if they are codes, pass format='e4m3', say; if they "
            f"are numbers, np.array({name}, np.float32)"
        )
    # A list of codes, such as [0x7e, 1]; arrays say by their type what they hold.
    return array.astype(np.uint8) if isinstance(given, list) and fmt and is_small else array


def _is_blocked(given: Any) -> bool:
    """Whether it is an array of one of the three families."""
    return hasattr(given, "codes") and hasattr(given, "scales") and hasattr(given, "format")


def wrapped(given: Any, name: str, fmt: Any, axis: int | None, block_size: int | None) -> Any:
    """Make an array of a block format out of the parts ``(codes, scales, ...)``."""
    if not isinstance(given, tuple):
        if axis is not None and _is_blocked(given):
            _refuse_other_axis(given, name, axis)
        return given
    if fmt is None:
        raise TypeError(
            f"{name} is a tuple; as (codes, scales) it needs their format: pass "
            "format='mxfp4', say, or mxref.MXArray(codes, scales, 'mxfp4')"
        )
    where = -1 if axis is None else axis
    family = "bdr" if isinstance(fmt, BDRFormat) else family_of(fmt)
    wanted = (2,) if family == "mx" else (2, 3)
    if len(given) not in wanted:
        third = {"mx": "", "nvfp4": "[, global_scale]", "bdr": "[, subscales]"}[family]
        raise TypeError(
            f"{name} is a tuple of {len(given)}; {_name(fmt)} is (codes, scales{third})"
        )
    codes, scales, more = (*given, None)[:3]
    if family == "mx":
        from mxref.mxarray import MXArray

        return MXArray(codes, scales, fmt, where, block_size=block_size)
    if block_size is not None:
        raise ArgumentError.after(
            f"a block size goes with MX formats; {_name(fmt)} has its own: leave out ",
            "block_size",
            "--block-size",
        )
    if family == "nvfp4":
        from mxref.nvfp4 import NVFP4Array

        return NVFP4Array(codes, scales, 1.0 if more is None else more, where)
    from mxref.bdr import BDRArray

    return BDRArray(codes, scales, more, fmt, where)


def _refuse_other_axis(given: Any, name: str, axis: int) -> None:
    if inputs.normal_axis(axis, given.shape) != given.axis:
        raise ArgumentError.after(
            f"axis is {axis}, but {name} has its blocks along axis {given.axis} and knows it: "
            "leave out ",
            "axis",
            "--axis",
        )


def _name(fmt: Any) -> str:
    return str(getattr(fmt, "name", fmt))


def _format_of(x: NDArray[Any], y: NDArray[Any], given: Any) -> ElementFormat | ScaleFormat | None:
    """Return the format of codes: as given, or as the types of the arrays say; None: numbers."""
    if given is not None:
        return _scalar(given, x)
    names = {*inputs.SOURCE_OF}
    if x.dtype.newbyteorder("=") in names or y.dtype.newbyteorder("=") in names:
        return None
    of_type = {np.dtype(d): n for n, ds in inputs.CODE_DTYPES.items() for d in ds if d != np.int8}
    for each in (x, y):
        if each.dtype in of_type:
            return scalar_format(of_type[each.dtype])
    if x.dtype == np.uint8:
        raise TypeError(
            "a and b hold uint8: codes of which format? Pass format='e4m3', say; for codes with "
            "scales compare mxref.MXArray(codes, scales, 'mxfp4'), or pass (codes, scales) twice"
        )
    return None


def _scalar(given: Any, x: NDArray[Any]) -> ElementFormat | ScaleFormat:
    if isinstance(given, ElementFormat | ScaleFormat):
        return given
    if not isinstance(given, str) or given.lower() in {*BLOCK_FORMATS, "nvfp4", *BDR_FORMATS}:
        raise _without_scales(_name(given), x)
    try:
        return scalar_format(given)
    except ValueError as error:
        if not str(error).startswith("unknown"):
            raise
    known = (*ELEMENT_FORMATS, *SCALE_FORMATS, *BLOCK_FORMATS, "nvfp4", *BDR_FORMATS)
    raise ValueError(unknown_name("format", given, known))


def _without_scales(name: str, x: NDArray[Any]) -> ArgumentError:
    fmt = BLOCK_FORMATS.get(name.lower())
    element = fmt.element.name if fmt else "e2m1" if name.lower() == "nvfp4" else None
    alone = ("", "")
    if element is not None:
        either = ", or compare the codes alone with "
        alone = (f"{either}format={element!r}", f"{either}--format {element}")
    return ArgumentError.after(
        f"{name} has scales, and a is one array of {x.dtype}: ",
        f"pass (codes, scales) for each of a and b{alone[0]}",
        f"name them behind the codes, CODES.npy:SCALES.npy{alone[1]}",
    )


# --- what fits each other ---------------------------------------------------------------------


def _refuse_unlike(a: Any, b: Any) -> None:
    if getattr(a.format, "base", 0) == getattr(b.format, "base", 1) and a.format != b.format:
        raise _not_bits(
            f"a has blocks of {a.format.block_size}, b of {b.format.block_size} ({b.format.name}): "
            "their scales cannot be compared"
        )
    if a.format != b.format:
        raise _not_bits(
            f"a is in {a.format.name}, b in {b.format.name}: codes of two formats have no bits in "
            "common"
        )
    _refuse_shapes(a.shape, b.shape)
    if a.axis != b.axis:
        raise _not_bits(
            f"blocks of a lie along axis {a.axis}, those of b along axis {b.axis}: they share "
            "their scales differently"
        )


def _not_bits(what: str) -> ArgumentError:
    return ArgumentError.after(
        f"{what}. Compare the values: ",
        "mxref.diff(a.dequantize(), b.dequantize())",
        "add --values",
    )


def _refuse_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if a == b:
        return
    hint, save = "compare a slice of both", "save the same part of both"
    if a == b[::-1]:
        hint = "is one of them transposed? Compare a with b.T"
        save = "is one of them transposed? Save b.T"
    elif np.prod(a, dtype=object) == np.prod(b, dtype=object):
        hint = f"they have as many elements: reshape one, b.reshape{a}, if their order agrees"
        save = f"they have as many elements: save b in shape {a}, if their order agrees"
    raise ArgumentError.after(f"a has shape {a}, b has shape {b}; expected one shape: ", hint, save)


def _refuse_other_format(a: Any, given: Any) -> None:
    own = a.format.name
    if given is not None and _name(given).lower() not in {own, own.partition("/")[0]}:
        raise ArgumentError.after(
            f"format is {_name(given)!r}, but a and b say that they are in {own}: leave ",
            "it out",
            "--format out",
        )


# --- the forms --------------------------------------------------------------------------------


def _blocks(a: Any, b: Any) -> Pair:
    fmt = a.format
    policies = (str(a.policy), str(b.policy))
    size = fmt.k1 if isinstance(fmt, BDRFormat) else fmt.block_size
    whole = getattr(a, "global_scale", None)
    return Pair(
        fmt.name,
        "blocks",
        line_of(fmt),
        a.codes,
        b.codes,
        None if size is None else a.axis,
        size,
        _bits(a.scales),
        _bits(b.scales),
        getattr(a, "subscales", None),
        getattr(b, "subscales", None),
        None if whole is None else (float(whole), float(b.global_scale)),
        fmt,
        policies if policies[0] != policies[1] else None,
    )


def _values(a: Any, b: Any) -> Pair:
    """Compare an array of a block format with numbers, by its values in their type."""
    name, quantized, other = ("a", a, b) if _is_blocked(a) else ("b", b, a)
    rest = "b" if name == "a" else "a"
    numbers = as_numpy(other, rest)
    if numbers.dtype.newbyteorder("=") not in inputs.SOURCE_OF:
        values = "; as values it needs a type of real numbers, such as float32"
        format_name = quantized.format.name
        raise ArgumentTypeError.after(
            f"{name} is in {format_name}, {rest} holds {numbers.dtype}: as codes it needs scales, ",
            f"(codes, scales) with format={format_name!r}{values}",
            f"CODES.npy:SCALES.npy{values}",
        )
    values = quantized.dequantize()
    with np.errstate(over="ignore"):
        cast = values.astype(numbers.dtype.newbyteorder("="))
        is_exact = np.array_equal(cast.astype(np.float32), values, equal_nan=True)
    if not is_exact:
        raise ArgumentError.after(
            f"{rest} is {numbers.dtype}, which cannot hold the values of {name} "
            f"({quantized.format.name}): compare as float32, ",
            f"{rest}.astype(np.float32)",
            "with --values",
        )
    note = f"values of {name} ({quantized.format.name}) against {rest}"
    both = (cast, numbers) if name == "a" else (numbers, cast)
    return replace(_numbers(*both), notes=(note,))


def _numbers(a: NDArray[Any], b: NDArray[Any]) -> Pair:
    x, _ = inputs.as_float(a, "a")
    y, _ = inputs.as_float(b, "b")
    x, y = (each.astype(each.dtype.newbyteorder("="), copy=False) for each in (x, y))
    if x.dtype != y.dtype:
        wide = "float64" if np.float64 in {x.dtype.type, y.dtype.type} else "float32"
        raise ArgumentTypeError.after(
            f"a holds {x.dtype}, b holds {y.dtype}: bits of two types cannot be compared. ",
            f"Convert what is not {wide}: .astype(np.{wide}) keeps every value",
            f"Compare them as {wide}, which keeps every value: add --values",
        )
    _refuse_shapes(x.shape, y.shape)
    return Pair(x.dtype.name, "numbers", float_line(x.dtype), _bits(x), _bits(y))


def _bits(array: NDArray[Any]) -> NDArray[Any]:
    """Return the bit patterns of numbers; codes stay as they are."""
    if array.dtype == np.uint8:
        return array
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    bits: NDArray[Any] = array.view(_BITS[array.dtype.itemsize])
    return bits
