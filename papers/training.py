"""Training a small transformer in each format: does the loss follow that of FP32?

After "Microscaling Data Formats for Deep Learning" (arXiv 2310.10537), which trains generative
models of 20 million to 1.5 billion parameters. Here: less than half a million, on Shakespeare.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import math
import multiprocessing
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from papers.training_model import FULL, QUICK, Size, train_alone
from papers.training_text import HELD_OUT, PACKAGE, SHA256, load_text

__all__ = ["MINUTES", "NAME", "RECIPES", "run"]

NAME = "training"
MINUTES = 36.0

RECIPES = {
    "fp32": "FP32",
    "bf16": "BF16",
    "mxfp8": "MXFP8 E4M3",
    "mxfp8-rceil": "MXFP8 E4M3, RCEIL",
    "mx9": "MX9",
    "mxfp6-e2m3": "MXFP6 E2M3",
    "mxfp6-e3m2": "MXFP6 E3M2",
    "mx6": "MX6",
    "mxfp4-mxfp6": "MXFP4 weights, MXFP6 E3M2",
    "mxfp4": "MXFP4",
}
"""Recipes of `mxref.interop.torch`, and what plots and tables call them."""
SEEDS = (0, 1, 2)
BASE = "fp32"
CACHE = Path("build/papers")

PAPER: dict[str, Any] = {
    "source": "arXiv 2310.10537, training of a generative model of 20 million parameters",
    "evidence": "secondary: numbers as quoted by others",
    "losses": {"fp32": 3.98, "mxfp6-e3m2": 4.01, "mxfp4-mxfp6": 4.04},
}
NOT_SHOWN = (
    "Nothing about larger models: the paper's smallest has 47 times as many parameters.",
    "Nothing about tokens: this one reads characters, little more than a million of them.",
    "Nothing about long training: each run ends while its loss still falls.",
    "Nothing about differences in nats: a character holds less than a token; see relative ones.",
    "Three seeds give wide intervals: what an interval does not exclude is not shown to be absent.",
)


def run(out: Path, *, quick: bool, progress: Callable[[float, str], None]) -> None:
    """Train every model, or take it from build/papers where an interrupted run left it."""
    from papers.training_plots import plot_all

    progress(0.0, f"the text, out of {PACKAGE}")
    text = load_text(CACHE)
    names = ("fp32", "mxfp4-mxfp6") if quick else tuple(RECIPES)
    seeds = SEEDS[:1] if quick else SEEDS
    size = QUICK if quick else FULL
    runs = _all_runs([(name, seed) for seed in seeds for name in names], size, progress)
    facts = {
        "command": f"python -m papers {NAME}" + (" --quick" if quick else ""),
        "versions": _versions(),
        "text": {
            "package": PACKAGE,
            "sha256": SHA256,
            "held_out_plays": HELD_OUT,
            "characters": {"train": len(text.train), "held_out": len(text.held_out)},
            "alphabet": len(text.characters),
            "loss_of_frequencies": round(text.entropy(), 4),
            "loss_of_pairs": round(text.pair_entropy(), 4),
        },
        "model": runs[0]["size"] | {"parameters": runs[0]["parameters"]},
        "seeds": seeds,
        "recipes": _recipes(names),
        "results": [_result(name, runs) for name in names],
        "curves": {name: _curve([one for one in runs if one["recipe"] == name]) for name in names},
        "paper": PAPER,
        "not_shown": NOT_SHOWN,
    }
    facts["claims"] = _claims(facts["results"])
    out.mkdir(parents=True, exist_ok=True)
    written = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False)
    (out / f"{NAME}.json").write_text(written + "\n", "utf-8")
    plot_all(facts, RECIPES, out, NAME)
    progress(1.0, "")


# --- running --------------------------------------------------------------------------------------


def _all_runs(
    wanted: list[tuple[str, int]], size: Size, progress: Callable[[float, str], None]
) -> list[dict[str, Any]]:
    """Run all, one on each core, each on one thread: then the numbers depend on no schedule."""
    stored = {each: CACHE / f"{_key(*each, size)}.json" for each in wanted}
    missing = [each for each in wanted if not stored[each].exists()]
    context = multiprocessing.get_context("spawn")
    shares = context.Array("d", len(missing), lock=False)
    cores = min(len(missing), os.cpu_count() or 1)
    if missing:
        with concurrent.futures.ProcessPoolExecutor(
            cores, mp_context=context, initializer=_begin, initargs=(shares,)
        ) as pool:
            found = {
                pool.submit(_one_run, number, *each, size, stored[each]): each
                for number, each in enumerate(missing)
            }
            open_ones = set(found)
            try:
                while open_ones:
                    ended, open_ones = concurrent.futures.wait(open_ones, timeout=0.5)
                    for future in ended:
                        future.result()  # raises what the run raised
                    at_work = [
                        f"{name} ({seed})"
                        for (name, seed), share in zip(missing, shares, strict=True)
                        if 0 < share < 1
                    ]
                    done = len(wanted) - len(missing) + sum(shares)
                    progress(0.99 * done / len(wanted), ", ".join(at_work))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [json.loads(stored[each].read_text("utf-8")) for each in wanted]


_shares: Any = None


def _begin(shares: Any) -> None:
    global _shares  # noqa: PLW0603  # what the pool hands to a process it hands over once
    _shares = shares


def _one_run(number: int, recipe: str, seed: int, size: Size, file: Path) -> None:
    def done(share: float) -> None:
        _shares[number] = share

    found = train_alone(recipe, seed, size, CACHE, done)
    half = file.with_suffix(".part")
    half.write_text(json.dumps(found), "utf-8")
    half.replace(file)  # whole or not at all


def _key(recipe: str, seed: int, size: Size) -> str:
    """Name what a stored run depends on: all of mxref, this package, torch, and the run itself."""
    digest = hashlib.sha256(repr((recipe, seed, size, _versions())).encode())
    root = Path(__file__).parent.parent
    for path in sorted([*(root / "mxref").rglob("*.py"), *Path(__file__).parent.glob("train*.py")]):
        digest.update(path.read_bytes())
    return f"{NAME}-{recipe}-{seed}-{digest.hexdigest()[:16]}"


def _versions() -> dict[str, str]:
    import numba
    import numpy as np
    import torch

    import mxref

    return {
        "mxref": mxref.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
    }


# --- results --------------------------------------------------------------------------------------

_STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}
"""Quantiles of Student's t for 95 %, both sides, by degrees of freedom."""


def interval(numbers: list[float]) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of a mean; None of a single number."""
    count = len(numbers)
    if count < 2:
        return None
    mean = sum(numbers) / count
    deviation = math.sqrt(sum((x - mean) ** 2 for x in numbers) / (count - 1))
    half = _STUDENT[count - 1] * deviation / math.sqrt(count)
    return mean - half, mean + half


def _recipes(names: tuple[str, ...]) -> dict[str, Any]:
    from mxref.interop.torch import recipe_of

    return {name: recipe_of(name).as_dict() for name in names}


def _result(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    mine = {one["seed"]: one for one in runs if one["recipe"] == name}
    base = {one["seed"]: one["final"] for one in runs if one["recipe"] == BASE}
    losses = [one["final"] for one in mine.values()]
    differences = [mine[seed]["final"] - base[seed] for seed in mine]
    is_finite = all(map(math.isfinite, losses + differences))
    mean = sum(losses) / len(losses)
    found: dict[str, Any] = {
        "recipe": name,
        "label": RECIPES[name],
        "losses": [round(x, 4) if math.isfinite(x) else None for x in losses],
        "seconds_of_a_run": round(sum(one["seconds"] for one in mine.values()) / len(mine)),
    }
    if not is_finite:
        return found | {"mean": None, "difference": None}
    difference = sum(differences) / len(differences)
    bounds = interval(differences)
    return found | {
        "mean": round(mean, 4),
        "least": round(min(losses), 4),
        "most": round(max(losses), 4),
        "difference": round(difference, 4),
        "differences": [round(x, 4) for x in differences],
        "interval": None if bounds is None else [round(x, 4) for x in bounds],
        "relative": round(difference / (mean - difference), 5),
    }


def _curve(runs: list[dict[str, Any]]) -> dict[str, Any]:
    def column(name: str) -> list[list[float | None]]:
        return [
            [round(p[name], 4) if math.isfinite(p[name]) else None for p in one["curve"]]
            for one in runs
        ]

    return {
        "steps": [point["step"] for point in runs[0]["curve"]],
        "train": column("train"),
        "held_out": column("held_out"),
    }


def _claims(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hold the paper's differences to FP32 against ours."""
    ours = {one["recipe"]: one for one in results}
    theirs = PAPER["losses"]
    claims = []
    for name in ("mxfp6-e3m2", "mxfp4-mxfp6"):
        if name not in ours or ours[name]["difference"] is None:
            continue
        one, relative = ours[name], theirs[name] / theirs[BASE] - 1
        claims.append(
            {
                "recipe": name,
                "claim": f"{RECIPES[name]}: loss {theirs[name]} against {theirs[BASE]} of FP32",
                "paper_relative": round(relative, 5),
                "paper_scaled": round(relative * (one["mean"] - one["difference"]), 4),
                "ours_relative": one["relative"],
                "ours": one["difference"],
                "interval": one["interval"],
                "verdict": _verdict(one, relative),
            }
        )
    return claims


def _verdict(one: dict[str, Any], relative: float) -> str:
    if one["interval"] is None:
        return "not tested: one seed"
    base = one["mean"] - one["difference"]
    low, high = (bound / base for bound in one["interval"])
    if low <= relative <= high:
        return "reproduced: the paper's relative difference lies within our interval"
    if high < relative:
        return "smaller here: our interval lies below the paper's relative difference"
    return "larger here: our interval lies above the paper's relative difference"


if __name__ == "__main__":
    print("run it as: python -m papers training", file=sys.stderr)
    raise SystemExit(2)
