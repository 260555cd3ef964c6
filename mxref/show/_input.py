"""Numbers as people give them to `explain`: floats, numpy scalars, text, bit patterns."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, SupportsIndex

from mxref.exact import ieee
from mxref.exact.number import Number, NumberClass
from mxref.show._errors import ArgumentError
from mxref.show._text import decimal, joined

__all__ = [
    "Given",
    "Wanted",
    "is_block",
    "read_block",
    "read_draws",
    "read_number",
    "refuse_length",
]

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BITS = re.compile(r"0[xX][0-9a-fA-F]+")
_SPECIAL = re.compile(r"([+-]?)(?:(inf|infinity)|(nan))", re.IGNORECASE)
_FLOAT64 = 308  # the decimal exponents of float64
_FAR = 400  # decimal exponents beyond this are infinity or zero in every source format
_HOW = (
    "write a decimal such as '1.3', 'inf', 'nan', or the bits of a float32 such as '0x3fa66666'; "
    "'bfloat16:0x3fa6' and 'float16:1.3' name another source format"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What else was asked for: a place of a tensor, and what its conversion is given.

    Attributes
    ----------
    at : int, sequence of int or None
        The place; None for a number or a block.
    axis : int
        Along which blocks lie.
    pad : bool
        Whether zeros may complete a short block.
    random, scale_random : int, sequence, array or None
        Random bits of the elements and of the scales.
    """

    at: Any = None
    axis: Any = -1
    pad: bool = False
    random: Any = None
    scale_random: Any = None


@dataclass(frozen=True, slots=True)
class Given:
    """A number as it was given.

    Attributes
    ----------
    number : Number
        What it stands for, exactly.
    source : str or None
        The IEEE format that it came in; None for an exact number (int, Fraction).
    bits : int or None
        Its bit pattern in that format.
    text : str or None
        The text, where it had to be rounded to the source format.
    """

    number: Number
    source: str | None = None
    bits: int | None = None
    text: str | None = None

    @property
    def pattern(self) -> str:
        """Source and bits, such as ``float32 0x3fa66666``; empty for an exact number."""
        if self.source is None or self.bits is None:
            return ""
        return f"{self.source} 0x{self.bits:0{ieee.IEEE_FORMATS[self.source].bits // 4}x}"

    @property
    def brief(self) -> str:
        """The number, short enough for a heading or a cell."""
        return self.text or brief(self.number)

    def __str__(self) -> str:
        is_finite = self.number.cls is NumberClass.FINITE
        value = joined(self.number.value) if is_finite else str(self.number)
        return f"{self.pattern} = {value}{self._lost()}" if self.pattern else value

    def _lost(self) -> str:
        """Say where rounding to the source left nothing of the text."""
        if self.text is None or self.number.cls is NumberClass.FINITE:
            return ""
        what = "infinity" if self.number.cls is NumberClass.INF else "zero"
        more = ""
        if self.source != "float64" and abs(Decimal(self.text).adjusted()) < _FLOAT64:
            more = f"; write float64:{self.text} to keep it"
        return f" ({self.text} is {what} in {self.source}{more})"


def brief(number: Number) -> str:
    """Write a number in at most a dozen characters, with ``~`` where it is not exact.

    Examples
    --------
    >>> brief(Number.finite(Fraction(13, 10))), brief(Number.nan(1))
    ('1.3', '-nan')
    """
    if number.cls is not NumberClass.FINITE:
        return str(number)
    return decimal(number.value, digits=9, rounded=6)


def is_block(x: object) -> bool:
    """Whether `x` is a sequence of numbers rather than one number."""
    if isinstance(x, str | bytes):
        return False
    shape = getattr(x, "shape", None)
    return bool(shape) if shape is not None else isinstance(x, Iterable)


def read_block(x: Any) -> list[Given]:
    """Read a flat sequence of numbers.

    Raises
    ------
    ValueError
        If an array has several dimensions, or a number cannot be read.
    """
    x = _native(x)
    if len(getattr(x, "shape", ())) > 1:
        what = f"a block is a flat sequence of numbers, got an array of shape {x.shape}; "
        inner = ["0"] * (len(x.shape) - 1)
        raise ArgumentError(
            f"{what}say which place to explain, such as at=({', '.join([*inner, '5'])}), or give "
            f"one block, such as x[{', '.join([*inner, ':32'])}]",
            f"{what}say which place to explain, such as --at {','.join([*inner, '5'])}",
        )
    return [read_number(item) for item in x]


def _native(x: Any) -> Any:
    """Tensors of other frameworks as numpy arrays; anything else as it is."""
    if not hasattr(x, "shape") or type(x).__module__.partition(".")[0] in {"numpy", "ml_dtypes"}:
        return x
    from mxref import _inputs as inputs

    return inputs.as_float(x)[0]


def read_number(x: object) -> Given:
    """Read one number.

    Parameters
    ----------
    x : float, int, Fraction, numpy or ml_dtypes scalar, or str
        A Python float is a float64. Text is the nearest float32, or the bits of one.

    Raises
    ------
    ValueError
        If text is no number.
    TypeError
        If `x` is something else.

    Examples
    --------
    >>> read_number("1.3").pattern, read_number(1.3).pattern
    ('float32 0x3fa66666', 'float64 0x3ff4cccccccccccd')
    """
    if isinstance(x, str):
        return _read_text(x)
    x = _native(x)
    if isinstance(x, Number):
        return Given(x)
    dtype = getattr(x, "dtype", None)
    if dtype is not None and dtype.name in ieee.IEEE_FORMATS:
        # A numpy scalar, or an array without dimensions: its bytes are its pattern.
        order = {">": "big", "<": "little"}.get(dtype.byteorder, sys.byteorder)
        bits = int.from_bytes(x.tobytes(), order)  # type: ignore[attr-defined,arg-type]
        return Given(ieee.from_bits(bits, dtype.name), dtype.name, bits)
    if isinstance(x, float):
        bits = int.from_bytes(struct.pack(">d", x), "big")
        return Given(ieee.from_bits(bits, "float64"), "float64", bits)
    if isinstance(x, Fraction):
        return Given(Number.finite(x))
    if isinstance(x, SupportsIndex) and not isinstance(x, bool):
        return Given(Number.finite(x.__index__()))
    kind = type(x).__name__ if dtype is None else dtype.name
    raise TypeError(
        f"expected a number (float, int, Fraction, str, or a float16, bfloat16, float32 or "
        f"float64 scalar), got {x!r} ({kind})"
    )


def _read_text(text: str) -> Given:
    name, colon, rest = text.strip().rpartition(":")
    source, body = (name.strip().lower() if colon else "float32"), rest.strip()
    if source not in ieee.IEEE_FORMATS:
        known = ", ".join(ieee.IEEE_FORMATS)
        raise ValueError(f"cannot read {text!r}: {source!r} is not one of {known}; {_HOW}")
    if _BITS.fullmatch(body):
        return _read_bits(text, body, source)
    special, is_exact = _SPECIAL.fullmatch(body), True
    if special:
        make = Number.inf if special[2] else Number.nan
        number = make(int(special[1] == "-"))
    elif _NUMBER.fullmatch(body):
        number = _real(body)
        is_exact = number.cls is NumberClass.FINITE or not Decimal(body)
    else:
        raise ValueError(f"cannot read {text!r} as a number; {_HOW}")
    bits = ieee.to_bits(number, source, "ocp:decode_nan=signed")
    rounded = ieee.from_bits(bits, source)
    is_exact &= rounded == number
    return Given(rounded, source, bits, text=None if is_exact else body)


def _read_bits(text: str, body: str, source: str) -> Given:
    digits = ieee.IEEE_FORMATS[source].bits // 4
    if len(body) - 2 != digits:
        raise ValueError(
            f"cannot read {text!r}: the bits of a {source} are {digits} hexadecimal digits, "
            f"got {len(body) - 2}; {_HOW}"
        )
    bits = int(body, 16)
    return Given(ieee.from_bits(bits, source), source, bits)


def _real(body: str) -> Number:
    """Read a decimal exactly; one that no source format can tell from infinity or zero as such."""
    sign, number = int(body.startswith("-")), Decimal(body)
    if number and number.adjusted() > _FAR:
        return Number.inf(sign)
    if number and number.adjusted() < -_FAR:
        return Number.zero(sign)
    return Number.finite(Fraction(number), sign_of_zero=sign)


def refuse_length(count: int, size: int, name: str, *, pad: bool) -> None:
    """Refuse a number of elements that makes no block.

    Raises
    ------
    ValueError
        If there are none or too many, or too few and `pad` is false.

    Examples
    --------
    >>> refuse_length(3, 16, "nvfp4", pad=True)
    """
    if count != size and not (pad and 0 < count < size):
        what = f"a block of {name} has {size} elements, got {count}; "
        raise ArgumentError(
            f"{what}pass pad=True to complete a short one with zeros, or pick a place of an array "
            "with at=(0, 5)",
            f"{what}add --pad to complete a short one with zeros, or pick a place of FILE.npy "
            "with --at 0,5",
        )


def read_draws(random: int | Sequence[int] | None, count: int) -> list[int] | None:
    """One random number for each element; a lone one serves the first, and the others get 0.

    Raises
    ------
    ValueError
        If there are several, and not as many as elements.

    Examples
    --------
    >>> read_draws(5, 3)
    [5, 0, 0]
    """
    if random is None:
        return None
    given = [random] if isinstance(random, int) else list(random)
    if len(given) == 1:
        given += [0] * (count - 1)
    if len(given) != count:
        raise ValueError(f"{len(given)} random numbers for {count} elements; give one for each")
    return given
