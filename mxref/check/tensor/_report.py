"""What a check of stored tensors answers: orders that were found, then the word of the blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._compare import without_refusals
from mxref.check._constant import FEWEST, constant_place
from mxref.check._findings import fault_finding
from mxref.check._problem import Problem
from mxref.check._witness import element_witness, scale_witness, value_witness
from mxref.check.maps import MapBuilder
from mxref.check.parts import Finding, Mismatches, Verdict, Witness
from mxref.check.report import Report
from mxref.check.tensor._search import Reading, Trial
from mxref.formats import BlockFormat
from mxref.policy import Policy, get_policy

__all__ = [
    "Task",
    "constant_report",
    "declared_mismatches",
    "empty_report",
    "first_seen",
    "is_declared",
    "judged",
    "merged",
    "with_constant_scales",
]

Judge = Callable[[Trial, NDArray[np.uint8], NDArray[np.uint8], int], Report]
_NAN_SCALE = 0xFF
_SERIOUS = (
    Verdict.UNEXPLAINED,
    Verdict.DEFECT,
    Verdict.CONFORMS_AS,
    Verdict.CONFORMS,
    Verdict.NOT_TESTABLE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is judged.

    Attributes
    ----------
    op : str
        ``"quantize_tensor"`` or ``"dequantize_tensor"``.
    fmt : BlockFormat
    declared : Reading
    asked : Policy or None
    judge : callable
        The check of blocks: takes a trial, codes, scales and the axis.
    """

    op: str
    fmt: BlockFormat
    declared: Reading
    asked: Policy | None
    judge: Judge

    @property
    def base(self) -> Policy:
        """What is expected before anything is known; codes were given, so nothing is refused."""
        return without_refusals(self.asked if self.asked is not None else get_policy(None))


def is_declared(reading: Reading, declared: Reading) -> bool:
    """Whether a reading is the declared one."""
    return reading.elements is declared.elements and reading.scales is declared.scales


def empty_report(task: Task) -> Report:
    """The answer where there is nothing to judge."""
    note = ("The input is empty: there is nothing to judge.",)
    none = Mismatches(0, 0, 0, 0)
    return Report(task.op, task.fmt.name, Verdict.NOT_TESTABLE, None, task.asked, (), none, note)


def constant_report(task: Task, trials: Sequence[Trial]) -> Report | None:
    """The answer where all codes, or all values, are one bit pattern that cannot be right."""
    seen = [declared_mismatches(task, trial) for trial in trials]
    if sum(each.elements for each in seen) < FEWEST:
        return None
    writes = task.op == "quantize_tensor"
    outputs = [(t.stored.elements if writes else t.numbers).reshape(-1) for t in trials]
    place = constant_place(np.concatenate(outputs))
    if place is None:
        return None
    verdict = Verdict.UNEXPLAINED
    reports = [
        Report(task.op, task.fmt.name, verdict, None, task.asked, (), each, places=(place,))
        for each in seen
    ]
    return merged(task, trials, reports)


def with_constant_scales(report: Report, trials: Sequence[Trial]) -> Report:
    """Say beside wrong scale codes without a cause that all of them are the same."""
    place = constant_place(np.concatenate([t.stored.scales for t in trials]))
    if place is None or report.mismatches.scales < FEWEST:
        return report
    place = replace(place, what=place.what.replace("Every output", "Every scale code"))
    return replace(report, places=(place, *report.places))


def judged(
    task: Task, trials: Sequence[Trial], reading: Reading, *, is_last: bool = True
) -> Report:
    """Judge the blocks of all trials under a reading, and name the reading if it is not declared.

    Parameters
    ----------
    task : Task
    trials : sequence of Trial
        One, or those of a driven target.
    reading : Reading
    is_last : bool
        Whether the report is wanted even if the reading explains nothing; else the first trial
        without a cause ends it.
    """
    reports = []
    for trial in trials:
        codes, scales = trial.taken(reading)
        axis = trial.axis(reading)
        if task.op == "quantize_tensor":
            codes, scales = _completed(task, trial, reading, codes, scales)
        report = task.judge(trial, codes, scales, axis)
        if report.verdict is Verdict.UNEXPLAINED and not is_last:
            return report
        if not is_declared(reading, task.declared):
            report = replace(report, mismatches=declared_mismatches(task, trial))
        reports.append(replace(report, op=task.op))
    report = merged(task, trials, reports)
    own = _order_findings(task, trials, reading, _left(report))
    if not own:
        return report
    findings = [*own, *report.findings]
    findings.sort(key=lambda f: f.residual > 0)
    verdict = report.verdict
    if verdict is not Verdict.UNEXPLAINED:
        verdict = Verdict.DEFECT
    return replace(report, verdict=verdict, policy=None, findings=tuple(findings))


def _completed(
    task: Task, trial: Trial, reading: Reading, codes: NDArray[np.uint8], scales: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Put what is right where an order leaves the buffer: nobody saw what belongs there."""
    stored, axis = trial.stored, trial.axis(reading)
    lost = stored.outside(reading.scales)
    if lost.any():
        lax = task.base.replace(block_tail="zero-pad")
        scales = np.where(lost, arrays.quantize(trial.numbers, task.fmt, axis, lax).scales, scales)
    missing = stored.codes_outside(reading.elements)
    if missing.any():
        right = arrays.encode_with_scale(trial.numbers, scales, task.fmt, axis, task.base)
        codes = np.where(missing, right, codes)
    return codes, scales


def _left(report: Report) -> int:
    """Mismatches that nothing explains."""
    if report.verdict is not Verdict.UNEXPLAINED:
        return 0
    return max([1, *(f.residual for f in report.findings)])


def merged(task: Task, trials: Sequence[Trial], reports: Sequence[Report]) -> Report:
    """One report of several tensors: the worst verdict, and every finding once."""
    if len(reports) == 1:
        return reports[0]
    worst = min(reports, key=lambda r: _SERIOUS.index(r.verdict))
    found: dict[tuple[str, str], Finding] = {}
    for finding in (f for r in reports for f in r.findings):
        key = finding.id, finding.detail
        known = found.get(key, finding)
        residual = known.residual + (finding.residual if known is not finding else 0)
        share = max(known.explains, finding.explains)
        found[key] = replace(known, residual=residual, explains=share)
    m = [r.mismatches for r in reports]
    counts = Mismatches(
        sum(each.scales for each in m),
        sum(each.elements for each in m),
        sum(each.total_scales for each in m),
        sum(each.total_elements for each in m),
        next((each.first for each in m if each.first is not None), None),
    )
    # What one of them cannot show, another may.
    notes = tuple(note for note in reports[0].notes if all(note in r.notes for r in reports))
    where = next((i for i, each in enumerate(m) if each.first is not None), None)
    if where is not None:
        rows, columns = trials[where].numbers.shape
        notes = (*notes, f"The first mismatch is in the tensor of {rows} x {columns}.")
    report = replace(worst, findings=tuple(found.values()), mismatches=counts, notes=notes)
    if worst.verdict is Verdict.CONFORMS_AS:
        return _one_policy(task, trials, reports, report)
    return report


def _one_policy(
    task: Task, trials: Sequence[Trial], reports: Sequence[Report], report: Report
) -> Report:
    """Hold each inferred policy against all tensors: they are from one implementation."""
    policies = dict.fromkeys(r.policy for r in reports if r.verdict is Verdict.CONFORMS_AS)
    for policy in policies:
        if not isinstance(policy, Policy):
            continue
        sub = replace(task, asked=policy)
        again = [sub.judge(t, *t.taken(task.declared), t.stored.axis) for t in trials]
        if all(r.verdict is Verdict.CONFORMS for r in again):
            return replace(report, policy=policy)
    note = "No one policy gives the bits of all tensors."
    notes = (*report.notes, note)
    return replace(report, verdict=Verdict.UNEXPLAINED, policy=None, notes=notes)


# --- mismatches as declared -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Wrong:
    """What differs as declared: elements, and blocks (lines first; none where values are given)."""

    elements: NDArray[np.bool_]
    blocks: NDArray[np.bool_]
    expected: NDArray[Any]
    expected_scales: NDArray[np.uint8]


def wrong_as_declared(task: Task, trial: Trial) -> _Wrong:
    """Compare a trial with the policy, read as declared."""
    codes, scales = trial.taken(task.declared)
    axis, x = trial.stored.axis, trial.numbers
    lines = scales if axis == 1 else scales.T
    if task.op == "dequantize_tensor":
        values = arrays.dequantize(codes, scales, task.fmt, axis, task.base)
        differs = values.view(np.uint32) != x.view(np.uint32)
        differs &= ~(np.isnan(values) & np.isnan(x))
        return _Wrong(differs, np.zeros(lines.shape, np.bool_), values, lines)
    lax = task.base.replace(block_tail="zero-pad")
    right = arrays.quantize(x, task.fmt, axis, lax).scales
    expected = arrays.encode_with_scale(x, scales, task.fmt, axis, task.base)
    k = task.fmt.block_size
    dead = np.repeat(scales == _NAN_SCALE, k, axis)[: x.shape[0], : x.shape[1]]
    right_lines = right if axis == 1 else right.T
    is_zero = _all_zero(x, axis, k) & (lines != _NAN_SCALE) & (right_lines != _NAN_SCALE)
    blocks = (lines != right_lines) & ~is_zero
    return _Wrong((codes != expected) & ~dead, blocks, expected, right_lines)


def _all_zero(x: NDArray[Any], axis: int, k: int) -> NDArray[np.bool_]:
    """Blocks of zeros, lines first: every scale but NaN makes the same of them."""
    lines = x if axis == 1 else x.T
    missing = -lines.shape[1] % k
    full = np.pad(lines == 0, ((0, 0), (0, missing)), constant_values=True)
    return np.asarray(full.reshape(len(lines), -1, k).all(-1))


def declared_mismatches(task: Task, trial: Trial) -> Mismatches:
    """Count what differs, read as declared."""
    wrong = wrong_as_declared(task, trial)
    scales = wrong.blocks.size if task.op == "quantize_tensor" else 0
    first = None
    if wrong.blocks.any():
        first = _scale_seen(task, trial, wrong, wrong.blocks)
    elif wrong.elements.any():
        first = _element_seen(task, trial, wrong, wrong.elements)
    counts = int(wrong.blocks.sum()), int(wrong.elements.sum())
    builder = MapBuilder(trial.numbers.shape, trial.stored.axis, task.fmt.block_size)
    builder.add_elements(np.flatnonzero(wrong.elements))
    return Mismatches(*counts, scales, wrong.elements.size, first, builder.finish())


def first_seen(task: Task, trial: Trial) -> Witness | None:
    """The first mismatch inside buffers of any size; None if there is none, or too few codes."""
    stored, declared = trial.stored, task.declared
    if stored.codes.size < trial.numbers.size:
        return None
    wrong = wrong_as_declared(task, trial)
    lost = stored.outside(declared.scales)
    blocks = wrong.blocks & ~(lost if stored.axis == 1 else lost.T)
    if blocks.any():
        return _scale_seen(task, trial, wrong, blocks)
    dead = np.repeat(lost, stored.k, stored.axis)[: stored.shape[0], : stored.shape[1]]
    elements = wrong.elements & ~dead
    return _element_seen(task, trial, wrong, elements) if elements.any() else None


def _problem(task: Task, trial: Trial) -> Problem:
    codes, scales = trial.taken(task.declared)
    return Problem(trial.numbers, codes, scales, task.fmt, trial.stored.axis)


def _scale_seen(task: Task, trial: Trial, wrong: _Wrong, where: NDArray[np.bool_]) -> Witness:
    block = int(np.argmax(where))
    expected = int(wrong.expected_scales.ravel()[block])
    return scale_witness(_problem(task, trial), block, expected)


def _element_seen(task: Task, trial: Trial, wrong: _Wrong, where: NDArray[np.bool_]) -> Witness:
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))
    stored = trial.stored
    line, along = (row, column) if stored.axis == 1 else (column, row)
    block = line * stored.plane().blocks + along // stored.k
    expected = wrong.expected[row, column]
    problem = _problem(task, trial)
    if task.op == "dequantize_tensor":
        return value_witness(problem, block, along % stored.k, expected, of_scales=False)
    return element_witness(problem, block, along % stored.k, int(expected))


# --- findings of orders -----------------------------------------------------------------------


def _order_findings(
    task: Task, trials: Sequence[Trial], reading: Reading, residual: int
) -> list[Finding]:
    found: dict[tuple[str, str], Finding] = {}
    declared = task.declared
    for kind, other, asked in (
        ("elements", reading.elements, declared.elements),
        ("scales", reading.scales, declared.scales),
    ):
        if other is asked or (kind == "scales" and reading.elements.record):
            continue  # a record holds both: one cause
        share, witness = _explained(task, trials, reading, kind)
        verb = "written" if task.op == "quantize_tensor" else "read"
        what = "codes" if kind == "elements" else "scale codes"
        detail = f"{what} {verb} as: {other.name}; declared: {asked.name}"
        if other.record:
            detail = f"{verb} as {other.name}; declared: separate planes"
        finding = fault_finding(other.fault, detail, share, residual, witness)
        known = found.get((finding.id, detail))
        if known is None or known.explains < share:
            found[finding.id, detail] = finding
    return sorted(found.values(), key=lambda f: -f.explains)


def _explained(
    task: Task, trials: Sequence[Trial], reading: Reading, kind: str
) -> tuple[float, Witness | None]:
    """The share of the mismatches at which an order changes what is read, and the first of them."""
    explained = total = 0
    witness = None
    for trial in trials:
        wrong = wrong_as_declared(task, trial)
        of_blocks = kind == "scales" and task.op == "quantize_tensor"
        bad = wrong.blocks if of_blocks else wrong.elements
        shown = bad & _changed(task, trial, reading, kind, of_blocks=of_blocks)
        explained, total = explained + int(shown.sum()), total + int(bad.sum())
        if witness is None and shown.any():
            see = _scale_seen if of_blocks else _element_seen
            witness = see(task, trial, wrong, shown)
    return explained / max(1, total), witness


def _changed(
    task: Task, trial: Trial, reading: Reading, kind: str, *, of_blocks: bool
) -> NDArray[np.bool_]:
    codes, scales = trial.taken(task.declared)
    other_codes, other_scales = trial.taken(reading)
    if kind == "elements":
        return np.asarray(codes != other_codes)
    if of_blocks:
        if reading.scales.turned:
            return np.ones((trial.stored.plane().lines, trial.stored.plane().blocks), np.bool_)
        changed = scales != other_scales
        return np.asarray(changed if trial.stored.axis == 1 else changed.T)
    k, shape = trial.stored.k, trial.stored.shape
    mine = np.repeat(scales, k, trial.stored.axis)[: shape[0], : shape[1]]
    theirs = np.repeat(other_scales, k, trial.axis(reading))[: shape[0], : shape[1]]
    return np.asarray(mine != theirs)
