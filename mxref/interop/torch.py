"""Training with torch: values as a block format would hold them, and layers that compute with them.

`MXLinear` is ``torch.nn.Linear`` whose three products, forward and backward, take quantized
operands; `convert` puts it into a model, and an `MXRecipe` says what is quantized and how.

The forward pass of `fake_quantize` is mxref's own conversion, there and back; it runs on the CPU.
It is an operator of torch, ``mxref::fake_quantize``, so that ``torch.compile`` sees one node whose
shape it knows.

This module can be imported without torch; what it offers cannot be used without.
"""

from __future__ import annotations

from operator import index
from typing import Any

from mxref import _choices as choice
from mxref._inputs import normal_axis
from mxref._suggest import unknown_name
from mxref.formats import BLOCK_FORMATS, BlockFormat, block_format
from mxref.interop import _torch_operator as operator
from mxref.interop._parts import optional, required
from mxref.interop._torch_linear import MXLinear, convert, mx_linear, mx_matmul
from mxref.interop._torch_linear_recipe import RECIPES, MXRecipe, recipe_of
from mxref.policy import Policy, get_policy

__all__ = [
    "GRADIENTS",
    "RECIPES",
    "FakeQuantize",
    "MXLinear",
    "MXRecipe",
    "convert",
    "fake_quantize",
    "mx_linear",
    "mx_matmul",
    "recipe_of",
]

GRADIENTS = ("straight-through", "clipped")
"""What the backward pass may do; see `fake_quantize`."""

torch = optional("torch")
_apply: Any = None if torch is None else operator.function(torch)


def fake_quantize(
    x: Any,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    policy: Policy | str | None = None,
    *,
    block_size: int | None = None,
    pad: bool = False,
    gradient: str = "straight-through",
) -> Any:
    """Return the values that a tensor has after conversion to a block format and back.

    Parameters
    ----------
    x : torch.Tensor of float32, float64, float16 or bfloat16
        On the CPU; any shape of one axis or more, any strides.
    format, axis, policy, block_size, pad
        As for `mxref.quantize`. A stochastic policy is refused, since it needs random bits.
    gradient : str
        ``"straight-through"``: the gradient passes unchanged. ``"clipped"``: it is zero where the
        element saturated, that is, where `x` exceeds the largest number that its block can hold;
        also where the result is NaN or infinite. The scale counts as a constant in both.

    Returns
    -------
    torch.Tensor
        Of the type and shape of `x`, contiguous. The values are exact: those of
        ``mxref.quantize(x, ...).dequantize()``. In float16 and bfloat16 a value beyond the range
        becomes an infinity, as torch's cast makes it; anything else fits.

    Raises
    ------
    TypeError
        If `x` is no tensor of these types on the CPU.
    ValueError
        As `mxref.quantize`.
    ImportError
        If torch is missing.

    Notes
    -----
    Clause MX-1.0/6.3/elements. Second derivatives are those of a linear function of the incoming
    gradient; forward-mode differentiation, ``torch.func`` and ``torch.compile`` work.

    See Also
    --------
    FakeQuantize : The same as a ``torch.nn.Module``.
    """
    if torch is None:
        required("torch", "fake_quantize")  # raises, with advice
    if gradient not in GRADIENTS:
        raise ValueError(unknown_name("gradient", gradient, GRADIENTS))
    _refuse(x)
    behind = normal_axis(axis, tuple(x.shape)) - x.ndim  # from the end: vmap adds an axis in front
    fmt, chosen = _names(format, policy, block_size)
    values, _ = _apply(x, fmt, behind, chosen, pad, gradient == "clipped")
    return values


def _names(
    format: str | BlockFormat,  # noqa: A002
    policy: Policy | str | None,
    block_size: int | None,
) -> tuple[str, str]:
    """Return a format and a policy as the texts that the operator takes."""
    is_text = isinstance(format, str) and (policy is None or isinstance(policy, str))
    if is_text and torch.compiler.is_compiling():  # the operator itself will look them up
        name = str(format) if block_size is None else f"{format}/{block_size}"
        return name, str(policy or "ocp")
    return checked_names(format, policy, block_size)


def checked_names(
    format: str | BlockFormat,  # noqa: A002
    policy: Policy | str | None,
    block_size: int | None,
) -> tuple[str, str]:
    """Return a format and a policy as texts.

    Raises
    ------
    ValueError
        If a name does not exist, no name says it, or the policy draws random bits.

    Examples
    --------
    >>> checked_names("mxfp4", None, 16)
    ('mxfp4/16', 'ocp')
    """
    fmt, chosen = block_format(format, block_size), get_policy(policy)
    if fmt.base not in BLOCK_FORMATS or block_format(fmt.name) != fmt:
        msg = f"the format {fmt.name!r} differs from mxref's own of that name"
        raise ValueError(msg)
    if chosen.scale_rule is choice.ScaleRule.STOCHASTIC or "stochastic" in str(chosen.rounding):
        msg = (
            f"policy {chosen.name!r} draws random bits, which fake_quantize cannot hand over: use "
            "mxref.quantize(x, ..., random=bits), or a deterministic rounding"
        )
        raise ValueError(msg)
    return fmt.name, chosen.name


def _refuse(x: Any) -> None:
    if not isinstance(x, torch.Tensor):
        msg = f"x must be a torch.Tensor, got {type(x).__name__}; for other arrays: mxref.quantize"
        raise TypeError(msg)
    if x.device.type not in ("cpu", "meta"):
        msg = (
            f"x is on {x.device}; fake_quantize runs on the CPU and copies nothing from a device "
            "unasked: fake_quantize(x.cpu(), ...).to(x.device) keeps the gradient"
        )
        raise TypeError(msg)
    if x.layout is not torch.strided or x.is_nested:
        what = "nested" if x.is_nested else f"of layout {x.layout}"
        msg = f"x is a tensor that is {what}; pass a dense one, such as x.to_dense()"
        raise TypeError(msg)
    if x.dtype not in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        msg = f"x has dtype {x.dtype}; expected torch.float32, float64, float16 or bfloat16"
        raise TypeError(msg)


# --- the module -----------------------------------------------------------------------------------

_Module: Any = object if torch is None else torch.nn.Module


class FakeQuantize(_Module):  # type: ignore[misc]  # torch's, if it is there
    """`fake_quantize` as a ``torch.nn.Module``; it has no parameters and no state.

    Parameters
    ----------
    format, axis, policy, block_size, pad, gradient
        As for `fake_quantize`; wrong ones are refused at once.

    Raises
    ------
    ImportError
        If torch is missing.
    TypeError, ValueError
        As `fake_quantize`.
    """

    def __init__(
        self,
        format: str | BlockFormat,  # noqa: A002
        axis: int = -1,
        policy: Policy | str | None = None,
        *,
        block_size: int | None = None,
        pad: bool = False,
        gradient: str = "straight-through",
    ) -> None:
        required("torch", "FakeQuantize")
        super().__init__()
        if gradient not in GRADIENTS:
            raise ValueError(unknown_name("gradient", gradient, GRADIENTS))
        self.format, self.policy = checked_names(format, policy, block_size)
        try:
            self.axis = index(axis)
        except TypeError:
            raise TypeError(f"axis must be an integer, got {axis!r}") from None
        self.pad, self.gradient = pad, gradient

    def forward(self, x: Any) -> Any:
        """Return the values of `x` as the format would hold them."""
        return fake_quantize(
            x, self.format, self.axis, self.policy, pad=self.pad, gradient=self.gradient
        )

    def extra_repr(self) -> str:
        """Return what the module prints of itself."""
        text = f"{self.format!r}, axis={self.axis}, policy={self.policy!r}"
        text += ", pad=True" if self.pad else ""
        return f"{text}, gradient={self.gradient!r}"
