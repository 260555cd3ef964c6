"""Scale faults of BDR quantizers: the model with its first level gone wrong.

A docstring gives the id and the variant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults._bdr_variant import BDRFault, is_power, of
from mxref.faults.bdr_model import Lanes, Model, Scales, neighbours
from mxref.faults.encoder import Bools, Floats, Ints, round_to_float
from mxref.relatives.bdr_format import BDRFormat, Element, SubscaleKind

__all__ = ["SCALE_FAULTS"]

_EPSILONS = (1e-4, 1e-6, 1e-10, 1e-12)


def _is_float(fmt: BDRFormat) -> bool:
    return not is_power(fmt)


def _has_integers(fmt: BDRFormat) -> bool:
    return _is_float(fmt) and fmt.float_element is None


class _Quotient(Model):
    """S1, S10: the logarithm of amax / largest, rounded somehow."""

    up = False

    def exponent(self, amax: Floats) -> Ints:
        found = super().exponent(amax)
        top = float(self.fmt.largest)
        significand = np.ldexp(amax, -found)  # in [1, 2), as `top` is
        if self.up:
            return found + (significand > top)
        return found - (significand < top)


class _Ceil(Model):
    """S5: the exponent is rounded up."""

    def exponent(self, amax: Floats) -> Ints:
        found = super().exponent(amax)
        return found + (np.ldexp(amax, -found) > 1)


class _NearestLog(Model):
    """S3: the exponent is rounded to nearest."""

    threshold = 2.0**0.5

    def exponent(self, amax: Floats) -> Ints:
        found = super().exponent(amax)
        return found + (np.ldexp(amax, -found) > self.threshold)


class _Offset(Model):
    """S4, S6: the code is off by a constant."""

    offset = 0

    def biased(self, exponent: Ints) -> Ints:
        return super().biased(exponent) + self.offset


class _ByWidth(Model):
    """S4: the code is off by something that depends on the element's width."""

    factor, extra = -1, 1

    def biased(self, exponent: Ints) -> Ints:
        return super().biased(exponent) + self.factor * (self.fmt.m - self.extra)


class _Narrowed(Model):
    """S7: amax in a narrower type."""

    type = "bfloat16"

    def amax(self, seen: Floats) -> Floats:
        found = round_to_float(super().amax(seen), self.type)
        if self.type == "float16":
            found = np.where(found >= 65520, 2.0**16, found)  # infinity there
        return found


class _InexactLog(Model):
    """S8: log2 in float32 reaches the next integer too early."""

    def exponent(self, amax: Floats) -> Ints:
        found = super().exponent(amax)
        with np.errstate(divide="ignore"):
            log = np.log2(amax).astype(np.float32)
        return np.where(amax == 0, found, np.floor(np.where(amax == 0, 0, log)).astype(np.int64))


class _Wraps(Model):
    """S11: a code beyond the range wraps."""

    def ends(self, code: Ints) -> Ints:
        return code & self.fmt.nan_scale


class _Least(Model):
    """S11: small codes do not exist."""

    least = 1

    def ends(self, code: Ints) -> Ints:
        return np.maximum(super().ends(code), self.least)


class _Most(Model):
    """S11: the largest code does not exist."""

    def ends(self, code: Ints) -> Ints:
        return np.minimum(super().ends(code), self.fmt.max_scale - 1)


class _Epsilon(Model):
    """S11: amax is at least some small number."""

    epsilon = 1e-12

    def amax(self, seen: Floats) -> Floats:
        found = super().amax(seen)
        return np.where(found > 0, np.maximum(found, self.epsilon), found)


class _InfinitySets(Model):
    """S11: an infinity is the largest number for the scale."""

    def seen(self, lanes: Lanes) -> Floats:
        return np.where(lanes.inf, 2.0**130, super().seen(lanes))

    def is_nan(self, lanes: Lanes) -> Bools:
        if self.policy.nan == "nan-scale":
            return np.asarray(lanes.nan.any(1))
        return np.zeros(len(lanes.nan), np.bool_)


class _NaNOfZeros(Model):
    """S12: the logarithm of zero is no number."""

    def of_zeros(self) -> Any:
        return np.nan if not is_power(self.fmt) else self.fmt.nan_scale

    def scales(self, x: npt.NDArray[Any]) -> Scales:
        found = super().scales(x)
        amax = self.amax(self.seen(self.look(x)))
        return np.where(amax == 0, self.of_zeros(), found).astype(found.dtype)


class _NaNSomewhere(Model):
    """S13: a NaN reaches the scale from some places only."""

    first, last = 0, 1

    def is_nan(self, lanes: Lanes) -> Bools:
        k = lanes.nan.shape[1]
        nan = np.zeros_like(lanes.nan)
        nan[:, self.first * k // 2 : self.last * k // 2 or 1] = True
        return super().is_nan(Lanes(lanes.sign, lanes.nan & nan, lanes.inf, lanes.magnitude))


class _Selected(Model):
    """S15: amax over some lanes only."""

    which = "first missed"

    def seen(self, lanes: Lanes) -> Floats:
        seen = super().seen(lanes)
        k = seen.shape[1]
        lane = np.arange(k)
        match self.which:
            case "first missed":
                keep = lane > 0
            case "last missed":
                keep = lane < k - 1
            case "first half":
                keep = lane < (k + 1) // 2
            case "even places":
                keep = lane % 2 == 0
            case "first":
                keep = lane == 0
            case _:
                return np.where(lanes.sign, 0.0, seen)
        return np.where(keep, seen, 0.0)


class _Neighbour(Model):
    """S15: amax of other blocks, or of more of them."""

    column, alone = 2, False

    def scales(self, x: npt.NDArray[Any]) -> Scales:
        self._around = self.around
        if self._around is None:
            self._around = neighbours(self.look(x).magnitude.max(1, initial=0.0))
        return super().scales(x)

    def amax(self, seen: Floats) -> Floats:
        own = super().amax(seen)
        if self._around is None or len(self._around) != len(own):
            return own
        other = self._around[:, self.column]
        return np.where(other > 0, other, own) if self.alone else np.maximum(own, other)


class _OtherLargest(Model):
    """E15: the scale is for another largest number."""

    factor, more = 1.0, 1.0

    def largest(self) -> np.float32:
        return np.float32(float(self.fmt.largest) * self.factor + self.more)


class _Inverted(Model):
    """S16: the inverse of the scale is stored."""

    def scales(self, x: npt.NDArray[Any]) -> Scales:
        found = super().scales(x)
        with np.errstate(all="ignore"):
            return np.where(found > 0, np.float32(1) / found, found).astype(np.float32)


class _NotDivided(Model):
    """S16: amax itself is the scale."""

    def divided(self, amax: Any, largest: np.float32) -> Any:
        del largest
        return amax


def _is_e4m3(fmt: BDRFormat) -> bool:
    return fmt.element is Element.E4M3


def _is_two_level(fmt: BDRFormat) -> bool:
    return fmt.subscale is SubscaleKind.INT


def _offsets() -> tuple[BDRFault, ...]:
    found = [
        BDRFault("S6", f"the code is {abs(by)} too {'large' if by > 0 else 'small'}", "scale",
                 of(_Offset, offset=by), is_power)
        for by in (1, -1, 2, -2, 127, -127)
    ]  # fmt: skip
    found += [
        BDRFault("S4", "the width of the element is subtracted, as for integers", "scale",
                 of(_ByWidth, factor=-1, extra=1), lambda f: is_power(f) and f.m > 3),
        BDRFault("S4", "the width of the element is added", "scale",
                 of(_ByWidth, factor=1, extra=1), lambda f: is_power(f) and f.m > 3),
    ]  # fmt: skip
    return tuple(found)


def _set(detail: str, which: str) -> BDRFault:
    return BDRFault("S15", detail, "scale", of(_Selected, which=which))


_OF_QUOTIENTS: tuple[tuple[str, str, type[Model], Callable[[BDRFormat], bool]], ...] = (
    ("E15", "the scale is for one more than the largest integer", _OtherLargest, _has_integers),
    ("E15", "the scale is for one less than the largest integer",
     of(_OtherLargest, more=-1.0), _has_integers),
    ("E15", "the scale is for 240, as in FNUZ",
     of(_OtherLargest, factor=0.0, more=240.0), _is_e4m3),
    ("S16", "amax itself is the scale", _NotDivided, _is_float),
)  # fmt: skip


SCALE_FAULTS: tuple[BDRFault, ...] = (
    BDRFault("S1", "", "scale", _Quotient, is_power),
    BDRFault("S3", "", "scale", _NearestLog, is_power),
    BDRFault("S2", "", "scale", of(_NearestLog, threshold=1.5), is_power),
    BDRFault("S5", "", "scale", _Ceil, is_power),
    BDRFault("S10", "ceil(log2(amax / largest))", "scale", of(_Quotient, up=True), is_power),
    *_offsets(),
    BDRFault("S7", "bfloat16", "scale", _Narrowed),
    BDRFault("S7", "float16", "scale", of(_Narrowed, type="float16")),
    BDRFault("S8", "log2 in float32", "scale", _InexactLog, is_power),
    BDRFault("S11", "the code wraps", "scale", _Wraps, is_power),
    BDRFault("S11", "code 0 does not exist", "scale", _Least, is_power),
    BDRFault("S11", "the largest code does not exist", "scale", _Most, is_power),
    *(
        BDRFault("S11", f"amax is at least {epsilon:g}", "scale", of(_Epsilon, epsilon=epsilon))
        for epsilon in _EPSILONS
    ),
    BDRFault("S11", "an infinity counts as the largest number", "scale", _InfinitySets),
    BDRFault("S12", "a block of zeros gets the scale NaN", "scale", _NaNOfZeros),
    BDRFault("S13", "only a NaN in the first place is seen", "scale", of(_NaNSomewhere, last=0)),
    BDRFault("S13", "only a NaN in the first half is seen", "scale", _NaNSomewhere),
    BDRFault("S13", "only a NaN in the second half is seen", "scale",
             of(_NaNSomewhere, first=1, last=2)),
    _set("the first element is missed", "first missed"),
    _set("the last element is missed", "last missed"),
    _set("the first half only", "first half"),
    _set("every other element", "even places"),
    _set("the first element only", "first"),
    _set("the largest, not the largest magnitude", "signed"),
    BDRFault("S15", "two blocks together", "scale", _Neighbour),
    BDRFault("S15", "the block before", "scale", of(_Neighbour, column=0, alone=True)),
    BDRFault("S15", "the block behind", "scale", of(_Neighbour, column=1, alone=True)),
    *(
        BDRFault(fault, detail, stage, model, fits if stage == "scale" else _is_two_level,
                 is_copy=stage != "scale")
        for fault, detail, model, fits in _OF_QUOTIENTS
        for stage in ("scale", "subscale")
    ),
    BDRFault("S16", "the inverse is stored", "scale", _Inverted, _is_float),
)  # fmt: skip
"""Every scale fault."""
