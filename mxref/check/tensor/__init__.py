"""Checks of whole tensors in bytes: packing, order of the scale codes, and the blocked axis."""

from __future__ import annotations

from mxref.check.tensor._api import (
    dequantize_tensor,
    drive_tensor,
    quantize_tensor,
)

__all__ = [
    "dequantize_tensor",
    "drive_tensor",
    "quantize_tensor",
]
