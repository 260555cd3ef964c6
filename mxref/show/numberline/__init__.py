"""The values of a format on a line, as text or as a picture."""

from mxref.show.numberline._line import NumberLine, numberline

__all__ = ["NumberLine", "numberline"]
