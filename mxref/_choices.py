"""The alternatives at each open point, as enumerations.

Every member is implemented: a choice that nobody could select would be a stub. The alternatives
that were seen in the field but are not selectable yet are listed with the open point in
``mxref.clauses``. Where only one member exists, the field of `Policy` still records the choice.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "BdrQuantizer",
    "BlockGeometry",
    "BlockTail",
    "ConformanceClaim",
    "DecodeNan",
    "DecodeOverflow",
    "DotGrouping",
    "DotMixedTypes",
    "DotNan",
    "DotOutput",
    "DotPrecision",
    "DotScalePlace",
    "E8M0Inf",
    "E8M0Negative",
    "E8M0Overflow",
    "E8M0Rounding",
    "E8M0Zero",
    "ElementSubnormal",
    "FP8Overflow",
    "InfElement",
    "Int8Min",
    "NanElement",
    "NanPayload",
    "NegZero",
    "Nvfp4Recipe",
    "Packing",
    "Rounding",
    "ScaleAbove",
    "ScaleBelow",
    "ScaleInf",
    "ScaleLayout",
    "ScaleLog2",
    "ScaleNan",
    "ScaleOperand",
    "ScaleQuotient",
    "ScaleRule",
    "ScaleSubnormal",
    "ScaleZeroBlock",
    "ScaledIntermediate",
    "Stochastic",
    "Transpose",
]


class ScaleRule(StrEnum):
    """How amax, the largest magnitude of a block, selects the scale exponent."""

    FLOOR = "floor"
    """floor(log2 amax) - emax: the recipe of OCP MX 6.3."""
    CEIL = "ceil"
    """ceil(log2 amax) - emax (torchao CEIL, Quark ceil)."""
    RCEIL = "rceil"
    """ceil(log2(amax / max)): the smallest power of two at which nothing saturates (cuBLAS, TE)."""
    EVEN = "even"
    """amax rounded half up to the element's mantissa width, then FLOOR (torchao EVEN, Quark)."""
    EVEN_DOWN = "even-down"
    """As EVEN, but a tie goes down (MSLK and FBGEMM "even")."""
    TOSA = "tosa"
    """The smallest scale at which amax does not round beyond max (TOSA 1.1, normative there)."""
    NEAREST_LOG = "nearest-log"
    """floor(log2 amax + 1/2) - emax: the step lies at the square root of two (MSLK nearest)."""
    PLUS_ONE = "plus-one"
    """FLOOR + 1, always (AWS Trainium3)."""


class ScaleLog2(StrEnum):
    """How floor(log2 amax) is computed."""

    EXACT = "exact"
    """From the exponent field, hence exactly."""


class ScaleQuotient(StrEnum):
    """How amax / max is computed, where a rule needs it."""

    EXACT = "exact"
    """As a rational number, without rounding."""


class ScaleZeroBlock(StrEnum):
    """Scale code of a block whose elements are all zero."""

    MIN = "min"
    """0x00, that is 2**-127."""
    ONE = "one"
    """0x7F, that is 1."""
    MINUS_EMAX = "minus-emax"
    """127 - emax: as though amax were 1 (tt-metal, Universal)."""
    NAN = "nan"
    """0xFF: the whole block is NaN."""


class ScaleNan(StrEnum):
    """What a NaN in a block does to the scale."""

    NAN_SCALE = "nan-scale"
    """Scale code 0xFF, so that every value of the block is NaN."""
    IGNORE = "ignore"
    """The scale is formed from the other elements; the NaN is encoded by itself."""
    RAISE = "raise"
    """The input is refused."""


class ScaleInf(StrEnum):
    """What an infinity in a block does to the scale."""

    NAN_SCALE = "nan-scale"
    """Scale code 0xFF, so that every value of the block is NaN."""
    SATURATE = "saturate"
    """Scale code 0xFE (cvt.rp.satfinite)."""
    IGNORE = "ignore"
    """The scale is formed from the finite elements; the infinity is encoded by itself."""
    RAISE = "raise"
    """The input is refused."""


class ScaleAbove(StrEnum):
    """Scale exponent above 127."""

    CLAMP = "clamp"
    """0xFE, the largest scale."""
    NAN = "nan"
    """0xFF: the whole block is NaN."""


class ScaleBelow(StrEnum):
    """Scale exponent below -127."""

    CLAMP = "clamp"
    """0x00, the smallest scale."""


class ScaleSubnormal(StrEnum):
    """The exponent of a subnormal amax."""

    TRUE = "true"
    """floor(log2 amax) as for any other number."""


class E8M0Rounding(StrEnum):
    """Rounding of a real number to a power of two, as a scalar cast."""

    DOWN = "down"
    """Toward zero (cvt.rz)."""
    UP = "up"
    """Away from zero (cvt.rp)."""
    NEAREST = "nearest"
    """To the nearest value; a tie (1.5 times a power of two) goes up."""


class E8M0Zero(StrEnum):
    """E8M0 code of zero."""

    MIN = "min"
    """0x00."""
    NAN = "nan"
    """0xFF."""


class E8M0Negative(StrEnum):
    """E8M0 code of a negative number."""

    NAN = "nan"
    """0xFF."""
    MAGNITUDE = "magnitude"
    """The sign is dropped (CUDA, CUTLASS)."""


class E8M0Inf(StrEnum):
    """E8M0 code of infinity."""

    NAN = "nan"
    """0xFF."""
    SATURATE = "saturate"
    """0xFE."""


class E8M0Overflow(StrEnum):
    """E8M0 code of a finite number that rounds to 2**128 or more."""

    SATURATE = "saturate"
    """0xFE."""
    NAN = "nan"
    """0xFF."""


class ScaleOperand(StrEnum):
    """In which form a decoder takes the scale."""

    E8M0 = "e8m0"
    """As the E8M0 code."""


class Rounding(StrEnum):
    """Rounding of an element to its format."""

    NEAREST_EVEN = "nearest-even"
    """To nearest, ties to the even code."""
    NEAREST_AWAY = "nearest-away"
    """To nearest, ties away from zero."""
    NEAREST_DOWN = "nearest-down"
    """To nearest, ties toward zero."""
    TOWARD_ZERO = "toward-zero"
    """Truncation."""
    UP = "up"
    """Toward positive infinity."""
    DOWN = "down"
    """Toward negative infinity."""
    TO_ODD = "to-odd"
    """Inexact values go to the neighbour with the odd code."""


class Stochastic(StrEnum):
    """Stochastic rounding."""

    NONE = "none"
    """Not used: every conversion is deterministic."""


class FP8Overflow(StrEnum):
    """FP8 value beyond the largest finite one after rounding, and infinity (OFP8 SAT or OVF)."""

    SATURATE = "saturate"
    """The largest finite value of the same sign."""
    OVERFLOW = "overflow"
    """NaN in E4M3, infinity in E5M2."""


class NanElement(StrEnum):
    """NaN to an element format that has no NaN (FP6, FP4, INT8)."""

    POS_MAX = "pos-max"
    """The largest positive value (PTX, CUDA, ONNX)."""
    SIGNED_MAX = "signed-max"
    """The largest magnitude with the sign of the NaN (AMD)."""
    ZERO = "zero"
    """Positive zero."""
    FLIPPED_ZERO = "flipped-zero"
    """Zero with the opposite sign of the NaN (ml_dtypes)."""
    RAISE = "raise"
    """The input is refused."""


class InfElement(StrEnum):
    """Infinity to an element format that has none (FP6, FP4, INT8)."""

    CLAMP = "clamp"
    """The largest magnitude of the same sign."""


class NanPayload(StrEnum):
    """Which NaN code an FP8 conversion gives."""

    CANONICAL = "canonical"
    """0x7F, whatever the sign (PTX, RISC-V)."""
    SIGNED = "signed"
    """0x7F or 0xFF by the sign of the input."""
    QUIET_SIGNED = "quiet-signed"
    """As SIGNED for E4M3; in E5M2 0x7E or 0xFE (ml_dtypes)."""


class NegZero(StrEnum):
    """Negative zero, and negative values that round to zero."""

    KEEP = "keep"
    """The sign is kept."""
    DROP = "drop"
    """The result is positive zero."""


class Int8Min(StrEnum):
    """The INT8 code 0x80 (-2)."""

    UNUSED = "unused"
    """Never produced: the range is symmetric."""
    USED = "used"
    """Produced for values that round to -2."""


class ScaledIntermediate(StrEnum):
    """Precision of V / X before it is rounded to the element."""

    EXACT = "exact"
    """Exact: dividing by a power of two, with one rounding in all."""


class ElementSubnormal(StrEnum):
    """Subnormal elements and subnormal inputs."""

    GRADUAL = "gradual"
    """Both kept."""


class DecodeOverflow(StrEnum):
    """A value X * P beyond the largest finite float32."""

    INF = "inf"
    """Infinity, as IEEE 754 rounds to nearest."""
    SATURATE = "saturate"
    """The largest finite float32 of the same sign."""


class DecodeNan(StrEnum):
    """Which float32 NaN a decoder gives."""

    CANONICAL = "canonical"
    """0x7FC00000, whatever the sign."""
    SIGNED = "signed"
    """0x7FC00000 or 0xFFC00000 by the sign bit of the element."""


class BlockGeometry(StrEnum):
    """Which elements form a block."""

    CONTIGUOUS_1D = "contiguous-1d"
    """k neighbours along one axis."""


class BlockTail(StrEnum):
    """A length that is not a multiple of the block size."""

    FORBID = "forbid"
    """The input is refused; the message says how to pad."""
    ZERO_PAD = "zero-pad"
    """Zeros are appended; they do not change amax."""


class Packing(StrEnum):
    """How codes lie in bytes."""

    BYTE_PER_CODE = "byte-per-code"
    """One code per byte, in the low bits."""


class ScaleLayout(StrEnum):
    """How scale codes lie in memory."""

    ROW_MAJOR = "row-major"
    """One plane in C order, separate from the elements."""


class Transpose(StrEnum):
    """How a transposed operand is obtained."""

    REQUANTIZE = "requantize"
    """By quantizing the source along the other axis."""


class DotPrecision(StrEnum):
    """Internal precision of a dot product."""

    EXACT = "exact"
    """The infinitely precise sum."""


class DotGrouping(StrEnum):
    """Which products are summed together before anything is rounded."""

    WHOLE = "whole"
    """All of them."""


class DotScalePlace(StrEnum):
    """Where the scales enter."""

    EXACT = "exact"
    """As an exact power of two on each block sum, so that the place does not matter."""


class DotOutput(StrEnum):
    """Rounding of the result."""

    FLOAT32_NEAREST_EVEN = "float32-nearest-even"
    """Once, to float32, ties to even, subnormals kept."""


class DotNan(StrEnum):
    """NaN result of a dot product."""

    CANONICAL = "canonical"
    """0x7FC00000; also for Inf - Inf and for 0 times a NaN scale."""


class DotMixedTypes(StrEnum):
    """Operands of different element formats."""

    ANY = "any"
    """Every pair is allowed."""


class Nvfp4Recipe(StrEnum):
    """Order of operations of NVFP4."""

    UNASSIGNED = "unassigned"
    """The profile says nothing about NVFP4."""


class BdrQuantizer(StrEnum):
    """Quantizer of the shared-microexponent formats."""

    UNASSIGNED = "unassigned"
    """The profile says nothing about MX9, MX6 and MX4."""


class ConformanceClaim(StrEnum):
    """What a claim of conformance must state."""

    FORMATS_AND_POLICY = "formats-and-policy"
    """The set of formats and the complete policy."""
