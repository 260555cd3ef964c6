"""Conventions of tools that quantize: compressed-tensors, ModelOpt, Quark, ComfyUI."""

from __future__ import annotations

from mxref.layouts._layout import Layout
from mxref.layouts.conventions._planes import Codes, Global, Parts, Scales, Words, planes
from mxref.layouts.conventions._scale_planes import TILES_128X4

__all__ = ["LAYOUTS"]

_U8 = ("U8",)
_E8M0 = Scales((".weight_scale",), ("U8", "F8_E8M0"))
_E4M3 = Scales((".weight_scale",), ("F8_E4M3",))
_LOW_FIRST = "nibbles-low-first"

_COMPRESSED_TENSORS = planes(
    Words(
        "compressed-tensors",
        "weight_packed with two FP4 codes in a byte, low nibble first, or four FP6 codes in three "
        "bytes; FP8 codes in weight; weight_scale row by row; NVFP4 is divided by "
        "weight_global_scale",
        "https://pypi.org/project/compressed-tensors/0.20.0/ (compressors)",
        "measured: its compressors decompress our parts, and theirs are read by us. Files from "
        "before 2025 may hold scale codes with bias 125 (pull request 538) [secondary]: a fault",
    ),
    {
        "mxfp4": Parts(Codes((".weight_packed",), _U8, _LOW_FIRST), _E8M0),
        "mxfp8_e4m3": Parts(Codes((".weight",), ("F8_E4M3",), "bytes"), _E8M0),
        "mxfp6_e2m3": Parts(Codes((".weight_packed",), _U8, "fp6-dense"), _E8M0),
        "nvfp4": Parts(
            Codes((".weight_packed",), _U8, _LOW_FIRST),
            _E4M3,
            Global((".weight_global_scale",), (1,), means="divisor"),
        ),
    },
)


def _fused(*dtypes: str) -> Scales:
    # of experts that share a parameter: gate_up_proj with gate_up_proj_weight_scale
    return Scales((".weight_scale", "_weight_scale"), dtypes)


_MODELOPT = planes(
    Words(
        "modelopt",
        "FP4 codes two in a byte of weight, low nibble first, or FP8 codes; weight_scale row by "
        "row; NVFP4 is multiplied by weight_scale_2",
        "https://pypi.org/project/nvidia-modelopt/0.47.0/ (torch/quantization/qtensor)",
        "measured: its tensors dequantize our parts, and theirs are read by us",
    ),
    {
        "mxfp4": Parts(Codes((".weight",), _U8, _LOW_FIRST), _fused("U8", "F8_E8M0")),
        "mxfp8_e4m3": Parts(Codes((".weight",), ("F8_E4M3",), "bytes"), _fused("U8", "F8_E8M0")),
        "nvfp4": Parts(
            Codes((".weight",), _U8, _LOW_FIRST),
            _fused("F8_E4M3"),
            Global((".weight_scale_2", "_weight_scale_2")),
        ),
    },
)

_QUARK = planes(
    Words(
        "quark",
        "codes in weight: FP4 two in a byte, low nibble first, FP6 four in three bytes, FP8 one; "
        "weight_scale row by row",
        "https://pypi.org/project/amd-quark/0.13/ (torch/utils/pack.py, torch/export)",
        "measured: its packing and ours give the same bytes; names as its exporter writes them "
        "[secondary]",
    ),
    {
        "mxfp4": Parts(Codes((".weight",), _U8, _LOW_FIRST), _E8M0),
        "mxfp6_e3m2": Parts(Codes((".weight",), _U8, "fp6-dense"), _E8M0),
        "mxfp6_e2m3": Parts(Codes((".weight",), _U8, "fp6-dense"), _E8M0),
        "mxfp8_e4m3": Parts(Codes((".weight",), ("F8_E4M3",), "bytes"), _E8M0),
        "mxfp8_e5m2": Parts(Codes((".weight",), ("F8_E5M2",), "bytes"), _E8M0),
    },
)

_COMFYUI = planes(
    Words(
        "comfyui",
        "FP8 codes in weight, or FP4 codes two in a byte, **high** nibble first; weight_scale in "
        "tiles of 128 x 4; NVFP4 is multiplied by weight_scale_2. A tensor comfy_quant, or "
        "_quantization_metadata in the file, marks it",
        "https://pypi.org/project/comfy-kitchen/0.2.40/ (tensor/nvfp4.py, tensor/mxfp8.py)",
        "measured: comfy-kitchen dequantizes our parts, and its own are read by us",
    ),
    {
        "mxfp8_e4m3": Parts(
            Codes((".weight",), ("F8_E4M3",), "bytes"),
            Scales((".weight_scale",), ("F8_E8M0", "U8"), TILES_128X4),
        ),
        "nvfp4": Parts(
            Codes((".weight",), _U8, "nibbles-high-first"),
            Scales((".weight_scale",), ("F8_E4M3",), TILES_128X4),
            Global((".weight_scale_2",)),
        ),
    },
)

LAYOUTS: tuple[Layout, ...] = (_COMPRESSED_TENSORS, _MODELOPT, _QUARK, _COMFYUI)
"""The layouts of this module."""
