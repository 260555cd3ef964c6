"""One place of a tensor in an MX format: its block gives the scale, and it gets its code."""

from __future__ import annotations

from typing import Any

from mxref import _inputs as inputs
from mxref.exact.random_bits import STOCHASTIC
from mxref.formats import BlockFormat
from mxref.policy import Policy
from mxref.show._explain_mx import Draws, explain_block
from mxref.show._explain_place import as_array, block_of, givens, locate
from mxref.show._explain_position import PositionExplanation
from mxref.show._input import Wanted

__all__ = ["explain_place"]


def explain_place(x: Any, fmt: BlockFormat, policy: Policy, wanted: Wanted) -> PositionExplanation:
    """Explain the element of a tensor at a place; random bits are those that quantize takes."""
    array = as_array(x)
    where = inputs.normal_axis(wanted.axis, array.shape)
    is_padded = wanted.pad or policy.block_tail == "zero-pad"
    scales = inputs.scale_shape(array.shape, where, fmt.block_size, pad=is_padded)
    place = locate(wanted.at, array.shape, where, fmt.block_size)
    drawn: Any = None
    drawn_scale: Any = None
    is_given = wanted.random is not None or wanted.scale_random is not None
    if is_given or _draws(policy):
        from mxref import randomness

        drawn = randomness.for_elements(wanted.random, array.shape, fmt.element, policy)
        drawn_scale = randomness.for_scales(wanted.scale_random, scales, policy)
    draws = Draws(
        None if drawn is None else [int(r) for r in block_of(drawn, place)],
        None if drawn_scale is None else int(drawn_scale[place.block]),
    )
    given = givens(block_of(array, place))
    block = explain_block(given, fmt, policy, draws, pad=True)
    return PositionExplanation(place, block, block.elements[place.within])


def _draws(policy: Policy) -> bool:
    return policy.rounding in STOCHASTIC or policy.scale_rule == "stochastic"
