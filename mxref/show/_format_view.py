"""A whole format as something to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mxref.formats import BlockFormat
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.nvfp4_format import NVFP4Format
from mxref.show._books import Book
from mxref.show._code_view import CodeView
from mxref.show._format_table import html_table, table_lines, table_marks
from mxref.show._paint import Mark, common_marks, markup
from mxref.show._summary import bdr_summary, nvfp4_summary, parameters, summary
from mxref.show._text import View, decimal, field, powers, ratio

if TYPE_CHECKING:
    from mxref.show.numberline import NumberLine

__all__ = ["BDRView", "BlockView", "FormatView", "NVFP4View"]


@dataclass(frozen=True, slots=True, repr=False)
class FormatView(View):
    """A whole element or scale format: a summary, and every code with its value."""

    book: Book
    codes: tuple[CodeView, ...]

    @property
    def name(self) -> str:
        """Name of the format."""
        return self.book.name

    @property
    def format(self) -> Any:
        """The format, an entry of a table."""
        return self.book.format

    def line(self, **options: Any) -> NumberLine:
        """Draw the values on a line; see `mxref.show.numberline.numberline`."""
        from mxref.show.numberline import numberline

        return numberline(self.book, **options)

    def _lines(self) -> list[str]:
        return [
            *summary(self.book),
            *self.codes[0].policy_lines(),
            "",
            *table_lines(self.codes, self.book),
        ]

    def _marks(self, lines: Sequence[str]) -> Iterator[Mark]:
        yield from _table_view_marks(self.codes, lines)

    def _repr_html_(self) -> str:
        return _table_view_html(self, self.codes)

    def to_dict(self) -> dict[str, object]:
        """Return the parameters of the format and the facts about every code."""
        return {**parameters(self.book), "codes": [view.to_dict() for view in self.codes]}


@dataclass(frozen=True, slots=True, repr=False)
class BlockView(View):
    """A block format: its parts and its range."""

    format: BlockFormat

    def _lines(self) -> list[str]:
        from mxref.show._find import book_of

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
        return [*lines, "", *summary(book_of(element)), "", *summary(book_of(scale))]

    def to_dict(self) -> dict[str, object]:
        """Return the parameters of the format, of its element and of its scale."""
        from mxref.show._find import book_of

        return {
            "format": self.format.name,
            "block_size": self.format.block_size,
            "block_bits": self.format.block_bits,
            "concrete_mx": self.format.is_concrete_mx,
            "element": parameters(book_of(self.format.element)),
            "scale": parameters(book_of(self.format.scale)),
        }


@dataclass(frozen=True, slots=True, repr=False)
class NVFP4View(View):
    """NVFP4: its parts and its range."""

    format: NVFP4Format

    def _lines(self) -> list[str]:
        from mxref.show._find import book_of

        element, scale = book_of(self.format.element), book_of(self.format)
        return [*nvfp4_summary(self.format), "", *summary(element), "", *summary(scale)]

    def to_dict(self) -> dict[str, object]:
        """Return the parameters of the format, of its element and of its scale."""
        from mxref.show._find import book_of

        return {
            "format": self.format.name,
            "block_size": self.format.block_size,
            "bits_per_element": ratio(self.format.bits_per_element),
            "element": parameters(book_of(self.format.element)),
            "scale": parameters(book_of(self.format)),
        }


@dataclass(frozen=True, slots=True, repr=False)
class BDRView(View):
    """A BDR format: what a block consists of, and every code of an element."""

    format: BDRFormat
    codes: tuple[CodeView, ...]

    @property
    def name(self) -> str:
        """Name of the format."""
        return self.format.name

    def line(self, **options: Any) -> NumberLine:
        """Draw the elements on a line; see `mxref.show.numberline.numberline`."""
        from mxref.show.numberline import numberline

        return numberline(self.format, **options)

    def _lines(self) -> list[str]:
        book = self.codes[0].book
        return [*bdr_summary(self.format), "", *table_lines(self.codes, book)]

    def _marks(self, lines: Sequence[str]) -> Iterator[Mark]:
        yield from _table_view_marks(self.codes, lines)

    def _repr_html_(self) -> str:
        return _table_view_html(self, self.codes)

    def to_dict(self) -> dict[str, object]:
        """Return the parameters of the format and the facts about every element code."""
        fmt = self.format
        return {
            "format": fmt.name,
            "m": fmt.m,
            "k1": fmt.k1,
            "k2": fmt.k2,
            "scale": fmt.scale.value,
            "d1": fmt.d1,
            "subscale": fmt.subscale.value,
            "d2": fmt.d2,
            "element": fmt.element.value,
            "bits_per_element": ratio(fmt.bits_per_element),
            "formula": fmt.formula,
            "codes": [view.to_dict() for view in self.codes],
        }


def _table_view_marks(views: Sequence[CodeView], lines: Sequence[str]) -> Iterator[Mark]:
    """Mark a summary, and below the empty line a table."""
    first = lines.index("") + 1
    yield from common_marks(lines[:first])
    yield from table_marks(views, first, lines)


def _table_view_html(view: FormatView | BDRView, views: Sequence[CodeView]) -> str:
    """Give the summary as text, and a real table in place of that of the text."""
    lines = str(view).splitlines()
    head = lines[: lines.index("")]
    return markup(head, common_marks(head)) + html_table(views)
