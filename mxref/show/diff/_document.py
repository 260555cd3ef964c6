"""A difference as plain data, for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mxref.show.diff._lines import CLASSES

if TYPE_CHECKING:
    from mxref.show.diff._difference import Difference

__all__ = ["code_pairs", "document", "histogram", "scale_steps"]


def document(found: Difference) -> dict[str, object]:
    """Return everything that a difference knows; places as `Place.to_dict` gives them."""
    pair, counts, picture = found.pair, found.tally, found.map
    return {
        "equal": found.equal,
        "format": pair.name,
        "what": pair.kind,
        "shape": list(pair.shape),
        "axis": pair.axis,
        "block_size": pair.block_size,
        "elements": found.total,
        "differing": found.count,
        "differing_codes": counts.codes,
        "differing_blocks": counts.blocks if pair.kind == "blocks" else None,
        "scales": {
            name: {"differing": differing, "total": total}
            for name, differing, total in found.scale_counts
        },
        "scale_steps": [{"step": step, "count": n} for step, n in scale_steps(found)],
        "global_scales": None if pair.global_scales is None else list(map(str, pair.global_scales)),
        "policies": None if pair.policies is None else list(pair.policies),
        "notes": list(pair.notes),
        "kinds": {
            kind: {"same_scale": int(same), "other_scale": int(other)}
            for kind, same, other in zip(found.kinds, *counts.kinds, strict=True)
        },
        "ulps": [
            {"from": low, "to": high, "b_nearer_zero": near, "b_as_far": even, "b_farther": far}
            for low, high, near, even, far in histogram(found)
        ],
        "classes": {"names": list(CLASSES), "a_by_b": counts.classes.tolist()},
        "code_pairs": [{"a": a, "b": b, "count": n} for a, b, n in code_pairs(found, 32)],
        "bits": counts.bits.tolist(),
        "first": None if found.first is None else found.first.to_dict(),
        "farthest": None if found.farthest is None else found.farthest.to_dict(),
        "map": None
        if picture is None
        else {
            "cell": list(picture.cell),
            "rows": [list(row) for row in picture.rows],
            "lanes": list(picture.lanes),
        },
    }


def histogram(found: Difference) -> list[tuple[int, int, int, int, int]]:
    """Return distances from, to, and how many: b nearer zero, b as far, b farther."""
    rows = []
    for i, (near, even, far) in enumerate(found.tally.ulps.tolist()):
        if near or even or far:
            rows.append(((1 << i >> 1) + 1, 1 << i, near, even, far))
    return rows


def code_pairs(found: Difference, limit: int) -> list[tuple[int, int, int]]:
    """Return the most frequent pairs of codes that differ under one scale, and how often."""
    counts = found.tally.pairs
    if counts is None:
        return []
    order = np.argsort(-counts, kind="stable")[:limit]
    return [(int(i) >> 8, int(i) & 0xFF, int(counts[i])) for i in order if counts[i]]


def scale_steps(found: Difference) -> list[tuple[int, int]]:
    """Return by how much scale codes of b are larger, and how often; the most frequent first."""
    pair = found.pair
    if pair.a_scales is None or pair.b_scales is None or pair.a_scales.dtype != np.uint8:
        return []
    steps = pair.b_scales.astype(np.int16) - pair.a_scales.astype(np.int16)
    values, counts = np.unique(steps[steps != 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(int(values[i]), int(counts[i])) for i in order]
