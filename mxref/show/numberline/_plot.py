"""A number line as a picture."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from mxref.show._code_view import hexadecimal
from mxref.show._text import short
from mxref.show.compare import _style
from mxref.show.numberline._drawing import LABEL_WIDTH, exponent_of, ranked

if TYPE_CHECKING:
    from mxref.show.numberline._line import NumberLine, Point

__all__ = ["plot"]

_LABELS = 40  # more values than these have labels only where they are powers of two
_WIDTH = 8.0


def plot(line: NumberLine, path: str | PathLike[str]) -> None:
    """Draw and write; see `NumberLine.plot`."""
    _style.require_suffix(path)
    with _style.figure(_WIDTH, 1.9) as (made, axes):
        draw(axes, line)
        _style.save(made, path)


def draw(axes: Any, line: NumberLine) -> None:
    """Draw a line on axes: a tick for each value, taller for powers of two."""
    axes.set_title(line.title)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    if line.is_log:
        axes.set_xscale("log", base=2)
    span = float(line.high - line.low)
    if line.is_log:
        ratio = float(line.high / line.low) ** 0.02
        axes.set_xlim(float(line.low) / ratio, float(line.high) * ratio)
    else:
        axes.set_xlim(float(line.low) - span * 0.02, float(line.high) + span * 0.02)
    axes.set_ylim(-1.0, 1.4)
    axes.spines["bottom"].set_position(("data", 0))
    _draw_taken(axes, line)
    for is_subnormal, colour, label in (
        (False, _style.COLOURS["blue"], "values"),
        (True, _style.COLOURS["orange"], "subnormals"),
    ):
        shown = [p for p in line.points if p.is_subnormal is is_subnormal]
        if shown:
            heights = [1.0 if _is_power(p) else 0.6 for p in shown]
            places = [float(p.value) for p in shown]
            axes.vlines(places, 0, heights, color=colour, lw=1.1, label=label, zorder=2)
    _label(axes, line)
    if any(p.is_subnormal for p in line.points):
        axes.legend(loc="upper right", ncols=3, fontsize=7, bbox_to_anchor=(1, 1.22))


def _draw_taken(axes: Any, line: NumberLine) -> None:
    """Draw the numbers that become the code as a band, and the code as a dot."""
    if line.code is None:
        return
    left, right = axes.get_xlim()
    for taken in line.taken:
        low = left if taken.interval.low is None else max(left, float(taken.interval.low))
        high = right if taken.interval.high is None else min(right, float(taken.interval.high))
        colour = _style.COLOURS["yellow" if taken.why == "rounding" else "purple"]
        words = f"{taken.interval} {taken.why}"
        axes.axvspan(
            low, high, ymin=1 / 2.4, ymax=0.95, color=colour, alpha=0.25, lw=0, label=words
        )
    value = float(line.book.number(line.code).value)
    axes.plot([value], [0], "o", color=_style.COLOURS["blue"], ms=5, zorder=3)
    axes.legend(loc="upper right", ncols=3, fontsize=7, bbox_to_anchor=(1, 1.22))


def _label(axes: Any, line: NumberLine) -> None:
    """Write values, and codes below them, as many as have room."""
    shown = _apart(axes, line)
    axes.set_xticks([float(p.value) for p in shown], [short(p.value, LABEL_WIDTH) for p in shown])
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=7)
    look = {"ha": "center", "va": "center", "fontsize": 7, "color": "#666666"}
    for p in shown:
        axes.text(float(p.value), -0.78, hexadecimal(p.code, line.book), **look)


def _apart(axes: Any, line: NumberLine) -> list[Point]:
    """Leave out labels that would overlap; of many values only round ones have any."""
    width = _WIDTH * 72
    transform = axes.transScale + axes.transLimits
    is_crowded = len(line.points) > _LABELS
    kept: list[tuple[float, float, Point]] = []
    for rank, point in enumerate(ranked(line)):
        at = float(transform.transform((float(point.value), 0))[0]) * width
        text = max(short(point.value, LABEL_WIDTH), hexadecimal(point.code, line.book), key=len)
        half = 2.4 * len(text) + 2
        is_round = rank < 3 or not point.value or _is_power(point)
        if is_crowded and not is_round:
            continue
        if all(abs(at - other) > half + reach for other, reach, _ in kept):
            kept.append((at, half, point))
    return [point for _, _, point in kept]


def _is_power(point: Point) -> bool:
    return exponent_of(point.value) is not None
