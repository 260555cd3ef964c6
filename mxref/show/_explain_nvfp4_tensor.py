"""One place of a tensor in NVFP4: its line, the other lines of a 16 x 16 block, and the amax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.exact.number import Number
from mxref.nvfp4._blocks import from_rows
from mxref.nvfp4._random import random_rows
from mxref.nvfp4._tiles import other_axis
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.show._explain_place import as_array, block_of, givens, locate
from mxref.show._explain_position import Place
from mxref.show._input import Given, Wanted, read_number

__all__ = ["source_of"]

_SIZE = NVFP4.block_size


class Source(NamedTuple):
    """What decides about one element.

    Attributes
    ----------
    place : Place
        Where it lies.
    given : list of Given
        The numbers of its line.
    amax : Number
        The largest magnitude of the tensor.
    random : list of int or None
        R of the elements, of all lines of a block of 16 x 16.
    before, after : sequence of sequences of Number
        The other lines of such a block.
    """

    place: Place
    given: list[Given]
    amax: Number
    random: list[int] | None = None
    before: Sequence[Sequence[Number]] = ()
    after: Sequence[Sequence[Number]] = ()


def source_of(x: Any, policy: NVFP4Policy, wanted: Wanted) -> Source:
    """Return what decides about the element of a tensor at a place."""
    array = as_array(x)
    where = inputs.normal_axis(wanted.axis, array.shape)
    inputs.scale_shape(array.shape, where, _SIZE, pad=wanted.pad)
    other = other_axis(array.shape, where, policy, pad=wanted.pad)
    place = locate(wanted.at, array.shape, where, _SIZE)
    rows = random_rows(wanted.random, array.shape, where, policy)
    drawn = None if rows is None else from_rows(rows, array.shape, where)
    own, amax = givens(block_of(array, place)), _amax(array, policy)
    if other is None:
        R = None if drawn is None else _padded([int(r) for r in block_of(drawn, place)], 0)
        return Source(place, own, amax, R)
    line = place.index[other] % _SIZE
    first = place.index[other] - line
    lines: list[list[Number]] = []
    bits: list[int] = []
    for i in range(first, min(first + _SIZE, array.shape[other])):
        near = _moved(place, other, i)
        numbers = [one.number for one in givens(block_of(array, near))]
        lines.append(_padded(numbers, Number.zero(0)))
        if drawn is not None:
            bits += _padded([int(r) for r in block_of(drawn, near)], 0)
    R = bits if drawn is not None else None
    return Source(place, own, amax, R, lines[:line], lines[line + 1 :])


def _padded(items: list[Any], filler: Any) -> list[Any]:
    return items + [filler] * (_SIZE - len(items))


def _moved(place: Place, axis: int, to: int) -> Place:
    index = (*place.index[:axis], to, *place.index[axis + 1 :])
    return Place(
        index, place.shape, place.axis, (), place.within, place.start, place.stop, place.size
    )


def _amax(array: NDArray[Any], policy: NVFP4Policy) -> Number:
    """The largest magnitude of the tensor as float32, as ``amax_nan`` has it."""
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = np.abs(array.astype(np.float32))
    if policy.amax_nan is choice.AmaxNan.IGNORE:
        sizes = sizes[~np.isnan(sizes)]
    return read_number(np.float32(sizes.max(initial=0))).number
