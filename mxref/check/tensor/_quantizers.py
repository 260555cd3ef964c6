"""Quantizers of tensors that no order explains: amax over other elements, scales that ran together.

S15, D16 and those of L4 and L5 that lose something on the way: they cannot be undone, so that the
scale codes are predicted instead, and the elements judged under the scales that were emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.check._findings import fault_finding
from mxref.check.element import encode
from mxref.check.parts import Mismatches, Verdict, Witness
from mxref.check.quantize import quantize
from mxref.check.report import Report
from mxref.check.tensor._dictionary import places
from mxref.check.tensor._report import (
    Task,
    declared_mismatches,
    first_seen,
    judged,
    merged,
    wrong_as_declared,
)
from mxref.check.tensor._search import Trial, read_resized
from mxref.faults._quantized_tensors import QUANTIZERS
from mxref.faults.legal import explanations
from mxref.faults.scale import Selector
from mxref.faults.stats import BlockStats, block_stats
from mxref.formats import block_format

__all__ = ["of_other_cuts", "of_other_sets", "of_other_sizes"]

Bytes = NDArray[np.uint8]
_NAN_SCALE = 0xFF
_FIRST = 1 << 15


# --- blocks that are cut otherwise ------------------------------------------------------------


class _Cut(NamedTuple):
    """Blocks of another length, or that go on in the next line."""

    fault: str
    detail: str
    k: Callable[[int, int], int]
    is_flat: bool = False


_CUTS = (
    _Cut("S15", "blocks go on in the next line", lambda k, _: k, is_flat=True),
    *(_Cut("S15", f"blocks of {size}", lambda *_, size=size: size) for size in (16, 64, 8, 128)),
    _Cut("S15", "the length divided by the number of blocks", lambda k, n: -(-n // -(-n // k))),
    _Cut("S15", "one block a line", lambda _, n: n),
)


def of_other_sizes(task: Task, trials: Sequence[Trial]) -> Report | None:
    """Explain buffers of another size than was declared; None if they have it, or nothing does."""
    if all(_fits(task, t) for t in trials):
        return None
    return _tails(task, trials) or of_other_cuts(task, trials) or _resized(task, trials)


def _resized(task: Task, trials: Sequence[Trial]) -> Report | None:
    """An order that takes another number of bytes: no padding, or blocks along the other axis."""
    for trial in trials:
        size = _element_bytes(trial.stored.shape, has_nibbles=trial.stored.has_nibbles)
        if trial.stored.elements.size != size:
            return None
    for reading in read_resized(trials, task.fmt, task.declared, task.base)[:2]:
        report = judged(task, trials, reading)
        if report.verdict is not Verdict.UNEXPLAINED:
            return report
    return None


def _fits(task: Task, trial: Trial) -> bool:
    stored = trial.stored
    size = task.declared.scales.size(stored.plane())
    return stored.scales.size == size and stored.elements.size == _element_bytes(
        stored.shape, has_nibbles=stored.has_nibbles
    )


def _element_bytes(shape: tuple[int, int], *, has_nibbles: bool) -> int:
    count = shape[0] * shape[1]
    return -(-count // 2) if has_nibbles else count


def _lines(array: NDArray[Any], axis: int) -> NDArray[Any]:
    return array if axis == 1 else array.T


def _under_cut(task: Task, trials: Sequence[Trial], cut: _Cut) -> Report | None:
    """The report of the blocks under another cut; None if the sizes are not those of it."""
    if task.declared.scales.name != "row-major":
        return None
    if all(_fits(task, t) for t in trials) and _is_usual(cut, task, trials):
        return None
    reports = []
    for trial in trials:
        stored, k = trial.stored, task.fmt.block_size
        x = _lines(trial.numbers, stored.axis)
        if stored.elements.size != _element_bytes(stored.shape, has_nibbles=stored.has_nibbles):
            return None
        codes = _lines(stored.all_codes(task.declared.elements), stored.axis)
        if cut.is_flat:
            x, codes = x.reshape(1, -1), codes.reshape(1, -1)
        size = max(1, cut.k(k, x.shape[1]))
        blocks = -(-x.shape[1] // size)
        if stored.scales.size != len(x) * blocks:
            return None
        across = stored.scales.reshape(len(x), blocks) if stored.axis == 1 else None
        plane = stored.scales.reshape(blocks, len(x)).T if across is None else across
        fmt = block_format(task.fmt.base, size)
        reports.append(quantize(x, codes, plane, fmt, -1, task.asked))
    return _with(task, trials, merged(task, trials, reports), cut.fault, cut.detail)


def _is_usual(cut: _Cut, task: Task, trials: Sequence[Trial]) -> bool:
    """Whether a cut is the declared one on these shapes."""
    k = task.fmt.block_size
    lengths = [t.stored.shape[t.stored.axis] for t in trials]
    if cut.is_flat:
        return all(n % k == 0 for n in lengths)
    return all(cut.k(k, n) == k for n in lengths)


def _with(task: Task, trials: Sequence[Trial], report: Report, fault: str, detail: str) -> Report:
    """A report of blocks with a finding that it needs."""
    planes = [t.stored.plane() for t in trials]
    expected = sum(p.lines * p.blocks for p in planes)
    elements = sum(t.numbers.size for t in trials)
    first = next((w for w in (first_seen(task, t) for t in trials) if w is not None), None)
    if all(_fits(task, t) for t in trials):
        seen = [wrong_as_declared(task, t) for t in trials]
        bad = sum(int(w.blocks.sum()) for w in seen), sum(int(w.elements.sum()) for w in seen)
        first = _first_scale(task, trials) or first
        counts = Mismatches(*bad, expected, elements, first)
    else:  # not one scale is where it should be
        got = sum(t.stored.scales.size for t in trials)
        size = sum(task.declared.scales.size(p) for p in planes)
        if got != size:
            detail = f"{detail}: {got} bytes of scales, {size} as declared"
        counts = Mismatches(expected, 0, expected, elements, first)
    left = report.verdict is Verdict.UNEXPLAINED
    residual = max([1, *(f.residual for f in report.findings)]) if left else 0
    own = fault_finding(fault, detail, 1.0, residual, first)
    verdict = Verdict.UNEXPLAINED if left else Verdict.DEFECT
    return replace(
        report,
        op=task.op,
        format=task.fmt.name,
        verdict=verdict,
        policy=None,
        findings=(own, *report.findings),
        mismatches=counts,
    )


def _tails(task: Task, trials: Sequence[Trial]) -> Report | None:
    """L4: the scales of partial blocks are missing, or the codes of the padding are there."""
    for detail, undo in (("the tail dropped", _kept), ("the padding handed out", _cropped)):
        undone = [undo(task, t) for t in trials]
        if any(t is None for t in undone):
            continue
        reports = [
            task.judge(t, *t.taken(task.declared), t.stored.axis) for t in undone if t is not None
        ]
        report = _with(task, trials, merged(task, trials, reports), "L4", detail)
        if report.verdict is not Verdict.UNEXPLAINED:
            return report
    return None


def _kept(task: Task, trial: Trial) -> Trial | None:
    """The whole blocks alone, where the scales of the others are missing and their codes zero."""
    stored, axis = trial.stored, trial.stored.axis
    whole = stored.shape[axis] // stored.k
    lines = stored.shape[1 - axis]
    is_plain = task.declared.scales.name == "row-major"
    if not is_plain or not whole or stored.scales.size != lines * whole:
        return None
    if stored.elements.size != _element_bytes(stored.shape, has_nibbles=stored.has_nibbles):
        return None
    codes = stored.all_codes(task.declared.elements)
    part = (slice(None), slice(whole * stored.k))[:: 1 if axis == 1 else -1]
    rest = (slice(None), slice(whole * stored.k, None))[:: 1 if axis == 1 else -1]
    if codes[rest].any():
        return None
    return _unpacked(trial, codes[part], trial.numbers[part])


def _cropped(task: Task, trial: Trial) -> Trial | None:
    """The tensor without its padding, where that was stored as well."""
    stored, axis = trial.stored, trial.stored.axis
    padded = list(stored.shape)
    padded[axis] += -padded[axis] % stored.k
    shape = padded[0], padded[1]
    if stored.scales.size != task.declared.scales.size(stored.plane()):
        return None
    if stored.elements.size != _element_bytes(shape, has_nibbles=stored.has_nibbles):
        return None
    codes = replace(stored, shape=shape).all_codes(task.declared.elements)
    return _unpacked(trial, codes[: stored.shape[0], : stored.shape[1]], trial.numbers)


def _unpacked(trial: Trial, codes: Bytes, x: NDArray[Any]) -> Trial:
    """A trial whose codes lie one in a byte, in the order that is declared for it."""
    lone = np.ascontiguousarray(codes)
    shape = (int(lone.shape[0]), int(lone.shape[1]))
    data = lone.ravel()
    if trial.stored.has_nibbles:
        flat = np.concatenate([data, np.zeros(data.size % 2, np.uint8)])
        data = (flat[::2] | flat[1::2] << 4).astype(np.uint8)
    return Trial(replace(trial.stored, elements=data, shape=shape), x)


# --- scales of other elements -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lines:
    """What a measure of the catalogue takes: lines, and the blocks into which they are cut."""

    x: NDArray[Any]
    blocks: NDArray[Any]


_Plane = Callable[[Trial, Bytes], Bytes]


class _Model(NamedTuple):
    """How the scale plane comes about: what is measured, and what becomes of the right plane."""

    fault: str
    detail: str
    measure: Callable[[_Lines], NDArray[Any]] | None = None
    spoil: _Plane | None = None

    def stats(self, lines: NDArray[Any], k: int) -> BlockStats:
        """What the selection looks at."""
        cut = _Lines(lines, _blocks(lines, k))
        return block_stats(cut.blocks if self.measure is None else self.measure(cut))


class _Seen(NamedTuple):
    """A trial, lines first: its numbers, its scale codes, and which blocks hold anything."""

    trial: Trial
    x: NDArray[Any]
    scales: Bytes
    telling: NDArray[np.bool_]


def of_other_cuts(task: Task, trials: Sequence[Trial]) -> Report | None:
    """Explain buffers of the declared size as blocks that were cut otherwise."""
    for cut in _CUTS:
        report = _under_cut(task, trials, cut)
        if report is not None and report.verdict is not Verdict.UNEXPLAINED:
            return report
    return None


def of_other_sets(task: Task, trials: Sequence[Trial]) -> Report | None:
    """Explain scale codes as those of other elements, or as spoilt; None if nothing does."""
    if not any(wrong_as_declared(task, t).blocks.any() for t in trials):
        return None
    k = task.fmt.block_size
    seen = []
    for trial in trials:
        x = _lines(trial.numbers, trial.stored.axis)
        scales = _lines(trial.stored.all_scales(task.declared.scales), trial.stored.axis)
        seen.append(_Seen(trial, x, scales, (_blocks(x, k) != 0).any(-1)))
    models = [m for m in _models(task) if m.measure is None or _may_be(task, m, seen)]
    plain = [block_stats(_blocks(each.x, k)) for each in seen]
    measured = [plain if m.measure is None else [m.stats(s.x, k) for s in seen] for m in models]
    policies = [task.base.replace(scale_rule=r) for r in explanations(task.base, "scale_rule")]
    selectors = [Selector(task.fmt, policy) for policy in policies]
    planes = [[np.asarray(s.select(stats), np.uint8) for stats in plain] for s in selectors]
    if any(_agrees(right, seen) for right in planes):
        return None  # the right sets under another rule: a choice, and no fault
    for selector, right in zip(selectors, planes, strict=True):
        for model, stats in zip(models, measured, strict=True):
            own = right if model.measure is None else [selector.select(each) for each in stats]
            if model.spoil is None:
                shown = own
            else:
                shown = [model.spoil(s.trial, p) for s, p in zip(seen, own, strict=True)]
            if _agrees(shown, seen):
                return _spoilt(task, trials, model, own)
    return None


def _agrees(planes: Sequence[Bytes], seen: Sequence[_Seen]) -> bool:
    pairs = zip(planes, seen, strict=True)
    return not any(((plane != s.scales) & s.telling).any() for plane, s in pairs)


def _may_be(task: Task, model: _Model, seen: Sequence[_Seen]) -> bool:
    """Whether some rule agrees on the first lines: large data are measured for few models."""
    k = task.fmt.block_size
    rules = explanations(task.base, "scale_rule")
    selectors = [Selector(task.fmt, task.base.replace(scale_rule=rule)) for rule in rules]
    alive = [True] * len(selectors)
    for each in seen:
        count = max(2, _FIRST // max(1, each.x.shape[1]))
        stats = model.stats(each.x[:count], k)
        whole = count if count >= len(each.x) else count - 1  # a cut last line has lost its next
        for i, selector in enumerate(selectors):
            differs = (selector.select(stats) != each.scales[:count]) & each.telling[:count]
            alive[i] &= not differs[:whole].any()
    return any(alive)


def _blocks(lines: NDArray[Any], k: int) -> NDArray[Any]:
    missing = -lines.shape[1] % k
    return np.pad(lines, ((0, 0), (0, missing))).reshape(len(lines), -1, k)


def _models(task: Task) -> Iterator[_Model]:
    for byte in range(4):
        yield _Model("L5", f"byte {byte} of every word", spoil=_one_byte(task, byte))
    for byte in range(4):
        detail = f"only byte {byte} of every word is stored, the others are 0"
        yield _Model("L5", detail, spoil=_lone_byte(task, byte))
    for fault, detail, quantizer in QUANTIZERS:
        is_cut = (
            quantizer.turned or quantizer.is_flat or detail.startswith(("blocks of", "the len"))
        )
        if fault == "D16":
            yield _Model(fault, detail, spoil=_respoilt(quantizer.spoiled))
        elif fault == "S15" and not is_cut:
            measure: Any = quantizer.measured
            yield _Model(fault, detail, measure)


def _one_byte(task: Task, byte: int) -> _Plane:
    def spoil(trial: Trial, right: Bytes) -> Bytes:
        order = task.declared.scales
        plane = trial.stored.plane()
        at = places(order, plane)
        buffer = np.zeros(-(-order.size(plane) // 4) * 4, np.uint8)
        buffer[at] = right
        return np.asarray(buffer[at // 4 * 4 + byte])

    return spoil


def _lone_byte(task: Task, byte: int) -> _Plane:
    def spoil(trial: Trial, right: Bytes) -> Bytes:
        at = places(task.declared.scales, trial.stored.plane())
        return np.where(at % 4 == byte, right, np.uint8(0))

    return spoil


def _respoilt(spoiled: Callable[[Bytes, Bytes, int], tuple[Bytes, Bytes]]) -> _Plane:
    def spoil(trial: Trial, right: Bytes) -> Bytes:
        axis = trial.stored.axis
        plane = np.ascontiguousarray(_lines(right, axis))
        return np.asarray(_lines(spoiled(plane, plane, axis)[0], axis))

    return spoil


def _spoilt(task: Task, trials: Sequence[Trial], model: _Model, planes: Sequence[Bytes]) -> Report:
    """The scales are explained: judge the elements under those that they were made with."""
    each = zip(trials, planes, strict=True)
    reports = [_element_report(task, t, _lines(p, t.stored.axis)) for t, p in each]
    report = merged(task, trials, reports)
    if report.verdict is Verdict.NOT_TESTABLE:
        report = replace(report, verdict=Verdict.CONFORMS)
    return _with(task, trials, report, model.fault, model.detail)


def _first_scale(task: Task, trials: Sequence[Trial]) -> Witness | None:
    counts = (declared_mismatches(task, t) for t in trials)
    return next((m.first for m in counts if m.scales), None)


def _element_report(task: Task, trial: Trial, scales: Bytes) -> Report:
    """Elements as numbers of their own: dividing by a power of two is exact."""
    codes = trial.stored.all_codes(task.declared.elements)
    shape, axis = trial.stored.shape, trial.stored.axis
    wide = np.repeat(scales, task.fmt.block_size, axis)[: shape[0], : shape[1]]
    fine = wide != _NAN_SCALE
    x = np.ldexp(trial.numbers.astype(np.float64), 127 - wide.astype(np.int64))
    return encode(x[fine], codes[fine], task.fmt.element, task.asked)
