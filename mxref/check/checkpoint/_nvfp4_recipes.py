"""NVFP4 as projects compute it: block scales and elements, each in its own order of operations.

The orders are those of the profiles of ``mxref.nvfp4``; here they are applied to blocks of a file
that holds the global multiplier g, or its reciprocal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import casts, nvfp4
from mxref.kernels.nvfp4 import Globals
from mxref.policy import Policy

__all__ = ["RECIPES", "Recipe"]

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_SIX, _MOST = np.float32(6), np.float32(448)
_SCALES = casts.decode(np.arange(256, dtype=np.uint8), "e4m3").astype(np.float32)
_EVEN = Policy()
_DOWN = _EVEN.replace(rounding="nearest-down", neg_zero="drop")


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


def _of_tensor(g: float) -> Globals:
    """Both forms of g. Where its reciprocal is stored, float64 brings that back to the bit."""
    return Globals(np.float32(1 / float(g)), np.float32(g), np.float32(np.nan))


def _scale(profile: str) -> Callable[[Floats, float], Bytes]:
    policy = nvfp4.get_policy(profile)
    return lambda amax, g: nvfp4.block_scales(amax, _of_tensor(g), policy)


def _encode(profile: str) -> Callable[[Floats, Bytes, float], Bytes]:
    policy = nvfp4.get_policy(profile)

    def encode(x: Floats, scales: Bytes, g: float) -> Bytes:
        return nvfp4.encode_with_scales(x, scales[:, None], _of_tensor(g), -1, policy)

    return encode


def _gguf_scale(amax: Floats, g: float) -> Bytes:
    """Half a step is added to the bits that are dropped: ties go up, and 7/512 is never left.

    The profile ``gguf`` carries there, and names that as its divergence.
    """
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
        unit = _SCALES[scales][:, None].astype(np.float64) * np.float64(g)
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
        _scale("mlx"),
        _encode("mlx"),
    ),
    Recipe(
        "gguf-nvfp4",
        "GGUF, NVFP4 blocks",
        "scales measured on gguf 0.19.0; elements [secondary]",
        _gguf_scale,
        _encode("gguf"),
    ),
    Recipe(
        "torchao-nvfp4",
        "torchao, nvfp4_quantize",
        "measured on torchao 0.18.0",
        _scale("torchao"),
        _encode("torchao"),
    ),
    Recipe(
        "modelopt-nvfp4",
        "NVIDIA Model-Optimizer, NVFP4QTensor",
        "read in 0.47.0, not run",
        _scale("modelopt"),
        _encode("modelopt"),
    ),
    Recipe(
        "compressed-tensors-nvfp4",
        "compressed-tensors, nvfp4-pack-quantized",
        "read in 0.20.0, not run",
        _scale("compressed-tensors"),
        _encode("compressed-tensors"),
    ),
    Recipe(
        "transformer-engine-nvfp4",
        "TransformerEngine, the reference of its tests",
        "[secondary]",
        _scale("te-reference"),
        _encode("te-reference"),
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
