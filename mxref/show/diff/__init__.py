"""``mxref.diff``: where two arrays of codes or values differ, and how."""

from mxref.show.diff._count import KINDS
from mxref.show.diff._diff import diff
from mxref.show.diff._difference import Difference
from mxref.show.diff._physical import Spot
from mxref.show.diff._place import Place, Side

__all__ = ["KINDS", "Difference", "Place", "Side", "Spot", "diff"]
