"""What dequantized blocks and whole tensors are expected to be, by the exact definition.

A tensor is no more than its blocks: `mxref.exact.block` says what each becomes, and
`mxref.vectors.storage` where its codes and its scale code lie.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from mxref.exact import block, ieee
from mxref.exact.number import Number, NumberClass
from mxref.formats import BlockFormat, Kind, pow2
from mxref.policy import Policy
from mxref.vectors import storage
from mxref.vectors.choices import Outcome, tabulate
from mxref.vectors.expectation import Expectation, deciding, verdict_of
from mxref.vectors.model import Member, Verdict
from mxref.vectors.operations import Inputs, Output

__all__ = ["expect_dequantize", "expect_dequantize_tensor", "expect_quantize_tensor"]

_F32 = "float32"
_LEAST_NORMAL = pow2(-126)
_SPECIAL = (NumberClass.NAN, NumberClass.INF)

_Code = tuple[int, int]
"""An element code under a scale code: the scale code comes first."""


def expect_dequantize(fmt: BlockFormat, policy: Policy, inputs: Inputs) -> Expectation:
    """Work out the values of one block.

    Parameters
    ----------
    fmt : BlockFormat
        The block format.
    policy : Policy
        The policy of the file; the case is about ``decode_overflow``, ``decode_nan`` and
        ``decode_subnormal`` where these matter.
    inputs : Inputs
        Element codes, and one scale code.

    Notes
    -----
    MX-1.0/5.1/value, MX-1.0/5.1/nan-scale, MX-1.0/5.1/special-elements; OP-DECODE-OVERFLOW,
    OP-DECODE-NAN, OP-ELEM-SUBNORMAL.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> found = expect_dequantize(block_format("mxfp4/2"), Policy(), Inputs(None, (1, 15), (128,)))
    >>> [hex(bits) for bits in found.members[0].out.bits], str(found.verdict)
    (['0x3f800000', '0xc1400000'], 'must')
    """
    scale_code = inputs.scales[0]
    return _decoded(fmt, policy, [(scale_code, code) for code in inputs.bits], set())


def expect_dequantize_tensor(fmt: BlockFormat, policy: Policy, inputs: Inputs) -> Expectation:
    """Work out the values of a tensor that lies in bytes; the case gives packing and layout.

    Parameters
    ----------
    fmt, policy
        As for `expect_dequantize`.
    inputs : Inputs
        The bytes of the elements and of the scales, the shape, the axis and the layout.

    Notes
    -----
    MX-1.0/5.1/layout leaves open how a tensor is stored; OP-PACKING, OP-SCALE-LAYOUT.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> stored = Inputs(None, (0x21, 0x43), (127, 128), shape=(2, 2), axis=1,
    ...                 layout=("nibbles-low-first", "row-major"))
    >>> found = expect_dequantize_tensor(block_format("mxfp4/2"), Policy(), stored)
    >>> [hex(bits) for bits in found.members[0].out.bits]  # 0.5, 1, 2 * 1.5, 2 * 2
    ['0x3f000000', '0x3f800000', '0x40400000', '0x40800000']
    """
    (rows, columns), axis = inputs.shape, inputs.axis or 0
    packing, layout = inputs.layout
    codes = storage.unpack(inputs.bits, packing)
    plane = storage.plane_shape((rows, columns), axis, fmt.block_size)
    scales = storage.read_back(inputs.scales, plane, axis, layout)

    def scale_of(row: int, column: int) -> int:
        step = (fmt.block_size, 1) if axis == 0 else (1, fmt.block_size)
        return scales[row // step[0] * plane[1] + column // step[1]]

    pairs = [
        (scale_of(row, column), codes[row * columns + column])
        for row in range(rows)
        for column in range(columns)
    ]
    clauses = {"MX-1.0/5.1/block", "MX-1.0/5.1/layout", "OP-PACKING", "OP-SCALE-LAYOUT"}
    if (rows, columns)[axis] % fmt.block_size == 0:
        return _decoded(fmt, policy, pairs, clauses)
    # A short last block may be refused: a block has k elements (MX-1.0/5.1/block).
    found = _decoded(fmt, policy, pairs, clauses | {"OP-BLOCK-TAIL"})
    return replace(found, members=(*found.members, Member(None, ())), verdict=Verdict.ONE_OF)


def _decoded(
    fmt: BlockFormat, policy: Policy, pairs: Sequence[_Code], clauses: set[str]
) -> Expectation:
    distinct = dict.fromkeys(pairs)

    def values(p: Policy) -> dict[_Code, Number]:
        return {pair: block.dequantize(pair[0], pair[1:], fmt, p)[0] for pair in distinct}

    def outcome(p: Policy) -> Outcome:
        table = {pair: ieee.to_bits(number, _F32, p) for pair, number in values(p).items()}
        bits = tuple(table[pair] for pair in pairs)
        return bits, Output(bits)

    found = values(policy)
    members = tabulate(policy, _decode_fields(found.values()), outcome)
    clauses = clauses | set(_decode_clauses(fmt, found)) | deciding(members)
    return Expectation(members, verdict_of(members), tuple(sorted(clauses)))


def _overflows(number: Number) -> bool:
    is_finite = number.cls is NumberClass.FINITE
    return is_finite and ieee.round_magnitude(number.magnitude, _F32) > ieee.largest(_F32)


def _is_subnormal(number: Number) -> bool:
    return number.cls is NumberClass.FINITE and number.magnitude < _LEAST_NORMAL


def _decode_fields(seen: Collection[Number]) -> list[str]:
    """Fields that decide at least one value."""
    used = {
        "decode_overflow": any(map(_overflows, seen)),
        "decode_nan": any(n.cls is NumberClass.NAN and n.sign for n in seen),
        "decode_subnormal": any(map(_is_subnormal, seen)),
    }
    return [field for field, is_used in used.items() if is_used]


def _decode_clauses(fmt: BlockFormat, found: dict[_Code, Number]) -> Iterator[str]:
    elem, nan_code = fmt.element, fmt.scale.nan_code
    yield from (fmt.scale.clause, elem.clause)
    if any(scale_code == nan_code for scale_code, _ in found):
        yield from ("MX-1.0/5.1/nan-scale", "OP-DECODE-NAN")
    if any(scale_code != nan_code for scale_code, _ in found):
        yield "MX-1.0/5.1/value"
    if any(n.cls in _SPECIAL and pair[0] != nan_code for pair, n in found.items()):
        yield "MX-1.0/5.1/special-elements"
    if any(map(_overflows, found.values())):
        yield "MX-1.0/5.1/overflow"
    if any(map(_is_subnormal, found.values())):
        yield "MX-1.0/5.1/underflow"
    magnitudes = {code & (elem.sign_mask - 1) for _, code in found}
    if elem.kind is Kind.FLOAT and any(0 < m < 1 << elem.mantissa_bits for m in magnitudes):
        yield "MX-1.0/5.3/subnormals"
    if elem.kind is Kind.FIXED and any(code == elem.sign_mask for _, code in found):
        yield "MX-1.0/5.3.4/int8-min"


# --- quantize --------------------------------------------------------------------------------


def expect_quantize_tensor(fmt: BlockFormat, policy: Policy, inputs: Inputs) -> Expectation:
    """Work out the codes and the scale plane of a tensor.

    What may decide a block may decide the tensor. A length that is not a multiple of the block
    size is refused or filled with zeros: two members (OP-BLOCK-TAIL).

    Parameters
    ----------
    fmt : BlockFormat
        The block format.
    policy : Policy
        The policy of the file.
    inputs : Inputs
        The numbers row by row, the shape and the axis.

    Notes
    -----
    MX-1.0/5.1/block, MX-1.0/6.3/scale, MX-1.0/6.3/elements; OP-BLOCK-GEOMETRY, OP-BLOCK-TAIL.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> one, two = 0x3F800000, 0x40000000
    >>> x = Inputs("float32", (one, one, two, two), shape=(2, 2), axis=0)
    >>> expect_quantize_tensor(block_format("mxfp4/2"), Policy(), x).members[0].out
    Output(bits=(4, 4, 6, 6), scale=None, scales=(126, 126), global_scale=None, subscales=())
    >>> [m.out and m.out.scales for m in
    ...  expect_quantize_tensor(block_format("mxfp4/4"), Policy(), x).members]
    [None, (126, 126)]
    """
    from mxref.vectors.expect import expect  # it imports this module

    axis = inputs.axis or 0
    has_tail = inputs.shape[axis] % fmt.block_size != 0
    padding = policy.replace(block_tail="zero-pad") if has_tail else policy
    source = str(inputs.type)
    clauses = {"MX-1.0/5.1/block", "OP-BLOCK-GEOMETRY"}
    fields: dict[str, None] = {}
    for places in _blocks_of(fmt, inputs):
        lanes = tuple(inputs.bits[place] for place in places)
        found = expect("quantize", fmt, padding, Inputs(source, lanes))
        clauses |= set(found.clauses)
        fields |= dict.fromkeys(f for m in found.members for when in m.when for f in when)

    def outcome(p: Policy) -> Outcome:
        out = _quantized(fmt, p, inputs)
        return (out.scales, out.bits), out

    members = tabulate(padding, list(fields), outcome)
    if has_tail:
        clauses.add("OP-BLOCK-TAIL")
        members = _with_tail(members, policy)
    clauses |= deciding(members)
    return Expectation(members, verdict_of(members), tuple(sorted(clauses)))


def _with_tail(padded: tuple[Member, ...], policy: Policy) -> tuple[Member, ...]:
    """Add the refusal; the outcome under the policy of the file comes first."""
    refused = Member(None, ({"block_tail": "forbid"},))
    filled = tuple(
        Member(m.out, tuple({**when, "block_tail": "zero-pad"} for when in m.when)) for m in padded
    )
    return (refused, *filled) if policy.block_tail == "forbid" else (*filled, refused)


def _blocks_of(fmt: BlockFormat, inputs: Inputs) -> Iterator[list[int]]:
    """Row-major places of the elements of each block; blocks in row-major order of their plane."""
    rows, columns = inputs.shape
    k = fmt.block_size
    if inputs.axis == 0:
        for top in range(0, rows, k):
            for column in range(columns):
                yield [row * columns + column for row in range(top, min(top + k, rows))]
    else:
        for row in range(rows):
            for left in range(0, columns, k):
                yield [row * columns + column for column in range(left, min(left + k, columns))]


def _quantized(fmt: BlockFormat, policy: Policy, inputs: Inputs) -> Output:
    source = str(inputs.type)
    codes, scales = [0] * len(inputs.bits), []
    for places in _blocks_of(fmt, inputs):
        numbers = [ieee.from_bits(inputs.bits[place], source) for place in places]
        scale_code, own = block.quantize(numbers, fmt, policy, source=source)
        scales.append(scale_code)
        for place, code in zip(places, own, strict=True):
            codes[place] = code
    return Output(tuple(codes), None, tuple(scales))
