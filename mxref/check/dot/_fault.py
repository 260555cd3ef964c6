"""One thing that is done wrongly in a product, as a change of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DotFault"]


@dataclass(frozen=True, slots=True, eq=False)
class DotFault:
    """One thing that is done wrongly.

    Attributes
    ----------
    id, detail : str
        Fault of the catalogue, and which variant.
    changes : Mapping
        Fields of `Setup` with what the fault puts there.
    is_legal : bool
        Whether the standard leaves it open (OP-DOT-SCALE-PLACE) unless an exact sum was claimed.
    """

    id: str
    detail: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    is_legal: bool = False
