"""``mxref.compare``: what each format and each scale rule would do to an array, or to a number."""

from mxref.show.compare._compare import LIMIT, compare, compare_array
from mxref.show.compare._comparison import Comparison, Row
from mxref.show.compare._few import NumbersComparison
from mxref.show.compare._numbers import Outcome

__all__ = ["LIMIT", "Comparison", "NumbersComparison", "Outcome", "Row", "compare", "compare_array"]
