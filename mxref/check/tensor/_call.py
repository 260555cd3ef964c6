"""Reads what a user's function on stored tensors returned, or says what it should have returned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check.target import TargetError, describe_error

__all__ = ["bytes_pair", "matrix"]


def _array(value: Any, what: str) -> NDArray[Any]:
    try:
        array = np.array(value)  # a copy: the target may reuse its buffer
    except Exception as error:
        raise TargetError(
            f"the target's {what} have type {type(value).__name__}, which NumPy cannot read: "
            f"{describe_error(error)}",
            "garbage",
        ) from error
    if array.dtype == object:
        raise TargetError(
            f"the target's {what} are Python objects ({type(value).__name__}); expected an array",
            "garbage",
        )
    return array


def matrix(result: Any, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Decoded values of a whole tensor.

    Raises
    ------
    TargetError
        If they are not float32, or of another shape.
    """
    if result is None:
        raise TargetError("the target returned None; expected float32 values", "garbage")
    array = _array(result, "values")
    if array.dtype != np.float32:
        raise TargetError(
            f"harness mis-wired: the values have dtype {array.dtype}, expected float32; return "
            ".astype(np.float32)"
        )
    if array.shape != shape:
        hint = ": transposed?" if array.shape == shape[::-1] else ""
        if not hint and array.size == shape[0] * shape[1]:
            hint = f": add .reshape{shape}"
        raise TargetError(
            f"harness mis-wired: the values have shape {array.shape}, expected {shape}{hint}"
        )
    return np.ascontiguousarray(array)


def bytes_pair(result: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Stored elements and scales, of any shape.

    Raises
    ------
    TargetError
        If they are no pair of arrays of bytes.
    """
    if hasattr(result, "codes") and hasattr(result, "scales"):
        result = (result.codes, result.scales)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TargetError(
            f"the target returned a value of type {type(result).__name__}; expected the pair "
            "(elements, scales), both as stored bytes",
            "garbage",
        )
    pair = []
    for value, what in zip(result, ("elements", "scales"), strict=True):
        array = _array(value, what)
        if array.dtype.itemsize != 1 or array.dtype.kind == "b":
            raise TargetError(
                f"harness mis-wired: the {what} have dtype {array.dtype}; expected uint8: the "
                "bytes as they are stored"
            )
        pair.append(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return pair[0], pair[1]
