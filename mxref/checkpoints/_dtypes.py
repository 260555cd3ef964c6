"""The types of tensors in files: how many bits an element takes, and what numpy calls it."""

from __future__ import annotations

from types import MappingProxyType

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike

__all__ = ["NUMBERS", "SAFETENSORS_BITS", "storage"]

SAFETENSORS_BITS = MappingProxyType(
    {
        "BOOL": 8,
        "F4": 4,
        "F6_E2M3": 6,
        "F6_E3M2": 6,
        "U8": 8,
        "I8": 8,
        "F8_E5M2": 8,
        "F8_E4M3": 8,
        "F8_E8M0": 8,
        "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8,
        "I16": 16,
        "U16": 16,
        "F16": 16,
        "BF16": 16,
        "I32": 32,
        "U32": 32,
        "F32": 32,
        "C64": 64,
        "F64": 64,
        "I64": 64,
        "U64": 64,
    }
)
"""Bits in an element of each type of safetensors 0.8."""

NUMBERS: MappingProxyType[str, DTypeLike] = MappingProxyType(
    {
        "BOOL": np.uint8,  # a byte that is neither 0 nor 1 would be no bool of numpy's
        "U8": np.uint8,
        "I8": np.int8,
        "I16": np.int16,
        "U16": np.uint16,
        "F16": np.float16,
        "BF16": ml_dtypes.bfloat16,
        "I32": np.int32,
        "U32": np.uint32,
        "F32": np.float32,
        "C64": np.complex64,
        "F64": np.float64,
        "I64": np.int64,
        "U64": np.uint64,
    }
)
"""The types that numpy can read as numbers; all others are read as bytes."""


def storage(dtype: str) -> tuple[int, int] | None:
    """Return (elements in a block, bits of a block), or None for a type that nobody has told us.

    Examples
    --------
    >>> storage("F4"), storage("MXFP4"), storage("Q9_9")
    ((1, 4), (32, 136), None)
    """
    from mxref.checkpoints.gguf_types import BLOCKS

    if dtype in SAFETENSORS_BITS:
        return 1, SAFETENSORS_BITS[dtype]
    elements, nbytes = BLOCKS.get(dtype, (0, 0))
    return (elements, 8 * nbytes) if elements else None
