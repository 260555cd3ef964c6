"""The bits of a witness, cut into the fields of their formats: sign, exponent, mantissa."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mxref.check.parts import Witness
from mxref.formats import ELEMENT_FORMATS, Kind, block_format

__all__ = ["BitRow", "Field", "bit_rows", "fields"]

_SIGN, _EXPONENT, _MANTISSA = "sign", "exponent", "mantissa"
_FLOATS = {"float64": (11, 52), "float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
_BY_WIDTH = {64: ("float64",), 32: ("float32",), 16: ("float16", "bfloat16")}
_E8M0 = "e8m0"
_UE4M3 = "ue4m3"
_WITH_MANTISSA = {"nvfp4": ("e2m1", _UE4M3)}  # relatives of MX: their elements, their scales
_WIDEST_CODE = 8


@dataclass(frozen=True, slots=True)
class Field:
    """Neighbouring bits with one meaning.

    Attributes
    ----------
    name : str
        ``"sign"``, ``"exponent"``, ``"mantissa"``, ``"integer"``, ``"fraction"`` or, where the
        format is not known, ``"bits"``. Bits above a code that does not fit are ``"excess"``.
    bits : str
        Digits 0 and 1, the most significant first.
    """

    name: str
    bits: str


@dataclass(frozen=True, slots=True)
class BitRow:
    """One number of a witness, bit by bit.

    Attributes
    ----------
    role : str
        ``"input"``, ``"scale"``, ``"got"`` or ``"expected"``.
    format : str
        Name of the format, or empty where it is not known.
    fields : tuple of Field
    hex, value : str
        As the witness has them; empty where it has not.
    """

    role: str
    format: str
    fields: tuple[Field, ...]
    hex: str
    value: str

    @property
    def bits(self) -> str:
        """All digits."""
        return "".join(field.bits for field in self.fields)

    def split(self, separator: str = "|") -> str:
        """Return the fields with a separator between them."""
        return separator.join(field.bits for field in self.fields)


def fields(code: int, format: str) -> tuple[Field, ...]:  # noqa: A002
    """Cut a bit pattern into the fields of a format.

    Parameters
    ----------
    code : int
        Bit pattern. Bits that the format does not have become a field of their own.
    format : str
        Name of an element format, ``"e8m0"``, or float64, float32, float16 or bfloat16.

    Raises
    ------
    KeyError
        If there is no such format.

    Examples
    --------
    >>> [f"{field.name} {field.bits}" for field in fields(0x7E, "e4m3")]
    ['sign 0', 'exponent 1111', 'mantissa 110']
    >>> [field.bits for field in fields(0x3FC00000, "float32")]
    ['0', '01111111', '10000000000000000000000']
    """
    layout = _layout(format)
    width = sum(count for _, count in layout)
    digits = f"{code:0{width}b}"
    found = [Field("excess", digits[:-width])] if len(digits) > width else []
    start = len(digits) - width
    for name, count in layout:
        found.append(Field(name, digits[start : start + count]))
        start += count
    return tuple(found)


def _layout(name: str) -> tuple[tuple[str, int], ...]:
    if name == _E8M0:
        return ((_EXPONENT, 8),)
    if name == _UE4M3:  # bit 7 is no sign: it is to be zero
        return ((_SIGN, 1), (_EXPONENT, 4), (_MANTISSA, 3))
    if name in _FLOATS:
        exponent, mantissa = _FLOATS[name]
        return ((_SIGN, 1), (_EXPONENT, exponent), (_MANTISSA, mantissa))
    fmt = ELEMENT_FORMATS[name]
    if fmt.kind is Kind.FIXED:
        return ((_SIGN, 1), ("integer", 1), ("fraction", fmt.mantissa_bits))
    return ((_SIGN, 1), (_EXPONENT, fmt.exponent_bits), (_MANTISSA, fmt.mantissa_bits))


def bit_rows(witness: Witness, format: str) -> tuple[BitRow, ...]:  # noqa: A002
    """Return the numbers of a witness bit by bit: input, scale, got and expected.

    Parameters
    ----------
    witness : Witness
    format : str
        Of the report that it belongs to: a block, element or scale format.

    Examples
    --------
    >>> witness = Witness((0,), "element", "0x40200000", "2.5", None, "0x5", "3.0", "0x4", "2.0")
    >>> for row in bit_rows(witness, "mxfp4"):
    ...     print(f"{row.role:9} {row.split():35} {row.format}")
    input     0|10000000|01000000000000000000000  float32
    got       0|10|1                              e2m1
    expected  0|10|0                              e2m1
    """
    return tuple(_rows(witness, *_narrow(format)))


def _rows(witness: Witness, narrow: str, shared: str) -> Iterator[BitRow]:
    target = shared if witness.stage == "scale" else narrow
    code, _, value = (witness.scale_code or "").partition(" ")
    given = (
        ("input", narrow, witness.input_bits, witness.input_value),
        ("scale", shared, code, value.strip("()")),
        ("got", target, witness.got_bits, witness.got_value),
        ("expected", target, witness.expected_bits, witness.expected_value),
    )
    for role, name, digits, number in given:
        row = _row(role, name, digits or "", number or "")
        if row is not None:
            yield row


def _row(role: str, narrow: str, digits: str, value: str) -> BitRow | None:
    """One row; codes have at most eight bits, so that anything wider is a float."""
    try:
        code = int(digits, 16)
    except ValueError:
        return None
    if code < 0:
        return None
    width = 4 * (len(digits) - 2)
    name = narrow if width <= _WIDEST_CODE else _float_type(code, width, value)
    if not name:
        return BitRow(role, "", (Field("bits", f"{code:0{width}b}"),), digits, value)
    return BitRow(role, name, fields(code, name), digits, value)


def _float_type(code: int, width: int, value: str) -> str:
    """Which float type gives this value; 16 bits alone do not say."""
    candidates = _BY_WIDTH.get(width, ())
    if len(candidates) < 2:
        return candidates[0] if candidates else ""
    half = struct.unpack("<e", struct.pack("<H", code))[0]
    brain = struct.unpack("<f", struct.pack("<I", code << 16))[0]
    try:
        number = float(value)
    except ValueError:
        return ""
    is_half, is_brain = _same(half, number), _same(brain, number)
    if is_half == is_brain:
        return ""  # zero looks alike in both
    return "float16" if is_half else "bfloat16"


def _same(one: float, printed: float) -> bool:
    if math.isnan(one) or math.isnan(printed):
        return math.isnan(one) and math.isnan(printed)
    return one == printed or math.isclose(one, printed, rel_tol=1e-3)


def _narrow(name: str) -> tuple[str, str]:
    """The element or scale format of a report, empty where it is not known; and that of scales."""
    if name in (_E8M0, _UE4M3) or name in ELEMENT_FORMATS:
        return name, _UE4M3 if name == _UE4M3 else _E8M0
    if name in _WITH_MANTISSA:
        return _WITH_MANTISSA[name]
    try:
        return block_format(name).element.name, _E8M0
    except ValueError:
        return "", _E8M0
