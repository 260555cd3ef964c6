"""The alternatives at each step of an NVFP4 recipe, as enumerations.

The names of the numbers: x an element, b the largest magnitude of its block, amax that of the
tensor. T is the E2M1 value that b is mapped to, 6 or 4; M the largest E4M3 value that the recipe
counts with, 448 or 256. S is the global encode scale, about T * M / amax, and g the global decode
multiplier, about 1 / S. s is the value of the block's E4M3 code, and r the factor on an element.
fl() is one rounding to float32, to nearest even, subnormals kept.

Every member is implemented. All of them belong to the open point OP-NVFP4-RECIPE.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "AmaxNan",
    "DecodeOrder",
    "ElementOrder",
    "FactorCap",
    "FactorType",
    "Float64",
    "Geometry",
    "GlobalCap",
    "GlobalOrder",
    "GlobalZero",
    "Levels",
    "NanElement",
    "NegZero",
    "RandomBits",
    "Rounding",
    "ScaleLeast",
    "ScaleOrder",
    "ScaleOverflow",
    "ScaleRounding",
    "ScaleSign",
    "ScaleTop",
    "ScaleZero",
    "Selection",
    "SelectionOrder",
    "Target",
    "ZeroScale",
]


class Levels(StrEnum):
    """How many levels of scales there are."""

    TWO = "two-level"
    """An E4M3 scale for each block, and one float32 multiplier for the tensor."""
    ONE = "single-level"
    """E4M3 scales alone: S and g are 1."""


class Geometry(StrEnum):
    """What shares one E4M3 scale."""

    ONE_D = "1d"
    """16 neighbours along the axis."""
    TWO_D = "2d"
    """16 x 16 elements; each of their rows stores the scale (TE, weights)."""


class GlobalOrder(StrEnum):
    """What is computed from amax, and what from that."""

    RECIPROCAL = "reciprocal"
    """S = fl(T*M / amax), then g = fl(1 / S) (TE, fouroversix)."""
    INVERTED = "inverted"
    """S = fl(fl(1 / amax) * T*M), then g = fl(1 / S): how PyTorch divides a Python number by a
    tensor (compressed-tensors)."""
    QUOTIENT = "quotient"
    """g = fl(amax / (T*M)); where S is needed, fl(1 / g) (torchao, ModelOpt)."""


class GlobalZero(StrEnum):
    """What becomes of an amax of zero."""

    ONE = "one"
    """S = g = 1; the same where S, or under QUOTIENT g, comes out as zero: S does if amax is
    infinite (TE)."""
    ARITHMETIC = "arithmetic"
    """What the division gives: g = 0 under QUOTIENT, S = infinity under RECIPROCAL."""
    TINY = "tiny"
    """amax is taken as 2**-126 where it is less (compressed-tensors)."""


class GlobalCap(StrEnum):
    """What becomes of an S that is infinite."""

    FLOAT32 = "float32-max"
    """The largest float32, for a NaN too (TE)."""
    BFLOAT16 = "bfloat16-max"
    """S is at most the largest bfloat16 (TE's test of its fast math)."""
    ONE = "one"
    """1, for a NaN too (compressed-tensors)."""
    NONE = "none"
    """It stays infinite (fouroversix)."""


class ScaleOrder(StrEnum):
    """How the number that becomes the E4M3 scale is computed from b."""

    FOLDED = "folded"
    """fl(b * fl(S * fl(1/T))) (TE, 1 x 16)."""
    DIVIDED = "divided"
    """fl(fl(b / T) * S) (TE's four over six and its 16 x 16, compressed-tensors)."""
    QUOTIENT = "quotient"
    """fl(fl(b / T) / g) (torchao, MLX)."""
    PRODUCT = "product"
    """fl(b / fl(T * g)) (ModelOpt)."""
    EXACT = "exact"
    """b / (T * g) as a rational number: E4M3 is the only rounding."""


class ScaleTop(StrEnum):
    """M, the E4M3 value that the block with the largest element is mapped to."""

    FULL = "448"
    """The largest of E4M3."""
    ROOM = "256"
    """So that a scale can grow by half where a block is mapped to 4 (four over six)."""


class ScaleLeast(StrEnum):
    """The least number that is rounded to a scale."""

    ZERO = "0"
    """No bound: scales may be subnormal, and zero."""
    SUBNORMAL = "2^-9"
    """The smallest subnormal of E4M3 (ModelOpt)."""
    NORMAL = "2^-6"
    """The smallest normal number of E4M3 (torchao)."""


class ScaleZero(StrEnum):
    """What else becomes of a scale that is zero."""

    KEEP = "keep"
    """Nothing: ``scale_least`` alone decides."""
    ONE = "one"
    """1, where the number to be rounded is zero (ModelOpt)."""
    EIGHTH = "eighth"
    """0.125, where the rounded code is zero (compressed-tensors)."""


class ScaleRounding(StrEnum):
    """Rounding of a scale to E4M3."""

    NEAREST_EVEN = "nearest-even"
    """To nearest, ties to the even code."""
    NEAREST_UP = "nearest-up"
    """To nearest, ties up (gguf)."""
    TOWARD_ZERO = "toward-zero"
    """Truncation."""


class ScaleOverflow(StrEnum):
    """What becomes of a scale beyond 448. A NaN stays a NaN, 0x7F."""

    SATURATE = "saturate"
    """448, for infinity too (PTX satfinite, and whoever clamps first)."""
    NAN = "nan"
    """0x7F, once it rounds beyond 448, as E4M3 without saturation has it (fouroversix on a torch
    whose cast does not saturate [unverified])."""


class ScaleSign(StrEnum):
    """What bit 7 of a scale code means, which UE4M3 has not."""

    IGNORE = "ignore"
    """Nothing: 0xFF is NaN like 0x7F (matrix instructions)."""
    SIGNED = "signed"
    """A minus sign, as E4M3 has it (software that decodes with float8_e4m3fn)."""


class ElementOrder(StrEnum):
    """How an element is brought into the range of E2M1, given g and s."""

    RECIPROCAL = "reciprocal"
    """fl(x * r) with r = fl(1 / fl(s * g)) (TE, fouroversix)."""
    QUOTIENT = "quotient"
    """fl(x * r) with r = fl(fl(1/g) / s) (torchao, to match its Triton kernel)."""
    ENCODE = "encode"
    """fl(x * r) with r = fl(S / s) (TE, fast math)."""
    DIVIDE = "divide"
    """fl(x / fl(s * g)) (ModelOpt, MLX)."""
    DIVIDE_ENCODE = "divide-encode"
    """fl(x / fl(s / S)) (compressed-tensors)."""
    EXACT = "exact"
    """x / (s * g) as a rational number: E2M1 is the only rounding."""


class FactorType(StrEnum):
    """The type of the factor r."""

    FLOAT32 = "float32"
    """As it comes out of float32 arithmetic."""
    BFLOAT16 = "bfloat16"
    """Rounded to bfloat16, to nearest even (TE, fast math)."""


class FactorCap(StrEnum):
    """What becomes of an infinite factor r, which a scale of zero or a tiny one gives."""

    CLAMP = "clamp"
    """The largest finite number of ``factor_type`` (TE)."""
    NONE = "none"
    """It stays infinite, and zero times it is a NaN."""


class ZeroScale(StrEnum):
    """Elements under a scale of zero."""

    ARITHMETIC = "arithmetic"
    """What the order of operations gives; EXACT gives 6 to all but zeros, which stay."""
    ZERO = "zero"
    """Zeros with the sign of x, as far as ``neg_zero`` keeps it."""


class Target(StrEnum):
    """T, the E2M1 value that the largest element of a block is mapped to."""

    SIX = "six"
    """6, the largest."""
    FOUR = "four"
    """4, everywhere (fouroversix static_4)."""
    FOUR_OVER_SIX = "four-over-six"
    """6, or 4 by a scale half as large again, whichever loses less; of equals, 6."""


class Selection(StrEnum):
    """How a block chooses between 6 and 4."""

    MAE = "mae"
    """The lesser sum of absolute errors."""
    MSE = "mse"
    """The lesser sum of squared errors."""
    ABS_MAX = "abs-max"
    """The lesser largest error."""


class SelectionOrder(StrEnum):
    """How the errors are computed."""

    EXACT = "exact"
    """As rational numbers, from s * g * value."""
    FLOAT32 = "float32"
    """value = fl(fl(fl(q * s) * amax) / (6 M)), error = fl(value - x), squares and sums in
    float32, from the first to the last; 16 x 16: each row so, then a tree over the rows (TE)."""


class Rounding(StrEnum):
    """Rounding of an element to E2M1. Beyond 6 it saturates."""

    NEAREST_EVEN = "nearest-even"
    """To nearest, ties to the even code."""
    NEAREST_DOWN = "nearest-down"
    """To nearest, ties toward zero (MLX, gguf)."""
    NEAREST_AWAY = "nearest-away"
    """To nearest, ties away from zero."""
    TOWARD_ZERO = "toward-zero"
    """Truncation."""
    STOCHASTIC = "stochastic"
    """Away from zero where floor(v * 2**N) + R >= 2**N: v is what lies beyond the lower
    neighbour, in steps, and R a given number of N bits (PTX cvt.rs)."""


class RandomBits(StrEnum):
    """N, the number of random bits for one rounding."""

    EIGHT = "8"
    """As PTX cvt.rs to e2m1x4 has them."""
    SIXTEEN = "16"
    """Twice as many."""


class NegZero(StrEnum):
    """The sign of an element that is, or becomes, zero."""

    KEEP = "keep"
    """It stays: code 0x8."""
    DROP_INPUT = "drop-input"
    """Dropped where the number before rounding is zero; what rounds to zero keeps it."""
    DROP = "drop"
    """0x8 is never written (MLX, gguf)."""


class NanElement(StrEnum):
    """The code of an element that is NaN before rounding."""

    POS_MAX = "pos-max"
    """0x7, whatever its sign (PTX, ModelOpt)."""
    SIGNED_MAX = "signed-max"
    """0x7 or 0xF."""
    ZERO = "zero"
    """0x0 (the reference that TE's tests have in Python)."""


class AmaxNan(StrEnum):
    """What a NaN among the elements does to b and amax."""

    IGNORE = "ignore"
    """Nothing, as fmax has it (TE)."""
    PROPAGATE = "propagate"
    """They become NaN (torch.amax)."""


class Float64(StrEnum):
    """What becomes of float64 input, which no recipe knows."""

    ROUND = "round"
    """Rounded to float32 first, to nearest even."""
    REFUSE = "refuse"
    """An error."""


class DecodeOrder(StrEnum):
    """How a value is computed from its codes."""

    EXACT = "exact"
    """e * s * g, rounded to float32 once."""
    SCALE_FIRST = "scale-first"
    """fl(fl(s * g) * e) (ModelOpt, torchao)."""
