"""`MXArray`: element codes, the scale code of each block, and what they mean."""

from __future__ import annotations

from mxref.mxarray._array import MXArray, restored

__all__ = ["MXArray", "restored"]
