"""The two numbers of a tensor as callers give them: its amax, and its multiplier."""

from __future__ import annotations

from typing import Any

import numpy as np

from mxref._foreign import as_numpy

__all__ = ["as_amax", "as_multiplier", "as_stored"]

_WANTED = "values are multiplied by it, so that it is positive and finite"


def _single(given: Any, name: str) -> np.float32:
    """Return a number as float32, rounded to nearest even: Python has float64 only."""
    array = as_numpy(given, name)
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        kind = type(given).__name__ if array.dtype == object else array.dtype
        raise TypeError(f"{name} must be one real number, got {kind}")
    if array.size != 1:
        raise ValueError(
            f"{name} must be one number for the whole tensor, got shape {array.shape}; convert "
            "tensors that have several, such as experts, one by one"
        )
    number = array.reshape(())[()]
    with np.errstate(all="ignore"):
        single = np.float32(number)
    if np.isinf(single) and not np.isinf(number):
        raise ValueError(f"{name} is {number}, which is beyond float32, the type that is stored")
    return single


def as_multiplier(given: Any, name: str = "global_scale") -> np.float32:
    """Return a multiplier to quantize with.

    Raises
    ------
    TypeError, ValueError
        If it is no real number, more than one, or not positive and finite in float32.
    """
    single = _single(given, name)
    if not 0 < single < np.inf:
        raise ValueError(
            f"{name} is {given}; {_WANTED}: amax / 2688 in most recipes. Leave it out to have it "
            "computed, or pass global_amax"
        )
    return single


def as_stored(given: Any, name: str = "global_scale") -> np.float32:
    """Return a multiplier that somebody stored: some recipes make 0, infinity or NaN.

    Raises
    ------
    TypeError, ValueError
        If it is no real number, more than one, or negative.
    """
    single = _single(given, name)
    if single < 0:
        raise ValueError(
            f"{name} is {given}; {_WANTED}, or 0, infinity or NaN where a recipe makes that of its "
            "tensor. A negative one would turn every sign: pass the magnitude"
        )
    return single


def as_amax(given: Any, name: str = "global_amax") -> np.float32:
    """Return the largest magnitude of a tensor; NaN is that of one with a NaN in it.

    Raises
    ------
    TypeError, ValueError
        If it is no real number, more than one, or negative.
    """
    single = _single(given, name)
    if single < 0:
        raise ValueError(
            f"{name} is {given}; a largest magnitude is 0 or more: pass np.abs(x).max() of the "
            "whole tensor, or leave it out to have that of x taken"
        )
    return single
