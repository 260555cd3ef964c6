"""The expectations of BDR formats, by `mxref.exact.bdr`.

The papers give the formats, no more than that is binding. A file is about a profile, whose rounding
and whose exponents are taken for granted; told apart are zeros, what is not finite, and the ends of
the range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from mxref._policy_base import open_points_of
from mxref.exact import bdr as exact
from mxref.exact import ieee
from mxref.exact.number import Number, NumberClass
from mxref.formats import pow2
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.vectors.choices import Outcome, tabulate
from mxref.vectors.expectation import Expectation, deciding, verdict_of
from mxref.vectors.operations import Inputs, Output
from mxref.vectors.relatives.dots import expect_dot

__all__ = ["ASSUMED", "expect"]

_F32 = "float32"
_POINT = "OP-BDR-QUANTIZER"
_NAN_SCALE = 0xFF
_OPEN_POINTS = open_points_of(BDRPolicy)

_SCALED = (
    *("rounding", "int_min", "scale_quotient", "element_quotient"),
    *("subscale_rounding", "element_divisor"),
)

ASSUMED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bdr_quantize": ("shared_exponent", "rounding", "shift", "int_min"),
        "bdr_dequantize": (),
        "bdr_dot": (),
        "scaled_quantize": _SCALED,
        "scaled_dequantize": (),
    }
)
"""Fields that a ``must`` takes for granted, by operation."""


def expect(operation: str, fmt: BDRFormat, policy: BDRPolicy, inputs: Inputs) -> Expectation:
    """Work out one case under a policy.

    Notes
    -----
    OP-BDR-QUANTIZER.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import bdr_format
    >>> block = Inputs("float32", (0x3F800000, *[0x3F000000] * 15))
    >>> expect("bdr_quantize", bdr_format("mx4"), BDRPolicy(), block).members[0].out.subscales
    (0, 1, 1, 1, 1, 1, 1, 1)
    """
    if operation.endswith("_dequantize"):
        return _dequantize(fmt, policy, inputs)
    if operation == "bdr_dot":
        return expect_dot(fmt, policy, inputs)
    return _quantize(fmt, policy, inputs)


def _expectation(
    policy: BDRPolicy,
    fields: Sequence[str],
    outcome: Callable[[BDRPolicy], Outcome],
    clauses: set[str],
) -> Expectation:
    members = tabulate(policy, fields, outcome)
    clauses = clauses | deciding(members, _OPEN_POINTS)
    return Expectation(members, verdict_of(members), tuple(sorted(clauses)))


def _dequantize(fmt: BDRFormat, policy: BDRPolicy, inputs: Inputs) -> Expectation:
    values = exact.dequantize(inputs.scales[0], inputs.subscales, inputs.bits, fmt)
    bits = tuple(ieee.to_bits(value, _F32) for value in values)
    clauses = {_POINT}
    if fmt.float_element is not None:
        clauses.add("OFP8-1.0/value")
    return _expectation(policy, (), lambda _: (bits, Output(bits)), clauses)


def _quantize(fmt: BDRFormat, policy: BDRPolicy, inputs: Inputs) -> Expectation:
    source = str(inputs.type)
    numbers = [ieee.from_bits(bits, source) for bits in inputs.bits]
    lanes = len(numbers)

    def outcome(p: BDRPolicy) -> Outcome:
        scale, subscales, codes = exact.quantize(numbers, fmt, p, source=source)
        used = subscales[: lanes // fmt.k2] if fmt.has_subscales else ()
        out = Output(codes, scale, subscales=used)
        if fmt.scale is ScaleKind.POW2 and scale == _NAN_SCALE:
            return "nan scale", out  # nan-scale-hides-codes
        return (scale, used, codes), out

    _, first = outcome(policy)
    fields = list(_free_fields(fmt, numbers, source, first))
    return _expectation(policy, fields, outcome, _clauses(fmt, numbers))


def _clauses(fmt: BDRFormat, numbers: Sequence[Number]) -> set[str]:
    clauses = {_POINT}
    if fmt.float_element is not None and any(n.cls is NumberClass.FINITE for n in numbers):
        clauses.add("OFP8-1.0/rounding")
    return clauses


def _free_fields(
    fmt: BDRFormat, numbers: Sequence[Number], source: str, out: Output
) -> Iterator[str]:
    """Fields that are told apart, where they may show."""
    classes = {number.cls for number in numbers}
    if NumberClass.NAN in classes:
        yield "nan"
    if NumberClass.INF in classes:
        yield "inf"
    amax = max((n.magnitude for n in numbers if n.cls is NumberClass.FINITE), default=pow2(-200))
    if NumberClass.FINITE not in classes:
        yield "zero_block"
    elif fmt.scale is ScaleKind.POW2 and fmt.has_subscales:
        subs = (numbers[i : i + fmt.k2] for i in range(0, len(numbers), fmt.k2))
        if any(all(n.cls is not NumberClass.FINITE for n in sub) for sub in subs):
            yield "zero_subblock"
    if fmt.scale is ScaleKind.POW2:
        if amax < pow2(-127):
            yield "scale_below"
        if amax >= pow2(127):
            yield "scale_above"
    if any(ieee.flushed(n, source).cls is not n.cls for n in numbers):
        yield "input_subnormal"
    minus_zero = fmt.sign_mask in out.bits and fmt.element != "twos-complement"
    if minus_zero or any(n.cls is NumberClass.ZERO and n.sign for n in numbers):
        yield "neg_zero"
