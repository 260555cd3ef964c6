"""The scalar cast to E8M0 and its faults S9, S11 and S17.

Exact in float64: see `mxref.faults.scale`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.encoder import Bools, Bytes, Floats, Ints, as_float64
from mxref.faults.scale import bits_significand, split
from mxref.policy import Policy

__all__ = [
    "FULL_MASK",
    "CastModel",
    "E8M0Cast",
    "cast_mask_model",
    "cast_models",
    "constant_model",
    "end_models",
    "masked_bits",
    "special_values",
    "tie_model",
]

FULL_MASK = (1 << 23) - 1
"""All bits of a float32 significand behind the point."""

_NAN, _MAX, _BIAS = 0xFF, 0xFE, 127
_LOWEST = 2.0**-126  # below it a float32 is subnormal


class E8M0Cast:
    """The correct cast of real numbers to E8M0; a fault overrides a step.

    Examples
    --------
    >>> E8M0Cast(Policy()).encode(np.array([1.0, 1.9, 0.0, -1.0, np.inf]))
    array([127, 127,   0, 255, 255], dtype=uint8)
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def encode(self, x: npt.NDArray[Any]) -> Bytes:
        """Cast values of any source type to scale codes."""
        value = as_float64(x)
        nan, inf, zero = np.isnan(value), np.isinf(value), value == 0
        negative = (value < 0) & (self.policy.e8m0_negative == "nan")
        regular = ~(nan | inf | zero)
        magnitude = np.where(regular, np.abs(value), 1.0)
        code = self.to_code(self.exponent(magnitude), magnitude)
        code = np.where(inf, _MAX if self.policy.e8m0_inf == "saturate" else _NAN, code)
        code = np.where(zero, self.zero_code(), code)
        return np.where(nan | negative, _NAN, code).astype(np.uint8)

    def zero_code(self) -> int:
        """Code of zero."""
        return 0 if self.policy.e8m0_zero == "min" else _NAN

    def exponent(self, magnitude: Floats) -> Ints:
        """Round to a power of two."""
        m, exponent = split(magnitude)
        small = (magnitude < _LOWEST) & (self.policy.e8m0_subnormal == "bits")
        exponent = np.where(small, -_BIAS, exponent)
        m = np.where(small, bits_significand(np.where(small, magnitude, 0.0)), m)
        return exponent + self.goes_up(m, exponent).astype(np.int64)

    def goes_up(self, m: Floats, exponent: Ints) -> Bools:
        """Whether a significand rounds to the next power of two."""
        match self.policy.e8m0_rounding.value:
            case "up":
                return np.asarray(m > 1)
            case "nearest":
                return np.asarray(m >= 1.5)
            case "nearest-even":  # the code is exponent + 127: odd where the exponent is even
                return np.asarray((m > 1.5) | ((m == 1.5) & (exponent & 1 == 0)))
        return np.zeros(m.shape, np.bool_)

    def to_code(self, exponent: Ints, magnitude: Floats) -> Ints:  # noqa: ARG002
        """Bring an exponent into range."""
        above = _MAX if self.policy.e8m0_overflow == "saturate" else _NAN
        below = 0 if self.policy.e8m0_underflow == "min" else _NAN
        code = exponent + _BIAS
        return np.where(code > _MAX, above, np.where(code < 0, below, code))


class _TieByExponent(E8M0Cast):
    """S9: a tie is decided by the last bit of the exponent field."""

    def goes_up(self, m: Floats, exponent: Ints) -> Bools:
        even = E8M0Cast(self.policy.replace(e8m0_rounding="nearest-even"))
        return even.goes_up(m, exponent)


class _TieDown(E8M0Cast):
    """S9: a tie goes down."""

    def goes_up(self, m: Floats, exponent: Ints) -> Bools:  # noqa: ARG002
        return np.asarray(m > 1.5)


class _LowestBinade(E8M0Cast):
    """S17: what lies above the smallest scale goes to the next one, although it is farther."""

    def to_code(self, exponent: Ints, magnitude: Floats) -> Ints:
        code = super().to_code(exponent, magnitude)
        between = (magnitude > 2.0**-127) & (magnitude < 1.5 * 2.0**-127)
        return np.where(between, 1, code)


class _Wraps(E8M0Cast):
    """S11: the exponent is cut to 8 bits instead of clamped."""

    def to_code(self, exponent: Ints, magnitude: Floats) -> Ints:  # noqa: ARG002
        return (exponent + _BIAS) & 0xFF


@dataclass(frozen=True, slots=True, eq=False)
class CastModel:
    """An executable fault of the cast to E8M0, as `mxref.faults.scale.ScaleModel`."""

    id: str
    detail: str
    cast: type[E8M0Cast]
    legal_change: Mapping[str, str] = field(default_factory=dict)


def cast_models() -> tuple[CastModel, ...]:
    """Every fault of the cast to E8M0.

    Examples
    --------
    >>> [model.id for model in cast_models()]
    ['S17', 'S9', 'S9', 'S11']
    """
    return (
        CastModel("S17", "", _LowestBinade),
        CastModel(
            "S9",
            "by the last bit of the exponent field",
            _TieByExponent,
            {"e8m0_rounding": "nearest-even"},
        ),
        CastModel("S9", "downward", _TieDown),
        CastModel("S11", "the code wraps modulo 256", _Wraps),
    )


# --- more of them -----------------------------------------------------------------------------


class _Shifted(E8M0Cast):
    """S6: the code is off by a constant."""

    shift = 1

    def exponent(self, magnitude: Floats) -> Ints:
        return super().exponent(magnitude) + self.shift


class _OtherRounding(E8M0Cast):
    """S10: rounded to a power of two by another rule."""

    rounding = "up"

    def goes_up(self, m: Floats, exponent: Ints) -> Bools:
        other = E8M0Cast(self.policy.replace(e8m0_rounding=self.rounding))
        return other.goes_up(m, exponent)


class _Constant(E8M0Cast):
    """S11: a special value, or a number that no code has, gets a code without meaning."""

    what = "NaN"
    code = 0

    def encode(self, x: npt.NDArray[Any]) -> Bytes:
        where = special_values(as_float64(x))[self.what]
        return np.where(where, self.code, super().encode(x)).astype(np.uint8)


class _LowestIsOne(E8M0Cast):
    """S11: the smallest code is 1."""

    def encode(self, x: npt.NDArray[Any]) -> Bytes:
        return np.maximum(super().encode(x), 1)


def end_models() -> tuple[CastModel, ...]:
    """More faults of the cast to E8M0: S6, S10, and the ends and special values of S11.

    Examples
    --------
    >>> sorted({model.id for model in end_models()})
    ['S10', 'S11', 'S6']
    """
    models = []
    for shift in (-1, 1):
        cast = type("Shifted", (_Shifted,), {"shift": shift})
        models.append(CastModel("S6", f"{shift:+d}", cast))
    for rounding in ("down", "up", "nearest"):
        cast = type("OtherRounding", (_OtherRounding,), {"rounding": rounding})
        models.append(CastModel("S10", rounding, cast, {"e8m0_rounding": rounding}))
    codes = {
        "NaN": (0x00, 0x7F, 0xFE),
        "infinity": (0x00, 0x7F, 0x80),
        "zero": (0x01, 0x7F),
        "a negative number": (0x00, 0x7F),
    }
    for what, wrong in codes.items():
        models += [constant_model(what, code) for code in wrong]
    models.append(CastModel("S11", "clamped at 0x01", _LowestIsOne))
    return tuple(models)


def special_values(value: Floats) -> dict[str, npt.NDArray[np.bool_]]:
    """Where the special values are, and the numbers that no code has."""
    return {
        "NaN": np.isnan(value),
        "infinity": np.isposinf(value),
        "zero": value == 0,
        "a negative number": (value < 0) & np.isfinite(value),
    }


def constant_model(what: str, code: int) -> CastModel:
    """S11 with one code for one kind of `special_values`.

    Examples
    --------
    >>> constant_model("NaN", 0).detail
    'NaN gives 0x00'
    """
    cast = type("Constant", (_Constant,), {"what": what, "code": code})
    return CastModel("S11", f"{what} gives 0x{code:02x}", cast)


def masked_bits(m: Floats, goes_up: npt.NDArray[np.bool_]) -> int:
    """The bits of a significand that can decide whether a rule goes up: any other had its chance.

    Examples
    --------
    >>> hex(masked_bits(np.array([1.0, 1.5]), np.array([False, False])))
    '0x3fffff'
    """
    fraction = ((m - 1) * 2.0**23).astype(np.int64)
    seen = np.bitwise_or.reduce(fraction[~goes_up], initial=0)
    return FULL_MASK & ~int(seen)


class _TieByUnbiased(E8M0Cast):
    """S9: a tie is decided by the last bit of the unbiased exponent."""

    def goes_up(self, m: Floats, exponent: Ints) -> Bools:
        return np.asarray((m > 1.5) | ((m == 1.5) & (exponent & 1 == 1)))


def tie_model() -> CastModel:
    """S9 by the unbiased exponent: the code that comes out is odd.

    Examples
    --------
    >>> tie_model().cast(Policy()).encode(np.array([1.5, 3.0]))
    array([127, 129], dtype=uint8)
    """
    return CastModel("S9", "by the last bit of the unbiased exponent", _TieByUnbiased)


class _Masked(E8M0Cast):
    """S8: rounding up looks at some bits of the significand only."""

    mask = FULL_MASK

    def goes_up(self, m: Floats, exponent: Ints) -> Bools:  # noqa: ARG002
        return np.asarray(((m - 1) * 2.0**23).astype(np.int64) & self.mask != 0)


def cast_mask_model(mask: int) -> CastModel:
    """S8 with one mask, as `masked_bits` reads it off.

    Examples
    --------
    >>> cast_mask_model(0x4FFFFF).detail
    'rounded up, but only bits 0x4fffff of the mantissa count'
    """
    cast = type("Masked", (_Masked,), {"mask": mask})
    return CastModel("S8", f"rounded up, but only bits 0x{mask:06x} of the mantissa count", cast)
