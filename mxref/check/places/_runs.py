"""Localising by driving: the same call again, and the same rows beside others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check.parts import Place
from mxref.check.places._counts import Counts
from mxref.check.places._positions import position_signs
from mxref.check.places._signs import listed

__all__ = ["padding_places", "repeat_places", "stability"]

Arrays = tuple[NDArray[Any], ...]
Call = Callable[..., Arrays]

_RUNS = 8
_WARP = 32
_RARE = 3  # a race leaves a few values at each place; memory that nobody wrote, any number


def repeat_places(
    outputs: Sequence[NDArray[Any]], block_size: int | None = None
) -> tuple[Place, ...]:
    """Say what changes between runs with the same input.

    Parameters
    ----------
    outputs : sequence of ndarray
        One output of each run, all of one shape and dtype.
    block_size : int, optional
        If the last axis is blocked.

    Returns
    -------
    tuple of Place
        Empty where nothing changes. `share` is the share of the outputs that change.

    Examples
    --------
    >>> first = np.zeros((64, 32), np.uint8)
    >>> second = first.copy()
    >>> second[32:, 3] = 1
    >>> [place.what for place in repeat_places([first, second, first, second])][:2]
    ['32 of 2,048 outputs (2 %) change between 4 runs with the same input.', \
'Where they change: every mismatch lies in column 3 of 32.']
    """
    bits = np.stack([_bits(output) for output in outputs])
    changes = np.asarray((bits != bits[0]).any(0))
    count = int(changes.sum())
    if not count:
        return ()
    at = bits[:, changes]
    kinds = np.array([len(np.unique(at[:, i])) for i in _spread(count, 256)])
    points_to = "a race or a missing barrier: each place takes one of a few values"
    if len(outputs) > _RARE and (kinds == len(outputs)).mean() > 0.5:
        points_to = "memory that is read before anybody wrote it: each run gives something else"
    share = count / changes.size
    often = float((bits != bits[0]).mean(0)[changes].mean())
    places = [
        Place(
            f"{count:,} of {changes.size:,} outputs ({100 * share:.0f} %) change between "
            f"{len(outputs)} runs with the same input.",
            points_to,
            f"Each differs from the first run in {100 * often:.0f} % of the runs. Run under a race "
            "and a memory checker, add a barrier in front of each shared read, fix the seed.",
            share,
        )
    ]
    shape = outputs[0].shape or (1,)
    if block_size and shape[-1] % block_size:
        block_size = None
    counts = Counts(shape, len(shape) - 1, block_size)
    counts.add(0, changes.reshape(-1, block_size or shape[-1]))
    for sign in sorted(position_signs(counts), key=lambda s: -s.telling)[:4]:
        what = sign.place.what
        text = f"Where they change: {what[0].lower()}{what[1:]}"
        places.append(Place(text, sign.place.points_to, sign.place.try_next, sign.place.share))
    return tuple(places)


def stability(call: Call, inputs: Arrays, runs: int = _RUNS) -> tuple[Place, ...]:
    """Call a target several times with the same input, and say what changes.

    Parameters
    ----------
    call : callable
        Takes `inputs` and returns a tuple of arrays; what it raises is passed on.
    inputs : tuple of ndarray
    runs : int
        How many calls; at least 2.

    Examples
    --------
    >>> stability(lambda x: (x * 2,), (np.ones((4, 4), np.float32),))
    ()
    """
    results = [call(*(array.copy() for array in inputs)) for _ in range(max(2, runs))]
    found: list[Place] = []
    for outputs in zip(*results, strict=True):
        found += repeat_places(outputs)
    return tuple(found)


# --- rows beside others -----------------------------------------------------------------------


def padding_places(call: Call, inputs: Arrays) -> tuple[Place, ...]:
    """Put the same rows beside others that must not matter, and say which outputs change.

    The first rows alone, and all rows with 1, 31 or 127 rows of NaN, of large numbers and of zeros
    before or behind them: eight calls.

    Parameters
    ----------
    call : callable
        Takes `inputs` and returns a tuple of arrays, one row of output for each row of input; what
        it raises is passed on.
    inputs : tuple of ndarray
        All of the same length along the first axis.

    Returns
    -------
    tuple of Place
        Empty where no output changes.

    Examples
    --------
    >>> def by_largest(x):  # scales every row by the largest number of all rows
    ...     return (x / np.nanmax(abs(x)),)
    >>> x = np.ones((8, 32), np.float32)
    >>> padding_places(by_largest, (x,))[0].what
    '8 of 8 rows change when 31 rows of large numbers are put behind them.'
    """
    n = len(inputs[0])
    alone = call(*(array.copy() for array in inputs))
    if _changed_rows(alone, call(*(array.copy() for array in inputs))).any():
        return (
            Place(
                "The outputs change between two calls with the same rows.",
                "a race, or memory that is read before it is written",
                "Find out what changes first; whether other rows matter cannot be told.",
            ),
        )
    found = []
    for what, trial, rows, kept in _trials(inputs):
        outputs = call(*trial)
        ours = tuple(output[kept] for output in outputs)
        changed = np.flatnonzero(_changed_rows(tuple(a[rows] for a in alone), ours))
        if len(changed):
            found.append(_padding_place(what, changed, len(range(n)[rows])))
    return tuple(found)


def _trials(inputs: Arrays) -> Iterator[tuple[str, Arrays, slice, slice]]:
    """What is done, the input, which of the rows it holds, and where they lie in it."""
    n = len(inputs[0])
    for extra, kind, before in (
        (1, "NaN", False),
        (31, "large numbers", False),
        (127, "zeros", False),
        (1, "large numbers", True),
    ):
        poison = tuple(_poison(array, extra, kind) for array in inputs)
        pairs = zip(poison, inputs, strict=True) if before else zip(inputs, poison, strict=True)
        trial = tuple(np.concatenate(pair) for pair in pairs)
        where = "in front of" if before else "behind"
        rows = "1 row" if extra == 1 else f"{extra} rows"
        verb = "is" if extra == 1 else "are"
        kept = slice(extra, extra + n) if before else slice(0, n)
        yield f"{rows} of {kind} {verb} put {where} them", trial, slice(0, n), kept
    for count in (31, 33):
        if count < n:
            part = tuple(array[:count].copy() for array in inputs)
            yield f"the first {count} come alone", part, slice(0, count), slice(0, count)


def _poison(array: NDArray[Any], rows: int, kind: str) -> NDArray[Any]:
    """Rows of the same type that nobody should look at; of codes the largest or zero."""
    value: Any = 0
    if array.dtype.kind in "iu":
        value = 0 if kind == "zeros" else int(array.max(initial=0))
    elif kind == "NaN":
        value = np.nan
    elif kind == "large numbers":
        value = 60000.0 if array.dtype.name == "float16" else 2.0**100
    return np.full((rows, *array.shape[1:]), value, array.dtype)


def _changed_rows(first: Arrays, second: Arrays) -> NDArray[np.bool_]:
    changed = np.zeros(len(first[0]), np.bool_)
    for one, other in zip(first, second, strict=True):
        differs = _bits(one) != _bits(other)
        changed |= differs.reshape(len(changed), -1).any(1)
    return changed


def _padding_place(what: str, changed: NDArray[np.intp], n: int) -> Place:
    share = len(changed) / n
    points_to = "an amax, a scale or a sum that is taken over more than its own rows (S15)"
    if len(changed) < n and changed[0] >= (n - 1) // _WARP * _WARP:
        points_to = (
            f"the group of {_WARP} in which the data end: a shuffle or a mask of a warp that is "
            "only partly filled, or a read out of bounds"
        )
    elif len(changed) < n:
        points_to = "a read out of bounds, or work that is divided by the number of rows"
    which = "" if len(changed) == n else f" (rows {listed(int(i) for i in changed)})"
    return Place(
        f"{len(changed):,} of {n:,} rows{which} change when {what}.",
        points_to,
        "Run the changed rows alone, then with one row more at a time, under a memory checker.",
        share,
    )


def _bits(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


def _spread(count: int, limit: int) -> NDArray[np.intp]:
    return np.linspace(0, count - 1, min(count, limit)).astype(np.intp)
