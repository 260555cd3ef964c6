"""Counts the differences of a pair: by kind, by distance, by class, by code, by bit, by place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mxref.show.diff import _lines as lines
from mxref.show.diff._lines import CLASSES, Line, TableLine
from mxref.show.diff._operands import Pair
from mxref.show.diff._scaling import Scaling
from mxref.show.diff._variants import Variants, variants_of

__all__ = ["KINDS", "Judged", "Tally", "judge", "tally"]

KINDS = {
    "same-value": "same value, other bits",
    "zero-sign": "zeros of opposite sign",
    "nan-bits": "NaN in both, other bits",
    "nan": "NaN in one only",
    "inf": "Inf in one only",
    "sign": "same magnitude, opposite sign",
    "ulp-1": "1 ulp apart",
    "saturated": "largest value in one only",
    "zero": "zero in one only",
    "more": "more than 1 ulp apart",
}
"""What a difference is, in the order in which it is asked; each difference is of one kind."""

_PIECE = 1 << 17
_EDGES = np.uint64(1) << np.arange(64, dtype=np.uint64)
_SAME, _ZERO, _NAN_BITS, _NAN, _INF, _SIGN, _ULP, _SATURATED, _FLUSHED, _MORE = range(len(KINDS))


class Scales(Protocol):
    """What is asked of scales: those of elements, or of kinds of elements, by their numbers."""

    def factors(self, flat: NDArray[np.intp], /) -> tuple[Any, Any]:
        """Return what the elements of a and of b are multiplied by."""

    def other(self, flat: NDArray[np.intp], /) -> NDArray[np.bool_]:
        """Return which have scales that differ."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What differs, element by element.

    Attributes
    ----------
    flat : ndarray of int, shape (n,)
        Numbers of elements in C order.
    kind : ndarray of uint8
        Index into `KINDS`.
    other : ndarray of bool
        Whether scales differ too, or only.
    ulps : ndarray of uint64
        Distance; 0 where one is NaN or Inf.
    sides : ndarray of int8
        -1 where b lies nearer to zero than a, 1 where it lies farther, 0 elsewhere.
    classes : (ndarray of uint8, ndarray of uint8)
        Of a and b, indices of `mxref.show.diff._lines.CLASSES`.
    values : (ndarray of float64, ndarray of float64)
        Of a and b; NVFP4's without the global scale.
    """

    flat: NDArray[np.intp]
    kind: NDArray[np.uint8]
    other: NDArray[np.bool_]
    ulps: NDArray[np.uint64]
    sides: NDArray[np.int8]
    classes: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    values: tuple[NDArray[np.float64], NDArray[np.float64]]


def judge(line: Line, scaling: Scales | None, flat: NDArray[np.intp], a: Any, b: Any) -> Judged:
    """Say of elements, given by their numbers and codes, how they differ."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _judge(line, scaling, flat, a, b)


def _judge(line: Line, scaling: Scales | None, flat: NDArray[np.intp], a: Any, b: Any) -> Judged:
    x, y = line.values(a), line.values(b)
    classes = line.classes(a), line.classes(b)
    ulps = np.zeros(len(flat), np.uint64)
    other = np.zeros(len(flat), np.bool_)
    if scaling is not None:
        factors = scaling.factors(flat)
        other = scaling.other(flat)
        x, y = x * factors[0], y * factors[1]
        classes = _scaled(classes[0], x), _scaled(classes[1], y)
    finite = np.isfinite(x) & np.isfinite(y)
    near = finite & ~other
    ulps[near] = line.distances(a[near], b[near])
    far = finite & other
    if far.any():
        ulps[far] = _across(line, x[far], y[far], *(f[far] for f in factors))
    kind = _kinds(line, (x, y), classes, ulps, (a, b))
    sides = np.sign(np.abs(y) - np.abs(x))
    sides[~finite] = 0
    return Judged(flat, kind, other, ulps, sides.astype(np.int8), classes, (x, y))


def _scaled(classes: NDArray[np.uint8], values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Let a scale that is NaN or infinite decide."""
    classes[np.isnan(values)] = lines.NAN
    classes[np.isinf(values)] = lines.INF
    return classes


def _across(line: Line, x: Any, y: Any, a_scale: Any, b_scale: Any) -> NDArray[np.uint64]:
    """Return distances under different scales, in steps of the values under the larger one."""
    assert isinstance(line, TableLine)  # noqa: S101  # nothing else has scales
    unit = np.maximum(np.abs(a_scale), np.abs(b_scale))
    unit[unit == 0] = 1.0
    steps = np.abs(line.nearest(x / unit) - line.nearest(y / unit))
    return np.where(x == y, 0, np.maximum(steps, 1)).astype(np.uint64)


def _kinds(line: Line, values: Any, classes: Any, ulps: Any, codes: Any) -> NDArray[np.uint8]:
    x, y = values
    nan = np.isnan(x), np.isnan(y)
    inf = np.isinf(x), np.isinf(y)
    zero = x == 0, y == 0
    signs = line.signs(codes[0]) != line.signs(codes[1])
    top = tuple(c == lines.MAX for c in classes)
    kind = np.full(len(x), _MORE, np.uint8)
    for is_it, name in (  # the last that holds wins
        (zero[0] != zero[1], _FLUSHED),
        (top[0] != top[1], _SATURATED),
        (ulps == 1, _ULP),
        (x == -y, _SIGN),
        (inf[0] != inf[1], _INF),
        (nan[0] != nan[1], _NAN),
        (nan[0] & nan[1], _NAN_BITS),
        (x == y, _SAME),
        (zero[0] & zero[1] & signs, _ZERO),
    ):
        kind[is_it] = name
    return kind


# --- all of it --------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """Counts of everything that differs.

    Attributes
    ----------
    elements : int
        Elements whose code, scale code or sub-scale differs.
    codes : int
        Elements whose code differs.
    kinds : ndarray, shape (2, kinds)
        By kind; row 0 under the same scales, row 1 under others.
    ulps : ndarray, shape (65, 3)
        By distance (row i: above 2**(i-1), up to 2**i) and side: b nearer to zero, b as far, b
        farther.
    classes : ndarray, shape (6, 6)
        All elements, by class of a and of b, those that do not differ included.
    pairs : ndarray, shape (65536,) or None
        By code of a times 256 plus code of b, under the same scales; None for numbers.
    bits : ndarray
        By bit of the code, bit 0 first.
    first : int or None
        Number of the first element that differs, in C order.
    farthest : (int, int) or None
        The largest distance, and the number of the first element that has it.
    blocks : int
        Blocks with a difference.
    """

    kinds: NDArray[np.int64]
    ulps: NDArray[np.int64]
    classes: NDArray[np.int64]
    pairs: NDArray[np.int64] | None
    bits: NDArray[np.int64]
    elements: int = 0
    codes: int = 0
    first: int | None = None
    farthest: tuple[int, int] | None = None
    blocks: int = 0
    map: Any = None
    touched: NDArray[np.bool_] | None = field(default=None, repr=False)


def tally(pair: Pair, scaling: Scaling | None) -> Tally:
    """Count what differs, a piece at a time."""
    line = pair.line
    found = Tally(
        np.zeros((2, len(KINDS)), np.int64),
        np.zeros((len(_EDGES) + 1, 3), np.int64),
        np.zeros((len(CLASSES), len(CLASSES)), np.int64),
        np.zeros(1 << 16, np.int64) if isinstance(line, TableLine) else None,
        np.zeros(line.bits, np.int64),
    )
    mask = pair.a != pair.b
    found.codes = int(np.count_nonzero(mask))
    scaled = None if scaling is None else scaling.mask()
    if scaled is not None:
        mask |= scaled
    found.elements = int(np.count_nonzero(mask))
    if scaling is not None:
        found.touched = np.zeros(scaling.parts[0][0].size, np.bool_)
    is_plain = isinstance(line, TableLine) and (scaling is None or scaling.is_plain())
    _pass(found, pair, scaling, mask.reshape(-1), is_plain=is_plain)
    if is_plain and found.pairs is not None:
        _count_pairs(found, line, found.pairs)
    if found.touched is not None:
        found.blocks = int(np.count_nonzero(found.touched))
    return found


def _pass(
    found: Tally, pair: Pair, scaling: Scaling | None, differs: Any, *, is_plain: bool
) -> None:
    """Look at every element once."""
    builder = _builder(pair) if found.elements else None
    variants = variants_of(scaling) if is_plain and scaling is not None else None
    a, b = pair.a.reshape(-1), pair.b.reshape(-1)
    for start in range(0, len(a), _PIECE):
        piece = slice(start, start + _PIECE)
        _count_equal(
            found, pair.line, None if is_plain else scaling, start, ~differs[piece], a[piece]
        )
        where = np.flatnonzero(differs[piece]) + start
        if builder is None or not len(where):
            continue
        builder.add_elements(where)
        if found.first is None:
            found.first = int(where[0])
        if found.touched is not None and scaling is not None:
            groups = scaling.groups(where)
            found.touched[groups] = True
        if is_plain and variants is not None:
            of = variants.of(groups)
            same, scaled = where[of < 0], where[of >= 0]
            _note_pairs(found, pair.line, same, a[same], b[same])
            variants.add(variants.keys(of[of >= 0], a[scaled], b[scaled]))
            where = where[:0]
        elif is_plain:
            other = None if scaling is None or scaling.is_equal else scaling.other(where)
            same = where if other is None else where[~other]
            _note_pairs(found, pair.line, same, a[same], b[same])
            where = where[:0] if other is None else where[other]
        if len(where):
            judged = judge(pair.line, scaling, where, a[where], b[where])
            _count(found, judged, a[where], b[where])
            _note_farthest(found, where, judged.ulps)
            if not is_plain and found.pairs is not None:
                alike = ~judged.other
                found.pairs += _bins(_joint(a[where][alike], b[where][alike]), 1 << 16)
    found.map = None if builder is None else builder.finish()
    if variants is not None and scaling is not None:
        _count_variants(found, pair, scaling, variants)


def _count_variants(found: Tally, pair: Pair, scaling: Scaling, variants: Variants) -> None:
    """Count elements under scales that differ by their pairs of codes and of scales."""
    variants.flush()
    held = np.flatnonzero(variants.counts)
    if not len(held):
        return
    codes = (held >> 8 & 0xFF).astype(np.uint8), (held & 0xFF).astype(np.uint8)
    judged = judge(pair.line, variants, held, *codes)
    _count(found, judged, *codes, variants.counts[held])
    most = judged.ulps.max()
    if not most or most < (found.farthest or (0, 0))[0]:
        return
    is_farthest = np.zeros(len(variants.counts), np.bool_)
    is_farthest[held[judged.ulps == most]] = True
    a, b = pair.a.reshape(-1), pair.b.reshape(-1)
    for start in range(0, len(a), _PIECE):
        flat = np.arange(start, min(start + _PIECE, len(a)))
        of = variants.of(scaling.groups(flat))
        flat, of = flat[of >= 0], of[of >= 0]
        at = flat[is_farthest[variants.keys(of, a[flat], b[flat])]]
        if len(at):
            _note_farthest(found, at[:1], np.array([most], np.uint64))
            return


def _builder(pair: Pair) -> Any:
    from mxref.check.maps import MapBuilder

    return MapBuilder(pair.shape, -1 if pair.axis is None else pair.axis, pair.block_size)


def _count_equal(
    found: Tally, line: Line, scaling: Scaling | None, start: int, equal: Any, codes: Any
) -> None:
    """Count the classes of what does not differ."""
    classes = line.classes(codes)
    if scaling is not None:
        flat = np.arange(start, start + len(codes))
        with np.errstate(invalid="ignore", over="ignore"):
            classes = _scaled(classes, line.values(codes) * scaling.factors(flat)[0])
    found.classes[np.diag_indices(len(CLASSES))] += _bins(classes[equal], len(CLASSES))


def _note_pairs(found: Tally, line: Line, flat: Any, a: Any, b: Any) -> None:
    """Keep the codes of elements under one scale, from which all else can be counted."""
    if len(flat) and found.pairs is not None:
        found.pairs += _bins(_joint(a, b), 1 << 16)
        ulps = line.distances(a, b)
        classes = line.classes(a), line.classes(b)
        ulps[(np.maximum(*classes)) >= lines.INF] = 0
        _note_farthest(found, flat, ulps)


def _note_farthest(found: Tally, flat: Any, ulps: NDArray[np.uint64]) -> None:
    at = int(np.argmax(ulps))
    most, where = int(ulps[at]), int(flat[at])
    last = found.farthest or (0, 0)
    if most > last[0] or (most and most == last[0] and where < last[1]):
        found.farthest = (most, where)


def _count_pairs(found: Tally, line: Line, pairs: NDArray[np.int64]) -> None:
    """Count elements under one scale by their pairs of codes."""
    held = np.flatnonzero(pairs)
    if len(held):
        a, b = (held >> 8).astype(np.uint8), (held & 0xFF).astype(np.uint8)
        _count(found, judge(line, None, held, a, b), a, b, pairs[held])


def _count(found: Tally, judged: Judged, a: Any, b: Any, times: Any = None) -> None:
    """Add elements, or kinds of elements that occur so many times each."""
    n, m = len(KINDS), len(CLASSES)
    joint = judged.kind + n * judged.other.astype(np.intp)
    found.kinds += _bins(joint, 2 * n, times).reshape(2, n)
    joint = judged.classes[0].astype(np.intp) * m + judged.classes[1]
    found.classes += _bins(joint, m * m, times).reshape(m, m)
    apart = judged.ulps > 0
    bucket = np.searchsorted(_EDGES, judged.ulps[apart])
    joint = bucket * 3 + judged.sides[apart] + 1
    counts = _bins(joint, found.ulps.size, None if times is None else times[apart])
    found.ulps += counts.reshape(found.ulps.shape)
    _count_bits(found.bits, a ^ b, times)


def _joint(a: Any, b: Any) -> NDArray[np.intp]:
    joint: NDArray[np.intp] = a.astype(np.intp) << 8 | b
    return joint


def _bins(index: Any, size: int, times: Any = None) -> NDArray[np.int64]:
    return np.bincount(index, times, minlength=size).astype(np.int64)


def _count_bits(counts: NDArray[np.int64], flipped: NDArray[Any], times: Any) -> None:
    octets = flipped.astype(flipped.dtype.newbyteorder("<"), copy=False).view(np.uint8)
    spread = np.unpackbits(octets.reshape(len(flipped), -1), axis=1, bitorder="little")
    if times is not None:
        counts += (spread.T.astype(np.int64) @ times)[: len(counts)]
        return
    counts += spread.sum(0, dtype=np.int64)[: len(counts)]
