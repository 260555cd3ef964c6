"""The expectation of a case: outcomes by the exact definition, verdict and clauses.

Expected values come from `mxref.exact` and from nowhere else; `mxref.vectors.verify` then compares
them with the kernels, which share no code with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mxref._policy_base import Choices
from mxref.exact import block, element, ieee, scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import BlockFormat, ElementFormat, Kind, ScaleFormat, pow2
from mxref.policy import Policy
from mxref.vectors.choices import Outcome, tabulate
from mxref.vectors.expect_dot import expect_dot
from mxref.vectors.expect_tensor import (
    expect_dequantize,
    expect_dequantize_tensor,
    expect_quantize_tensor,
)
from mxref.vectors.expectation import Expectation, deciding, verdict_of
from mxref.vectors.gemm.expect import expect_matmul
from mxref.vectors.lookup import AnyFormat, RelativeFormat, format_name
from mxref.vectors.model import Member, Verdict
from mxref.vectors.operations import Inputs, Output
from mxref.vectors.relatives.compare import rules_of as relative_rules
from mxref.vectors.relatives.expect import assumed_of_relative, expect_relative
from mxref.vectors.stochastic import expect_stochastic

__all__ = ["assumed_fields", "compare_rules", "expect"]

_NAN_SCALE = 0xFF
_LEAST_LIMIT = 125  # some scales end here: scale_above


def assumed_fields(operation: str, fmt: AnyFormat, policy: Choices) -> tuple[str, ...]:
    """Policy fields that a ``must`` of this file takes for granted.

    The rounding, the scale rule and a fused rectifier decide nearly every case. Written as
    ``one_of`` they would make a vector say nothing; so a file is about one choice of them, and of
    whatever else its policy changes, as its name and header state.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> assumed_fields("quantize", block_format("mxfp4"), Policy())
    ('scale_rule', 'rounding', 'relu')
    """
    if not isinstance(policy, Policy):
        return assumed_of_relative(operation, policy)
    fields: tuple[str, ...] = ()
    if operation.startswith("quantize"):
        fields = ("scale_rule", "rounding", "relu")
    elif operation == "encode" and isinstance(fmt, ElementFormat):
        fields = ("rounding", "relu")
    elif operation in ("dot", "matmul"):
        fields = ("dot_precision",)  # of float32 or more
    if policy.rounding.startswith("stochastic"):
        fields = (*fields, "stochastic", "stochastic_bits")
    return (*fields, *(f for f in policy.diff(Policy()) if f not in fields))


def compare_rules(operation: str, fmt: AnyFormat) -> tuple[str, ...]:
    """Names of the rules by which outputs of this file are compared (see ``COMPARE_RULES``).

    Spec: MX-1.0/4/scope, MX-1.0/5.1/nan-scale. Open points: OP-NAN-PAYLOAD, OP-DECODE-NAN,
    OP-SCALE-ZERO-BLOCK.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> compare_rules("quantize", block_format("mxfp4"))
    ('nan-scale-hides-codes', 'zero-block-any-scale')
    """
    if isinstance(fmt, RelativeFormat):
        return relative_rules(operation)
    if operation == "decode":
        has_nan = isinstance(fmt, ScaleFormat) or (isinstance(fmt, ElementFormat) and fmt.has_nan)
        return ("any-nan",) if has_nan else ()
    if operation in ("dequantize", "dot", "dequantize_tensor", "matmul"):
        return ("any-nan",)
    if operation == "quantize" and isinstance(fmt, BlockFormat):
        blockwise = ("nan-scale-hides-codes", "zero-block-any-scale")
        return ("any-nan", *blockwise) if fmt.element.has_nan else blockwise
    return ()


def expect(operation: str, fmt: AnyFormat, policy: Choices, inputs: Inputs) -> Expectation:
    """Work out what the standards and the policy say about one input.

    Parameters
    ----------
    operation : str
        One of `mxref.vectors.operations.OPERATIONS`.
    fmt : ElementFormat, ScaleFormat, BlockFormat, pair of BlockFormat or a relative
        As `mxref.vectors.lookup.vector_format` gives it.
    policy : Policy, NVFP4Policy or BDRPolicy
        The policy of the file.
    inputs : Inputs
        What the case feeds in.

    Raises
    ------
    TypeError
        If the format is not of the kind that the operation takes.
    """
    if isinstance(fmt, RelativeFormat):
        return expect_relative(operation, fmt, policy, inputs)
    if not isinstance(policy, Policy):
        raise TypeError(f"{operation} takes a Policy, not {type(policy).__name__}")
    if operation == "dot" and isinstance(fmt, tuple):
        return expect_dot(fmt, policy, inputs)
    if operation == "matmul" and isinstance(fmt, tuple):
        return expect_matmul(fmt, policy, inputs)
    found = None
    if isinstance(fmt, BlockFormat):
        found = _of_blocks(operation, fmt, policy, inputs)
    elif isinstance(fmt, ElementFormat | ScaleFormat):
        found = _of_numbers(operation, fmt, policy, inputs)
    if found is None:
        raise TypeError(f"{operation} does not take the format {format_name(fmt)}")
    return found


def _of_blocks(
    operation: str, fmt: BlockFormat, policy: Policy, inputs: Inputs
) -> Expectation | None:
    match operation:
        case "quantize":
            return _quantize(fmt, policy, inputs)
        case "dequantize":
            return expect_dequantize(fmt, policy, inputs)
        case "quantize_tensor":
            return expect_quantize_tensor(fmt, policy, inputs)
        case "dequantize_tensor":
            return expect_dequantize_tensor(fmt, policy, inputs)
    return None


def _of_numbers(
    operation: str, fmt: ElementFormat | ScaleFormat, policy: Policy, inputs: Inputs
) -> Expectation | None:
    if operation == "decode":
        return _decode(fmt, policy, inputs.bits[0])
    if operation != "encode":
        return None
    if isinstance(fmt, ScaleFormat):
        return _encode_scale(fmt, policy, _number(inputs))
    if inputs.random:
        return expect_stochastic(fmt, policy, inputs)
    return _encode_element(fmt, policy, inputs)


def _number(inputs: Inputs) -> Number:
    return ieee.from_bits(inputs.bits[0], str(inputs.type))


def _is_nan_code(code: int, fmt: ElementFormat) -> bool:
    return (code & (fmt.sign_mask - 1)) in fmt.nan_magnitudes


# --- decode ----------------------------------------------------------------------------------


def _decode(fmt: ElementFormat | ScaleFormat, policy: Policy, code: int) -> Expectation:
    number = scale.decode(code, fmt) if isinstance(fmt, ScaleFormat) else element.decode(code, fmt)

    def outcome(p: Policy) -> Outcome:
        bits = ieee.to_bits(number, "float32", p)
        return bits, Output((bits,))

    members = tabulate(policy, ("decode_nan",), outcome)
    clauses = {fmt.clause} | deciding(members)
    if number.cls is NumberClass.NAN:
        clauses.add("OP-DECODE-NAN")
    if isinstance(fmt, ElementFormat) and fmt.kind is Kind.FLOAT:
        # Magnitude codes below the first with a nonzero exponent field.
        if number.cls is NumberClass.FINITE and number.magnitude < pow2(fmt.emin):
            clauses.add("MX-1.0/5.3/subnormals")
    elif isinstance(fmt, ElementFormat) and code == fmt.sign_mask:
        clauses.add("MX-1.0/5.3.4/int8-min")
    return Expectation(members, verdict_of(members), tuple(sorted(clauses)))


# --- encode ----------------------------------------------------------------------------------


def _encode_element(fmt: ElementFormat, policy: Policy, inputs: Inputs) -> Expectation:
    number, source = _number(inputs), str(inputs.type)

    def outcome(p: Policy) -> Outcome:
        code = element.encode(number, fmt, p, source=source)
        return code, Output((code,))

    fields = _element_fields(fmt, has_nan=number.cls is NumberClass.NAN)
    if number.cls is NumberClass.INF and not fmt.is_fp8:
        fields = (*fields, "inf_element")
    if _is_subnormal(number, source):
        fields = (*fields, "input_subnormal")
    members = tabulate(policy, fields, outcome)
    clauses = _element_clauses(fmt, number, members) | deciding(members)
    codes = {m.out.bits[0] for m in members if m.out is not None}
    if any(_is_nan_code(code, fmt) for code in codes):
        # OFP8-1.0/nan: which NaN is implementation-defined, also one that no choice here yields.
        others = (c for c in range(fmt.code_count) if _is_nan_code(c, fmt) and c not in codes)
        members = (*members, *(Member(Output((code,)), ()) for code in others))
    return Expectation(members, verdict_of(members), tuple(sorted(clauses)))


def _is_subnormal(number: Number, source: str) -> bool:
    return ieee.flushed(number, source).cls is not number.cls


def _element_fields(fmt: ElementFormat, *, has_nan: bool) -> tuple[str, ...]:
    """Fields that may decide the code of an element, the rounding aside."""
    if fmt.is_fp8:
        # OFP8-1.0/sign and OFP8-1.0/zero keep the sign of zero: OP-NEG-ZERO is not open here.
        return ("nan_payload",) if has_nan else ("fp8_overflow", "nan_payload")
    nan_field = ("nan_element",) if has_nan else ()
    return (*nan_field, "neg_zero" if fmt.kind is Kind.FLOAT else "int8_min")


def _element_clauses(fmt: ElementFormat, number: Number, members: Sequence[Member]) -> set[str]:
    if number.cls is NumberClass.NAN:
        return (
            {"OFP8-1.0/nan", "OFP8-1.0/nan-sign", "OP-NAN-PAYLOAD"}
            if fmt.is_fp8
            else {"MX-1.0/5.3/nan-source", "OP-NAN-ELEMENT"}
        )
    if number.cls is NumberClass.INF:
        return (
            {"OFP8-1.0/inf-sat", "OFP8-1.0/inf-ovf", "OP-FP8-OVERFLOW"}
            if fmt.is_fp8
            else {"MX-1.0/6.3/clamp", "OP-INF-ELEMENT"}
        )
    if number.cls is NumberClass.ZERO:
        return {"OFP8-1.0/zero"} if fmt.is_fp8 else {"MX-1.0/6.3/rounding"}
    clauses = {"OFP8-1.0/rounding" if fmt.is_fp8 else "MX-1.0/6.3/rounding"}
    if fmt.is_fp8 and number.sign:
        clauses.add("OFP8-1.0/sign")
    out = members[0].out
    to_zero = out is not None and (out.bits[0] & (fmt.sign_mask - 1)) == 0
    if number.magnitude > fmt.max:
        clauses |= _overflow_clauses(fmt, settled=len(members) == 1)
    elif to_zero and fmt.kind is Kind.FLOAT:
        clauses.add("OFP8-1.0/underflow" if fmt.is_fp8 else "MX-1.0/6.3/underflow")
    elif fmt.is_fp8:
        clauses.add("OFP8-1.0/in-range")
    return clauses


def _overflow_clauses(fmt: ElementFormat, *, settled: bool) -> set[str]:
    """Beyond the largest value; where SAT and OVF agree, rounding brought it back into range."""
    if not fmt.is_fp8:
        return {"MX-1.0/6.3/clamp"}
    if settled:
        return {"OFP8-1.0/order", "OFP8-1.0/thresholds"}
    return {"OFP8-1.0/order", "OFP8-1.0/overflow-sat", "OFP8-1.0/overflow-ovf"}


def _encode_scale(fmt: ScaleFormat, policy: Policy, number: Number) -> Expectation:
    def outcome(p: Policy) -> Outcome:
        code = scale.encode(number, fmt, p)
        return code, Output((code,))

    members = tabulate(policy, _e8m0_fields(number, fmt), outcome)
    clauses = {fmt.clause} | deciding(members)
    verdict = verdict_of(members)
    if number.cls is NumberClass.FINITE and number.magnitude < pow2(fmt.emin):
        # Below the least power of two: no standard says anything, and packages do other things
        # than the fields can name (S17).
        clauses.add("OP-E8M0-CAST")
        verdict = Verdict.OPEN
    return Expectation(members, verdict, tuple(sorted(clauses)))


def _e8m0_fields(number: Number, fmt: ScaleFormat) -> tuple[str, ...]:
    """Fields that may decide the code of a number; it takes a negative one for one of its size."""
    signed = ("e8m0_negative",) if number.sign and number.cls is not NumberClass.ZERO else ()
    match number.cls:
        case NumberClass.NAN:
            return ()
        case NumberClass.ZERO:
            return ("e8m0_zero",)
        case NumberClass.INF:
            return (*signed, "e8m0_inf")
    fields = ("e8m0_rounding", *signed)
    if number.magnitude > pow2(fmt.emax):
        fields = (*fields, "e8m0_overflow")
    if number.magnitude < pow2(fmt.emin + 1):
        fields = (*fields, "e8m0_subnormal", "e8m0_underflow")
    return fields


# --- quantize --------------------------------------------------------------------------------


def _quantize(fmt: BlockFormat, policy: Policy, inputs: Inputs) -> Expectation:
    source = str(inputs.type)
    numbers = [ieee.from_bits(bits, source) for bits in inputs.bits]
    classes = {number.cls for number in numbers}
    amax = max((n.magnitude for n in numbers if n.cls is NumberClass.FINITE), default=Fraction(0))

    def outcome(p: Policy) -> Outcome:
        scale_code, codes = block.quantize(numbers, fmt, p, source=source)
        out = Output(tuple(codes), scale_code)
        if scale_code == _NAN_SCALE:
            return "nan scale", out  # nan-scale-hides-codes
        return (scale_code, *("nan" if _is_nan_code(c, fmt.element) else c for c in codes)), out

    scale_code, codes = block.quantize(numbers, fmt, policy, source=source)
    beyond = scale_code != _NAN_SCALE and amax > fmt.element.max * pow2(scale_code - fmt.scale.bias)
    if classes & {NumberClass.NAN, NumberClass.INF}:
        fields = _nonfinite_fields(fmt, classes, amax)
    else:
        fields = _finite_fields(fmt, codes, amax, beyond=beyond)
        if policy.scale_rule == "rceil" and amax:
            fields.append("scale_quotient")
        fields += _subnormal_fields(numbers, amax, source)
    members = tabulate(policy, fields, outcome)
    verdict = verdict_of(members)
    if classes >= {NumberClass.NAN, NumberClass.INF}:
        verdict = Verdict.OPEN  # which of the two prevails is nowhere named
    clauses = _block_clauses(fmt, classes, amax, scale_code, beyond=beyond) | deciding(members)
    return Expectation(members, verdict, tuple(sorted(clauses)))


def _nonfinite_fields(fmt: BlockFormat, classes: set[NumberClass], amax: Fraction) -> list[str]:
    has_nan, has_inf = NumberClass.NAN in classes, NumberClass.INF in classes
    fields = [name for name, used in (("scale_nan", has_nan), ("scale_inf", has_inf)) if used]
    if not amax:
        fields.append("scale_zero_block")
    if fmt.element.is_fp8:
        return [*fields, "fp8_overflow"]  # the NaN payload is covered by the rule any-nan
    return [*fields, *_element_fields(fmt.element, has_nan=has_nan)]


def _finite_fields(
    fmt: BlockFormat, codes: Sequence[int], amax: Fraction, *, beyond: bool
) -> list[str]:
    """Fields that may matter, judged by the outcome, so that most blocks need one run."""
    fields = [] if amax else ["scale_zero_block"]
    elem = fmt.element
    # One binade more than the floor of the logarithm needs: other rules go one up.
    if 0 < amax < pow2(fmt.scale.emin + elem.emax + 1):
        fields.append("scale_below")
    if amax >= pow2(_LEAST_LIMIT + elem.emax):
        fields.append("scale_above")
    if elem.is_fp8:
        return [*fields, "fp8_overflow"] if beyond else fields
    if elem.kind is Kind.FIXED:
        lowest = elem.code_count - elem.max_magnitude
        return [*fields, "int8_min"] if lowest in codes else fields
    return [*fields, "neg_zero"] if elem.sign_mask in codes else fields


def _subnormal_fields(numbers: Sequence[Number], amax: Fraction, source: str) -> list[str]:
    """Fields that matter where inputs are subnormal; a block of nothing else may count as zero."""
    if not any(_is_subnormal(number, source) for number in numbers):
        return []
    fields = ["input_subnormal"]
    if _is_subnormal(Number.finite(amax), source):
        fields.append("scale_zero_block")
        if amax < pow2(-126):
            fields.append("scale_subnormal")
    return fields


def _block_clauses(
    fmt: BlockFormat, classes: set[NumberClass], amax: Fraction, scale_code: int, *, beyond: bool
) -> set[str]:
    elem = fmt.element
    if classes & {NumberClass.NAN, NumberClass.INF}:
        clauses = {"MX-1.0/5.1/nan-scale", "MX-1.0/4/scope", "OP-SCALE-NONFINITE"}
        if NumberClass.INF in classes:
            clauses.add("OP-FP8-OVERFLOW" if elem.is_fp8 else "OP-INF-ELEMENT")
        return clauses
    clauses = {"MX-1.0/6.3/elements", "OFP8-1.0/zero" if elem.is_fp8 else "MX-1.0/6.3/rounding"}
    if not amax:
        return clauses | {"OP-SCALE-ZERO-BLOCK"}
    clauses = {"MX-1.0/6.3/scale", "MX-1.0/6.3/elements"}
    clauses.add("OFP8-1.0/rounding" if elem.is_fp8 else "MX-1.0/6.3/rounding")
    if beyond:
        clauses.add("MX-1.0/6.3/fp8-overflow" if elem.is_fp8 else "MX-1.0/6.3/clamp")
        clauses.add("MX-1.0/6.3/clamp-normal")
    if scale_code == 0 and amax < pow2(fmt.scale.emin + elem.emax):
        clauses.add("OP-SCALE-RANGE")
    if amax < pow2(-126):  # float32 and bfloat16 subnormals
        clauses.add("OP-SCALE-SUBNORMAL")
    return clauses
