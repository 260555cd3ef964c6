"""Whose implementation is this? Which profiles give every bit, and what rules out each other."""

from __future__ import annotations

from mxref.check.identify._api import (
    Candidate,
    Identification,
    identification_set,
    identify,
    identify_data,
)

__all__ = [
    "Candidate",
    "Identification",
    "identification_set",
    "identify",
    "identify_data",
]
