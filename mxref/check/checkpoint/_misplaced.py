"""Codes that do not resemble their source: another source, other rows, or scales elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check.checkpoint import _pairs as pairs
from mxref.check.checkpoint._scan import Evidence, Unit
from mxref.check.checkpoint._stats import Stats, block_length, tables
from mxref.check.parts import Finding, Verdict
from mxref.formats import block_format

__all__ = ["MOVED", "look", "look_within", "plain", "scale_order", "scales_moved"]

_ROWS = 32  # rows that are looked for
_CHANCE = 0.7  # share of the signs: of unrelated numbers half agree
_ENOUGH = 0.9  # of the cosine between a row and its quantized form; FP4 has 0.99
_MOST = 1 << 28  # elements of the source that are searched
_PLANE = 1 << 20  # elements on which orders of scales are tried
_OTHERS = 64
_WRONG = 0.05  # share of the scale codes
_PLACES = 2048  # blocks of a row
_LOOKED = 4  # rows whose blocks are looked for

MOVED = (
    "The scale codes are as frequent as they should be, but not where they should be: were they "
    "stored in another order? `mxref layouts identify` tells which from a probe."
)

Answer = tuple[Verdict, tuple[Finding, ...], tuple[str, ...]]


def plain(unit: Unit, evidence: Evidence) -> Answer | None:
    """Name what blocks show at once: nothing but zeros, or every sign the other way round."""
    name = unit.pair.found.format
    values = tables(name)[0][evidence.codes]
    if not values.any() and evidence.x.astype(np.float64).any():
        where = "codes and scale codes" if not evidence.scales.any() else "codes"
        note = f"All {where} are zero, the source is not: were they ever written?"
        return Verdict.UNEXPLAINED, (), (note,)
    if _signs_that_agree(evidence, name) < 1 - _ENOUGH:
        note = "Every sign is the opposite of the source's: one of them is negated."
        return Verdict.UNEXPLAINED, (), (note,)
    return None


def look(unit: Unit, evidence: Evidence, stats: Stats, *, is_source: bool = False) -> Answer | None:
    """Find out why a tensor does not resemble its source at all.

    Returns None where scale codes and elements deserve a closer look all the same, as where the
    scale codes say that it is the source.
    """
    name = unit.pair.found.format
    share = _signs_that_agree(evidence, name)
    if share > _ENOUGH:  # each element is where it should be
        return None if is_source else scale_order(unit)
    if is_source and share > _CHANCE:
        return None
    found = _rows(unit) or _other_tensor(unit) or _blocks(unit)
    if found is not None:
        if is_source:
            verdict, findings, notes = found
            return verdict, findings, (*notes, "The scale codes are those of the source.")
        return found
    if is_source:
        return None
    qsnr = stats.qsnr
    assert qsnr is not None  # noqa: S101  # or nobody had asked
    if qsnr > 1.0:
        return None
    note = (
        f"This is not the source: the error is as large as the weights (QSNR {qsnr:.1f} dB), and "
        f"no row of {unit.pair.source_name!r} resembles a quantized one. Give the checkpoint "
        "that was quantized."
    )
    return Verdict.UNEXPLAINED, (), (note,)


def look_within(unit: Unit, evidence: Evidence, rows: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Say what is special about the blocks that differ, and about the rows that hold them."""
    found = plain(unit, evidence)
    name = unit.pair.found.format
    if found is None and rows and _signs_that_agree(evidence, name) < _CHANCE:
        within = max(rows, key=lambda run: run[1] - run[0])
        found = _rows(unit, within)
    if found is None:
        return ()
    return (f"Of what differs: {found[2][0]}",)


def _signs_that_agree(evidence: Evidence, name: str) -> float:
    """Share of the elements that have the sign of their number, wherever neither is zero."""
    bits = 4 if name == "nvfp4" else block_format(name).element.bits
    signs = evidence.codes >> np.uint8(bits - 1) == 1
    values = tables(name)[0][evidence.codes]
    x = evidence.x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        telling = (values != 0) & (np.abs(x) > 0)
    return float(np.mean(signs[telling] == (x[telling] < 0))) if telling.any() else 0.5


def scales_moved(unit: Unit, evidence: Evidence) -> bool:
    """Whether scale codes are the right ones in other places: as frequent, and often wrong."""
    name = unit.pair.found.format
    if name == "nvfp4" or _signs_that_agree(evidence, name) < _ENOUGH:
        return False
    fmt = block_format(name)
    given = np.bincount(evidence.scales, minlength=256)
    best: tuple[int, int] | None = None
    for each in unit.tried:
        if each.policy is None:
            continue
        due = arrays.quantize(evidence.x, fmt, -1, each.policy).scales.reshape(-1)
        apart = int(np.abs(np.bincount(due, minlength=256) - given).sum()) // 2
        wrong = int(np.count_nonzero(due != evidence.scales))
        best = min(best or (apart, wrong), (apart, wrong))
    return best is not None and best[1] > _WRONG * len(evidence.scales) and best[0] < best[1] / 4


def scale_order(unit: Unit) -> Answer | None:
    """Try orders of the scale codes, and of elements, on the first rows."""
    pair = unit.pair
    if pair.found.format == "nvfp4" or not pair.columns:
        return None
    step = max(128, pairs.row_step(pair))
    rows = min(pair.rows, max(1, _PLANE // pair.columns // step) * step)
    if rows * pair.columns > 8 * _PLANE:
        return None
    from mxref.check.tensor import quantize_tensor

    stores = (
        pairs.open_in(unit.token, unit.quantized),
        pairs.open_in(unit.token, unit.source),
    )
    part = pairs.read(pair, *stores, 0, rows)
    is_whole = rows == pair.rows
    packing, elements = "bytes", part.codes
    if block_format(pair.found.format).element.bits == 4:
        packing = "nibbles-low-first"
        elements = part.codes[:, ::2] | part.codes[:, 1::2] << np.uint8(4)
    if part.x.shape[1] % block_length(pair.found.format):
        return None
    try:
        report = quantize_tensor(part.x, elements, part.scales, pair.found.format, packing=packing)
    except ValueError:
        return None
    named = [f for f in report.findings if f.id.startswith("L") and f.certain]
    if not named or report.verdict is Verdict.UNEXPLAINED:
        return None
    extent = "all rows" if is_whole else f"the first {rows:,} rows"
    note = f"Found on {extent}; with the order put right they follow a policy."
    return Verdict.DEFECT, tuple(report.findings), (note,)


def _decoded(unit: Unit, start: int, stop: int) -> NDArray[np.float64]:
    pair = unit.pair
    quantized = pairs.open_in(unit.token, unit.quantized)
    fields = pair.found.read(quantized, start, stop)
    values, scale_values = tables(pair.found.format)
    k = block_length(pair.found.format)
    wide = np.repeat(scale_values[fields.scales.reshape(stop - start, -1)], k, 1)
    y = values[fields.codes.reshape(stop - start, -1)] * wide[:, : pair.columns]
    return np.nan_to_num(y, nan=0.0, posinf=0.0, neginf=0.0)


def _some_rows(
    unit: Unit, within: tuple[int, int] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Some decoded rows of length 1, with their numbers."""
    low, high = within or (0, unit.pair.rows)
    pair, step = unit.pair, pairs.row_step(unit.pair)
    if step * pair.columns > 8 * _PLANE:
        return np.zeros(0, np.intp), np.zeros((0, pair.columns))
    starts = np.unique(np.linspace(low, high - 1, _ROWS).astype(np.intp) // step * step)
    parts, numbers = [], []
    for start in starts[: max(1, 8 * _PLANE // (step * pair.columns))]:
        stop = min(pair.rows, int(start) + step)
        y = _decoded(unit, int(start), stop)[:_ROWS]
        parts.append(y)
        numbers.append(np.arange(start, start + len(y)))
    y = np.concatenate(parts)
    size = np.sqrt((y * y).sum(1, keepdims=True))
    alive = size[:, 0] > 0
    return np.concatenate(numbers)[alive], y[alive] / size[alive]


def _best_matches(
    unit: Unit, name: str, y: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each row of y the row of a source tensor that resembles it most, and how much."""
    source = pairs.open_in(unit.token, unit.source)
    columns = y.shape[1]
    info = source.tensors[name]
    rows = int(np.prod(info.shape[:-1], dtype=np.int64))
    best, where = np.full(len(y), -1.0), np.zeros(len(y), np.intp)
    step = max(1, _PLANE // columns)
    for start in range(0, min(rows, _MOST // columns), step):
        x: Any = source.read(name, start, min(rows, start + step)).astype(np.float64)
        x = np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        size = np.sqrt((x * x).sum(1))
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = np.nan_to_num((y @ x.T) / size)
        top = cosine.argmax(1)
        value = cosine[np.arange(len(y)), top]
        where = np.where(value > best, top + start, where)
        best = np.maximum(best, value)
    return where, best


def _rows(unit: Unit, within: tuple[int, int] | None = None) -> Answer | None:
    if unit.pair.transposed:
        return None
    numbers, y = _some_rows(unit, within)
    if not len(y):
        return None
    where, best = _best_matches(unit, unit.pair.source_name, y)
    if np.mean(best > _ENOUGH) < _ENOUGH or (where == numbers).all():
        return None
    moved = np.flatnonzero(where != numbers)
    pairs_text = ", ".join(f"{numbers[i]} holds {where[i]}" for i in moved[:4])
    shift = np.unique(where - numbers)
    how = f"shifted by {int(shift[0])}" if len(shift) == 1 else "in another order"
    note = (
        f"The rows are {how}: of {len(y)} rows that were looked for, {len(moved)} lie elsewhere in "
        f"the source (row {pairs_text})."
    )
    height = unit.pair.found.shape[-2] if len(unit.pair.found.shape) > 2 else unit.pair.rows
    ours, theirs = np.unique(numbers // height), np.unique(where // height)
    if len(ours) == len(theirs) == 1 and ours != theirs:
        note += f" Matrix {int(ours[0])} holds rows of matrix {int(theirs[0])}: experts exchanged?"
    elif within is None:
        note += (
            " GGUF converters permute the rows of attention weights; give a source with the same "
            "order."
        )
    return Verdict.UNEXPLAINED, (), (note,)


def _other_tensor(unit: Unit) -> Answer | None:
    """Whether the codes are those of another tensor of the source."""
    pair = unit.pair
    source = pairs.open_in(unit.token, unit.source)
    shape = source.tensors[pair.source_name].shape
    if pair.transposed:
        return None
    numbers, y = _some_rows(unit)
    numbers, y = numbers[:4], y[:4]
    same = [
        name
        for name, info in source.tensors.items()
        if info.shape == shape and name != pair.source_name and info.dtype[0] in "FB"
    ]
    for name in same[:_OTHERS]:
        where, best = _best_matches(unit, name, y)
        if len(best) and (best > _ENOUGH).all() and (where == numbers).all():
            note = (
                f"These are the codes of {name!r}, not of {pair.source_name!r}: tensors were "
                "exchanged, or renamed."
            )
            return Verdict.UNEXPLAINED, (), (note,)
    return None


def _blocks(unit: Unit) -> Answer | None:
    """Whether the blocks of a row are elsewhere in the same row, all by as many places."""
    pair, k = unit.pair, block_length(unit.pair.found.format)
    count = pair.columns // k
    if pair.transposed or not 1 < count <= _PLACES or pair.columns % k:
        return None
    numbers, y = _some_rows(unit)
    source = pairs.open_in(unit.token, unit.source)
    moved: set[int] = set()
    for number, row in zip(numbers[:_LOOKED], y, strict=False):
        x: Any = source.read(pair.source_name, int(number), int(number) + 1).astype(np.float64)
        ours, theirs = _unit_length(row.reshape(count, k)), _unit_length(x.reshape(count, k))
        cosine = ours @ theirs.T
        found = cosine.argmax(1)
        sure = cosine[np.arange(count), found] > _ENOUGH
        if sure.mean() < _ENOUGH:
            return None
        moved |= set(((np.arange(count) - found)[sure] % count).tolist())
    if len(moved) != 1 or 0 in moved:
        return None
    by = moved.pop()
    by = by if by <= count // 2 else by - count
    note = f"The blocks of each row lie {by:+d} places from where they belong, round the end."
    return Verdict.UNEXPLAINED, (), (note,)


def _unit_length(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    blocks = np.nan_to_num(blocks, nan=0.0, posinf=0.0, neginf=0.0)
    size = np.sqrt((blocks * blocks).sum(1, keepdims=True))
    return blocks / np.where(size > 0, size, 1)
