"""The random bits of a stochastic rounding: how many, and which serve which element.

The definition draws nothing. Whoever calls hands in the bits, so that a stochastic result is as
reproducible as any other. OP-ELEM-STOCHASTIC: ``policy.stochastic`` says how bits are shared,
``policy.stochastic_bits`` how many there are where each rounding has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from mxref._choices import Rounding, Stochastic
from mxref.exact.number import as_code
from mxref.formats import ElementFormat, element_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from mxref.policy import Policy

__all__ = ["GROUP", "STOCHASTIC", "Draw", "count", "draw", "of_place"]

STOCHASTIC = frozenset((Rounding.STOCHASTIC_A, Rounding.STOCHASTIC_B, Rounding.STOCHASTIC_C))
"""The modes that need random bits."""

GROUP = 4
"""How many neighbours share one word of 32 bits, where ``policy.stochastic`` makes them share."""


class Draw(NamedTuple):
    """What one stochastic rounding is given: the number R, of N random bits.

    Examples
    --------
    >>> Draw(value=3, bits=8)
    Draw(value=3, bits=8)
    """

    value: int
    bits: int


def count(element: str | ElementFormat, policy: Policy | str | None = None) -> int:
    """Return N, the number of random bits for one rounding of an element.

    Parameters
    ----------
    element : str or ElementFormat
        Such as ``"e4m3"``.
    policy : Policy, str or None
        Uses ``stochastic`` and ``stochastic_bits``; default ``ocp``.

    Raises
    ------
    ValueError
        If there is no such format or policy.

    Notes
    -----
    OP-ELEM-STOCHASTIC. PTX has no conversion to INT8 of this kind; here INT8 shares as FP8 does.

    Examples
    --------
    >>> [count(name, "ocp:stochastic=ptx-x4") for name in ("e4m3", "e2m3", "e2m1")]
    [16, 16, 8]
    """
    fmt, chosen = element_format(element), get_policy(policy)
    match chosen.stochastic:
        case Stochastic.PER_ELEMENT:
            return int(chosen.stochastic_bits.value)
        case Stochastic.PTX_X4:
            return 8 if fmt.bits == 4 else 16
        case Stochastic.TE_X4:
            return 8
        case _:
            assert_never(chosen.stochastic)


def of_place(
    word: int, place: int, element: str | ElementFormat, policy: Policy | str | None = None
) -> int:
    """Return R for one of the four neighbours that share a word of 32 random bits.

    Parameters
    ----------
    word : int
        The 32 bits.
    place : int
        0 to 3: which of the four, in the order of the array.
    element : str or ElementFormat
        Such as ``"e2m1"``.
    policy : Policy, str or None
        Uses ``stochastic``, which must be ``ptx-x4`` or ``te-x4``.

    Raises
    ------
    TypeError
        If `word` is no integer.
    ValueError
        If there is no such format or policy; if `word` or `place` is out of range; if the policy
        gives each element bits of its own.

    Notes
    -----
    OP-ELEM-STOCHASTIC. PTX says which half of the word serves which pair, and for FP4 that the
    low bytes of the halves serve one pair and the high bytes the other. Which byte of a pair is
    whose it leaves out: here the lower half serves the earlier element [unverified]. The software
    path of TE takes the bytes in order, and so differs in elements 1 and 2.

    Examples
    --------
    >>> [hex(of_place(0x44332211, i, "e2m1", "ocp:stochastic=ptx-x4")) for i in range(4)]
    ['0x11', '0x33', '0x22', '0x44']
    >>> [hex(of_place(0x44332211, i, "e2m1", "ocp:stochastic=te-x4")) for i in range(4)]
    ['0x11', '0x22', '0x33', '0x44']
    >>> [hex(of_place(0x44332211, i, "e4m3", "ocp:stochastic=ptx-x4")) for i in range(4)]
    ['0x2211', '0x2211', '0x4433', '0x4433']
    """
    fmt, chosen = element_format(element), get_policy(policy)
    word = as_code(word, 32, "word of random bits")
    if place not in range(GROUP):
        raise ValueError(f"four elements share a word: place is 0 to 3, got {place!r}")
    lower_half, upper_half = word & 0xFFFF, word >> 16
    match chosen.stochastic:
        case Stochastic.PER_ELEMENT:
            raise ValueError(
                "stochastic=per-element gives each element a number of its own; no word is "
                "shared, choose ptx-x4 or te-x4"
            )
        case Stochastic.PTX_X4 if count(fmt, chosen) == 16:
            return (lower_half, lower_half, upper_half, upper_half)[place]
        case Stochastic.PTX_X4:
            return (lower_half & 0xFF, upper_half & 0xFF, lower_half >> 8, upper_half >> 8)[place]
        case Stochastic.TE_X4:
            return word >> (8 * place) & 0xFF
        case _:
            assert_never(chosen.stochastic)


def draw(random: int | None, bits: int, what: str) -> Draw:
    """Return R with its width, if `random` is a number of that many bits.

    Raises
    ------
    TypeError
        If it is neither None nor an integer.
    ValueError
        If it is None, although `what` needs it, or is out of range.

    Examples
    --------
    >>> draw(None, 16, "rounding=stochastic-a")
    Traceback (most recent call last):
        ...
    ValueError: rounding=stochastic-a needs random bits: hand in a number of 16 bits as random
    """
    if random is None:
        raise ValueError(f"{what} needs random bits: hand in a number of {bits} bits as random")
    return Draw(as_code(random, bits, f"random bits of {what}"), bits)
