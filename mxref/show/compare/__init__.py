"""``mxref.compare``: what each format and each scale rule would do to an array."""

from mxref.show.compare._compare import compare
from mxref.show.compare._comparison import Comparison, Row

__all__ = ["Comparison", "Row", "compare"]
