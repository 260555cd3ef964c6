"""Position signatures: what the places of the mismatches have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.check.parts import Place
from mxref.check.places._counts import Counts, Line
from mxref.check.places._groups import among_groups, first_axis
from mxref.check.places._signs import LEAST, NEARLY_ALL, Sign, choices, is_telling, listed, telling

__all__ = ["position_signs"]

_FEW = 8
_TILES = (256, 128, 64, 32, 16, 8, 4)

_WORDS = {
    "tail": (
        (
            "the rest behind the last whole group of {tile}: a tail loop, its mask, or padding "
            "that is not what the kernel expects"
        ),
        "Run lengths that are multiples of {tile}, then one more and one less.",
    ),
    "beyond": (
        (
            "an offset or a stride that is right for the first tile of {tile} only, or computed "
            "with the logical instead of the padded extent"
        ),
        "Run one tile, two tiles, and one row and one column more than a tile.",
    ),
    "start": (
        (
            "the beginning of the data is treated apart: a pipeline that is not primed, a buffer "
            "that is read before it is written, or an offset that is added twice"
        ),
        "Put the same rows elsewhere, and see whether the mismatches stay or move along.",
    ),
    "from": (
        (
            "a limit is reached: a grid that is too small, an index that overflows, or a buffer of "
            "another size"
        ),
        "Halve and double the size, and see whether the border moves.",
    ),
    "few": (
        "one block of threads, one lane or one address computation",
        "Move the data by one row and by one column, and see whether the mismatches stay.",
    ),
}


def position_signs(counts: Counts) -> Iterator[Sign]:
    """Yield what the places have in common, at most one signature of each family."""
    groups = among_groups(counts)
    run = _run(counts) if groups is None else None
    if run is not None:
        yield run
        return
    blocks, lanes = _blocks(counts), _lanes(counts)
    if groups is not None:
        yield groups
        blocks = None if counts.blocks <= _FEW else blocks
    named = None if groups is None else first_axis(counts)
    rows, columns = (
        _along(line, name, only_periods=True)
        if name == named
        else _few(counts, line, name) or _along(line, name)
        for line, name in ((counts.rows, "row"), (counts.columns, "column"))
    )
    # A block lies along a row or a column: what its lanes say is said there once more.
    beside = columns if counts.runs_along_rows else rows
    if lanes is not None and beside is not None:
        if beside.telling > lanes.telling + 0.5:
            lanes = None
        elif counts.runs_along_rows:
            columns = None
        else:
            rows = None
    # Rows or columns that are wrong as a whole consist of whole blocks.
    others = [sign.telling for sign in (rows, columns) if sign is not None]
    if blocks is not None and others and max(others) > blocks.telling - 0.1:
        blocks = None
    for sign in (blocks, _ragged(counts), lanes, rows, columns):
        if sign is not None:
            yield sign


# --- runs and blocks --------------------------------------------------------------------------


def _run(counts: Counts) -> Sign | None:
    """All mismatches next to each other in C order."""
    length = counts.last - counts.first + 1
    fraction = length / max(counts.size, 1)
    width = counts.columns.length
    is_rows = counts.first % width == 0 and length % width == 0
    filled = counts.total >= 0.95 * length
    if not filled or is_rows or fraction > 0.25 or not is_telling(1.0, fraction, counts.total):
        return None
    aligned = next((t for t in _TILES[::-1] if counts.first % t == length % t == 0), 0)
    whole = next((t for t in _TILES if aligned and counts.first % t == length % t == 0), 0)
    what = (
        f"The mismatches are one run of {length:,} elements in C order, {counts.first:,} to "
        f"{counts.last:,}"
    )
    if whole:
        what += f"; it starts and ends at multiples of {whole}"
    return Sign(
        telling(1.0, fraction) + 2,
        Place(
            what + ".",
            "one write that was lost or came from elsewhere: a warp, a vector store, a cache line "
            "or a page"
            if whole
            else "a copy of a wrong length, or a write out of bounds of something else",
            "Fill the output with two patterns before two calls: what keeps the pattern was never "
            "written. Run a memory checker.",
        ),
    )


def _blocks(counts: Counts) -> Sign | None:
    n, k = counts.n_blocks, counts.block_size or 1
    if k < 2 or not counts.blocks:
        return None
    share, fraction = counts.in_whole / counts.total, min(1.0, counts.whole * k / counts.size)
    if counts.blocks <= _FEW and counts.blocks < n / 4:
        fraction = counts.blocks / n
        if is_telling(1.0, fraction, counts.total, choices(sorted(counts.some_blocks), n)):
            names = ", ".join(str(_block_index(counts, b)) for b in counts.some_blocks[:4])
            more = ", ..." if counts.blocks > 4 else ""
            return Sign(
                telling(1.0, fraction),
                Place(
                    f"Every mismatch lies in {counts.blocks} of {n:,} blocks: {names}{more}.",
                    "the scale of these blocks, or the one group of threads that makes them",
                    "Compare their scale codes first; then run these blocks alone.",
                ),
            )
    elif share >= 0.9 and is_telling(share, fraction, counts.blocks):
        return Sign(
            telling(share, fraction),
            Place(
                f"{counts.whole:,} of {n:,} blocks are wrong nearly everywhere, and hold "
                f"{_percent(share)} of the mismatches; the others are right.",
                "the scale or the address of whole blocks, not the elements",
                "Give every block a scale of its own and elements that are 1: the outputs then say "
                "which scale each block got.",
                share,
            ),
        )
    return None


def _block_index(counts: Counts, block: int) -> tuple[int, ...]:
    moved = [int(i) for i in np.unravel_index(block, counts.plane)]
    moved.insert(counts.axis, moved.pop())
    return tuple(moved)


def _ragged(counts: Counts) -> Sign | None:
    if not counts.is_ragged or counts.block_size is None:
        return None
    length = counts.shape[counts.axis]
    share, fraction = counts.in_ragged / counts.total, length % counts.block_size / length
    if share < NEARLY_ALL or not is_telling(share, fraction, counts.total):
        return None
    return Sign(
        telling(share, fraction) + 1,
        Place(
            f"{_all_of(share)} in the last block along axis {counts.axis}, which holds "
            f"{length % counts.block_size} of {counts.block_size} elements.",
            "what fills up the last block is counted in (not zero, or not masked), or the block is "
            "read with the stride of a full one",
            "Fill the padding with 0, NaN and a large number: the output must not change.",
            share,
        ),
    )


def _lanes(counts: Counts) -> Sign | None:
    k = counts.block_size or 1
    if k < 4:
        return None
    members = _cover(counts.lanes)
    share, fraction = float(counts.lanes[members].sum() / counts.total), len(members) / k
    units = max(counts.blocks, 1)
    if fraction > 0.5 or not is_telling(share, fraction, units, choices(members, k)):
        return None
    where = f"lanes {listed(members)} of {k}" if len(members) > 1 else f"lane {members[0]} of {k}"
    points_to = "a shuffle, a mask or a register of some lanes, or an element index off by one"
    if len(members) == 1 and members[0] in (0, k - 1):
        points_to = "a loop over the block that starts one late or ends one early, or writes beside"
    elif len(members) > k // 4:
        if len({int(m) % 2 for m in members}) == 1:
            where = f"{'odd' if members[0] % 2 else 'even'} lanes of the blocks"
            points_to = "one half of each byte (nibble): a shift or a mask in packing two codes"
        elif members[-1] < k // 2 or members[0] >= k // 2:
            where = f"the {'first' if members[-1] < k // 2 else 'second'} half of the blocks"
            points_to = "the second of two vector registers, or blocks of half the size"
    return Sign(
        telling(share, fraction),
        Place(
            f"{_all_of(share)} in {where}.",
            points_to,
            "Give every lane a value of its own, and rotate the values by one lane: what stays "
            "belongs to the lane, what moves to the value.",
            share,
        ),
    )


# --- rows and columns -------------------------------------------------------------------------


def _few(counts: Counts, line: Line, name: str) -> Sign | None:
    members = _cover(line.bins)
    if line.width > 1 or len(members) > min(_FEW, line.length // 4):
        return None
    share, fraction = float(line.bins[members].sum() / counts.total), len(members) / line.length
    if not is_telling(share, fraction, counts.total, choices(members, line.length)):
        return None
    points_to, try_next = _WORDS["few"]
    lo, tail = int(members[0]), _tail(int(members[0]), line.length)
    if tail and len(members) == line.length - lo:
        points_to, try_next = (text.format(tile=tail) for text in _WORDS["tail"])
    elif members[-1] == len(members) - 1:
        points_to, try_next = _WORDS["start"]
    plural = "s" if len(members) > 1 else ""
    where = f"{name}{plural} {listed(members)} of {line.length:,}"
    return Sign(
        telling(share, fraction),
        Place(f"{_all_of(share)} in {where}.", points_to, try_next, share),
    )


@dataclass(frozen=True, slots=True)
class _Class:
    """Some rows or columns: how many of them all, in words, and what they point to."""

    share: float
    fraction: float
    where: str
    words: tuple[str, str]
    named: float = 0.0


def _along(line: Line, name: str, *, only_periods: bool = False) -> Sign | None:
    if line.length < LEAST:
        return None
    run = None if only_periods else _range(line, name)
    found = [c for c in (run, *_periods(line, name)) if c is not None]
    found = [c for c in found if is_telling(c.share, c.fraction, line.hit, c.named)]
    if not found:
        return None
    best = max(found, key=lambda c: telling(c.share, c.fraction))
    return Sign(
        telling(best.share, best.fraction),
        Place(f"{_all_of(best.share)} in {best.where}.", *best.words, best.share),
    )


def _range(line: Line, name: str) -> _Class | None:
    """From one on, up to one, or between two; most of those in it hold a mismatch."""
    first, last, n = line.first, line.last, line.length
    length = last - first + 1
    if line.hit * line.width < length / 2 or length == n:
        return None
    kind, tile = "few", 0
    if last == n - 1:
        tile = _tail(first, n)
        kind = "tail" if tile else "from"
        beyond = next((t for t in _TILES if first == t), 0)
        if beyond:
            kind, tile = "beyond", beyond
        where = f"the {name}s from {first:,} to the last, {last:,}"
    elif first == 0:
        kind, where = "start", f"the first {length:,} {name}s of {n:,}"
    else:
        where = f"the {name}s {first:,} to {last:,} of {n:,}"
    words = _WORDS[kind]
    return _Class(1.0, length / n, where, (words[0].format(tile=tile), words[1].format(tile=tile)))


def _tail(first: int, length: int) -> int:
    """The group behind whose last whole one a tail starts; 0 if there is none."""
    return next((t for t in _TILES if length % t and first == length // t * t and first), 0)


def _periods(line: Line, name: str) -> Iterator[_Class]:
    best = 0.75  # a pattern that leaves out a quarter and less is none
    for exponent in range(1, 9):
        period = 1 << exponent
        if 3 * period > line.length or (name == "row" and period > 128):
            break
        residues = line.folded(period)
        members = _cover(residues)
        fraction = len(members) / period
        if fraction >= best:
            continue
        best = fraction
        share = float(residues[members].sum() / residues.sum())
        where = f"{name}s whose number modulo {period} is {listed(members)}"
        words = _period_words(period, members, name)
        yield _Class(share, fraction, where, words, choices(members, period))


def _period_words(period: int, members: NDArray[np.intp], name: str) -> tuple[str, str]:
    try_next = f"Shift the data by one {name}: if the pattern stays, it belongs to the {name}."
    if period == 2 and name == "column":
        return "one half of each byte (nibble): a shift or a mask in packing", try_next
    if members[0] >= period // 2:
        return f"only the second half of each group of {period}: a second vector or warp", try_next
    if len(members) == 1:
        edge = members[0] in (0, period - 1)
        start = "the first or the last of each group" if edge else "one place in each group"
        return f"{start} of {period}: a lane, a boundary between groups, or a stride", try_next
    if name == "row" and period >= 32:
        return f"some lanes of a group of {period} threads, or a swizzle of tiles", try_next
    return f"some lanes of a group of {period}", try_next


def _cover(numbers: NDArray[np.int64]) -> NDArray[np.intp]:
    """The fewest places that hold nearly all mismatches, in order."""
    order = np.argsort(-numbers, kind="stable")
    enough = NEARLY_ALL * numbers.sum()
    count = int(np.searchsorted(np.cumsum(numbers[order]), enough)) + 1
    return np.sort(order[:count])


def _all_of(share: float) -> str:
    return (
        "Every mismatch lies"
        if share == 1
        else f"{_percent(share).capitalize()} of the mismatches lie"
    )


def _percent(share: float) -> str:
    return "more than 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"
