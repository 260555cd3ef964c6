"""A report in types that JSON knows; what `Report.to_json` and JSON lines consist of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mxref.check.parts import Finding, MismatchMap, Witness
from mxref.check.render._sums import tree_lines
from mxref.check.render._words import visible
from mxref.check.report import Report

__all__ = ["SCHEMA_VERSION", "as_dict", "cleaned"]

SCHEMA_VERSION = 1
"""Rises when a field changes its meaning or goes; a new field leaves it as it is."""


def as_dict(report: Report) -> dict[str, Any]:
    """Return everything that a report says; texts hold no control characters."""
    document: dict[str, Any] = cleaned(_report(report))
    document["sum_tree"] = tree_lines(report)  # its indentation says what is part of what
    return document


def cleaned(found: Any) -> Any:
    """Return the same document with every text made visible."""
    if isinstance(found, str):
        return visible(found)
    if isinstance(found, Mapping):
        return {visible(str(name)): cleaned(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [cleaned(value) for value in found]
    return found


def _report(report: Report) -> dict[str, Any]:
    m, trouble = report.mismatches, report.trouble
    return {
        "op": report.op,
        "format": report.format,
        "verdict": str(report.verdict),
        "ok": report.ok,
        "policy": None if report.policy is None else report.policy.as_dict(),
        "policy_name": None if report.policy is None else report.policy.name,
        "asked": None if report.asked is None else report.asked.name,
        "mismatches": {
            "scales": m.scales,
            "elements": m.elements,
            "total_scales": m.total_scales,
            "total_elements": m.total_elements,
            "first": _witness(m.first),
            "map": _map(m.map),
        },
        "findings": [_finding(finding) for finding in report.findings],
        "inferred": [
            {"what": i.what, "found": i.found, "name": i.name, "exact": i.exact}
            for i in report.inferred
        ],
        "profiles": list(report.profiles),
        "places": [
            {
                "what": place.what,
                "points_to": place.points_to,
                "try_next": place.try_next,
                "share": place.share,
            }
            for place in report.places
        ],
        "gaps": [
            {"what": gap.what, "faults": list(gap.faults), "needs": gap.needs}
            for gap in report.gaps
        ],
        "trouble": None if trouble is None else {"kind": trouble.kind, "text": trouble.text},
        "notes": list(report.notes),
        "distances": _distances(report),
        "sum_tree": [],
    }


def _distances(report: Report) -> dict[str, Any] | None:
    found = report.distances
    if found is None:
        return None
    bins = [{"error": name, "results": count} for name, count in found.bins]
    return {"worst": found.worst if math.isfinite(found.worst) else None, "bins": bins}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "title": finding.title,
        "detail": finding.detail,
        "certain": finding.certain,
        "explains": finding.explains,
        "residual": finding.residual,
        "legal": finding.legal,
        "policy_change": dict(finding.policy_change),
        "witness": _witness(finding.witness),
        "effect": finding.effect,
        "repair": finding.repair,
        "stimulus": finding.stimulus,
        "seen_in": list(finding.seen_in),
    }


def _witness(witness: Witness | None) -> dict[str, Any] | None:
    if witness is None:
        return None
    found = {name: getattr(witness, name) for name in Witness.__slots__}
    return found | {"index": [int(i) for i in witness.index]}


def _map(map: MismatchMap | None) -> dict[str, Any] | None:  # noqa: A002
    if map is None:
        return None
    return {
        "shape": list(map.shape),
        "rows": [list(row) for row in map.rows],
        "cell": list(map.cell),
        "lanes": list(map.lanes),
    }
