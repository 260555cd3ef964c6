"""Drives a function on stored tensors: shapes around a tile, other padding, address probes.

A few tensors show what a large one would: one below a tile, one of exactly a tile, one beyond it
both ways. All of them are judged together, since they come from one implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref import arrays
from mxref.check._findings import fault_finding
from mxref.check.parts import Place, Verdict
from mxref.check.report import Report
from mxref.check.target import TargetError
from mxref.check.tensor._call import bytes_pair, matrix
from mxref.check.tensor._data import MisfitError, Stored, declared_elements
from mxref.check.tensor._dictionary import Plane, places, scale_order
from mxref.check.tensor._search import Reading, Trial
from mxref.check.tensor.address import AddressMap, probe
from mxref.faults.decode import element_table
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["Layout", "TensorDrive", "layout_of"]

_SHAPES = {
    # Lines and blocks: below a tile of 128 x 4 and of 32 x 8, a tile, beyond both.
    "smoke": ((34, 3),),
    "core": ((34, 3), (128, 4), (130, 10)),
    "full": ((34, 3), (128, 4), (130, 10), (2, 1), (32, 8), (64, 13), (258, 5)),
}
_SHAPES["exhaustive"] = _SHAPES["full"]
_PADDINGS = (0x7F, 0xFF)
_LOWEST, _HIGHEST = 90, 165  # scale codes whose products stay in float32 for every element
_SEED = 20230907


@dataclass(frozen=True, slots=True)
class Layout:
    """What the caller declares: axis (0 or 1), packing and order of the scales."""

    axis: int
    packing: str
    scale_layout: str


_Judge = Callable[[list[Trial], BlockFormat, Reading, Policy | None], Report]


@dataclass(slots=True)
class TensorDrive:
    """A guarded function on its way through the tensors."""

    call: Callable[..., Any]
    fmt: BlockFormat
    op: str
    asked: Policy | None
    layout: Layout
    judge: _Judge
    calls: int = 0
    notes: list[str] = field(default_factory=list)

    def run(self, level: str) -> Report:
        """Call the function on every tensor, and judge what came out.

        Raises
        ------
        TargetError
            If the function cannot be run, or what it returns cannot be read.
        """
        plans = [self._shape(*pair) for pair in _SHAPES[level]]
        reads = self.op == "dequantize_tensor"
        trials = [self._read(s, _PADDINGS[0]) if reads else self._written(s) for s in plans]
        self._repeat(trials[0])
        other = self._read(plans[0], _PADDINGS[1]) if reads else None
        has_padding = other is not None and bool((other.stored.scales == _PADDINGS[1]).any())
        given = [*trials, other] if has_padding and other is not None else trials
        ragged = [] if reads else self._ragged()
        report = self._judged(given, ragged)
        trials += ragged
        if has_padding and other is not None:
            report = self._with_padding(report, trials[0], other)
        if report.verdict is Verdict.UNEXPLAINED:
            report = self._with_map(report, plans[-1])
        sizes = ", ".join(f"{a} x {b}" for a, b in (t.numbers.shape for t in trials))
        coverage = f"Driven with tensors of {sizes} in {self.calls} calls."
        return replace(report, notes=(*report.notes, *self.notes, coverage))

    def _judged(self, trials: list[Trial], ragged: list[Trial]) -> Report:
        """Judge all tensors; if the ragged one alone is the trouble, say so."""
        declared, text = self._declared(), ""
        try:
            whole = self.judge(trials, self.fmt, declared, self.asked)
        except MisfitError as error:
            raise TargetError(f"harness mis-wired: {error}") from None
        # A search that ends without a cause is slow: one of them is enough.
        if not ragged or whole.verdict is Verdict.UNEXPLAINED:
            return whole
        try:
            report = self.judge([*trials, *ragged], self.fmt, declared, self.asked)
        except MisfitError as error:
            text = str(error)
        if not text and report.verdict is not Verdict.UNEXPLAINED:
            return report
        rows, columns = ragged[0].numbers.shape
        place = Place(
            f"A tensor of {rows} x {columns}, whose last blocks are partial, goes wrong in a way "
            f"of its own{': ' if text else ''}{text}.",
            "a tail that is dropped, measured or padded otherwise than with zeros",
            "Refuse such lengths (block_tail=forbid), or append zeros to whole blocks.",
        )
        verdict = whole.verdict if whole.verdict is Verdict.DEFECT else Verdict.UNEXPLAINED
        return replace(whole, verdict=verdict, policy=None, places=(*whole.places, place))

    def _shape(self, lines: int, blocks: int) -> tuple[int, int]:
        length = blocks * self.fmt.block_size
        return (lines, length) if self.layout.axis == 1 else (length, lines)

    def _declared(self) -> Reading:
        order = scale_order(self.layout.scale_layout)
        return Reading(declared_elements(self.layout.packing, self.fmt), order)

    def _stored(
        self, elements: NDArray[np.uint8], scales: NDArray[np.uint8], shape: tuple[int, int]
    ) -> Stored:
        has_nibbles = self.layout.packing != "bytes"
        k = self.fmt.block_size
        return Stored(elements, scales, shape, self.layout.axis, k, has_nibbles)

    # --- trials ---------------------------------------------------------------------------

    def _read(self, shape: tuple[int, int], padding: int) -> Trial:
        stored = self._stored(*_codes_of(self.fmt, shape, self.layout, padding), shape)
        self.calls += 1
        values = matrix(self.call(stored.elements, stored.scales, shape), shape)
        return Trial(stored, values)

    def _written(self, shape: tuple[int, int]) -> Trial:
        x = _numbers(self.fmt, shape, self.layout.axis)
        self.calls += 1
        return Trial(self._stored(*bytes_pair(self.call(x)), shape), x)

    def _ragged(self) -> list[Trial]:
        """A length that is no multiple of the block; a function may refuse it."""
        k = self.fmt.block_size
        along = 2 * k + k // 2 + 2
        shape = (36, along) if self.layout.axis == 1 else (along, 36)
        try:
            return [self._written(shape)]
        except TargetError as error:
            if error.kind != "raised":
                raise
            self.notes.append(f"A length of {along} is refused, as block_tail=forbid has it.")
            return []

    def _repeat(self, trial: Trial) -> None:
        """Call again with the same input.

        Raises
        ------
        TargetError
            If another result comes out, but for the padding.
        """
        shape, stored = trial.stored.shape, trial.stored
        self.calls += 1
        if self.op == "dequantize_tensor":
            again = matrix(self.call(stored.elements, stored.scales, shape), shape)
            differs = again.view(np.uint32) != trial.numbers.view(np.uint32)
            _require_same(int(differs.sum()), differs.size, "values")
            return
        elements, scales = bytes_pair(self.call(trial.numbers))
        for one, two, what in (
            (elements, stored.elements, "elements"),
            (scales, stored.scales, "scales"),
        ):
            if one.shape != two.shape:
                raise TargetError(
                    f"the target returned {one.size} bytes of {what} and then {two.size} for the "
                    "same input",
                    "nondeterministic",
                )
        _require_same(int((elements != stored.elements).sum()), elements.size, "elements")
        self._require_scales(scales, stored)

    def _require_scales(self, scales: NDArray[np.uint8], stored: Stored) -> None:
        order = scale_order(self.layout.scale_layout)
        differs = scales != stored.scales
        free = np.zeros(scales.size, np.bool_)
        if order.size(stored.plane()) == scales.size:
            free = stored.padding(order)
        _require_same(int((differs & ~free).sum()), scales.size, "scales")
        if differs.any():
            self.notes.append(
                "The padding of the scale plane changes from call to call: it is never written. A "
                "consumer that multiplies whole tiles reads it; fill it with one scale code."
            )

    # --- what else a call can show ------------------------------------------------------------

    def _with_padding(self, report: Report, one: Trial, other: Trial) -> Report:
        """G4: values that depend on what lies where no scale is."""
        changed = one.numbers.view(np.uint32) != other.numbers.view(np.uint32)
        named = report.verdict is Verdict.DEFECT and all(
            f.id[0] == "L" and f.certain for f in report.findings[:1]
        )
        if not changed.any() or named:
            return report
        left = self._left(one, other, changed)
        row, column = (int(i) for i in np.argwhere(changed)[0])
        detail = (
            f"{int(changed.sum())} values change when the padding of the scale plane is 0xff "
            f"instead of 0x7f, first [{row}, {column}]"
        )
        share = int(changed.sum()) / max(1, report.mismatches.elements)
        own = fault_finding("G4", detail, min(1.0, share), left, report.mismatches.first)
        if left:
            findings = (*report.findings, own)
            return replace(report, verdict=Verdict.UNEXPLAINED, policy=None, findings=findings)
        return replace(report, verdict=Verdict.DEFECT, policy=None, findings=(own,))

    def _left(self, one: Trial, other: Trial, changed: NDArray[np.bool_]) -> int:
        """Mismatches that do not change with the padding."""
        wrong = np.zeros(changed.shape, np.bool_)
        for trial in (one, other):
            codes, scales = trial.taken(self._declared())
            right = arrays.dequantize(codes, scales, self.fmt, self.layout.axis, self.asked)
            wrong |= right.view(np.uint32) != trial.numbers.view(np.uint32)
        return int((wrong & ~changed).sum())

    def _with_map(self, report: Report, shape: tuple[int, int]) -> Report:
        """Say where each scale and each code was looked for, or put."""
        seen: list[Place] = []
        for of in ("scales", "elements"):
            try:
                found = probe(
                    self.call,
                    self.fmt,
                    shape,
                    self.layout.axis,
                    self.op,
                    of=of,
                    packing=self.layout.packing,
                    scale_layout=self.layout.scale_layout,
                )
            except TargetError as error:
                self.notes.append(f"The address probe of the {of} failed: {error}.")
                continue
            self.calls += found.runs
            if not found.ok:
                seen.append(_place(found, self.op))
        return replace(report, places=(*report.places, *seen))


def _require_same(count: int, total: int, what: str) -> None:
    if count:
        raise TargetError(
            f"the target is not deterministic: two calls with the same input differ in {count} of "
            f"{total} {what}. Fix the seed, or look for memory that is read before it is written",
            "nondeterministic",
        )


def _place(found: AddressMap, op: str) -> Place:
    verb = "read" if op == "dequantize_tensor" else "written"
    what = f"Address probe ({verb}): {found}"
    points = "an order of the bytes that the catalogue does not hold"
    if found.name:
        points = f"{found.fault}: the order {found.name}"
    tail = "compare mxref.check.address_map(...).addresses with the index arithmetic"
    return Place(what, points, f"At the first departure, {tail}.", 1.0)


# --- data -------------------------------------------------------------------------------------


def _codes_of(
    fmt: BlockFormat, shape: tuple[int, int], layout: Layout, padding: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Stored codes that are finite and scale codes that are far from both ends; all different."""
    rng = np.random.default_rng(_SEED)
    table = np.asarray(element_table(fmt.element), np.float64)
    fine = np.flatnonzero(np.isfinite(table)).astype(np.uint8)
    codes = fine[rng.integers(0, len(fine), shape)].ravel()
    order, plane = scale_order(layout.scale_layout), Plane.of(shape, layout.axis, fmt.block_size)
    scales = np.full(order.size(plane), padding, np.uint8)
    chosen = rng.integers(_LOWEST, _HIGHEST, (plane.lines, plane.blocks))
    scales[places(order, plane)] = chosen.astype(np.uint8)
    if layout.packing == "bytes":
        return codes, scales
    codes = np.concatenate([codes, np.zeros(codes.size % 2, np.uint8)])
    first, second = codes[::2], codes[1::2]
    low, high = (first, second) if layout.packing == "nibbles-low-first" else (second, first)
    return (low | high << 4).astype(np.uint8), scales


def _numbers(fmt: BlockFormat, shape: tuple[int, int], axis: int) -> NDArray[np.float32]:
    """Numbers with another amax in each block, and here and there one of the scale code 0."""
    rng = np.random.default_rng(_SEED)
    lines, length = shape[1 - axis], shape[axis]
    k, emax = fmt.block_size, fmt.element.emax
    blocks = -(-length // k)
    x = rng.standard_normal((lines, blocks * k)) * 2.0 ** rng.integers(-4, 3, (lines, blocks * k))
    x *= np.repeat(2.0 ** rng.integers(-40, 41, (lines, blocks)), k, 1)
    if emax:  # without it such a block has numbers below the normal ones of float32
        tiny = np.repeat(rng.random((lines, blocks)) < 1 / 16, k, 1)
        sign = np.where(rng.random(x.shape) < 0.5, -1.0, 1.0)
        x = np.where(tiny, sign * rng.uniform(1, 2, x.shape) * 2.0 ** (emax - 127), x)
    cut = x[:, :length].astype(np.float32)
    return np.ascontiguousarray(cut if axis == 1 else cut.T)


def layout_of(axis: int, packing: str, scale_layout: str, fmt: BlockFormat) -> Layout:
    """What the caller declares, checked.

    Raises
    ------
    ValueError
        If a name does not exist, or the format has no such packing.
    """
    declared_elements(packing, fmt)
    scale_order(scale_layout)
    return Layout(inputs.normal_axis(axis, (1, 1)), packing, scale_layout)
