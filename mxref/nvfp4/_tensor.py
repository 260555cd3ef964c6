"""The scale of a tensor, from what a caller gave or from its amax."""

from __future__ import annotations

from typing import Any

import numpy as np

from mxref.kernels import nvfp4 as kernels
from mxref.nvfp4._numbers import as_amax, as_multiplier
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["tensor_scales"]


def tensor_scales(
    amax: Any, g: Any, of_tensor: np.float32 | None, policy: NVFP4Policy
) -> kernels.Globals:
    """Return S and g: from a given amax, from a given g, or from the amax of the tensor.

    Raises
    ------
    TypeError, ValueError
        If both are given, one is no such number, or the policy has none.
    """
    if g is not None:
        if amax is not None:
            msg = "give either global_amax or global_scale, which follows from it, not both"
            raise ValueError(msg)
        if isinstance(g, kernels.Globals):
            return g  # by checks, which follow multipliers that nobody should choose
        multiplier = as_multiplier(g)
        if policy.levels is choice.Levels.ONE and multiplier != 1:
            msg = (
                "global_scale is given, but the policy has levels=single-level, which has none; "
                "leave it out or choose levels=two-level"
            )
            raise ValueError(msg)
        return kernels.from_global_scale(multiplier, policy)
    if amax is None:
        return kernels.global_scales(np.float32(0 if of_tensor is None else of_tensor), policy)
    return kernels.global_scales(as_amax(amax), policy)
