"""Quantized tensors that are neither MX nor NVFP4: named, so that nobody believes them checked."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mxref.checkpoints.gguf_types import BLOCKS
from mxref.checkpoints.store import TensorInfo

__all__ = ["other_kind"]

_FP8 = {"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}


def other_kind(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> tuple[str, tuple[str, ...]]:
    """What kind of quantized tensor this is, and which other tensors belong to it.

    Returns
    -------
    kind : str
        Empty for a tensor that is not quantized, or that belongs to another.
    others : tuple of str
        Names.

    Examples
    --------
    >>> from pathlib import Path
    >>> info = TensorInfo("a.weight", "Q4_0", (2, 64), Path("a.gguf"), 0, 72)
    >>> other_kind(info, {"a.weight": info})
    ('Q4_0 of GGUF', ())
    """
    elements, _ = BLOCKS.get(info.dtype, (1, 1))
    if elements > 1:
        return f"{info.dtype} of GGUF", ()
    for rule in (_fp8, _mlx_affine, _gptq, _packed_integers, _bitsandbytes, _torchao):
        kind, others = rule(info, tensors)
        if kind:
            return kind, others
    return "", ()


_Found = tuple[str, tuple[str, ...]]


def _fp8(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> _Found:
    if info.dtype not in _FP8 or info.name.endswith(("_scale", "_scales", ".scale", "_qdata")):
        return "", ()
    names = [info.name + suffix for suffix in ("_scale_inv", "_scale")]
    names += [info.name.removesuffix(".weight") + suffix for suffix in (".scale", ".scales")]
    scale = next((tensors[name] for name in names if name in tensors), None)
    if scale is not None:
        if math.prod(scale.shape) == 1:
            return f"FP8 with one scale ({scale.dtype}) for the tensor", (scale.name,)
        shape = " x ".join(map(str, scale.shape))
        return f"FP8 with {shape} scales ({scale.dtype}), not one for 32 elements", (scale.name,)
    return ("FP8 without scales", ()) if len(info.shape) > 1 else ("", ())


def _mlx_affine(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> _Found:
    stem = info.name.removesuffix(".weight")
    scales, biases = tensors.get(f"{stem}.scales"), tensors.get(f"{stem}.biases")
    if info.dtype == "U32" and scales is not None and biases is not None:
        return "MLX affine integers with scales and biases", (scales.name, biases.name)
    return "", ()


def _gptq(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> _Found:
    if not info.name.endswith(".qweight") or info.dtype not in {"I32", "U32"}:
        return "", ()
    stem = info.name.removesuffix(".qweight")
    others = [f"{stem}.{part}" for part in ("scales", "qzeros", "g_idx")]
    return "GPTQ or AWQ integers", tuple(name for name in others if name in tensors)


def _packed_integers(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> _Found:
    if not info.name.endswith(".weight_packed") or info.dtype != "I32":
        return "", ()
    scale = info.name.removesuffix("_packed") + "_scale"
    return "packed integers of compressed-tensors", (scale,) if scale in tensors else ()


def _bitsandbytes(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> _Found:
    marks = [f"{info.name}.{part}" for part in ("absmax", "quant_map")] + [
        info.name.removesuffix("weight") + "SCB"
    ]
    others = tuple(name for name in marks if name in tensors)
    return ("bitsandbytes", others) if others and info.dtype in {"U8", "I8"} else ("", ())


def _torchao(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> _Found:
    if not info.name.endswith("_qdata"):
        return "", ()
    scale = tensors.get(info.name.removesuffix("_qdata") + "_scale")
    if scale is not None and scale.dtype in {"F8_E8M0", "F8_E4M3"}:
        return "", ()  # an MXTensor or NVFP4Tensor: if it cannot be read, it is broken
    return f"another tensor of torchao ({info.dtype})", (scale.name,) if scale is not None else ()
