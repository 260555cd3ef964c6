"""`MXLinear` and `mx_matmul`: products and their gradients, over operands quantized for each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from mxref.interop._parts import optional, required
from mxref.interop._torch_linear_products import product, rounded
from mxref.interop._torch_linear_recipe import MXRecipe, recipe_of

__all__ = ["MXLinear", "convert", "mx_linear", "mx_matmul"]

torch: Any = optional("torch")


def mx_linear(x: Any, weight: Any, bias: Any = None, recipe: MXRecipe | str | None = None) -> Any:
    """Return ``x @ weight.T + bias`` as a recipe computes it, with gradients computed likewise.

    Parameters
    ----------
    x : torch.Tensor of float32 or bfloat16, shape (..., in_features)
    weight : torch.Tensor of float32 or bfloat16, shape (out_features, in_features)
        The master weights; they need not have the type of `x`.
    bias : torch.Tensor of float32 or bfloat16, shape (out_features,), optional
    recipe : MXRecipe or str, optional
        Default ``"mxfp8"``.

    Returns
    -------
    torch.Tensor, shape (..., out_features)
        Of the type of `x`.

    Raises
    ------
    ImportError
        If torch is missing.
    TypeError, ValueError
        If a tensor has another type, lies elsewhere than on the CPU, or does not fit.

    Notes
    -----
    All axes of `x` but the last count as rows, and the gradient of the weights sums over them in
    blocks that do not stop where one sequence of a batch ends. Each product and each sum with the
    bias is rounded to the vector type, half to even. The emulator of the paper's authors gives the
    same bits once it rounds to bfloat16 so; by default it rounds that half away from zero.

    Second derivatives and ``torch.func`` are refused by torch; ``torch.compile`` works.

    See Also
    --------
    MXLinear : The same as a ``torch.nn.Module``.
    """
    if torch is None:
        required("torch", "mx_linear")  # raises, with advice
    chosen = recipe_of(recipe)
    if chosen.is_plain:
        return torch.nn.functional.linear(x, weight, bias)
    for tensor, name in ((x, "x"), (weight, "weight"), (bias, "bias")):
        if tensor is not None:
            _refuse(tensor, name)
    if x.ndim < 1 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and the weight {tuple(weight.shape)}; expected "
            "(..., in_features) and (out_features, in_features) with one in_features"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias has shape {tuple(bias.shape)}; expected ({weight.shape[0]},), one number for "
            "each row of the weight"
        )
    return _linear.apply(x, weight, bias, chosen)


def mx_matmul(a: Any, b: Any, recipe: MXRecipe | str | None = None) -> Any:
    """Return ``a @ b`` of two activations as a recipe computes it, with gradients likewise.

    For products without weights, such as the two of attention.

    Parameters
    ----------
    a : torch.Tensor of float32 or bfloat16, shape (..., M, K)
    b : torch.Tensor of float32 or bfloat16, shape (..., K, N)
        With the same axes in front: nothing is broadcast.
    recipe : MXRecipe or str, optional
        Default ``"mxfp8"``. Both operands take its format for activations. ``"input-gradient"`` and
        ``"weight-gradient"`` of its `gemms` are the gradients of `a` and of `b`.

    Returns
    -------
    torch.Tensor, shape (..., M, N)
        Of the type of `a`.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `mx_linear`.
    """
    if torch is None:
        required("torch", "mx_matmul")
    chosen = recipe_of(recipe)
    if chosen.is_plain:
        return torch.matmul(a, b)
    _refuse(a, "a")
    _refuse(b, "b")
    if a.ndim < 2 or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"a has shape {tuple(a.shape)} and b {tuple(b.shape)}; expected (..., M, K) and "
            "(..., K, N) with one K and the same axes in front: expand what shall be repeated"
        )
    return _matmul.apply(a, b, chosen)


def _refuse(x: Any, name: str) -> None:
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if x.device.type not in ("cpu", "meta"):
        raise TypeError(
            f"{name} is on {x.device}; mxref computes on the CPU and copies nothing from a device "
            f"unasked: {name}.cpu() keeps the gradient"
        )
    if x.dtype not in (torch.float32, torch.bfloat16):
        raise TypeError(
            f"{name} has dtype {x.dtype}; expected torch.float32 or torch.bfloat16, in which a "
            "recipe computes: convert it, or leave the layer as it is"
        )


# --- derivatives ----------------------------------------------------------------------------------


def _functions(torch: Any) -> tuple[Any, Any]:
    """Return the two functions that torch differentiates; their base exists only with torch."""
    once: Any = torch.autograd.function.once_differentiable

    class MXLinearFunction(torch.autograd.Function):  # type: ignore[misc]  # its base is Any
        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any, recipe: MXRecipe) -> Any:
            ctx.save_for_backward(x, weight)
            ctx.recipe, ctx.of_bias = recipe, None if bias is None else bias.dtype
            rows = rounded(x.reshape(-1, x.shape[-1]), recipe)
            y = product(
                recipe, "forward", rows, "activations", rounded(weight, recipe).mT, "weights"
            )
            if bias is not None:
                y = y + rounded(bias, recipe)
            return y.reshape(*x.shape[:-1], weight.shape[0]).to(x.dtype)

        @staticmethod
        @once  # type: ignore[untyped-decorator]
        def backward(ctx: Any, of_y: Any) -> tuple[Any, ...]:
            (x, weight), recipe = ctx.saved_tensors, ctx.recipe
            dy = rounded(of_y.reshape(-1, of_y.shape[-1]), recipe)
            of_x = of_weight = of_bias = None
            if ctx.needs_input_grad[0]:
                of_x = product(
                    recipe, "input-gradient", dy, "gradients", rounded(weight, recipe), "weights"
                )
                of_x = of_x.reshape(x.shape).to(x.dtype)
            if ctx.needs_input_grad[1]:
                rows = rounded(x.reshape(-1, x.shape[-1]), recipe)
                of_weight = product(
                    recipe, "weight-gradient", dy.mT, "gradients", rows, "activations"
                ).to(weight.dtype)
            if ctx.needs_input_grad[2]:
                of_bias = rounded(dy.float().sum(0), recipe).to(ctx.of_bias)
            return of_x, of_weight, of_bias, None

    class MXMatmulFunction(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any, recipe: MXRecipe) -> Any:
            ctx.save_for_backward(a, b)
            ctx.recipe = recipe
            left, right = rounded(a, recipe), rounded(b, recipe)
            return product(recipe, "forward", left, "activations", right, "activations").to(a.dtype)

        @staticmethod
        @once  # type: ignore[untyped-decorator]
        def backward(ctx: Any, of_c: Any) -> tuple[Any, ...]:
            (a, b), recipe = ctx.saved_tensors, ctx.recipe
            dc = rounded(of_c, recipe)
            of_a = of_b = None
            if ctx.needs_input_grad[0]:
                of_a = product(
                    recipe, "input-gradient", dc, "gradients", rounded(b, recipe).mT, "activations"
                ).to(a.dtype)
            if ctx.needs_input_grad[1]:
                of_b = product(
                    recipe, "weight-gradient", rounded(a, recipe).mT, "activations", dc, "gradients"
                ).to(b.dtype)
            return of_a, of_b, None

    return MXLinearFunction, MXMatmulFunction


# Made at once: torch's compiler cannot look into what makes classes.
_linear: Any
_matmul: Any
_linear, _matmul = (None, None) if torch is None else _functions(torch)


# --- the module -----------------------------------------------------------------------------------

_Linear: Any = object if torch is None else torch.nn.Linear


class MXLinear(_Linear):  # type: ignore[misc]  # torch's, if it is there
    """``torch.nn.Linear`` whose three products take operands in block formats.

    Its parameters are the master weights: torch's own, in their own type, under the same names, so
    that optimizers and ``state_dict`` work as with ``torch.nn.Linear``. The CPU computes.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As for ``torch.nn.Linear``.
    recipe : MXRecipe or str, optional
        What is quantized and how; default ``"mxfp8"``.

    Raises
    ------
    ImportError
        If torch is missing.
    TypeError, ValueError
        If `recipe` is no recipe; and in `forward` as `mx_linear`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,  # noqa: FBT001, FBT002  # as torch has it
        recipe: MXRecipe | str | None = None,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        required("torch", "MXLinear")
        if not isinstance(bias, bool):
            raise TypeError(
                f"bias is True or False, got {bias!r}; a recipe goes by its name: recipe={bias!r}"
            )
        chosen = recipe_of(recipe)
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        self.recipe = chosen

    @classmethod
    def from_linear(cls, linear: Any, recipe: MXRecipe | str | None = None) -> MXLinear:
        """Return a layer with the very parameters of a ``torch.nn.Linear``.

        Raises
        ------
        TypeError
            If it is no ``torch.nn.Linear``.
        """
        required("torch", "MXLinear.from_linear")
        if not isinstance(linear, torch.nn.Linear):
            raise TypeError(f"linear must be a torch.nn.Linear, got {type(linear).__name__}")
        made = cls(
            linear.in_features,
            linear.out_features,
            linear.bias is not None,
            recipe,
            device="meta",
        )
        made.weight, made.bias = linear.weight, linear.bias
        made.train(linear.training)
        return made

    def forward(self, x: Any) -> Any:
        """Return the product with the weights, and the bias added."""
        return mx_linear(x, self.weight, self.bias, self.recipe)

    def extra_repr(self) -> str:
        """Return what the module prints of itself."""
        recipe = self.recipe
        text = f"{super().extra_repr()}, weights={recipe.weights}, "
        text += f"activations={recipe.activations}, gradients={recipe.gradients}, "
        return f"{text}vector={recipe.vector}, matmul={recipe.matmul}"


def convert(
    model: Any,
    recipe: MXRecipe | str | None = None,
    *,
    skip: Collection[str] | Callable[[str, Any], bool] = (),
) -> Any:
    """Replace every ``torch.nn.Linear`` of a model by an `MXLinear` with the same parameters.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place. An `MXLinear` in it gets the new recipe.
    recipe : MXRecipe or str, optional
        Default ``"mxfp8"``.
    skip : collection of names, or function of name and module
        Layers to leave alone, by their names in ``model.named_modules()``.

    Returns
    -------
    torch.nn.Module
        The model; or the new layer, if the model was a ``torch.nn.Linear`` itself.

    Raises
    ------
    ImportError
        If torch is missing.
    TypeError
        If the model is no module.
    ValueError
        If a name in `skip` is no layer, or nothing was left to replace.

    Notes
    -----
    Only layers of exactly these two types are replaced. What subclasses do, and what reads a weight
    without calling its layer, is unknown here: ``torch.nn.MultiheadAttention`` is left as it is.
    ``torch.nn.TransformerEncoderLayer`` reads its weights past its layers in evaluation; this fast
    path is switched off where a layer was replaced.
    """
    required("torch", "convert")
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    chosen = recipe_of(recipe)
    names = {name for name, _ in model.named_modules(remove_duplicate=False)}
    if not callable(skip):
        skip = {skip} if isinstance(skip, str) else set(skip)
        for name in skip - names:
            raise ValueError(f"skip names {name!r}, but the model has no layer of that name")
    found = {
        name: layer
        for name, layer in model.named_modules(remove_duplicate=False)
        if type(layer) in (torch.nn.Linear, MXLinear)
        and not (skip(name, layer) if callable(skip) else name in skip)
    }
    if not found:
        raise ValueError(
            f"the {type(model).__name__} has no torch.nn.Linear left to replace: give a model that "
            "has one, and let skip leave one"
        )
    made = {id(layer): MXLinear.from_linear(layer, chosen) for layer in found.values()}
    for name, layer in found.items():
        if not name:
            return made[id(layer)]
        parent, _, own = name.rpartition(".")
        holder = model.get_submodule(parent)
        setattr(holder, own, made[id(layer)])
        if isinstance(holder, torch.nn.TransformerEncoderLayer):
            holder.activation_relu_or_gelu = 0  # what its forward asks before the fast path
    return model
