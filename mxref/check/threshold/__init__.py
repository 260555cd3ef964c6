"""Reads a rule off a kernel to the last bit: where its scale steps, where its codes step."""

from __future__ import annotations

from mxref.check.threshold._api import (
    element_thresholds,
    infer_driven,
    infer_given,
    scale_threshold,
)

__all__ = [
    "element_thresholds",
    "infer_driven",
    "infer_given",
    "scale_threshold",
]
