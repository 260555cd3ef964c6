"""The way from the inputs of a vector to its output, for NVFP4 and BDR, as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from mxref.exact import bdr, ieee, nvfp4
from mxref.exact.dot_relatives import dot_values
from mxref.exact.number import Number
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.show._explain_views import without_heading
from mxref.show._input import brief
from mxref.show._text import field
from mxref.show.explain import explain
from mxref.vectors import Inputs, VectorFile
from mxref.vectors.operations import input_digits
from mxref.vectors.relatives.dots import values_of

__all__ = ["RELATIVE_STEPS"]

_F32 = "float32"
_SHOWN = 32
Steps = Iterator[str]


def _nvfp4_policy(file: VectorFile) -> NVFP4Policy:
    assert isinstance(file.policy, NVFP4Policy)  # noqa: S101  # the operation says so
    return file.policy


def _numbers(inputs: Inputs) -> list[Number]:
    return [ieee.from_bits(bits, str(inputs.type)) for bits in inputs.bits]


def _texts(inputs: Inputs) -> list[str]:
    """The inputs as `explain` reads them."""
    return [f"{inputs.type}:0x{bits:0{input_digits(inputs)}x}" for bits in inputs.bits]


def _rows(rows: Sequence[Sequence[str]]) -> Steps:
    shown = rows[: _SHOWN + 1]
    widths = [max(len(row[c]) for row in shown) for c in range(len(rows[0]))]
    for row in shown:
        yield "  " + "  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True))
    if len(rows) > len(shown):
        yield f"  and {len(rows) - len(shown)} more"


def _scale_encode(file: VectorFile, inputs: Inputs) -> Steps:
    number = _numbers(inputs)[0]
    code = nvfp4.encode_scale(number, _nvfp4_policy(file))
    yield from field("number", brief(number))
    yield from field("scale code", f"0x{code:02x} = {brief(nvfp4.decode_scale(code))}")


def _scale_decode(file: VectorFile, inputs: Inputs) -> Steps:
    value = nvfp4.decode_scale(inputs.bits[0], _nvfp4_policy(file))
    yield from field("scale code", f"0x{inputs.bits[0]:02x} = {brief(value)}", ("OFP8-1.0/value",))


def _nvfp4_quantize(file: VectorFile, inputs: Inputs) -> Steps:
    policy, numbers = _nvfp4_policy(file), _numbers(inputs)
    if not inputs.shape and len(numbers) == NVFP4.block_size:
        given = None if inputs.amax is None else ieee.from_bits(inputs.amax, _F32)
        random = inputs.random or None
        view = explain(_texts(inputs), "nvfp4", policy, global_amax=given, random=random)
        yield from without_heading(str(view))
        return
    amax = (
        nvfp4.block_amax(numbers, policy)
        if inputs.amax is None
        else ieee.from_bits(inputs.amax, _F32)
    )
    scales = nvfp4.global_scales(amax, policy)
    yield from field("amax", f"of the tensor: {brief(amax)}")
    yield from field(
        "global", f"encode scale S = {brief(scales.encode)}, decode multiplier g = "
        f"{brief(scales.decode)}", ("OP-NVFP4-RECIPE",),
    )  # fmt: skip
    if inputs.shape:
        yield from field("blocks", "each of them as in the operation nvfp4_quantize")
        return
    yield from field("block amax", f"b = {brief(nvfp4.block_amax(numbers, policy))}")
    found = nvfp4.quantize_block(numbers, scales, policy)
    s = nvfp4.decode_scale(found.scale, policy)
    yield from field("scale", f"0x{found.scale:02x}: s = {brief(s)}", ("OP-NVFP4-RECIPE",))
    rows = [("i", "x", "code", "P", "P * s * g")]
    for i, (x, code) in enumerate(zip(numbers, found.codes, strict=True)):
        value = nvfp4.value(code, found.scale, scales.decode, policy)
        P = nvfp4.decode_element(code)
        rows.append((str(i), brief(x), f"0x{code:x}", brief(P), brief(value)))
    yield from _rows(rows)


def _nvfp4_dequantize(file: VectorFile, inputs: Inputs) -> Steps:
    policy, scale = _nvfp4_policy(file), inputs.scales[0]
    g = ieee.from_bits(inputs.global_scale or 0, _F32)
    yield from field("global", f"g = {brief(g)}")
    yield from field("scale", f"0x{scale:02x}: s = {brief(nvfp4.decode_scale(scale, policy))}")
    rows = [("i", "code", "P", "P * s * g")]
    for i, code in enumerate(inputs.bits):
        value = nvfp4.value(code, scale, g, policy)
        rows.append((str(i), f"0x{code:x}", brief(nvfp4.decode_element(code)), brief(value)))
    yield from _rows(rows)


def _bdr_quantize(file: VectorFile, inputs: Inputs) -> Steps:
    assert isinstance(file.policy, BDRPolicy)  # noqa: S101  # the operation says so
    random = inputs.random or None
    view = explain(_texts(inputs), file.format, file.policy, pad=True, random=random)
    yield from without_heading(str(view))


def _bdr_dequantize(file: VectorFile, inputs: Inputs) -> Steps:
    fmt = bdr_format(file.format)
    scale, shared, codes = inputs.scales[0], inputs.subscales, inputs.bits
    yield from field("value", f"of an element: {fmt.formula}", ("OP-BDR-QUANTIZER",))
    yield from field("scale", f"0x{scale:02x} = {brief(bdr.decode_scale(scale, fmt))}")
    values = bdr.dequantize(scale, shared, codes, fmt)
    rows = [("i", *(("sub",) if shared else ()), "code", "value")]
    for i, (code, value) in enumerate(zip(codes, values, strict=True)):
        own = (f"{shared[i // fmt.k2]:x}",) if shared else ()
        rows.append((str(i), *own, f"0x{code:02x}", brief(value)))
    yield from _rows(rows)


def _dot(file: VectorFile, inputs: Inputs) -> Steps:
    k = inputs.shape[0]
    yield from field("length", f"k = {k}")
    a, b = values_of(file.format, file.policy, inputs)
    rows = [("i", "a", "b")]
    rows += [(str(i), brief(x), brief(y)) for i, (x, y) in enumerate(zip(a, b, strict=True))]
    yield from _rows(rows)
    total = dot_values(a, b)
    yield from field("sum", f"of the products: {brief(total)}")
    yield from field("float32", f"0x{ieee.to_bits(total, _F32):08x}, rounded once")


RELATIVE_STEPS: Mapping[str, Callable[[VectorFile, Inputs], Steps]] = MappingProxyType(
    {
        "nvfp4_scale_encode": _scale_encode,
        "nvfp4_scale_decode": _scale_decode,
        "nvfp4_quantize": _nvfp4_quantize,
        "nvfp4_quantize_tensor": _nvfp4_quantize,
        "nvfp4_dequantize": _nvfp4_dequantize,
        "nvfp4_dot": _dot,
        "bdr_quantize": _bdr_quantize,
        "bdr_dequantize": _bdr_dequantize,
        "bdr_dot": _dot,
        "scaled_quantize": _bdr_quantize,
        "scaled_dequantize": _bdr_dequantize,
    }
)
"""The steps of each operation on a relative of MX."""
