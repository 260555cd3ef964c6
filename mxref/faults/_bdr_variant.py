"""What a fault of a BDR format is: a class that overrides a stage of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mxref.faults.bdr_model import Model
from mxref.faults.bdr_scaled import model_of
from mxref.relatives.bdr_format import BDRFormat, Element, ScaleKind, SubscaleKind

__all__ = ["BDRFault", "compose", "has_integer", "has_shift", "is_power", "is_signed", "of"]


def _always(fmt: BDRFormat) -> bool:
    del fmt
    return True


def is_power(fmt: BDRFormat) -> bool:
    """Whether scales are powers of two."""
    return fmt.scale is ScaleKind.POW2


def has_shift(fmt: BDRFormat) -> bool:
    """Whether sub-scales are shifts below a power of two."""
    return fmt.subscale is SubscaleKind.POW2 and is_power(fmt)


def has_integer(fmt: BDRFormat) -> bool:
    """Whether sub-scales are integers."""
    return fmt.subscale is SubscaleKind.INT


def is_signed(fmt: BDRFormat) -> bool:
    """Whether elements are sign and magnitude."""
    return fmt.element is Element.SIGN_MAGNITUDE


@dataclass(frozen=True, slots=True, eq=False)
class BDRFault:
    """An executable fault of a BDR quantizer.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    stage : str
        ``"scale"``, ``"subscale"`` or ``"element"``: the level that goes wrong.
    model : type
        A model that has it; to be put before the correct one of a format, see `compose`.
    fits : callable
        Whether a format can have it.
    legal_change : Mapping of str to str
        Policy fields under which the same behaviour is legal; empty where it never is.
    is_copy : bool
        Whether the same fault is there for another level already: some reach several.
    """

    id: str
    detail: str
    stage: str
    model: type[Model]
    fits: Callable[[BDRFormat], bool] = _always
    legal_change: Mapping[str, str] = field(default_factory=dict)
    is_copy: bool = False


def of(base: type[Model], **attributes: Any) -> type[Model]:
    """Return a fault with its parameters set."""
    return type(base.__name__, (base,), attributes)


def compose(fmt: BDRFormat, faults: Iterable[BDRFault]) -> type[Model]:
    """Return the model of a format with some faults in it, the first one outermost.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> compose(BDR_FORMATS["mx9"], ()).__name__
    'Model'
    """
    bases = [*dict.fromkeys(fault.model for fault in faults)]
    bases.sort(key=lambda cls: -len(cls.__mro__))  # a class comes before those it derives from
    bases.append(model_of(fmt))
    return type("Faulty", tuple(bases), {}) if len(bases) > 1 else bases[0]
