"""The block that a format renders worst, found exactly: how far a bound is from the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from mxref.formats import BlockFormat, pow2
from mxref.quality._formats import AnyFormat, any_format, float_magnitudes
from mxref.relatives.bdr_format import BDRFormat, ScaleKind

__all__ = ["WorstBlock", "worst_block"]

_RULES = ("floor", "ceil", "rceil", "even")


class WorstBlock(NamedTuple):
    """The worst block of a format.

    Attributes
    ----------
    decibels : float
        Its QSNR: the greatest lower bound.
    numbers : tuple of Fraction
        The block; where the worst lies at the end of an open interval or on a tie, numbers next
        to these come as close to it as one likes.
    """

    decibels: float
    numbers: tuple[Fraction, ...]


def worst_block(
    format: str | AnyFormat,  # noqa: A002
    n: int | None = None,
    *,
    scale_rule: str = "floor",
) -> WorstBlock:
    """Find the block whose QSNR is least, and that QSNR.

    Parameters
    ----------
    format : str or format
        An MX format, or a BDR format whose scales are powers of two.
    n : int, optional
        Length of the vector if it is shorter than a block.
    scale_rule : str
        MX formats: ``"floor"``, ``"ceil"``, ``"rceil"`` or ``"even"``.

    Returns
    -------
    WorstBlock

    Raises
    ------
    ValueError
        If the format has no such block, or the rule is none of those.

    Notes
    -----
    Noise over signal is a ratio of two sums with a term for each element. It is at least r for
    some block if, and only if, the greatest ``noise - r signal`` is not negative, and that is
    maximised element by element. Between two values the term is convex in the element on either
    side of their midpoint, so only values, midpoints and the ends of an interval need a look. r is
    raised to the ratio of the best block until nothing is better (Dinkelbach); all in fractions.

    Examples
    --------
    >>> worst = worst_block("mxfp4")
    >>> round(worst.decibels, 2), [float(v) for v in worst.numbers[:3]]
    (9.62, [5.0, 0.25, 0.25])
    >>> round(worst_block("mx9").decibels, 2)
    34.81
    """
    fmt = any_format(format)
    if n is not None and n < 1:
        raise ValueError(f"n is the length of a vector, at least 1; got {n}")
    if isinstance(fmt, BlockFormat):
        groups = [_mx(fmt, n, scale_rule)]
    elif isinstance(fmt, BDRFormat) and fmt.scale is ScaleKind.POW2:
        groups = _bdr(fmt, n)
    else:
        raise ValueError(
            f"the worst block of {fmt.name} is not known; expected an MX format or a BDR format "
            f"with power-of-two scales"
        )
    ratio = Fraction(0)
    while True:
        block = [pair for group in groups for pair in group(ratio)]
        noise = sum((e * e for _, e in block), Fraction(0))
        better = noise / sum((v * v for v, _ in block), Fraction(0))
        if better <= ratio:
            return WorstBlock(-10 * math.log10(ratio), tuple(v for v, _ in block))
        ratio = better


_Pair = tuple[Fraction, Fraction]
_Group = Callable[[Fraction], list[_Pair]]


def _mx(fmt: BlockFormat, n: int | None, scale_rule: str) -> _Group:
    if scale_rule not in _RULES:
        raise ValueError(f"scale_rule is {scale_rule!r}; expected one of {', '.join(_RULES)}")
    element = fmt.element
    top = pow2(element.emax)
    high = {
        "floor": 2 * top,
        "ceil": top,
        "rceil": element.max,
        "even": (2 - pow2(-element.mantissa_bits - 1)) * top,
    }[scale_rule]
    size = fmt.block_size if n is None else min(n, fmt.block_size)
    grid = float_magnitudes(element)
    return _group(_choices(grid, high / 2, high), _choices(grid, Fraction(0), high), size)


def _bdr(fmt: BDRFormat, n: int | None) -> list[_Group]:
    assert fmt.k1 is not None  # noqa: S101  # power-of-two scales have blocks
    size = fmt.k1 if n is None else min(n, fmt.k1)
    sub = min(size, fmt.k2) if fmt.has_subscales else size
    plain = [i * fmt.step for i in range(fmt.max_magnitude + 1)]

    def shifted(shift: int, length: int) -> _Group:
        grid = [v * pow2(-shift) for v in plain]
        high = pow2(1 - shift)
        low = Fraction(0) if shift and shift == fmt.max_shift else high / 2
        return _group(_choices(grid, low, high), _choices(grid, Fraction(0), high), length)

    def others(length: int) -> _Group:
        every = [shifted(d, length) for d in range(fmt.max_shift + 1)]
        return lambda r: max((g(r) for g in every), key=lambda block: _gain(block, r))

    rest = size - sub
    lengths = [fmt.k2] * (rest // fmt.k2) + [rest % fmt.k2] if rest else []
    return [shifted(0, sub), *(others(length) for length in lengths if length)]


def _group(lead: list[_Pair], others: list[_Pair], size: int) -> _Group:
    """One element from `lead` and the rest from `others`: the best for a given ratio."""

    def best(r: Fraction) -> list[_Pair]:
        def gain(pair: _Pair) -> Fraction:
            return _gain([pair], r)

        return [max(lead, key=gain), *[max(others, key=gain)] * (size - 1)]

    return best


def _gain(block: Iterable[_Pair], r: Fraction) -> Fraction:
    return sum((e * e - r * v * v for v, e in block), Fraction(0))


def _choices(grid: list[Fraction], low: Fraction, high: Fraction) -> list[_Pair]:
    """Values, midpoints and ends of an interval, with their errors."""
    middles = [(a + b) / 2 for a, b in pairwise(grid)]
    places = {v for v in [*grid, *middles] if low <= v <= high} | {low, high}
    return [(v, min(abs(v - g) for g in grid)) for v in sorted(places)]
