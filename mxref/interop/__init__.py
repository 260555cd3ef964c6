"""Arrays of other frameworks: torch, JAX, CuPy, and ml_dtypes.

`MXArray` has each of these functions as a method. None of the packages is imported before it is
asked for. ``mxref.interop.torch`` holds what training needs: `fake_quantize`, with gradients.
"""

from __future__ import annotations

from mxref.interop._parts import Parts
from mxref.interop.cupy_arrays import from_cupy, to_cupy
from mxref.interop.jax_arrays import from_jax, to_jax
from mxref.interop.torch_tensors import from_torch, to_torch
from mxref.interop.views import to_ml_dtypes

__all__ = [
    "Parts",
    "from_cupy",
    "from_jax",
    "from_torch",
    "to_cupy",
    "to_jax",
    "to_ml_dtypes",
    "to_torch",
]
