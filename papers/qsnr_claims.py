"""What was published about QSNR, beside what is measured here, one claim at a time."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["bounds", "claims"]

_PAPER = "variable-gaussian"
_BDR = "arXiv 2302.08007"
_INT_FP = "arXiv 2510.25602"
_NOTES = "[secondary: notes on the paper at fpga.org]"
_SIMULATED = {  # dB; 2000 vectors of 1024, our own first simulation, by other code
    ("mx9", "bdr-paper"): 46.6,
    ("mx6", "bdr-paper"): 28.4,
    ("mx4", "bdr-paper"): 15.8,
    ("msfp16", "bdr-paper"): 43.0,
    ("msfp12", "bdr-paper"): 18.9,
    ("scaled_fp8_e4m3", "bdr-paper"): 31.5,
    ("scaled_fp8_e5m2", "bdr-paper"): 25.6,
    ("scaled_int8", "bdr-paper"): 42.1,
    ("scaled_int4", "bdr-paper"): 16.9,
    ("mxfp8_e4m3", "floor"): 30.5,
    ("mxfp8_e4m3", "rceil"): 31.5,
    ("mxfp8_e5m2", "floor"): 25.3,
    ("mxfp6_e2m3", "floor"): 31.0,
    ("mxfp6_e3m2", "floor"): 25.3,
    ("mxfp4", "floor"): 18.7,
    ("mxfp4", "rceil"): 18.6,
    ("mxint8", "floor"): 42.0,
    ("nvfp4", "te-1d"): 20.4,
}


def claims(found: dict[str, Any], crossover: dict[str, Any]) -> list[dict[str, Any]]:
    """Judge each claim."""
    rows = {(r["format"], r["rule"]): r for r in found[_PAPER]["rows"]}
    return [
        _difference(rows, ("scaled_fp8_e4m3", "bdr-paper"), "one scale for the tensor, at its max"),
        _difference(rows, ("mxfp8_e4m3", "floor"), "a power-of-two scale by the FLOOR rule"),
        _order(rows),
        _advantage(rows),
        _never_violated(found),
        _simulation(rows),
        *_crossovers(crossover),
        *_real(found),
    ]


def _claim(
    source: str, evidence: str, claim: str, claimed: str, ours: str, verdict: str
) -> dict[str, Any]:
    return {
        "source": source,
        "evidence": evidence,
        "claim": claim,
        "claimed": claimed,
        "ours": ours,
        "verdict": verdict,
    }


def _close(claimed: float, ours: float, half: float, unit: float) -> str:
    """Reproduced if the claim, rounded as it is printed, and our interval meet."""
    apart = abs(claimed - ours)
    if apart <= half + unit / 2:
        return "reproduced"
    return f"not reproduced, by {apart:.1f} dB"


def _difference(rows: dict[Any, Any], other: tuple[str, str], how: str) -> dict[str, Any]:
    mx9, fp8 = rows["mx9", "bdr-paper"]["qsnr"], rows[other]["qsnr"]
    gap = mx9["value"] - fp8["value"]
    half = math.hypot(_half(mx9), _half(fp8))
    return _claim(
        _BDR,
        _NOTES,
        f"MX9 is about 16 dB above FP8 E4M3 ({how})",
        "16 dB",
        f"{gap:.2f} ± {half:.2f} dB",
        _close(16, gap, half, 1),
    )


def _order(rows: dict[Any, Any]) -> dict[str, Any]:
    names = ("scaled_fp8_e4m3", "mx6", "scaled_fp8_e5m2")
    high, middle, low = (rows[name, "bdr-paper"]["qsnr"] for name in names)
    holds = high["low"] > middle["high"] and middle["low"] > low["high"]
    return _claim(
        _BDR,
        _NOTES,
        "MX6 lies between FP8 E4M3 and E5M2",
        "E4M3 > MX6 > E5M2",
        " > ".join(f"{v['value']:.1f}" for v in (high, middle, low)) + " dB, intervals apart"
        if holds
        else f"{high['value']:.1f}, {middle['value']:.1f}, {low['value']:.1f} dB",
        "reproduced" if holds else "not reproduced",
    )


def _advantage(rows: dict[Any, Any]) -> dict[str, Any]:
    mx6, fp8 = rows["mx6", "bdr-paper"], rows["scaled_fp8_e4m3", "bdr-paper"]
    bits = f"{mx6['bits_per_element']:.3g} and {fp8['bits_per_element']:.3g}"
    return _claim(
        _BDR,
        _NOTES,
        "MX6 has about twice the area-memory efficiency of FP8",
        "2 times",
        f"{bits} bits an element; {mx6['multiplier_bits']} and {fp8['multiplier_bits']} bits of a "
        f"multiplier; exact accumulators of {mx6['block_accumulator_bits']} bits for a block and "
        f"{fp8['block_accumulator_bits']} bits for 1024 elements",
        "not testable here: the area model is not public",
    )


def bounds(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Margins above the lower bound: of any vector of any data, and of the worst block there is."""
    from mxref.quality import qsnr_lower_bound, worst_block

    margins: dict[str, tuple[float, float, str]] = {}
    for where, data in found.items():
        for row in data["rows"]:
            if row["bound"] is None or not row["is_default"]:
                continue
            # One scale for a tensor bounds the tensor; a quiet vector in it may be worse.
            is_whole = row["format"].startswith("scaled_fp8")
            margin = (row["qsnr"]["value"] if is_whole else row["least"]) - row["bound"]
            if margin < margins.get(row["format"], (math.inf, 0.0, ""))[0]:
                margins[row["format"]] = (margin, row["bound"], where)
    rows = []
    for name, (margin, bound, where) in margins.items():
        try:
            worst: float | None = worst_block(name).decibels
        except ValueError:
            worst = None
        rows.append(
            {
                "format": name,
                "bound_of_vectors": bound,
                "least_margin": margin,
                "where": where,
                "bound_of_block": qsnr_lower_bound(name),
                "worst_block": worst,
            }
        )
    return rows


def _never_violated(found: dict[str, Any]) -> dict[str, Any]:
    least = min(bounds(found), key=lambda r: r["least_margin"])
    holds = least["least_margin"] >= 0
    return _claim(
        _BDR,
        "[unverified as the paper's form; derived in mxref.quality]",
        "QSNR never falls below 6.02 m + 10 log10(4^b / (min(N, k1) + (4^b - 1) min(N, k2)))",
        "never",
        f"least margin of any vector {least['least_margin']:.1f} dB ({least['format']}, "
        f"{least['where']})",
        "reproduced" if holds else "not reproduced",
    )


def _simulation(rows: dict[Any, Any]) -> dict[str, Any]:
    apart = {key: rows[key]["qsnr"]["value"] - value for key, value in _SIMULATED.items()}
    (name, rule), most = max(apart.items(), key=lambda item: abs(item[1]))
    # Both were drawn: 0.2 dB for their 2000 vectors and the digit, and our own interval.
    allowed = 0.2 + _half(rows[name, rule]["qsnr"])
    return _claim(
        "an independent simulation",
        "[computed: other code, 2000 vectors]",
        f"QSNR of {len(apart)} formats over the paper's distribution",
        "46.6 (MX9) to 15.8 dB (MX4)",
        f"largest difference {most:+.2f} dB ({name} {rule})",
        "reproduced" if abs(most) <= allowed else f"not reproduced, by {abs(most):.1f} dB",
    )


def _crossovers(crossover: dict[str, Any]) -> list[dict[str, Any]]:
    out = []
    for row in crossover["pairs"]:
        ours, claimed = row["crossing"], row["claimed"]
        if ours is None:
            text, reach = "none", row["most"]
            verdict = "not reproduced"
            if claimed > reach:
                text = f"none: the crest factor of {row['block']} numbers is at most {reach:.2f}"
                verdict = "reproduced: out of reach, integers are better everywhere"
        else:
            low, high = row["crossing_low"], row["crossing_high"]
            text = f"{ours:.2f} ({low:.2f} to {high:.2f}), at {row['level']:.1f} dB"
            within = low - 0.005 <= claimed <= high + 0.005
            verdict = "reproduced" if within else f"not reproduced, by {abs(ours - claimed):.2f}"
        out.append(
            _claim(
                _INT_FP,
                "[secondary]",
                f"{row['integer']} is better than {row['float']} below a crest factor",
                f"{claimed} ({row['claimed_level']} dB)",
                text,
                verdict,
            )
        )
    return out


def _real(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Integers against FP on real tensors: other tensors than theirs, so only the order counts."""
    claimed = (("mxint8", "mxfp8_e4m3", "8-bit: 40.35 against 31.50 dB", 1),)
    out = []
    for integer, floating, text, sign in claimed:
        parts, holds = [], True
        for where in ("weights", "activations"):
            best = {r["format"]: r["qsnr"] for r in found[where]["rows"] if r["is_best"]}
            a, b = best[integer], best[floating]
            parts.append(f"{where} {a['value']:.1f} against {b['value']:.1f} dB")
            holds &= sign * (a["value"] - b["value"]) > math.hypot(_half(a), _half(b))
        out.append(
            _claim(
                _INT_FP,
                "[secondary; other tensors]",
                "On real tensors MXINT8 is better than MXFP8",
                text,
                "; ".join(parts),
                "reproduced in kind" if holds else "not reproduced",
            )
        )
    return out


def _half(interval: dict[str, float]) -> float:
    return (interval["high"] - interval["low"]) / 2
