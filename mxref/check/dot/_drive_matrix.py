"""Drives a matrix product as a black box: its layout, stale tiles, edges, widths and order.

First a product of integers, which every accumulator sums exactly: a difference is one of layout or
scale. Another follows in the same shape, which shows what the first one left. Then each row of the
designed dot products meets its own column, as for a dot product that is driven. Last come shapes
beside those of tiles, each after a product that is NaN throughout and larger: what a kernel reads
behind its operands, or finds in a workspace, is then NaN. A cause that one of these shapes names
has to explain all of them: a single result fits many.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._drive import GOOD, Drive, unsteady
from mxref.check.dot._fault import DotFault
from mxref.check.dot._judge import explains, judge_dots
from mxref.check.dot._outputs import same_number
from mxref.check.dot._problem import Bytes, DotProblem, Operand, Singles
from mxref.check.dot._report import dot_finding, dot_witness
from mxref.check.dot._search import survey
from mxref.check.dot._stimuli import integers
from mxref.check.dot._terms import plain_setup
from mxref.check.dot._tiles import rough_product, where
from mxref.check.parts import Gap, Verdict
from mxref.check.report import Report
from mxref.check.target import TargetError
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["MATRIX_SIGNATURE", "drive_matmul"]

MATRIX_SIGNATURE = (
    "fn(codes_a: uint8 (M, K), scales_a: uint8 (M, K/32), codes_b: uint8 (K, N), "
    "scales_b: uint8 (K/32, N)) -> float32 (M, N)"
)
_FIRST = (48, 80)
_WHOLE = (128, 128)  # for a kernel that takes whole tiles only
_SHAPES = ((1, 1), (1, 40), (40, 1), (17, 65), (65, 33), (127, 129), (129, 127))
_BLOCKS = 4
_TILE = 128
_NAN_SCALE = 0xFF
_ONE = 127
_TRIES = 3  # products that may each name a fault for all


def drive_matmul(
    call: Callable[..., Any],
    fmt_a: BlockFormat,
    fmt_b: BlockFormat,
    asked: Policy | None = None,
    *,
    level: str = "core",
    accumulate: str | None = None,
) -> Report:
    """Check a function that computes matrix products, with operands designed for the purpose.

    Parameters
    ----------
    call : callable
        As `MATRIX_SIGNATURE` says, guarded: it raises nothing but `TargetError`.
    fmt_a, fmt_b : BlockFormat
        The formats of the operands; their block sizes must agree.
    asked : Policy, optional
        A policy has the exact sum only, so that whoever gives one claims that.
    level : str
        ``"smoke"`` for products of integers only, otherwise everything.
    accumulate : str, optional
        Another claim, as for `mxref.check.matmul`.

    Returns
    -------
    Report
        With the width and the order of the sum among `Report.inferred`, and `Report.sum_tree`.

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
    >>> def zero(a, _, b, __):
    ...     return np.zeros((len(a), b.shape[1]), np.float32)
    >>> drive_matmul(zero, fmt, fmt, level="smoke").findings[0].id
    'G8'
    """
    if fmt_a.block_size != fmt_b.block_size:
        raise ValueError(
            f"{fmt_a.name} has blocks of {fmt_a.block_size} and {fmt_b.name} of "
            f"{fmt_b.block_size}; expected one size"
        )
    claim = "exact" if accumulate is None and asked is not None else accumulate
    return _Drive(call, (fmt_a, fmt_b), claim).report(level)


@dataclass(slots=True)
class _Drive:
    """One function on its way through the stages."""

    call: Callable[..., Any]
    pair: tuple[BlockFormat, BlockFormat]
    claim: str | None
    calls: int = 0
    gaps: list[Gap] = field(default_factory=list)

    def report(self, level: str) -> Report:
        """Run the stages; the first that fails decides."""
        shape, first, got = self._first()
        again = self._run(first)
        if not _same(got, again):
            return self._told(self._unsteady(got, again))
        report = self._judged(first, got)
        if report.verdict not in GOOD:
            return self._told(report)
        second = self._second(shape, got)
        if second is not None or level == "smoke":
            return self._told(second or report)
        as_dots = Drive(self._diagonal, self.pair, self.claim, "matmul").report("core")
        if as_dots.verdict not in GOOD:
            return self._told(as_dots)
        wrong = self._on_shapes()
        return self._told(wrong or replace(as_dots, gaps=(*as_dots.gaps, *self.gaps)))

    # --- calls -------------------------------------------------------------------------------

    def _run(self, made: DotProblem) -> Singles:
        self.calls += 1
        a, b = made.a, made.b
        blocks = -(-made.k // a.fmt.block_size)
        result = self.call(
            np.ascontiguousarray(a.codes[:, : made.k]),
            np.ascontiguousarray(a.scales[:, :blocks]),
            np.ascontiguousarray(b.codes[:, : made.k].T),
            np.ascontiguousarray(b.scales[:, :blocks].T),
        )
        return _read(result, made.got.shape)

    def _judged(self, made: DotProblem, got: Singles) -> Report:
        return judge_dots("matmul", replace(made, got=got), self.claim)

    def _unsteady(self, first: Singles, again: Singles) -> Report:
        return unsteady("matmul", self.pair, self.claim, first, again)

    def _diagonal(self, *operands: Bytes) -> Singles:
        """Dot products of rows: products of matrices of which the diagonal counts."""
        found = []
        for start in range(0, len(operands[0]), _TILE):
            codes_a, scales_a, codes_b, scales_b = (x[start : start + _TILE] for x in operands)
            missing = _TILE - len(codes_a)
            grow = ((0, missing), (0, 0))
            filled = [np.pad(x, grow) for x in (codes_a, codes_b)]
            scaled = [np.pad(x, grow, constant_values=_ONE) for x in (scales_a, scales_b)]
            self.calls += 1
            result = self.call(
                filled[0],
                scaled[0],
                np.ascontiguousarray(filled[1].T),
                np.ascontiguousarray(scaled[1].T),
            )
            found.append(np.diagonal(_read(result, _WHOLE))[: len(codes_a)])
        return np.concatenate(found)

    # --- stages ------------------------------------------------------------------------------

    def _first(self) -> tuple[tuple[int, int], DotProblem, Singles]:
        """The first product: in a shape that no tile has, if the target takes it."""
        made = _whole_numbers(self.pair, _FIRST, _BLOCKS * self.pair[0].block_size)
        try:
            return _FIRST, made, self._run(made)
        except TargetError as error:
            if error.kind != "raised":
                raise
            made = _whole_numbers(self.pair, _WHOLE, _BLOCKS * self.pair[0].block_size)
            got = self._run(made)
            needs = f"M of {_FIRST[0]} and N of {_FIRST[1]}: {error}"
            self.gaps.append(Gap("the edges of the output", ("L4", "G13"), needs))
            return _WHOLE, made, got

    def _second(self, shape: tuple[int, int], before: Singles) -> Report | None:
        """The report of another product in the same shape, if it is wrong."""
        made = _whole_numbers(self.pair, shape, _BLOCKS * self.pair[0].block_size, 1)
        got = self._run(made)
        problem = replace(made, got=got)
        setup = plain_setup(*(fmt.element for fmt in self.pair))
        wrong = survey(problem, setup).wrong
        if not len(wrong):
            return None
        due = rough_product(problem, setup).reshape(-1)[wrong]
        old, new = (x.reshape(-1)[wrong].astype(np.float64) for x in (before, got))
        part = where(problem, wrong) or "all of the output"
        for is_so, what in (
            ((new == old).all(), f"the results of the call before stand in {part}"),
            (
                (new == old + due).all(),
                f"those of the call before are added in {part}",
            ),
        ):
            if is_so:
                report = self._judged(made, got)
                witness = dot_witness(problem, setup, int(wrong[0]))
                finding = dot_finding(DotFault("G13", what), 1.0, 0, witness, is_legal=False)
                return replace(report, verdict=Verdict.DEFECT, findings=(finding,), places=())
        again = self._run(made)
        return self._judged(made, got) if _same(got, again) else self._unsteady(got, again)

    def _on_shapes(self) -> Report | None:
        """The report of shapes that are wrong, each after a product of NaN."""
        failed: list[DotProblem] = []
        if self.gaps:
            return None
        for number, (m, n) in enumerate(_SHAPES):
            k = (1 + number % 3) * self.pair[0].block_size
            both = (_poison(self.pair, m, n, k), _whole_numbers(self.pair, (m, n), k))
            try:
                wrong, differs = self._in_turn(both)
            except TargetError as error:
                if error.kind != "raised":
                    raise
                needs = f"M of {m} and N of {n}: {error}"
                self.gaps.append(Gap("the edges of the output", ("L4", "G13"), needs))
                break
            if differs is not None:
                return differs
            failed += wrong
        report = self._of_failed(failed)
        if report is None or report.verdict is not Verdict.UNEXPLAINED:
            return report
        return self._left_over(failed) or report

    def _in_turn(self, products: Sequence[DotProblem]) -> tuple[list[DotProblem], Report | None]:
        """Run products one after the other; return those that are wrong.

        If another run gives other bits, a report says so.
        """
        first = [replace(made, got=self._run(made)) for made in products]
        wrong = [made for made in first if self._is_wrong(made)]
        if wrong:
            for before in first:
                again = self._run(before)
                if not _same(before.got, again):
                    return wrong, self._unsteady(before.got, again)
        return wrong, None

    def _is_wrong(self, made: DotProblem) -> bool:
        """Whether there is something to judge: integers have one sum in any order."""
        if self.claim not in (None, "exact"):
            return True
        return len(survey(made, plain_setup(*(f.element for f in self.pair))).different) > 0

    def _of_failed(self, failed: list[DotProblem]) -> Report | None:
        """The report of the largest product, if what it names explains all the others too.

        A small product fits many faults: of one result that is zero it cannot be said whether all
        results would be. What another product refutes makes way for what that one names.
        """
        left = sorted(failed, key=lambda made: -made.size)

        @functools.cache
        def report_of(i: int) -> Report:
            return _shown_at(self._judged(left[i], left[i].got), left[i])

        def refutes(i: int, ids: list[str]) -> bool:
            if explains(ids, left[i]) or report_of(i).verdict in GOOD:
                return False
            own = report_of(i)
            return own.verdict is not Verdict.DEFECT or [f.id for f in own.findings] != ids

        numbers = range(len(left))
        largest = next((i for i in numbers if report_of(i).verdict not in GOOD), None)
        if largest is None:
            return None
        at: int | None = largest
        for _ in range(_TRIES):
            report = report_of(at)
            if report.verdict is not Verdict.DEFECT:
                break
            ids = [finding.id for finding in report.findings]
            at = next((i for i in numbers if i != at and refutes(i, ids)), None)
            if at is None:
                return report
        return _without_cause(report_of(largest))

    def _left_over(self, failed: list[DotProblem]) -> Report | None:
        """The report of NaN that the product before has left, if finite ones leave no trace."""
        setup = plain_setup(*(fmt.element for fmt in self.pair))
        made = max(failed, key=lambda one: one.size)
        wrong = survey(made, setup).wrong
        if not len(wrong) or not np.isnan(made.got.reshape(-1)[wrong]).all():
            return None
        (m, n), k = made.got.shape, made.k
        self._run(_poison(self.pair, m, n, k, is_nan=False))
        if self._is_wrong(replace(made, got=self._run(made))):
            return None
        # One that ends where this one does leaves nothing behind its end.
        self._run(_poison(self.pair, m, n, k - self.pair[0].block_size))
        is_inside = self._is_wrong(replace(made, got=self._run(made)))
        of_before = "NaN of the call before takes part"
        fault = (
            DotFault("G13", f"{of_before}, as though the output were not overwritten")
            if is_inside
            else DotFault("G4", f"{of_before}: it lies behind the end of K")
        )
        report = _shown_at(self._judged(made, made.got), made)
        witness = dot_witness(made, setup, int(wrong[0]))
        finding = dot_finding(fault, 1.0, 0, witness, is_legal=False)
        return replace(report, verdict=Verdict.DEFECT, findings=(finding,), places=())

    def _told(self, report: Report) -> Report:
        notes = [note for note in report.notes if not note.startswith("Driven in ")]
        return replace(report, notes=(*notes, f"Driven in {self.calls} calls."))


def _same(first: Singles, again: Singles) -> bool:
    return bool(same_number(first, again).all())


def _without_cause(report: Report) -> Report:
    """The report of a product whose fault does not explain the others."""
    if report.verdict is not Verdict.DEFECT:
        return report
    named = ", ".join(finding.id for finding in report.findings)
    note = f"{named} would explain this product, but not all others that are wrong."
    return replace(report, verdict=Verdict.UNEXPLAINED, findings=(), notes=(*report.notes, note))


def _shown_at(report: Report, made: DotProblem) -> Report:
    (m, n), k = made.got.shape, made.k
    note = f"It shows at M = {m}, N = {n}, K = {k}, after a product of NaN."
    return replace(report, notes=(*report.notes, note))


def _whole_numbers(
    pair: tuple[BlockFormat, BlockFormat], shape: tuple[int, int], k: int, seed: int = 0
) -> DotProblem:
    """Matrices of small integers, whose products every accumulator sums exactly."""
    blocks = k // pair[0].block_size
    rows = list(integers(pair, blocks, max(shape), seed))
    a, b = (
        Operand(np.stack([r[i + 1] for r in rows[:n]]), np.stack([r[i] for r in rows[:n]]), fmt)
        for i, n, fmt in zip((0, 2), shape, pair, strict=True)
    )
    return DotProblem(a, b, k, np.zeros(shape, np.float32))


def _poison(
    pair: tuple[BlockFormat, BlockFormat], m: int, n: int, k: int, *, is_nan: bool = True
) -> DotProblem:
    """Matrices of NaN, or of zeros, in whole tiles and one block longer."""
    length = k + pair[0].block_size
    sides = []
    for rows, fmt in zip((m, n), pair, strict=True):
        size = -(-rows // _TILE) * _TILE
        nans = sorted(fmt.element.nan_magnitudes)
        code = (nans[0] if nans else 1) if is_nan else 0
        codes = np.full((size, length), code, np.uint8)
        scale = _NAN_SCALE if is_nan else _ONE
        scales = np.full((size, length // fmt.block_size), scale, np.uint8)
        sides.append(Operand(codes, scales, fmt))
    shape = (len(sides[0].codes), len(sides[1].codes))
    return DotProblem(sides[0], sides[1], length, np.zeros(shape, np.float32))


def _read(result: Any, shape: tuple[int, ...]) -> Singles:
    """The result of a call, as an array of our own."""
    try:
        values: NDArray[Any] = np.array(result)
    except Exception as error:
        raise TargetError(
            f"the target's result has type {type(result).__name__}, which NumPy cannot read; "
            f"expected {MATRIX_SIGNATURE}",
            "garbage",
        ) from error
    if values.dtype != np.float32:
        hint = "; return .astype(np.float32)" if values.dtype.kind == "f" else ""
        raise TargetError(
            f"harness mis-wired: the result has dtype {values.dtype}, expected float32{hint}",
            "mis-wired",
        )
    if values.shape != shape:
        hint = ": transposed?" if values.shape == shape[::-1] else ""
        if not hint and values.size == np.prod(shape):
            hint = f": add .reshape{shape}"
        raise TargetError(
            f"harness mis-wired: the result has shape {values.shape}, expected {shape}{hint}",
            "mis-wired",
        )
    return np.ascontiguousarray(values)
