"""Plots of the training runs: loss over steps, and differences to FP32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from papers._plots import COLOURS, figure, save

__all__ = ["plot_all"]

_LINES = {
    "fp32": ("#000000", "-"),
    "bf16": (COLOURS["grey"], "--"),
    "mxfp8": (COLOURS["blue"], "-"),
    "mxfp8-rceil": (COLOURS["blue"], "--"),
    "mx9": (COLOURS["orange"], "-"),
    "mxfp6-e2m3": (COLOURS["green"], "-"),
    "mxfp6-e3m2": (COLOURS["green"], "--"),
    "mx6": (COLOURS["orange"], "--"),
    "mxfp4-mxfp6": (COLOURS["yellow"], "-"),
    "mxfp4": (COLOURS["purple"], "-"),
}
"""Colour and dashes of each recipe."""


def plot_all(facts: dict[str, Any], labels: Mapping[str, str], out: Path, name: str) -> None:
    """Write NAME-loss.svg and NAME-difference.svg."""
    with figure(9.0, 4.2, ncols=2, sharey=True) as (made, panels):
        _losses(panels, facts, labels)
        made.legend(*panels[0].get_legend_handles_labels(), ncols=5, loc="outside lower center")
        save(made, out / f"{name}-loss.svg")
    with figure(9.0, 4.2, ncols=2, width_ratios=(3, 2)) as (made, panels):
        _over_steps(panels[0], facts, labels)
        _at_the_end(panels[1], facts, labels)
        lines, marks = (panel.get_legend_handles_labels() for panel in panels)
        handles, names = lines[0] + marks[0], lines[1] + marks[1]
        made.legend(handles, names, ncols=3, loc="outside lower center")
        save(made, out / f"{name}-difference.svg")


def _column(curve: dict[str, Any], name: str) -> Any:
    return np.array(curve[name], float)  # None, where a run diverged, becomes NaN


def _draw(panel: Any, recipe: str, label: str, steps: list[int], values: Any) -> None:
    """Draw the mean of the seeds, and between which values they lie."""
    colour, dashes = _LINES[recipe]
    panel.plot(steps, values.mean(0), color=colour, ls=dashes, label=label, lw=1.3)
    panel.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.12, lw=0)


def _losses(panels: Any, facts: dict[str, Any], labels: Mapping[str, str]) -> None:
    pairs = facts["text"]["loss_of_pairs"]
    for panel, name, title in (
        (panels[0], "train", "Training loss"),
        (panels[1], "held_out", "Loss on plays held out"),
    ):
        for recipe, curve in facts["curves"].items():
            _draw(panel, recipe, labels[recipe], curve["steps"], _column(curve, name))
        panel.axhline(pairs, color="#888888", lw=0.8, ls=":")
        panel.text(
            1.0,
            pairs,
            "knowing only the character before",
            transform=panel.get_yaxis_transform(),
            ha="right",
            va="bottom",
            color="#555555",
            fontsize=8,
        )
        panel.set_title(title)
        panel.set_xlabel("step")
    panels[0].set_ylabel("nats per character")


def _over_steps(panel: Any, facts: dict[str, Any], labels: Mapping[str, str]) -> None:
    base = _column(facts["curves"]["fp32"], "held_out")
    for recipe, curve in facts["curves"].items():
        if recipe != "fp32":
            values = _column(curve, "held_out") - base
            _draw(panel, recipe, labels[recipe], curve["steps"], values)
    panel.axhline(0, color="black", lw=0.8)
    panel.set_title("Loss on plays held out, minus FP32's of the same seed")
    panel.set_xlabel("step")
    panel.set_ylabel("nats per character")


def _at_the_end(panel: Any, facts: dict[str, Any], labels: Mapping[str, str]) -> None:
    results = [one for one in reversed(facts["results"]) if one["recipe"] != "fp32"]
    for row, one in enumerate(results):
        if one["difference"] is None:
            panel.text(0, row, " diverged", va="center")
            continue
        colour, _ = _LINES[one["recipe"]]
        if one["interval"]:
            panel.plot(one["interval"], [row, row], color=colour, lw=1.5, solid_capstyle="butt")
        panel.plot(one["differences"], [row] * len(one["differences"]), "|", color=colour, ms=9)
        panel.plot([one["difference"]], [row], "o", color=colour, ms=5)
    rows = {one["recipe"]: row for row, one in enumerate(results)}
    for number, one in enumerate(facts["claims"]):
        label = "the paper's relative difference, 20 million parameters" if not number else None
        panel.plot(
            [one["paper_scaled"]], [rows[one["recipe"]] - 0.3], "k^", ms=5, mfc="white", label=label
        )
    panel.axvline(0, color="black", lw=0.8)
    names = [labels[one["recipe"]].replace(", ", ",\n") for one in results]
    panel.set_yticks(range(len(results)), names)
    panel.set_ylim(-0.6, len(results) - 0.4)
    panel.set_title("At the end, with 95 % interval")
    panel.set_xlabel("nats per character")
