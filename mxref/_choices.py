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
    "DecodeSubnormal",
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
    "E8M0Subnormal",
    "E8M0Underflow",
    "E8M0Zero",
    "ElementSubnormal",
    "FP8Overflow",
    "InfElement",
    "InputSubnormal",
    "Int8Min",
    "NanElement",
    "NanPayload",
    "NegZero",
    "Nvfp4Recipe",
    "Packing",
    "Relu",
    "Rounding",
    "ScaleAbove",
    "ScaleAmax",
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
    "StochasticBits",
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
    P3109 = "p3109"
    """amax itself projected to the scale format: the nearest power of two, a tie to the even
    code, and no emax (IEEE P3109 4.0, section 5, ConvertToBlockMaxAbsFinite)."""
    STOCHASTIC = "stochastic"
    """FLOOR of amax with given random bits added to its significand (MSLK stochastic): as
    STOCHASTIC_A rounds an element. The caller hands in the bits, one number a block."""
    MSE = "mse"
    """Among FLOOR's code and its two neighbours, the one with the least sum of squared errors of
    the finite elements; of equals FLOOR's, then the larger."""
    MAE = "mae"
    """As MSE, with the sum of absolute errors."""


class ScaleLog2(StrEnum):
    """How a logarithm of amax is taken: rules FLOOR, CEIL, RCEIL, NEAREST_LOG and PLUS_ONE."""

    EXACT = "exact"
    """From the exponent field, hence exactly."""
    FLOAT32 = "float32"
    """As a correctly rounded float32 logarithm of the number as float32: floor and ceil of it
    miss by one next to powers of two (microxcaling on PyTorch, gguf, ModelOpt)."""


class ScaleQuotient(StrEnum):
    """How amax / max is computed, where a rule needs it: RCEIL."""

    EXACT = "exact"
    """As a rational number, without rounding."""
    FLOAT32 = "float32"
    """Divided in float32, rounded to nearest, subnormals kept."""
    RECIPROCAL = "reciprocal"
    """Multiplied in float32 by the float32 nearest to 1 / max (TE, torchao RCEIL)."""


class ScaleAmax(StrEnum):
    """The type in which amax is held before a rule looks at it."""

    SOURCE = "source"
    """That of the input: nothing is rounded."""
    FLOAT32 = "float32"
    """float32, rounded to nearest even; beyond its range it counts as an infinity."""
    BFLOAT16 = "bfloat16"
    """bfloat16, likewise."""
    FLOAT16 = "float16"
    """float16, likewise."""


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
    MIN_NORMAL = "min-normal"
    """As though amax were 2**-126, the least normal float32 (microxcaling)."""


class ScaleNan(StrEnum):
    """What a NaN in a block does to the scale."""

    NAN_SCALE = "nan-scale"
    """Scale code 0xFF, so that every value of the block is NaN."""
    IGNORE = "ignore"
    """The scale is formed from the other elements; the NaN is encoded by itself."""
    EXPONENT_FIELD = "exponent-field"
    """The exponent field of the NaN, 128, is taken for that of a number: 2**128 stands for amax."""
    FLUSH_BLOCK = "flush-block"
    """0x00, and every element +0 (tt-lang-t27)."""
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
    EXPONENT_FIELD = "exponent-field"
    """The exponent field of infinity, 128, is taken for that of a number: 2**128 stands for amax
    (torchao 0.18)."""
    FLUSH_BLOCK = "flush-block"
    """0x00, and every element +0 (tt-lang-t27)."""
    RAISE = "raise"
    """The input is refused."""


class ScaleAbove(StrEnum):
    """Scale exponent above 127."""

    CLAMP = "clamp"
    """0xFE, the largest scale."""
    NAN = "nan"
    """0xFF: the whole block is NaN."""
    CLAMP_125 = "clamp-125"
    """Exponents end at 125: 0xFC (MSLK)."""
    WRAP = "wrap"
    """The code is cut to eight bits."""


class ScaleBelow(StrEnum):
    """Scale exponent below -127."""

    CLAMP = "clamp"
    """0x00, the smallest scale."""
    FLUSH_BLOCK = "flush-block"
    """0x00, and every element +0."""
    WRAP = "wrap"
    """The code is cut to eight bits (gguf, MLX, one version of the AWS golden code)."""


class ScaleSubnormal(StrEnum):
    """The exponent of a number below 2**-126, be it amax or the quotient that a rule looks at."""

    TRUE = "true"
    """floor(log2) as for any other number."""
    BITS = "bits"
    """The fields of a float32 as though it were normal: exponent -127, significand
    1 + x / 2**-126 (triton_kernels)."""
    FLUSH = "flush"
    """It counts as zero (FTZ hardware)."""


class E8M0Rounding(StrEnum):
    """Rounding of a real number to a power of two, as a scalar cast."""

    DOWN = "down"
    """Toward zero (cvt.rz)."""
    UP = "up"
    """Away from zero (cvt.rp)."""
    NEAREST = "nearest"
    """To the nearest value; a tie (1.5 times a power of two) goes up."""
    NEAREST_EVEN = "nearest-even"
    """To the nearest value; a tie goes to the even code (P3109, gfloat)."""


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


class E8M0Underflow(StrEnum):
    """E8M0 code of a positive number that rounds below 2**-127."""

    MIN = "min"
    """0x00."""
    NAN = "nan"
    """0xFF (gfloat)."""


class E8M0Subnormal(StrEnum):
    """The exponent of a number below 2**-126 in a cast to E8M0."""

    TRUE = "true"
    """floor(log2) as for any other number."""
    BITS = "bits"
    """The fields of a float32 as though it were normal: exponent -127, significand
    1 + x / 2**-126 (ONNX "up")."""


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
    STOCHASTIC_A = "stochastic-a"
    """Away from zero where floor(v * 2**N) + R >= 2**N: v is what lies beyond the lower
    neighbour, in steps, and R a given number of N bits (P3109 StochasticA, PTX .rs, AMD SR)."""
    STOCHASTIC_B = "stochastic-b"
    """Away from zero where floor(v * 2**(N+1)) + (2 R + 1) >= 2**(N+1) (P3109 StochasticB)."""
    STOCHASTIC_C = "stochastic-c"
    """Away from zero where v * 2**N, rounded to nearest even, plus R is 2**N or more (P3109
    StochasticC)."""


class Stochastic(StrEnum):
    """Which of the given random bits serve which element, under a stochastic rounding."""

    PER_ELEMENT = "per-element"
    """One number for each element."""
    PTX_X4 = "ptx-x4"
    """32 bits for four neighbours, as ``cvt.rs`` to an x4 type shares them. FP8 and FP6: the low
    half serves the first two, the high half the other two, N = 16; INT8 likewise, of which PTX
    has none. FP4: a byte each, byte 0 the
    first, byte 2 the second, byte 1 the third and byte 3 the fourth, N = 8."""
    TE_X4 = "te-x4"
    """32 bits for four neighbours: byte i serves element i, N = 8 (the software path of TE)."""


class StochasticBits(StrEnum):
    """N, the number of random bits for one rounding."""

    N1 = "1"
    N2 = "2"
    N3 = "3"
    N4 = "4"
    N5 = "5"
    N6 = "6"
    N7 = "7"
    N8 = "8"
    N9 = "9"
    N10 = "10"
    N11 = "11"
    N12 = "12"
    N13 = "13"
    N14 = "14"
    N15 = "15"
    N16 = "16"
    N17 = "17"
    N18 = "18"
    N19 = "19"
    N20 = "20"
    N21 = "21"
    N22 = "22"
    N23 = "23"
    N24 = "24"


class FP8Overflow(StrEnum):
    """FP8 value beyond the largest finite one after rounding, and infinity."""

    SATURATE = "saturate"
    """The largest finite value of the same sign (OFP8 SAT, P3109 SatFinite)."""
    OVERFLOW = "overflow"
    """NaN in E4M3, infinity in E5M2 (OFP8 NONSAT, called OVF in MX). A finite value that a mode
    rounds toward zero stays at the largest one, as in IEEE 754."""
    PROPAGATE = "propagate"
    """A finite value saturates, an infinity stays one where the format has it; E4M3 has none and
    saturates (P3109 SatPropagate)."""
    SAT_NONE = "sat-none"
    """Infinity in E5M2 unless the mode points toward zero, TO_ODD included; E4M3, which has none,
    saturates (P3109 SatNone)."""


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
    RAISE = "raise"
    """The input is refused."""


class NanPayload(StrEnum):
    """Which NaN code an FP8 conversion gives."""

    CANONICAL = "canonical"
    """0x7F, whatever the sign (PTX, RISC-V)."""
    SIGNED = "signed"
    """0x7F or 0xFF by the sign of the input."""
    QUIET_SIGNED = "quiet-signed"
    """As SIGNED for E4M3; in E5M2 0x7E or 0xFE (ml_dtypes)."""
    NEGATIVE = "negative"
    """0xFF, whatever the sign (gfloat)."""
    PAYLOAD = "payload"
    """As SIGNED for E4M3; in E5M2 the sign, the quiet bit, and below it the second highest bit of
    the input's mantissa."""


class NegZero(StrEnum):
    """Negative zero, and negative values that round to zero."""

    KEEP = "keep"
    """The sign is kept."""
    DROP = "drop"
    """The result is positive zero."""
    DROP_INPUT = "drop-input"
    """A zero on input becomes positive zero; a negative value that rounds to zero keeps its
    sign."""


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
    FLOAT32 = "float32"
    """Rounded to float32 first, to nearest even with gradual underflow; beyond its range it is an
    infinity. For float32 input that matters to tiny quotients only."""
    BFLOAT16 = "bfloat16"
    """Rounded to bfloat16 first, likewise: double rounding."""
    FLOAT16 = "float16"
    """Rounded to float16 first, likewise: double rounding."""


class InputSubnormal(StrEnum):
    """Inputs that are subnormal in their own type."""

    KEEP = "keep"
    """Read as what they are."""
    FLUSH = "flush"
    """Zero of the same sign (DAZ), for the scale too."""


class ElementSubnormal(StrEnum):
    """Results of an encoder that are subnormal in the element format."""

    GRADUAL = "gradual"
    """Kept."""
    FLUSH = "flush"
    """After rounding, zero of the same sign (FTZ)."""


class Relu(StrEnum):
    """A rectifier fused with the conversion of elements (PTX .relu)."""

    OFF = "off"
    """None."""
    ON = "on"
    """Negative numbers, -0 and -Inf become +0, and a NaN loses its sign. The scale is formed
    before."""


class DecodeSubnormal(StrEnum):
    """Subnormal elements and subnormal float32 results of a decoder."""

    GRADUAL = "gradual"
    """Both kept."""
    FLUSH_ELEMENT = "flush-element"
    """A subnormal element is read as zero of its sign (tt-metal hardware)."""
    FLUSH_RESULT = "flush-result"
    """A subnormal float32 result becomes zero of its sign (FTZ)."""


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
