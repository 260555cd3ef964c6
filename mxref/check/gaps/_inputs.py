"""Small inputs that show faults: what a gap asks for.

For each fault, input type and format a number or a block is looked for on which the faulty output
differs from the right one. Blocks have one or two numbers that are not zero, so that they can be
typed; only where that is not enough (a fault of one place, of a block of zeros) a designed block
is taken whole. Of the 16-bit types every number is tried before it is said that none can show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref.check import stimuli
from mxref.check._landmarks import (
    SIGN,
    around,
    as_float32,
    bits_of,
    both_signs,
    magnitudes,
    midpoints,
)
from mxref.check.gaps._trials import Fmt, Trial
from mxref.faults.implementations import Implementation, implementations
from mxref.formats import BlockFormat, pow2
from mxref.policy import Policy

__all__ = ["Book", "Input", "book"]

Array = NDArray[Any]

_NARROW = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
_SIGNIFICAND = {"bfloat16": 8, "float16": 11}
_MOVES = (0, -8, -3, 5, 10, 13)  # exponents of blocks of 16-bit numbers
_LONGEST = 1 << 12
_TRIES = 4  # short blocks that show a fault when alone, and not when filled up with zeros


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """One number or one block, and the faults that it shows."""

    values: Array
    group: str
    shown: frozenset[int]


@dataclass(slots=True, eq=False)
class Book:
    """Candidates of one operation, format, policy and input type, and what each shows.

    Attributes
    ----------
    faults : tuple of Implementation
        Every fault of the operation; they go by their places in it.
    shelves : list of ndarray
        Candidates of equal width: numbers, or blocks of one, of two, and of all places.
    groups : list of list of str
        What each candidate was made for, or nothing.
    """

    op: str
    fmt: Fmt
    policy: Policy
    faults: tuple[Implementation, ...]
    shelves: list[Array]
    groups: list[list[str]]
    all_narrow: list[Array]
    _masks: dict[tuple[int, int], NDArray[np.bool_]] = field(default_factory=dict)
    _trials: dict[int, Trial] = field(default_factory=dict)
    _inputs: dict[tuple[int, int], Input] = field(default_factory=dict)

    def cover(self, unseen: frozenset[int]) -> tuple[list[Input], frozenset[int]]:
        """Few inputs that show some faults together, and the faults that none shows."""
        found: list[Input] = []
        left = set(unseen)
        for shelf in range(len(self.shelves)):
            left = self._cover_from(shelf, left, found)
        none = {fault for fault in left if not self._widened(fault)}
        for shelf in range(len(self.shelves)) if none != left else ():
            left = self._cover_from(shelf, left, found)
        return found, frozenset(left)

    def trial(self, values: Array) -> Trial:
        """Try faults on some numbers or blocks."""
        return Trial(self.op, self.fmt, self.policy, values)

    def _cover_from(self, shelf: int, left: set[int], found: list[Input]) -> set[int]:
        left = set(left)
        masks = {fault: self._mask(shelf, fault).copy() for fault in left}
        masks = {fault: mask for fault, mask in masks.items() if mask.any()}
        tries = dict.fromkeys(masks, _TRIES)
        while masks:
            at = int(np.sum(list(masks.values()), axis=0).argmax())
            one = self._input(shelf, at)
            if one.shown & left:
                found.append(one)
                left -= one.shown
            for fault, mask in masks.items():
                tries[fault] -= bool(mask[at])
                mask[at] = False
            masks = {f: m for f, m in masks.items() if f in left and tries[f] and m.any()}
        return left

    def _mask(self, shelf: int, fault: int) -> NDArray[np.bool_]:
        key = shelf, fault
        if key not in self._masks:
            if shelf not in self._trials:
                self._trials[shelf] = self.trial(self.shelves[shelf])
            self._masks[key] = self._trials[shelf].differs(self.faults[fault])
        return self._masks[key]

    def _input(self, shelf: int, at: int) -> Input:
        """A candidate, tried as a whole block with every fault."""
        key = shelf, at
        if key not in self._inputs:
            short = self.shelves[shelf][at : at + 1]
            values = short
            if isinstance(self.fmt, BlockFormat):
                values = np.zeros((1, self.fmt.block_size), short.dtype)
                values[0, : short.shape[1]] = short[0]
            shown = self.trial(values).shown(self.faults)
            self._inputs[key] = Input(values[0], self.groups[shelf][at], shown)
        return self._inputs[key]

    def _widened(self, fault: int) -> bool:
        """Look through every number of a 16-bit type, and shelve one that shows the fault."""
        for place, values in enumerate(self.all_narrow):
            if -1 - place not in self._trials:
                self._trials[-1 - place] = self.trial(values)
            differs = self._trials[-1 - place].differs(self.faults[fault])
            for at in np.flatnonzero(differs)[:4]:
                self.shelves.append(values[at : at + 1])
                self.groups.append([""])
            if differs.any():
                return True
        return False


# --- candidates -------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def book(op: str, fmt: Fmt, policy: Policy, dtype: str) -> Book:
    """Candidates for an operation on numbers of a type.

    Parameters
    ----------
    op : str
        ``"encode"`` or ``"quantize"``.
    fmt : ElementFormat, ScaleFormat or BlockFormat
    policy : Policy
        It refuses nothing.
    dtype : str
        ``"float32"``, ``"float64"``, ``"float16"`` or ``"bfloat16"``.
    """
    faults = implementations(op, fmt, policy)
    if not isinstance(fmt, BlockFormat):
        design = stimuli.encode_stimuli(fmt)
        values = design.inputs[0][: design.groups[-1].start]  # all but the random bits
        shelves = [_typed(values[_holds(values, dtype)], dtype)]
        every = [_every(dtype)] if dtype in _NARROW else []
        return Book(op, fmt, policy, faults, shelves, [[""] * len(shelves[0])], every)
    whole, groups = _whole_blocks(fmt)
    kept = np.asarray(_holds(whole, dtype).all(1))
    shelves = [
        _typed(_kept(_pairs(fmt, dtype), dtype), dtype),
        _typed(_kept(_largest(fmt), dtype), dtype),
        _typed(whole[kept], dtype),
    ]
    if fmt.block_size == 1:
        shelves = shelves[1:]
    names = [[""] * len(shelf) for shelf in shelves]
    names[-1] = [group for group, keep in zip(groups, kept, strict=True) if keep]
    every = _every_block(fmt, dtype) if dtype in _NARROW else []
    return Book(op, fmt, policy, faults, shelves, names, every)


def _holds(values: NDArray[np.float32], dtype: str) -> NDArray[np.bool_]:
    """Where a type holds a number exactly; of NaN the kind may change."""
    if dtype not in _NARROW:
        return np.ones(values.shape, np.bool_)
    with np.errstate(all="ignore"):
        back = values.astype(_NARROW[dtype]).astype(np.float32)
    return np.asarray((back == values) | np.isnan(values))


def _kept(blocks: NDArray[np.float32], dtype: str) -> NDArray[np.float32]:
    return blocks[_holds(blocks, dtype).all(1)]


def _typed(values: NDArray[np.float32], dtype: str) -> Array:
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(values).astype(_NARROW.get(dtype, dtype))


def _pairs(fmt: BlockFormat, dtype: str) -> NDArray[np.float32]:
    """The largest value, which fixes the scale, with a number on or next to a landmark."""
    element = fmt.element
    halfway = bits_of(midpoints(element)[: element.max_magnitude])
    close = around(halfway, -1, 1, -(1 << 11), 1 << 11, -(1 << 14), 1 << 14)
    exponents: tuple[int, ...] = (0,)
    if dtype in _NARROW:
        step = 1 << (24 - _SIGNIFICAND[dtype])
        close, exponents = around(halfway, -step, step, -2 * step, 2 * step), _MOVES
    tiny = bits_of([pow2(element.emin - element.mantissa_bits - i) for i in range(72)])
    # The sort is by what is simplest to read: midpoints, then values, then their neighbours.
    pool = np.concatenate([halfway, bits_of(magnitudes(element)), close, tiny])
    top = bits_of([element.max])[0]
    pool = both_signs(pool[pool <= top])
    if len(pool) > _LONGEST:
        pool = pool[np.sort(np.unique(pool, return_index=True)[1])]
    beyond = bits_of([pow2(element.emax + 1) - pow2(element.emax - 7)])[0]
    rest = as_float32(pool)
    anchors = ((top, rest), (beyond, rest), (beyond | SIGN, rest[:8]))
    parts = [
        np.stack([np.full_like(beside, as_float32(np.array([anchor]))[0]), beside], axis=1)
        for anchor, beside in anchors
    ]
    blocks = np.concatenate(parts)
    with np.errstate(all="ignore"):
        return np.concatenate([np.ldexp(blocks, e) for e in exponents]).astype(np.float32)


def _largest(fmt: BlockFormat) -> NDArray[np.float32]:
    """Blocks of one number: on and next to every threshold, and at both ends of the scale."""
    design = stimuli.quantize_stimuli(fmt)
    names = ("thresholds of the scale rules", "ends of the scale")
    parts = [design.inputs[0][g.start : g.stop] for g in design.groups if g.name in names]
    blocks = np.concatenate(parts)
    rows = np.arange(len(blocks))
    return np.asarray(np.abs(blocks[rows, np.abs(blocks).argmax(1)][:, None]), np.float32)


def _whole_blocks(fmt: BlockFormat) -> tuple[NDArray[np.float32], list[str]]:
    design = stimuli.quantize_stimuli(fmt)
    names = ("blocks of zeros", "largest value at each place", "specials")
    chosen = [group for name in names for group in design.groups if group.name == name]
    blocks = np.concatenate([design.inputs[0][g.start : g.stop] for g in chosen])
    return blocks, [g.name for g in chosen for _ in range(g.stop - g.start)]


def _every(dtype: str) -> Array:
    return np.arange(1 << 16, dtype=np.uint16).view(_NARROW[dtype])


def _every_block(fmt: BlockFormat, dtype: str) -> list[Array]:
    """Every finite number of a type as the largest, and beside the largest of the format."""
    every = _every(dtype)
    value = every.astype(np.float32)
    alone = every[np.isfinite(value)][:, None]
    top = np.float32(fmt.element.max)
    beside = every[np.abs(value) <= top]
    anchor = np.full_like(beside, top)
    found = [alone]
    if anchor.size and np.float32(anchor[0]) == top and fmt.block_size > 1:
        found.append(np.stack([anchor, beside], axis=1))
    return found
