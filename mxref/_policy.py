"""The class `Policy`: one field or more for each open point, with what ``ocp`` chooses and why.

Import it from ``mxref.policy``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from mxref import _choices as choice
from mxref._suggest import unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NAMED", "OPEN_POINT_OF", "REASONS", "Policy"]

NAMED: dict[str, Policy] = {}
"""The policies that `Policy.name` knows; ``mxref.policy`` enters the profiles."""


def _at(open_point: str, default: StrEnum, reason: str) -> Any:
    """Declare a field: its open point, what ``ocp`` chooses there, and why."""
    return field(default=default, metadata={"open_point": open_point, "reason": reason})


@dataclass(frozen=True, kw_only=True)
class Policy:
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

    scale_rule: choice.ScaleRule = _at(
        "OP-SCALE-RULE",
        choice.ScaleRule.FLOOR,
        "the recipe that MX-1.0/6.3/scale itself gives, if only as a 'should'",
    )
    scale_log2: choice.ScaleLog2 = _at(
        "OP-SCALE-LOG2",
        choice.ScaleLog2.EXACT,
        "the recipe speaks of the largest power of two, an exact notion; float32 log2 misses it "
        "just below 2**k",
    )
    scale_quotient: choice.ScaleQuotient = _at(
        "OP-SCALE-QUOTIENT",
        choice.ScaleQuotient.EXACT,
        "where a rule divides, the exact quotient has no rounding to argue about",
    )
    scale_amax: choice.ScaleAmax = _at(
        "OP-SCALE-QUOTIENT",
        choice.ScaleAmax.SOURCE,
        "the largest magnitude of a block is one of its numbers, so it has the type already",
    )
    scale_zero_block: choice.ScaleZeroBlock = _at(
        "OP-SCALE-ZERO-BLOCK",
        choice.ScaleZeroBlock.MIN,
        "log2 of zero clamps at the low end, as in TOSA 1.1, cuBLAS, TE and torchao; every scale "
        "but NaN decodes to the same zeros",
    )
    scale_nan: choice.ScaleNan = _at(
        "OP-SCALE-NONFINITE",
        choice.ScaleNan.NAN_SCALE,
        "a NaN must not turn into finite numbers, and FP6, FP4 and INT8 can say NaN only by the "
        "scale; TOSA 1.1, the one standard that fixes it, and torchao agree",
    )
    scale_inf: choice.ScaleInf = _at(
        "OP-SCALE-NONFINITE",
        choice.ScaleInf.NAN_SCALE,
        "no power of two is the largest below infinity, so the recipe has no answer; TOSA 1.1 and "
        "torchao give the NaN scale",
    )
    scale_above: choice.ScaleAbove = _at(
        "OP-SCALE-RANGE",
        choice.ScaleAbove.CLAMP,
        "the nearest scale that exists; elements then saturate (MX-1.0/6.3/clamp-normal)",
    )
    scale_below: choice.ScaleBelow = _at(
        "OP-SCALE-RANGE",
        choice.ScaleBelow.CLAMP,
        "the nearest scale that exists; elements keep what precision is left",
    )
    scale_subnormal: choice.ScaleSubnormal = _at(
        "OP-SCALE-SUBNORMAL",
        choice.ScaleSubnormal.TRUE,
        "a subnormal number has a largest power of two below it like any other",
    )
    e8m0_rounding: choice.E8M0Rounding = _at(
        "OP-E8M0-CAST",
        choice.E8M0Rounding.DOWN,
        "the recipe takes the largest power of two that does not exceed the number",
    )
    e8m0_zero: choice.E8M0Zero = _at(
        "OP-E8M0-CAST",
        choice.E8M0Zero.MIN,
        "consistent with the scale of an all-zero block",
    )
    e8m0_negative: choice.E8M0Negative = _at(
        "OP-E8M0-CAST",
        choice.E8M0Negative.NAN,
        "E8M0 has no sign: a negative number is an error, and NaN shows it",
    )
    e8m0_inf: choice.E8M0Inf = _at(
        "OP-E8M0-CAST",
        choice.E8M0Inf.NAN,
        "E8M0 cannot encode infinity; consistent with the scale of a block that holds one",
    )
    e8m0_overflow: choice.E8M0Overflow = _at(
        "OP-E8M0-CAST",
        choice.E8M0Overflow.SATURATE,
        "consistent with scale_above; unreachable while rounding goes down",
    )
    e8m0_underflow: choice.E8M0Underflow = _at(
        "OP-E8M0-CAST",
        choice.E8M0Underflow.MIN,
        "consistent with scale_below",
    )
    e8m0_subnormal: choice.E8M0Subnormal = _at(
        "OP-E8M0-CAST",
        choice.E8M0Subnormal.TRUE,
        "consistent with scale_subnormal",
    )
    scale_operand: choice.ScaleOperand = _at(
        "OP-SCALE-FP32-OPERAND",
        choice.ScaleOperand.E8M0,
        "the format stores an E8M0 code (MX-1.0/5.4/e8m0); nothing is left to ignore or to round",
    )
    rounding: choice.Rounding = _at(
        "OP-ELEM-ROUNDING",
        choice.Rounding.NEAREST_EVEN,
        "the one mode that must exist for FP6, FP4 and INT8 (MX-1.0/6.3/rounding) and the usual "
        "one for FP8",
    )
    stochastic: choice.Stochastic = _at(
        "OP-ELEM-STOCHASTIC",
        choice.Stochastic.PER_ELEMENT,
        "unused while rounding is deterministic; IEEE P3109 gives each rounding bits of its own",
    )
    stochastic_bits: choice.StochasticBits = _at(
        "OP-ELEM-STOCHASTIC",
        choice.StochasticBits.N16,
        "unused while rounding is deterministic; PTX .rs gives an FP8 or FP6 element 16",
    )
    fp8_overflow: choice.FP8Overflow = _at(
        "OP-FP8-OVERFLOW",
        choice.FP8Overflow.SATURATE,
        "both must exist; MX-1.0/6.3/clamp-normal asks for clamping, and under FLOOR 13 % of "
        "Gaussian MXFP8 E4M3 blocks would otherwise hold a NaN",
    )
    nan_element: choice.NanElement = _at(
        "OP-NAN-ELEMENT",
        choice.NanElement.POS_MAX,
        "PTX, the CUDA headers and ONNX agree; inside a block the NaN scale hides it",
    )
    inf_element: choice.InfElement = _at(
        "OP-INF-ELEMENT",
        choice.InfElement.CLAMP,
        "out-of-range values clamp to the largest magnitude (MX-1.0/6.3/clamp)",
    )
    nan_payload: choice.NanPayload = _at(
        "OP-NAN-PAYLOAD",
        choice.NanPayload.CANONICAL,
        "one code for NaN makes outputs comparable; PTX and RISC-V give 0x7F in both formats",
    )
    neg_zero: choice.NegZero = _at(
        "OP-NEG-ZERO",
        choice.NegZero.KEEP,
        "IEEE 754 conversions keep the sign, and the formats have a code for it",
    )
    int8_min: choice.Int8Min = _at(
        "OP-INT8-MIN",
        choice.Int8Min.UNUSED,
        "MX-1.0/5.3.4/int8-min allows it and microxcaling does it; the symmetric range has no bias",
    )
    scaled_intermediate: choice.ScaledIntermediate = _at(
        "OP-SCALED-INTERMEDIATE",
        choice.ScaledIntermediate.EXACT,
        "dividing by a power of two is exact; MX-1.0/6.3/elements has one rounding",
    )
    input_subnormal: choice.InputSubnormal = _at(
        "OP-ELEM-SUBNORMAL",
        choice.InputSubnormal.KEEP,
        "the recipe is stated over reals, and a subnormal input is one like any other",
    )
    element_subnormal: choice.ElementSubnormal = _at(
        "OP-ELEM-SUBNORMAL",
        choice.ElementSubnormal.GRADUAL,
        "the element formats define subnormals, and the standard flushes none",
    )
    relu: choice.Relu = _at(
        "OP-ELEM-SUBNORMAL",
        choice.Relu.OFF,
        "a conversion keeps the sign; a rectifier is an operation of its own",
    )
    decode_overflow: choice.DecodeOverflow = _at(
        "OP-DECODE-OVERFLOW",
        choice.DecodeOverflow.INF,
        "IEEE 754 rounding to float32; it shows the overflow instead of hiding it",
    )
    decode_nan: choice.DecodeNan = _at(
        "OP-DECODE-NAN",
        choice.DecodeNan.CANONICAL,
        "one bit pattern makes outputs comparable",
    )
    decode_subnormal: choice.DecodeSubnormal = _at(
        "OP-ELEM-SUBNORMAL",
        choice.DecodeSubnormal.GRADUAL,
        "the element formats define subnormals, and float32 holds every product of a scale",
    )
    block_geometry: choice.BlockGeometry = _at(
        "OP-BLOCK-GEOMETRY",
        choice.BlockGeometry.CONTIGUOUS_1D,
        "k neighbours along the reduction axis, as in the paper and in every matrix instruction",
    )
    block_tail: choice.BlockTail = _at(
        "OP-BLOCK-TAIL",
        choice.BlockTail.FORBID,
        "a block has k elements (MX-1.0/5.1/block); padding is the caller's decision (pad=True)",
    )
    packing: choice.Packing = _at(
        "OP-PACKING",
        choice.Packing.BYTE_PER_CODE,
        "the standard prescribes no layout (MX-1.0/5.1/layout); unpacked codes cannot be misread",
    )
    scale_layout: choice.ScaleLayout = _at(
        "OP-SCALE-LAYOUT",
        choice.ScaleLayout.ROW_MAJOR,
        "the standard prescribes no layout; this one needs no explanation",
    )
    transpose: choice.Transpose = _at(
        "OP-TRANSPOSE",
        choice.Transpose.REQUANTIZE,
        "transposing and quantizing do not commute for one-dimensional blocks",
    )
    dot_precision: choice.DotPrecision = _at(
        "OP-DOT-PRECISION",
        choice.DotPrecision.EXACT,
        "the only precision that depends on nobody's hardware",
    )
    dot_grouping: choice.DotGrouping = _at(
        "OP-DOT-GROUPING",
        choice.DotGrouping.WHOLE,
        "an exact sum has no order",
    )
    dot_scale_place: choice.DotScalePlace = _at(
        "OP-DOT-SCALE-PLACE",
        choice.DotScalePlace.EXACT,
        "exponents add exactly, as MX-1.0/6.1/dot writes them",
    )
    dot_output: choice.DotOutput = _at(
        "OP-DOT-OUTPUT",
        choice.DotOutput.FLOAT32_NEAREST_EVEN,
        "MX-1.0/6.2/float32 asks for Float32; nearest-even is its default rounding",
    )
    dot_nan: choice.DotNan = _at(
        "OP-DOT-NAN",
        choice.DotNan.CANONICAL,
        "one bit pattern makes outputs comparable",
    )
    dot_mixed_types: choice.DotMixedTypes = _at(
        "OP-DOT-MIXED-TYPES",
        choice.DotMixedTypes.ANY,
        "MX-1.0/6.1/dot allows operands of different types",
    )
    nvfp4_recipe: choice.Nvfp4Recipe = _at(
        "OP-NVFP4-RECIPE",
        choice.Nvfp4Recipe.UNASSIGNED,
        "NVFP4 is no OCP format",
    )
    bdr_quantizer: choice.BdrQuantizer = _at(
        "OP-BDR-QUANTIZER",
        choice.BdrQuantizer.UNASSIGNED,
        "MX9, MX6 and MX4 are no OCP formats",
    )
    conformance_claim: choice.ConformanceClaim = _at(
        "OP-CONFORMANCE-CLAIM",
        choice.ConformanceClaim.FORMATS_AND_POLICY,
        "any subset of formats in any layout may be called compliant, so the claim must say which",
    )

    def __post_init__(self) -> None:
        """Turn strings into members, and refuse those that name none."""
        for f in fields(self):
            value = getattr(self, f.name)
            enum: type[StrEnum] = type(cast("StrEnum", f.default))
            if isinstance(value, enum):
                continue
            try:
                object.__setattr__(self, f.name, enum(value))
            except ValueError:
                raise ValueError(unknown_name(f"choice for {f.name}", value, enum)) from None

    def __hash__(self) -> int:
        """Hash the choices, once: kernels and parameters are looked up by it in every call."""
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = hash(tuple(getattr(self, f.name) for f in fields(self)))
            object.__setattr__(self, "_hash", known)
        return known

    def __getstate__(self) -> dict[str, StrEnum]:
        """Leave the hash behind: that of a string differs from process to process."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def name(self) -> str:
        """Name of the profile, or ``ocp:field=choice,...`` where no profile is equal."""
        for name, policy in NAMED.items():
            if self == policy:
                return name
        changes = self.diff(Policy())
        return "ocp:" + ",".join(f"{key}={ours}" for key, (ours, _) in changes.items())

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    def replace(self, **changes: str) -> Policy:
        """Return a copy with some fields changed.

        Raises
        ------
        ValueError
            If a field or a choice does not exist.
        """
        for key in changes:
            if key not in OPEN_POINT_OF:
                raise ValueError(unknown_name("policy field", key, OPEN_POINT_OF))
        return replace(self, **changes)  # type: ignore[arg-type]  # __post_init__ converts strings

    def diff(self, other: Policy) -> dict[str, tuple[str, str]]:
        """Return the fields in which two policies differ: ``{field: (ours, theirs)}``."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return {name: (str(ours), str(theirs)) for name, ours, theirs in pairs if ours != theirs}

    def as_dict(self) -> dict[str, str]:
        """Return every field and its choice as strings."""
        return {f.name: str(getattr(self, f.name)) for f in fields(self)}


OPEN_POINT_OF: Mapping[str, str] = MappingProxyType(
    {f.name: f.metadata["open_point"] for f in fields(Policy)}
)
"""The open point that each field of `Policy` settles."""

REASONS: Mapping[str, str] = MappingProxyType(
    {f.name: f.metadata["reason"] for f in fields(Policy)}
)
"""Why ``ocp`` chooses what it chooses, by field."""
