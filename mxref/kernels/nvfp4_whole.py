"""NVFP4 from a tensor in two passes: its amax, then scales and codes together.

For the recipes whose blocks do not depend on each other but for the amax of the tensor, and for
tensors without a NaN. All else goes step by step through ``mxref.kernels.nvfp4``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import _nvfp4_options as options
from mxref.kernels import _nvfp4_tables as tables
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels._nvfp4_numpy import Globals
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_policy import NVFP4Policy

if not INTERPRETED:
    from mxref.kernels import _nvfp4_loops as loops
    from mxref.kernels import _nvfp4_whole_loop as whole_loop

__all__ = ["is_whole", "peak", "quantize"]

_INFINITY = 0x7F800000


def is_whole(policy: NVFP4Policy) -> bool:
    """Return whether `quantize` knows the recipe."""
    return (
        not INTERPRETED
        and policy.geometry is choice.Geometry.ONE_D
        and policy.target is not choice.Target.FOUR_OVER_SIX
        and policy.scale_order is not choice.ScaleOrder.EXACT
        and policy.element_order is not choice.ElementOrder.EXACT
        and policy.rounding is not choice.Rounding.STOCHASTIC
    )


def peak(words: NDArray[Any], source: str) -> np.float32 | None:
    """Return the largest magnitude of all words, or None if one is a NaN.

    Parameters
    ----------
    words : contiguous array of the source's unsigned words, shape (n * 16,)
    source : str
        ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    """
    peaks = np.zeros(-(-words.size // (loops.CHUNK * loops.LANES)), np.uint32)
    kind = options.SOURCES[source]
    with parallel_slot(words.size) as parallel:
        loops.peak_loop(kind, parallel)(words, peaks)
    largest = peaks.max(initial=np.uint32(0))
    return None if largest > _INFINITY else largest.view(np.float32)


def quantize(
    words: NDArray[Any],
    source: str,
    of: Globals,
    policy: NVFP4Policy,
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
) -> bool:
    """Write scale codes and codes; return False, with some of them wrong, if there is a NaN.

    Parameters
    ----------
    words, source
        As for `peak`.
    scales, codes : contiguous uint8 arrays, shapes (n,) and (n * 16,)
    """
    found = tables.encoder(tables.key_of(of), policy)
    of_scale = options.scale_options(policy)
    of_element = options.element_options(source, found, policy)
    odd = np.zeros(1, np.uint32)
    read = tables.scale_parameters(of, policy), found.factors, found.flips, found.below
    with parallel_slot(words.size) as parallel:
        loop = whole_loop.quantize_loop(of_scale, of_element, parallel)
        loop(words, scales, codes, *read, odd)
    return not odd[0]
