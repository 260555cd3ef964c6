"""QSNR of every format: the figure of the BDR paper, other distributions, and real tensors."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import mxref
from papers import qsnr_claims, qsnr_crossover, qsnr_plots
from papers.qsnr_data import (
    DISTRIBUTIONS,
    SEED,
    activation_tensors,
    drawn,
    weight_tensors,
)

if TYPE_CHECKING:
    from mxref.show.compare import Comparison

__all__ = ["MINUTES", "NAME", "run"]

NAME = "qsnr"
MINUTES = 6.0

RULES = (
    *("floor", "ceil", "rceil", "even", "tosa", "mse"),
    *("te-1d", "te-four-over-six-mse", "fouroversix-static-4", "torchao-single"),
    *("bdr-paper", "vs-quant"),
)
"""Rules that are compared: profiles that give the same numbers up to a tie are left out."""
_QUICK_RULES = ("floor", "rceil", "te-1d", "bdr-paper")  # each more is kernels to compile
PAPER = "variable-gaussian"
_VECTORS = {PAPER: 10_240}  # more than 10,000, as the paper has
_OTHER_VECTORS = 2048
_QUICK_VECTORS = 64

Progress = Callable[[float, str], None]


def run(out: Path, *, quick: bool, progress: Progress) -> None:
    """Measure, compare with what was published, write and draw."""
    found: dict[str, Any] = {}
    comparisons: dict[str, Comparison] = {}
    share = 0.0
    for name, (text, _) in DISTRIBUTIONS.items():
        vectors = _QUICK_VECTORS if quick else _VECTORS.get(name, _OTHER_VECTORS)
        part = 0.35 if name == PAPER else 0.07
        report = _within(progress, share, part, name)
        comparisons[name] = measured(drawn(name, vectors), name, report, quick=quick)
        share += part
        found[name] = {"what": text, **_of_comparison(comparisons[name])}
    for name, text, tensors in (
        ("weights", "weights of the linear layers of all-MiniLM-L6-v2", weight_tensors),
        ("activations", "inputs of the linear layers of all-MiniLM-L6-v2", activation_tensors),
    ):
        each = [
            (t, measured(x, t, _within(progress, share, 0.0, f"{name} {t}"), quick=quick))
            for t, x in tensors(quick=quick)
        ]
        share += 0.15
        found[name] = {"what": text, **_of_tensors(each)}
    crossover = qsnr_crossover.measure(quick=quick)
    progress(0.97, "plots")
    claims = qsnr_claims.claims(found, crossover)
    document = {
        "command": "python -m papers qsnr" + (" --quick" if quick else ""),
        "versions": {
            "mxref": mxref.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "seed": SEED,
        "distributions": found,
        "bounds": qsnr_claims.bounds(found),
        "claims": claims,
        "crossover": crossover,
        "proxies": (
            "No published area model can be recomputed; in place of the paper's normalised "
            "area-memory product stand packed bits per element, the bits of a multiplier and the "
            "width of an exact accumulator."
        ),
    }
    text = json.dumps(rounded(document), indent=1, sort_keys=True, ensure_ascii=False)
    (out / f"{NAME}.json").write_text(text + "\n", "utf-8")
    qsnr_plots.scatter(comparisons[PAPER], out / f"{NAME}-paper.svg")
    qsnr_plots.dots(found, out / f"{NAME}-distributions.svg")
    qsnr_plots.crossover(crossover, out / f"{NAME}-crossover.svg")


def measured(x: NDArray[np.float32], name: str, progress: Progress, *, quick: bool) -> Comparison:
    """Compare all formats on a matrix, all of it."""
    from mxref.show.compare import compare

    rules = _QUICK_RULES if quick else RULES
    return compare(x, rules=rules, limit=None, name=name, progress=progress)


def _within(progress: Progress, start: float, share: float, what: str) -> Progress:
    return lambda done, text: progress(start + share * done, f"{what}: {text}")


_COSTS = ("bits_per_element", "block_accumulator_bits", "accumulator_bits", "multiplier_bits")


def _of_comparison(comparison: Comparison) -> dict[str, Any]:
    rows = [
        {
            **_named(row),
            "qsnr": _interval(row.qsnr),
            "qsnr_of_vectors": _interval(row.qsnr_of_vectors),
            "least": row.least,
            "bound": row.lower_bound,
            "max_error": row.max_error,
            "saturated_percent": 100 * row.saturated / comparison.elements,
            "to_zero_percent": 100 * row.flushed / comparison.elements,
        }
        for row in comparison
    ]
    return {"vectors": comparison.vectors, "length": comparison.length, "rows": rows}


def _of_tensors(each: list[tuple[str, Comparison]]) -> dict[str, Any]:
    """Mean over tensors, each of which counts alike, with the confidence of that mean."""
    from mxref.quality import estimate_mean

    by_rule: dict[tuple[str, str], list[Any]] = {}
    elements = [c.elements for _, c in each]
    for _, comparison in each:
        for row in comparison:
            by_rule.setdefault((row.format, row.rule), []).append(row)
    best: dict[str, float] = {}
    rows = []
    for (name, _), found in by_rule.items():
        mean = estimate_mean([row.qsnr.value for row in found])
        best[name] = max(best.get(name, -math.inf), mean.value)
        rows.append(
            {
                **_named(found[0]),
                "qsnr": _interval(mean),
                "least": min(row.least for row in found),
                "bound": min((r.lower_bound for r in found if r.lower_bound), default=None),
                "max_error": max(row.max_error for row in found),
                "saturated_percent": 100 * _total(r.saturated for r in found) / sum(elements),
                "to_zero_percent": 100 * _total(r.flushed for r in found) / sum(elements),
            }
        )
    named: set[str] = set()
    for entry in sorted(rows, key=lambda r: not r["is_default"]):  # of equals, the default rule
        name = entry["format"]
        entry["is_best"] = name not in named and entry["qsnr"]["value"] == best[name]
        named |= {name} if entry["is_best"] else set()
    rows.sort(key=lambda r: (-r["bits_per_element"], -best[r["format"]], -r["qsnr"]["value"]))
    return {"tensors": len(each), "elements": sum(elements), "rows": rows}


def _named(row: Any) -> dict[str, Any]:
    keys = ("format", "rule", "is_best", "is_default", *_COSTS)
    return {key: getattr(row, key) for key in keys}


def _interval(estimate: Any) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _total(counts: Iterable[int]) -> int:
    return sum(counts)


def rounded(value: Any) -> Any:
    """Leave as many digits as mean something; what JSON cannot say becomes text."""
    if isinstance(value, dict):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return float(f"{value:.5g}")
    return value
