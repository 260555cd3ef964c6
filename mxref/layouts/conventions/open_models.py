"""Conventions of published models and of frameworks: gpt-oss, DeepSeek, MLX, torchao."""

from __future__ import annotations

from mxref.layouts._layout import Layout
from mxref.layouts.conventions._planes import Codes, Global, Parts, Scales, Words, planes
from mxref.layouts.conventions._scale_planes import TILES_32X16

__all__ = ["LAYOUTS"]

_U8 = ("U8",)

_GPT_OSS = planes(
    Words(
        "gpt-oss",
        "codes by block, (..., rows, blocks, 16) bytes, the even element in the low nibble; scale "
        "codes (..., rows, blocks)",
        "https://github.com/openai/gpt-oss (gpt_oss/torch/weights.py); the same tensors are called "
        "NAME_blocks and NAME_scales in the Hugging Face form, "
        "https://pypi.org/project/transformers/5.23.0/ (integrations/mxfp4.py)",
        "measured: convert_moe_packed_tensors of transformers reads our parts",
    ),
    {
        "mxfp4": Parts(
            Codes((".blocks", "_blocks"), _U8, "nibbles-low-first", grouped=True),
            Scales((".scales", "_scales"), _U8),
        )
    },
)


_DEEPSEEK = planes(
    Words(
        "deepseek",
        "routed experts of DeepSeek-V4, FP4 codes two in a byte of weight, low nibble first, scale "
        "codes row by row in scale; or FP8 codes with weight_scale_inv, of one block of 32 each",
        "https://huggingface.co/deepseek-ai/DeepSeek-V4-Flash (inference/convert.py), "
        "https://pypi.org/project/transformers/5.23.0/ (integrations/finegrained_fp8.py)",
        "measured: Fp8Dequantize of transformers reads our parts; names as described in "
        "https://github.com/RobTand/prismaquant/issues/26 [secondary]",
    ),
    {
        "mxfp4": Parts(
            Codes((".weight",), ("I8", "U8"), "nibbles-low-first"),
            Scales((".scale", ".weight_scale_inv"), ("F8_E8M0", "U8")),
        ),
        "mxfp8_e4m3": Parts(
            Codes((".weight",), ("F8_E4M3",), "bytes"),
            Scales((".weight_scale_inv", ".scale"), ("U8", "F8_E8M0")),
        ),
    },
)


def _mlx(packing: str, word_scales: str = "U8") -> Parts:
    return Parts(
        Codes((".weight",), ("U32",), packing, word=4),
        Scales((".scales",), (word_scales,)),
    )


_MLX = planes(
    Words(
        "mlx",
        "codes in little-endian words of 32 bits, the first element in the lowest bits; scale "
        "codes row by row",
        "https://pypi.org/project/mlx/0.32.4/ (mx.quantize and mx.dequantize)",
        "measured: mx.dequantize reads our words, and mx.quantize's are read by us",
    ),
    {
        "mxfp4": _mlx("nibbles-low-first"),
        "mxfp8_e4m3": _mlx("bytes"),
        "nvfp4": _mlx("nibbles-low-first"),
    },
)

_QDATA = ("._weight_qdata",)
_SCALE = ("._weight_scale",)
_TORCHAO_TEXT = "tensors of an MXTensor or NVFP4Tensor: FP4 two in a byte, low nibble first, FP6 a "


def _torchao(name: str, text: str, *, tiled: bool) -> Layout:
    def scales(*dtypes: str) -> Scales:
        return Scales(_SCALE, dtypes, TILES_32X16) if tiled else Scales(_SCALE, dtypes)

    e8m0 = scales("F8_E8M0", "U8")
    return planes(
        Words(
            name,
            _TORCHAO_TEXT + text,
            "https://pypi.org/project/torchao/0.18.0/ (prototype/mx_formats, and "
            "prototype/safetensors for the names)",
            "measured: MXTensor and NVFP4Tensor dequantize our parts, and theirs are read by us",
        ),
        {
            "mxfp8_e4m3": Parts(Codes(_QDATA, ("F8_E4M3",), "bytes"), e8m0),
            "mxfp8_e5m2": Parts(Codes(_QDATA, ("F8_E5M2",), "bytes"), e8m0),
            "mxfp6_e3m2": Parts(Codes(_QDATA, _U8, "bytes"), e8m0),
            "mxfp6_e2m3": Parts(Codes(_QDATA, _U8, "bytes"), e8m0),
            "mxfp4": Parts(Codes(_QDATA, _U8, "nibbles-low-first"), e8m0),
            "nvfp4": Parts(
                Codes(_QDATA, _U8, "nibbles-low-first"),
                scales("F8_E4M3"),
                Global(("._weight_per_tensor_scale",), optional=True),
            ),
        },
    )


LAYOUTS: tuple[Layout, ...] = (
    _GPT_OSS,
    _DEEPSEEK,
    _torchao("torchao", "code in each byte; scale codes row by row", tiled=False),
    _torchao(
        "torchao-swizzled",
        "code in each byte; scale codes in tiles of 128 x 4 (is_swizzled_scales)",
        tiled=True,
    ),
    _MLX,
)
"""The layouts of this module."""
