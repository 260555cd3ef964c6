"""The look of the plots of docs/papers, which is that of ``mxref compare --plot``."""

from __future__ import annotations

from mxref.show.compare._style import COLOURS, FAMILIES, family, figure, save

__all__ = ["COLOURS", "FAMILIES", "family", "figure", "save"]
