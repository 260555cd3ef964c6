"""Value signatures: what the wrong values are, next to those that were expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mxref.check.parts import Place
from mxref.check.places._counts import Located
from mxref.check.places._signs import NEARLY_ALL, Sign, is_telling, telling

__all__ = ["Values"]

Singles = NDArray[np.float32]

_KEPT = 1024  # blocks whose ratios are looked at
_TRIED = 4096  # mismatches of a piece for which a source is looked for
_CONTROLS = (977, 1543, 3001)  # distances at which nobody looks: what agrees there is chance
_MOVED = 0.9  # the ends of rows have no such neighbour
_SAME = 1e-5  # ratios of decoded float32 numbers carry their rounding
_GUESS = 0.25  # at least: how often a wrong value is zero, negated or any other thing by chance


@dataclass(slots=True)
class Values:
    """What is known of the wrong values, in bounded memory.

    Parameters
    ----------
    beside : tuple of int
        Distances, in the numbering of the blocks, at which a value may belong.
    width : int
        Lanes of a block; 1 where there are none.
    """

    beside: tuple[int, ...]
    width: int
    total: int = 0
    zero: int = 0
    nan: int = 0
    negated: int = 0
    stale: int = 0
    judged_stale: int = 0
    constant: int = 0
    one: float | None = None
    sources: dict[str, list[int]] = field(default_factory=dict)
    chance: list[int] = field(default_factory=lambda: [0, 0])
    samples: list[tuple[Singles, NDArray[np.int64]]] = field(default_factory=list)

    def add(
        self,
        mask: NDArray[np.bool_],
        got: Singles,
        expected: Singles,
        previous: Singles | None,
        found: Located,
    ) -> None:
        """Look at the mismatches of a piece."""
        wrong, right = got[mask], expected[mask]
        self.total += len(wrong)
        self.zero += int(((wrong == 0) & (right != 0)).sum())
        is_nan = np.isnan(wrong)
        self.nan += int((is_nan & ~np.isnan(right)).sum())
        self.negated += int(((wrong == -right) & (wrong != right)).sum())
        if previous is not None:
            before = previous[mask]
            moved = before != right
            self.judged_stale += int(moved.sum())
            self.stale += int((moved & (wrong == before)).sum())
        if self.one is None and not is_nan.all():
            values, counts = np.unique(wrong[~is_nan], return_counts=True)
            self.one = float(values[counts.argmax()])
        if self.one is not None:
            self.constant += int((wrong == np.float32(self.one)).sum())
        self._add_sources(mask, got, expected)
        self._add_ratios(mask, got, expected, found)

    # --- sources ------------------------------------------------------------------------------

    def _add_sources(self, mask: NDArray[np.bool_], got: Singles, expected: Singles) -> None:
        flat, values = expected.reshape(-1), got.reshape(-1)
        at = np.flatnonzero(mask)
        at = at[np.linspace(0, len(at) - 1, min(len(at), _TRIED)).astype(np.intp)]
        at = at[np.isfinite(values[at])]
        for name, source in self._sources(at, mask.shape[1]):
            inside = (source >= 0) & (source < flat.size)
            same = flat[source[inside]] == values[at[inside]]
            tally = self.sources.setdefault(name, [0, 0])
            tally[0] += int(same.sum())
            tally[1] += len(same)
        for distance in _CONTROLS:
            source = (at + distance) % flat.size
            self.chance[0] += int((flat[source] == values[at]).sum())
            self.chance[1] += len(at)

    def _sources(self, at: NDArray[np.intp], k: int) -> Iterator[tuple[str, NDArray[np.intp]]]:
        for distance in self.beside:
            blocks, rest = divmod(distance, k)
            unit = f"{distance} element{'s' if distance > 1 else ''}"
            if self.width > 1 and not rest:
                unit = f"{blocks} block{'s' if blocks > 1 else ''}"
            yield f"that belongs {unit} later", at + distance
            yield f"that belongs {unit} earlier", at - distance
        if k > 1 and k % 2 == 0:
            yield "of its neighbour in the pair 2j, 2j + 1", at ^ 1
            lane = at % k
            yield "of the mirrored place in the block", at - lane + (k - 1 - lane)
            half = at - lane + (lane + k // 2) % k
            yield "of the other half of the block", half

    # --- ratios -------------------------------------------------------------------------------

    def _add_ratios(
        self, mask: NDArray[np.bool_], got: Singles, expected: Singles, found: Located
    ) -> None:
        rows = np.flatnonzero(mask.sum(1) >= min(3, mask.shape[1]))
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _KEPT // 8)).astype(np.intp)]
        if not len(rows):
            return
        row_of = dict(zip(found.block.tolist(), found.row.tolist(), strict=True))
        first = int(found.block[0]) - int(np.flatnonzero(mask.any(1))[0])
        with np.errstate(all="ignore"):
            ratio = got[rows].astype(np.float64) / expected[rows]
            logs = np.where(mask[rows] & (ratio > 0), np.log2(ratio), np.nan)
        logs[~np.isfinite(logs)] = np.nan
        for row, values in zip(rows, logs, strict=True):
            kept = values[~np.isnan(values)].astype(np.float32)
            if len(kept):
                where = np.array([row_of[first + int(row)], mask[row].sum()], np.int64)
                self.samples.append((kept, where))
        if len(self.samples) > _KEPT:
            self.samples = self.samples[::2]

    # --- signatures ---------------------------------------------------------------------------

    def signs(self) -> Iterator[Sign]:
        """Yield what the values have in common."""
        if not self.total:
            return
        yield from self._fixed()
        stale = self.stale / max(self.judged_stale, 1)
        if stale >= NEARLY_ALL and is_telling(stale, _GUESS, self.judged_stale):
            yield _sign(
                9,
                "hold what the call before gave at the same place",
                "an output that is not written, or a buffer or a cache that is not renewed",
                "Fill the output with a pattern before the call: what keeps it was not written.",
                stale,
            )
        yield from self._moved()
        yield from self._ratio_signs()

    def _fixed(self) -> Iterator[Sign]:
        names = {
            "zero": (
                "are zero where they should not be",
                (
                    "outputs that were never written (fresh memory is often zero), or numbers that "
                    "are flushed"
                ),
            ),
            "nan": (
                "are NaN where they should not be",
                "memory that was never written, a scale read as 0xFF, or 0 times infinity",
            ),
            "negated": (
                "have the right size and the wrong sign",
                "the sign bit is read from the wrong place, or lost for some lanes",
            ),
        }
        try_next = "Fill the output with two patterns before two calls, and compare."
        for name, (what, points_to) in names.items():
            share = getattr(self, name) / self.total
            if share >= NEARLY_ALL and is_telling(share, _GUESS, self.total):
                yield _sign(4, what, points_to, try_next, share)
        share = self.constant / self.total
        if self.one and share >= NEARLY_ALL and is_telling(share, _GUESS, self.total):
            bits = int(np.array(self.one, np.float32).view(np.uint32))
            yield _sign(
                6,
                f"are one and the same value, {self.one:g} (0x{bits:08X})",
                "a pattern with which memory was filled (never written), or a value that is "
                "broadcast from one lane",
                try_next,
                share,
            )

    def _moved(self) -> Iterator[Sign]:
        by_chance = max(self.chance[0] / max(self.chance[1], 1), 1e-3)
        best: tuple[float, str] | None = None
        for name, (same, tried) in self.sources.items():
            share = same / max(tried, 1)
            if share >= _MOVED and is_telling(share, by_chance, tried):
                best = max(best or (0.0, ""), (share, name))
        if best is not None:
            yield _sign(
                8,
                f"are right values in the wrong place: each is the one {best[1]}",
                "an index or a stride that is off by that much, packing in another order, or a "
                "swizzle that is not undone",
                "Put values into the input that say where they are, and read off the whole map.",
                best[0],
            )

    def _ratio_signs(self) -> Iterator[Sign]:
        # Lone numbers and scales come one a row: there the tensor is all that can be constant.
        many = [(logs, where) for logs, where in self.samples if len(logs) >= min(3, self.width)]
        spans = np.array([float(logs.max() - logs.min()) for logs, _ in many])
        covered = sum(len(logs) for logs, _ in many) / max(1, sum(int(w[1]) for _, w in many))
        if len(many) < 8 or covered < 0.9 or (spans < _SAME).mean() < NEARLY_ALL:
            return
        steps = np.array([float(np.median(logs)) for logs, _ in many])
        rows = np.array([int(where[0]) for _, where in many])
        whole = bool((np.abs(steps - np.round(steps)) < _SAME).mean() >= NEARLY_ALL)
        level = "tensor" if np.ptp(steps) < _SAME else _level(steps, rows)
        if level == "tensor":
            yield _tensor_sign(float(np.median(steps)), whole=whole)
        elif self.width > 1:
            yield _level_sign(level, steps, whole=whole)


def _level(steps: NDArray[np.float64], rows: NDArray[np.int64]) -> str:
    """Whether the ratio is one in each row, or in each block only."""
    order = np.argsort(rows, kind="stable")
    same_row = np.diff(rows[order]) == 0
    same = np.abs(np.diff(steps[order])) < _SAME
    return "row" if same_row.sum() >= 8 and same[same_row].mean() >= NEARLY_ALL else "block"


def _tensor_sign(step: float, *, whole: bool) -> Sign:
    if whole:
        what = f"are the right ones times 2^{round(step)}, all of them"
        points = "a bias or a scale exponent that is added once too often or not at all"
    else:
        what = f"are the right ones times {2**step:.6g}, all of them"
        points = "a float scale (of the tensor, or alpha) that is dropped or applied twice"
    return _sign(7, what, points, "Change the one scale that equals this factor, and look again.")


def _level_sign(level: str, steps: NDArray[np.float64], *, whole: bool) -> Sign:
    low, high = float(steps.min()), float(steps.max())
    if whole:
        what = f"are off by a power of two that is one in each {level}: 2^{low:.0f} to 2^{high:.0f}"
        points = (
            "the scale of another block (layout, swizzle, stride), or a scale that is not applied"
        )
        again = "Give every block a scale of its own, and elements that are 1."
    else:
        what = f"are off by a factor that is one in each {level}: {2**low:.4g} to {2**high:.4g}"
        points = "a scale that is not the stored one"
        again = "Compare the factor with amax / max of the block, and with the scale of the row."
        if high - low < 1.01 and low > -1.01 and high < 1.01:
            points = (
                "elements that were divided by the unrounded scale, not by the stored one (S14)"
            )
    return _sign(7, what, points, again)


def _sign(bits: float, what: str, points_to: str, try_next: str, share: float = 1.0) -> Sign:
    who = "All wrong values" if share == 1 else f"{100 * share:.1f} % of the wrong values"
    weight = bits + telling(share, _GUESS) / 8
    return Sign(weight, Place(f"{who} {what}.", points_to, try_next, share))
