"""`Comparison`: formats and scale rules side by side, for one array."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from mxref.quality._estimate import Estimate
from mxref.show._paint import Mark
from mxref.show._text import View

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Comparison", "Row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A format with one rule.

    Attributes
    ----------
    format, rule, policy : str
        Names; `rule` is short, `policy` is complete.
    is_default, is_best : bool
        Whether the rule is what the format does unless told otherwise, and whether its QSNR is
        the highest of those of the format.
    qsnr : Estimate
        Pooled over all vectors, in dB.
    qsnr_of_vectors : Estimate
        Mean of the QSNR of each vector, in dB.
    least : float
        Lowest QSNR of any vector, in dB.
    lower_bound : float or None
        What the QSNR cannot fall below under the default rule.
    max_error : float
        Largest absolute error.
    saturated, flushed, lost : int
        Elements that were clamped; that became zero; that became NaN or infinite.
    bits_per_element : float
    block_accumulator_bits, accumulator_bits, multiplier_bits : int
        As `mxref.quality.Cost` has them.
    """

    format: str
    rule: str
    policy: str
    is_default: bool
    is_best: bool
    qsnr: Estimate
    qsnr_of_vectors: Estimate
    least: float
    lower_bound: float | None
    max_error: float
    saturated: int
    flushed: int
    lost: int
    bits_per_element: float
    block_accumulator_bits: int
    accumulator_bits: int
    multiplier_bits: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison(View):
    """What `mxref.compare` returns: printed, it is a table; `plot` draws it.

    Attributes
    ----------
    rows : tuple of Row
        Formats with most bits first, then by QSNR.
    name, dtype : str
        Of the array.
    shape : tuple of int
    axis : int
        Along which blocks lie.
    vectors, length : int
        How many vectors there are for the confidence intervals, and of how many elements.
    elements : int
        How many were measured.
    notes : tuple of str
        What a reader has to know, such as that not all elements were measured.
    all_rules : bool
        Whether every rule of a format is printed, not only its best and its default.
    """

    rows: tuple[Row, ...]
    name: str
    dtype: str
    shape: tuple[int, ...]
    axis: int
    vectors: int
    length: int
    elements: int
    notes: tuple[str, ...] = ()
    all_rules: bool = False

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def _lines(self) -> list[str]:
        return [text for text, _ in self._styled()]

    def _styled(self) -> list[tuple[str, str]]:
        from mxref.show.compare import _table

        return _table.lines(self, all_rules=self.all_rules)

    def _marks(self, lines: Sequence[str]) -> Iterator[Mark]:
        del lines  # every line has a style of its own
        for at, (text, style) in enumerate(self._styled()):
            if style:
                yield Mark(at, 0, len(text), style)

    def with_all_rules(self) -> Comparison:
        """Return the same, printed with every rule of each format."""
        return replace(self, all_rules=True)

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain data; what is not finite is a string, as JSON wants it."""
        return self.as_dict()

    def best(self, format: str) -> Row:  # noqa: A002
        """Return the row of a format whose QSNR is highest.

        Raises
        ------
        ValueError
            If the format was not compared.
        """
        for row in self.rows:
            if row.format == format and row.is_best:
                return row
        names = ", ".join(dict.fromkeys(row.format for row in self.rows))
        raise ValueError(f"{format!r} was not compared; there are {names}")

    def to_text(self, *, all_rules: bool = False) -> str:
        """Return the table as plain text.

        Parameters
        ----------
        all_rules : bool
            Every rule of each format, not only the best and the default.
        """
        return str(self.with_all_rules() if all_rules else self)

    def __rich__(self) -> Text:
        """Let ``rich.print`` show colours."""
        from rich.text import Text

        return Text.from_ansi(self.to_ansi(), no_wrap=True)

    def to_markdown(self) -> str:
        """Return every row as a table in Markdown."""
        from mxref.show.compare import _table

        return _table.markdown(self)

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        from mxref.show.compare import _table

        return _table.html(self)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data; what is not finite is a string, as JSON wants it."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "axis": self.axis,
            "vectors": self.vectors,
            "length": self.length,
            "elements": self.elements,
            "notes": list(self.notes),
            "rows": [_plain(row) for row in self.rows],
        }

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.as_dict(), indent=1)

    def plot(self, path: str | PathLike[str]) -> None:
        """Draw QSNR against bits per element.

        Parameters
        ----------
        path : path
            A file ending in .svg, .png or .pdf. The same comparison gives the same bytes.

        Raises
        ------
        ValueError
            If the path ends in something else.
        ModuleNotFoundError
            If matplotlib, the extra ``plot``, is not installed.
        """
        from mxref.show.compare import _plot

        _plot.plot(self, path)


def _plain(row: Row) -> dict[str, Any]:
    found = asdict(row)
    for key in ("qsnr", "qsnr_of_vectors"):
        estimate: Estimate = getattr(row, key)
        found[key] = {name: _number(v) for name, v in estimate._asdict().items()}
    return {key: _number(value) for key, value in found.items()}


def _number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    return value
