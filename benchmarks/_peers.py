"""Packages that convert MX numbers on a CPU, as callables to be timed.

Each peer is called through its public functions, on input in its own arrays, and gives its own
kind of result in fresh memory: nothing is converted while the clock runs. A package is imported
when its cases are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["PEERS", "Case", "Peer"]

K = 32
ROW = 1024  # blocks lie along the last axis of arrays of this many columns


@dataclass(frozen=True)
class Case:
    """One thing that a peer can do.

    `prepare` takes float32 and returns the call to be timed. `format` is a block format for
    quantize and dequantize, a scalar format for encode and decode.
    """

    operation: str
    format: str
    prepare: Callable[[np.ndarray], Callable[[], Any]]


@dataclass(frozen=True)
class Peer:
    """A package: its modules, what is called, and its cases."""

    name: str
    module: str
    what: str
    cases: Callable[[], Iterator[Case]]
    set_threads: Callable[[int], None] | None = None
    """None: it uses one thread."""


# ml_dtypes: casts, and the usual quantizer made of them.


def _ml_dtypes():
    import ml_dtypes

    dtypes = {
        "e4m3": ml_dtypes.float8_e4m3fn,
        "e5m2": ml_dtypes.float8_e5m2,
        "e3m2": ml_dtypes.float6_e3m2fn,
        "e2m3": ml_dtypes.float6_e2m3fn,
        "e2m1": ml_dtypes.float4_e2m1fn,
        "e8m0": ml_dtypes.float8_e8m0fnu,
    }
    blocks = {
        "mxfp8_e4m3": ("e4m3", 8, 448.0),
        "mxfp8_e5m2": ("e5m2", 15, 57344.0),
        "mxfp6_e3m2": ("e3m2", 4, 28.0),
        "mxfp6_e2m3": ("e2m3", 2, 7.5),
        "mxfp4": ("e2m1", 2, 6.0),
    }

    def quantize(x, element, emax, largest):
        rows = x.reshape(-1, K)
        exponents = np.frexp(np.abs(rows).max(axis=1, keepdims=True))[1] - 1 - emax
        scaled = np.ldexp(rows, -exponents)
        return np.clip(scaled, -largest, largest).astype(dtypes[element]), exponents

    def dequantizer(x, *args):
        codes, exponents = quantize(x, *args)
        return lambda: np.ldexp(codes.astype(np.float32), exponents)

    for name, args in blocks.items():
        yield Case("quantize", name, lambda x, a=args: lambda: quantize(x, *a))
        yield Case("dequantize", name, lambda x, a=args: dequantizer(x, *a))
    for name, dtype in dtypes.items():
        yield Case("encode", name, lambda x, t=dtype: lambda: x.astype(t))
        yield Case("decode", name, lambda x, t=dtype: _decoder(x.astype(t), np.float32))


def _decoder(codes, dtype):
    return lambda: codes.astype(dtype)


# torch: casts of tensors.


def _torch():
    import torch

    for name, dtype in (
        ("e4m3", torch.float8_e4m3fn),
        ("e5m2", torch.float8_e5m2),
        ("e8m0", torch.float8_e8m0fnu),
    ):
        yield Case("encode", name, lambda x, t=dtype: _torch_cast(torch.from_numpy(x), t))
        yield Case(
            "decode",
            name,
            lambda x, t=dtype: _torch_cast(torch.from_numpy(x).to(t), torch.float32),
        )


def _torch_cast(tensor, dtype):
    return lambda: tensor.to(dtype)


def _torch_threads(count):
    import torch

    torch.set_num_threads(count)


# torchao: block conversions, as shipped (without torch.compile, which its CPU path does not allow).


def _torchao():
    import torch
    from torchao.prototype.mx_formats.constants import DTYPE_FP6_E2M3, DTYPE_FP6_E3M2
    from torchao.prototype.mx_formats.mx_tensor import to_dtype, to_mx

    def quantizer(x, dtype):
        tensor = torch.from_numpy(x).reshape(-1, ROW)
        return lambda: to_mx(tensor, dtype, K)

    def dequantizer(x, dtype):
        scales, codes = quantizer(x, dtype)()
        return lambda: to_dtype(codes, scales, dtype, K, torch.float32)

    for name, dtype in (
        ("mxfp8_e4m3", torch.float8_e4m3fn),
        ("mxfp8_e5m2", torch.float8_e5m2),
        ("mxfp6_e3m2", DTYPE_FP6_E3M2),
        ("mxfp6_e2m3", DTYPE_FP6_E2M3),
        ("mxfp4", torch.float4_e2m1fn_x2),
    ):
        yield Case("quantize", name, lambda x, t=dtype: quantizer(x, t))
        yield Case("dequantize", name, lambda x, t=dtype: dequantizer(x, t))


# gguf: MXFP4 in records of 17 bytes.


def _gguf():
    from gguf import GGMLQuantizationType, quants

    kind = GGMLQuantizationType.MXFP4

    def dequantizer(x):
        records = quants.quantize(x.reshape(-1, ROW), kind)
        return lambda: quants.dequantize(records, kind)

    yield Case("quantize", "mxfp4", lambda x: lambda: quants.quantize(x.reshape(-1, ROW), kind))
    yield Case("dequantize", "mxfp4", dequantizer)


# MLX: lazy arrays, hence eval.


def _mlx():
    import mlx.core as mx

    def evaluated(function, *args, **options):
        return lambda: mx.eval(function(*args, stream=mx.cpu, **options))

    def quantizer(x, mode):
        return evaluated(mx.quantize, _mlx_array(x.reshape(-1, ROW)), mode=mode)

    def dequantizer(x, mode):
        words, scales = mx.quantize(_mlx_array(x.reshape(-1, ROW)), mode=mode, stream=mx.cpu)
        mx.eval(words, scales)
        return evaluated(mx.dequantize, words, scales, mode=mode, dtype=mx.float32)

    def decoder(x):
        codes = mx.to_fp8(_mlx_array(x), stream=mx.cpu)
        mx.eval(codes)
        return evaluated(mx.from_fp8, codes, dtype=mx.float32)

    for name, mode in (("mxfp8_e4m3", "mxfp8"), ("mxfp4", "mxfp4")):
        yield Case("quantize", name, lambda x, m=mode: quantizer(x, m))
        yield Case("dequantize", name, lambda x, m=mode: dequantizer(x, m))
    if hasattr(mx, "to_fp8"):
        yield Case("encode", "e4m3", lambda x: evaluated(mx.to_fp8, _mlx_array(x)))
        yield Case("decode", "e4m3", decoder)


def _mlx_array(x):
    import mlx.core as mx

    array = mx.array(x)
    mx.eval(array)
    return array


# onnx: operator Cast of its reference evaluator.


def _onnx():
    for name, type_name in (
        ("e4m3", "FLOAT8E4M3FN"),
        ("e5m2", "FLOAT8E5M2"),
        ("e3m2", "FLOAT6E3M2"),
        ("e2m3", "FLOAT6E2M3"),
        ("e2m1", "FLOAT4E2M1"),
        ("e8m0", "FLOAT8E8M0"),
    ):
        yield Case("encode", name, lambda x, t=type_name: _onnx_call("FLOAT", t, x))
        yield Case("decode", name, lambda x, t=type_name: _onnx_decoder(x, t))


def _onnx_decoder(x, type_name):
    codes = _onnx_call("FLOAT", type_name, x)()[0]
    return _onnx_call(type_name, "FLOAT", codes)


def _onnx_call(source, target, given):
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    types = [TensorProto.DataType.Value(name) for name in (source, target)]
    infos = [
        helper.make_tensor_value_info(name, dtype, [None])
        for name, dtype in zip(("x", "y"), types, strict=True)
    ]
    node = helper.make_node("Cast", ["x"], ["y"], to=types[1])
    graph = helper.make_graph([node], "cast", infos[:1], infos[1:])
    opset = helper.make_opsetid("", 25)  # the first whose Cast has all these types
    session = ReferenceEvaluator(helper.make_model(graph, opset_imports=[opset]))
    return lambda: session.run(None, {"x": given})


# gfloat: element casts over arrays, blocks one by one.


def _gfloat():
    import gfloat
    from gfloat import formats

    def quantize(x, info):
        blocks = []
        for row in x.reshape(-1, K):
            scale = gfloat.compute_scale_amax(info.etype.emax, row)
            blocks.append(list(gfloat.encode_block(info, scale, row / scale)))
        return blocks

    def dequantizer(x, info):
        blocks = quantize(x, info)
        return lambda: [list(gfloat.decode_block(info, block)) for block in blocks]

    def encoder(x, info):
        wide = x.astype(np.float64)
        return lambda: gfloat.encode_ndarray(info, gfloat.round_ndarray(info, wide, sat=True))

    def decoder(x, info):
        codes = encoder(x, info)()
        return lambda: gfloat.decode_ndarray(info, codes)

    for info in formats.all_block_formats:
        name = info.name.replace("mxfp4_e2m1", "mxfp4")
        yield Case("quantize", name, lambda x, i=info: lambda: quantize(x, i))
        yield Case("dequantize", name, lambda x, i=info: dequantizer(x, i))
    for info in {f.etype.name: f.etype for f in formats.all_block_formats}.values():
        name = info.name.removeprefix("ocp_")
        yield Case("encode", name, lambda x, i=info: encoder(x, i))
        yield Case("decode", name, lambda x, i=info: decoder(x, i))


PEERS = (
    Peer("ml_dtypes", "ml_dtypes", "`astype`, and the usual NumPy recipe around it", _ml_dtypes),
    Peer("torch", "torch", "`Tensor.to`", _torch, _torch_threads),
    Peer("torchao", "torchao", "`to_mx` and `to_dtype`", _torchao, _torch_threads),
    Peer("gguf", "gguf", "`quants.quantize` and `quants.dequantize`", _gguf),
    Peer("mlx", "mlx", "`quantize`, `dequantize`, `to_fp8`, `from_fp8` on its CPU device", _mlx),
    Peer("onnx", "onnx", "operator Cast of `onnx.reference`", _onnx),
    Peer(
        "gfloat",
        "gfloat",
        "`encode_block` and `decode_block`; `round_ndarray` with `encode_ndarray`, and "
        "`decode_ndarray`",
        _gfloat,
    ),
)
"""The peers, by the names of their distributions."""
