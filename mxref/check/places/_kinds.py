"""Kinds of inputs: what the numbers have in common that came out wrong."""

from __future__ import annotations

import numpy as np

from mxref.check._problem import Piece, Problem
from mxref.check.parts import Place
from mxref.check.places._signs import NEARLY_ALL, Sign, is_telling, telling
from mxref.faults.encoder import Bools, Encoder, as_float64
from mxref.formats import Kind
from mxref.policy import Policy

__all__ = ["kind_places"]

_MOST = 3

_POINTS_TO = {
    "NaN": ("the path for NaN", "Try a quiet, a signalling and a negative NaN at each place."),
    "an infinity": ("the path for infinities", "Try both infinities, alone in a block and not."),
    "zero": ("the path for zeros", "Try +0 and -0, alone in a block and among large numbers."),
    "a tie": (
        "the rounding of ties",
        "Try each midpoint with both signs, and its neighbours on both sides.",
    ),
    "negative": ("the sign: handled before the rounding, or read as part of the magnitude", ""),
    "positive": ("the sign: handled before the rounding, or read as part of the magnitude", ""),
    "beyond the largest number": (
        "the overflow",
        "Try the largest number, the midpoint above it, and their neighbours.",
    ),
    "below the smallest normal number": (
        "the subnormal path: its shift, its sticky bit, or a flush",
        "Try each subnormal value, the midpoints between them, and a step beside each.",
    ),
    "in the top binade": (
        "the largest exponent, taken for a special or for an overflow",
        "Try each value of the top binade.",
    ),
}
_SIGNS = "Try each value with both signs."


def kind_places(problem: Problem, sample: Piece, wrong: Bools, policy: Policy) -> tuple[Place, ...]:
    """Say what inputs the mismatches of a sample have in common.

    Parameters
    ----------
    problem : Problem
    sample : Piece
        Some blocks.
    wrong : ndarray of bool
        Which of their elements mismatch.
    policy : Policy
        What was expected.

    Returns
    -------
    tuple of Place
        The most telling first; at most three.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> x = np.array([1.0, -1.0, 2.0, -3.0] * 32, np.float32)
    >>> problem = Problem.of_elements(x, np.zeros(128, np.uint8), element_format("e2m1"))
    >>> sample = problem.take(np.arange(4))
    >>> [place.what for place in kind_places(problem, sample, sample.x < 0, Policy())]
    ['Every mismatch of a sample is negative.']
    """
    count, used = int(wrong.sum()), np.ones(wrong.shape, np.bool_)
    if sample.used is not None:
        used = sample.used
    found = []
    for name, members in _kinds(problem, sample, policy).items():
        share = float(wrong[members].sum() / max(count, 1))
        fraction = float(members[used].mean())
        if share >= NEARLY_ALL and is_telling(share, fraction, count):
            points_to, try_next = _POINTS_TO[name]
            who = "Every mismatch" if share == 1 else "More than 99 % of the mismatches"
            verb = "is" if share == 1 else "are"
            place = Place(f"{who} of a sample {verb} {name}.", points_to, try_next or _SIGNS, share)
            found.append(Sign(telling(share, fraction), place))
    found.sort(key=lambda sign: -sign.telling)
    return tuple(sign.place for sign in found[:_MOST])


def _kinds(problem: Problem, sample: Piece, policy: Policy) -> dict[str, Bools]:
    fmt = problem.fmt.element
    encoder = Encoder(fmt, policy)
    lanes = encoder.classify(as_float64(sample.x))
    special = {"NaN": lanes.nan, "an infinity": lanes.inf}
    encoder.scale(lanes, sample.scales[:, None].astype(np.int32))
    encoder.align(lanes)
    ordinary = ~lanes.nan & ~lanes.inf
    code = encoder.assemble(lanes, encoder.round(lanes))
    kinds = special | {
        "a tie": (lanes.rest == 0.5) & ordinary,
        "zero": (lanes.magnitude == 0) & ordinary,
        "beyond the largest number": (code > fmt.max_magnitude) & ordinary,
        "negative": lanes.sign,
        "positive": ~lanes.sign,
    }
    if fmt.kind is Kind.FLOAT:
        kinds["below the smallest normal number"] = (code < 1 << fmt.mantissa_bits) & ordinary
        top = fmt.max_magnitude >> fmt.mantissa_bits
        kinds["in the top binade"] = (code >> fmt.mantissa_bits == top) & ordinary
    return kinds
