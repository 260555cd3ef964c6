"""Look at one code of a format, or at a whole format.

The rules shown are those of the profile ``ocp``; `mxref.explain` takes any policy.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from fractions import Fraction
from typing import SupportsIndex

from mxref._suggest import unknown_name
from mxref.formats import (
    BLOCK_FORMATS,
    ELEMENT_FORMATS,
    SCALE_FORMATS,
    BlockFormat,
    ElementFormat,
    Kind,
    ScaleFormat,
    block_format,
    scalar_format,
)
from mxref.show._facts import (
    Interval,
    Neighbour,
    ScalarFormat,
    bit_fields,
    class_name,
    decoded,
    neighbours,
    notes,
    position,
    rounding_interval,
    saturated_interval,
)
from mxref.show._summary import parameters, summary
from mxref.show._text import View, binary, columns, decimal, field, joined, powers, ratio, short

__all__ = [
    "BlockView",
    "CodeView",
    "FormatView",
    "any_format",
    "show",
]


@dataclass(frozen=True, slots=True, repr=False)
class CodeView(View):
    """Everything about one code.

    Attributes
    ----------
    format : ElementFormat or ScaleFormat
        The format.
    code : int
        The bit pattern.
    fields : tuple of (str, str)
        Name and bits of each field, the most significant first.
    cls : str
        ``"zero"``, ``"subnormal"``, ``"normal"``, ``"fixed-point"``, ``"Inf"`` or ``"NaN"``.
    value : Fraction or None
        The exact value; None for Inf and NaN.
    position : int or None
        Steps from zero along the values of the format; for a scale, its unbiased exponent.
    below, above : Neighbour or None
        Neighbouring finite values.
    interval : Interval or None
        The real numbers that round to this code, before overflow is dealt with.
    saturated : Interval or None
        The real numbers that become this code because they overflow.
    notes : tuple of str
        What else is worth knowing.
    """

    format: ScalarFormat
    code: int
    fields: tuple[tuple[str, str], ...]
    cls: str
    value: Fraction | None
    position: int | None
    below: Neighbour | None
    above: Neighbour | None
    interval: Interval | None
    saturated: Interval | None
    notes: tuple[str, ...]

    def _lines(self) -> list[str]:
        fmt = self.format
        width = -(-fmt.bits // 4)
        lines = [f"{fmt.name} code 0x{self.code:0{width}x}, {self.code} of 0..{fmt.code_count - 1}"]
        bits = " | ".join(bits for _, bits in self.fields)
        lines += field("bits", f"{bits}   {' | '.join(name for name, _ in self.fields)}")
        lines += field("class", self.cls, [fmt.clause])
        if self.value is not None:
            lines += field("value", _value_text(self, self.value))
            lines += field("position", _position_text(self))
            lines += field("below", _neighbour_text(self.below, width))
            lines += field("above", _neighbour_text(self.above, width))
        lines += self._interval_lines()
        for note in self.notes:
            lines += field("note", note)
        return lines

    def _interval_lines(self) -> list[str]:
        lines = []
        if self.interval is not None:
            if isinstance(self.format, ScaleFormat):
                mode, clause = "a cast rounds down", "OP-E8M0-CAST"
            else:
                mode, clause = "to nearest, ties to even", "OP-ELEM-ROUNDING"
            lines += field("takes", f"{self.interval}   {mode}", [clause])
        if self.saturated is not None:
            is_fp8 = isinstance(self.format, ElementFormat) and self.format.is_fp8
            clause = "OP-FP8-OVERFLOW" if is_fp8 else "MX-1.0/6.3/clamp"
            if isinstance(self.format, ScaleFormat):
                clause = "OP-E8M0-CAST"
            lines += field("", f"{self.saturated}   by saturation", [clause])
        return lines

    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""

        def neighbour(n: Neighbour | None) -> dict[str, object] | None:
            return (
                None
                if n is None
                else {"code": n.code, "value": ratio(n.value), "gap": ratio(n.gap)}
            )

        return {
            "format": self.format.name,
            "code": self.code,
            "fields": dict(self.fields),
            "class": self.cls,
            "value": None if self.value is None else ratio(self.value),
            "powers": None if self.value is None else powers(self.value),
            "decimal": None if self.value is None else decimal(self.value),
            "position": self.position,
            "below": neighbour(self.below),
            "above": neighbour(self.above),
            "interval": self.interval and self.interval.to_dict(),
            "saturated": self.saturated and self.saturated.to_dict(),
            "notes": list(self.notes),
            "clause": self.format.clause,
        }


@dataclass(frozen=True, slots=True, repr=False)
class FormatView(View):
    """A whole element or scale format: a summary, and every code with its value."""

    format: ScalarFormat
    codes: tuple[CodeView, ...]

    def _lines(self) -> list[str]:
        width = -(-self.format.bits // 4)
        cells = [f"{view.code:0{width}x} {_cell(view)}" for view in self.codes]
        return [*summary(self.format), "", *columns(cells)]

    def to_dict(self) -> dict[str, object]:
        """Return the parameters of the format and the facts about every code."""
        return {**parameters(self.format), "codes": [view.to_dict() for view in self.codes]}


@dataclass(frozen=True, slots=True, repr=False)
class BlockView(View):
    """A block format: its parts and its range."""

    format: BlockFormat

    def _lines(self) -> list[str]:
        fmt = self.format
        element, scale = fmt.element, fmt.scale
        per_element = Fraction(fmt.block_bits, fmt.block_size)
        lines = [
            f"{fmt.name}: {fmt.block_size} elements {element.name} share one scale {scale.name}"
        ]
        bits = f"{scale.bits} + {fmt.block_size} * {element.bits} = {fmt.block_bits}"
        lines += field("bits", f"{bits} a block, {decimal(per_element)} an element")
        lines += field("value", "element i is scale * element i", ["MX-1.0/5.1/value"])
        tiny = element.min_subnormal * Fraction(2) ** scale.emin
        huge = element.max * Fraction(2) ** scale.emax
        lines += field("range", f"{powers(tiny)} to {powers(huge)}, and zero")
        standing = (
            "a concrete MX format" if fmt.is_concrete_mx else "no concrete MX format: k is not 32"
        )
        lines += field("standing", standing, ["MX-1.0/5.2/formats"])
        return [*lines, "", *summary(element), "", *summary(scale)]

    def to_dict(self) -> dict[str, object]:
        """Return the parameters of the format, of its element and of its scale."""
        return {
            "format": self.format.name,
            "block_size": self.format.block_size,
            "block_bits": self.format.block_bits,
            "concrete_mx": self.format.is_concrete_mx,
            "element": parameters(self.format.element),
            "scale": parameters(self.format.scale),
        }


def any_format(
    name: str | ElementFormat | ScaleFormat | BlockFormat,
) -> ElementFormat | ScaleFormat | BlockFormat:
    """Look up an element, scale or block format.

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
        raise TypeError(f"a format is a name such as 'e4m3' or 'mxfp4', got {type(name).__name__}")
    for look_up in (scalar_format, block_format):
        try:
            return look_up(name)
        except ValueError as error:
            # "mxfp4/0" names a format, so the complaint about its block size is the right one.
            if "/" in name and look_up is block_format and not str(error).startswith("unknown"):
                raise
    known = [*ELEMENT_FORMATS, *SCALE_FORMATS, *BLOCK_FORMATS]
    raise ValueError(unknown_name("format", name, known))


def show(
    format: str | ElementFormat | ScaleFormat | BlockFormat,  # noqa: A002 - the public name
    code: SupportsIndex | str | None = None,
) -> CodeView | FormatView | BlockView:
    """Show a code of a format, or a whole format.

    Parameters
    ----------
    format : str or a format
        An element (``"e4m3"``), scale (``"e8m0"``) or block format (``"mxfp4"``).
    code : int or str, optional
        The bit pattern, as an integer or as text such as ``"0x7e"``, ``"0b1111110"`` or ``"126"``.
        Without it the whole format is shown. A block format has no codes of its own.

    Returns
    -------
    CodeView, FormatView or BlockView
        ``str()`` gives the text, ``to_dict()`` the same facts as data.

    Raises
    ------
    ValueError
        If the format is unknown, or the code does not exist in it.
    TypeError
        If `format` or `code` is of another type.

    Examples
    --------
    >>> show("e2m1", 0b0111)
    e2m1 code 0x7, 7 of 0..15
      bits       0 | 11 | 1   sign | exponent | mantissa
      class      normal  [MX-1.0/5.3/fp4]
      value      6 = +3*2^1 = +0b1.1*2^2
      position   value 7 above zero
      below      4 = code 0x6, gap 2
      above      none
      takes      (5, 7)   to nearest, ties to even  [OP-ELEM-ROUNDING]
                 [7, +inf)   by saturation  [MX-1.0/6.3/clamp]
    """
    fmt = any_format(format)
    if isinstance(fmt, BlockFormat):
        if code is not None:
            parts = f"its element {fmt.element.name!r} or its scale {fmt.scale.name!r}"
            raise ValueError(
                f"{fmt.name!r} is a block format without codes of its own: show {parts}"
            )
        return BlockView(fmt)
    if code is None:
        return FormatView(fmt, tuple(_code_view(fmt, c) for c in range(fmt.code_count)))
    return _code_view(fmt, _checked_code(fmt, code))


def _checked_code(fmt: ScalarFormat, code: SupportsIndex | str) -> int:
    """Turn a code given as integer or text into an integer that exists in the format."""
    expected = f"codes of {fmt.name} are 0 to {fmt.code_count - 1} (0x{fmt.code_count - 1:x})"
    if isinstance(code, str):
        try:
            pattern = int(code, 0)
        except ValueError:
            raise ValueError(
                f"cannot read {code!r} as a code; {expected}, written as 0x.., 0b.. or decimal"
            ) from None
    elif isinstance(code, bool):
        raise TypeError(f"a code is an integer, got {code!r}; {expected}")
    else:
        try:
            pattern = operator.index(code)
        except TypeError:
            raise TypeError(
                f"a code is an integer or text such as '0x7e', got {code!r}; to see how a number "
                "is encoded use mxref.explain"
            ) from None
    if not 0 <= pattern < fmt.code_count:
        raise ValueError(f"code {code} is out of range: {expected}")
    return pattern


def _code_view(fmt: ScalarFormat, code: int) -> CodeView:
    cls = class_name(code, fmt)
    is_number = cls not in {"NaN", "Inf"}
    below, above = neighbours(code, fmt) if is_number else (None, None)
    return CodeView(
        format=fmt,
        code=code,
        fields=bit_fields(code, fmt),
        cls=cls,
        value=decoded(code, fmt).value if is_number else None,
        position=position(code, fmt) if is_number else None,
        below=below,
        above=above,
        interval=rounding_interval(code, fmt),
        saturated=saturated_interval(code, fmt),
        notes=notes(code, fmt),
    )


def _value_text(view: CodeView, value: Fraction) -> str:
    fmt = view.format
    if view.cls == "zero":
        return "-0" if view.fields[0] == ("sign", "1") else "0"
    if isinstance(fmt, ScaleFormat) or fmt.kind is Kind.FIXED:
        return joined(value)
    exponent = max(int(view.fields[1][1], 2), 1) - fmt.bias
    return f"{joined(value)} = {binary(value, fmt.mantissa_bits, exponent)}"


def _position_text(view: CodeView) -> str:
    if isinstance(view.format, ScaleFormat):
        return f"exponent {view.code} - {view.format.bias} = {view.position}"
    place = view.position or 0
    if not place:
        return "zero"
    return f"value {abs(place)} {'below' if place < 0 else 'above'} zero"


def _neighbour_text(neighbour: Neighbour | None, width: int) -> str:
    if neighbour is None:
        return "none"
    code = f"0x{neighbour.code:0{width}x}"
    return f"{short(neighbour.value)} = code {code}, gap {short(neighbour.gap)}"


def _cell(view: CodeView) -> str:
    """Value of a code in the table of a format."""
    sign = "-" if view.fields[0] == ("sign", "1") else ""
    if view.value is None:
        return sign + view.cls
    if not view.value:
        return sign + "0"
    return short(view.value)
