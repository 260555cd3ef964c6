"""The integers that a lane program reads: a format and a policy, flattened into one array."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mxref import _choices as choice
from mxref.formats import BlockFormat, ElementFormat, Kind, ScaleFormat
from mxref.kernels import tables
from mxref.kernels.places import SOURCES, TABLE_LENGTH, TABLE_LIFT, P, Source
from mxref.kernels.programs import Part
from mxref.policy import Policy

__all__ = [
    "block_parameters",
    "element_parameters",
    "encoder_parts",
    "random_bits",
    "rounding_code",
    "scale_is_tabled",
    "scale_parameters",
]


_ROUNDINGS = {mode: code for code, mode in enumerate(choice.Rounding)}
# What a finite value beyond max becomes under SAT-less FP8 depends on where the mode points, as
# overflow does in IEEE 754, section 7.4: toward zero it stays at max. To odd: exact.element says.
_INWARD = {
    choice.FP8Overflow.OVERFLOW: {choice.Rounding.TOWARD_ZERO, choice.Rounding.TO_ODD},
    choice.FP8Overflow.SAT_NONE: {choice.Rounding.TOWARD_ZERO},
}


def rounding_code(policy: Policy) -> int:
    """Return the small integer by which a program knows the rounding mode."""
    return _ROUNDINGS[policy.rounding]


@functools.lru_cache(maxsize=256)
def encoder_parts(element: ElementFormat, policy: Policy) -> tuple[int, int]:
    """Return the parts of the encoder that a policy needs: for plain blocks, and for any input.

    A block is plain where all is finite and no subnormal input may be a normal element.
    """
    parts = Part(0)
    overflow = _overflow(element, policy)
    if overflow[P.OVERFLOW_CODE] != element.max_magnitude:
        parts |= Part.OVERFLOW
    if policy.neg_zero is choice.NegZero.DROP:
        parts |= Part.DROP_ZERO
    if (
        policy.neg_zero is choice.NegZero.DROP_INPUT
        or policy.relu is choice.Relu.ON
        or policy.input_subnormal is choice.InputSubnormal.FLUSH
    ):
        parts |= Part.CUT_INPUT
    if policy.element_subnormal is choice.ElementSubnormal.FLUSH:
        parts |= Part.FLUSH
    if policy.scaled_intermediate is not choice.ScaledIntermediate.EXACT:
        parts |= Part.INTERMEDIATE
        if overflow[P.INF_CODE] != element.max_magnitude:
            parts |= Part.SPECIALS  # it may overflow to infinity by itself
    return int(parts), int(parts | Part.NORMALIZE | Part.SPECIALS)


def scale_is_tabled(policy: Policy) -> bool:
    """Whether a block's scale comes from the table: the rule's threshold is not all there is."""
    is_rceil = policy.scale_rule is choice.ScaleRule.RCEIL
    if policy.scale_rule in (
        choice.ScaleRule.STOCHASTIC,
        choice.ScaleRule.MSE,
        choice.ScaleRule.MAE,
    ):
        return False  # composed, and never by a loop
    return (
        policy.scale_rule is choice.ScaleRule.P3109
        or policy.scale_log2 is not choice.ScaleLog2.EXACT
        or (is_rceil and policy.scale_quotient is not choice.ScaleQuotient.EXACT)
        or policy.scale_amax is not choice.ScaleAmax.SOURCE
        or policy.scale_below is not choice.ScaleBelow.CLAMP
        or policy.scale_above not in (choice.ScaleAbove.CLAMP, choice.ScaleAbove.NAN)
        or policy.scale_subnormal is not choice.ScaleSubnormal.TRUE
        or policy.input_subnormal is not choice.InputSubnormal.KEEP
    )


def _cast_is_tabled(policy: Policy) -> bool:
    return (
        policy.e8m0_rounding is choice.E8M0Rounding.NEAREST_EVEN
        or policy.e8m0_subnormal is not choice.E8M0Subnormal.TRUE
        or policy.e8m0_underflow is not choice.E8M0Underflow.MIN
    )


def _fill(
    values: dict[int, int], source: Source, codes_of: Callable[..., Any] | None = None
) -> np.ndarray[Any, Any]:
    mask = (1 << source.width) - 1
    words = [values.get(place, 0) & mask for place in range(P.COUNT)]
    f = np.array(words, source.word)
    if codes_of is None:
        return f
    length = TABLE_LENGTH[source.width]
    # A few places more than there are exponents: the last one's entry, again.
    exponents = np.arange(length) - TABLE_LIFT[source.width] - source.bias
    exponents = np.minimum(exponents, source.bias)
    columns = tables.steps(codes_of, exponents, source.mantissa_bits)
    return np.concatenate([f, *(column.astype(f.dtype) for column in columns)])


def _encoder(source: Source, element: ElementFormat, policy: Policy) -> dict[int, int]:
    is_fixed = element.kind is Kind.FIXED
    maximum = element.max_magnitude
    values: dict[int, int] = {
        P.SHIFT: source.mantissa_bits - element.mantissa_bits,
        P.DROP_LIMIT: element.mantissa_bits + 3,
        P.MANTISSA: element.mantissa_bits,
        P.MAX_CODE: maximum,
        P.INT8_EXTRA: int(is_fixed and policy.int8_min is choice.Int8Min.USED),
        P.KEEP_ZERO: int(policy.neg_zero is not choice.NegZero.DROP),
        P.SIGN_SHIFT: element.bits - 1,
        P.INFINITY: source.infinity,
        P.ORIGIN: source.bias + element.emin,
    }
    values |= _overflow(element, policy) | _nan(element, policy)
    nan_sign = values[P.NAN_FLIP]  # of a positive NaN
    nan_code = values[P.NAN_CODE]
    if is_fixed or (nan_code == 0 and not values[P.KEEP_ZERO]):
        nan_sign = 0
    values[P.NAN_BYTE] = nan_code | (nan_sign << (element.bits - 1))
    return values | _extra(source, element, policy)


def _overflow(element: ElementFormat, policy: Policy) -> dict[int, int]:
    """Beyond the largest finite number, and infinity: OP-FP8-OVERFLOW."""
    maximum = element.max_magnitude
    values: dict[int, int] = {P.OVERFLOW_CODE: maximum, P.INF_CODE: maximum, P.OVERFLOW_KEEP: 1}
    mode = policy.fp8_overflow
    if not element.is_fp8 or mode is choice.FP8Overflow.SATURATE:
        return values
    if not element.has_inf:
        if mode is choice.FP8Overflow.OVERFLOW:  # the others saturate where infinity is missing
            values[P.OVERFLOW_CODE] = values[P.INF_CODE] = max(element.nan_magnitudes)
            values[P.OVERFLOW_KEEP] = _keeps_nan_sign(policy)
            values[P.OVERFLOW_FLIP] = int(policy.nan_payload is choice.NanPayload.NEGATIVE)
            values[P.OVERFLOW_INWARD] = int(policy.rounding in _INWARD[mode])
        return values
    values[P.INF_CODE] = element.inf_magnitude or 0
    if mode is not choice.FP8Overflow.PROPAGATE:
        values[P.OVERFLOW_CODE] = values[P.INF_CODE]
        values[P.OVERFLOW_INWARD] = int(policy.rounding in _INWARD[mode])
    return values


def _extra(source: Source, element: ElementFormat, policy: Policy) -> dict[int, int]:
    """What the rarer parts of the encoder read, and the random bits."""
    values: dict[int, int] = {
        P.KEEP_INPUT_ZERO: int(policy.neg_zero is choice.NegZero.KEEP),
        P.RELU: int(policy.relu is choice.Relu.ON),
        P.RANDOM_BITS: random_bits(element, policy),
    }
    if policy.input_subnormal is choice.InputSubnormal.FLUSH:
        _, emin, _ = tables.type_limits(source.name)
        values[P.INPUT_MIN] = (emin + source.bias) << source.mantissa_bits
    is_float = element.kind is Kind.FLOAT
    if is_float and policy.element_subnormal is choice.ElementSubnormal.FLUSH:
        values[P.FLUSH_BELOW] = 1 << element.mantissa_bits
    intermediate = str(policy.scaled_intermediate)
    is_used = intermediate != "exact"
    mantissa, emin, emax = tables.type_limits(intermediate if is_used else "float32")
    dropped = source.mantissa_bits - mantissa
    return values | {
        P.INTER_USED: int(is_used),
        P.INTER_ORIGIN: emin - element.emin,
        P.INTER_SHIFT: dropped,
        P.INTER_LIMIT: source.width - 4 - dropped,  # all of a significand, and two bits more
        P.INTER_CARRY: mantissa + 1,
        P.INTER_SPAN: emax - emin,
    }


def random_bits(element: ElementFormat, policy: Policy) -> int:
    """Return N: how many random bits one rounding uses (OP-ELEM-STOCHASTIC)."""
    match policy.stochastic:
        case choice.Stochastic.PTX_X4:
            return 8 if element.bits == 4 else 16
        case choice.Stochastic.TE_X4:
            return 8
        case _:
            return int(policy.stochastic_bits)


def _keeps_nan_sign(policy: Policy) -> int:
    without = (choice.NanPayload.CANONICAL, choice.NanPayload.NEGATIVE)
    return int(policy.nan_payload not in without)


def _nan(element: ElementFormat, policy: Policy) -> dict[int, int]:
    """NaN -> FP8: OP-NAN-PAYLOAD; NaN -> FP6, FP4, INT8: OP-NAN-ELEMENT."""
    if element.has_nan:
        payload = policy.nan_payload is choice.NanPayload.PAYLOAD and element.has_inf
        quiet = policy.nan_payload is choice.NanPayload.QUIET_SIGNED and element.has_inf
        return {
            P.NAN_CODE: max(element.nan_magnitudes) - int(payload or quiet),
            P.NAN_KEEP: _keeps_nan_sign(policy),
            P.NAN_FLIP: int(policy.nan_payload is choice.NanPayload.NEGATIVE),
            P.NAN_PAYLOAD: int(payload),
        }
    match policy.nan_element:
        case choice.NanElement.SIGNED_MAX:
            return {P.NAN_CODE: element.max_magnitude, P.NAN_KEEP: 1, P.NAN_FLIP: 0}
        case choice.NanElement.ZERO:
            return {P.NAN_CODE: 0, P.NAN_KEEP: 0, P.NAN_FLIP: 0}
        case choice.NanElement.FLIPPED_ZERO:
            return {P.NAN_CODE: 0, P.NAN_KEEP: 1, P.NAN_FLIP: 1}
        case _:  # POS_MAX; under RAISE the caller has refused the input already
            return {P.NAN_CODE: element.max_magnitude, P.NAN_KEEP: 0, P.NAN_FLIP: 0}


# What NaN and infinity do to a block's scale, by rank: the highest in a block decides.
_RANKS = ("ignore", "exponent-field", "saturate", "flush-block", "nan-scale")


def _action(what: str, *, refused: bool) -> str:
    """What a special does; where it is refused, the NaN scale tells the caller of it."""
    return "nan-scale" if refused or what == "raise" else what


def _scale(source: Source, fmt: BlockFormat, policy: Policy) -> dict[int, int]:
    element, scale = fmt.element, fmt.scale
    selection = tables.AmaxSelection(fmt, policy, source.name, source.mantissa_bits)
    above = policy.scale_above is choice.ScaleAbove.NAN
    refuses_nan = policy.nan_element is choice.NanElement.RAISE and not element.has_nan
    refuses_inf = policy.inf_element is choice.InfElement.RAISE and not element.is_fp8
    values: dict[int, int] = {
        P.THETA: tables.threshold(policy.scale_rule, element, source.mantissa_bits),
        P.REBIAS: scale.bias - source.bias - element.emax,
        P.ABOVE_CODE: scale.nan_code if above else scale.max_code,
        P.ZERO_CODE: selection.zero_code(),
        P.NAN_ACTION: _RANKS.index(_action(policy.scale_nan, refused=refuses_nan)),
        P.INF_ACTION: _RANKS.index(_action(policy.scale_inf, refused=refuses_inf)),
        P.TABLED: int(scale_is_tabled(policy)),
        P.OVER_WORD: selection.over_word(source.bias, source.infinity),
        P.OVER_CODE: selection.over_code() or 0,
    }
    codes = (0, selection.infinite_code(), scale.max_code, tables.FLUSH, scale.nan_code)
    return values | {P.ACTION_CODES + i: code for i, code in enumerate(codes)}


def _decoder(element: ElementFormat, policy: Policy) -> dict[int, int]:
    is_fixed = int(element.kind is Kind.FIXED)
    saturates = policy.decode_overflow is choice.DecodeOverflow.SATURATE
    infinity = SOURCES["float32"].infinity
    flushes_result = policy.decode_subnormal is choice.DecodeSubnormal.FLUSH_RESULT
    flushes_element = policy.decode_subnormal is choice.DecodeSubnormal.FLUSH_ELEMENT
    flushes_element &= not is_fixed
    keeps = policy.decode_subnormal is choice.DecodeSubnormal.GRADUAL
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
        P.FIRST_PLAIN_SCALE: 1 + mantissa - (1 - bias) if keeps else 1,
        P.LAST_PLAIN_SCALE: 254 - element.emax - is_fixed if keeps else 0,  # none
        P.SIGN_SHIFT: element.bits - 1,
        P.DECODE_FLUSH_BELOW: 1 << element.mantissa_bits if flushes_element else 0,
        P.DECODE_RESULT_MIN: 1 << 23 if flushes_result else 0,
    }


@functools.lru_cache(maxsize=256)
def element_parameters(
    source: Source, element: ElementFormat, policy: Policy
) -> np.ndarray[Any, Any]:
    """Parameters of an element cast, both ways."""
    return _fill(_decoder(element, policy) | _encoder(source, element, policy), source)


@functools.lru_cache(maxsize=256)
def block_parameters(source: Source, fmt: BlockFormat, policy: Policy) -> np.ndarray[Any, Any]:
    """Parameters of a block conversion, both ways."""
    element = fmt.element
    values = _decoder(element, policy) | _encoder(source, element, policy)
    values |= _scale(source, fmt, policy)
    if not values[P.TABLED]:
        return _fill(values, source)
    selection = tables.AmaxSelection(fmt, policy, source.name, source.mantissa_bits)
    return _fill(values, source, selection.codes_in_range)


@functools.lru_cache(maxsize=64)
def scale_parameters(source: Source, scale: ScaleFormat, policy: Policy) -> np.ndarray[Any, Any]:
    """Parameters of E8M0 as a scalar cast: scale selection with emax 0 and its own specials."""
    one = 1 << source.mantissa_bits
    theta = {choice.E8M0Rounding.DOWN: one, choice.E8M0Rounding.UP: 1}
    overflow_nan = policy.e8m0_overflow is choice.E8M0Overflow.NAN
    inf_nan = policy.e8m0_inf is choice.E8M0Inf.NAN
    values: dict[int, int] = {
        P.INFINITY: source.infinity,
        P.THETA: theta.get(policy.e8m0_rounding, one >> 1),
        P.REBIAS: scale.bias - source.bias,
        P.ABOVE_CODE: scale.nan_code if overflow_nan else scale.max_code,
        P.ZERO_CODE: scale.nan_code if policy.e8m0_zero is choice.E8M0Zero.NAN else 0,
        P.SCALE_INF_CODE: scale.nan_code if inf_nan else scale.max_code,
        P.SCALE_NEGATIVE_NAN: int(policy.e8m0_negative is choice.E8M0Negative.NAN),
        P.TABLED: int(_cast_is_tabled(policy)),
        P.OVER_WORD: source.infinity,
    }
    codes_of = tables.cast_codes(scale, policy, source.mantissa_bits)
    return _fill(values, source, codes_of if values[P.TABLED] else None)
