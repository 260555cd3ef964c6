"""Findings: catalogue text, share and witness for what the diagnosis assumed."""

from __future__ import annotations

from collections.abc import Mapping

from mxref.check.report import Finding, Witness
from mxref.clauses import CLAUSES
from mxref.faults.catalogue import FAULTS
from mxref.faults.legal import forbidden
from mxref.formats import ElementFormat
from mxref.policy import OPEN_POINT_OF, Policy

__all__ = ["ELEMENT_FIELDS", "SCALE_FIELDS", "choice_finding", "fault_finding"]

SCALE_FIELDS = (
    "scale_rule",
    "scale_quotient",
    "scale_amax",
    "scale_subnormal",
    "scale_above",
    "scale_nan",
    "scale_inf",
    "scale_zero_block",
    "input_subnormal",
)
ELEMENT_FIELDS = (
    "rounding",
    "fp8_overflow",
    "nan_element",
    "nan_payload",
    "neg_zero",
    "int8_min",
    "input_subnormal",
    "relu",
    "scale_below",
    "scaled_intermediate",
)

# Choices that the catalogue has a name for: (field, choice) -> (id, variant).
_NAMED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("scale_rule", "ceil"): ("S5", ""),
    ("scale_nan", "ignore"): ("S13", ""),
    ("rounding", "nearest-away"): ("E1", "ties away from zero"),
    ("rounding", "nearest-down"): ("E1", "ties toward zero"),
    ("rounding", "toward-zero"): ("E2", ""),
    ("neg_zero", "drop"): ("E19", ""),
    ("neg_zero", "drop-input"): ("E19", "an input of -0 only"),
    ("fp8_overflow", "propagate"): ("E16", "infinity kept while finite values saturate"),
    ("e8m0_rounding", "nearest-even"): ("S9", "a tie goes to the even code"),
    ("int8_min", "used"): ("E15", "-128 is produced, -127 was expected"),
    ("int8_min", "unused"): ("E15", "-127 is produced, -128 was expected"),
    ("fp8_overflow", "overflow"): ("E13", "NaN or infinity where saturation was expected"),
    ("fp8_overflow", "saturate"): ("E13", "saturation where NaN or infinity was expected"),
}


def choice_finding(
    change: tuple[str, str, str],
    element: ElementFormat | None,
    explains: float,
    residual: int,
    witness: Witness | None,
) -> Finding:
    """A finding for one policy field in which the target differs.

    Parameters
    ----------
    change : (field, choice found, choice expected)
    element : ElementFormat or None
        None for scale codes.
    explains, residual, witness
        As in `Finding`.
    """
    field, found, expected = change
    named = ("S10", found) if field == "scale_rule" else ("", "")
    fault_id, detail = _NAMED.get((field, found), named)
    declare = f"Declare {field}={found} if it is intended."
    banned = forbidden(field, found, element)
    legal = banned is None
    if banned is not None:
        fault = FAULTS[banned.fault]
        fault_id, effect = banned.fault, f"{fault.effect} {banned.clause} does not allow it."
        texts = fault.title, fault.seen_in, effect, fault.repair
    elif fault_id:
        fault = FAULTS[fault_id]
        repair = f"{declare} Otherwise: {fault.repair}"
        texts = fault.title, fault.seen_in, fault.effect, repair
    else:
        fault_id = OPEN_POINT_OF[field]
        title = f"{field} is {found}; expected was {expected}."
        effect = f"The standard leaves it open: {CLAUSES[fault_id].text}"
        texts = title, (), effect, f"{declare} Otherwise use {expected}."
    title, seen_in, effect, repair = texts
    return Finding(
        fault_id,
        title,
        explains,
        residual,
        witness,
        seen_in,
        effect,
        repair,
        legal,
        {field: found},
        detail,
        FAULTS[fault_id].stimulus if fault_id in FAULTS else "",
    )


def fault_finding(
    fault_id: str, detail: str, explains: float, residual: int, witness: Witness | None
) -> Finding:
    """A finding for a fault of the catalogue that no policy makes legal."""
    fault = FAULTS[fault_id]
    return Finding(
        fault_id,
        fault.title,
        explains,
        residual,
        witness,
        fault.seen_in,
        fault.effect,
        fault.repair,
        legal=False,
        policy_change={},
        detail=detail,
        stimulus=fault.stimulus,
    )


def changes(found: Policy, base: Policy, fields: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """The fields of some in which two policies differ: (field, found, expected)."""
    return [(f, *pair) for f, pair in found.diff(base).items() if f in fields]
