"""What the loaders of a convention want to read beside the tensors.

Each is made from what the project itself writes; only the weights are described, nothing is said
about activations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mxref import __version__
from mxref.checkpoints._plan import Weight
from mxref.formats import BlockFormat

__all__ = ["Extra", "extra_files", "loader_metadata", "mark", "quantization_config"]

Extra = dict[str, Any]

_TORCH_NAMES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "F64": "float64"}
_TORCHAO_ELEMENTS = {"e2m1": "float4_e2m1fn_x2", "e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2"}
_COMPRESSED = {4: "mxfp4-pack-quantized", 6: "mxfp6-pack-quantized", 8: "mxfp8-quantized"}


def quantization_config(
    layout: str, fmt: BlockFormat, weights: Mapping[str, Weight], kept: Mapping[str, str]
) -> Extra | None:
    """Return what config.json says as ``quantization_config``; None if the convention has none.

    Sources: transformers' Mxfp4Config (gpt-oss) [secondary: not run], compressed-tensors 0.20
    (config/base.py, quantization/quant_scheme.py), mlx-lm's ``quantization`` [secondary: not run].
    """
    ignored = sorted(_module(name) for name in kept if name.endswith(".weight"))
    bits = fmt.element.bits
    if layout == "gpt-oss":
        return {"quant_method": "mxfp4", "modules_to_not_convert": ignored}
    if layout == "compressed-tensors":
        return {
            "quant_method": "compressed-tensors",
            "format": _COMPRESSED[bits],
            "quantization_status": "compressed",
            "config_groups": {
                "group_0": {
                    "targets": sorted(_module(name) for name in weights),
                    "weights": {
                        "num_bits": bits,
                        "type": "float",
                        "strategy": "group",
                        "symmetric": True,
                        "dynamic": False,
                        "group_size": fmt.block_size,
                        "scale_dtype": "torch.uint8",
                        "zp_dtype": "torch.uint8",
                    },
                }
            },
            "ignore": ignored,
        }
    if layout == "mlx":
        mode = f"mxfp{bits}"
        return {"group_size": fmt.block_size, "bits": bits, "mode": mode}
    return None


def extra_files(layout: str, fmt: BlockFormat, kept: Mapping[str, str]) -> dict[str, Extra]:
    """Return whole files of a convention: ModelOpt's ``hf_quant_config.json``."""
    if layout != "modelopt":
        return {}
    algorithm: Extra = {"quant_algo": "mxfp4"}  # in these letters, and without a block size
    if fmt.element.bits == 8:
        algorithm = {"quant_algo": "MXFP8", "group_size": fmt.block_size}
    ignored = sorted(_module(tensor) for tensor in kept if tensor.endswith(".weight"))
    quantization = {
        **algorithm,
        "kv_cache_quant_algo": None,
        "exclude_modules": ignored,
    }
    producer = {"name": "mxref", "version": __version__}
    return {"hf_quant_config.json": {"producer": producer, "quantization": quantization}}


def loader_metadata(
    layout: str, fmt: BlockFormat, weights: Mapping[str, Weight], kept: Mapping[str, str]
) -> dict[str, str]:
    """Return entries of a safetensors header that the convention's loader reads.

    torchao 0.18 (prototype/safetensors) finds there how to build each of its tensors; it has no
    words for FP6.
    """
    element = _TORCHAO_ELEMENTS.get(fmt.element.name)
    if not layout.startswith("torchao") or element is None:
        return {}
    made = {name: json.dumps({"_type": "Tensor"}) for name in kept}
    for name, weight in weights.items():
        data = {
            "elem_dtype": {"_type": "torch.dtype", "_data": element},
            "block_size": fmt.block_size,
            "orig_dtype": {"_type": "torch.dtype", "_data": _TORCH_NAMES[weight.info.dtype]},
            "kernel_preference": {"_type": "KernelPreference", "_data": "EMULATED"},
            "act_quant_kwargs": None,
            "is_swizzled_scales": layout != "torchao",
        }
        made[name] = json.dumps(
            {"_type": "MXTensor", "_data": data, "_tensor_data_names": ["qdata", "scale"]}
        )
    made["tensor_names"] = json.dumps([*weights, *kept])
    return made


def mark(layout: str, fmt: BlockFormat, weight: str) -> tuple[str, bytes] | None:
    """Return name and bytes of a tensor by which loaders know a quantized weight, if there is one.

    ComfyUI reads ``X.comfy_quant``, JSON as bytes, beside each ``X.weight`` [secondary: not run].

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> mark("comfyui", block_format("mxfp8_e4m3"), "a.weight")
    ('a.comfy_quant', b'{"format": "mxfp8"}')
    """
    if layout != "comfyui":
        return None
    stem, dot, leaf = weight.rpartition(".")
    name = f"{stem}{dot}comfy_quant" if leaf == "weight" else f"{weight}.comfy_quant"
    return name, json.dumps({"format": f"mxfp{fmt.element.bits}"}).encode()


def _module(name: str) -> str:
    return name.removesuffix(".weight")
