"""Element faults whose parameter the data themselves show: a factor, boundaries, a code of NaN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check._factor import as_stored, forgotten_factor
from mxref.faults.block_variants import second_scale, special_blocks
from mxref.faults.element_variants import boundary_model, nan_model
from mxref.faults.encoder import Bytes, Encoder, as_float64

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.faults.block import BlockModel
    from mxref.faults.element import ElementModel
    from mxref.formats import ElementFormat
    from mxref.policy import Policy

__all__ = ["block_faults_seen", "element_faults_seen"]

_MOST_BOUNDARIES = 12  # beyond that it is another rule, not a slip at some boundaries


def element_faults_seen(
    x: NDArray[Any], scales: Bytes, given: Bytes, fmt: ElementFormat, policy: Policy
) -> Iterator[ElementModel]:
    """E3 with the boundaries, and E18 with the codes of NaN, that some blocks show.

    Parameters
    ----------
    x, given : ndarray, shape (n, k)
        Values and their codes.
    scales : ndarray of uint8, shape (n,)
        Scale codes, none of them NaN.
    fmt : ElementFormat
    policy : Policy
        What was expected.
    """
    encoder = Encoder(fmt, policy)
    lanes = encoder.classify(as_float64(x))
    encoder.scale(lanes, scales[:, None].astype(np.int32))
    encoder.align(lanes)
    below = encoder.assemble(lanes, lanes.kept)
    expected = encoder.encode(x, scales[:, None])
    tie = (lanes.rest == 0.5) & ~lanes.nan & ~lanes.inf
    slipped = np.unique(below[tie & (expected != given)])
    if 0 < len(slipped) <= _MOST_BOUNDARIES and len(slipped) < len(np.unique(below[tie])):
        yield boundary_model(frozenset(int(code) for code in slipped))
    nan = lanes.nan
    if nan.any():
        positive, negative = np.unique(given[nan & ~lanes.sign]), np.unique(given[nan & lanes.sign])
        if len(positive) <= 1 and len(negative) <= 1:
            one = int((positive if len(positive) else negative)[0])
            yield nan_model(one, int(negative[0]) if len(negative) else one)


def block_faults_seen(
    x: NDArray[Any], scales: Bytes, given: Bytes, fmt: ElementFormat
) -> Iterator[BlockModel]:
    """S14 or S16 with the factor, S11 with the codes beside NaN, that some blocks show."""
    yield from special_blocks(x, given)
    for factor in as_stored(forgotten_factor(x, scales, given, fmt)):
        yield second_scale(factor)
