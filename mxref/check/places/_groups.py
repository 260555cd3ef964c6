"""Places among designed inputs: rows are no places there, but groups with a purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

from mxref.check.parts import Place
from mxref.check.places._counts import Counts, Line
from mxref.check.places._signs import NEARLY_ALL, Sign, choices, is_telling, telling

if TYPE_CHECKING:
    from mxref.check.stimuli import Group

__all__ = ["among_groups", "designed_for", "first_axis"]

_FEW = 8
_DENSE = 0.75  # under a NaN scale nothing shows
# Judging goes through public functions, which know nothing of how inputs were made.
_GROUPS: ContextVar[tuple[Group, ...]] = ContextVar("_GROUPS", default=())


@contextmanager
def designed_for(groups: Sequence[Group]) -> Iterator[None]:
    """Say what the inputs along the first axis were made for; what follows them is anything.

    Parameters
    ----------
    groups : sequence of Group
        They cover the first axis from 0 on without gaps.
    """
    token = _GROUPS.set(tuple(groups))
    try:
        yield
    finally:
        _GROUPS.reset(token)


def first_axis(counts: Counts) -> str:
    """The name of the lines along which designed inputs lie."""
    return "row" if len(counts.shape) > 1 else "column"


def among_groups(counts: Counts) -> Sign | None:
    """The groups that hold the mismatches; None where no inputs, or no groups, are behind it."""
    groups = _GROUPS.get()
    line = counts.rows if first_axis(counts) == "row" else counts.columns
    if not groups or line.width > 1 or groups[-1].stop > line.length or _is_place(line, groups):
        return None
    starts = np.array([group.start for group in groups])
    sizes = np.diff([*starts, groups[-1].stop])
    held = np.add.reduceat(line.bins[: groups[-1].stop], starts)
    if not held.sum():
        return None
    order = np.argsort(-held, kind="stable")
    enough = int(np.searchsorted(np.cumsum(held[order]), NEARLY_ALL * held.sum())) + 1
    members = np.sort(order[:enough])
    share, fraction = float(held[members].sum() / held.sum()), sizes[members].sum() / sizes.sum()
    if not is_telling(share, float(fraction), line.hit, choices(members, len(groups))):
        return None
    names = ", ".join(groups[int(i)].name for i in members)
    which = "Every mismatch lies" if share == 1 else "More than 99 % of the mismatches lie"
    return Sign(
        telling(share, float(fraction)),
        Place(
            f"{which} among the inputs designed for: {names}.",
            "what these inputs have in common, rather than where they lie",
            "Run the inputs of these groups by themselves; mxref.check.stimuli makes them.",
            share,
        ),
    )


def _is_place(line: Line, groups: Sequence[Group]) -> bool:
    """Whether the mismatches keep to rows and not to groups: at an end, or across a border."""
    first, last = line.first, line.last
    if last < _FEW or first >= line.length - _FEW:
        return True
    edges = {group.start for group in groups} | {groups[-1].stop, line.length}
    crosses = any(first < edge <= last for edge in edges)
    is_cut = first not in edges or last + 1 not in edges
    filled = np.count_nonzero(line.bins[first : last + 1]) >= _DENSE * (last + 1 - first)
    return (crosses or first == 0) and is_cut and bool(filled)
