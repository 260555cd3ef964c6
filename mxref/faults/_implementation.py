"""One implementation of one operation, right or wrong, under a signature that all share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Implementation"]


@dataclass(frozen=True, slots=True, eq=False)
class Implementation:
    """An executable fault of one operation.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    subject : callable
        The operation with the fault in it, over arrays.
    legal_change : Mapping of str to str
        Policy fields under which the same behaviour is legal; empty where it never is.
    """

    id: str
    detail: str
    subject: Callable[..., Any]
    legal_change: Mapping[str, str] = field(default_factory=dict)
