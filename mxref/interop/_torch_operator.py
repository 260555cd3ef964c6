"""The operator ``mxref::fake_quantize`` of torch, and its derivatives.

Nothing here is made before torch is there: its classes need torch's as their bases.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref._foreign import as_numpy
from mxref.arrays import quantize
from mxref.formats import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.mxarray import MXArray

__all__ = ["function"]

_SCHEMA = "(Tensor x, str format, int axis, str policy, bool pad, bool clipped) -> (Tensor, Tensor)"


@functools.cache
def function(torch: Any) -> Any:
    """Return a function of tensors, ``(x, format, axis, policy, pad, clipped)``.

    `format` and `policy` are names, `axis` counts from the end. The results are the values, and
    where the gradient passes (nothing, unless it is clipped).

    torch offers two ways to define a derivative, and neither suffices: an operator's own knows
    neither ``torch.func.grad`` nor forward mode, and an ``autograd.Function`` with forward mode
    cannot be compiled (torch 2.13). So there are both, over the same rule.
    """
    op = torch.library.custom_op(
        "mxref::fake_quantize", _forward, mutates_args=(), device_types="cpu", schema=_SCHEMA
    )
    op.register_fake(_shapes)

    def batched(_: Any, in_dims: tuple[Any, ...], x: Any, *facts: Any) -> tuple[Any, Any]:
        # Axes count from the end, so that one more in front changes nothing.
        return op(x.movedim(in_dims[0], 0), *facts), (0, 0 if facts[-1] else None)

    op.register_vmap(batched)
    op.register_autograd(_backward, setup_context=_setup)

    class FakeQuantizeFunction(torch.autograd.Function):  # type: ignore[misc]  # its base is Any
        generate_vmap_rule = True

        @staticmethod
        def forward(*given: Any) -> Any:
            return op(*given)

        setup_context = staticmethod(_setup)
        backward = staticmethod(_backward)

        @staticmethod
        def jvp(ctx: Any, of_x: Any, *_: Any) -> tuple[Any, None]:
            return _passed(ctx, of_x), None

    def apply(*given: Any) -> Any:
        return op(*given) if torch.compiler.is_compiling() else FakeQuantizeFunction.apply(*given)

    return apply


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, Any]) -> None:
    ctx.is_clipped = inputs[-1]
    ctx.mark_non_differentiable(output[1])
    if ctx.is_clipped:
        ctx.save_for_backward(output[1])
        if hasattr(ctx, "save_for_forward"):
            ctx.save_for_forward(output[1])


def _backward(ctx: Any, of_values: Any, _: Any) -> tuple[Any, ...]:
    return _passed(ctx, of_values), None, None, None, None, None


def _passed(ctx: Any, derivative: Any) -> Any:
    if not ctx.is_clipped:
        return derivative
    (passes,) = ctx.saved_tensors
    return derivative.masked_fill(~passes, 0.0)  # zero even where it is NaN or infinite


def _forward(
    x: Any,
    format: str,  # noqa: A002
    axis: int,
    policy: str,
    pad: bool,  # noqa: FBT001  # torch passes by position
    clipped: bool,  # noqa: FBT001
) -> tuple[Any, Any]:
    torch = sys.modules["torch"]
    given = as_numpy(x, "x")
    q = quantize(given, format, axis, policy, pad=pad)
    values = q.dequantize()
    passes = _unsaturated(given, values, q) if clipped else np.empty(0, np.bool_)
    return torch.from_numpy(values).to(x.dtype), torch.from_numpy(passes)


def _unsaturated(x: NDArray[Any], values: NDArray[np.float32], q: MXArray) -> NDArray[np.bool_]:
    """Tell where the gradient passes: where the result is finite and did not saturate."""
    passes = np.isfinite(values)
    element = q.format.element
    if element.kind is Kind.FIXED:  # two's complement: -127/64, and -2 where the policy uses it
        is_extreme = (q.codes >= element.max_magnitude) & (q.codes <= element.max_magnitude + 2)
    else:
        is_extreme = (q.codes & ((1 << (element.bits - 1)) - 1)) == element.max_magnitude
    at = np.flatnonzero(is_extreme)  # few, so that exact comparisons cost little
    given, held = x.reshape(-1)[at], values.reshape(-1)[at]
    passes.reshape(-1)[at] &= np.abs(given.astype(np.float64)) <= np.abs(held.astype(np.float64))
    return passes


def _shapes(
    x: Any,
    format: str,  # noqa: A002, ARG001
    axis: int,  # noqa: ARG001
    policy: str,  # noqa: ARG001
    pad: bool,  # noqa: ARG001, FBT001
    clipped: bool,  # noqa: FBT001
) -> tuple[Any, Any]:
    torch = sys.modules["torch"]
    return x.new_empty(x.shape), x.new_empty(x.shape if clipped else (0,), dtype=torch.bool)
