"""NVFP4: E2M1 elements, an E4M3 scale for every 16 of them, and one float32 for the tensor.

``value = e2m1 * ue4m3 * global_scale``. How the scales are chosen no standard says: an
`NVFP4Policy` answers it step by step, and `PROFILES` says whose recipe each named policy is.

Examples
--------
>>> import numpy as np
>>> x = np.linspace(-6, 6, 32, dtype=np.float32)
>>> q = quantize(x)
>>> q.scales, float(q.global_scale)
(array([126, 126], dtype=uint8), 0.0022321429569274187)
>>> float(abs(q.dequantize() - x).max()) < 1
True
"""

from __future__ import annotations

from mxref.nvfp4._array import NVFP4Array
from mxref.nvfp4._hadamard import hadamard
from mxref.nvfp4._quantize import (
    block_amax,
    block_scales,
    dequantize,
    encode_with_scales,
    global_scale_of,
    global_scales_of,
    quantize,
)
from mxref.nvfp4._scale_cast import decode_scale, encode_scale
from mxref.relatives.nvfp4_format import NVFP4 as FORMAT
from mxref.relatives.nvfp4_format import NVFP4Format
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import POLICIES, PROFILES, NVFP4Profile, get_policy

__all__ = [
    "FORMAT",
    "POLICIES",
    "PROFILES",
    "NVFP4Array",
    "NVFP4Format",
    "NVFP4Policy",
    "NVFP4Profile",
    "block_amax",
    "block_scales",
    "decode_scale",
    "dequantize",
    "encode_scale",
    "encode_with_scales",
    "get_policy",
    "global_scale_of",
    "global_scales_of",
    "hadamard",
    "quantize",
]
