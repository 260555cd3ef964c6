"""The products of a linear layer over quantized operands, as torch computes with tensors.

Every product here is ``A @ B`` and sums over the last axis of A and the last but one of B; each
operand is quantized along that axis. Nothing is differentiated here: the three products of a layer,
its gradients among them, are calls of `product`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mxref._foreign import as_numpy
from mxref.interop._parts import optional
from mxref.interop._torch_linear_formats import quantize
from mxref.interop._torch_linear_recipe import MXRecipe
from mxref.matmul._api import matmul
from mxref.mxarray import MXArray

__all__ = ["product", "rounded"]

torch: Any = optional("torch")

_VALUES = "(Tensor x, str format, str policy, bool pad, Tensor? random) -> Tensor"
_PRODUCT = (
    "(Tensor a, str a_format, str a_policy, Tensor? a_random, Tensor b, str b_format, "
    "str b_policy, Tensor? b_random, bool pad, str accumulate, str dtype) -> Tensor"
)


def rounded(x: Any, recipe: MXRecipe) -> Any:
    """Return a tensor in the vector type of a recipe."""
    return x.to(torch.bfloat16 if recipe.vector == "bfloat16" else torch.float32)


def product(recipe: MXRecipe, gemm: str, a: Any, a_role: str, b: Any, b_role: str) -> Any:
    """Return ``a @ b`` as a recipe computes it.

    Parameters
    ----------
    recipe : MXRecipe
    gemm : str
        Which product it is, for `MXRecipe.gemms`.
    a : torch.Tensor of the vector type, shape (..., M, K)
    b : torch.Tensor of the vector type, shape (..., K, N)
        Where there are further axes they have the same lengths as those of `a`.
    a_role, b_role : str
        Whose format and policy each of them takes.

    Returns
    -------
    torch.Tensor of the vector type, shape (..., M, N)
    """
    if gemm not in recipe.gemms or recipe.matmul == "float32":
        operands = []
        for x, role, axis in ((a, a_role, -1), (b, b_role, -2)):
            if recipe.is_quantized(gemm, role):
                operands.append(_along(x, axis, recipe, role))
            else:
                operands.append(x.to(torch.float32))
        with torch.autocast("cpu", enabled=False):  # it would turn float32 to bfloat16
            return rounded(torch.matmul(*operands), recipe)
    return _product(
        a,
        getattr(recipe, a_role),
        recipe.policy[a_role],
        _drawn(a, recipe, a_role),
        b,
        getattr(recipe, b_role),
        recipe.policy[b_role],
        _drawn(b, recipe, b_role),
        recipe.pad,
        recipe.matmul,
        recipe.vector,
    )


def _along(x: Any, axis: int, recipe: MXRecipe, role: str) -> Any:
    """Quantize along the last axis but one as along the last of a transposed copy.

    Copying costs less than what blocks of some formats cost that lie across the memory (MX9, 512
    columns: 6.5 ms there and back, and 0.6 along it). What is a transposed view needs no copy.
    """
    rows = (x if axis == -1 else x.mT).contiguous()
    name, policy = getattr(recipe, role), recipe.policy[role]
    values = _values(rows, name, policy, recipe.pad, _drawn(rows, recipe, role))
    return values if axis == -1 else values.mT


def _drawn(x: Any, recipe: MXRecipe, role: str) -> Any:
    """Draw what a stochastic rounding needs, from torch's generator."""
    bits = recipe.random_bits[role]
    return torch.randint(0, 1 << bits, x.shape, dtype=torch.int32) if bits else None


def _run_values(
    x: Any,
    format: str,  # noqa: A002
    policy: str,
    pad: bool,  # noqa: FBT001  # torch passes by position
    random: Any,
) -> Any:
    q: Any = quantize(as_numpy(x, "x"), format, -1, policy, pad=pad, random=_unsigned(random))
    return torch.from_numpy(q.dequantize())


def _values_shape(
    x: Any,
    format: str,  # noqa: A002, ARG001
    policy: str,  # noqa: ARG001
    pad: bool,  # noqa: ARG001, FBT001
    random: Any,  # noqa: ARG001
) -> Any:
    return x.new_empty(x.shape, dtype=torch.float32)


def _run_product(  # noqa: PLR0913, PLR0917  # torch passes by position
    a: Any,
    a_format: str,
    a_policy: str,
    a_random: Any,
    b: Any,
    b_format: str,
    b_policy: str,
    b_random: Any,
    pad: bool,  # noqa: FBT001
    accumulate: str,
    dtype: str,
) -> Any:
    left, right = as_numpy(a, "a"), as_numpy(b, "b")
    shape = (*left.shape[:-1], right.shape[-1])
    qa: Any = quantize(left, a_format, -1, a_policy, pad=pad, random=_unsigned(a_random))
    qb: Any = quantize(right, b_format, -2, b_policy, pad=pad, random=_unsigned(b_random))
    result = np.empty(shape, np.float32)
    for at in np.ndindex(shape[:-2]):
        result[at] = matmul(_matrix(qa, at), _matrix(qb, at), accumulate=accumulate, dtype=dtype)
    return torch.from_numpy(result).to(getattr(torch, dtype))


def _unsigned(random: Any) -> Any:
    return None if random is None else random.numpy().view(np.uint32)


def _matrix(q: Any, at: tuple[int, ...]) -> Any:
    """Return one matrix of a batch, in the scale that the whole tensor has where it has one."""
    if not at:
        return q
    axis = q.axis - len(at)
    if isinstance(q, MXArray):
        return q[at]
    codes, scales = q.codes[at], q.scales[at] if q.scales.ndim else q.scales
    if hasattr(q, "global_scale"):
        return type(q)(codes, scales, q.global_scale, axis, policy=q.policy)
    below = None if q.subscales is None else q.subscales[at]
    return type(q)(codes, scales, below, q.format, axis, policy=q.policy)


def _product_shape(  # noqa: PLR0913, PLR0917
    a: Any,
    a_format: str,  # noqa: ARG001
    a_policy: str,  # noqa: ARG001
    a_random: Any,  # noqa: ARG001
    b: Any,
    b_format: str,  # noqa: ARG001
    b_policy: str,  # noqa: ARG001
    b_random: Any,  # noqa: ARG001
    pad: bool,  # noqa: ARG001, FBT001
    accumulate: str,  # noqa: ARG001
    dtype: str,
) -> Any:
    return a.new_empty((*a.shape[:-1], b.shape[-1]), dtype=getattr(torch, dtype))


def _operator(name: str, schema: str, run: Any, shape: Any) -> Any:
    """Define an operator of torch, into which its compiler does not look."""
    if torch is None:
        return None
    op = torch.library.custom_op(
        f"mxref::{name}", run, mutates_args=(), device_types="cpu", schema=schema
    )
    op.register_fake(shape)
    return op


_values = _operator("block_values", _VALUES, _run_values, _values_shape)
_product = _operator("block_product", _PRODUCT, _run_product, _product_shape)
