"""Scale faults: the selection of a block's scale with one step gone wrong.

A selection measures the block (amax), takes an exponent from amax by a rule, and turns the
exponent into an E8M0 code. A fault overrides one of these steps of `Selector`.

Notes
-----
All of it is exact in float64 for float32, float16 and bfloat16 input: ``frexp`` splits amax into
m in [1, 2) and E, every rule is a comparison of m with a constant, and the constants are short.
A float32 quotient is the float64 quotient rounded again: with 53 bits, no quotient of two numbers
of 24 bits lies so near to a tie that the first rounding could matter. The two irrational constants
lie lie strictly between neighbouring float64 numbers, so comparing with the
nearest float64 decides correctly; for S3, whose threshold carries one division, that holds for
sources of at most 24 significant bits. Where a float32 logarithm is named, a correctly rounded
``log2f`` is meant: its floor and ceiling are comparisons too (`mxref.faults._logarithm`). Only
``nearest-log`` of such a logarithm takes NumPy's float64 logarithm, rounded to float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mxref.faults._logarithm import ceil_log2_float32, floor_log2_float32
from mxref.faults.encoder import (
    PRECISIONS,
    Bools,
    Bytes,
    Floats,
    Ints,
    round_to_float,
)
from mxref.faults.stats import BlockStats
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["ScaleModel", "Selector", "bits_significand", "split"]

_NAN, _MAX, _BIAS = 0xFF, 0xFE, 127
_SQRT2 = 1.4142135623730951  # the float64 just above the square root of two
_LOWEST = 2.0**-126  # below it a float32 is subnormal
_LOG_RULES = ("floor", "ceil", "rceil", "plus-one", "nearest-log")
_SEARCHES = ("stochastic", "mse", "mae")


class _Seen(NamedTuple):
    """What the rule looks at, and the blocks that do not get so far."""

    number: Floats  # amax, or amax / max under RCEIL
    is_zero: Bools
    is_beyond: Bools  # amax left the type that holds it: it counts as an infinity


class Selector:
    """The correct selection of a scale code; a fault is a subclass that overrides a step.

    Raises
    ------
    ValueError
        If the rule needs random bits or the elements of a block: ``stochastic``, ``mse``, ``mae``.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> from mxref.faults.stats import block_stats
    >>> stats = block_stats(np.array([[1.0, 7.0], [0.0, 0.0]]))
    >>> Selector(block_format("mxfp4/2"), Policy()).select(stats)
    array([127,   0], dtype=uint8)
    """

    def __init__(self, fmt: BlockFormat, policy: Policy) -> None:
        if policy.scale_rule in _SEARCHES:
            raise ValueError(
                f"scale_rule={policy.scale_rule} needs more than the largest magnitudes that this "
                "model looks at; convert with mxref.quantize and compare the codes"
            )
        self.fmt = fmt
        self.policy = policy
        element = fmt.element
        self.emax, self.mantissa_bits = element.emax, element.mantissa_bits
        self.max_significand = float(element.max) / 2.0**element.emax
        self.has_log = policy.scale_log2 == "float32" and policy.scale_rule in _LOG_RULES
        divides = policy.scale_rule == "rceil"
        self.quotient = policy.scale_quotient.value if divides else "exact"
        if divides and self.has_log and self.quotient == "exact":
            self.quotient = "float32"

    def select(self, stats: BlockStats) -> Bytes:
        """Return the scale code of each block.

        Raises
        ------
        ValueError
            If there is a NaN or an infinity that the policy refuses.
        """
        return self._decide(stats)[0]

    def flushed(self, stats: BlockStats) -> Bools:
        """Where every element code of a block is +0, whatever its elements are."""
        return self._decide(stats)[1]

    def _decide(self, stats: BlockStats) -> tuple[Bytes, Bools]:
        amax = self.measure(stats)
        if self.policy.input_subnormal == "flush":
            amax = np.where(amax < stats.tiny, 0.0, amax)
        amax = np.where(self.is_exponent_field(stats), 2.0**128, amax)
        seen = self.look(amax)
        flushed_anyhow = stats.has_nan & (self.policy.scale_nan == "flush-block")
        is_beyond = seen.is_beyond & ~flushed_anyhow
        exponent = self.exponent(np.where(amax > 0, amax, 1.0))
        code, below = self.to_code(exponent), self.is_below(exponent)
        if seen.is_zero.any():
            zero_code, zero_below = self._of_zero()
            code = np.where(seen.is_zero, zero_code, code)
            below = np.where(seen.is_zero, zero_below, below)
        if is_beyond.any():
            stats = replace(stats, has_inf=stats.has_inf | is_beyond)
        if (stats.has_nan | stats.has_inf).any():
            code = self.special(stats, code)
            kept, flushes = self._flushes(stats)
            below = np.where(kept, below, flushes)
            code = np.where(flushes, 0, code)
        return code.astype(np.uint8), np.asarray(below, np.bool_)

    def measure(self, stats: BlockStats) -> Floats:
        """The number that stands for the block."""
        return stats.amax

    def is_exponent_field(self, stats: BlockStats) -> Bools:
        """Where the exponent field of NaN or infinity stands for that of amax."""
        nan, inf = self.policy.scale_nan, self.policy.scale_inf
        return (stats.has_nan & (nan == "exponent-field")) | (
            stats.has_inf & (inf == "exponent-field")
        )

    def look(self, amax: Floats) -> _Seen:
        """Form the number whose exponent the rule takes, in the precision of the policy."""
        precisions = [self.policy.scale_amax.value]
        if self.has_log or self.quotient != "exact":
            precisions.append("float32")
        beyond = np.zeros(amax.shape, np.bool_)
        for name in precisions:
            if name != "source":
                amax = round_to_float(amax, name)
                beyond |= amax >= 2.0 ** (PRECISIONS[name][2] + 1)
        match self.policy.scale_inf.value:
            case "ignore" | "raise":
                beyond[:] = False
            case "exponent-field":
                amax = np.where(beyond, 2.0**128, amax)
                beyond[:] = False
        number, least = amax, _LOWEST
        if self.policy.scale_rule == "rceil":
            number = self.divided(amax)
            if self.quotient == "exact":  # the quotient is below 2**-126, but need not be formed
                least = _LOWEST * float(self.fmt.element.max)
        is_zero = number == 0
        if self.policy.scale_subnormal == "flush":
            is_zero = number < least
        return _Seen(number, np.asarray(is_zero), beyond)

    def divided(self, amax: Floats) -> Floats:
        """Form amax / max; where the policy does so exactly, amax itself stands for it."""
        largest = float(self.fmt.element.max)
        match self.quotient:
            case "float32":
                return round_to_float(amax / largest, "float32")
            case "reciprocal":
                inverse = round_to_float(np.asarray(1 / largest), "float32")
                return round_to_float(amax * inverse, "float32")
        return amax

    def exponent(self, amax: Floats) -> Ints:
        """Exponent of the scale, before it is brought into range."""
        number = self.look(amax).number
        number = np.where(number > 0, number, 1.0)
        if self.has_log:
            return self.of_logarithm(number)
        significand, exponent = split(number)
        if self.quotient != "exact":  # RCEIL, already divided
            significand, exponent = self.as_fields(number, significand, exponent, _LOWEST)
            return np.asarray(exponent + (significand > 1))
        if self.policy.scale_rule == "rceil":
            least = _LOWEST * float(self.fmt.element.max)
            is_bits = (number < least) & (self.policy.scale_subnormal == "bits")
            rounded = exponent - self.emax + self.step(significand)
            return np.where(is_bits, -126, rounded)
        significand, exponent = self.as_fields(number, significand, exponent, _LOWEST)
        if self.policy.scale_rule == "p3109":
            odd = (exponent + _BIAS) & 1 == 1
            up = (significand > 1.5) | ((significand == 1.5) & odd)
            return np.asarray(exponent + up)
        return exponent - self.emax + self.step(significand).astype(np.int64)

    def as_fields(
        self, number: Floats, significand: Floats, exponent: Ints, least: float
    ) -> tuple[Floats, Ints]:
        """Read subnormals by the bits of a float32 as though they were normal, where asked."""
        small = number < least
        if self.policy.scale_subnormal != "bits" or not small.any():
            return significand, exponent
        fields = bits_significand(np.where(small, number, 0.0))
        return np.where(small, fields, significand), np.where(small, -127, exponent)

    def of_logarithm(self, number: Floats) -> Ints:
        """Exponent by a float32 logarithm, correctly rounded."""
        match self.policy.scale_rule.value:
            case "ceil":
                return ceil_log2_float32(number) - self.emax
            case "rceil":
                return ceil_log2_float32(number)
            case "nearest-log":
                logarithm = np.log2(number).astype(np.float32).astype(np.float64)
                found = np.floor((logarithm + 0.5).astype(np.float32)) - self.emax
                return found.astype(np.int64)
            case "plus-one":
                return floor_log2_float32(number) + 1 - self.emax
        return floor_log2_float32(number) - self.emax

    def step(self, m: Floats) -> npt.NDArray[Any]:
        """Whether the rule goes one step above floor(log2 amax) - emax."""
        width = 2.0 ** -(self.mantissa_bits + 1)
        match self.policy.scale_rule.value:
            case "ceil":
                return m > 1
            case "rceil":
                return m > self.max_significand
            case "even":
                return m >= 2 - width
            case "even-down":
                return m > 2 - width
            case "tosa":
                tie_goes_up = self.fmt.element.max_magnitude & 1 == 1
                edge = self.max_significand + width
                return np.asarray((m > edge) | ((m == edge) & tie_goes_up))
            case "nearest-log":
                return m >= _SQRT2
            case "plus-one":
                return np.ones(m.shape, np.bool_)
        return np.zeros(m.shape, np.bool_)

    def to_code(self, exponent: Ints) -> Ints:
        """E8M0 code of an exponent."""
        code = exponent + _BIAS
        above: dict[str, Any] = {"nan": _NAN, "clamp-125": _BIAS + 125, "wrap": code & 0xFF}
        limit = _BIAS + 125 if self.policy.scale_above == "clamp-125" else _MAX
        over = above.get(self.policy.scale_above.value, _MAX)
        under = code & 0xFF if self.policy.scale_below == "wrap" else np.zeros_like(code)
        return np.where(code > limit, over, np.where(code < 0, under, code))

    def is_below(self, exponent: Ints) -> Bools:
        """Where an exponent below the range flushes the block."""
        return np.asarray((exponent < -_BIAS) & (self.policy.scale_below == "flush-block"))

    def zero_code(self) -> int:
        """Scale code of an all-zero block."""
        return self._of_zero()[0]

    def _of_zero(self) -> tuple[int, bool]:
        """Scale code of an all-zero block, and whether its elements are flushed."""
        choices = {"min": 0, "one": _BIAS, "minus-emax": _BIAS - self.emax, "nan": _NAN}
        name = self.policy.scale_zero_block.value
        if name != "min-normal":
            return choices[name], False
        amax = np.array([_LOWEST])
        if self.look(amax).is_zero[0]:
            return 0, False
        exponent = self.exponent(amax)
        return int(self.to_code(exponent)[0]), bool(self.is_below(exponent)[0])

    def special(self, stats: BlockStats, code: Ints) -> Ints:
        """Scale codes where NaN and infinity have been dealt with."""
        on_nan, on_inf = self.policy.scale_nan.value, self.policy.scale_inf.value
        nan_scale = (stats.has_nan & (on_nan == "nan-scale")) | (
            stats.has_inf & (on_inf == "nan-scale")
        )
        refused = (stats.has_nan & (on_nan == "raise")) | (stats.has_inf & (on_inf == "raise"))
        if refused.any():
            raise ValueError(
                "the policy refuses NaN or infinity (scale_nan or scale_inf is raise), and the "
                "input holds one; choose another, or remove it"
            )
        saturated = np.where(stats.has_inf & (on_inf == "saturate"), _MAX, code)
        return np.where(nan_scale, _NAN, saturated)

    def _flushes(self, stats: BlockStats) -> tuple[Bools, Bools]:
        """Which blocks the rule decides in spite of NaN and infinity, and which are flushed."""
        on_nan, on_inf = self.policy.scale_nan.value, self.policy.scale_inf.value

        def holds(choice: str) -> Bools:
            nan, inf = stats.has_nan & (on_nan == choice), stats.has_inf & (on_inf == choice)
            return np.asarray(nan | inf)

        nan_scale, flushed = holds("nan-scale"), holds("flush-block")
        return ~nan_scale & ~flushed & ~holds("saturate"), flushed & ~nan_scale


def split(amax: Floats) -> tuple[Floats, Ints]:
    """Significand in [1, 2) and exponent of positive numbers, exactly."""
    fraction, exponent = np.frexp(amax)
    return fraction * 2, exponent.astype(np.int64) - 1


def bits_significand(number: Floats) -> Floats:
    """1 + x / 2**-126 of numbers below 2**-126: what the bits of a float32 say if it were normal.

    Cut to 52 bits behind the point, the last one sticky: every threshold has a zero there.

    Examples
    --------
    >>> bits_significand(np.array([2.0**-127, 2.0**-1074])) > 1.5
    array([False, False])
    """
    steps = np.ldexp(number, 52 + 126)
    whole = np.floor(steps)
    return np.asarray(1 + np.ldexp(whole + ((steps != whole) & (whole % 2 == 0)), -52))


@dataclass(frozen=True, slots=True, eq=False)
class ScaleModel:
    """An executable scale fault.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    selector : type
        The selection that has the fault.
    keeps_rule : bool
        Whether it leaves the rule to the policy, so that it can go with any rule.
    legal_change : Mapping of str to str
        Policy fields under which the same behaviour is legal; empty where it never is.
    """

    id: str
    detail: str
    selector: type[Selector]
    keeps_rule: bool = False
    legal_change: Mapping[str, str] = field(default_factory=dict)
