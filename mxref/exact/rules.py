"""The rules by which the largest magnitude of a block selects the exponent of its scale.

MX-1.0/6.3/scale recommends one; MX-1.0/6.3/other-recipes lets everybody replace it, and many did.
All but two look at amax alone: first `operand` says which number a rule takes the exponent of,
then `exponent` takes it. The two that search begin with FLOOR, and the module `search` goes on.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, assert_never

from mxref._choices import (
    Rounding,
    ScaleAmax,
    ScaleLog2,
    ScaleQuotient,
    ScaleRule,
    ScaleSubnormal,
)
from mxref.exact import random_bits
from mxref.exact.codes import largest_finite
from mxref.exact.element import quantum
from mxref.exact.logarithm import log2_float32, round_to_float32
from mxref.exact.number import ceil_log2, floor_log2, power_of_two, round_to_integer
from mxref.formats import SCALE_FORMATS, ElementFormat, element_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from mxref.policy import Policy

__all__ = [
    "LEAST_NORMAL",
    "SEARCHES",
    "as_float32_bits",
    "emax_of",
    "exponent",
    "nearest_even_exponent",
    "operand",
    "rule_exponent",
    "type_of_amax",
]

LEAST_NORMAL = power_of_two(-126)
"""The least normal float32; what lies below it is subnormal there."""

SEARCHES = frozenset((ScaleRule.MSE, ScaleRule.MAE))
"""The rules that try scales out."""

_TAKE_LOG2 = frozenset(
    (
        ScaleRule.FLOOR,
        ScaleRule.CEIL,
        ScaleRule.RCEIL,
        ScaleRule.NEAREST_LOG,
        ScaleRule.PLUS_ONE,
    )
)
"""The rules that speak of a logarithm; the searches begin with the true FLOOR."""


def rule_exponent(
    amax: Fraction,
    element: str | ElementFormat,
    rule: ScaleRule,
    *,
    policy: Policy | str | None = None,
    random: int | None = None,
) -> int:
    """Return the exponent of the scale that a rule gives to a block, without bounds.

    Parameters
    ----------
    amax : fractions.Fraction
        The largest magnitude of the block, greater than 0.
    element : str or ElementFormat
        The element format.
    rule : ScaleRule
        OP-SCALE-RULE: MX-1.0/6.3/scale recommends FLOOR; ``policy.scale_rule`` chooses. The rules
        that search begin with the exponent of FLOOR.
    policy : Policy, str or None
        Uses ``scale_log2``, ``scale_quotient``, ``scale_subnormal`` and ``stochastic_bits``;
        default ``ocp``.
    random : int, optional
        R, of ``stochastic_bits`` bits, for the rule STOCHASTIC.

    Raises
    ------
    ValueError
        If `amax` is not positive or counts as zero; if there is no such format or policy; if the
        rule STOCHASTIC lacks `random`.

    Notes
    -----
    Logarithms and quotients are those of real numbers unless the policy says otherwise
    (OP-SCALE-LOG2, OP-SCALE-QUOTIENT), also for an amax that came as a subnormal
    (OP-SCALE-SUBNORMAL).

    Examples
    --------
    >>> rules = [rule for rule in ScaleRule if rule != "stochastic"]
    >>> [rule_exponent(Fraction(15, 8), "e2m1", rule) + 2 for rule in rules]
    [0, 1, 1, 1, 1, 1, 1, 1, 3, 0, 0]
    """
    fmt, chosen = element_format(element), get_policy(policy)
    v = operand(amax, fmt, rule, chosen)
    if v == 0:
        raise ValueError(
            f"an amax of {amax} counts as zero here (scale_quotient={chosen.scale_quotient}, "
            f"scale_subnormal={chosen.scale_subnormal}); scale_zero_block has the code of zeros"
        )
    return exponent(v, fmt, rule, chosen, random)


def type_of_amax(rule: ScaleRule, policy: Policy) -> str | None:
    """Return the float format to which amax is rounded before a rule looks at it, or None.

    OP-SCALE-QUOTIENT: ``policy.scale_amax`` names it. Float32 arithmetic takes a float32.

    Examples
    --------
    >>> from mxref.policy import Policy
    >>> type_of_amax(ScaleRule.FLOOR, Policy(scale_log2="float32"))
    'float32'
    """
    if policy.scale_amax is not ScaleAmax.SOURCE:
        return policy.scale_amax.value
    divides = rule is ScaleRule.RCEIL and policy.scale_quotient is not ScaleQuotient.EXACT
    return "float32" if divides or _takes_float32_log2(rule, policy) else None


def _takes_float32_log2(rule: ScaleRule, policy: Policy) -> bool:
    return policy.scale_log2 is ScaleLog2.FLOAT32 and rule in _TAKE_LOG2


def operand(amax: Fraction, element: ElementFormat, rule: ScaleRule, policy: Policy) -> Fraction:
    """Return the number that a rule takes the exponent of; 0 if it counts as zero.

    It is amax itself, and for RCEIL amax / max, exactly or as float32 arithmetic gives it
    (OP-SCALE-QUOTIENT). OP-SCALE-SUBNORMAL: below 2**-126 an implementation may read fields that
    mean something else there; ``policy.scale_subnormal`` chooses.

    Raises
    ------
    ValueError
        If `amax` is not positive.

    Examples
    --------
    >>> from mxref.policy import Policy
    >>> e2m1 = element_format("e2m1")
    >>> operand(Fraction(3), e2m1, ScaleRule.RCEIL, Policy())
    Fraction(1, 2)
    >>> operand(power_of_two(-149), e2m1, ScaleRule.RCEIL, Policy(scale_quotient="float32"))
    Fraction(0, 1)
    """
    if amax <= 0:
        raise ValueError(f"a rule needs a positive amax, got {amax}")
    takes_log2 = _takes_float32_log2(rule, policy)
    v = _quotient(amax, element, policy) if rule is ScaleRule.RCEIL else amax
    if v >= LEAST_NORMAL or v == 0:
        return v
    match policy.scale_subnormal:
        case ScaleSubnormal.TRUE:
            return v
        case ScaleSubnormal.BITS:
            return v if takes_log2 else as_float32_bits(v)  # a logarithm reads no fields
        case ScaleSubnormal.FLUSH:
            return Fraction(0)
        case _:
            assert_never(policy.scale_subnormal)


def as_float32_bits(subnormal: Fraction) -> Fraction:
    """Return what the fields of a float32 subnormal say if one takes it for a normal number.

    The exponent field 0 then means 2**-127, and the mantissa counts from 1: for x it is
    ``2**-127 * (1 + x / 2**-126)``.

    Examples
    --------
    >>> as_float32_bits(power_of_two(-127)) / power_of_two(-127)
    Fraction(3, 2)
    """
    return power_of_two(-127) * (1 + subnormal / LEAST_NORMAL)


def _quotient(amax: Fraction, element: ElementFormat, policy: Policy) -> Fraction:
    """Amax / max, as OP-SCALE-QUOTIENT has it."""
    largest = largest_finite(element)
    match policy.scale_quotient:
        case ScaleQuotient.EXACT:
            exact = amax / largest
            takes_log2 = _takes_float32_log2(ScaleRule.RCEIL, policy)
            return round_to_float32(exact) if takes_log2 else exact
        case ScaleQuotient.FLOAT32:
            return round_to_float32(amax / largest)
        case ScaleQuotient.RECIPROCAL:
            return round_to_float32(amax * round_to_float32(1 / largest))
        case _:
            assert_never(policy.scale_quotient)


def exponent(
    v: Fraction, element: ElementFormat, rule: ScaleRule, policy: Policy, random: int | None = None
) -> int:
    """Return the exponent that a rule gives for its `operand` v, greater than 0.

    Raises
    ------
    ValueError
        If the rule STOCHASTIC lacks `random`, or it is out of range.

    Examples
    --------
    >>> from mxref.policy import Policy
    >>> e2m1 = element_format("e2m1")
    >>> exponent(Fraction(7), e2m1, ScaleRule.EVEN, Policy())
    1
    """
    rule = ScaleRule(rule)
    if _takes_float32_log2(rule, policy):
        return _from_float32_log2(v, element, rule)
    emax, floor = emax_of(element), floor_log2(v)
    match rule:
        case ScaleRule.FLOOR | ScaleRule.MSE | ScaleRule.MAE:
            # The largest power of two <= amax, over the largest power of two of the format.
            return floor - emax
        case ScaleRule.CEIL:
            return ceil_log2(v) - emax
        case ScaleRule.RCEIL:
            # The least X with amax / X <= max; v is amax / max.
            return ceil_log2(v)
        case ScaleRule.EVEN | ScaleRule.EVEN_DOWN:
            # FLOOR of amax rounded to as many mantissa bits as the element has.
            ties = Rounding.NEAREST_AWAY if rule is ScaleRule.EVEN else Rounding.NEAREST_DOWN
            step = power_of_two(floor - element.mantissa_bits)
            return floor_log2(round_to_integer(v / step, 0, ties) * step) - emax
        case ScaleRule.TOSA:
            return _tosa(v, element)
        case ScaleRule.NEAREST_LOG:
            # floor(log2(amax) + 1/2): the largest e with 2^e <= amax * sqrt(2), in which both
            # sides are squared: 2^(2e) <= 2 * amax^2.
            return floor_log2(2 * v * v) // 2 - emax
        case ScaleRule.PLUS_ONE:
            return floor - emax + 1
        case ScaleRule.P3109:
            return nearest_even_exponent(v, SCALE_FORMATS["e8m0"].bias)
        case ScaleRule.STOCHASTIC:
            bits = int(policy.stochastic_bits.value)
            draw = random_bits.draw(random, bits, "scale_rule=stochastic")
            fraction = v / power_of_two(floor) - 1
            return floor - emax + round_to_integer(fraction, 0, Rounding.STOCHASTIC_A, draw)
        case _:
            assert_never(rule)


def _from_float32_log2(v: Fraction, element: ElementFormat, rule: ScaleRule) -> int:
    """The rules that speak of a logarithm, with one rounded to float32 (OP-SCALE-LOG2)."""
    log2, emax = log2_float32(v), emax_of(element)
    if rule is ScaleRule.CEIL:
        return math.ceil(log2) - emax
    if rule is ScaleRule.RCEIL:
        return math.ceil(log2)
    if rule is ScaleRule.NEAREST_LOG:
        return math.floor(round_to_float32(log2 + Fraction(1, 2))) - emax
    return math.floor(log2) - emax + (rule is ScaleRule.PLUS_ONE)


def _tosa(amax: Fraction, element: ElementFormat) -> int:
    """The exponent of the least X with amax / X rounding to no more than max."""
    # FLOOR is where to begin: at half its X, amax / X is 2^(emax + 1) at least, which no format
    # has.
    exponent = floor_log2(amax) - emax_of(element)
    while _rounded_to_nearest(amax / power_of_two(exponent), element) > largest_finite(element):
        exponent += 1
    return exponent


def _rounded_to_nearest(magnitude: Fraction, fmt: ElementFormat) -> Fraction:
    step = quantum(magnitude, fmt)
    return round_to_integer(magnitude / step, 0, Rounding.NEAREST_EVEN) * step


def nearest_even_exponent(value: Fraction, bias: int) -> int:
    """Return the exponent of the nearest power of two; a tie goes to the even code.

    A scale format has no mantissa, so the code, the exponent plus `bias`, decides a tie: between
    the neighbours e and e + 1 the one that makes it even (IEEE P3109 4.0, section 4.7.4,
    NearestTiesToEven at precision 1).

    Examples
    --------
    >>> [nearest_even_exponent(Fraction(n), 127) for n in (3, 5, 6, 7)]
    [1, 2, 3, 3]
    """
    floor = floor_log2(value)
    middle = power_of_two(floor) * Fraction(3, 2)
    is_odd = (floor + bias) % 2 == 1
    return floor + (value > middle or (value == middle and is_odd))


@functools.cache
def emax_of(element: ElementFormat) -> int:
    """Return the exponent of the largest power of two of the format, remembered.

    Examples
    --------
    >>> emax_of(element_format("e4m3"))
    8
    """
    return element.emax
