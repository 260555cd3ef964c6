"""What given data cannot show: a check that passes says nothing about cases that never came.

The faults of the catalogue run on the data. One whose output is right there would not have been
noticed, and a small input is named that would show it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._compare import NAN_SCALE, without_refusals
from mxref.check._problem import Problem, spread
from mxref.check.gaps._decode import decode_gaps
from mxref.check.gaps._inputs import Book, Input, book
from mxref.check.gaps._trials import Fmt
from mxref.check.gaps._words import described, needs_of
from mxref.check.parts import Gap, Verdict
from mxref.check.report import Report
from mxref.faults.catalogue import FAULTS
from mxref.faults.equivalent import reason_for
from mxref.formats import BlockFormat, scalar_format
from mxref.policy import Policy

__all__ = ["cast_gaps", "decode_gaps", "gaps"]

_SAMPLE_LANES = 1 << 14
_FIRST_BLOCKS = 64
_EACH = 12  # blocks with NaN or infinity, of zeros, with the smallest and the largest amax
_MOST = 8
_SHOWN = 3
_GOOD = (Verdict.CONFORMS, Verdict.CONFORMS_AS)
# All data are searched for these.
_SOUGHT = frozenset(
    {
        "NaN",
        "an infinity",
        "a block of zeros",
        "an amax at the lower end of the scale",
        "an amax at the upper end of the scale",
    }
)


def gaps(
    problem: Problem, policy: Policy, report: Report | None = None, *, lanes: int = _SAMPLE_LANES
) -> tuple[Gap, ...]:
    """Say which faults would not have shown in the values that somebody encoded.

    Parameters
    ----------
    problem : Problem
        NaN, infinities, zeros and the ends of the range are looked for in all values, the rest in
        a sample.
    policy : Policy
        What the output is held to.
    report : Report, optional
        What is known by now: the faults that it found are no gaps. Where it says that the scale
        codes are right, they are searched in place of all values, which is much faster.
    lanes : int
        Size of the sample, in elements.

    Returns
    -------
    tuple of Gap
        At most eight, each with a few numbers that would show its faults; what shows the most
        faults comes first.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> x = np.array([1.0, 2.0, -3.0], np.float32)
    >>> problem = Problem.of_elements(x, np.zeros(3, np.uint8), element_format("e2m1"))
    >>> "a tie" in [gap.what for gap in gaps(problem, Policy())]
    True
    """
    fmt: Fmt = problem.fmt.element if problem.lone else problem.fmt
    op = "encode" if problem.lone else "quantize"
    if problem.n_elements == 0:
        return ()
    found = () if report is None else tuple(finding.id for finding in report.findings)
    trusts = report is not None and report.verdict in _GOOD and _has_nan_scales(problem, policy)
    sample, whole = _sample(problem, lanes, trusts_scales=trusts)
    if problem.lone:
        sample = sample.reshape(-1)
    return _gaps(op, fmt, without_refusals(policy), sample, found, whole=whole)


def cast_gaps(x: NDArray[Any], policy: Policy, name: str = "e8m0") -> tuple[Gap, ...]:
    """Say which faults would not have shown in numbers that were cast to a scalar format.

    Examples
    --------
    >>> [gap.what for gap in cast_gaps(np.array([1.0, 2.0], np.float32), Policy())][:2]
    ['a number at an end of the range', 'an infinity']
    """
    fmt = scalar_format(name)
    flat = x.reshape(-1)
    some = flat[spread(np.arange(flat.size), _SAMPLE_LANES)]
    if not flat.size:
        return ()
    policy = without_refusals(policy)
    return _gaps("encode", fmt, policy, some, (), whole=some.size == flat.size)


def _gaps(
    op: str, fmt: Fmt, policy: Policy, sample: NDArray[Any], found: tuple[str, ...], *, whole: bool
) -> tuple[Gap, ...]:
    ours = book(op, fmt, policy, sample.dtype.name)
    unseen = _unseen(ours, sample) - _hidden(op, fmt, policy)
    unseen = frozenset(i for i in unseen if ours.faults[i].id not in found)
    if not unseen:
        return ()
    inputs, left = _cover(op, fmt, policy, sample.dtype.name, unseen)
    rows: dict[str, tuple[set[str], list[Input]]] = {}
    for one in inputs:
        ids, chosen = rows.setdefault(described(fmt, policy, one), (set(), []))
        new = one.shown & unseen
        unseen -= one.shown
        ids |= {ours.faults[i].id for i in new}
        chosen.append(one)
    suffix = "" if whole else f", in a sample of {sample.size:,} elements"
    result = [
        Gap(
            what if what in _SOUGHT else what + suffix,
            _ordered(ids),
            needs_of(tuple(one.values for one in chosen[:_SHOWN])),
        )
        for what, (ids, chosen) in rows.items()
    ]
    result.sort(key=lambda gap: -len(gap.faults))
    if len(result) > _MOST - 1:
        others = result[_MOST - 2 :]
        rest = {fault for gap in others for fault in gap.faults}
        what = "and: " + "; ".join(gap.what.removesuffix(suffix) for gap in others)
        design = "the designed inputs of mxref.check.kernel hold all of them"
        result = [*result[: _MOST - 2], Gap(what, _ordered(rest), design)]
    return (*result, *_beyond_type(op, fmt, policy, sample.dtype.name, left))


def _beyond_type(
    op: str, fmt: Fmt, policy: Policy, dtype: str, left: frozenset[int]
) -> tuple[Gap, ...]:
    """What no input of a type shows, and float32 does."""
    if dtype in ("float32", "float64") or not left:
        return ()
    wide = book(op, fmt, policy, "float32")
    inputs, none = _cover(op, fmt, policy, "float32", left)
    ids = {wide.faults[i].id for i in left - none}
    if not ids:
        return ()
    needs = needs_of(tuple(one.values for one in inputs[:_SHOWN]))
    return (
        Gap(
            f"what {dtype} input cannot show",
            _ordered(ids),
            f"no {dtype} input can show it: give float32, {needs}",
        ),
    )


@lru_cache(maxsize=64)
def _cover(
    op: str, fmt: Fmt, policy: Policy, dtype: str, unseen: frozenset[int]
) -> tuple[list[Input], frozenset[int]]:
    return book(op, fmt, policy, dtype).cover(unseen)


@lru_cache(maxsize=32)
def _hidden(op: str, fmt: Fmt, policy: Policy) -> frozenset[int]:
    """Faults that no input can show."""
    name = fmt.base if isinstance(fmt, BlockFormat) else fmt.name
    faults = book(op, fmt, policy, "float32").faults
    return frozenset(
        i for i, fault in enumerate(faults) if reason_for(fault.id, fault.detail, op, name)
    )


def _ordered(ids: set[str]) -> tuple[str, ...]:
    return tuple(fault for fault in FAULTS if fault in ids)


def _unseen(ours: Book, sample: NDArray[Any]) -> frozenset[int]:
    """Faults that give the right output for a sample; most show in its first blocks."""
    left = list(range(len(ours.faults)))
    lanes = ours.fmt.block_size if isinstance(ours.fmt, BlockFormat) else 1
    first = max(1, _FIRST_BLOCKS * 32 // lanes)
    for part in (sample[:first], sample[first:]):
        if len(part) and left:
            shown = ours.trial(part).shown([ours.faults[i] for i in left])
            left = [fault for place, fault in enumerate(left) if place not in shown]
    return frozenset(left)


# --- a sample ---------------------------------------------------------------------------------


def _has_nan_scales(problem: Problem, policy: Policy) -> bool:
    """Whether right scale codes say where the special values are."""
    choices = (str(policy.scale_nan), str(policy.scale_inf))
    return not problem.lone and all(choice in ("nan-scale", "raise") for choice in choices)


def _sample(problem: Problem, lanes: int, *, trusts_scales: bool) -> tuple[NDArray[Any], bool]:
    """Blocks of all kinds, the telling ones first; and whether they are all."""
    limit = max(1, lanes // problem.fmt.block_size)
    every = np.arange(problem.n_blocks)
    if problem.n_blocks <= limit:
        return _native(problem.take(every).x), True
    telling = spread(_by_scale(problem) if trusts_scales else _telling(problem), limit // 2)
    others = np.setdiff1d(spread(every, limit - len(telling)), telling)
    return _native(problem.take(np.concatenate([telling, others])).x), False


def _by_scale(problem: Problem) -> NDArray[np.intp]:
    """Blocks with the scale NaN, and with the smallest and the largest number."""
    scales = np.moveaxis(problem.scales, problem.axis, -1).reshape(-1)
    below_nan = np.where(scales == NAN_SCALE, np.uint8(0), scales)
    rows = [
        spread(np.flatnonzero(scales == NAN_SCALE), 4 * _EACH),
        spread(np.flatnonzero(scales == scales.min()), _EACH),
        spread(np.flatnonzero(scales == below_nan.max()), _EACH),
    ]
    return np.unique(np.concatenate(rows))


def _telling(problem: Problem) -> NDArray[np.intp]:
    """Blocks with NaN or infinity, of zeros, and those with the ends of the range, of them all."""
    width = problem.x.dtype.itemsize
    word = np.dtype(f"u{width}")
    magnitude = np.array((1 << (8 * width - 1)) - 1, word)
    infinity = np.array(np.inf, problem.x.dtype.newbyteorder("=")).view(word)
    chosen: list[NDArray[np.intp]] = []
    for piece in problem.pieces():
        bits = np.ascontiguousarray(_native(piece.x)).view(word) & magnitude
        starts = np.arange(0, bits.size, bits.shape[1])
        amax = np.maximum.reduceat(bits.reshape(-1), starts)
        rows = [np.flatnonzero(amax == 0)[:2]]
        if amax.max() >= infinity:
            rows += [spread(np.flatnonzero(amax == infinity), _EACH)]
            rows += [spread(np.flatnonzero(amax > infinity), _EACH)]
        # Taking one off turns zero into the largest number: the least amax that is not zero.
        rows += [
            np.atleast_1d((amax - word.type(1)).argmin()),
            np.atleast_1d(np.where(amax < infinity, amax, 0).argmax()),
        ]
        chosen += [some + piece.start for some in rows]
    every = np.unique(np.concatenate(chosen))
    return spread(every, 8 * _EACH)


def _native(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(x.dtype.newbyteorder("="), copy=False)
