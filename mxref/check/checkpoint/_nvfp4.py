"""NVFP4 tensors: which published recipe made them, and what of them is right in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mxref.check._problem import spread
from mxref.check.checkpoint import _locate as locate
from mxref.check.checkpoint import _pairs as pairs
from mxref.check.checkpoint._candidates import Candidate
from mxref.check.checkpoint._nvfp4_recipes import RECIPES, Recipe, largest
from mxref.check.checkpoint._pairs import Pair, Part
from mxref.check.checkpoint._scan import KEPT, Evidence, Tally, runs_of, taken
from mxref.check.parts import Witness

if TYPE_CHECKING:
    from mxref.checkpoints.store import Store

__all__ = ["RECIPES", "against_recipes", "first_witness", "is_whole", "recipe_candidates"]

_BLOCK = 16


def recipe_candidates() -> tuple[Candidate, ...]:
    """Return every recipe as a candidate."""
    return tuple(Candidate((name,), None, not is_whole(name)) for name in RECIPES)


def is_whole(name: str) -> bool:
    """Whether a recipe says what scales are, and not only what follows from them."""
    return name in RECIPES and RECIPES[name].scale is not None


def against_recipes(part: Part, tried: tuple[Candidate, ...]) -> list[Tally]:
    """Compare rows with what each recipe makes of their values."""
    every = np.arange(part.scales.size)
    blocks = taken(part, every, _BLOCK)
    with np.errstate(all="ignore"):
        x = blocks.x.astype(np.float32)
        amax = largest(x)
        return [_tally(RECIPES[each.name], part, blocks, x, amax) for each in tried]


def _tally(
    recipe: Recipe, part: Part, blocks: Evidence, x: NDArray[np.float32], amax: NDArray[np.float32]
) -> Tally:
    g = part.gain
    wrong_scale = np.zeros(len(x), np.bool_)
    if recipe.scale is not None:
        wrong_scale = recipe.scale(amax, g) != blocks.scales
    wrong = recipe.encode(x, blocks.scales, g) != blocks.codes
    is_nan = (blocks.scales & 0x7F) == 0x7F
    wrong &= ~is_nan[:, None]
    bad = np.flatnonzero(wrong_scale | wrong.any(1))
    if not len(bad):
        return Tally()
    per_row = part.scales.shape[1]
    base = part.start * per_row
    kept = bad[spread(np.arange(len(bad)), KEPT)]
    return Tally(
        blocks=len(bad),
        scales=int(wrong_scale.sum()),
        elements=int(wrong.sum()),
        first=base + int(bad[0]),
        rows=runs_of(np.unique(bad // per_row) + part.start),
        evidence=[Evidence(base + kept, blocks.x[kept], blocks.codes[kept], blocks.scales[kept])],
    )


def first_witness(
    pair: Pair, stores: tuple[Store, Store], block: int, lead: Candidate
) -> tuple[Witness, tuple[int, int, bool]] | None:
    """Show the first mismatch of a block, and say its row, its column and if it is of a scale."""
    row, along = divmod(block, pair.blocks)
    step = pairs.row_step(pair)
    start = row // step * step
    part = pairs.read(pair, *stores, start, min(pair.rows, start + step))
    here = taken(part, np.array([(row - start) * pair.blocks + along]), _BLOCK)
    recipe, g = RECIPES[lead.name], part.gain
    with np.errstate(all="ignore"):
        x = here.x.astype(np.float32)
        amax = largest(x)
        due = None if recipe.scale is None else recipe.scale(amax, g)
        codes = recipe.encode(x, here.scales, g)
    scale = int(here.scales[0])
    if due is not None and due[0] != scale:
        index = locate.coordinates(pair, row, along)
        shown = Witness(
            index,
            "scale",
            input_value=str(amax[0]),
            got_bits=f"0x{scale:02x}",
            expected_bits=f"0x{int(due[0]):02x}",
        )
        return shown, (row, along, True)
    lanes = np.flatnonzero(codes[0] != here.codes[0])
    if not len(lanes):
        return None
    lane = int(lanes[0])
    column = along * _BLOCK + lane
    shown = Witness(
        locate.coordinates(pair, row, column),
        "element",
        input_value=str(here.x[0, lane]),
        scale_code=f"0x{scale:02x}",
        got_bits=f"0x{int(here.codes[0, lane]):x}",
        expected_bits=f"0x{int(codes[0, lane]):x}",
    )
    return shown, (row, column, False)
