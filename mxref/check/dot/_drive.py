"""Drives a dot product as a black box: its wiring, its scales, the width of its sum, each length.

The order is that of diagnosis: integers first, which every accumulator sums exactly, so that a
difference is one of layout or scale; then everything that is designed, which shows the width; then
other lengths, the last block not full among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._bounds import judge
from mxref.check.dot._judge import judge_dots
from mxref.check.dot._models import models
from mxref.check.dot._order import probe_order
from mxref.check.dot._outputs import same_number
from mxref.check.dot._problem import Bytes, DotProblem, Operand, Singles
from mxref.check.dot._search import survey
from mxref.check.dot._stimuli import (
    LENGTHS,
    DotStimuli,
    designed,
    of_length,
    ragged,
    width_probes,
)
from mxref.check.dot._sums import Aligned
from mxref.check.dot._terms import Setup, plain_setup, products_of
from mxref.check.parts import Gap, Inference, Mismatches, Place, Trouble, Verdict
from mxref.check.report import Report
from mxref.check.target import TargetError
from mxref.formats import BlockFormat
from mxref.policy import Policy, get_policy

__all__ = ["GOOD", "SIGNATURE", "Drive", "drive_dot", "unsteady"]

SIGNATURE = (
    "fn(codes_a: uint8 (n, K), scales_a: uint8 (n, K/32), codes_b, scales_b) -> float32 (n,)"
)
_RAGGED = (72, 40, 136, 8)
_ROWS = 48
GOOD = (Verdict.CONFORMS, Verdict.CONFORMS_AS)

_ANY_ORDER = (
    "Sums differ between two calls on the same operands, within what their order may change: "
    "additions come in no fixed order. Integers, which no order changes, are the same."
)


def drive_dot(
    call: Callable[..., Any],
    fmt_a: BlockFormat,
    fmt_b: BlockFormat,
    asked: Policy | None = None,
    *,
    level: str = "core",
    accumulate: str | None = None,
) -> Report:
    """Check a function that computes dot products, with operands designed for the purpose.

    Parameters
    ----------
    call : callable
        As `SIGNATURE` says, guarded: it raises nothing but `TargetError`.
    fmt_a, fmt_b : BlockFormat
        The formats of the operands; their block sizes must agree.
    asked : Policy, optional
        A policy has the exact sum only, so that whoever gives one claims that.
    level : str
        ``"smoke"`` for a few rows of integers, otherwise everything.
    accumulate : str, optional
        Another claim, as for `mxref.check.dot`.

    Returns
    -------
    Report
        With the width and the order of the sum among `Report.inferred`.

    Raises
    ------
    TargetError
        If a result has another shape or type than it should.
    ValueError
        If the block sizes differ, or there is no such accumulator.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> fmt = block_format("mxfp4")
    >>> report = drive_dot(lambda a, *_: np.zeros(len(a), np.float32), fmt, fmt, level="smoke")
    >>> report.findings[0].id
    'G8'
    """
    if fmt_a.block_size != fmt_b.block_size:
        raise ValueError(
            f"{fmt_a.name} has blocks of {fmt_a.block_size} and {fmt_b.name} of "
            f"{fmt_b.block_size}; expected one size"
        )
    claim = "exact" if accumulate is None and asked is not None else accumulate
    return Drive(call, (fmt_a, fmt_b), claim).report(level)


@dataclass(slots=True)
class Drive:
    """One function on its way through the stages."""

    call: Callable[..., Any]
    pair: tuple[BlockFormat, BlockFormat]
    claim: str | None
    op: str = "dot"
    calls: int = 0

    def report(self, level: str) -> Report:
        """Run the stages; the first that fails decides."""
        easy = of_integers(self.pair)
        first, again = self._results(easy), self._results(easy)
        if not same_number(first, again).all():
            return self._told(unsteady(self.op, self.pair, self.claim, first, again))
        report = self._judged(easy, first)
        if level == "smoke" or report.verdict not in GOOD:
            return self._told(report)
        full = designed(self.pair)
        first, again = self._results(full), self._results(full)
        report = self._on_designed(full, first)
        if not same_number(first, again).all():
            # Atomic additions may come in any order: legal, as long as each order is.
            if report.verdict not in GOOD or self._on_designed(full, again).verdict not in GOOD:
                return self._told(unsteady(self.op, self.pair, self.claim, first, again))
            report = replace(report, notes=(*report.notes, _ANY_ORDER))
        if report.verdict not in GOOD:
            return self._told(report)
        report, gaps = self._on_lengths(report)
        report = replace(report, gaps=(*_without_shape(report.gaps), *gaps))
        return self._told(self._with_order(report) if report.verdict in GOOD else report)

    def _with_order(self, report: Report) -> Report:
        """Recover the tree of the sum, whatever model there is."""

        def run(*operands: Bytes) -> Singles:
            codes_a, scales_a, codes_b, scales_b = operands
            self.calls += 1
            return _read(self.call(codes_a, scales_a, codes_b, scales_b), len(codes_a))

        order = probe_order(self.pair, run)
        return replace(report, inferred=(*report.inferred, order.inference), sum_tree=order.lines)

    def _results(self, stimuli: DotStimuli) -> Singles:
        self.calls += 1
        return _read(self.call(*stimuli.inputs()), len(stimuli.codes_a))

    def _problem(self, stimuli: DotStimuli, got: Singles) -> DotProblem:
        k = stimuli.codes_a.shape[1]
        missing = -k % self.pair[0].block_size
        a, b = (np.pad(c, ((0, 0), (0, missing))) for c in (stimuli.codes_a, stimuli.codes_b))
        return DotProblem(
            Operand(a, stimuli.scales_a, self.pair[0]),
            Operand(b, stimuli.scales_b, self.pair[1]),
            k,
            got,
        )

    def _judged(self, stimuli: DotStimuli, got: Singles) -> Report:
        report = judge_dots(self.op, self._problem(stimuli, got), self.claim)
        first = report.mismatches.first
        if first is None:
            return report
        where = f"The first difference is among the rows for: {stimuli.group_of(first.index[0])}."
        return replace(report, notes=(*report.notes, where))

    def _on_designed(self, stimuli: DotStimuli, got: Singles) -> Report:
        """Judge the rows that stay in the range of float32 first: they show every other fault."""
        problem = self._problem(stimuli, got)
        setup = self._setup()
        report = None
        if len(survey(problem, setup).loose):
            rows = problem.take(np.arange(problem.size))
            tame = ~judge(rows, products_of(setup, rows)).is_loose
            report = self._judged(_some(stimuli, tame), got[tame])
        if report is None or report.verdict in GOOD:
            report = self._judged(stimuli, got)
        return replace(report, inferred=(*report.inferred, *self._widths(stimuli, got)))

    def _widths(self, stimuli: DotStimuli, got: Singles) -> Iterator[Inference]:
        """Read the alignment off the probes themselves, whatever model there is."""
        group = next(g for g in stimuli.groups if g.name == "widths")
        probes = [what for _, what in width_probes(self.pair)]
        found = dict(zip(probes, got[group.start : group.stop].tolist(), strict=True))
        most = max(width for _, _, width in probes)
        kept = {}
        for place in sorted({place for kind, place, _ in probes if kind == "cancel"}):
            lost = [w for w in range(most + 1) if found["cancel", place, w] != 2.0**-w]
            kept[place] = lost[0] - 1 if lost else most
        least = min(kept.values())
        if least == most:
            text = f"a product 2^-{most} below the largest is kept: exact, or {most} bits and more"
        else:
            near = ", ".join(f"{bits} at distance {place}" for place, bits in kept.items())
            text = f"{least} fractional bits kept below the largest product ({near})"
        yield Inference("alignment width", text, _name_of_width(least), exact=least < most)

    def _on_lengths(self, report: Report) -> tuple[Report, list[Gap]]:
        """Other lengths of K: the report of the first that is wrong, or the one there was."""
        block = self.pair[0].block_size
        gaps: list[Gap] = []
        for k in (length * block // 32 for length in LENGTHS):
            made = of_length(self.pair, k, _ROWS)
            found = self._judged_if_wrong(made, self._results(made))
            if found is not None:
                return _at(found, k), gaps
        for k in (length * block // 32 for length in _RAGGED):
            made = ragged(self.pair, k, _ROWS)
            try:
                got = self._results(made)
            except TargetError as error:
                if error.kind != "raised":
                    raise
                gaps.append(Gap("a block that is not full", ("G4",), f"K of {k}: {error}"))
                break
            found = self._judged_if_wrong(made, got)
            if found is not None:
                return _at(_of_padding(found), k), gaps
        return report, gaps

    def _setup(self) -> Setup:
        return plain_setup(self.pair[0].element, self.pair[1].element)

    def _judged_if_wrong(self, stimuli: DotStimuli, got: Singles) -> Report | None:
        """None where the results are allowed: how they are summed is known by now."""
        seen = survey(self._problem(stimuli, got), self._setup())
        if not len(seen.wrong if self.claim is None else seen.different):
            return None
        again = self._results(stimuli)
        if not same_number(got, again).all():
            return unsteady(self.op, self.pair, self.claim, got, again)
        report = self._judged(stimuli, got)
        return None if report.verdict in GOOD else report

    def _told(self, report: Report) -> Report:
        return replace(report, notes=(*report.notes, f"Driven in {self.calls} calls."))


def of_integers(pair: tuple[BlockFormat, BlockFormat]) -> DotStimuli:
    """The rows that any accumulator sums exactly, four blocks each."""
    return ragged(pair, 4 * pair[0].block_size, _ROWS)


def _some(stimuli: DotStimuli, keep: NDArray[np.bool_]) -> DotStimuli:
    ends = np.concatenate([[0], np.cumsum(keep)])
    groups = tuple(
        replace(g, start=int(ends[g.start]), stop=int(ends[g.stop])) for g in stimuli.groups
    )
    return DotStimuli(
        stimuli.scales_a[keep],
        stimuli.codes_a[keep],
        stimuli.scales_b[keep],
        stimuli.codes_b[keep],
        groups,
    )


def _read(result: Any, n: int) -> Singles:
    """The results of a call, as an array of our own."""
    try:
        values = np.array(result)
    except Exception as error:
        raise TargetError(
            f"the target's results have type {type(result).__name__}, which NumPy cannot read; "
            f"expected {SIGNATURE}",
            "garbage",
        ) from error
    if values.dtype != np.float32:
        hint = "; return .astype(np.float32)" if values.dtype.kind == "f" else ""
        raise TargetError(
            f"harness mis-wired: the results have dtype {values.dtype}, expected float32{hint}",
            "mis-wired",
        )
    if values.shape != (n,):
        hint = f": add .reshape({n})" if values.size == n else ""
        if values.shape == (n, n):
            hint = ": a matrix product? Each row of a meets the same row of b: return its diagonal"
        raise TargetError(
            f"harness mis-wired: the results have shape {values.shape}, expected {(n,)}{hint}",
            "mis-wired",
        )
    return values


def unsteady(
    op: str,
    pair: tuple[BlockFormat, BlockFormat],
    claim: str | None,
    first: Singles,
    again: Singles,
) -> Report:
    """Return the report of a target that is not deterministic: it says nothing of the bits."""
    text = (
        f"The target is not deterministic: {int((~same_number(first, again)).sum()):,} of "
        f"{first.size:,} results differ between two calls on the same operands. Look for a state "
        "that is kept between calls, memory that is read before it is written, a race, or sums "
        "whose order changes (atomic additions)."
    )
    return Report(
        op,
        "-".join(fmt.name for fmt in pair),
        Verdict.UNEXPLAINED,
        None,
        None if claim is None else get_policy(None),
        (),
        Mismatches(0, 0, 0, 0),
        trouble=Trouble("nondeterministic", text),
    )


def _of_padding(report: Report) -> Report:
    """Say of what is unexplained that whole blocks are right: then padding is the suspect."""
    if report.verdict is not Verdict.UNEXPLAINED or report.trouble is not None:
        return report
    place = Place(
        "Only products whose last block is not full are wrong.",
        "padding that takes part: elements, or a term that is added for them (G4)",
        "mask the padding, or fill it with zeros under a scale of 1, and compare again",
    )
    return replace(report, places=(place, *report.places))


def _at(report: Report, k: int) -> Report:
    return replace(report, notes=(*report.notes, f"It shows at K = {k}; lengths before are right."))


def _without_shape(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """What the other lengths have shown since."""
    return (gap for gap in gaps if gap.what != "a block that is not full")


def _name_of_width(bits: int) -> str:
    """Hardware that is known to keep so many bits."""
    names = [
        m.name
        for m in models()
        if isinstance(m.total, Aligned) and m.total.bits == bits and "aligned" not in m.name
    ]
    return " or ".join(names)
