"""The explorer: one page for the browser, to play with a format and to see every step.

The page holds everything that it needs: no server, no network, no fonts. Its arithmetic is exact
and written in JavaScript (``js/``); formats, policies and clauses are data from this package, and a
test in a browser compares its results with those of the package bit for bit.
"""

from __future__ import annotations

from mxref.show.html._page import page
from mxref.show.html._write import address, write_page

__all__ = ["address", "page", "write_page"]
