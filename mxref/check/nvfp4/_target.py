"""A target that quantizes to NVFP4 or decodes it: called so that nothing it does can hurt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._call import Caller
from mxref.check._guard import read_codes, read_values
from mxref.check.nvfp4._data import as_global_scale
from mxref.check.target import TargetError
from mxref.check.targets.foreign import as_numpy
from mxref.faults.nvfp4_model import E2M1, E4M3

__all__ = ["OPS", "Guarded"]

_SIZE = 16
_SIGNATURES = {
    "quantize": "fn(x: {} (n, 64)) -> codes: uint8 (n, 64), scales: uint8 (n, 4), "
    "global_scale: float32",
    "dequantize": "fn(codes: uint8 (n, 64), scales: uint8 (n, 4), global_scale: float32) -> "
    "values: float32 (n, 64)",
}
OPS = tuple(_SIGNATURES)
_Outputs = tuple[NDArray[Any], ...]


class Guarded:
    """A target whose every call gives valid arrays, or raises `TargetError`.

    Parameters
    ----------
    fn : callable
    op : str
        ``"quantize"`` or ``"dequantize"``.
    input_dtype : str
        What it takes where it takes numbers.
    timeout : float or None
        Seconds that one call may take.
    """

    def __init__(
        self, fn: Callable[..., Any], op: str, input_dtype: str, timeout: float | None
    ) -> None:
        self.op = op
        self.caller = Caller(fn, _SIGNATURES[op].format(input_dtype), timeout)

    def __call__(self, *inputs: Any) -> _Outputs:
        """Call it on copies: codes, scale codes and the global scale; or values."""
        result = self.caller(*inputs)
        shape = inputs[0].shape
        if result is None:
            raise TargetError(f"the target returned None; expected {self.caller.signature}")
        if self.op == "dequantize":
            return (read_values(as_numpy(result, "values"), shape).copy(),)
        codes, scales, g = (self._parts(result)[i] for i in range(3))
        plane = (shape[0], shape[1] // _SIZE)
        given, shared = as_numpy(codes, "codes"), as_numpy(scales, "scales")
        if given.shape == plane and shared.shape == shape:
            raise TargetError("harness mis-wired: got (scales, codes); return (codes, scales)")
        if shared.ndim == 1 and shared.size == plane[0] * plane[1]:
            shared = shared.reshape(plane)
        _require_blocks(shared, plane)
        found = read_codes(given, shape, E2M1, "codes"), read_codes(shared, plane, E4M3, "scales")
        return (*found, _global_scale(g))

    def require_repeatable(self, *inputs: Any) -> None:
        """Call twice on the same input.

        Raises
        ------
        TargetError
            If the outputs differ.
        """
        first, second = self(*inputs), self(*inputs)
        if any(one.tobytes() != two.tobytes() for one, two in zip(first, second, strict=True)):
            raise TargetError(
                "two calls on the same input gave different outputs. Fix the seed, or switch "
                "stochastic rounding off; if there is none, look for a race, or for memory that "
                "is read before it is written",
                "nondeterministic",
            )

    def _parts(self, result: Any) -> tuple[Any, Any, Any]:
        """Codes, scale codes and the global scale, which is 1 if there is none."""
        if hasattr(result, "codes") and hasattr(result, "scales"):
            return result.codes, result.scales, getattr(result, "global_scale", 1.0)
        if isinstance(result, tuple | list) and len(result) in (2, 3):
            codes, scales, *rest = result
            return codes, scales, rest[0] if rest else 1.0
        length = f" of {len(result)}" if isinstance(result, tuple | list) else ""
        raise TargetError(
            f"the target returned a value of type {type(result).__name__}{length}; expected the "
            "tuple (codes, scales, global_scale), or an object with these names"
        )


def _require_blocks(scales: NDArray[Any], plane: tuple[int, int]) -> None:
    """Refuse scales of other blocks, with a word about which."""
    if scales.shape == plane:
        return
    rows, columns = plane
    hints = {
        (rows, columns // 2): ": blocks of 32? NVFP4 has a scale for each 16 elements",
        (rows // _SIZE, columns): ": one for 16 x 16 elements? Repeat each for its 16 lines",
        (-(-rows // 128) * 128, columns): ": padded to 128 lines? Cut them off",
    }
    hint = hints.get(scales.shape, "")
    if not hint and scales.size == -(-rows // 128) * 128 * columns:
        hint = ": in the order of a tensor core (128x4)? Undo it: mxref.layouts.unpack_scales"
    if hint:
        raise TargetError(
            f"harness mis-wired: the scales have shape {scales.shape}, expected {plane}{hint}"
        )


def _global_scale(given: Any) -> NDArray[np.float32]:
    if given is None:
        raise TargetError(
            "the target returned None as the global scale; return the decode multiplier of the "
            "tensor, or 1.0 where block scales are all there is"
        )
    try:
        return np.asarray(as_global_scale(as_numpy(given, "global scale")))
    except (TypeError, ValueError) as error:
        raise TargetError(f"harness mis-wired: {error}") from error
