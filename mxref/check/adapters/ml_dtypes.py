"""ml_dtypes: every cast that MX uses, and an MX quantizer composed of them.

ml_dtypes (github.com/jax-ml/ml_dtypes) has the types and their casts, but no blocks. The
quantizer and the dequantizer below are what a user would write with it: the recipe of
MX-1.0/6.3/scale in NumPy, the elements by ``astype``. They use its public types only.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from mxref.check.target import Kernel, Target
from mxref.formats import BLOCK_FORMATS, BlockFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["decode", "dequantize", "encode", "quantize", "target"]

_TYPES: dict[str, Any] = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}


def target() -> Target:
    """Return the casts of six types in both directions, and six block formats likewise."""
    kernels = [Kernel("encode", name, partial(encode, name=name)) for name in _TYPES]
    kernels += [Kernel("decode", name, partial(decode, name=name)) for name in _TYPES]
    for name, fmt in BLOCK_FORMATS.items():
        kernels.append(Kernel("quantize", name, partial(quantize, fmt=fmt)))
    for name, fmt in BLOCK_FORMATS.items():
        kernels.append(Kernel("dequantize", name, partial(dequantize, fmt=fmt)))
    return Target("ml_dtypes", f"ml_dtypes {version('ml_dtypes')}", tuple(kernels))


def encode(x: NDArray[np.float32], name: str) -> NDArray[np.uint8]:
    """Cast float32 numbers to codes with ``astype``."""
    with np.errstate(all="ignore"):  # overflow to NaN is a result here, not an accident
        return x.astype(_TYPES[name]).view(np.uint8)


def decode(codes: NDArray[np.uint8], name: str) -> NDArray[np.float32]:
    """Cast codes to float32 with ``astype``."""
    with np.errstate(all="ignore"):
        values: NDArray[np.float32] = codes.view(_TYPES[name]).astype(np.float32)
    return values


def quantize(
    x: NDArray[np.float32], fmt: BlockFormat
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Quantize blocks, shape (n, k), by the recipe of MX-1.0/6.3/scale.

    The scale is the largest power of two up to amax, over that of the element type; elements
    clamp to the largest magnitude (MX-1.0/6.3/clamp-normal), as the casts alone would not.
    """
    with np.errstate(all="ignore"):
        amax = np.abs(x).max(axis=1, keepdims=True)
        finite = np.isfinite(amax)
        _, above = np.frexp(np.where(finite, amax, np.float32(1)))  # amax = m * 2^above, m < 1
        exponent = np.clip(above - 1 - fmt.element.emax, fmt.scale.emin, fmt.scale.emax)
        exponent = np.where(amax == 0, fmt.scale.emin, exponent)
        scales = np.where(finite, exponent + fmt.scale.bias, fmt.scale.nan_code).astype(np.uint8)
        limit = np.float32(float(fmt.element.max))
        scaled = np.clip(np.ldexp(x, -exponent), -limit, limit)
        if fmt.element.name in _TYPES:
            return encode(scaled, fmt.element.name), scales
        # ml_dtypes has no fixed-point type: rint is its round to nearest even.
        steps = np.rint(np.ldexp(scaled, fmt.element.mantissa_bits))
        return np.nan_to_num(steps).astype(np.int8).view(np.uint8), scales


def dequantize(
    codes: NDArray[np.uint8], scales: NDArray[np.uint8], fmt: BlockFormat
) -> NDArray[np.float32]:
    """Multiply decoded elements, shape (n, k), with decoded scales, shape (n, 1)."""
    with np.errstate(all="ignore"):
        if fmt.element.name in _TYPES:
            elements = decode(codes, fmt.element.name)
        else:
            elements = np.ldexp(codes.view(np.int8).astype(np.float32), -fmt.element.mantissa_bits)
        values = elements * decode(scales, fmt.scale.name)
        # Which operand's NaN a product keeps is up to the processor; give one.
        return np.where(np.isnan(values), np.float32(np.nan), values)
