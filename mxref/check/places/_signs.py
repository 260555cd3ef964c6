"""What a signature is: a sentence, what it points to, and how unlikely it is by chance.

A signature says that a share of the mismatches lies in a class that makes up a fraction of all
places. It is claimed only where that would happen by chance, mismatches being strewn at random,
with a probability below one in a million, all signatures that are tried being counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mxref.check.parts import Place

__all__ = ["LEAST", "NEARLY_ALL", "Sign", "choices", "is_telling", "listed", "telling"]

LEAST = 8
"""Fewer mismatches than that show no pattern."""
NEARLY_ALL = 0.99
"""Share of the mismatches to which a signature must apply."""
_BY_CHANCE = 1e-6
_TRIED = 1e4  # signatures among which the telling one was found


@dataclass(frozen=True, slots=True)
class Sign:
    """A signature that was found.

    Attributes
    ----------
    telling : float
        How much smaller its class is than all places, in bits; the higher the more it says.
    place : Place
    """

    telling: float
    place: Place


def telling(share: float, fraction: float) -> float:
    """Bits that a mismatch says by lying in a class: the divergence of share from fraction.

    Examples
    --------
    >>> telling(1.0, 1 / 32)
    5.0
    >>> telling(0.2, 0.5)
    0.0
    """
    if share <= fraction or fraction <= 0:
        return 0.0
    rest = 0.0 if share == 1 else (1 - share) * math.log2((1 - share) / (1 - fraction))
    return share * math.log2(share / fraction) + rest


def choices(members: Sequence[int] | NDArray[np.intp], length: int) -> float:
    """Bits that it takes to name a set of places, by its runs or one by one.

    A set that was chosen after the fact says less by as much as it takes to name it.

    Examples
    --------
    >>> round(choices([3], 256), 3), choices(range(128), 256) < choices([1, 5, 9, 77, 78, 200], 256)
    (8.0, True)
    """
    count = len(members)
    singly = math.lgamma(length + 1) - math.lgamma(count + 1) - math.lgamma(length - count + 1)
    runs = 1 + sum(int(b) != int(a) + 1 for a, b in pairwise(members))
    return min(singly / math.log(2), 2 * runs * math.log2(max(length, 2)))


def is_telling(share: float, fraction: float, units: int, named: float = 0.0) -> bool:
    """Whether a share can hardly be chance.

    Parameters
    ----------
    share : float
        Of the mismatches that lie in a class.
    fraction : float
        Of all places that lie in it.
    units : int
        Mismatches, or where they come in clusters, clusters.
    named : float
        Bits that it took to name the class, as `choices` counts them.

    Examples
    --------
    >>> is_telling(1.0, 1 / 32, 8), is_telling(1.0, 1 / 2, 8)
    (True, False)
    """
    # Chernoff: a share of n draws reaches s with a probability of at most 2^(-n D(s, f)).
    enough = math.log2(_TRIED / _BY_CHANCE)
    return units >= LEAST and units * telling(share, fraction) > enough + named


def listed(numbers: Iterable[int]) -> str:
    """Numbers in words, runs drawn together.

    Examples
    --------
    >>> listed([0, 1, 2, 5, 7, 8])
    '0 to 2, 5, 7, 8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words = [f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(words[:8]) + (", ..." if len(words) > 8 else "")
