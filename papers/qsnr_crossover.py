"""Integers or floating point? QSNR of blocks by their crest factor, amax over root mean square.

arXiv 2510.25602 gives, for each pair of formats, the crest factor below which integers are better,
from formulas that assume Gaussian errors. Here blocks are drawn, quantized and sorted by it.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from papers.qsnr_data import SEED

__all__ = ["integers", "measure", "theory"]

_BINS = np.arange(1.2, 5.7, 0.1)
_FEWEST = 200  # blocks in a bin that is worth a point


class _Pair(NamedTuple):
    integer: str
    bits: int  # sign included
    floating: str
    format: str
    block: int
    claimed: float  # crest factor
    level: float  # dB


_PAIRS = (
    _Pair("MXINT8", 8, "MXFP8 E4M3", "mxfp8_e4m3", 32, 7.55, 31.86),
    _Pair("MXINT6", 6, "MXFP6 E2M3", "mxfp6_e2m3", 32, 1.96, 31.54),
    _Pair("MXINT4", 4, "MXFP4", "mxfp4", 32, 2.04, 19.14),
    _Pair("NVINT4", 4, "NVFP4", "nvfp4", 16, 2.39, 21.14),
)
_RHO = 1.5  # mean overhead of a power-of-two scale that the paper's figures agree with


def theory(bits: int, crest: float, *, block: int | None = None) -> float:
    """QSNR of integers in dB by theorem 1; with a block, its form for E4M3 scales.

    Examples
    --------
    >>> round(theory(8, 7.55), 2), round(theory(4, 2.04), 2)
    (31.86, 19.15)
    """
    level = 4.78 + 6.02 * bits - 20 * math.log10(crest)
    if block is None:
        return level - 20 * math.log10(_RHO)
    return level + 10 * math.log10(block / (block - 1))


def measure(*, quick: bool) -> dict[str, Any]:
    """Measure both formats of each pair on the same blocks."""
    pairs = []
    for pair in _PAIRS:
        blocks = _blocks(pair.block, 20_000 if quick else 400_000)
        wide = blocks.astype(np.float64)
        crest = np.abs(wide).max(axis=1) / np.sqrt((wide * wide).mean(axis=1))
        points = _points(crest, *_ratios(pair, blocks))
        grouped = pair.block if pair.format == "nvfp4" else None
        for point in points:
            point["theorem_1"] = theory(pair.bits, point["crest"], block=grouped)
        apart = [point["integer"] - point["theorem_1"] for point in points]
        pairs.append(
            {
                "integer": pair.integer,
                "float": pair.floating,
                "block": pair.block,
                "most": math.sqrt(pair.block),
                "claimed": pair.claimed,
                "claimed_level": pair.level,
                "theorem_1_at_claimed": theory(pair.bits, pair.claimed, block=grouped),
                "integer_minus_theorem_1": {"least": min(apart), "most": max(apart)},
                **_crossing(points),
                "points": points,
            }
        )
    return {
        "what": "Blocks of Gaussian, uniform, Laplace and Student numbers, by their crest factor",
        "rule": "MX: the smallest power-of-two scale at which nothing saturates (rceil), which "
        "the rho of the claims implies; NVINT4 and NVFP4: E4M3 scales below one for the tensor",
        "pairs": pairs,
    }


def integers(
    blocks: NDArray[np.float32], bits: int, *, is_e4m3: bool = False
) -> NDArray[np.float64]:
    """Quantize blocks to symmetric integers and back: formats that mxref itself lacks."""
    import ml_dtypes

    most = 2 ** (bits - 1) - 1
    wide = blocks.astype(np.float64)
    scales = np.abs(wide).max(axis=1, keepdims=True) / most
    if is_e4m3:
        unit = scales.max() / 448
        scales = (scales / unit).astype(ml_dtypes.float8_e4m3fn).astype(np.float64) * unit
    else:
        scales = 2.0 ** np.ceil(np.log2(scales))
    scaled = np.divide(wide, scales, out=np.zeros_like(wide), where=scales != 0)
    return np.clip(np.rint(scaled), -most, most) * scales


def _blocks(size: int, count: int) -> NDArray[np.float32]:
    rng = np.random.default_rng([SEED, size])
    parts = (
        rng.standard_normal((count // 4, size)),
        rng.uniform(-1, 1, (count // 4, size)),
        rng.laplace(size=(count // 4, size)),
        rng.standard_t(3, (count // 4, size)),
    )
    blocks = np.concatenate(parts)
    # Any size of amax within a binade, which is what a power-of-two scale answers to.
    blocks *= 2 ** rng.uniform(0, 1, (len(blocks), 1))
    return blocks.astype(np.float32)


def _ratios(
    pair: _Pair, blocks: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from mxref.quality import qsnr
    from mxref.quality._candidates import candidates

    is_e4m3 = pair.format == "nvfp4"
    rule = "te-1d" if is_e4m3 else "rceil"
    floating = candidates([pair.format], [rule])[0].quantize(blocks).dequantize()
    integer = integers(blocks, pair.bits, is_e4m3=is_e4m3)
    return qsnr(blocks, integer, axis=1), qsnr(blocks, floating, axis=1)


def _points(
    crest: NDArray[np.float64], integer: NDArray[np.float64], floating: NDArray[np.float64]
) -> list[dict[str, float]]:
    from mxref.quality import estimate_mean

    points = []
    for low in _BINS:
        inside = (crest >= low) & (crest < low + 0.1)
        inside &= np.isfinite(integer) & np.isfinite(floating)
        if np.count_nonzero(inside) < _FEWEST:
            continue
        gap = estimate_mean(integer[inside] - floating[inside])
        points.append(
            {
                "crest": float(crest[inside].mean()),
                "integer": float(integer[inside].mean()),
                "float": float(floating[inside].mean()),
                "gap": gap.value,
                "gap_low": gap.low,
                "gap_high": gap.high,
            }
        )
    return points


def _crossing(points: list[dict[str, float]]) -> dict[str, float | None]:
    """Where integers stop being better; the interval from the ends of the gaps' intervals."""
    ends = {key: _zero(points, key) for key in ("gap", "gap_low", "gap_high")}
    at = ends["gap"]
    level = None
    if at is not None:
        level = float(np.interp(at, [p["crest"] for p in points], [p["float"] for p in points]))
    return {
        "crossing": at,
        "crossing_low": ends["gap_low"],
        "crossing_high": ends["gap_high"],
        "level": level,
    }


def _zero(points: list[dict[str, float]], key: str) -> float | None:
    for a, b in pairwise(points):
        if a[key] > 0 >= b[key]:
            return a["crest"] + (b["crest"] - a["crest"]) * a[key] / (a[key] - b[key])
    return None
