"""``mxref.diff``: where two arrays of codes or values differ, and how."""

from mxref.show.diff._diff import diff

__all__ = ["diff"]
