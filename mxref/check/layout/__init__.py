"""Checks of layouts: in which order somebody's packer stores codes and scale codes."""

from __future__ import annotations

from mxref.check.layout._api import layout
from mxref.check.layout._report import LayoutPart, LayoutReport

__all__ = ["LayoutPart", "LayoutReport", "layout"]
