"""Checks of products: dot products of blocks, and matrix products along blocked axes."""

from __future__ import annotations

from mxref.check.dot._api import dot, matmul
from mxref.check.dot._drive import drive_dot
from mxref.check.dot._drive_matrix import drive_matmul

__all__ = ["dot", "drive_dot", "drive_matmul", "matmul"]
