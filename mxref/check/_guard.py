"""Calls somebody's kernel so that nothing it does can hurt, and reads what it returned.

A kernel may raise, call ``sys.exit``, write into its arguments, return nothing, values instead of
codes, packed codes, or a view of a buffer that its next call reuses. Each of these ends as a
`TargetError` that says what to change; none as a traceback of ours, and none as a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check._call import CALL_ELEMENTS, Caller, RefusalError
from mxref.check.target import TargetError
from mxref.check.targets.foreign import as_numpy
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat, scalar_format

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GuardedKernel", "RefusalError", "read_codes", "read_values", "signature"]

Arrays = tuple["NDArray[Any]", ...]

_SIGNATURES = {
    "encode": "fn(x: {} (n,)) -> codes: uint8 (n,)",
    "decode": "fn(codes: uint8 (n,)) -> values: float32 (n,)",
    "quantize": "fn(x: {} (n, k)) -> codes: uint8 (n, k), scales: uint8 (n, 1) or (n,)",
    "dequantize": "fn(codes: uint8 (n, k), scales: uint8 (n, 1)) -> values: float32 (n, k)",
    "quantize_tensor": "fn(x: {} (rows, columns)) -> elements, scales: uint8, as bytes",
    "dequantize_tensor": "fn(elements: uint8, scales: uint8, shape) -> values: float32 (shape)",
    "dot": "fn(codes_a: uint8 (n, K), scales_a: uint8 (n, K / k), codes_b, scales_b) -> "
    "sums: float32 (n,)",
    "matmul": "fn(codes_a: uint8 (M, K), scales_a: uint8 (M, K / k), codes_b: uint8 (K, N), "
    "scales_b: uint8 (K / k, N)) -> product: float32 (M, N)",
}


def signature(op: str, input_dtype: str = "float32") -> str:
    """Say how a kernel for an operation is called and what it returns."""
    return _SIGNATURES[op].format(input_dtype)


@dataclass(slots=True)
class GuardedKernel:
    """A kernel whose every call either returns valid arrays or raises `TargetError`.

    Attributes
    ----------
    caller : Caller
        It makes the calls, none of more than `CALL_ELEMENTS` elements.
    op : str
    fmt : BlockFormat, ElementFormat or ScaleFormat
    """

    caller: Caller
    op: str
    fmt: BlockFormat | ElementFormat | ScaleFormat

    @property
    def calls(self) -> int:
        """How often the function has been called."""
        return self.caller.calls

    def __call__(self, *inputs: NDArray[Any]) -> Arrays:
        """Call the kernel on copies, and return its outputs as arrays of our own.

        Returns
        -------
        tuple of ndarray
            Codes and scales (n, 1) for ``quantize``; one array for the other operations.
        """
        rows = max(1, CALL_ELEMENTS // max(1, inputs[0][:1].size))
        parts = [
            self._call(*(array[start : start + rows] for array in inputs))
            for start in range(0, max(1, len(inputs[0])), rows)
        ]
        if len(parts) == 1:
            return parts[0]
        return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))

    def _call(self, *inputs: NDArray[Any]) -> Arrays:
        return self._read(self.caller(*inputs), inputs[0].shape)

    def _read(self, result: Any, shape: tuple[int, ...]) -> Arrays:
        if result is None:
            raise TargetError(f"the target returned None; expected {self.caller.signature}")
        if self.op in ("decode", "dequantize"):
            return (read_values(as_numpy(result, "values"), shape),)
        if not isinstance(self.fmt, BlockFormat):
            return (read_codes(as_numpy(result, "codes"), shape, self.fmt, "codes"),)
        codes, scales = _pair(result)
        _require_order(codes, scales, shape)
        read = read_codes(codes, shape, self.fmt.element, "codes")
        column = scales[:, None] if scales.ndim == 1 else scales
        return read, read_codes(column, (shape[0], 1), self.fmt.scale, "scales")


def _pair(result: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    if hasattr(result, "codes") and hasattr(result, "scales"):
        result = (result.codes, result.scales)
    if not isinstance(result, tuple | list) or len(result) != 2:
        length = f" of {len(result)}" if isinstance(result, tuple | list) else ""
        raise TargetError(
            f"the target returned a value of type {type(result).__name__}{length}; expected the "
            "pair (codes, scales)"
        )
    return as_numpy(result[0], "codes"), as_numpy(result[1], "scales")


def _require_order(codes: NDArray[Any], scales: NDArray[Any], shape: tuple[int, ...]) -> None:
    if shape[1] > 1 and scales.shape == shape and codes.shape in ((shape[0],), (shape[0], 1)):
        raise TargetError("harness mis-wired: got (scales, codes); return (codes, scales)")


def read_values(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return decoded values of an expected shape; refuse another type or shape."""
    if array.dtype != np.float32:
        raise TargetError(
            f"harness mis-wired: the values have dtype {array.dtype}, expected float32"
            + ("; return .astype(np.float32)" if array.dtype.kind in "fV" else "")
        )
    _require_shape(array, shape, "values")
    return np.ascontiguousarray(array).astype(np.float32, copy=False)


def read_codes(
    array: NDArray[Any], shape: tuple[int, ...], fmt: ElementFormat | ScaleFormat, what: str
) -> NDArray[np.uint8]:
    """Return codes as uint8, in one byte each; refuse what is no code of the format."""
    array = _raw(array, fmt, what)
    _require_shape(array, shape, what, fmt.bits)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low < 0 or high >= fmt.code_count:
        bad = low if low < 0 else high
        hint = "; unpack them to one code a byte, in its low bits" if fmt.bits < 8 else ""
        raise TargetError(
            f"harness mis-wired: the {what} hold {bad}, but a code of {fmt.name} is "
            f"0 to {fmt.code_count - 1}{hint}"
        )
    return np.ascontiguousarray(array).astype(np.uint8)


def _raw(array: NDArray[Any], fmt: ElementFormat | ScaleFormat, what: str) -> NDArray[Any]:
    """Reinterpret one-byte types as uint8; refuse numbers that are not codes."""
    dtype = array.dtype
    name = "" if dtype.isbuiltin == 1 else dtype.name
    if name and dtype.itemsize == 1:  # an ml_dtypes type says itself which codes it holds
        try:
            held = scalar_format(name).name
        except ValueError:
            held = name
        if dtype.kind == "V" and dtype.names is None and name.startswith("void"):
            held = fmt.name  # raw bytes, as numpy saves such types
        if held != fmt.name:
            raise TargetError(f"harness mis-wired: the {what} have dtype {name}, not {fmt.name}")
        return np.ascontiguousarray(array).view(np.uint8)
    if dtype == np.int8 and fmt.bits == 8:
        return np.ascontiguousarray(array).view(np.uint8)
    if dtype.kind not in "iu":
        kind = "numbers" if dtype.kind in "fc" or name else "entries"
        advice = (
            f"the bit patterns of {fmt.name}, such as .astype(TYPE).view(np.uint8)"
            if isinstance(fmt, ElementFormat)
            else "the E8M0 bytes, that is exponent + 127"
        )
        raise TargetError(
            f"harness mis-wired: the {what} are {kind} of dtype {dtype}: values instead of codes? "
            f"Return {advice}"
        )
    return array


def _require_shape(array: NDArray[Any], shape: tuple[int, ...], what: str, bits: int = 32) -> None:
    if array.shape == shape:
        return
    hint = ""
    if bits < 8 and array.size * 8 == int(np.prod(shape)) * bits:
        hint = f": packed, {bits} bits each? Unpack them to one code a byte, in its low bits"
    elif array.size == np.prod(shape):
        hint = ": transposed?" if array.shape == shape[::-1] else f": add .reshape{shape}"
    raise TargetError(
        f"harness mis-wired: the {what} have shape {array.shape}, expected {shape}{hint}"
    )
