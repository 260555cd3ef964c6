"""Comparison with a policy, piece by piece: what differs, and what differs without effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._elements import encode_given
from mxref.check._problem import Piece, Problem
from mxref.check.maps import MapBuilder
from mxref.faults.encoder import as_float64
from mxref.mxarray import MXArray
from mxref.policy import Policy

__all__ = [
    "NAN_SCALE",
    "Comparison",
    "add_lanes",
    "agrees",
    "compare",
    "element_differences",
    "same_bits",
    "without_refusals",
]

NAN_SCALE = 0xFF


@dataclass(slots=True)
class Comparison:
    """Differences between given codes and those of a policy.

    Attributes
    ----------
    scale_bad : list of ndarray of int
        Numbers of the blocks whose scale differs with an effect.
    element_bad : list of ndarray of int
        Numbers of the blocks with differing elements.
    first_lane : list of ndarray of int
        The first differing element of each block of `element_bad`.
    elements : int
        How many elements differ, judged under the given scale.
    own : int
        How many elements differ from those that the policy makes under its own scales.
    silent_scales, silent_codes : int
        Scale codes of all-zero blocks, and codes under a NaN scale, that differ without effect.
    map : MapBuilder or None
        Counts where elements differ, if somebody wants to know.
    """

    scale_bad: list[NDArray[np.intp]] = field(default_factory=list)
    element_bad: list[NDArray[np.intp]] = field(default_factory=list)
    first_lane: list[NDArray[np.intp]] = field(default_factory=list)
    elements: int = 0
    own: int = 0
    silent_scales: int = 0
    silent_codes: int = 0
    map: MapBuilder | None = None

    @property
    def scales(self) -> int:
        """How many scale codes differ with an effect."""
        return sum(map(len, self.scale_bad))

    @property
    def clean(self) -> bool:
        """Whether nothing differs with an effect."""
        return not self.elements and not self.scales

    def bad_blocks(self) -> NDArray[np.intp]:
        """Numbers of the blocks with differing elements."""
        return _joined(self.element_bad)

    def bad_scales(self) -> NDArray[np.intp]:
        """Numbers of the blocks with a differing scale."""
        return _joined(self.scale_bad)

    def lanes(self) -> NDArray[np.intp]:
        """First differing element of each of `bad_blocks`."""
        return _joined(self.first_lane)


def _joined(parts: list[NDArray[np.intp]]) -> NDArray[np.intp]:
    return np.concatenate(parts) if parts else np.zeros(0, np.intp)


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays of one size hold the same bytes; eight at a time where they lie so."""
    if a.flags.c_contiguous and b.flags.c_contiguous and a.nbytes % 8 == 0:
        return np.array_equal(a.reshape(-1).view(np.uint64), b.reshape(-1).view(np.uint64))
    return np.array_equal(a.reshape(-1), b.reshape(-1))


def without_refusals(policy: Policy) -> Policy:
    """Put a choice that gives codes where the policy refuses the input: codes were given."""
    changes = {}
    if policy.scale_nan == "raise":
        changes["scale_nan"] = "nan-scale"
    if policy.scale_inf == "raise":
        changes["scale_inf"] = "nan-scale"
    if policy.nan_element == "raise":
        changes["nan_element"] = "pos-max"
    if policy.inf_element == "raise":
        changes["inf_element"] = "clamp"
    return policy.replace(**changes) if changes else policy


def compare(problem: Problem, policy: Policy, places: MapBuilder | None = None) -> Comparison:
    """Compare every scale and element code of a quantizer with a policy.

    Elements are judged given the emitted scale. A piece that agrees costs one quantization and one
    pass over its codes; only blocks that differ are looked at further.
    """
    result = Comparison(map=places)
    if problem.lone:
        return _compare_elements(problem, policy, result)
    buffer: MXArray | None = None
    for piece in problem.pieces():
        if buffer is not None and buffer.codes.shape != piece.codes.shape:
            buffer = None  # the last piece may be shorter
        # Into the same memory each time: it stays in the cache, which halves the time.
        ours = buffer = arrays.quantize(piece.x, problem.fmt, -1, policy, out=buffer)
        if same_bits(ours.scales, piece.scales) and same_bits(ours.codes, piece.codes):
            continue
        scale_differs = ours.scales[:, 0] != piece.scales
        rows = np.flatnonzero(scale_differs | (ours.codes != piece.codes).any(1))
        some = piece.rows(rows)
        _add_scales(result, some, rows, ours.scales[rows, 0])
        _add_elements(result, problem, some, rows, policy)
        hidden = (some.scales == NAN_SCALE) | (ours.scales[rows, 0] == NAN_SCALE)
        differs = (ours.codes[rows] != some.codes) & ~hidden[:, None]
        result.own += int((differs if some.used is None else differs & some.used).sum())
    return result


def agrees(problem: Problem, policy: Policy) -> bool:
    """Whether nothing differs from a policy with an effect; stops at the first that does."""
    if problem.lone:
        return compare(problem, policy).clean
    for piece in problem.pieces():
        ours = arrays.quantize(piece.x, problem.fmt, -1, policy)
        if same_bits(ours.scales, piece.scales) and same_bits(ours.codes, piece.codes):
            continue
        part = Problem(piece.x, piece.codes, piece.scales[:, None], problem.fmt, 1)
        if piece.used is not None or not compare(part, policy).clean:
            return piece.used is not None and compare(problem, policy).clean
    return True


def _compare_elements(problem: Problem, policy: Policy, result: Comparison) -> Comparison:
    for piece in problem.pieces():
        expected = arrays.encode(piece.x, problem.fmt.element, policy)
        if not same_bits(expected, piece.codes):
            blocks = np.arange(piece.start, piece.stop)
            add_lanes(result, expected != piece.codes, blocks)
    return result


def _add_scales(
    result: Comparison, piece: Piece, rows: NDArray[np.intp], expected: NDArray[np.uint8]
) -> None:
    differs = piece.scales != expected
    if not differs.any():
        return
    # Every scale but NaN makes the same zeros of an all-zero block.
    is_number = (piece.scales != NAN_SCALE) & (expected != NAN_SCALE)
    silent = differs & is_number & (as_float64(piece.x) == 0).all(1)
    result.silent_scales += int(silent.sum())
    result.scale_bad.append(rows[differs & ~silent] + piece.start)


def _add_elements(
    result: Comparison, problem: Problem, piece: Piece, rows: NDArray[np.intp], policy: Policy
) -> None:
    expected = encode_given(piece.x, piece.scales, problem.fmt, policy)
    differs = element_differences(expected, piece)
    hidden = piece.scales == NAN_SCALE
    result.silent_codes += int((expected[hidden] != piece.codes[hidden]).sum())
    add_lanes(result, differs, rows + piece.start)


def add_lanes(result: Comparison, differs: NDArray[np.bool_], blocks: NDArray[np.intp]) -> None:
    """Record differing elements of some blocks."""
    count = int(differs.sum())
    if count:
        bad = differs.any(1)
        result.elements += count
        result.element_bad.append(blocks[bad])
        result.first_lane.append(differs[bad].argmax(1))
        if result.map is not None:
            result.map.add(blocks, differs)


def element_differences(expected: NDArray[np.uint8], piece: Piece) -> NDArray[np.bool_]:
    """Where codes differ with an effect; under a NaN scale no code has any."""
    differs: NDArray[np.bool_] = expected != piece.codes
    hidden = piece.scales == NAN_SCALE
    if hidden.any():
        differs &= ~hidden[:, None]
    if piece.used is not None:
        differs &= piece.used
    return differs
