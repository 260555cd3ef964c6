"""A comparison as lines of text, as Markdown and as HTML."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mxref.quality._estimate import Estimate
    from mxref.show.compare._comparison import Comparison, Row

__all__ = ["html", "lines", "markdown", "number", "share"]

_WIDTH = 80
_BAR = 6
_BLOCKS = " ▏▎▍▌▋▊▉█"

_Column = tuple[str, int, Callable[["Row"], str]]


def lines(comparison: Comparison, *, all_rules: bool = False) -> list[tuple[str, str]]:
    """Return the lines of a table with the style of each."""
    rows = [r for r in comparison.rows if all_rules or r.is_best or r.is_default]
    total = comparison.elements
    loudest = max((r.qsnr.value for r in rows if math.isfinite(r.qsnr.value)), default=0.0)
    columns: list[_Column] = [
        ("bits", 5, lambda r: f"{r.bits_per_element:.4g}"),
        ("acc", 3, lambda r: str(r.block_accumulator_bits)),
        ("QSNR dB", 7, lambda r: number(r.qsnr.value)),
        ("±", 4, lambda r: _half(r.qsnr)),
        ("vectors", 7, lambda r: number(r.qsnr_of_vectors.value)),
        ("sat %", 5, lambda r: share(r.saturated, total)),
        ("zero %", 6, lambda r: share(r.flushed, total)),
        ("max err", 7, lambda r: f"{r.max_error:.1e}"),
    ]
    room = 0 if all_rules else _BAR + 1  # names of rules need the room of bars
    first = _WIDTH - sum(width + 1 for _, width, _ in columns) - room
    head = "".join(f" {name:>{width}}" for name, width, _ in columns)
    found = [(line, "title") for line in _fold(_title(comparison))]
    found += [("", ""), (f"{'format, rule':<{first}}{head}", "label")]
    for row in rows:
        cells = "".join(f" {text(row):>{width}}" for _, width, text in columns)
        bar = "" if all_rules else f" {_bar(row.qsnr.value, loudest)}"
        line = f"{_label(row, first, marked=all_rules):<{first}}{cells}{bar}".rstrip()
        found.append((line, "good" if row.is_best else ""))
    found.append(("", ""))
    return found + [
        (line, "label")
        for note in _legend(comparison, rows, marked=all_rules)
        for line in _fold(note)
    ]


def _label(row: Row, width: int, *, marked: bool) -> str:
    """Return format and rule; a default rule goes without saying where there is no room."""
    label = f"{row.format} {row.rule}"
    if marked:
        label = ("* " if row.is_best else "  ") + label
    if len(label) > width and row.is_default:
        return row.format
    return label if len(label) <= width else label[: width - 1] + "…"


def _title(comparison: Comparison) -> str:
    shape = " x ".join(map(str, comparison.shape))
    return (
        f"{comparison.name}: {comparison.dtype}, {shape}; blocks along axis {comparison.axis}; "
        f"{comparison.vectors} vectors of {comparison.length}"
    )


def _legend(comparison: Comparison, rows: list[Row], *, marked: bool) -> list[str]:
    meaning = (
        "QSNR: signal over error, pooled, ± its 95 % confidence; vectors: the mean of their QSNR. "
        "acc: bits of an exact accumulator for the dot product of two blocks. "
        "sat, zero: elements clamped, or flushed to zero."
    )
    notes = [meaning]
    hidden = len(comparison.rows) - len(rows)
    if hidden:
        notes.append(
            f"For each format its best rule, and its default if that is another; {hidden} rows "
            "more with --all, in Python with_all_rules()."
        )
    elif marked and any(row.is_best for row in rows):
        notes.append("* is the best rule of a format.")
    return notes + list(comparison.notes)


def markdown(comparison: Comparison) -> str:
    """Return a table in Markdown."""
    total = comparison.elements
    names = (
        *("format", "rule", "bits", "QSNR dB", "±", "vectors dB", "bound dB", "max error"),
        *("saturated %", "to zero %", "block acc. bits", "K=1024 acc. bits"),
    )
    aligned = ["---"] * 2 + ["--:"] * (len(names) - 2)
    out = [f"{_title(comparison)}.", "", f"| {' | '.join(names)} |", f"|{'|'.join(aligned)}|"]
    for r in comparison.rows:
        rule = f"**{r.rule}**" if r.is_best else r.rule
        cells = [
            *(r.format, rule + (" (default)" if r.is_default else "")),
            *(f"{r.bits_per_element:.6g}", number(r.qsnr.value), _half(r.qsnr)),
            *(number(r.qsnr_of_vectors.value), _bound(r), f"{r.max_error:.2e}"),
            *(share(r.saturated, total), share(r.flushed, total)),
            *(str(r.block_accumulator_bits), str(r.accumulator_bits)),
        ]
        out.append(f"| {' | '.join(cells)} |")
    out += ["", *(f"{note}  " for note in comparison.notes)] if comparison.notes else []
    return "\n".join(out).rstrip() + "\n"


def html(comparison: Comparison) -> str:
    """Return a table in HTML, the best rule of each format in bold."""
    total = comparison.elements
    names = ("format", "rule", "bits", "QSNR dB", "±", "vectors dB", "max error", "sat %", "zero %")
    head = "".join(_html_cell("th", i, name) for i, name in enumerate(names))
    body = []
    for r in comparison.rows:
        cells = (
            *(r.format, r.rule, f"{r.bits_per_element:.4g}", number(r.qsnr.value)),
            *(_half(r.qsnr), number(r.qsnr_of_vectors.value), f"{r.max_error:.1e}"),
            *(share(r.saturated, total), share(r.flushed, total)),
        )
        weight = ' style="font-weight:bold"' if r.is_best else ""
        body.append(
            f"<tr{weight}>{''.join(_html_cell('td', i, c) for i, c in enumerate(cells))}</tr>"
        )
    notes = "".join(f"<p>{escape(note)}</p>" for note in comparison.notes)
    caption = f'<caption style="text-align:left">{escape(_title(comparison))}</caption>'
    style = "border-collapse:collapse;color:inherit"
    return f'<table style="{style}">{caption}<tr>{head}</tr>{"".join(body)}</table>{notes}'


def _html_cell(tag: str, column: int, text: str) -> str:
    side = "left" if column < 2 else "right"  # names, then numbers
    return f'<{tag} style="text-align:{side};padding:1px 8px">{escape(text)}</{tag}>'


def number(value: float) -> str:
    """Return decibels as people read them."""
    return f"{value:.2f}" if math.isfinite(value) else str(value)


def share(part: int, total: int) -> str:
    """Return a share in percent; what is not zero does not look like zero.

    Examples
    --------
    >>> share(0, 9), share(1, 10**6), share(1, 300), share(1, 3)
    ('0', '<.01', '0.33', '33.3')
    """
    if not part:
        return "0"
    percent = 100 * part / total
    if percent < 0.01:
        return "<.01"
    return f"{percent:.2f}" if percent < 10 else f"{percent:.1f}"


def _half(estimate: Estimate) -> str:
    half = estimate.half_width
    return "" if math.isnan(half) else f"{half:.2f}" if half < 9.995 else f"{half:.0f}"


def _bound(row: Row) -> str:
    return "" if row.lower_bound is None else number(row.lower_bound)


def _bar(value: float, most: float) -> str:
    if value == math.inf:
        return "█" * _BAR
    if not value > 0 or most <= 0:
        return ""
    eighths = round(8 * _BAR * value / most)
    return "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()


def _fold(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, _WIDTH) or [""]
