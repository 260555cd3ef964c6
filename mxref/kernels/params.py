"""The integers that a lane program reads: a format and a policy, flattened.

One array of words for each (source, format, policy). Programs and loops address it by the
members of `P`, so that one compiled kernel serves every format.
"""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mxref import _choices as choice
from mxref.formats import BlockFormat, ElementFormat, Kind, ScaleFormat
from mxref.policy import Policy

__all__ = [
    "SOURCES",
    "P",
    "Source",
    "block_parameters",
    "element_parameters",
    "rounding_code",
    "scale_parameters",
    "threshold",
]


@dataclass(frozen=True, slots=True)
class Source:
    """An input type: an IEEE 754 interchange format, or bfloat16.

    `width` and `mantissa_bits` are those of the words that programs work in: the 16-bit types are
    widened to float32 first, which is exact.
    """

    name: str
    storage: str
    width: int
    mantissa_bits: int
    bias: int
    infinity: int

    @property
    def word(self) -> np.dtype[Any]:
        """NumPy type of the words that programs work in."""
        return np.dtype(f"uint{self.width}")


_BINARY32 = (32, 23, 127, 0xFF << 23)
SOURCES: dict[str, Source] = {
    "float32": Source("float32", "uint32", *_BINARY32),
    "float64": Source("float64", "uint64", 64, 52, 1023, 0x7FF << 52),
    "float16": Source("float16", "uint16", *_BINARY32),
    "bfloat16": Source("bfloat16", "uint16", *_BINARY32),
}
"""Input types by name."""


class P(enum.IntEnum):
    """Places in the array of parameters."""

    # Element, as an encoder sees it.
    SHIFT = 0  # significand bits dropped from a normal value: source mantissa - element mantissa
    DROP_LIMIT = 1  # further bits dropped at most: beyond it nothing but a sticky bit is left
    MANTISSA = 2
    MAX_CODE = 3  # magnitude code of the largest finite value
    INT8_EXTRA = 4  # 1 where a negative value may reach one step beyond MAX_CODE
    OVERFLOW_CODE = 5  # magnitude code of a finite value that rounds beyond MAX_CODE
    OVERFLOW_KEEP = 6  # 1 where that code keeps the sign
    OVERFLOW_INWARD = 7  # the same where the rounding direction points toward zero
    INF_CODE = 8
    NAN_CODE = 9
    NAN_KEEP = 10  # 1 where NaN keeps its sign
    NAN_FLIP = 11  # 1 where it is then inverted
    KEEP_ZERO = 12  # 1 where a negative zero stays negative
    SIGN_SHIFT = 13
    INFINITY = 14  # bits of infinity in the source
    ORIGIN = 15  # exponent field at which a value has the element's emin, for a scale of one
    NAN_BYTE = 16  # whole code of every element below a NaN scale
    ALWAYS_FULL = 17  # 1 where the short encoder would not do what the policy says

    # Scale selection.
    THETA = 18  # significand field from which the exponent is one higher
    REBIAS = 19  # scale bias - source bias - emax, modulo two to the width
    ABOVE_CODE = 20
    ZERO_CODE = 21
    NAN_POLICY = 22  # 1: a NaN gives the NaN scale
    INF_POLICY = 23  # 1: an infinity gives the NaN scale; 2: the largest scale
    SCALE_INF_CODE = 24  # scalar cast only
    SCALE_NEGATIVE_NAN = 25  # scalar cast only: 1 where a negative number is NaN

    # Element, as a decoder sees it (words of float32).
    DECODE_MANTISSA = 26  # mantissa bits; one more for a fixed-point element
    DECODE_BIAS = 27
    MAGNITUDE_MASK = 28
    DECODE_MAX = 29  # magnitude codes above are special
    DECODE_INF = 30  # the one among them that is infinity
    DECODE_OVERFLOW = 31  # float32 bits of a value beyond float32
    DECODE_NAN_KEEP = 32  # 1 where NaN keeps its sign
    FIRST_PLAIN_SCALE = 33  # between these two, no result is subnormal or overflows
    LAST_PLAIN_SCALE = 34


_ROUNDINGS = {mode: code for code, mode in enumerate(choice.Rounding)}
# What a finite value beyond max becomes under SAT-less FP8 depends on where the mode points, as
# overflow does in IEEE 754, section 7.4: toward zero it stays at max.
_INWARD = {choice.Rounding.TOWARD_ZERO, choice.Rounding.TO_ODD}


def rounding_code(policy: Policy) -> int:
    """Return the small integer by which a program knows the rounding mode."""
    return _ROUNDINGS[policy.rounding]


def threshold(rule: choice.ScaleRule, element: ElementFormat, mantissa_bits: int) -> int:
    """Return the significand field of amax from which a scale rule goes one exponent up.

    Every power-of-two rule has the form ``exponent - emax + [field >= threshold]``; the values
    are those of the table in section 7 of the semantics reference, derived here.

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
        case choice.ScaleRule.FLOOR:
            return one  # never
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


def _fill(values: dict[P, int], width: int) -> np.ndarray[Any, Any]:
    mask = (1 << width) - 1
    return np.array([values.get(place, 0) & mask for place in P], np.dtype(f"uint{width}"))


def _encoder(source: Source, element: ElementFormat, policy: Policy) -> dict[P, int]:
    is_fixed = element.kind is Kind.FIXED
    maximum = element.max_magnitude
    values = {
        P.SHIFT: source.mantissa_bits - element.mantissa_bits,
        P.DROP_LIMIT: element.mantissa_bits + 3,
        P.MANTISSA: element.mantissa_bits,
        P.MAX_CODE: maximum,
        P.INT8_EXTRA: int(is_fixed and policy.int8_min is choice.Int8Min.USED),
        P.OVERFLOW_CODE: maximum,
        P.OVERFLOW_KEEP: 1,
        P.INF_CODE: maximum,
        P.KEEP_ZERO: int(policy.neg_zero is choice.NegZero.KEEP),
        P.SIGN_SHIFT: element.bits - 1,
        P.INFINITY: source.infinity,
        P.ORIGIN: source.bias + element.emin,
    }
    overflows = element.is_fp8 and policy.fp8_overflow is choice.FP8Overflow.OVERFLOW
    if overflows:
        beyond = element.inf_magnitude if element.has_inf else max(element.nan_magnitudes)
        signed = element.has_inf or policy.nan_payload is not choice.NanPayload.CANONICAL
        values[P.OVERFLOW_CODE] = values[P.INF_CODE] = beyond or 0
        values[P.OVERFLOW_KEEP] = int(signed)
        values[P.OVERFLOW_INWARD] = int(policy.rounding in _INWARD)
    values |= _nan(element, policy)
    # The short encoder saturates, keeps -0 and has no specials.
    values[P.ALWAYS_FULL] = int(overflows or policy.neg_zero is choice.NegZero.DROP)
    nan_sign = values[P.NAN_FLIP]  # of a positive NaN
    nan_code = values[P.NAN_CODE]
    if is_fixed or (nan_code == 0 and not values[P.KEEP_ZERO]):
        nan_sign = 0
    values[P.NAN_BYTE] = nan_code | (nan_sign << (element.bits - 1))
    return values


def _nan(element: ElementFormat, policy: Policy) -> dict[P, int]:
    """NaN -> FP8: OP-NAN-PAYLOAD; NaN -> FP6, FP4, INT8: OP-NAN-ELEMENT."""
    if element.has_nan:
        quiet = policy.nan_payload is choice.NanPayload.QUIET_SIGNED and element.has_inf
        code = (max(element.nan_magnitudes) - 1) if quiet else max(element.nan_magnitudes)
        keep = policy.nan_payload is not choice.NanPayload.CANONICAL
        return {P.NAN_CODE: code, P.NAN_KEEP: int(keep), P.NAN_FLIP: 0}
    match policy.nan_element:
        case choice.NanElement.SIGNED_MAX:
            return {P.NAN_CODE: element.max_magnitude, P.NAN_KEEP: 1, P.NAN_FLIP: 0}
        case choice.NanElement.ZERO:
            return {P.NAN_CODE: 0, P.NAN_KEEP: 0, P.NAN_FLIP: 0}
        case choice.NanElement.FLIPPED_ZERO:
            return {P.NAN_CODE: 0, P.NAN_KEEP: 1, P.NAN_FLIP: 1}
        case _:  # POS_MAX; under RAISE the caller has refused the input already
            return {P.NAN_CODE: element.max_magnitude, P.NAN_KEEP: 0, P.NAN_FLIP: 0}


_E8M0_CODE = {
    choice.ScaleZeroBlock.MIN: 0x00,
    choice.ScaleZeroBlock.ONE: 0x7F,
    choice.ScaleZeroBlock.NAN: 0xFF,
}


def _scale(source: Source, fmt: BlockFormat, policy: Policy) -> dict[P, int]:
    element, scale = fmt.element, fmt.scale
    inf_policy = {choice.ScaleInf.IGNORE: 0, choice.ScaleInf.SATURATE: 2}.get(policy.scale_inf, 1)
    above = policy.scale_above is choice.ScaleAbove.NAN
    return {
        P.THETA: threshold(policy.scale_rule, element, source.mantissa_bits),
        P.REBIAS: scale.bias - source.bias - element.emax,
        P.ABOVE_CODE: scale.nan_code if above else scale.max_code,
        P.ZERO_CODE: _E8M0_CODE.get(policy.scale_zero_block, scale.bias - element.emax),
        P.NAN_POLICY: int(policy.scale_nan is not choice.ScaleNan.IGNORE),
        P.INF_POLICY: inf_policy,
    }


def _decoder(element: ElementFormat, policy: Policy) -> dict[P, int]:
    is_fixed = int(element.kind is Kind.FIXED)
    saturates = policy.decode_overflow is choice.DecodeOverflow.SATURATE
    infinity = SOURCES["float32"].infinity
    # INT8 is read as though it had one mantissa bit more and no exponent: 2 is then a power of two.
    mantissa, bias = element.mantissa_bits + is_fixed, element.bias - is_fixed
    return {
        P.DECODE_MANTISSA: mantissa,
        P.DECODE_BIAS: bias,
        P.MAGNITUDE_MASK: (element.code_count - 1) if is_fixed else element.sign_mask - 1,
        P.DECODE_MAX: (1 << 8) if is_fixed else element.max_magnitude,
        P.DECODE_INF: element.inf_magnitude if element.inf_magnitude is not None else 1 << 9,
        P.DECODE_OVERFLOW: infinity - saturates,
        P.DECODE_NAN_KEEP: int(policy.decode_nan is choice.DecodeNan.SIGNED),
        P.FIRST_PLAIN_SCALE: 1 + mantissa - (1 - bias),
        P.LAST_PLAIN_SCALE: 254 - element.emax - is_fixed,
        P.SIGN_SHIFT: element.bits - 1,
    }


@functools.lru_cache(maxsize=256)
def element_parameters(
    source: Source, element: ElementFormat, policy: Policy
) -> np.ndarray[Any, Any]:
    """Parameters of an element cast, both ways."""
    return _fill(_decoder(element, policy) | _encoder(source, element, policy), source.width)


@functools.lru_cache(maxsize=256)
def block_parameters(source: Source, fmt: BlockFormat, policy: Policy) -> np.ndarray[Any, Any]:
    """Parameters of a block conversion, both ways."""
    element = fmt.element
    values = _decoder(element, policy) | _encoder(source, element, policy)
    return _fill(values | _scale(source, fmt, policy), source.width)


@functools.lru_cache(maxsize=64)
def scale_parameters(source: Source, scale: ScaleFormat, policy: Policy) -> np.ndarray[Any, Any]:
    """Parameters of E8M0 as a scalar cast: scale selection with emax 0 and its own specials."""
    one = 1 << source.mantissa_bits
    theta = {choice.E8M0Rounding.DOWN: one, choice.E8M0Rounding.UP: 1}
    overflow_nan = policy.e8m0_overflow is choice.E8M0Overflow.NAN
    inf_nan = policy.e8m0_inf is choice.E8M0Inf.NAN
    values = {
        P.INFINITY: source.infinity,
        P.THETA: theta.get(policy.e8m0_rounding, one >> 1),
        P.REBIAS: scale.bias - source.bias,
        P.ABOVE_CODE: scale.nan_code if overflow_nan else scale.max_code,
        P.ZERO_CODE: scale.nan_code if policy.e8m0_zero is choice.E8M0Zero.NAN else 0,
        P.SCALE_INF_CODE: scale.nan_code if inf_nan else scale.max_code,
        P.SCALE_NEGATIVE_NAN: int(policy.e8m0_negative is choice.E8M0Negative.NAN),
    }
    return _fill(values, source.width)
