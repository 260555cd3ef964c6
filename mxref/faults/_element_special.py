"""Element faults at the ends: overflow, infinity, NaN, dialects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from mxref.faults.encoder import Bytes, Encoder, Floats, Ints, Lanes
from mxref.formats import ElementFormat, Kind

__all__ = ["special_models"]

_Row = tuple[str, str, type[Encoder], Mapping[str, str]]


class _InvertedSaturation(Encoder):
    """E13: saturates where overflow was asked, and the reverse."""

    def overflows(self) -> bool:
        return not super().overflows()


class _ModeBlind(Encoder):
    """E13: overflow ignores that the rounding mode points toward zero."""

    def points_to_zero(self, lanes: Lanes) -> npt.NDArray[np.bool_]:
        return np.zeros(lanes.sign.shape, np.bool_)


class _EarlyThreshold(Encoder):
    """E13: what exceeds the largest number overflows, even if it would round down to it."""

    def assemble(self, lanes: Lanes, rounded: Ints) -> Ints:
        code = super().assemble(lanes, rounded)
        return np.where(lanes.magnitude > float(self.fmt.max), self.fmt.max_magnitude + 1, code)


class _Collision(Encoder):
    """E14: a value that rounds to the code behind the largest number gets that code."""

    whole_binade = False
    keeps_sign = True

    def overflow(self, lanes: Lanes) -> None:
        top = self.fmt.max_magnitude
        hit = (lanes.code == top + 1) & ~lanes.inf & ~lanes.nan
        if self.whole_binade:
            hit |= (lanes.code > top) & (lanes.exponent == self.fmt.emax)
        super().overflow(lanes)
        if self.keeps_sign:
            lanes.code = np.where(hit, top + 1, lanes.code)
        else:
            self.make_special(lanes, hit)


class _WideNan(Encoder):
    """E14: large finite values are taken for NaN."""

    def overflow(self, lanes: Lanes) -> None:
        low, high = 2.0 ** (self.fmt.emax + 1), 57344.0
        hit = (lanes.magnitude >= low) & (lanes.magnitude <= high)
        super().overflow(lanes)
        lanes.nan = lanes.nan | hit


class _WrongMax(Encoder):
    """E15: the constant for the largest number is another number."""

    top = 0

    def overflow(self, lanes: Lanes) -> None:
        super().overflow(lanes)
        finite = lanes.code <= self.fmt.max_magnitude
        lanes.code = np.where(finite, np.minimum(lanes.code, self.top), lanes.code)


class _Int8Wraps(Encoder):
    """E15: the rounded integer is cut to 8 bits, not clamped."""

    def overflow(self, lanes: Lanes) -> None:
        finite = lanes.code
        super().overflow(lanes)
        lanes.code = np.where(lanes.inf, lanes.code, finite)


class _Int8MinUsed(Encoder):
    """E15: -128 is produced where the range should be symmetric."""

    def int8_magnitude(self, lanes: Lanes, negative: npt.NDArray[np.bool_]) -> Ints:
        self.policy = self.policy.replace(int8_min="used")
        return super().int8_magnitude(lanes, negative)


class _InfSpecial(Encoder):
    """E16: infinity stays special although finite overflow saturates."""

    def overflow(self, lanes: Lanes) -> None:
        super().overflow(lanes)
        self.make_special(lanes, lanes.inf)


class _InfFinite(Encoder):
    """E16: infinity becomes the largest number although finite overflow does not."""

    def overflow(self, lanes: Lanes) -> None:
        inf, nan = lanes.inf, lanes.nan
        super().overflow(lanes)
        lanes.code = np.where(inf, self.fmt.max_magnitude, lanes.code)
        lanes.nan = np.where(inf, nan, lanes.nan)


class _InfNan(Encoder):
    """E16: infinity becomes NaN in a format that has an infinity."""

    def classify(self, x: Floats) -> Lanes:
        lanes = super().classify(x)
        lanes.nan, lanes.inf = lanes.nan | lanes.inf, np.zeros_like(lanes.inf)
        return lanes


class _InfZero(Encoder):
    """E17: infinity becomes zero."""

    def classify(self, x: Floats) -> Lanes:
        lanes = super().classify(x)
        lanes.inf = np.zeros_like(lanes.inf)
        return lanes


class _NanTo(Encoder):
    """E18: NaN gets a code that no policy gives it."""

    code = 0
    signed = False

    def nan_codes(self, lanes: Lanes) -> Ints:
        signs = lanes.sign.astype(np.int64) * self.fmt.sign_mask * self.signed
        return np.full(lanes.sign.shape, self.code) | signs


class _Fnuz(Encoder):
    """E24: codes of the FNUZ dialect: bias one higher, 0x80 the only NaN, no infinity."""

    def scale(self, lanes: Lanes, scale_codes: npt.NDArray[np.int32]) -> None:
        super().scale(lanes, scale_codes)
        lanes.magnitude = lanes.magnitude * 2

    def overflow(self, lanes: Lanes) -> None:
        over = (lanes.code > 0x7F) | lanes.inf
        lanes.code = np.where(over, 0x7F, lanes.code)
        if self.overflows():
            lanes.nan = lanes.nan | over

    def pack(self, lanes: Lanes) -> Bytes:
        sign = lanes.sign & (lanes.code != 0)
        code = lanes.code | (sign.astype(np.int64) * self.fmt.sign_mask)
        return np.where(lanes.nan, 0x80, code).astype(np.uint8)


def special_models(fmt: ElementFormat) -> Iterator[_Row]:
    """Rows of `mxref.faults.element.ElementModel`: id, detail, encoder, legal change."""
    if fmt.is_fp8:
        yield from _fp8_overflow(fmt)
        yield "E24", "FNUZ in place of OCP", _Fnuz, {}
    if fmt.kind is Kind.FIXED:
        used = {"int8_min": "used"}
        yield "E15", "-128 in place of -127", _Int8MinUsed, used
        yield "E15", "128 wraps to -128", _Int8Wraps, {}
    else:
        tops = {fmt.max_magnitude - 1} | ({0x77, 0x76} if fmt.name == "e4m3" else set())
        for top in sorted(tops, reverse=True):
            detail = f"{_value(fmt, top):g} in place of {float(fmt.max):g}"
            yield "E15", detail, _variant(_WrongMax, top=top), {}
    yield "E17", "", _InfZero, {}
    yield from _nan_models(fmt)


def _fp8_overflow(fmt: ElementFormat) -> Iterator[_Row]:
    yield "E13", "the other of SAT and OVF", _InvertedSaturation, {"fp8_overflow": "overflow"}
    yield "E13", "blind to the rounding mode", _ModeBlind, {}
    yield "E13", "threshold at the largest number, before rounding", _EarlyThreshold, {}
    yield "E14", "the code behind the largest number", _Collision, {}
    if not fmt.has_inf:
        unsigned = {"keeps_sign": False}
        yield "E14", "NaN where that code is due", _variant(_Collision, **unsigned), {}
        for flags, sign in (({}, ""), (unsigned, ", without its sign")):
            whole = _variant(_Collision, whole_binade=True, **flags)
            yield "E14", f"NaN up to the end of the top binade{sign}", whole, {}
        yield "E14", "NaN for large finite values", _WideNan, {}
    legal = {"fp8_overflow": "propagate"} if fmt.has_inf else {}
    yield "E16", "infinity kept while finite values saturate", _InfSpecial, legal
    yield "E16", "infinity made finite while finite values overflow", _InfFinite, {}
    if fmt.has_inf:
        yield "E16", "infinity made NaN", _InfNan, {}


def _nan_models(fmt: ElementFormat) -> Iterator[_Row]:
    top, sign = fmt.max_magnitude, fmt.sign_mask
    if fmt.kind is Kind.FIXED:
        constants = {0x80: "the integer minimum", sign | 1: "-127"}
        signed = {}
    elif fmt.has_nan:
        constants = {0: "zero", top: "the largest number"}
        signed = {0: "zero with the sign of the NaN", top: "the largest number, sign kept"}
        payloads = sorted(fmt.nan_magnitudes)
        constants |= {m | s: f"always 0x{m | s:02x}" for s in (0, sign) for m in payloads}
        signed |= {m: f"0x{m:02x} with the sign of the NaN" for m in payloads}
        if fmt.inf_magnitude is not None:
            signed[fmt.inf_magnitude] = "infinity"
        # What is left when the legal codes are taken out: see OP-NAN-PAYLOAD.
        del constants[0x7F], constants[0xFF], signed[0x7F]
        signed.pop(0x7E if fmt.has_inf else 0x7F, None)
    else:
        constants = {sign | top: "the largest negative number", sign: "-0"}
        signed = {0: "zero with the sign of the NaN"}
    for code, detail in constants.items():
        yield "E18", detail, _variant(_NanTo, code=code), {}
    for code, detail in signed.items():
        yield "E18", detail, _variant(_NanTo, code=code, signed=True), {}


def _value(fmt: ElementFormat, magnitude: int) -> float:
    """Value of a normal magnitude code."""
    mantissa = 1 + (magnitude & ((1 << fmt.mantissa_bits) - 1)) / 2**fmt.mantissa_bits
    return float(mantissa * 2.0 ** ((magnitude >> fmt.mantissa_bits) - fmt.bias))


def _variant(base: type[Encoder], **attributes: float | bool) -> type[Encoder]:
    return type(base.__name__, (base,), dict(attributes))
