"""The expectations of NVFP4, by `mxref.exact.nvfp4`.

No standard obliges anybody. A file is about a profile, so that its recipe is taken for granted;
told apart are the choices that touch no number of a finite tensor: the sign of zero, NaN, and the
codes under a scale of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from mxref.exact import ieee
from mxref.exact import nvfp4 as exact
from mxref.exact.number import Number, NumberClass
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import OPEN_POINT_OF, NVFP4Policy
from mxref.vectors.choices import Outcome, tabulate
from mxref.vectors.expectation import Expectation, deciding, verdict_of
from mxref.vectors.operations import Inputs, Output
from mxref.vectors.relatives.dots import expect_dot

__all__ = ["ASSUMED", "expect"]

_F32 = "float32"
_RECIPE = "OP-NVFP4-RECIPE"
_NAN_SCALE, _MINUS_ZERO = 0x7F, 0x8
_SIZE = NVFP4.block_size

_SCALES = (
    *("levels", "global_order", "global_zero", "global_cap"),
    *("scale_order", "scale_top", "scale_least", "scale_zero", "scale_rounding", "scale_overflow"),
)
_ELEMENTS = ("element_order", "factor_type", "target", "rounding")

ASSUMED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "nvfp4_scale_encode": ("scale_rounding", "scale_overflow"),
        "nvfp4_scale_decode": (),
        "nvfp4_quantize": (*_SCALES, *_ELEMENTS),
        "nvfp4_dequantize": (),
        "nvfp4_quantize_tensor": ("geometry", *_SCALES, *_ELEMENTS),
        "nvfp4_dot": (),
    }
)
"""Fields that a ``must`` takes for granted, by operation."""


def expect(operation: str, policy: NVFP4Policy, inputs: Inputs) -> Expectation:
    """Work out one case under a policy.

    Notes
    -----
    OP-NVFP4-RECIPE.

    Examples
    --------
    >>> six = Inputs("float32", (0x40C00000,) * 16, amax=0x40C00000)
    >>> out = expect("nvfp4_quantize", NVFP4Policy(), six).members[0].out
    >>> hex(out.scale), set(out.bits)
    ('0x7e', {7})
    """
    match operation:
        case "nvfp4_scale_encode":
            return _scale_encode(policy, inputs)
        case "nvfp4_scale_decode":
            return _scale_decode(policy, inputs)
        case "nvfp4_dequantize":
            return _dequantize(policy, inputs)
        case "nvfp4_dot":
            return expect_dot(NVFP4, policy, inputs)
    return _quantize(policy, inputs)


def _expectation(
    policy: NVFP4Policy,
    fields: Sequence[str],
    outcome: Callable[[NVFP4Policy], Outcome],
    clauses: set[str],
) -> Expectation:
    members = tabulate(policy, fields, outcome)
    clauses = clauses | deciding(members, OPEN_POINT_OF)
    return Expectation(members, verdict_of(members), tuple(sorted(clauses)))


def _float(bits: int) -> Number:
    return ieee.from_bits(bits, _F32)


# --- scale codes -----------------------------------------------------------------------------


def _scale_encode(policy: NVFP4Policy, inputs: Inputs) -> Expectation:
    number = ieee.from_bits(inputs.bits[0], str(inputs.type))
    code = exact.encode_scale(number, policy)
    clauses = {_RECIPE}
    if number.cls is NumberClass.FINITE:
        clauses.add("OFP8-1.0/rounding")
        clauses.add("OFP8-1.0/underflow" if not code else "OFP8-1.0/in-range")
    return _expectation(policy, (), lambda _: (code, Output((code,))), clauses)


def _scale_decode(policy: NVFP4Policy, inputs: Inputs) -> Expectation:
    def outcome(p: NVFP4Policy) -> Outcome:
        bits = ieee.to_bits(exact.decode_scale(inputs.bits[0], p), _F32)
        return bits, Output((bits,))

    return _expectation(policy, ("scale_sign",), outcome, {_RECIPE, "OFP8-1.0/value"})


# --- values ----------------------------------------------------------------------------------


def _dequantize(policy: NVFP4Policy, inputs: Inputs) -> Expectation:
    g, scale = _float(inputs.global_scale or 0), inputs.scales[0]

    def outcome(p: NVFP4Policy) -> Outcome:
        values = (exact.value(code, scale, g, p) for code in inputs.bits)
        bits = tuple(ieee.to_bits(value, _F32) for value in values)
        key = tuple("nan" if _float(b).cls is NumberClass.NAN else b for b in bits)
        return key, Output(bits)

    fields = ["decode_order"]
    if scale > _NAN_SCALE:
        fields.append("scale_sign")
    return _expectation(policy, fields, outcome, {_RECIPE, "MX-1.0/5.3/fp4"})


# --- quantize --------------------------------------------------------------------------------


def _numbers(inputs: Inputs) -> list[Number]:
    return [ieee.from_bits(bits, str(inputs.type)) for bits in inputs.bits]


def _quantize(policy: NVFP4Policy, inputs: Inputs) -> Expectation:
    numbers = _numbers(inputs)
    places = list(_blocks(policy, inputs)) if inputs.shape else [[list(range(_SIZE))]]

    def made(p: NVFP4Policy) -> Output:
        amax = exact.block_amax(numbers, p) if inputs.amax is None else _float(inputs.amax)
        scales = exact.global_scales(amax, p)
        own = ieee.to_bits(scales.decode, _F32)
        codes, found = [0] * len(numbers), []
        for rows in places:
            flat = [place for row in rows for place in row]
            block = exact.quantize_block([numbers[place] for place in flat], scales, p)
            found.append((rows, block.scale))
            for place, code in zip(flat, block.codes, strict=True):
                codes[place] = code
        if not inputs.shape:
            return Output(tuple(codes), found[0][1], global_scale=own)
        return Output(tuple(codes), None, _plane(inputs, found), global_scale=own)

    def outcome(p: NVFP4Policy) -> Outcome:
        out = made(p)
        hidden = out.scale == _NAN_SCALE  # ue4m3-nan-hides-codes
        g = _float(out.global_scale or 0)
        own = "nan" if g.cls is NumberClass.NAN else out.global_scale
        return (own, out.scale, out.scales, () if hidden else out.bits), out

    first = made(policy)
    fields = list(_free_fields(numbers, first))
    clauses = {_RECIPE}
    if any(n.cls is NumberClass.FINITE for n in numbers):
        clauses |= {"MX-1.0/5.3/fp4", "OFP8-1.0/rounding"}
    return _expectation(policy, fields, outcome, clauses)


def _free_fields(numbers: Sequence[Number], out: Output) -> Iterator[str]:
    """Fields that no finite value depends on, where they may show."""
    if any(n.cls is NumberClass.NAN for n in numbers):
        yield from ("nan_element", "amax_nan")
    elif any(n.cls is NumberClass.INF for n in numbers):
        yield "nan_element"  # infinity times zero
    if _MINUS_ZERO in out.bits or any(n.cls is NumberClass.ZERO and n.sign for n in numbers):
        yield "neg_zero"
    if 0 in (out.scale, *out.scales):
        yield from ("zero_scale", "factor_cap")


def _blocks(policy: NVFP4Policy, inputs: Inputs) -> Iterator[list[list[int]]]:
    """The places of each block, a list for each of its rows along the axis."""
    rows, columns = inputs.shape
    along = columns if inputs.axis == 1 else rows
    across = rows if inputs.axis == 1 else columns
    height = _SIZE if policy.geometry == "2d" else 1

    def place(i: int, j: int) -> int:
        return i * columns + j if inputs.axis == 1 else j * columns + i

    for top in range(0, across, height):
        for left in range(0, along, _SIZE):
            yield [
                [place(i, j) for j in range(left, left + _SIZE)]
                for i in range(top, min(top + height, across))
            ]


def _plane(inputs: Inputs, found: Sequence[tuple[list[list[int]], int]]) -> tuple[int, ...]:
    """The scale codes in the order of the tensor with its axis cut to blocks."""
    columns = inputs.shape[1]
    placed = {}
    for rows, scale in found:
        for row in rows:
            i, j = divmod(row[0], columns)
            placed[(i, j // _SIZE) if inputs.axis == 1 else (i // _SIZE, j)] = scale
    return tuple(placed[place] for place in sorted(placed))
