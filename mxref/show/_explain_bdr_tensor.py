"""One place of a tensor in a BDR format; where one scale serves all, what decided it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.relatives.bdr_format import BDRFormat
from mxref.show._explain_bdr_whole import Whole
from mxref.show._explain_place import as_array, block_of, givens, locate
from mxref.show._explain_position import Place
from mxref.show._input import Given, Wanted

__all__ = ["source_of"]


class Source(NamedTuple):
    """What decides about one element.

    Attributes
    ----------
    place : Place
        Where it lies.
    given : list of Given
        The numbers of its block, or some of the tensor that decide alike.
    own : int
        Which of them is asked for.
    random : list of int or None
        R of each.
    whole : Whole or None
        Where one scale serves the whole tensor: what there is to say of it.
    """

    place: Place
    given: list[Given]
    own: int
    random: list[int] | None
    whole: Whole | None = None


def source_of(x: Any, fmt: BDRFormat, wanted: Wanted) -> Source:
    """Return what decides about the element of a tensor at a place."""
    array = as_array(x)
    where = inputs.normal_axis(wanted.axis, array.shape)
    if fmt.k1 is not None:
        inputs.scale_shape(array.shape, where, fmt.k1, pad=wanted.pad)
    place = locate(wanted.at, array.shape, where, fmt.k1)
    drawn = _random(wanted.random, array.shape)
    if fmt.k1 is not None:
        R = None if drawn is None else [int(r) for r in block_of(drawn, place)]
        return Source(place, givens(block_of(array, place)), place.within, R)
    # The scale of a whole tensor depends on its largest magnitude and on whether it holds a NaN
    # or an infinity: a few elements stand for all.
    flat = array.reshape(-1)
    deciding = _deciding(flat)
    chosen = [place.within, *deciding]
    bits = None if drawn is None else [int(drawn.reshape(-1)[i]) for i in chosen]
    index = tuple(int(i) for i in np.unravel_index(deciding[0], array.shape))
    return Source(place, givens(flat[chosen]), 0, bits, Whole(_kinds(flat), index))


def _kinds(flat: NDArray[Any]) -> dict[str, int]:
    """How many numbers of each class there are."""
    with np.errstate(invalid="ignore"):  # signalling NaN
        found = (np.isnan(flat), np.isinf(flat), flat == 0)
    nan, inf, zero = (int(np.count_nonzero(one)) for one in found)
    return {"FINITE": flat.size - nan - inf - zero, "ZERO": zero, "INF": inf, "NAN": nan}


def _deciding(flat: NDArray[Any]) -> list[int]:
    """The places of the largest finite magnitude, of a NaN and of an infinity."""
    with np.errstate(invalid="ignore", over="ignore"):  # signalling NaN; float64 beyond float32
        single = flat.astype(np.float32)  # the type in which formats with one scale are computed
    found = [np.flatnonzero(np.isnan(single)), np.flatnonzero(np.isinf(single))]
    sizes = np.where(np.isfinite(single), np.abs(single), np.float32(0))
    return [int(np.argmax(sizes)), *(int(places[0]) for places in found if places.size)]


def _random(random: Any, shape: tuple[int, ...]) -> NDArray[np.unsignedinteger[Any]] | None:
    if random is None:
        return None
    array = np.asarray(random)
    if array.shape != shape:
        raise ValueError(f"random has shape {array.shape}; expected {shape}, one for each element")
    return array
