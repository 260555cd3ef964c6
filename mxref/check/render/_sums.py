"""What reports of sums show beside others: how far results are off, and the order of the sum."""

from __future__ import annotations

from mxref.check.render._words import visible
from mxref.check.report import Report

__all__ = ["HEADING", "TREE_HEADING", "histogram", "tree_lines"]

HEADING = "Errors, as shares of what the worst order of a float32 sum may have"
TREE_HEADING = "Order of the sum, terms counted along K"

_WIDTH = 30


def histogram(report: Report) -> list[tuple[str, int, str]]:
    """Return the rows of a histogram: which errors, how many, and a bar; none where all is exact.

    Rows without any result before the first and behind the last one are left out.

    Examples
    --------
    >>> from mxref.check.parts import Mismatches, Verdict
    >>> nothing = Mismatches(0, 0, 0, 9)
    >>> blank = Report("dot", "mxfp4-mxfp4", Verdict.CONFORMS, None, None, (), nothing)
    >>> histogram(blank)
    []
    """
    found = report.distances
    if found is None or not any(count for _, count in found.bins[1:]):
        return []
    filled = [i for i, (_, count) in enumerate(found.bins) if count]
    shown = found.bins[filled[0] : filled[-1] + 1]
    most = max(count for _, count in shown)
    return [(name, count, "#" * -(-count * _WIDTH // most)) for name, count in shown]


def tree_lines(report: Report) -> list[str]:
    """Return the order of a sum as indented lines, made safe to show."""
    return [" " * (len(line) - len(line.lstrip(" "))) + visible(line) for line in report.sum_tree]
