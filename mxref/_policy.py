"""The class `Policy`: one field or more for each open point, with what ``ocp`` chooses and why.

Import it from ``mxref.policy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mxref import _choices as choice
from mxref._policy_base import Choices, choose, open_points_of, reasons_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NAMED", "OPEN_POINT_OF", "REASONS", "Policy"]

NAMED: dict[str, Choices] = {}
"""The policies that `Policy.name` knows; ``mxref.policy`` enters the profiles."""


@dataclass(frozen=True, kw_only=True)
class Policy(Choices):
    """One complete, frozen assignment of the open points.

    Every field accepts its enum member or that member's string. The defaults are the profile
    ``ocp``; ``Policy(rounding="toward-zero")`` differs from it in one field.

    Raises
    ------
    ValueError
        If a string names no member of the field's enumeration.

    Examples
    --------
    >>> truncating = Policy(rounding="toward-zero")
    >>> truncating.diff(Policy())
    {'rounding': ('toward-zero', 'nearest-even')}
    >>> str(truncating)
    'ocp:rounding=toward-zero'
    """

    BASE: ClassVar[str] = "ocp"
    KNOWN: ClassVar[dict[str, Choices]] = NAMED

    scale_rule: choice.ScaleRule = choose(
        "OP-SCALE-RULE",
        choice.ScaleRule.FLOOR,
        "the recipe that MX-1.0/6.3/scale itself gives, if only as a 'should'",
    )
    scale_log2: choice.ScaleLog2 = choose(
        "OP-SCALE-LOG2",
        choice.ScaleLog2.EXACT,
        "the recipe speaks of the largest power of two, an exact notion; float32 log2 misses it "
        "just below 2**k",
    )
    scale_quotient: choice.ScaleQuotient = choose(
        "OP-SCALE-QUOTIENT",
        choice.ScaleQuotient.EXACT,
        "where a rule divides, the exact quotient has no rounding to argue about",
    )
    scale_amax: choice.ScaleAmax = choose(
        "OP-SCALE-QUOTIENT",
        choice.ScaleAmax.SOURCE,
        "the largest magnitude of a block is one of its numbers, so it has the type already",
    )
    scale_zero_block: choice.ScaleZeroBlock = choose(
        "OP-SCALE-ZERO-BLOCK",
        choice.ScaleZeroBlock.MIN,
        "log2 of zero clamps at the low end, as in TOSA 1.1, cuBLAS, TE and torchao; every scale "
        "but NaN decodes to the same zeros",
    )
    scale_nan: choice.ScaleNan = choose(
        "OP-SCALE-NONFINITE",
        choice.ScaleNan.NAN_SCALE,
        "a NaN must not turn into finite numbers, and FP6, FP4 and INT8 can say NaN only by the "
        "scale; TOSA 1.1, the one standard that fixes it, and torchao agree",
    )
    scale_inf: choice.ScaleInf = choose(
        "OP-SCALE-NONFINITE",
        choice.ScaleInf.NAN_SCALE,
        "no power of two is the largest below infinity, so the recipe has no answer; TOSA 1.1 and "
        "torchao give the NaN scale",
    )
    scale_above: choice.ScaleAbove = choose(
        "OP-SCALE-RANGE",
        choice.ScaleAbove.CLAMP,
        "the nearest scale that exists; elements then saturate (MX-1.0/6.3/clamp-normal)",
    )
    scale_below: choice.ScaleBelow = choose(
        "OP-SCALE-RANGE",
        choice.ScaleBelow.CLAMP,
        "the nearest scale that exists; elements keep what precision is left",
    )
    scale_subnormal: choice.ScaleSubnormal = choose(
        "OP-SCALE-SUBNORMAL",
        choice.ScaleSubnormal.TRUE,
        "a subnormal number has a largest power of two below it like any other",
    )
    e8m0_rounding: choice.E8M0Rounding = choose(
        "OP-E8M0-CAST",
        choice.E8M0Rounding.DOWN,
        "the recipe takes the largest power of two that does not exceed the number",
    )
    e8m0_zero: choice.E8M0Zero = choose(
        "OP-E8M0-CAST",
        choice.E8M0Zero.MIN,
        "consistent with the scale of an all-zero block",
    )
    e8m0_negative: choice.E8M0Negative = choose(
        "OP-E8M0-CAST",
        choice.E8M0Negative.NAN,
        "E8M0 has no sign: a negative number is an error, and NaN shows it",
    )
    e8m0_inf: choice.E8M0Inf = choose(
        "OP-E8M0-CAST",
        choice.E8M0Inf.NAN,
        "E8M0 cannot encode infinity; consistent with the scale of a block that holds one",
    )
    e8m0_overflow: choice.E8M0Overflow = choose(
        "OP-E8M0-CAST",
        choice.E8M0Overflow.SATURATE,
        "consistent with scale_above; unreachable while rounding goes down",
    )
    e8m0_underflow: choice.E8M0Underflow = choose(
        "OP-E8M0-CAST",
        choice.E8M0Underflow.MIN,
        "consistent with scale_below",
    )
    e8m0_subnormal: choice.E8M0Subnormal = choose(
        "OP-E8M0-CAST",
        choice.E8M0Subnormal.TRUE,
        "consistent with scale_subnormal",
    )
    scale_operand: choice.ScaleOperand = choose(
        "OP-SCALE-FP32-OPERAND",
        choice.ScaleOperand.E8M0,
        "the format stores an E8M0 code (MX-1.0/5.4/e8m0); nothing is left to ignore or to round",
    )
    rounding: choice.Rounding = choose(
        "OP-ELEM-ROUNDING",
        choice.Rounding.NEAREST_EVEN,
        "the one mode that must exist for FP6, FP4 and INT8 (MX-1.0/6.3/rounding) and the usual "
        "one for FP8",
    )
    stochastic: choice.Stochastic = choose(
        "OP-ELEM-STOCHASTIC",
        choice.Stochastic.PER_ELEMENT,
        "unused while rounding is deterministic; IEEE P3109 gives each rounding bits of its own",
    )
    stochastic_bits: choice.StochasticBits = choose(
        "OP-ELEM-STOCHASTIC",
        choice.StochasticBits.N16,
        "unused while rounding is deterministic; PTX .rs gives an FP8 or FP6 element 16",
    )
    fp8_overflow: choice.FP8Overflow = choose(
        "OP-FP8-OVERFLOW",
        choice.FP8Overflow.SATURATE,
        "both must exist; MX-1.0/6.3/clamp-normal asks for clamping, and under FLOOR 13 % of "
        "Gaussian MXFP8 E4M3 blocks would otherwise hold a NaN",
    )
    nan_element: choice.NanElement = choose(
        "OP-NAN-ELEMENT",
        choice.NanElement.POS_MAX,
        "PTX, the CUDA headers and ONNX agree; inside a block the NaN scale hides it",
    )
    inf_element: choice.InfElement = choose(
        "OP-INF-ELEMENT",
        choice.InfElement.CLAMP,
        "out-of-range values clamp to the largest magnitude (MX-1.0/6.3/clamp)",
    )
    nan_payload: choice.NanPayload = choose(
        "OP-NAN-PAYLOAD",
        choice.NanPayload.CANONICAL,
        "one code for NaN makes outputs comparable; PTX and RISC-V give 0x7F in both formats",
    )
    neg_zero: choice.NegZero = choose(
        "OP-NEG-ZERO",
        choice.NegZero.KEEP,
        "IEEE 754 conversions keep the sign, and the formats have a code for it",
    )
    int8_min: choice.Int8Min = choose(
        "OP-INT8-MIN",
        choice.Int8Min.UNUSED,
        "MX-1.0/5.3.4/int8-min allows it and microxcaling does it; the symmetric range has no bias",
    )
    scaled_intermediate: choice.ScaledIntermediate = choose(
        "OP-SCALED-INTERMEDIATE",
        choice.ScaledIntermediate.EXACT,
        "dividing by a power of two is exact; MX-1.0/6.3/elements has one rounding",
    )
    input_subnormal: choice.InputSubnormal = choose(
        "OP-ELEM-SUBNORMAL",
        choice.InputSubnormal.KEEP,
        "the recipe is stated over reals, and a subnormal input is one like any other",
    )
    element_subnormal: choice.ElementSubnormal = choose(
        "OP-ELEM-SUBNORMAL",
        choice.ElementSubnormal.GRADUAL,
        "the element formats define subnormals, and the standard flushes none",
    )
    relu: choice.Relu = choose(
        "OP-ELEM-SUBNORMAL",
        choice.Relu.OFF,
        "a conversion keeps the sign; a rectifier is an operation of its own",
    )
    decode_overflow: choice.DecodeOverflow = choose(
        "OP-DECODE-OVERFLOW",
        choice.DecodeOverflow.INF,
        "IEEE 754 rounding to float32; it shows the overflow instead of hiding it",
    )
    decode_nan: choice.DecodeNan = choose(
        "OP-DECODE-NAN",
        choice.DecodeNan.CANONICAL,
        "one bit pattern makes outputs comparable",
    )
    decode_subnormal: choice.DecodeSubnormal = choose(
        "OP-ELEM-SUBNORMAL",
        choice.DecodeSubnormal.GRADUAL,
        "the element formats define subnormals, and float32 holds every product of a scale",
    )
    block_geometry: choice.BlockGeometry = choose(
        "OP-BLOCK-GEOMETRY",
        choice.BlockGeometry.CONTIGUOUS_1D,
        "k neighbours along the reduction axis, as in the paper and in every matrix instruction",
    )
    block_tail: choice.BlockTail = choose(
        "OP-BLOCK-TAIL",
        choice.BlockTail.FORBID,
        "a block has k elements (MX-1.0/5.1/block); padding is the caller's decision (pad=True)",
    )
    packing: choice.Packing = choose(
        "OP-PACKING",
        choice.Packing.BYTE_PER_CODE,
        "the standard prescribes no layout (MX-1.0/5.1/layout); unpacked codes cannot be misread",
    )
    scale_layout: choice.ScaleLayout = choose(
        "OP-SCALE-LAYOUT",
        choice.ScaleLayout.ROW_MAJOR,
        "the standard prescribes no layout; this one needs no explanation",
    )
    transpose: choice.Transpose = choose(
        "OP-TRANSPOSE",
        choice.Transpose.REQUANTIZE,
        "transposing and quantizing do not commute for one-dimensional blocks",
    )
    dot_precision: choice.DotPrecision = choose(
        "OP-DOT-PRECISION",
        choice.DotPrecision.EXACT,
        "the only precision that depends on nobody's hardware",
    )
    dot_grouping: choice.DotGrouping = choose(
        "OP-DOT-GROUPING",
        choice.DotGrouping.WHOLE,
        "an exact sum has no order",
    )
    dot_scale_place: choice.DotScalePlace = choose(
        "OP-DOT-SCALE-PLACE",
        choice.DotScalePlace.EXACT,
        "exponents add exactly, as MX-1.0/6.1/dot writes them",
    )
    dot_output: choice.DotOutput = choose(
        "OP-DOT-OUTPUT",
        choice.DotOutput.FLOAT32_NEAREST_EVEN,
        "MX-1.0/6.2/float32 asks for Float32; nearest-even is its default rounding",
    )
    dot_nan: choice.DotNan = choose(
        "OP-DOT-NAN",
        choice.DotNan.CANONICAL,
        "one bit pattern makes outputs comparable",
    )
    dot_mixed_types: choice.DotMixedTypes = choose(
        "OP-DOT-MIXED-TYPES",
        choice.DotMixedTypes.ANY,
        "MX-1.0/6.1/dot allows operands of different types",
    )
    nvfp4_recipe: choice.Nvfp4Recipe = choose(
        "OP-NVFP4-RECIPE",
        choice.Nvfp4Recipe.UNASSIGNED,
        "NVFP4 is no OCP format: mxref.nvfp4.NVFP4Policy has its choices",
    )
    bdr_quantizer: choice.BdrQuantizer = choose(
        "OP-BDR-QUANTIZER",
        choice.BdrQuantizer.UNASSIGNED,
        "MX9, MX6 and MX4 are no OCP formats: mxref.bdr.BDRPolicy has their choices",
    )
    conformance_claim: choice.ConformanceClaim = choose(
        "OP-CONFORMANCE-CLAIM",
        choice.ConformanceClaim.FORMATS_AND_POLICY,
        "any subset of formats in any layout may be called compliant, so the claim must say which",
    )


OPEN_POINT_OF: Mapping[str, str] = open_points_of(Policy)
"""The open point that each field of `Policy` settles."""

REASONS: Mapping[str, str] = reasons_of(Policy)
"""Why ``ocp`` chooses what it chooses, by field."""
