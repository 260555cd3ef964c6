"""Where a scale rule steps: which amax lead to the same scale, and how far the next step is.

The rules of `mxref.exact.rules` step at one significand in each binade. Where float32 arithmetic
takes part, the steps lie where they happen to fall, and are searched for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from mxref._choices import ScaleRule
from mxref.exact import ieee, rules
from mxref.exact.number import Number, power_of_two, quantum
from mxref.formats import SCALE_FORMATS, ElementFormat
from mxref.policy import Policy
from mxref.show._explain_step import Step
from mxref.show._facts import rounding_interval
from mxref.show._text import decimal, powers

__all__ = ["Reach", "reach", "reach_step", "searched_reach", "threshold"]

_NEAR = 32  # steps of the input's type that are worth counting
_ROOT_BITS = 200  # of an approximation of the square root of two
_BINADES = 2 << 23  # float32 bit patterns in two binades
_LARGEST = 0x7F7F_FFFF
_LEAST = 0x0080_0000


def threshold(rule: ScaleRule, fmt: ElementFormat) -> tuple[Fraction | None, bool]:
    """Return where a rule steps: the significand of amax, and whether that one itself is beyond.

    None where the step is no rational number (the square root of two) or there is none. Beyond it
    the exponent of the scale is one larger than the recipe's, E - emax.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> threshold(ScaleRule.EVEN, ELEMENT_FORMATS["e2m1"])
    (Fraction(7, 4), True)
    """
    full = power_of_two(fmt.emax)
    match rule:
        case ScaleRule.CEIL:
            return Fraction(1), False
        case ScaleRule.RCEIL:
            return fmt.max / full, False
        case ScaleRule.EVEN | ScaleRule.EVEN_DOWN:
            return 2 - power_of_two(-fmt.mantissa_bits - 1), rule is ScaleRule.EVEN
        case ScaleRule.TOSA:
            largest = rounding_interval(fmt.max_magnitude, fmt)
            assert largest is not None  # noqa: S101 - the largest finite value has an interval
            assert largest.high is not None  # noqa: S101 - and it ends before overflow
            return largest.high / full, not largest.high_closed
        case _:
            return None, False


@dataclass(frozen=True, slots=True)
class Reach:
    """The amax that lead to one exponent of the scale.

    Attributes
    ----------
    low, high : Fraction
        The ends; of the square root of two an approximation.
    low_closed, high_closed : bool
        Whether they belong to it.
    is_exact : bool
        Whether the ends are no approximations.
    of : str
        Of which type the numbers are, where only those were looked at.
    """

    low: Fraction
    high: Fraction
    low_closed: bool = True
    high_closed: bool = False
    is_exact: bool = True
    of: str = ""

    def __contains__(self, amax: Fraction) -> bool:
        above = amax > self.low or (self.low_closed and amax == self.low)
        return above and (amax < self.high or (self.high_closed and amax == self.high))

    def __str__(self) -> str:
        low, high = _end(self.low), _end(self.high)
        brackets = "[" if self.low_closed else "(", "]" if self.high_closed else ")"
        return f"{brackets[0]}{low}, {high}{brackets[1]}{f' of {self.of}' if self.of else ''}"


def _end(value: Fraction) -> str:
    text = decimal(value, 9, 9)
    if not text.startswith("~") or "e" not in text:
        return text
    exact = powers(value).removeprefix("+")
    return exact if len(exact) <= len("~1.23456789e-10") else text


def reach(rule: ScaleRule, fmt: ElementFormat, exponent: int) -> Reach | None:
    """Return which amax a rule gives an exponent, by its definition; None if others take part.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> str(reach(ScaleRule.EVEN, ELEMENT_FORMATS["e2m1"], -2))
    '[0.875, 1.75)'
    """
    E = exponent + fmt.emax
    match rule:
        case ScaleRule.FLOOR:
            return Reach(power_of_two(E), power_of_two(E + 1))
        case ScaleRule.PLUS_ONE:
            return Reach(power_of_two(E - 1), power_of_two(E))
        case ScaleRule.NEAREST_LOG:
            return Reach(_root(E - 1), _root(E), is_exact=False)
        case ScaleRule.P3109:
            middle = Fraction(3, 2) * power_of_two(exponent)
            is_even = (exponent + SCALE_FORMATS["e8m0"].bias) % 2 == 0  # the code decides a tie
            return Reach(middle / 2, middle, is_even, is_even)
        case ScaleRule.STOCHASTIC | ScaleRule.MSE | ScaleRule.MAE:
            return None
        case _:
            at, inclusive = threshold(rule, fmt)
            assert at is not None  # noqa: S101 - the other rules step at a rational number
            high = at * power_of_two(E)
            return Reach(high / 2, high, inclusive, not inclusive)


def _root(exponent: int) -> Fraction:
    """The square root of two times a power of two, far more exactly than anybody prints."""
    return Fraction(math.isqrt(2 << (2 * _ROOT_BITS)), 1 << _ROOT_BITS) * power_of_two(exponent)


def searched_reach(amax: Fraction, fmt: ElementFormat, policy: Policy) -> Reach | None:
    """Return which float32 amax lead to the same exponent, by trying; None out of the range.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> policy = Policy(scale_rule="rceil", scale_quotient="reciprocal")
    >>> str(searched_reach(Fraction(6), ELEMENT_FORMATS["e2m1"], policy))
    '[~3.00000024, 6] of float32'
    """
    number = Number.finite(amax)
    bits = ieee.to_bits(number, "float32")
    if ieee.from_bits(bits, "float32") != number or not _LEAST <= bits <= _LARGEST:
        return None

    def found(pattern: int) -> int | None:
        value = ieee.from_bits(pattern, "float32").value
        v = rules.operand(value, fmt, policy.scale_rule, policy)
        return rules.exponent(v, fmt, policy.scale_rule, policy) if v else None

    own = found(bits)
    low = _edge(bits, max(_LEAST, bits - _BINADES), lambda b: found(b) == own)
    high = _edge(bits, min(_LARGEST, bits + _BINADES), lambda b: found(b) == own)
    first, last = (ieee.from_bits(pattern, "float32").value for pattern in (low, high))
    return Reach(first, last, high_closed=True, of="float32")


def _edge(inside: int, outside: int, belongs: Callable[[int], bool]) -> int:
    """The last pattern that belongs, between one that does and one that need not."""
    if belongs(outside):
        return outside
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if belongs(middle):
            inside = middle
        else:
            outside = middle
    return inside


def reach_step(amax: Fraction, exponent: int, found: Reach, source: str) -> Step:
    """Say which amax lead to the same exponent, and how far the nearest end is."""
    is_low = amax - found.low <= found.high - amax
    end = found.low if is_low else found.high
    distance = abs(amax - end)
    if distance:
        percent = f"{decimal(distance / amax * 100, 6, 3)} %"
        where = f"the {'lower' if is_low else 'upper'} end is {percent} away"
        where += _count(amax, end, found.of or source)
    else:
        where = f"amax lies on the {'lower' if is_low else 'upper'} end"
    data = {
        "low": str(found.low),
        "high": str(found.high),
        "low_closed": found.low_closed,
        "high_closed": found.high_closed,
        "exact": found.is_exact,
        "distance": str(distance) if found.is_exact else decimal(distance),
    }
    scale = SCALE_FORMATS["e8m0"]
    is_scale = scale.emin <= exponent <= scale.emax
    what = f"2^{exponent} serves" if is_scale else f"exponent {exponent} for"
    text = f"{what} amax in {found}; {where}"
    return Step("threshold", text, ("OP-SCALE-RULE",), data)


def _count(amax: Fraction, end: Fraction, source: str) -> str:
    """How many numbers of the input's type further the end lies, where they are few."""
    fmt = ieee.IEEE_FORMATS[source]
    step = quantum(amax, fmt.mantissa_bits, 1 - fmt.bias)
    count = math.ceil(abs(end - amax) / step)
    if count > _NEAR:
        return ""
    return f", {count} step{'s' if count != 1 else ''} of {source}"
