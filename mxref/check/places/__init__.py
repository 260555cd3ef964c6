"""Where mismatches without a known cause lie, and what that points to."""

from __future__ import annotations

from mxref.check.places._api import (
    Localiser,
    element_places,
    kind_places,
    padding_places,
    repeat_places,
    scale_places,
    stability,
    value_places,
)

__all__ = [
    "Localiser",
    "element_places",
    "kind_places",
    "padding_places",
    "repeat_places",
    "scale_places",
    "stability",
    "value_places",
]
