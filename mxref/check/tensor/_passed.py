"""The report of stored tensors in which nothing differs; gaps are worked out when looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from mxref.check._compare import Comparison
from mxref.check.parts import Gap, Inference, Lazy, Mismatches, Verdict
from mxref.check.report import Report
from mxref.check.tensor._gaps import order_gaps
from mxref.check.tensor._passing import Outcome, Seen
from mxref.check.tensor._report import Task, judged
from mxref.check.tensor._search import Trial
from mxref.policy import get_policy

__all__ = ["passed"]


def passed(task: Task, trials: Sequence[Trial], seen: Seen) -> Report:
    """Report that nothing differs with an effect.

    Parameters
    ----------
    task : Task
    trials : sequence of Trial
    seen : Seen
        What `mxref.check.tensor._passing.look` found.
    """
    if seen.outcome is Outcome.REFUSED:
        report = judged(task, trials, task.declared)
        own = report.gaps
        return replace(report, gaps=Lazy(lambda: (*own, *order_gaps(trials, task.declared))))

    @cache
    def whole() -> Report:
        """The checks of blocks, which look at all data at once: for who wants to know more."""
        return judged(task, trials, task.declared)

    def gaps() -> tuple[Gap, ...]:
        return (*whole().gaps, *order_gaps(trials, task.declared))

    def inferred() -> tuple[Inference, ...]:
        return tuple(whole().inferred)

    writes = task.op == "quantize_tensor"
    planes = [trial.stored.plane() for trial in trials] if writes else []
    scales = sum(plane.lines * plane.blocks for plane in planes)
    elements = sum(trial.numbers.size for trial in trials)
    return Report(
        task.op,
        task.fmt.name,
        Verdict.CONFORMS,
        task.asked if task.asked is not None else get_policy(None),
        task.asked,
        (),
        Mismatches(0, 0, scales, elements),
        _silent_notes(seen.silent) if writes else (),
        inferred=Lazy(inferred) if writes else (),
        gaps=Lazy(gaps),
    )


def _silent_notes(seen: Comparison) -> tuple[str, ...]:
    """As the check of blocks has them."""
    notes = []
    if seen.silent_scales:
        notes.append(
            f"{seen.silent_scales:,} scale codes of all-zero blocks differ; every scale but NaN "
            "decodes to the same zeros there."
        )
    if seen.silent_codes:
        notes.append(
            f"{seen.silent_codes:,} element codes under a NaN scale differ; they decode to NaN "
            "whatever they are."
        )
    return tuple(notes)
