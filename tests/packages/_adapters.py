"""Packages that convert MX numbers on the CPU, called through their public interfaces.

Each function speaks arrays of plain codes, as mxref does: float32 in and uint8 codes out, or the
reverse. Blocks are rows of 32 numbers, shape ``(n, 32)``, with scale codes of shape ``(n, 1)``.
Nothing is corrected here: what a package gives is what comes out. Packages are imported when they
are called, so that each is needed only by its own tests.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Codes = NDArray[np.uint8]

__all__ = [
    "gfloat_decode",
    "gfloat_dequantize",
    "gfloat_encode",
    "gfloat_encode_scales",
    "gfloat_quantize",
    "gguf_dequantize",
    "gguf_quantize",
    "mlx_dequantize",
    "mlx_quantize",
    "onnx_decode",
    "onnx_encode",
    "torch_decode",
    "torch_encode",
    "torchao_dequantize",
    "torchao_quantize",
]

_BLOCK = 32


def torch_encode(x: Floats, name: str) -> Codes:
    """Cast with ``Tensor.to``: e4m3, e5m2 and e8m0."""
    import torch

    codes: Codes = torch.from_numpy(x.copy()).to(_torch_type(name)).view(torch.uint8).numpy()
    return codes


def torch_decode(codes: Codes, name: str) -> Floats:
    """Cast back with ``Tensor.to``."""
    import torch

    values: Floats = torch.from_numpy(codes).view(_torch_type(name)).to(torch.float32).numpy()
    return values


def _torch_type(name: str) -> Any:
    import torch

    return {
        "e4m3": torch.float8_e4m3fn,
        "e5m2": torch.float8_e5m2,
        "e8m0": torch.float8_e8m0fnu,
    }[name]


def torchao_quantize(x: Floats, element: str, mode: str) -> tuple[Codes, Codes]:
    """Quantize with ``to_mx``; `mode` names a member of ``ScaleCalculationMode``."""
    import torch
    from torchao.prototype.mx_formats.config import ScaleCalculationMode
    from torchao.prototype.mx_formats.mx_tensor import to_mx

    scales, data = to_mx(
        torch.from_numpy(x.copy()), _torchao_type(element), _BLOCK, ScaleCalculationMode[mode]
    )
    codes: Codes = data.view(torch.uint8).numpy()
    if element == "e2m1":
        codes = _unpack_fp4(codes)
    return codes, scales.view(torch.uint8).numpy().reshape(-1, 1)


def torchao_dequantize(codes: Codes, scales: Codes, element: str) -> Floats:
    """Dequantize with ``to_dtype``, to float32."""
    import torch
    from torchao.prototype.mx_formats.mx_tensor import to_dtype

    dtype = _torchao_type(element)
    data = torch.from_numpy(_pack_fp4(codes) if element == "e2m1" else codes)
    if element in {"e4m3", "e5m2"}:
        data = data.view(dtype)
    scale = torch.from_numpy(scales).view(torch.float8_e8m0fnu)
    values: Floats = to_dtype(data, scale, dtype, _BLOCK, torch.float32).numpy()
    return values


def _torchao_type(element: str) -> Any:
    import torch
    from torchao.prototype.mx_formats.constants import DTYPE_FP6_E2M3, DTYPE_FP6_E3M2

    return {
        "e4m3": torch.float8_e4m3fn,
        "e5m2": torch.float8_e5m2,
        "e3m2": DTYPE_FP6_E3M2,
        "e2m3": DTYPE_FP6_E2M3,
        "e2m1": torch.float4_e2m1fn_x2,
    }[element]


def _unpack_fp4(packed: Codes) -> Codes:
    """Two codes a byte, the first in the low half (torchao, MLX)."""
    return np.stack([packed & 0xF, packed >> 4], axis=-1).reshape(len(packed), -1)


def _pack_fp4(codes: Codes) -> Codes:
    return np.ascontiguousarray(codes[:, ::2] | (codes[:, 1::2] << 4))


def mlx_quantize(x: Floats, element: str) -> tuple[Codes, Codes]:
    """Quantize with ``mlx.core.quantize`` on its CPU device."""
    import mlx.core as mx

    words, scales = mx.quantize(mx.array(x), mode=_MLX_MODES[element], stream=mx.cpu)
    codes = np.array(words).view(np.uint8)
    return _unpack_fp4(codes) if element == "e2m1" else codes, np.array(scales)


def mlx_dequantize(codes: Codes, scales: Codes, element: str) -> Floats:
    """Dequantize with ``mlx.core.dequantize`` on its CPU device, to float32."""
    import mlx.core as mx

    words = (_pack_fp4(codes) if element == "e2m1" else codes).view(np.uint32)
    mode = _MLX_MODES[element]
    values = mx.dequantize(
        mx.array(words), mx.array(scales), mode=mode, dtype=mx.float32, stream=mx.cpu
    )
    return np.array(values)


_MLX_MODES = {"e4m3": "mxfp8", "e2m1": "mxfp4"}


def gguf_quantize(x: Floats) -> tuple[Codes, Codes]:
    """Quantize to GGUF's MXFP4 with ``gguf.quants.quantize``."""
    from gguf import GGMLQuantizationType, quants

    with np.errstate(all="ignore"):  # infinities and NaN are part of the data
        records = quants.quantize(x, GGMLQuantizationType.MXFP4)
    packed = records[:, 1:]
    # A record is the scale, then the first half of the block in the low halves of the bytes.
    return np.concatenate([packed & 0xF, packed >> 4], axis=1), records[:, :1].copy()


def gguf_dequantize(codes: Codes, scales: Codes) -> Floats:
    """Dequantize GGUF's MXFP4 with ``gguf.quants.dequantize``."""
    from gguf import GGMLQuantizationType, quants

    half = _BLOCK // 2
    records = np.concatenate([scales, codes[:, :half] | (codes[:, half:] << 4)], axis=1)
    with np.errstate(all="ignore"):
        values: Floats = quants.dequantize(records, GGMLQuantizationType.MXFP4)
    return values


def onnx_encode(x: Floats, name: str, **attributes: Any) -> Codes:
    """Run operator Cast in ``onnx.reference``; `attributes` are saturate and round_mode."""
    with np.errstate(all="ignore"):
        values = _onnx_cast("FLOAT", _ONNX_TYPES[name], tuple(attributes.items()))(x)
    codes: Codes = values.view(np.uint8)
    return codes


def onnx_decode(codes: Codes, name: str) -> Floats:
    """Run operator Cast to FLOAT in ``onnx.reference``."""
    from onnx import TensorProto, helper

    source = _ONNX_TYPES[name]
    dtype = helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(source))
    values: Floats = _onnx_cast(source, "FLOAT", ())(codes.view(dtype))
    return values


@cache
def _onnx_cast(source: str, target: str, attributes: tuple[tuple[str, Any], ...]) -> Any:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    types = [TensorProto.DataType.Value(name) for name in (source, target)]
    node = helper.make_node("Cast", ["x"], ["y"], to=types[1], **dict(attributes))
    infos = [
        helper.make_tensor_value_info(name, dtype, [None])
        for name, dtype in zip(("x", "y"), types, strict=True)
    ]
    graph = helper.make_graph([node], "cast", infos[:1], infos[1:])
    # Opset 25 is the first whose Cast has all these types.
    session = ReferenceEvaluator(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)])
    )
    return lambda x: session.run(None, {"x": x})[0]


_ONNX_TYPES = {
    "e4m3": "FLOAT8E4M3FN",
    "e5m2": "FLOAT8E5M2",
    "e3m2": "FLOAT6E3M2",
    "e2m3": "FLOAT6E2M3",
    "e2m1": "FLOAT4E2M1",
    "e8m0": "FLOAT8E8M0",
}


def gfloat_encode(x: Floats, name: str, *, saturate: bool = True) -> Codes:
    """Round and encode elements with ``round_ndarray`` and ``encode_ndarray``.

    Raises
    ------
    AssertionError
        From the package, for a NaN in a format that has none.
    """
    import gfloat

    info = _gfloat_info(name)
    rounded = gfloat.round_ndarray(info, x.astype(np.float64), sat=saturate)
    with np.errstate(all="ignore"):
        codes: Codes = gfloat.encode_ndarray(info, rounded).astype(np.uint8)
    return codes


def gfloat_encode_scales(x: Floats) -> Codes:
    """Round and encode E8M0 one by one with ``round_float`` and ``encode_float``, saturating.

    These are the functions of ``encode_block``. ``encode_ndarray`` differs from them: it gives
    codes beyond eight bits for what lies below 2**-127, and 0 for zero.
    """
    import gfloat

    info = _gfloat_info("e8m0")
    codes = [gfloat.encode_float(info, gfloat.round_float(info, v, sat=True)) for v in x.tolist()]
    return np.array(codes, np.uint8)


def gfloat_decode(codes: Codes, name: str) -> Floats:
    """Decode with ``decode_ndarray``."""
    import gfloat

    with np.errstate(all="ignore"):
        values: Floats = gfloat.decode_ndarray(_gfloat_info(name), codes).astype(np.float32)
    return values


def gfloat_quantize(x: Floats, element: str) -> tuple[Codes, Codes]:
    """Quantize block by block with ``compute_scale_amax`` and ``encode_block``.

    Raises
    ------
    ValueError
        From the package, for a NaN in a format that has none.
    """
    import gfloat

    info = _gfloat_block(element)
    rows = []
    with np.errstate(all="ignore"):
        for row in x:
            scale = gfloat.compute_scale_amax(info.etype.emax, row)
            rows.append(list(gfloat.encode_block(info, scale, row / scale)))
    codes = np.array(rows, np.uint8)
    return codes[:, 1:], codes[:, :1]


def gfloat_dequantize(codes: Codes, scales: Codes, element: str) -> NDArray[np.float64]:
    """Decode block by block with ``decode_block``, to the float64 numbers that it gives."""
    import gfloat

    info = _gfloat_block(element)
    rows = [
        list(gfloat.decode_block(info, (int(c) for c in row)))
        for row in np.concatenate([scales, codes], axis=1)
    ]
    return np.array(rows)


def _gfloat_info(name: str) -> Any:
    from gfloat import formats

    return getattr(formats, f"format_info_ocp_{name}")


def _gfloat_block(element: str) -> Any:
    from gfloat import formats

    return next(f for f in formats.all_block_formats if f.etype == _gfloat_info(element))
