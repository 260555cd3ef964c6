"""Numbers and tables as plain text, 80 columns wide, without colour.

A decimal that is not exact always starts with ``~``; everything without it can be trusted to the
last digit.
"""

from __future__ import annotations

import sys
import textwrap
from abc import ABC, abstractmethod
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from typing import TYPE_CHECKING

from mxref.show import _paint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "WIDTH",
    "View",
    "binary",
    "columns",
    "decimal",
    "field",
    "joined",
    "powers",
    "ratio",
    "short",
    "with_article",
]

WIDTH = 80
_LABEL = 13  # columns for the label of a line, two of them indentation
_EXACT_DIGITS = 17  # a longer decimal is rounded, to _ROUNDED_DIGITS
_ROUNDED_DIGITS = 9  # enough to tell any two float32 apart
_WHOLE_BITS = 16  # binary digits before the point; a float has one
_RATIO_DIGITS = 40  # 2^127 has 39: every scale can be written out


class View(ABC):
    """Something to look at: `str` gives its text, and so does `repr`, for the REPL.

    Subclasses give the text as ``_lines()`` and the same facts as ``to_dict()``, in plain types
    that ``json.dumps`` accepts. What stretches of the text mean they may add as ``_marks()``:
    colours come from there, in an interactive session on a terminal and in a notebook. `str` is
    always without colour.
    """

    __slots__ = ()

    @abstractmethod
    def _lines(self) -> list[str]:
        """Return the text, a line each."""

    @abstractmethod
    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""

    def _marks(self, lines: Sequence[str]) -> Iterable[_paint.Mark]:
        """Say what parts of the text are; later marks win."""
        return _paint.common_marks(lines)

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines())

    def __repr__(self) -> str:
        # sys.ps1 exists in an interactive interpreter only: logs and files get plain text.
        return self.to_ansi() if hasattr(sys, "ps1") and _paint.wants_colour() else str(self)

    def to_ansi(self) -> str:
        """Return the text with the colours of a terminal."""
        lines = self._lines()
        return _paint.ansi(lines, self._marks(lines))

    def _repr_html_(self) -> str:
        lines = self._lines()
        return _paint.markup(lines, self._marks(lines))


def ratio(value: Fraction) -> str:
    """Write a number as ``p/q``, or as ``p`` if it is whole; always exact.

    Examples
    --------
    >>> ratio(Fraction(-7, 4))
    '-7/4'
    """
    return str(value)


def powers(value: Fraction) -> str:
    """Write a number as ``+m*2^e`` with an odd m; one that is not dyadic as ``p/q``.

    Examples
    --------
    >>> powers(Fraction(448)), powers(Fraction(-3, 1024)), powers(Fraction(1, 8))
    ('+7*2^6', '-3*2^-10', '+2^-3')
    """
    if value == 0:
        return "0"
    numerator, denominator = abs(value.numerator), value.denominator
    if denominator & (denominator - 1):
        return ratio(value)
    twos = (numerator & -numerator).bit_length() - 1
    sign, odd = "-" if value < 0 else "+", numerator >> twos
    factor = f"{odd}*" if odd > 1 else ""
    return f"{sign}{factor}2^{twos - denominator.bit_length() + 1}"


def binary(value: Fraction, mantissa_bits: int, exponent: int) -> str:
    """Write a number as ``+0b1.001*2^e`` with a given exponent and number of bits.

    Examples
    --------
    >>> binary(Fraction(9, 128), 3, -4)
    '+0b1.001*2^-4'
    """
    steps = abs(value) / Fraction(2) ** (exponent - mantissa_bits)
    digits = f"{steps.numerator:0{mantissa_bits + 1}b}"
    whole, fraction = digits[: len(digits) - mantissa_bits], digits[len(digits) - mantissa_bits :]
    if len(whole) > _WHOLE_BITS:
        return powers(value)  # a fixed-point format far beyond its range
    return f"{'-' if value < 0 else '+'}0b{whole}.{fraction}*2^{exponent}"


def decimal(value: Fraction, digits: int = _EXACT_DIGITS, rounded: int = _ROUNDED_DIGITS) -> str:
    """Write a number as a decimal: exact if `digits` suffice, else ``~`` and `rounded` digits.

    Examples
    --------
    >>> decimal(Fraction(7, 512)), decimal(Fraction(1, 3)), decimal(Fraction(1, 65536))
    ('0.013671875', '~0.333333333', '1.52587890625e-05')
    """
    for precision, mark in ((digits, ""), (rounded, "~")):
        context = Context(prec=precision)
        quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
        if mark or not context.flags[Inexact]:
            break
    return mark + _plain(quotient.normalize(context))


def _plain(number: Decimal) -> str:
    """Write a decimal as Python writes a float: an exponent only where digits would be lost."""
    sign, digits, _ = number.as_tuple()
    exponent = number.adjusted()
    text = "".join(map(str, digits))
    minus = "-" if sign else ""
    if -5 < exponent < 16:
        return format(number, "f")
    point = "." if len(text) > 1 else ""
    return f"{minus}{text[0]}{point}{text[1:]}e{exponent:+03d}"


def short(value: Fraction, width: int = 11) -> str:
    """Write a number exactly and briefly, for a cell: as a decimal if that fits, else m*2^e.

    Examples
    --------
    >>> short(Fraction(1, 512)), short(Fraction(1, 65536))
    ('0.001953125', '2^-16')
    """
    text = decimal(value)
    if not text.startswith("~") and len(text) <= width:
        return text
    return powers(value).removeprefix("+")


def joined(value: Fraction) -> str:
    """Write a number as p/q, as m*2^e and as a decimal, each only where it adds something.

    Examples
    --------
    >>> joined(Fraction(448)), joined(Fraction(9, 128))
    ('448 = +7*2^6', '9/128 = +9*2^-7 = 0.0703125')
    """
    written = ratio(value)
    forms = [written] if len(written) <= _RATIO_DIGITS + 2 else []
    forms += [form for form in (powers(value), decimal(value)) if form not in forms]
    return " = ".join(forms)


def field(label: str, text: str, clauses: Iterable[str] = ()) -> list[str]:
    """Give the lines of one labelled entry, wrapped at 80 columns, clauses in brackets behind it.

    Examples
    --------
    >>> field("class", "normal", ["OFP8-1.0/value"])
    ['  class      normal  [OFP8-1.0/value]']
    """
    tags = "".join(f"  [{clause}]" for clause in clauses)
    return textwrap.wrap(
        text + tags,
        width=WIDTH,
        initial_indent=f"  {label:<{_LABEL - 2}}",
        subsequent_indent=" " * _LABEL,
        break_on_hyphens=False,
    )


def with_article(name: str) -> str:
    """Put the article before the name of a class of arrays.

    Examples
    --------
    >>> with_article("MXArray"), with_article("BDRArray")
    ('an MXArray', 'a BDRArray')
    """
    return f"{'an' if name[:2] in ('MX', 'NV') or name[:1] in 'aeiou' else 'a'} {name}"


def columns(cells: Sequence[str], indent: int = 2, gap: int = 2) -> list[str]:
    """Lay cells out in as many columns as fit 80, reading down each column.

    Examples
    --------
    >>> columns(["0 a", "1 b", "2 c"], indent=0)
    ['0 a  1 b  2 c']
    """
    width = max(map(len, cells)) + gap
    across = max(1, (WIDTH - indent + gap) // width)
    down = -(-len(cells) // across)
    rows = [cells[row::down] for row in range(down)]
    return [" " * indent + "".join(f"{c:<{width}}" for c in row).rstrip() for row in rows]
