"""A comparison as a picture: QSNR against bits per element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from mxref.show.compare import _style

if TYPE_CHECKING:
    from mxref.show.compare._comparison import Comparison, Row

__all__ = ["draw", "plot", "spread"]


def plot(comparison: Comparison, path: str | PathLike[str]) -> None:
    """Draw and write; see `Comparison.plot`."""
    _style.require_suffix(path)
    with _style.figure(8.0, 5.4) as (made, axes):
        draw(axes, comparison.rows)
        shape = " x ".join(map(str, comparison.shape))
        axes.set_title(f"{comparison.name}: {comparison.dtype}, {shape}")
        _style.save(made, path)


def draw(axes: Any, rows: Sequence[Row], *, legend: bool = True) -> None:
    """Draw rows: the best rule of each format filled and named, the others hollow."""
    shown = [row for row in rows if math.isfinite(row.qsnr.value)]
    best = [row for row in shown if row.is_best]
    for row in shown:
        colour, marker = _style.FAMILIES[_style.family(row.format)]
        place = (row.bits_per_element, row.qsnr.value)
        if not row.is_best:
            axes.plot(*place, marker, mfc="none", mec=colour, ms=4, mew=0.7, alpha=0.6)
            continue
        half = row.qsnr.half_width
        bar = None if math.isnan(half) else half
        axes.errorbar(*place, yerr=bar, fmt=marker, color=colour, ms=6, capsize=2, lw=1)
    axes.set_xlabel("bits per element, with scales")
    axes.set_ylabel("QSNR, dB (higher is better)")
    axes.margins(x=0.14, y=0.08)
    axes.set_xlim(*axes.get_xlim())
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    _name(axes, best, (high - low) / 30)
    if legend:
        _legend(axes, best)


def _name(axes: Any, rows: Sequence[Row], gap: float) -> None:
    """Write names to the right of points; those that would overlap are moved apart."""
    groups: list[list[Row]] = []
    for row in sorted(rows, key=lambda r: r.bits_per_element):
        if groups and row.bits_per_element - groups[-1][0].bits_per_element < 0.6:
            groups[-1].append(row)
        else:
            groups.append([row])
    left, right = axes.get_xlim()
    reach = (right - left) / 60
    for group in groups:
        group.sort(key=lambda r: r.qsnr.value)
        end = max(r.bits_per_element for r in group) + reach
        for row, height in zip(group, spread([r.qsnr.value for r in group], gap), strict=True):
            axes.annotate(
                row.format,
                (row.bits_per_element, row.qsnr.value),
                (end, height),
                va="center",
                fontsize=8,
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#888888", "shrinkB": 3},
            )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending places apart until neighbours have a gap, as little as may be.

    Examples
    --------
    >>> spread([0.0, 0.5, 10.0], 1.0)
    [-0.25, 0.75, 10.0]
    """
    clusters: list[tuple[float, int]] = []  # centre, members
    for place in places:
        clusters.append((place, 1))
        while len(clusters) > 1:
            (a, n), (b, k) = clusters[-2:]
            if a + (n - 1) * gap / 2 + gap <= b - (k - 1) * gap / 2:
                break
            clusters[-2:] = [((a * n + b * k) / (n + k), n + k)]
    return [c + (i - (n - 1) / 2) * gap for c, n in clusters for i in range(n)]


def _legend(axes: Any, rows: Sequence[Row]) -> None:
    from matplotlib.lines import Line2D

    used = {_style.family(row.format) for row in rows}
    handles = [
        Line2D([], [], ls="", marker=marker, color=colour, label=name)
        for name, (colour, marker) in _style.FAMILIES.items()
        if name in used
    ]
    hollow = Line2D([], [], ls="", marker="o", mfc="none", mec="#666666", ms=4, label="other rules")
    axes.legend(handles=[*handles, hollow], fontsize=8, loc="upper left")
