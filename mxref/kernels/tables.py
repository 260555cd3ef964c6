"""Scale selection as a function of amax alone, and its table: two steps a binade at most.

A scale rule takes the exponent of amax, or of a quotient, one up from some significand on. What
policies add to that (amax held in a narrow type, a rounded quotient, a rounded logarithm, other
readings of subnormals, wrapping) keeps the shape: within one binade of amax there are two scale
codes and one threshold between them, or three where a quotient is counted in few units of the
least float32. So every such policy is a table over the exponent of amax, which the lane program
``look_up_scale`` reads; here the tables are computed, for all exponents at once, in NumPy
integers. Where amax is too large for the type that holds it is one more threshold, `over_word`.

OP-SCALE-RULE, OP-SCALE-LOG2, OP-SCALE-QUOTIENT, OP-SCALE-SUBNORMAL, OP-SCALE-RANGE, OP-E8M0-CAST.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _choices as choice
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.kernels._integers import bit_length, nearest_quotient, round_even, to_float32
from mxref.policy import Policy

__all__ = ["FLUSH", "AmaxSelection", "cast_codes", "steps", "threshold", "type_limits"]

Ints = NDArray[np.int64]

FLUSH = 0x100
"""Added to a scale code whose block becomes zeros."""

_ZERO = -(1 << 20)  # no exponent, but below them all, so that a binade stays monotonic
# Where amax becomes an infinity on the way, and the policy has a code for infinities.
_OF_INFINITY = {
    choice.ScaleInf.NAN_SCALE: 0xFF,
    choice.ScaleInf.SATURATE: 0xFE,
    choice.ScaleInf.FLUSH_BLOCK: FLUSH,
}
_GUARD = 2  # bits below the source's own, so that what a shift loses can be told from nothing
_LOG_RULES = frozenset(
    {
        choice.ScaleRule.FLOOR,
        choice.ScaleRule.CEIL,
        choice.ScaleRule.RCEIL,
        choice.ScaleRule.PLUS_ONE,
        choice.ScaleRule.NEAREST_LOG,
    }
)
_LIMITS = {"float32": (23, -126, 127), "bfloat16": (7, -126, 127), "float16": (10, -14, 15)}
_LIMITS["float64"] = (52, -1022, 1023)


def type_limits(name: str) -> tuple[int, int, int]:
    """Return mantissa bits, emin and emax of a float type."""
    return _LIMITS[name]


def threshold(rule: choice.ScaleRule, element: ElementFormat, mantissa_bits: int) -> int:
    """Return the significand field of amax from which a scale rule goes one exponent up.

    Every power-of-two rule has the form ``exponent - emax + [field >= threshold]``; the values
    are those of the table in section 7 of the semantics reference, derived here. The rules that
    search or draw begin with FLOOR.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> hex(threshold(choice.ScaleRule.RCEIL, ELEMENT_FORMATS["e2m1"], 23))  # strictly above 1.5
    '0x400001'
    """
    one = 1 << mantissa_bits
    room = mantissa_bits - element.mantissa_bits
    top = element.max_magnitude & ((1 << element.mantissa_bits) - 1)  # mantissa field of max
    match rule:
        case choice.ScaleRule.PLUS_ONE:
            return 0  # always
        case choice.ScaleRule.CEIL:
            return 1
        case choice.ScaleRule.RCEIL:
            return (top << room) + 1
        case choice.ScaleRule.EVEN:
            return one - (1 << (room - 1))
        case choice.ScaleRule.EVEN_DOWN:
            return one - (1 << (room - 1)) + 1
        case choice.ScaleRule.TOSA:
            # Half an ulp beyond max rounds to even: back to max where its last bit is 0.
            tie_stays = top & 1 == 0
            return ((2 * top + 1) << (room - 1)) + tie_stays
        case choice.ScaleRule.NEAREST_LOG:
            return math.isqrt(2 * one * one) - one + 1  # sqrt(2) is no binary fraction
        case _:
            return one  # never


def steps(
    codes_of: Callable[[Ints, Ints], Ints], exponents: Ints, mantissa_bits: int
) -> tuple[Ints, Ints, Ints]:
    """Return two thresholds and three codes, put together, of each binade.

    Parameters
    ----------
    codes_of : callable
        Gives codes for exponents and significand fields; within a binade it changes twice at most.

    Returns
    -------
    first, second : arrays of int64
        Significand fields from which the second and the third code hold.
    codes : array of int64
        The three codes, nine bits each, the first one lowest.
    """
    last = np.full_like(exponents, (1 << mantissa_bits) - 1)
    low, high = codes_of(exponents, np.zeros_like(exponents)), codes_of(exponents, last)
    first = _first_other(codes_of, exponents, mantissa_bits, low, low)
    middle = codes_of(exponents, np.minimum(first, last))
    second = _first_other(codes_of, exponents, mantissa_bits, low, middle)
    return first, second, low | middle << 9 | high << 18


def _first_other(
    codes_of: Callable[[Ints, Ints], Ints], exponents: Ints, mantissa_bits: int, a: Ints, b: Ints
) -> Ints:
    """The first significand field with another code than `a` and `b`: bisected, all at once."""
    before, after = np.full_like(exponents, -1), np.full_like(exponents, 1 << mantissa_bits)
    for _ in range(mantissa_bits + 1):
        middle = np.maximum((before + after) >> 1, 0)
        found = codes_of(exponents, np.minimum(middle, (1 << mantissa_bits) - 1))
        is_before = (found == a) | (found == b)
        before, after = np.where(is_before, middle, before), np.where(is_before, after, middle)
    return after


class AmaxSelection:
    """Scale selection for one format and policy.

    Parameters
    ----------
    source : str
        Name of the input type.
    mantissa_bits : int
        Those of the words in which significand fields are given.
    """

    def __init__(self, fmt: BlockFormat, policy: Policy, source: str, mantissa_bits: int) -> None:
        self.fmt, self.policy, self.element = fmt, policy, fmt.element
        self.least = _LIMITS[source][1]
        self.given_bits = mantissa_bits
        self.bits = mantissa_bits + _GUARD
        self.one = 1 << self.bits
        searches = (choice.ScaleRule.MSE, choice.ScaleRule.MAE)
        rule = choice.ScaleRule.FLOOR if policy.scale_rule in searches else policy.scale_rule
        self.rule = rule
        self.quotient = policy.scale_quotient
        # A search begins with the true FLOOR.
        takes_log = policy.scale_rule in _LOG_RULES
        self.logarithm = takes_log and policy.scale_log2 is choice.ScaleLog2.FLOAT32
        is_rceil = rule is choice.ScaleRule.RCEIL
        if self.logarithm and self.quotient is choice.ScaleQuotient.EXACT:
            self.quotient = choice.ScaleQuotient.FLOAT32
        self.divides = is_rceil and self.quotient is not choice.ScaleQuotient.EXACT
        self.implies_float32 = self.divides or self.logarithm

    def codes(self, exponents: Ints, fields: Ints, theta: Ints | None = None) -> Ints:
        """Scale codes of amax, FLUSH included; `theta` replaces the rule's threshold, one each."""
        found, infinite = self._outcome(exponents, fields, theta)
        codes, over = self._to_codes(found), self.over_code()
        return codes if over is None else np.where(infinite, over, codes)

    def codes_in_range(self, exponents: Ints, fields: Ints) -> Ints:
        """As `codes`, but nothing is too large for the type that holds amax."""
        return self._to_codes(self._outcome(exponents, fields)[0])

    def is_ordinary(self, exponents: Ints, fields: Ints) -> NDArray[np.bool_]:
        """Where the rule itself gives the code: neither zero nor infinity comes between."""
        found, infinite = self._outcome(exponents, fields)
        return np.asarray((found != _ZERO) & ~(infinite & (self.policy.scale_inf in _OF_INFINITY)))

    def zero_code(self) -> int:
        """The scale code of an all-zero block (OP-SCALE-ZERO-BLOCK)."""
        scale = self.fmt.scale
        match self.policy.scale_zero_block:
            case choice.ScaleZeroBlock.MIN:
                return 0
            case choice.ScaleZeroBlock.ONE:
                return scale.bias
            case choice.ScaleZeroBlock.MINUS_EMAX:
                return scale.bias - self.element.emax
            case choice.ScaleZeroBlock.NAN:
                return scale.nan_code
        found, _ = self._outcome(np.array([-126]), np.array([0]), is_input=False)
        # A constant that vanishes itself leaves the least scale.
        return 0 if found[0] == _ZERO else int(self._in_range(found)[0])

    def infinite_code(self) -> int:
        """The scale code of 2**128, the exponent field of an infinity read as a number."""
        found, infinite = self._outcome(np.array([128]), np.array([0]), is_input=False)
        if infinite[0] and self.policy.scale_inf in _OF_INFINITY:
            return _OF_INFINITY[self.policy.scale_inf]
        return int(self._to_codes(found)[0])

    def over_code(self) -> int | None:
        """The scale code where amax is too large for the type that holds it, if it has one."""
        if self.policy.scale_inf is choice.ScaleInf.EXPONENT_FIELD:
            found, _ = self._from_amax(np.array([128]), np.array([self.one]))
            return int(self._to_codes(found)[0])
        return _OF_INFINITY.get(self.policy.scale_inf)

    def over_word(self, bias: int, infinity: int) -> int:
        """The least magnitude, as a source word, that is too large for the type of amax."""
        least = infinity
        for name in self._names():
            bits, _, most = _LIMITS[name]
            if bits < self.given_bits and self.over_code() is not None:
                # Half a step beyond the largest number: a tie goes to the even side, infinity.
                ones = ((1 << (bits + 1)) - 1) << (self.given_bits - bits - 1)
                least = min(least, (most + bias) << self.given_bits | ones)
        return least

    def _names(self) -> list[str]:
        names = [] if self.policy.scale_amax == "source" else [str(self.policy.scale_amax)]
        return [*names, *(["float32"] if self.implies_float32 else [])]

    def _outcome(
        self, exponents: Ints, fields: Ints, theta: Ints | None = None, *, is_input: bool = True
    ) -> tuple[Ints, NDArray[np.bool_]]:
        """Exponents of the scale without bounds, or _ZERO; and where amax became an infinity."""
        e, m = exponents, (fields + (1 << self.given_bits)) << _GUARD
        zero, infinite = np.zeros((2, *e.shape), np.bool_)
        if is_input and self.policy.input_subnormal is choice.InputSubnormal.FLUSH:
            zero = e < self.least
        for name in self._names():
            e, m, vanished, over = self._narrow(e, m, name)
            zero, infinite = zero | vanished, infinite | over
        found, vanished = self._from_amax(e, m, theta)
        return np.where(zero | vanished, _ZERO, found), infinite

    def _from_amax(self, e: Ints, m: Ints, theta: Ints | None = None) -> tuple[Ints, Any]:
        if not self.divides:
            return self._rule(e, m, theta)
        e, m, zero = self._divide(e, m)
        found, vanished = self._rule(e, m, theta)
        return found, zero | vanished

    def _to_codes(self, found: Ints) -> Ints:
        return np.where(found == _ZERO, self.zero_code(), self._in_range(found))

    def _in_range(self, found: Ints) -> Ints:
        """Scale codes of exponents: OP-SCALE-RANGE."""
        scale, policy = self.fmt.scale, self.policy
        limit = 125 if policy.scale_above is choice.ScaleAbove.CLAMP_125 else scale.emax
        code = np.clip(found, scale.emin, limit) + scale.bias
        wrapped = (found + scale.bias) & 0xFF
        if policy.scale_above is choice.ScaleAbove.NAN:
            code = np.where(found > scale.emax, scale.nan_code, code)
        if policy.scale_above is choice.ScaleAbove.WRAP:
            code = np.where(found > scale.emax, wrapped, code)
        if policy.scale_below is choice.ScaleBelow.WRAP:
            code = np.where(found < scale.emin, wrapped, code)
        if policy.scale_below is choice.ScaleBelow.FLUSH_BLOCK:
            code = np.where(found < scale.emin, FLUSH, code)
        return code

    def _narrow(self, e: Ints, m: Ints, name: str) -> tuple[Ints, Ints, Any, Any]:
        bits, least, most = _LIMITS[name]
        drop = np.minimum(self.bits - bits + np.maximum(least - e, 0), 62)
        if self.bits < bits:
            return e, m, np.zeros(e.shape, np.bool_), e > most
        m = round_even(m, drop) << drop
        e = np.where(m == self.one << 1, e + 1, e)
        m = np.where(m == self.one << 1, self.one, m)
        # Where more was dropped than a significand has, one step of the grid may be left.
        stepped = m > self.one << 1
        e = np.where(stepped, e + drop - self.bits, e)
        m = np.where(stepped, self.one, m)
        vanished = m == 0
        return e, np.where(vanished, self.one, m), vanished, e > most

    def _divide(self, e: Ints, m: Ints) -> tuple[Ints, Ints, Any]:
        """The float32 quotient amax / max of float32 numbers, gradual underflow included."""
        top = self.element.max_magnitude & ((1 << self.element.mantissa_bits) - 1)
        top += 1 << self.element.mantissa_bits  # max is top * 2**(emax - mantissa bits)
        significand = m >> (self.bits - 23)
        if self.quotient is choice.ScaleQuotient.RECIPROCAL:
            # 1 / max lies in (1/2, 1] times a power of two.
            size = self.element.mantissa_bits + 24
            inverse = nearest_quotient(1 << size, top)
            wide, shift = significand * inverse, 23 + size
            sticky = np.zeros_like(wide)
        else:
            wide, shift = (significand << 36) // top, 23 + 36
            sticky = ((significand << 36) % top != 0).astype(np.int64)
            shift -= self.element.mantissa_bits
        if self.quotient is choice.ScaleQuotient.RECIPROCAL:
            shift -= self.element.mantissa_bits
        e = e - self.element.emax
        length = bit_length(wide)
        e = e + length - 1 - shift
        drop = length - 24 + np.maximum(-126 - e, 0)
        drop = np.minimum(drop, 61)
        short = round_even((wide << 1) | sticky, drop + 1)
        zero = short == 0
        # short * 2**(drop + e - length + 1), with its leading one wherever it is.
        grown = bit_length(np.maximum(short, 1))
        e = e + drop - length + grown
        return e, np.maximum(short, 1) << (self.bits + 1 - grown), zero

    def _rule(self, e: Ints, m: Ints, theta: Ints | None) -> tuple[Ints, Any]:
        rule, subnormal = self.rule, self.policy.scale_subnormal
        emax = self.element.emax
        if rule is choice.ScaleRule.RCEIL and not self.divides:
            # amax / max = (s / t) * 2**(e - emax), and s, t lie in [1, 2).
            at = threshold(rule, self.element, self.bits) - 1 + self.one
            e, up = e - emax - (m < at), m != at
            emax = 0
        else:
            up = None
        tiny = e < -126
        if subnormal is choice.ScaleSubnormal.BITS and not self.logarithm:
            shift = np.clip(-126 - e, 0, 62)
            lost = (m & ((1 << shift) - 1)) != 0
            m = np.where(tiny, self.one + (m >> shift) | lost, m)
            e = np.where(tiny, -127, e)
            up = None if up is None else up | tiny
        vanished = tiny & (subnormal is choice.ScaleSubnormal.FLUSH)
        if up is not None:
            return e + up, vanished
        if self.logarithm:
            return self._by_logarithm(e, m), vanished
        field = m - self.one
        match rule:
            case choice.ScaleRule.RCEIL:  # of a quotient
                return e + (field > 0), vanished
            case choice.ScaleRule.P3109:
                half = self.one >> 1
                is_odd = (e & 1) == 0  # the code is the exponent plus 127
                return e + ((field > half) | ((field == half) & is_odd)), vanished
            case _:
                at = threshold(rule, self.element, self.bits)
                edge = np.asarray(at) if theta is None else theta << _GUARD
                return e - emax + (field >= edge), vanished

    def _by_logarithm(self, e: Ints, m: Ints) -> Ints:
        # float64 is good to 2**-42 here. The float32 numbers beside a power of two, which it has
        # to tell apart, have logarithms 2**-24 apart, and none lies that near to the middle of
        # two float32 numbers: tests/kernels/test_tables.py compares every boundary with the
        # definition.
        logarithm = to_float32(np.log2(m / self.one) + e)
        emax = self.element.emax
        match self.rule:
            case choice.ScaleRule.CEIL:
                result = np.ceil(logarithm) - emax
            case choice.ScaleRule.RCEIL:
                result = np.ceil(logarithm)
            case choice.ScaleRule.NEAREST_LOG:
                result = np.floor(to_float32(logarithm + 0.5)) - emax
            case choice.ScaleRule.PLUS_ONE:
                result = np.floor(logarithm) + 1 - emax
            case _:
                result = np.floor(logarithm) - emax
        return result.astype(np.int64)


def cast_codes(scale: ScaleFormat, policy: Policy, mantissa_bits: int) -> Callable[..., Ints]:
    """Return ``codes(exponents, fields)`` of positive numbers cast to E8M0 (OP-E8M0-CAST)."""
    one = 1 << mantissa_bits
    above = policy.e8m0_overflow is choice.E8M0Overflow.NAN
    below = policy.e8m0_underflow is choice.E8M0Underflow.NAN

    def codes(exponents: Ints, fields: Ints) -> Ints:
        e, field = exponents, fields << 1
        if policy.e8m0_subnormal is choice.E8M0Subnormal.BITS:
            shift = np.clip(-126 - e, 0, 62)
            whole = field + (one << 1)
            lost = (whole & ((1 << shift) - 1)) != 0
            field = np.where(e < -126, (whole >> shift) | lost, field)
            e = np.where(e < -126, -127, e)
        match policy.e8m0_rounding:
            case choice.E8M0Rounding.DOWN:
                up = np.zeros(e.shape, np.bool_)
            case choice.E8M0Rounding.UP:
                up = field > 0
            case choice.E8M0Rounding.NEAREST:
                up = field >= one
            case choice.E8M0Rounding.NEAREST_EVEN:
                up = (field > one) | ((field == one) & ((e & 1) == 0))
        e = e + up
        code = np.clip(e, scale.emin, scale.emax) + scale.bias
        code = np.where((e > scale.emax) & above, scale.nan_code, code)
        return np.where((e < scale.emin) & below, scale.nan_code, code)

    return codes
