"""`MXRecipe`: which tensors of a linear layer are quantized, how, and how its products are summed.

Nothing here needs torch, so that recipes can be written down and compared without it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from mxref._suggest import unknown_name
from mxref.interop._torch_linear_formats import chosen
from mxref.matmul._accumulator import accumulators

__all__ = ["GEMMS", "RECIPES", "ROLES", "VECTORS", "MXRecipe", "recipe_of"]

ROLES = ("weights", "activations", "gradients")
"""The tensors that products are made of; gradients are those of the activations."""

GEMMS = ("forward", "input-gradient", "weight-gradient")
"""The three products of a layer: ``Y = X W^T``, ``dX = dY W``, ``dW = dY^T X``."""

VECTORS = ("bfloat16", "float32")
"""What tensors are rounded to before they are quantized, and what products are rounded to."""

_FLOAT32 = "float32"
_EXACT = "exact"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MXRecipe:
    """How `MXLinear` computes: the compute flow of arXiv 2310.10537, with its choices named.

    Parameters
    ----------
    weights, activations, gradients : str, BlockFormat or None
        The format of each tensor, any that `mxref.quantize` takes: ``"mxfp8_e4m3"``, ``"mxfp4"``,
        ``"mx9"``, ``"nvfp4"`` ... None leaves a tensor as it is.
    policy : policy, name, or mapping of roles to these, optional
        What the format leaves open; default: the format's own. One name counts for all three
        tensors; ``{"gradients": "ocp:rounding=nearest-away"}`` says it for some. What a stochastic
        rounding draws comes from torch's generator: ``torch.manual_seed`` repeats it.
    block_size : int, optional
        Block length of the six OCP formats; default 32.
    pad : bool
        Whether lengths that are not a multiple of the block size are completed with zeros. False
        refuses them.
    vector : str
        ``"bfloat16"``, as in the paper, or ``"float32"``: the type of vector operations. Tensors
        are rounded to it before they are quantized, and each product is rounded to it. What the
        layer returns has the type of its input, and gradients of weights that of the weights.
    matmul : str
        ``"float32"``: torch's product of the decoded values, fast; its order of additions is
        torch's. ``"exact"``: `mxref.matmul`, the exact sums rounded once, to the vector type. Or
        the name of a machine (`mxref.matmul.accumulators`), such as ``"nv-blackwell-mxf8f6f4"``,
        whose results are then rounded to the vector type.
    gemms : collection of str
        Which products take quantized operands: ``"forward"``, ``"input-gradient"`` and
        ``"weight-gradient"``. The others take what the vector type holds.

    Attributes
    ----------
    random_bits : mapping of roles to int
        How many bits the policy draws for each element; 0 where rounding is deterministic.

    Raises
    ------
    ValueError
        If a name does not exist, if a policy draws random bits for more than single elements, or
        if a product that is to be exact, or a machine's, has an operand in no format.
    TypeError
        If something is no name.

    Notes
    -----
    Each tensor enters two products, which sum over different axes, so it is quantized twice, along
    one and along the other: quantizing and transposing do not commute (OP-TRANSPOSE).

    Examples
    --------
    >>> recipe = MXRecipe(weights="mxfp4", activations="mxfp6_e3m2", gradients="mxfp6_e3m2")
    >>> recipe.weights, recipe.policy["weights"], recipe.matmul
    ('mxfp4', 'ocp', 'float32')
    >>> recipe.replace(policy="ocp:rounding=nearest-away").policy["gradients"]
    'ocp:rounding=nearest-away'
    """

    weights: Any = "mxfp8_e4m3"
    activations: Any = "mxfp8_e4m3"
    gradients: Any = "mxfp8_e4m3"
    policy: Any = None
    block_size: int | None = None
    pad: bool = True
    vector: str = "bfloat16"
    matmul: str = _FLOAT32
    gemms: Collection[str] = GEMMS
    random_bits: Mapping[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Look every name up, and hold what is left as plain texts."""
        given = (
            self.policy if isinstance(self.policy, Mapping) else dict.fromkeys(ROLES, self.policy)
        )
        for role in given:
            if role not in ROLES:
                raise ValueError(unknown_name("role in policy", role, ROLES))
        found = {
            role: chosen(role, getattr(self, role), given.get(role), self.block_size)
            for role in ROLES
            if getattr(self, role) is not None
        }
        for role, names in found.items():
            object.__setattr__(self, role, names.format)
        policies = {role: names.policy for role, names in found.items()}
        object.__setattr__(self, "policy", MappingProxyType(policies))
        object.__setattr__(self, "random_bits", {role: one.bits for role, one in found.items()})
        object.__setattr__(self, "block_size", None)  # now part of the names
        if self.vector not in VECTORS:
            raise ValueError(unknown_name("vector type", self.vector, VECTORS))
        known = (_FLOAT32, _EXACT, *accumulators())
        if self.matmul not in known:
            raise ValueError(unknown_name("matmul", self.matmul, known))
        if isinstance(self.gemms, str):
            raise TypeError(f"gemms is {self.gemms!r}; expected a collection: ({self.gemms!r},)")
        for gemm in self.gemms:
            if gemm not in GEMMS:
                raise ValueError(unknown_name("gemm", gemm, GEMMS))
        object.__setattr__(self, "gemms", tuple(name for name in GEMMS if name in self.gemms))
        self._refuse_unquantized()

    def _refuse_unquantized(self) -> None:
        if self.matmul == _FLOAT32:
            return
        for gemm in self.gemms:
            for role in OPERANDS[gemm]:
                if getattr(self, role) is None:
                    raise ValueError(
                        f"matmul={self.matmul!r} needs both operands of each product in a format, "
                        f"but {role}=None has none, and the {gemm} product takes them: name a "
                        f"format, leave {gemm!r} out of gemms, or choose matmul='float32'"
                    )

    def __repr__(self) -> str:
        """Return the call that makes the recipe."""
        facts = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"MXRecipe({facts})"

    def __hash__(self) -> int:
        """Hash what was chosen."""
        return hash(tuple(self._facts().values()))

    def __eq__(self, other: object) -> bool:
        """Tell whether two recipes choose the same."""
        if not isinstance(other, MXRecipe):
            return NotImplemented
        return self._facts() == other._facts()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the choices; a view of a mapping cannot be."""
        return _remade, (self.as_dict(),)

    def _facts(self) -> dict[str, Any]:
        names = (*ROLES, "pad", "vector", "matmul", "gemms")
        return {name: getattr(self, name) for name in names} | {
            "policy": tuple(self.policy.items())
        }

    @property
    def is_plain(self) -> bool:
        """Whether nothing is quantized and nothing rounded: the layer is torch's own."""
        return self.vector == "float32" and not any(
            self.is_quantized(gemm, role) for gemm in GEMMS for role in OPERANDS[gemm]
        )

    def is_quantized(self, gemm: str, role: str) -> bool:
        """Tell whether a product takes an operand in a block format."""
        return gemm in self.gemms and getattr(self, role) is not None

    def replace(self, **changes: Any) -> MXRecipe:
        """Return a copy with some fields changed.

        Raises
        ------
        ValueError
            If a field does not exist, or a choice.
        """
        for key in changes:
            if key not in self.__dataclass_fields__:
                raise ValueError(unknown_name("field of a recipe", key, self.__dataclass_fields__))
        if "policy" not in changes:  # a format of another family has policies of its own
            kept = {role: name for role, name in self.policy.items() if role not in changes}
            changes["policy"] = kept
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Return every field as text, numbers and lists: what JSON can hold.

        Examples
        --------
        >>> MXRecipe(gradients=None).as_dict()["policy"]
        {'weights': 'ocp', 'activations': 'ocp'}
        """
        facts = self._facts()
        return facts | {"policy": dict(self.policy), "gemms": list(self.gemms)}


def _remade(facts: dict[str, Any]) -> MXRecipe:
    return MXRecipe(**facts)


OPERANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "forward": ("activations", "weights"),
        "input-gradient": ("gradients", "weights"),
        "weight-gradient": ("gradients", "activations"),
    }
)
"""The roles of the operands of each product."""


_AWAY = "ocp:rounding=nearest-away"


def _same(format: str, policy: str | None) -> dict[str, Any]:  # noqa: A002
    return {"weights": format, "activations": format, "gradients": format, "policy": policy}


_NONE: dict[str, Any] = {"weights": None, "activations": None, "gradients": None}
_TABLE: dict[str, dict[str, Any]] = {
    "fp32": {**_NONE, "vector": "float32"},
    "bf16": _NONE,
    "mxfp8": _same("mxfp8_e4m3", _AWAY),
    "mxfp8-rceil": _same("mxfp8_e4m3", f"{_AWAY},scale_rule=rceil"),
    "mxfp8-e5m2-gradients": {**_same("mxfp8_e4m3", _AWAY), "gradients": "mxfp8_e5m2"},
    "mxfp6-e3m2": _same("mxfp6_e3m2", _AWAY),
    "mxfp6-e2m3": _same("mxfp6_e2m3", _AWAY),
    "mxfp4-mxfp6": {**_same("mxfp6_e3m2", _AWAY), "weights": "mxfp4"},
    "mxfp4": _same("mxfp4", _AWAY),
    "mxint8": _same("mxint8", _AWAY),
    "mx9": _same("mx9", None),
    "mx6": _same("mx6", None),
    "mx4": _same("mx4", None),
    "nvfp4": _same("nvfp4", None),
}
RECIPES = tuple(_TABLE)
"""Recipes by name. Those of the OCP formats round half away from zero, as the paper trains; the
others follow their format's default policy."""


def recipe_of(recipe: MXRecipe | str | None) -> MXRecipe:
    """Return a recipe, or the one of that name; None is ``"mxfp8"``.

    Raises
    ------
    TypeError, ValueError
        If it is neither.

    Examples
    --------
    >>> recipe_of("mxfp4-mxfp6").weights, recipe_of("mxfp4-mxfp6").activations
    ('mxfp4', 'mxfp6_e3m2')
    """
    if isinstance(recipe, MXRecipe):
        return recipe
    if recipe is not None and not isinstance(recipe, str):
        raise TypeError(
            f"recipe is a {type(recipe).__name__}; expected an MXRecipe, or a name: "
            f"{', '.join(RECIPES)}"
        )
    name = recipe or "mxfp8"
    if name not in _TABLE:
        raise ValueError(unknown_name("recipe", name, RECIPES))
    return MXRecipe(**_TABLE[name])
