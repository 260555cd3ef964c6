"""Element faults of BDR quantizers: the model with its codes gone wrong.

A docstring gives the id and the variant. Formats with elements in OFP8 have those of MX elsewhere;
here they get the ones that rounding and signs bring.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults._bdr_variant import BDRFault, has_integer, is_power, is_signed, of
from mxref.faults.bdr_model import Lanes, Model, Scales, scaled
from mxref.faults.encoder import Bools, Bytes, Floats, Ints, round_to_float
from mxref.relatives.bdr_format import BDRFormat, Element

__all__ = ["ELEMENT_FAULTS"]


def _is_integer(fmt: BDRFormat) -> bool:
    return fmt.float_element is None


def _can_carry(fmt: BDRFormat) -> bool:
    """Whether an element can round beyond the largest: amax / largest leaves no room for it."""
    return is_power(fmt) or has_integer(fmt)


def _is_complement(fmt: BDRFormat) -> bool:
    return fmt.element is Element.TWOS_COMPLEMENT


class _LsbTies(Model):
    """E3: what lies behind the first dropped bit is not looked at."""

    bits = 1

    def goes_up(self, lanes: Lanes, kept: Ints, rest: Floats) -> Bools:
        seen = np.floor(rest * 2.0**self.bits) / 2.0**self.bits
        return super().goes_up(lanes, kept, seen)


class _OddTies(Model):
    """E1: ties go to the odd code."""

    def goes_up(self, lanes: Lanes, kept: Ints, rest: Floats) -> Bools:
        del lanes
        return np.asarray((rest > 0.5) | ((rest == 0.5) & (kept & 1 == 0)))  # a tie


class _HalfDown(Model):
    """E1: ties go down."""

    def goes_up(self, lanes: Lanes, kept: Ints, rest: Floats) -> Bools:
        del kept
        return np.asarray((rest > 0.5) | ((rest == 0.5) & lanes.sign))  # a tie


class _RoundsUp(Model):
    """E2: whatever is dropped rounds away from zero."""

    def goes_up(self, lanes: Lanes, kept: Ints, rest: Floats) -> Bools:
        del lanes, kept
        return np.asarray(rest > 0)


class _Wrapped(Model):
    """E5: the carry out of the largest magnitude is lost, or runs into the sign."""

    into_sign = False

    def limited(self, lanes: Lanes, whole: Ints) -> Ints:
        carried = whole == self.fmt.max_magnitude + 1
        found = super().limited(lanes, whole)
        wrong = self.fmt.max_magnitude + 1 if self.into_sign else 0
        return np.where(carried & ~lanes.inf & ~lanes.nan, wrong, found)

    def pack(self, lanes: Lanes, magnitude: Ints) -> Ints:
        found = super().pack(lanes, magnitude & self.fmt.max_magnitude)
        is_over = magnitude > self.fmt.max_magnitude
        if self.fmt.element is Element.TWOS_COMPLEMENT:
            return np.where(is_over, self.fmt.sign_mask, super().pack(lanes, magnitude))
        return np.where(is_over, found ^ self.fmt.sign_mask, found)


class _Modulo(Model):
    """E5: what does not fit is cut to its bits."""

    def limited(self, lanes: Lanes, whole: Ints) -> Ints:
        found = super().limited(lanes, whole)
        return np.where(lanes.inf | lanes.nan, found, whole & self.fmt.max_magnitude)


class _NoLeading(Model):
    """E7: elements without the leading bit are zero."""

    def limited(self, lanes: Lanes, whole: Ints) -> Ints:
        found = super().limited(lanes, whole)
        return np.where(whole < 1 << (self.fmt.m - 1), 0, found)


class _CutOff(Model):
    """E8: what is below one step is zero."""

    def rounded(self, lanes: Lanes, steps: Floats) -> Ints:
        return np.where(steps < 1, 0, super().rounded(lanes, steps))


class _Count(Model):
    """E11: the distance by which an element is aligned is cut to five bits."""

    def steps(self, lanes: Lanes, exponent: Ints) -> Floats:
        distance = exponent - Model.exponent(self, lanes.magnitude)
        lost = np.where((distance >= 32) & (lanes.magnitude > 0), distance & ~31, 0)
        return super().steps(lanes, exponent - lost)


class _Largest(Model):
    """E15: the largest magnitude is another."""

    less = 1

    def limit(self, lanes: Lanes) -> Ints:
        return super().limit(lanes) - self.less


class _UnsignedInf(Model):
    """E16: minus infinity becomes the largest positive element."""

    def pack(self, lanes: Lanes, magnitude: Ints) -> Ints:
        sign = lanes.sign & ~lanes.inf
        return super().pack(Lanes(sign, lanes.nan, lanes.inf, lanes.magnitude), magnitude)


class _SignedNaN(Model):
    """E18: a NaN gets a code that no choice gives."""

    code = -1

    def pack(self, lanes: Lanes, magnitude: Ints) -> Ints:
        found = super().pack(lanes, magnitude)
        if self.code >= 0:
            return np.where(lanes.nan, self.code & (self.fmt.code_count - 1), found)
        top = np.full_like(magnitude, self.fmt.max_magnitude)
        plain = Lanes(lanes.sign, np.zeros_like(lanes.nan), lanes.inf, lanes.magnitude)
        return np.where(lanes.nan, super().pack(plain, top), found)


class _ZeroSign(Model):
    """E19: the sign of some zeros is lost."""

    of_input = True

    def pack(self, lanes: Lanes, magnitude: Ints) -> Ints:
        lost = (magnitude == 0) & ((lanes.magnitude == 0) == self.of_input)
        sign = lanes.sign & ~lost
        return super().pack(Lanes(sign, lanes.nan, lanes.inf, lanes.magnitude), magnitude)


class _Complement(Model):
    """E25: signs are packed as in another representation."""

    ones = False

    def pack(self, lanes: Lanes, magnitude: Ints) -> Ints:
        sign = lanes.sign & ~lanes.nan
        mask = self.fmt.code_count - 1
        negative = np.bitwise_not(magnitude) if self.ones else -magnitude
        return np.where(sign, negative & mask, magnitude)


class _SignMagnitude(Model):
    """E25: a sign bit beside a magnitude, where two's complement is meant."""

    def pack(self, lanes: Lanes, magnitude: Ints) -> Ints:
        sign = lanes.sign & ~lanes.nan
        capped = np.minimum(magnitude, self.fmt.max_magnitude)
        return np.asarray(capped | np.where(sign, self.fmt.sign_mask, 0), np.int64)


class _SignBelow(Model):
    """E25: the sign is the lowest bit, or it is inverted, or it is missing."""

    how = "low"

    def pack(self, lanes: Lanes, magnitude: Ints) -> Ints:
        found = super().pack(lanes, magnitude)
        if self.how == "low":
            top = self.fmt.sign_mask
            return ((found & (top - 1)) << 1) | (found // top)
        if self.how == "inverted":
            return found ^ self.fmt.sign_mask
        return magnitude


class _Hidden(Model):
    """E26: a leading one is taken for granted and not stored."""

    def rounded(self, lanes: Lanes, steps: Floats) -> Ints:
        return super().rounded(lanes, 2 * steps)

    def limited(self, lanes: Lanes, whole: Ints) -> Ints:
        top = 2 * self.fmt.max_magnitude + 1
        found = super().limited(lanes, np.minimum(whole, self.fmt.max_magnitude))
        cut = np.minimum(whole, top) & self.fmt.max_magnitude
        return np.where(lanes.inf | lanes.nan, found, cut)


class _TwiceRounded(Model):
    """E27: the significand is rounded in its own binade before it is aligned."""

    bits = 0

    def steps(self, lanes: Lanes, exponent: Ints) -> Floats:
        own = Model.exponent(self, lanes.magnitude)
        width = self.fmt.m - 1 + self.bits
        first = np.ldexp(np.rint(scaled(lanes.magnitude, width - own)), -width)
        return scaled(first, own + self.fmt.m - 1 - exponent)


class _Through(Model):
    """E21, E22, E23: the input is narrowed first."""

    type, cut = "bfloat16", False

    def look(self, x: npt.NDArray[Any]) -> Lanes:
        lanes = super().look(x)
        magnitude = round_to_float(lanes.magnitude, self.type)
        if self.type == "float16":
            magnitude = np.minimum(magnitude, 2.0**16)
        return Lanes(lanes.sign, lanes.nan, lanes.inf, magnitude)


_ThroughHalf = of(_Through, type="float16")


class _OwnScale(Model):
    """S14: elements are made under the scale that is right, whatever is stored."""

    def codes(self, x: npt.NDArray[Any], scales: Scales, subscales: Bytes | None) -> Bytes:
        own = self.scales(x) if self.own is None else self.own
        own = np.where(scales == self.fmt.nan_scale, scales, own) if is_power(self.fmt) else own
        shifts = None
        if subscales is not None:
            shifts = self.subscales(x, own)
        return super().codes(x, own, shifts)


class _Doubled(Model):
    """S14: elements are off by a constant power of two from what is stored."""

    by = 1

    def steps(self, lanes: Lanes, exponent: Ints) -> Floats:
        return super().steps(lanes, exponent + self.by)


class _DoubledQuotient(Model):
    """S14: the same where scales are float32."""

    factor = 0.5

    def quotients(self, magnitude: Floats, divisor: Floats) -> Floats:
        return self.factor * super().quotients(magnitude, divisor)  # type: ignore[misc, no-any-return]


def _is_below_bfloat16(fmt: BDRFormat) -> bool:
    return is_power(fmt) and fmt.m < 7  # else it is E21


def _is_float(fmt: BDRFormat) -> bool:
    return not is_power(fmt)


def _element(fault: str, detail: str, model: type[Model], fits: Any = _is_integer) -> BDRFault:
    return BDRFault(fault, detail, "element", model, fits)


ELEMENT_FAULTS: tuple[BDRFault, ...] = (
    _element("E1", "ties to the odd code", _OddTies),
    _element("E1", "ties down", _HalfDown),
    _element("E2", "away from zero", _RoundsUp),
    _element("E3", "one bit", _LsbTies),
    _element("E3", "two bits", of(_LsbTies, bits=2)),
    _element("E3", "three bits", of(_LsbTies, bits=3)),
    _element("E5", "becomes zero", _Wrapped, _can_carry),
    _element("E5", "runs into the sign", of(_Wrapped, into_sign=True), _can_carry),
    _element("E5", "what does not fit is cut to its bits", _Modulo, _can_carry),
    _element("E7", "without the leading bit", _NoLeading),
    _element("E8", "", _CutOff),
    _element("E11", "five bits", _Count, is_power),
    _element("E15", "one less", _Largest),
    _element("E16", "the sign of an infinity is lost", _UnsignedInf),
    _element("E18", "the largest element of its sign", _SignedNaN),
    _element("E18", "the code of all ones", of(_SignedNaN, code=0xFF)),
    _element("E18", "the sign bit alone", of(_SignedNaN, code=0x80)),
    _element("E19", "an input of -0 only", _ZeroSign, is_signed),
    _element("E19", "underflow only", of(_ZeroSign, of_input=False), is_signed),
    _element("E25", "two's complement in place of sign and magnitude", _Complement, is_signed),
    _element("E25", "one's complement", of(_Complement, ones=True)),
    _element("E25", "sign and magnitude in place of two's complement", _SignMagnitude,
             _is_complement),
    _element("E25", "the sign in the lowest bit", _SignBelow),
    _element("E25", "the sign is inverted", of(_SignBelow, how="inverted")),
    _element("E25", "the sign is missing", of(_SignBelow, how="none")),
    _element("E26", "", _Hidden),
    *(
        BDRFault(fault, "", stage, model, is_copy=stage != "element")
        for fault, model in (("E21", _Through), ("E22", _ThroughHalf))
        for stage in ("element", "scale", "subscale")
    ),
    _element("E27", "in its own binade", _TwiceRounded, is_power),
    _element("E27", "one bit more", of(_TwiceRounded, bits=1), _is_below_bfloat16),
    _element("S14", "by the scale that is right", _OwnScale),
    _element("S14", "half of it", of(_Doubled, by=-1), is_power),
    _element("S14", "twice of it", _Doubled, is_power),
    _element("S14", "twice of it", _DoubledQuotient, _is_float),
    _element("S14", "half of it", of(_DoubledQuotient, factor=2.0), _is_float),
)  # fmt: skip
"""Every element fault."""
