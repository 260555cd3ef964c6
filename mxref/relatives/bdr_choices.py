"""The alternatives at each open point of a BDR quantizer, as enumerations (OP-BDR-QUANTIZER).

Every member is implemented. The number of random bits is that of ``mxref._choices``.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "BDRInf",
    "BDRNan",
    "BDRRounding",
    "ElementDivisor",
    "ElementQuotient",
    "InputSubnormal",
    "IntMin",
    "NegZero",
    "ScaleAbove",
    "ScaleBelow",
    "ScaleQuotient",
    "SharedExponent",
    "Shift",
    "SubscaleRounding",
    "ZeroBlock",
    "ZeroSubblock",
]


class SharedExponent(StrEnum):
    """Whether an exponent is taken before elements are rounded, or allows for the rounding."""

    BEFORE_ROUNDING = "before-rounding"
    """That of the largest magnitude; an element that rounds beyond the largest code is clamped."""
    AFTER_ROUNDING = "after-rounding"
    """One higher if an element of the block would round beyond the largest code (a bump); and a
    shift is one less if an element of its sub-block would."""


class BDRRounding(StrEnum):
    """Rounding of an element."""

    NEAREST_EVEN = "nearest-even"
    """To nearest, ties to the even code (Quark PY3 and torch)."""
    NEAREST_AWAY = "nearest-away"
    """To nearest, ties away from zero (Quark STD)."""
    NEAREST_DOWN = "nearest-down"
    """To nearest, ties toward zero."""
    TOWARD_ZERO = "toward-zero"
    """Truncation of the magnitude."""
    UP = "up"
    """Toward positive infinity."""
    DOWN = "down"
    """Toward negative infinity."""
    TO_ODD = "to-odd"
    """Inexact values go to the neighbour with the odd code."""
    STOCHASTIC_A = "stochastic-a"
    """Away from zero where floor(v * 2**N) + R >= 2**N: v is what lies beyond the lower
    neighbour, in steps, and R a given number of N bits."""
    STOCHASTIC_B = "stochastic-b"
    """Away from zero where floor(v * 2**(N+1)) + (2 R + 1) >= 2**(N+1)."""
    STOCHASTIC_C = "stochastic-c"
    """Away from zero where v * 2**N, rounded to nearest even, plus R is 2**N or more."""
    HALF_UP = "half-up"
    """To nearest, ties toward positive infinity (Quark DPU)."""


class InputSubnormal(StrEnum):
    """What a subnormal number of the input type is."""

    KEEP = "keep"
    """A number like any other, with an exponent of its own."""
    FLUSH = "flush"
    """Zero, with its sign."""


class BDRNan(StrEnum):
    """What a NaN does."""

    NAN_SCALE = "nan-scale"
    """All that share its scale become NaN, with the NaN scale: the block, or the whole tensor
    where there is one scale, as in scaled FP8, whose element codes of NaN and infinity stay
    unused."""
    ZERO = "zero"
    """It counts as +0."""
    MAX = "max"
    """It becomes the largest positive element; scale and shift do not see it."""


class BDRInf(StrEnum):
    """What an infinity does."""

    NAN_SCALE = "nan-scale"
    """All that share its scale become NaN, with the NaN scale: the block, or the whole tensor
    where there is one scale, as in scaled FP8, whose element codes of NaN and infinity stay
    unused."""
    CLAMP = "clamp"
    """It becomes the largest element of its sign; scale and shift do not see it."""
    ZERO = "zero"
    """It counts as zero, with its sign."""


class ZeroBlock(StrEnum):
    """The scale of a block that has nothing but zeros."""

    MIN = "min"
    """The smallest power of two, code 0; a float32 scale is 0."""
    ONE = "one"
    """One."""


class ZeroSubblock(StrEnum):
    """The shift of a sub-block of zeros in a block that has other numbers."""

    LEAST_EXPONENT = "least-exponent"
    """As if its largest magnitude had the exponent of scale code 0: all ones, nearly always."""
    UNSHIFTED = "unshifted"
    """Zero."""


class ScaleAbove(StrEnum):
    """The scale where an exponent lies above the range of its code."""

    CLAMP = "clamp"
    """The largest that there is; elements saturate."""
    NAN_SCALE = "nan-scale"
    """The NaN scale."""


class ScaleBelow(StrEnum):
    """The scale where an exponent lies below the range of its code."""

    CLAMP = "clamp"
    """The smallest that there is; elements keep what precision is left."""
    FLUSH = "flush"
    """The smallest that there is, and every element is +0."""


class Shift(StrEnum):
    """How the shift of a sub-block is chosen, where sub-scales are powers of two."""

    SUBBLOCK_MAX = "subblock-max"
    """From the largest magnitude of the sub-block, at most 2**d2 - 1."""
    OFF = "off"
    """No sub-block is shifted: the format with its second level unused."""


class NegZero(StrEnum):
    """What becomes of the sign of an element that is zero."""

    KEEP = "keep"
    """It stays, where the element has a code for it."""
    DROP = "drop"
    """The code is that of +0."""


class IntMin(StrEnum):
    """Whether the most negative two's complement code is used."""

    UNUSED = "unused"
    """The range is symmetric."""
    USED = "used"
    """A negative element may reach -2**m."""


class ScaleQuotient(StrEnum):
    """How a float32 scale, amax / largest, is computed."""

    DIVIDE = "divide"
    """Divided, rounded to nearest even once."""
    RECIPROCAL = "reciprocal"
    """Multiplied by the float32 nearest to 1 / largest."""


class ElementQuotient(StrEnum):
    """How an element is divided by a float32 scale."""

    EXACT = "exact"
    """As a rational number: the rounding to the element is the only one."""
    DIVIDE = "divide"
    """Divided in float32, rounded to nearest even; then rounded to the element."""
    RECIPROCAL = "reciprocal"
    """Multiplied in float32 by the float32 nearest to 1 / scale; then rounded to the element."""


class SubscaleRounding(StrEnum):
    """How an integer sub-scale is rounded."""

    NEAREST_EVEN = "nearest-even"
    """To nearest, ties to even; elements may saturate where it went down."""
    UP = "up"
    """Up: no element saturates."""


class ElementDivisor(StrEnum):
    """By which scale elements are divided, where sub-scales are integers."""

    ROUNDED = "rounded"
    """By the product of both scales that are stored, as a reader will multiply."""
    UNROUNDED = "unrounded"
    """By the scale of the sub-block before its integer was rounded."""
