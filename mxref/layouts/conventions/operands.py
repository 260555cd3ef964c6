"""Conventions of arrays in memory, which no checkpoint holds so: TransformerEngine and ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.layouts._layout import Fields, Layout, Part, cannot_hold
from mxref.layouts.conventions._planes import Codes, Global, Parts, Scales, Words, planes
from mxref.layouts.conventions._scale_planes import PADDED_128X4

__all__ = ["LAYOUTS"]

Shape = tuple[int, ...]

_U8 = ("U8",)


def _rowwise(scale: str) -> Scales:
    return Scales(("._rowwise_scale_inv",), (scale,), PADDED_128X4)


_TE_SOURCE = (
    "https://github.com/NVIDIA/TransformerEngine (pytorch/tensor/mxfp8_tensor.py, nvfp4_tensor.py)"
)
_TE_EVIDENCE = (
    "secondary: shapes read in the source of commits 00768c77 and 01634950, nothing run, it needs "
    "CUDA. Padding is 0 here "
    "and uninitialised there; with optimize_for_gemm it swizzles the plane: torchao-swizzled"
)
_ROWWISE = ("._rowwise_data",)
_TRANSFORMER_ENGINE = planes(
    Words(
        "transformer-engine",
        "row-wise data of an MXFP8Tensor or NVFP4Tensor: a code in each byte, or two FP4 codes, "
        "low nibble first; scale codes row by row in a plane padded to 128 rows and 4 blocks; "
        "NVFP4 keeps amax. Column-wise NVFP4 data is this of the transposed operand",
        _TE_SOURCE,
        _TE_EVIDENCE,
        "memory",
    ),
    {
        "mxfp8_e4m3": Parts(Codes(_ROWWISE, _U8, "bytes"), _rowwise("U8")),
        "mxfp8_e5m2": Parts(Codes(_ROWWISE, _U8, "bytes"), _rowwise("U8")),
        "nvfp4": Parts(
            Codes(_ROWWISE, _U8, "nibbles-low-first"),
            _rowwise("U8"),
            Global(("._amax_rowwise",), (1,), means="amax"),
        ),
    },
)


_COLUMNWISE = "transformer-engine-columnwise"


class _Turned(NamedTuple):
    """The layout of the transposed operand, each of its tensors transposed."""

    of: Layout

    def shapes(self, format: str, shape: Shape) -> dict[str, Shape]:  # noqa: A002
        if format == "nvfp4":
            raise ValueError(cannot_hold(_COLUMNWISE, ("mxfp8_e4m3", "mxfp8_e5m2"), format))
        if len(shape) != 2:
            raise ValueError(f"a matrix of two axes is held transposed, got shape {shape}")
        return {role: each[::-1] for role, each in self.of.shapes(format, shape).items()}

    def pack(self, fields: Fields, format: str) -> dict[str, NDArray[Any]]:  # noqa: A002
        self.shapes(format, fields.codes.shape)
        made = self.of.pack(fields, format)
        return {role: np.ascontiguousarray(array.T) for role, array in made.items()}

    def unpack(self, parts: Mapping[str, NDArray[Any]], format: str, shape: Shape) -> Fields:  # noqa: A002
        wanted = self.shapes(format, shape)
        for role in parts.keys() & wanted.keys():
            if parts[role].shape != wanted[role]:
                raise ValueError(f"{role} have shape {parts[role].shape}; expected {wanted[role]}")
        turned = {role: np.asarray(array).T for role, array in parts.items()}
        return self.of.unpack(turned, format, shape)

    def logical(self, stored: Mapping[str, Shape], format: str) -> Shape:  # noqa: A002
        self.shapes(format, (0, 0))
        return self.of.logical({role: each[::-1] for role, each in stored.items()}, format)


def _columnwise() -> Layout:
    turned = _Turned(_TRANSFORMER_ENGINE)
    suffixes = {"codes": "._columnwise_data", "scales": "._columnwise_scale_inv"}
    parts = (Part(role, (suffix,), _U8) for role, suffix in suffixes.items())
    held = tuple(parts)
    return replace(
        _TRANSFORMER_ENGINE,
        name=_COLUMNWISE,
        text="column-wise data of an MXFP8Tensor of shape (M, K), whose blocks lie along M: the "
        "transposed operand, (K, M) here, with each tensor transposed and the plane padded to 4 "
        "blocks and 128 columns",
        parts=MappingProxyType(dict.fromkeys(("mxfp8_e4m3", "mxfp8_e5m2"), held)),
        row_step=0,
        shapes=turned.shapes,
        pack=turned.pack,
        unpack=turned.unpack,
        logical=turned.logical,
    )


_VALUE = ("_quantized",)
_E8M0 = Scales(("_scale",), ("F8_E8M0",))
_ONNX = planes(
    Words(
        "onnx",
        "initializers for DequantizeLinear with block_size: FLOAT4E2M1 two in a byte, low nibble "
        "first, FLOAT6* four in three bytes, FLOAT8* one; FLOAT8E8M0 scales",
        "https://onnx.ai/onnx/technical/float4.html and float6.html; names of "
        "initializers are free, these are those of ONNX Runtime's QDQ models [secondary]",
        "measured: onnx.helper and onnx.numpy_helper read our bytes",
        "memory",
    ),
    {
        "mxfp8_e4m3": Parts(Codes(_VALUE, ("F8_E4M3",), "bytes"), _E8M0),
        "mxfp8_e5m2": Parts(Codes(_VALUE, ("F8_E5M2",), "bytes"), _E8M0),
        "mxfp6_e3m2": Parts(Codes(_VALUE, ("F6_E3M2",), "fp6-dense"), _E8M0),
        "mxfp6_e2m3": Parts(Codes(_VALUE, ("F6_E2M3",), "fp6-dense"), _E8M0),
        "mxfp4": Parts(Codes(_VALUE, ("F4",), "nibbles-low-first"), _E8M0),
        "nvfp4": Parts(
            Codes(_VALUE, ("F4",), "nibbles-low-first"),
            Scales(("_scale",), ("F8_E4M3",)),
            Global(("_scale_2",), optional=True),
        ),
    },
)

LAYOUTS: tuple[Layout, ...] = (_TRANSFORMER_ENGINE, _columnwise(), _ONNX)
"""The layouts of this module."""
