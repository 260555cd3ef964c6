"""What a fault of NVFP4 is, and how one is made from a stage of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mxref.faults._stack import stack
from mxref.faults.nvfp4_model import Model
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["NVFP4Fault", "after", "before", "may_meet", "stacked"]


@dataclass(frozen=True, slots=True, eq=False)
class NVFP4Fault:
    """An executable fault of one stage.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    stage : str
        ``"global"``, ``"scale"``, ``"element"`` or ``"decode"``.
    model : type
        The quantizer that has the fault.
    legal_change : Mapping of str to str
        Policy fields under which the same behaviour is legal; empty where it never is.
    """

    id: str
    detail: str
    stage: str
    model: type[Model]
    legal_change: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> frozenset[str]:
        """Names of what it overrides."""
        return frozenset(name for name in vars(self.model) if not name.startswith("__"))


def after(name: str, change: Callable[..., Any]) -> type[Model]:
    """Return a model of which one stage's result is changed: ``change(result, model, *args)``."""

    def method(self: Model, *args: Any) -> Any:
        return change(getattr(super(made, self), name)(*args), self, *args)

    made: type[Model] = type("Faulty", (Model,), {name: method})
    return made


def before(name: str, change: Callable[..., tuple[Any, ...]]) -> type[Model]:
    """Return a model of which one stage gets other arguments: ``change(model, *args)``."""

    def method(self: Model, *args: Any) -> Any:
        return getattr(super(made, self), name)(*change(self, *args))

    made: type[Model] = type("Faulty", (Model,), {name: method})
    return made


def stacked(policy: NVFP4Policy, faults: Iterable[Any]) -> Model:
    """Return the model of a policy with all of some faults in it.

    Examples
    --------
    >>> type(stacked(NVFP4Policy(), ())) is Model
    True
    """
    made: type[Model] = stack(Model, (fault.model for fault in faults))
    return made(policy)


def may_meet(one: NVFP4Fault, other: NVFP4Fault) -> bool:
    """Whether two faults can be in one implementation: they override different stages."""
    return not one.changed & other.changed
