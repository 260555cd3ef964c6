"""Checks of stochastic rounding: by bits where the random bits are known, else by statistics."""

from __future__ import annotations

from mxref.check.stochastic._api import (
    encode_stochastic,
    stochastic,
    stochastic_data,
)

__all__ = [
    "encode_stochastic",
    "stochastic",
    "stochastic_data",
]
