"""The plots of the part `qsnr`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from papers._plots import COLOURS, figure, save

if TYPE_CHECKING:
    from mxref.show.compare import Comparison

__all__ = ["crossover", "dots", "scatter"]

_SHOWN = {  # distribution -> label, colour, marker
    "variable-gaussian": ("Gaussian of variable variance (the paper's)", "blue", "o"),
    "gaussian": ("Gaussian", "green", "D"),
    "laplace": ("Laplace", "yellow", "s"),
    "student-5": ("Student's t, 5 degrees", "purple", "^"),
    "student-3": ("Student's t, 3 degrees", "grey", "v"),
    "weights": ("MiniLM weights", "orange", "P"),
    "activations": ("MiniLM activations", "orange", "X"),
}


def scatter(comparison: Comparison, path: Path) -> None:
    """QSNR against bits per element over the paper's distribution."""
    from mxref.show.compare._plot import draw

    with figure(8.0, 5.6) as (made, axes):
        draw(axes, comparison.rows)
        axes.set_title(
            f"{comparison.vectors} Gaussian vectors of {comparison.length}, deviation |N(0, 1)|"
        )
        save(made, path)


def dots(found: dict[str, Any], path: Path) -> None:
    """A line for each format, a mark for each kind of data, under the default rule."""
    order = [r["format"] for r in found["variable-gaussian"]["rows"] if r["is_best"]]
    with figure(8.0, 7.0) as (made, axes):
        for where, (label, colour, marker) in _SHOWN.items():
            best = {r["format"]: r["qsnr"] for r in found[where]["rows"] if r["is_best"]}
            places = [i for i, name in enumerate(order) if name in best]
            values = [best[order[i]] for i in places]
            axes.errorbar(
                [v["value"] for v in values],
                places,
                xerr=[
                    [v["value"] - v["low"] for v in values],
                    [v["high"] - v["value"] for v in values],
                ],
                fmt=marker,
                color=COLOURS[colour],
                mfc="none" if where == "weights" else COLOURS[colour],
                ms=5,
                lw=0.8,
                alpha=0.85,
                label=label,
            )
        axes.set_yticks(range(len(order)), order)
        axes.invert_yaxis()
        axes.set_xlabel("QSNR, dB, under the best rule of each format (higher is better)")
        axes.legend(fontsize=8, loc="lower right")
        save(made, path)


def crossover(found: dict[str, Any], path: Path) -> None:
    """Integers and floating point against the crest factor of a block."""
    pairs = found["pairs"]
    with figure(8.0, 6.4, nrows=2, ncols=2) as (made, grid):
        for axes, pair in zip(grid.flat, pairs, strict=True):
            crest = [p["crest"] for p in pair["points"]]
            axes.plot(
                crest,
                [p["integer"] for p in pair["points"]],
                color=COLOURS["orange"],
                label=pair["integer"],
            )
            axes.plot(
                crest,
                [p["float"] for p in pair["points"]],
                color=COLOURS["blue"],
                label=pair["float"],
                ls="--",
            )
            if pair["claimed"] <= pair["most"]:
                axes.axvline(pair["claimed"], color=COLOURS["grey"], lw=1, ls=":")
                axes.annotate(
                    f"claimed {pair['claimed']}",
                    (pair["claimed"], 1),
                    (3, -4),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    va="top",
                    fontsize=7,
                    color=COLOURS["grey"],
                )
            axes.set_title(f"{pair['integer']} and {pair['float']}, blocks of {pair['block']}")
            axes.set_xlabel("crest factor, amax / rms")
            axes.set_ylabel("QSNR, dB")
            axes.legend(fontsize=8, loc="best")
        save(made, path)
