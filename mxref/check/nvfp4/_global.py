"""The scale of the tensor: which rule gives it, or what happened to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from mxref._policy_base import Choices
from mxref.check._problem import spread
from mxref.check._witness import bits_of, number
from mxref.check.nvfp4._data import Data, same_number
from mxref.check.nvfp4._policies import GLOBAL_FIELDS, profile_policies
from mxref.check.nvfp4._stages import ScaleStage
from mxref.check.parts import Finding, Witness
from mxref.check.relatives import choice_finding, fault_finding, products
from mxref.faults.nvfp4_fault import NVFP4Fault, stacked
from mxref.faults.nvfp4_scales import global_faults
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["GlobalAnswer", "judge_global"]

_FEW = 256
_FORGOTTEN = (
    "without the 6: amax / 448",
    "without the 448: amax / 6",
    "amax itself",
    "in bfloat16",
)
"""What hardly comes from other data, though scales and elements follow from it."""


@dataclass(slots=True)
class GlobalAnswer:
    """What is known of the scale of the tensor.

    Attributes
    ----------
    fits : list of NVFP4Policy
        The policy asked for with the choices that give it, the nearest first.
    findings : list of Finding
    notes : list of str
    is_foreign : bool
        Whether it follows from another amax than that of these data.
    """

    fits: list[NVFP4Policy]
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_foreign: bool = False


def judge_global(data: Data, base: NVFP4Policy) -> GlobalAnswer:
    """Say which choices give the stored multiplier; where none does, what it is.

    Where scales show that another multiplier was meant than the stored one, the stages that follow
    judge by that: `Data.use` is called.
    """
    fits = [policy for policy in _candidates(base) if _gives(data, policy)] or _single(data, base)
    foreign = _matches(data, base)
    is_one = bool(fits) and fits[0].levels == "single-level" != base.levels
    if fits and not (is_one and foreign):
        answer = GlobalAnswer(fits)
        if fits[0] != base:
            answer.findings += _choices(data, base, fits[0])
        return answer
    stored = data.g
    two = [p for p in (base, *profile_policies(base)) if p.levels == "two-level"]
    for policy in two:
        for fault in global_faults():
            of_amax = "tensor_amax" in fault.changed
            is_named = not foreign and fault.detail in _FORGOTTEN
            if not (of_amax or foreign or is_named) or not same_number(
                _faulty(data, policy, fault), stored
            ):
                continue
            if of_amax or is_named:  # what follows was computed with the number that is stored
                return GlobalAnswer([policy], [_finding(data, policy, fault, stored)])
            data.use(data.expected(policy).decode)
            if _matches(data, base) < foreign:
                return GlobalAnswer([policy], [_finding(data, policy, fault, stored)])
            data.use(stored)
    return GlobalAnswer(fits) if fits else _unknown(data, base, stored, foreign)


def _unknown(data: Data, base: NVFP4Policy, stored: np.float32, foreign: int) -> GlobalAnswer:
    """A multiplier that follows from no rule: from elsewhere, or wrong."""
    due = data.expected(base).decode
    if foreign:
        data.use(due)
        if _matches(data, base) < foreign:
            with np.errstate(all="ignore"):
                detail = f"stored as {float(stored / due):.6g} times it"
            made = fault_finding("S16", detail, 1.0, 0, _witness(data, stored, due, base))
            return GlobalAnswer([base], [made])
        data.use(stored)
    if not foreign and (near := _next_to(data, base, stored)) is not None:
        detail = "one float32 step beside what every known order of operations gives"
        shown = _witness(data, stored, near, base)
        return GlobalAnswer([base], [fault_finding("S16", detail, 1.0, 0, shown)])
    with np.errstate(all="ignore"):
        amax, own = np.float32(stored * np.float32(2688)), data.tensor_amax(base)
    note = (
        f"The global scale {number(stored)} is that of an amax of about {number(amax)}; the "
        f"largest magnitude of these data is {number(own)}. It comes from other data (a larger "
        "tensor, or calibration), so that its own rule cannot be judged; pass global_amax if you "
        "know it."
    )
    return GlobalAnswer([base], [], [note], is_foreign=True)


def _next_to(data: Data, base: NVFP4Policy, stored: np.float32) -> np.float32 | None:
    """The multiplier of the policy, if the stored one is a neighbour of it in float32."""
    due = data.expected(base).decode
    around = {float(np.nextafter(due, np.float32(way))) for way in (0, np.inf)}
    return due if np.isfinite(due) and float(stored) in around else None


def _candidates(base: NVFP4Policy) -> Iterator[NVFP4Policy]:
    yield base
    for policy in profile_policies(base):
        changes = {name: str(getattr(policy, name)) for name in GLOBAL_FIELDS}
        yield base.replace(**changes)
    yield from (cast("NVFP4Policy", p) for p in products(base, GLOBAL_FIELDS, 3))


def _gives(data: Data, policy: NVFP4Policy) -> bool:
    return same_number(data.expected(policy).decode, data.g)


def _single(data: Data, base: NVFP4Policy) -> list[NVFP4Policy]:
    return [base.replace(levels="single-level")] if data.g == 1 else []


def _faulty(data: Data, policy: NVFP4Policy, fault: NVFP4Fault) -> np.float32:
    model = stacked(policy, (fault,))
    with np.errstate(all="ignore"):
        if "tensor_amax" in fault.changed:
            amax = model.tensor_amax(data.x) if data.x.ndim else data.tensor_amax(policy)
        else:
            amax = data.tensor_amax(policy)
        return model.stored(*model.globals(np.float32(amax)))


def _matches(data: Data, base: NVFP4Policy) -> int:
    """Wrong scale codes on a sample, under the best of the known recipes."""
    stage = ScaleStage(data)
    piece = data.blocks.take(spread(np.arange(data.blocks.n), _FEW))
    static = [p for p in (base, *profile_policies(base)) if p.target != "four-over-six"]
    return min(int(stage.wrong(policy, (), piece).sum()) for policy in static)


def _finding(data: Data, policy: NVFP4Policy, fault: NVFP4Fault, stored: np.float32) -> Finding:
    due = data.expected(policy).decode
    return fault_finding(fault.id, fault.detail, 1.0, 0, _witness(data, stored, due, policy))


def _choices(data: Data, base: NVFP4Policy, found: NVFP4Policy) -> Sequence[Finding]:
    stage = ScaleStage(data)
    due = data.expected(base).decode
    shown = _witness(data, data.g, due, base)

    rest: Choices
    changes: list[tuple[str, str, str]] = []
    for name, (ours, theirs) in found.diff(base).items():
        rest = found.replace(**{name: theirs})
        if isinstance(rest, NVFP4Policy) and not _gives(data, rest):
            changes.append((name, ours, theirs))
    return [choice_finding(stage, base, change, 1.0, 0, shown) for change in changes]


def _witness(data: Data, stored: np.float32, due: np.float32, policy: NVFP4Policy) -> Witness:
    amax = data.tensor_amax(policy)
    return Witness(
        (),
        "scale",
        bits_of(amax),
        number(amax),
        None,
        bits_of(stored),
        number(stored),
        bits_of(due),
        number(due),
    )
