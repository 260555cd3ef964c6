"""Tests of a stochastic rounding that need no random bits, with bounds that are proven.

Every bound is Hoeffding's or Azuma's inequality, 2 exp(-z^2 / 2), which holds for any number of
draws: no normal approximation. At z = 6.5 a test fails by chance with a probability of 1.4e-9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mxref.check.stochastic._data import Bools, Draws, Floats

__all__ = [
    "GROUPINGS",
    "LEGAL_PAIRS",
    "Failure",
    "all_zero",
    "chance",
    "grouped",
    "means",
    "one_number",
    "one_way",
    "sameness",
    "shared",
]

_Z = 6.5

_Z_LAGS = 8.5  # many distances are looked at; all of them together fail with less than 1e-10
_FEWEST = 64
_MOST_LAG = 1 << 14
_MIDDLE = (1 / 16, 15 / 16)  # nearer to either end few random bits may decide nothing

LEGAL_PAIRS = "OP-ELEM-STOCHASTIC"
"""PTX gives two neighbours of four the same half of a word, which is a choice and no fault."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed.

    Attributes
    ----------
    id, detail : str
        Fault of the catalogue, and which variant.
    text : str
        What was seen, one sentence.
    is_certain : bool
        Whether every draw is as the fault has it.
    off : int
        If not: how far the count that failed is from what was expected.
    """

    id: str
    detail: str
    text: str
    is_certain: bool = False
    off: int = 0


def chance(tests: int) -> float:
    """The probability that some of so many tests fails by chance, at most.

    Examples
    --------
    >>> chance(100) < 1e-6
    True
    """
    return float(tests * 2 * np.exp(-_Z * _Z / 2))


# --- always one way --------------------------------------------------------------------------


def all_zero(draws: Draws, values: Floats) -> Failure | None:
    """Nothing but zeros, although there are values that are not."""
    held = draws.is_judged & (values != 0)
    exact = held & (draws.fraction == 0)
    if not draws.is_zero.all() or not (exact.any() or held.sum() > _FEWEST):
        return None
    text = f"All {len(values):,} results are zero."
    return Failure("R3", "", text, is_certain=True)


def one_way(draws: Draws) -> Failure | None:
    """A rounding that chance does not decide: always one way, to nearest, or one number for all."""
    low, high = _MIDDLE
    drawn = draws.is_drawn & ~draws.is_outside & (draws.fraction >= low) & (draws.fraction <= high)
    fraction, up, negative = draws.fraction[drawn], draws.up[drawn], draws.negative[drawn]
    n = int(drawn.sum())
    if _log_chance(fraction, up) > -_Z * _Z / 2:
        return None
    ways = {
        "always toward zero": np.zeros(n, np.bool_),
        "always away from zero": np.ones(n, np.bool_),
        "always toward minus infinity": negative,
        "always toward plus infinity": ~negative,
    }
    for detail, expected in ways.items():
        if np.array_equal(up, expected):
            text = f"All {n:,} values between two neighbours went {detail.removeprefix('always ')}."
            return Failure("R1", detail, text, is_certain=True)
    apart = fraction != 0.5
    if np.array_equal(up[apart], fraction[apart] > 0.5):
        text = f"All {int(apart.sum()):,} values that are no ties went to the nearest neighbour."
        return Failure("R1", "to nearest, random bits unused", text, is_certain=True)
    if float(fraction[~up].max()) < float(fraction[up].min()):
        return one_number(f"All {n:,} values from one fraction on went up and all others down.")
    return None


def one_number(*seen: str) -> Failure:
    """All elements of a call are rounded by the same random number."""
    return Failure("R2", "one random number for all elements", " ".join(seen), is_certain=True)


def _log_chance(fraction: Floats, up: Bools) -> float:
    """The logarithm of the probability of just these draws, if chance decided."""
    return float(np.log(np.where(up, fraction, 1 - fraction)).sum())


# --- how often -------------------------------------------------------------------------------


_WEIGHTS: Mapping[str, Callable[[Floats], Floats]] = {
    "random bits one place too low": lambda f: np.maximum(0.0, 2 * f - 1),
    "the rest one place too high": lambda f: np.minimum(1.0, 2 * f),
    "the two neighbours exchanged": lambda f: 1 - f,
    "each neighbour half of the time": lambda f: np.full_like(f, 0.5),
}


def means(draws: Draws, bits: int) -> tuple[Failure | None, int]:
    """Whether the neighbour above comes out as often as it should; and how many tests that were.

    Parameters
    ----------
    draws : Draws
    bits : int
        So many random bits may decide: the probability may be 2^-bits off.

    Notes
    -----
    Ties and each quarter of the way have tests of their own, for both signs: random bits that stand
    one place off may be right on average over all fractions.
    """
    found, made = _weighed(draws, draws.fraction, bits)
    if found is None:
        return None, made
    failed, off = found
    for detail, weight in _WEIGHTS.items():
        if _weighed(draws, weight(draws.fraction), bits)[0] is None:
            text = f"{failed} All of it fits another weight: {detail}."
            return Failure("R1", detail, text, off=off), made
    return Failure("R1", "with the wrong weight", failed, off=off), made


def _weighed(draws: Draws, weight: Floats, bits: int) -> tuple[tuple[str, int] | None, int]:
    """The first failure if the neighbour above has this probability, how far off, how many tests.

    None in place of a failure that is none.
    """
    drawn = draws.is_drawn & ~draws.is_outside
    at, made = draws.fraction, 0
    first: tuple[str, int] | None = None
    ranges = [(0.0, 0.25), (0.25, 0.5), (0.5, 0.5), (0.5, 0.75), (0.75, 1.0), (0.0, 1.0)]
    for low, high in ranges:
        within = (at == low) if low == high else (at >= low) & (at <= high) & (at != 0.5)
        for sign in (False, True):
            cell = drawn & within & (draws.negative == sign)
            n = int(cell.sum())
            if not n:
                continue
            made += 1
            most = _Z * float(np.sqrt(n)) / 2 + n * 2.0**-bits
            seen, expected = int(draws.up[cell].sum()), float(weight[cell].sum())
            if first is None and abs(seen - expected) > most:
                where = "ties" if low == high else f"values {low:g} to {high:g} of the way up"
                text = (
                    f"Of {n:,} {'negative' if sign else 'positive'} {where}, {seen:,} went up; "
                    f"expected were {expected:,.0f}, at most {most:,.0f} more or less."
                )
                first = text, round(abs(seen - expected))
    return first, made


# --- whether draws depend on each other -------------------------------------------------------


def shared(draws: Draws) -> Failure | None:
    """Draws at some distance that depend on each other; the distance at which they do most."""
    drawn = draws.is_drawn & ~draws.is_outside
    n = int(drawn.sum())
    if n < _FEWEST:
        return None
    rest = np.where(drawn, draws.up - draws.fraction, 0.0)
    size = 1 << (2 * len(rest) - 1).bit_length()
    spectrum = np.fft.rfft(rest, size)
    sums = np.fft.irfft(np.abs(spectrum) ** 2, size)[: min(_MOST_LAG, len(rest))]
    # Each product is at most 1, and its mean is 0 whatever the other draw was.
    sums[0] = 0.0
    lag = int(np.abs(sums).argmax())
    if abs(sums[lag]) <= _Z_LAGS * np.sqrt(n):
        return None
    if lag == 1 and _shares_in_pairs(draws, drawn):
        text = "The elements 2i and 2i + 1 share their random bits, and no others do."
        return Failure(LEGAL_PAIRS, "neighbours share random bits in pairs", text, is_certain=True)
    alike = drawn[:-lag] & drawn[lag:] & (draws.fraction[:-lag] == draws.fraction[lag:])
    same = draws.up[:-lag] == draws.up[lag:]
    share = float(same[alike].mean()) if alike.any() else 0.0
    text = f"Of elements at a distance of {lag:,}, {100 * share:.0f} % of equal ones agree."
    detail = f"elements at a distance of {lag:,} share random bits"
    return Failure("R2", detail, text, is_certain=share == 1, off=round(abs(float(sums[lag]))))


def grouped(draws: Draws) -> Failure | None:
    """One random number for each group of neighbours: the largest such group.

    Under one number the draws of a group go up from some fraction on, and down below it. Chance
    alone does that to two neighbours with a probability that follows from their fractions, and
    pairs that have nothing in common are independent.
    """
    usable = draws.is_drawn & ~draws.is_outside
    if int(usable.sum()) < _FEWEST:
        return None
    for upward in (False, True):  # the fraction of the magnitude, or of the signed number
        turned = draws.negative & upward
        fraction = np.where(turned, 1 - draws.fraction, draws.fraction)
        up = draws.up ^ turned
        for size in _GROUPS[::-1]:
            if size <= len(fraction) and _is_one_number(fraction, up, usable, size):
                what = "a warp, or a block" if size == _WARP else "a vector, a row or a block"
                text = (
                    f"In each group of {size:,} neighbours one random number explains every draw: "
                    f"{what} draws once for all."
                )
                detail = f"one random number for each {size:,} neighbours"
                return Failure("R2", detail, text, is_certain=True)
    return None


_WARP = 32
# Fewer have tests of their own: pairs may be a choice.
_GROUPS = tuple(sorted({m << n for m in (1, 3) for n in range(17)} - {1, 2}))
GROUPINGS = 2 * len(_GROUPS)
"""How many tests `grouped` makes at most."""


def _is_one_number(fraction: Floats, up: Bools, usable: Bools, size: int) -> bool:
    """Whether in every group of neighbours all above some fraction went up, and no others."""
    starts = np.arange(0, len(fraction), size)
    least_up = np.minimum.reduceat(np.where(usable & up, fraction, 2.0), starts)
    most_down = np.maximum.reduceat(np.where(usable & ~up, fraction, -1.0), starts)
    if (most_down >= least_up).any():
        return False
    # Pairs within a group, each draw in one of them; a last, smaller group is left out.
    stop = len(fraction) // size * size
    even = np.arange(0, stop - 1, 2)
    even = even[even % size != size - 1]
    even = even[usable[even] & usable[even + 1]]
    low, high = np.minimum(*(pair := (fraction[even], fraction[even + 1]))), np.maximum(*pair)
    contrary = np.where(low == high, 2 * low * (1 - low), low * (1 - high))
    return float(np.log1p(-contrary).sum()) < -_Z * _Z / 2


def _shares_in_pairs(draws: Draws, drawn: Bools) -> bool:
    alike = drawn[:-1] & drawn[1:] & (draws.fraction[:-1] == draws.fraction[1:])
    alike &= draws.fraction[:-1] == 0.5
    same = draws.up[:-1] == draws.up[1:]
    even, odd = (alike & (np.arange(len(same)) % 2 == place) for place in (0, 1))
    if not even.any() or not odd.any() or not same[even].all():
        return False
    n = int(odd.sum())
    return abs(float(same[odd].sum()) - n / 2) <= _Z * float(np.sqrt(n)) / 2


def sameness(first: Draws, second: Draws) -> Failure | None:
    """Two calls on the same input: chance gives other results."""
    drawn = first.is_drawn & second.is_drawn
    fraction = first.fraction[drawn]
    log_same = float(np.log(fraction**2 + (1 - fraction) ** 2).sum())
    if log_same > -_Z * _Z / 2 or not np.array_equal(first.up[drawn], second.up[drawn]):
        return None
    text = f"Two calls on the same {int(drawn.sum()):,} values gave the same results."
    return Failure("R2", "the same random bits in every call", text, is_certain=True)
