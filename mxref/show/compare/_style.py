"""How plots look, and how they become the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

__all__ = ["COLOURS", "FAMILIES", "family", "figure", "save"]

# Okabe and Ito's colours, told apart by everyone; a family has a marker of its own as well.
COLOURS = {
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "purple": "#a85a86",
    "grey": "#666666",
    "yellow": "#c28e00",
}
FAMILIES = {
    "MX": (COLOURS["blue"], "o"),
    "NVFP4": (COLOURS["green"], "D"),
    "shared microexponents (MX9, MX6, MX4)": (COLOURS["orange"], "s"),
    "block floating point": (COLOURS["purple"], "^"),
    "VSQ": (COLOURS["yellow"], "P"),
    "scaled integers": (COLOURS["grey"], "v"),
    "scaled FP8": (COLOURS["grey"], "X"),
}
"""Colour and marker of each family of formats."""

_SETTINGS = {
    "svg.hashsalt": "mxref",
    "svg.fonttype": "path",  # the same glyphs everywhere
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
_SUFFIXES = (".svg", ".png", ".pdf")


def family(name: str) -> str:
    """Return the family of a format, a key of `FAMILIES`.

    Examples
    --------
    >>> family("mxfp4"), family("mx9"), family("scaled_int8")
    ('MX', 'shared microexponents (MX9, MX6, MX4)', 'scaled integers')
    """
    if name.startswith(("mxfp", "mxint")):
        return "MX"
    if name == "nvfp4":
        return "NVFP4"
    if name.startswith("vsq"):
        return "VSQ"
    if name.startswith("scaled_fp8"):
        return "scaled FP8"
    if name.startswith("scaled_int"):
        return "scaled integers"
    if name.startswith(("mx9", "mx6", "mx4")):
        return "shared microexponents (MX9, MX6, MX4)"
    return "block floating point"


@contextmanager
def figure(width: float = 8.0, height: float = 5.0, **subplots: Any) -> Iterator[tuple[Any, Any]]:
    """Make a figure and its axes, in this style; no window, no state of pyplot.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "plots need matplotlib: pip install 'mxref[plot]'", name="matplotlib"
        ) from None
    with mpl.rc_context(_SETTINGS):
        made = Figure(figsize=(width, height), layout="constrained")
        yield made, made.subplots(**subplots)


def save(made: Any, path: str | PathLike[str]) -> None:
    """Write a figure, without the date.

    Raises
    ------
    ValueError
        If the path ends in none of .svg, .png and .pdf.
    """
    suffix = require_suffix(path)
    empty = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[suffix]
    made.savefig(path, metadata=empty, dpi=150)


def require_suffix(path: str | PathLike[str]) -> str:
    """Return what a path ends in, if it is a kind of picture.

    Raises
    ------
    ValueError
        If it is not.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"{path}: a plot's name ends in {', '.join(_SUFFIXES)}")
    return suffix
