"""Every scale rule that has a name, as the places where it steps, computed from its definition.

A rule is a function of amax, by the exact definition or, for a rule that only faults follow, by its
formula over fractions. Where it steps within a binade is bisected from that function; no threshold
is typed in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from mxref._choices import ScaleRule
from mxref.exact import ieee
from mxref.exact.number import floor_log2
from mxref.exact.rules import rule_exponent
from mxref.formats import BLOCK_FORMATS, SCALE_FORMATS, ElementFormat, pow2
from mxref.policy import Policy
from mxref.profiles import PROFILES

__all__ = ["ONE", "Pattern", "Rule", "pattern_of", "plain_rules", "profiles_with", "variant_rules"]

ONE = 0x3F80_0000
"""The bits of 1; those below 2 follow, one for each significand."""

_TWO = 0x4000_0000
_BIAS = SCALE_FORMATS["e8m0"].bias
_NOT_OF_AMAX = {ScaleRule.STOCHASTIC, ScaleRule.MSE, ScaleRule.MAE}
_FOLLOW_LOG2 = ("floor", "ceil", "rceil", "nearest-log", "plus-one")

Pattern = tuple[tuple[int, int], ...]
"""(bits of the significand from which, steps above OCP's FLOOR), the first from 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A scale rule with a name.

    Attributes
    ----------
    name : str
        A choice of ``scale_rule``, or the id of a fault.
    text : str
        What it does.
    changes : tuple of (str, str)
        Policy fields that say the same; empty for a fault.
    exponent : callable
        Exponent of the scale for an amax in an element format.
    """

    name: str
    text: str
    changes: tuple[tuple[str, str], ...]
    exponent: Callable[[Fraction, ElementFormat], int]

    @functools.cache  # noqa: B019  # rules live as long as the process
    def pattern(self, element: ElementFormat, exponent: int) -> Pattern:
        """Where it steps as amax goes through the binade of 2**exponent.

        Empty where amax leaves the range of the type that holds it.
        """
        if ("scale_amax", "float16") in self.changes and not -14 <= exponent <= 14:
            return ()

        def offset(bits: int) -> int:
            amax = Fraction(bits - ONE + (1 << 23), 1 << 23) * pow2(exponent)
            return self.exponent(amax, element) - (exponent - element.emax)

        return pattern_of(offset)


def pattern_of(offset: Callable[[int], int]) -> Pattern:
    """Follow a function that never falls from 1 to 2, one value for each significand.

    Examples
    --------
    >>> [(hex(start), steps) for start, steps in pattern_of(lambda bits: int(bits > 0x3FC00000))]
    [('0x3f800000', 0), ('0x3fc00001', 1)]
    """
    first, last = offset(ONE), offset(_TWO - 1)
    return ((ONE, first), *_steps(offset, ONE, first, _TWO - 1, last))


def _steps(
    offset: Callable[[int], int], low: int, below: int, high: int, above: int
) -> Iterator[tuple[int, int]]:
    if below == above:
        return
    if high == low + 1:
        yield high, above
        return
    middle = (low + high) // 2
    between = offset(middle)
    yield from _steps(offset, low, below, middle, between)
    yield from _steps(offset, middle, between, high, above)


# --- choices ----------------------------------------------------------------------------------


def _by_definition(rule: ScaleRule, policy: Policy) -> Callable[[Fraction, ElementFormat], int]:
    def exponent(amax: Fraction, element: ElementFormat) -> int:
        held = amax
        if policy.scale_amax != "source":
            held = ieee.round_magnitude(amax, policy.scale_amax.value)
        return rule_exponent(held, element, rule, policy=policy)

    return exponent


def _choice(rule: ScaleRule, text: str, **fields: str) -> Rule:
    policy = Policy(scale_rule=rule).replace(**fields)
    name = ",".join([rule.value, *(f"{field}={value}" for field, value in fields.items())])
    changes = (("scale_rule", rule.value), *fields.items())
    return Rule(name, text, changes, _by_definition(rule, policy))


# --- formulas that only faults follow -----------------------------------------------------------


def _linear(value: Fraction) -> int:
    """Exponent of the nearest power of two, a tie going up."""
    floor = floor_log2(value)
    return floor + (2 * value >= 3 * pow2(floor))


def _parity(amax: Fraction) -> int:
    """Likewise, a tie deciding by the last bit of the exponent, an even code going up."""
    floor = floor_log2(amax)
    twice, thrice = 2 * amax, 3 * pow2(floor)
    return floor + (twice > thrice or (twice == thrice and (floor + _BIAS) % 2 == 1))


_FAULTY: tuple[tuple[str, str, Callable[[Fraction, ElementFormat], int]], ...] = (
    ("S1", "floor(log2(amax / max))", lambda amax, f: floor_log2(amax / f.max)),
    ("S2", "the power of two nearest to amax / max", lambda amax, f: _linear(amax / f.max)),
    (
        "S3",
        "log2(amax / max) rounded to nearest",
        # floor(log2 q + 1/2) is the largest e with 2^(2e) <= 2 q^2.
        lambda amax, f: floor_log2(2 * (amax / f.max) ** 2) // 2,
    ),
    (
        "S10",
        "the power of two nearest to amax, 1.5 going up",
        lambda amax, f: _linear(amax) - f.emax,
    ),
    (
        "S9",
        "the power of two nearest to amax, 1.5 by the exponent's last bit",
        lambda amax, f: _parity(amax) - f.emax,
    ),
    (
        "S8",
        "as rceil, but max times a power of two is doubled",
        lambda amax, f: floor_log2(amax / f.max) + 1,
    ),
    ("S4", "floor without subtracting emax", lambda amax, _: floor_log2(amax)),
)


@functools.cache
def plain_rules() -> tuple[Rule, ...]:
    """The rules as their definitions have them: choices first, then faults.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> e4m3 = element_format("e4m3")
    >>> rceil = next(rule for rule in plain_rules() if rule.name == "rceil")
    >>> [(hex(start), steps) for start, steps in rceil.pattern(e4m3, 0)]
    [('0x3f800000', 0), ('0x3fe00001', 1)]
    """
    choices = [_choice(rule, rule.value) for rule in ScaleRule if rule not in _NOT_OF_AMAX]
    return (*choices, *(Rule(name, text, (), formula) for name, text, formula in _FAULTY))


@functools.cache
def variant_rules() -> tuple[Rule, ...]:
    """The rules with their arithmetic done in a narrower type, which moves a step a little."""
    found = []
    for name in _FOLLOW_LOG2:
        text = f"{name} of a float32 logarithm"
        found.append(_choice(ScaleRule(name), text, scale_log2="float32"))
    for rule in ScaleRule:
        if rule in _NOT_OF_AMAX:
            continue
        for narrow in ("bfloat16", "float16"):
            text = f"{rule.value} of amax held in {narrow}"
            found.append(_choice(rule, text, scale_amax=narrow))
    return tuple(found)


def profiles_with(rule: Rule, element: ElementFormat) -> tuple[str, ...]:
    """Name the profiles that have a rule and quantize to an element format.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> tosa = next(rule for rule in plain_rules() if rule.name == "tosa")
    >>> profiles_with(tosa, element_format("e2m1"))
    ('tosa-1.1',)
    """
    wanted = {"scale_log2": "exact", "scale_amax": "source", **dict(rule.changes)}
    if not rule.changes:
        return ()
    return tuple(
        name
        for name, profile in PROFILES.items()
        if "quantize" in profile.operations
        and any(_element_of(fmt) == element.name for fmt in profile.formats)
        and all(getattr(profile.policy, field) == value for field, value in wanted.items())
    )


def _element_of(block: str) -> str:
    return BLOCK_FORMATS[block].element.name
