"""Places of the mismatches of one stage of a check: scale codes, elements, or decoded values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mxref.check._compare import NAN_SCALE, element_differences
from mxref.check._problem import Piece, Problem, spread
from mxref.check.parts import Place
from mxref.check.places._kinds import kind_places
from mxref.check.places._localiser import MOST, Localiser
from mxref.faults.decode import element_table
from mxref.faults.encoder import Bools, Bytes
from mxref.policy import Policy

__all__ = ["element_places", "scale_places", "value_places"]

_SAMPLE_LANES = 1 << 14
_UNIT = 127


def element_places(
    problem: Problem, expected: Callable[[Piece], Bytes], policy: Policy
) -> tuple[Place, ...]:
    """Say what the element codes have in common that differ from what is expected.

    Parameters
    ----------
    problem : Problem
    expected : callable
        Takes a piece and returns its codes, given the emitted scale codes.
    policy : Policy
        What is expected, apart from faults.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> x = np.resize(np.array([6, 1, 2, 3], np.float32), (64, 32))
    >>> codes = np.resize(np.array([7, 2, 4, 5], np.uint8), (64, 32))
    >>> codes[:, 9] = 15
    >>> scales = np.full((64, 1), 127, np.uint8)
    >>> problem = Problem(x, codes, scales, block_format("mxfp4"), 1)
    >>> right = lambda piece: np.resize(np.array([7, 2, 4, 5], np.uint8), piece.codes.shape)
    >>> element_places(problem, right, Policy())[0].what
    'All wrong values are one and the same value, -6 (0xC0C00000).'
    """
    localiser = _localiser(problem)
    values = element_table(problem.fmt.element).astype(np.float32)
    bad: list[NDArray[np.intp]] = []
    for piece in problem.pieces():
        codes = expected(piece)
        mask = element_differences(codes, piece)
        if mask.any():
            localiser.add(piece.start, mask, values[piece.codes], values[codes])
            bad.append(np.flatnonzero(mask.any(1)) + piece.start)
    if not bad:
        return ()
    limit = max(1, _SAMPLE_LANES // problem.fmt.block_size)
    chosen = np.union1d(
        spread(np.concatenate(bad), limit), spread(np.arange(problem.n_blocks), limit)
    )
    sample = problem.take(chosen)
    wrong = element_differences(expected(sample), sample)
    found = (*localiser.finish(), *kind_places(problem, sample, wrong, policy))
    return found[:MOST]


def scale_places(problem: Problem, expected: Bytes, wrong: Bools) -> tuple[Place, ...]:
    """Say what the scale codes have in common that differ from what is expected.

    Parameters
    ----------
    problem : Problem
    expected : ndarray of uint8
        One a block, in the order of `Problem`.
    wrong : ndarray of bool
        Which of them differ with an effect.
    """
    given = np.moveaxis(problem.scales, problem.axis, -1).reshape(-1, 1)
    localiser = Localiser(problem.scales.shape, problem.axis, 1)
    localiser.add(0, wrong.reshape(-1, 1), _scale_values(given), _scale_values(expected[:, None]))
    return localiser.finish()


def _scale_values(codes: Bytes) -> NDArray[np.float32]:
    is_nan = codes == NAN_SCALE
    values = np.ldexp(np.float32(1), np.where(is_nan, 0, codes.astype(np.int32) - _UNIT))
    return np.where(is_nan, np.float32(np.nan), values.astype(np.float32))


def value_places(
    problem: Problem, judged: Callable[[Piece], tuple[Bools, NDArray[np.float32]]]
) -> tuple[Place, ...]:
    """Say what the decoded values have in common that differ from what is expected.

    Parameters
    ----------
    problem : Problem
        Its values are those that came out.
    judged : callable
        Takes a piece and returns where it differs, and the expected values.
    """
    localiser = _localiser(problem)
    for piece in problem.pieces():
        mask, values = judged(piece)
        if mask.any():
            localiser.add(piece.start, mask, piece.x, values)
    return localiser.finish()


def _localiser(problem: Problem) -> Localiser:
    if problem.shape is not None:
        return Localiser(problem.shape, len(problem.shape) - 1, None)
    return Localiser(problem.x.shape, problem.axis, problem.fmt.block_size)
