"""Expected values of NVFP4 and BDR, worked out a second time: by kernels, tables and integers.

`mxref.nvfp4` and `mxref.bdr` run kernels that share no arithmetic with `mxref.exact`. Casts of
scale codes are read off a table of all codes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays, bdr, nvfp4
from mxref._policy_base import Choices
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.vectors.driver import Subject
from mxref.vectors.relatives import second_dot

__all__ = ["relative_kernels"]

_NAN_SCALE = 0x7F


def relative_kernels(operation: str, format_name: str, policy: Choices) -> Subject:
    """Return a second computation in the signature of an operation.

    The signatures are those of `mxref.vectors.relatives.driver`.

    Raises
    ------
    TypeError
        If the policy is of another family.

    Examples
    --------
    >>> import numpy as np
    >>> decode = relative_kernels("nvfp4_scale_decode", "nvfp4", NVFP4Policy())
    >>> decode(np.array([0x38, 0x30], np.uint8))
    array([1. , 0.5], dtype=float32)
    """
    if isinstance(policy, NVFP4Policy):
        return _nvfp4(operation, policy)
    if isinstance(policy, BDRPolicy):
        return _bdr(operation, bdr_format(format_name), policy)
    raise TypeError(f"{operation} does not take a {type(policy).__name__}")


# --- NVFP4 -----------------------------------------------------------------------------------


def _nvfp4(operation: str, policy: NVFP4Policy) -> Subject:
    def quantize(x: Any, amax: np.float32) -> tuple[Any, ...]:
        q = nvfp4.quantize(x, policy=policy, global_amax=amax)
        return q.global_scale, q.scales[:, 0], q.codes

    def quantize_tensor(x: Any, axis: int) -> tuple[Any, ...]:
        q = nvfp4.quantize(x, axis, policy)
        return q.global_scale, q.scales, q.codes

    def dequantize(global_scale: np.float32, scales: Any, codes: Any) -> Any:
        return nvfp4.dequantize(codes, scales[:, None], global_scale, policy=policy)

    match operation:
        case "nvfp4_scale_encode":
            return lambda x: _nearest_scale(x, policy)
        case "nvfp4_scale_decode":
            return lambda codes: _scale_values(codes, policy)
        case "nvfp4_quantize":
            return quantize
        case "nvfp4_quantize_tensor":
            return quantize_tensor
        case "nvfp4_dot":
            return second_dot.nvfp4_dot
    return dequantize


def _scale_values(codes: NDArray[np.uint8], policy: NVFP4Policy) -> NDArray[np.float32]:
    """E4M3 by ml_dtypes' table, with or without its sign."""
    kept = codes if policy.scale_sign == "signed" else codes & 0x7F
    return arrays.decode(kept.astype(np.uint8), "e4m3")


def _nearest_scale(given: NDArray[Any], policy: NVFP4Policy) -> NDArray[np.uint8]:
    """Look for the code among all of them; float64 holds every midpoint."""
    with np.errstate(invalid="ignore"):  # signalling NaN
        x = given.astype(np.float64)
    values = arrays.decode(np.arange(_NAN_SCALE, dtype=np.uint8), "e4m3").astype(np.float64)
    beyond = 2 * values[-1] - values[-2]
    edges = (values + np.append(values[1:], beyond)) / 2
    low, high = (np.searchsorted(edges, x, side) for side in ("left", "right"))
    match policy.scale_rounding.value:
        case "nearest-even":  # of the two beside a tie the even one
            codes = np.where(low % 2 == 0, low, high)
        case "nearest-up":
            codes = high
        case _:
            codes = np.searchsorted(np.append(values, beyond), x, "right") - 1
    out = codes == len(values)
    top = _NAN_SCALE if policy.scale_overflow == "nan" else _NAN_SCALE - 1
    return np.where(np.isnan(x), _NAN_SCALE, np.where(out, top, codes)).astype(np.uint8)


# --- BDR -------------------------------------------------------------------------------------


def _bdr(operation: str, fmt: BDRFormat, policy: BDRPolicy) -> Subject:
    def quantize(x: Any) -> tuple[Any, ...]:
        q = bdr.quantize(x, fmt, policy=policy)
        return q.scales[:, 0], q.subscales, q.codes

    def dequantize(scales: Any, subscales: Any, codes: Any) -> Any:
        return bdr.dequantize(codes, scales[:, None], fmt, subscales=subscales)

    def scaled_quantize(x: Any) -> tuple[Any, ...]:
        q = bdr.quantize(x, fmt, policy=policy, pad=True)
        used = None if q.subscales is None else q.subscales[: len(x) // fmt.k2]
        return q.scales, used, q.codes

    def scaled_dequantize(scale: np.float32, subscales: Any, codes: Any) -> Any:
        own = np.float32(scale) if fmt.k1 is None else np.array([scale], np.float32)
        if subscales is not None and fmt.k1 is not None:  # those of the rest of the block
            subscales = np.append(subscales, np.zeros(fmt.k1 // fmt.k2 - len(subscales), np.uint8))
        return bdr.dequantize(codes, own, fmt, subscales=subscales)

    match operation:
        case "bdr_quantize":
            return quantize
        case "bdr_dequantize":
            return dequantize
        case "bdr_dot":
            return functools.partial(second_dot.bdr_dot, fmt)
        case "scaled_quantize":
            return scaled_quantize
    return scaled_dequantize
