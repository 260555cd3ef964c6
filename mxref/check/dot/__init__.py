"""Checks of products: dot products of blocks, and matrix products along blocked axes."""

from __future__ import annotations

from mxref.check.dot._api import (
    dot,
    drive_dot,
    matmul,
)

__all__ = [
    "dot",
    "drive_dot",
    "matmul",
]
