"""NVFP4 as projects compute it: block scales and elements, each in its own order of operations.

No standard says how the scales of NVFP4 are chosen. Each recipe here computes in float32 as its
project does, given the global multiplier g that the file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import casts
from mxref.policy import Policy

__all__ = ["RECIPES", "Recipe"]

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_SIX, _MOST = np.float32(6), np.float32(448)
_LARGEST = np.finfo(np.float32).max
_ALL = np.arange(256, dtype=np.uint8)
_SCALES = casts.decode(_ALL, "e4m3").astype(np.float32)
_EVEN = Policy()
_DOWN = _EVEN.replace(rounding="nearest-down", neg_zero="drop")
_NO_SIGN = _EVEN.replace(neg_zero="drop-input")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a project makes NVFP4.

    Attributes
    ----------
    name, title : str
    evidence : str
        How that is known.
    scale : callable or None
        ``scale(amax, g) -> scale codes`` from the largest magnitude of each block, in float32; None
        if the recipe says nothing about them.
    encode : callable
        ``encode(x, scale codes, g) -> element codes`` for blocks of shape (n, 16).
    """

    name: str
    title: str
    evidence: str
    scale: Callable[[Floats, float], Bytes] | None
    encode: Callable[[Floats, Bytes, float], Bytes]


def _e4m3(numbers: Floats) -> Bytes:
    """To nearest even, at most 448."""
    return casts.encode(np.minimum(numbers, _MOST), "e4m3").view(np.uint8)


def _e2m1(numbers: Floats, policy: Policy = _EVEN) -> Bytes:
    return np.asarray(casts.encode(np.clip(numbers, -_SIX, _SIX), "e2m1", policy), np.uint8)


def _divisor(g: float) -> np.float32:
    """What is stored where the reciprocal of g is: float64 brings it back to the bit."""
    return np.float32(1 / float(g))


def _unit(scales: Bytes) -> Floats:
    return np.asarray(_SCALES[scales][:, None])


# --- torchao ------------------------------------------------------------------------------------


def _torchao_scale(amax: Floats, g: float) -> Bytes:
    least = np.float32(2.0**-6)
    return _e4m3(np.maximum(amax / _SIX / np.float32(g), least))


def _torchao_codes(x: Floats, scales: Bytes, g: float) -> Bytes:
    return _e2m1(x * (np.float32(1) / np.float32(g) / _unit(scales)))


# --- Model-Optimizer ----------------------------------------------------------------------------


def _modelopt_scale(amax: Floats, g: float) -> Bytes:
    wanted = amax / (_SIX * np.float32(g))
    wanted = np.where(wanted == 0, np.float32(1), wanted)
    return _e4m3(np.maximum(wanted, np.float32(2.0**-9)))


def _modelopt_codes(x: Floats, scales: Bytes, g: float) -> Bytes:
    return _e2m1(x / (_unit(scales) * np.float32(g)), _NO_SIGN)


# --- TransformerEngine --------------------------------------------------------------------------


def _te_scale(amax: Floats, g: float) -> Bytes:
    return _e4m3(amax * (_divisor(g) * (np.float32(1) / _SIX)))


def _te_codes(x: Floats, scales: Bytes, g: float) -> Bytes:
    factor = np.minimum(np.float32(1) / (_unit(scales) * np.float32(g)), _LARGEST)
    return _e2m1(x * factor, _NO_SIGN)


# --- compressed-tensors -------------------------------------------------------------------------


def _compressed_scale(amax: Floats, g: float) -> Bytes:
    codes = _e4m3(_divisor(g) * (amax / _SIX))
    return np.asarray(np.where(codes == 0, _e4m3(np.array([0.125], np.float32)), codes))


def _compressed_codes(x: Floats, scales: Bytes, g: float) -> Bytes:
    return _e2m1(x / (_unit(scales) / _divisor(g)), _NO_SIGN)


# --- MLX and GGUF: no global multiplier ---------------------------------------------------------


def _mlx_scale(amax: Floats, g: float) -> Bytes:
    return _e4m3(amax / _SIX / np.float32(g))


def _mlx_codes(x: Floats, scales: Bytes, g: float) -> Bytes:
    unit = _unit(scales) * np.float32(g)
    numbers = np.where(unit == 0, np.float32(0), x / unit)
    return _e2m1(numbers, _DOWN)


def _gguf_scale(amax: Floats, g: float) -> Bytes:
    """Half a step is added to the bits that are dropped: ties go up."""
    number = np.minimum(amax / _SIX / np.float32(g), _MOST)
    bits = number.view(np.uint32)
    exponent = (bits >> 23).astype(np.int32) - 127 + 7
    mantissa = ((bits >> 20) & 7) + ((bits >> 19) & 1)
    normal = (exponent << 3) + mantissa.astype(np.int32)
    small = np.minimum((number * np.float32(512) + np.float32(0.5)).astype(np.int32), 7)
    codes = np.where(exponent <= 0, small, np.minimum(normal, 0x7E))
    return np.asarray(codes, np.uint8)


# --- what is right whatever the scale -----------------------------------------------------------


def _nearest(policy: Policy) -> Callable[[Floats, Bytes, float], Bytes]:
    def encode(x: Floats, scales: Bytes, g: float) -> Bytes:
        unit = _unit(scales).astype(np.float64) * np.float64(g)
        numbers = np.where(unit == 0, 0.0, x.astype(np.float64) / unit)
        codes = casts.encode(np.clip(numbers, -6, 6), "e2m1", policy)
        return np.asarray(codes, np.uint8)

    return encode


def _table(*recipes: Recipe) -> Mapping[str, Recipe]:
    return MappingProxyType({recipe.name: recipe for recipe in recipes})


RECIPES = _table(
    Recipe(
        "mlx-nvfp4",
        "MLX on a CPU, mode nvfp4",
        "measured on mlx 0.32.4",
        _mlx_scale,
        _mlx_codes,
    ),
    Recipe(
        "gguf-nvfp4",
        "GGUF, NVFP4 blocks",
        "scales measured on gguf 0.19.0; elements [secondary]",
        _gguf_scale,
        _mlx_codes,
    ),
    Recipe(
        "torchao-nvfp4",
        "torchao, nvfp4_quantize",
        "measured on torchao 0.18.0",
        _torchao_scale,
        _torchao_codes,
    ),
    Recipe(
        "modelopt-nvfp4",
        "NVIDIA Model-Optimizer, NVFP4QTensor",
        "read in 0.47.0, not run",
        _modelopt_scale,
        _modelopt_codes,
    ),
    Recipe(
        "compressed-tensors-nvfp4",
        "compressed-tensors, nvfp4-pack-quantized",
        "read in 0.20.0, not run",
        _compressed_scale,
        _compressed_codes,
    ),
    Recipe(
        "transformer-engine-nvfp4",
        "TransformerEngine, the reference of its tests",
        "[secondary]",
        _te_scale,
        _te_codes,
    ),
    Recipe(
        "nearest-even",
        "the nearest E2M1 under the scales that are there, ties to even",
        "by definition",
        None,
        _nearest(_EVEN),
    ),
    Recipe(
        "nearest-down",
        "the nearest E2M1 under the scales that are there, ties toward zero",
        "by definition",
        None,
        _nearest(_DOWN),
    ),
)
"""By name, the most specific first."""


def largest(x: NDArray[Any]) -> Floats:
    """The largest magnitude of each block, NaN left out."""
    amax: NDArray[Any] = np.fmax.reduce(np.abs(x), axis=-1)
    return np.asarray(np.nan_to_num(amax, nan=0.0), np.float32)
