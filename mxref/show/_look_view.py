"""What an array shows of itself, in the colours of the other views.

The arrays lie in a layer below, which knows no colours: the text is theirs, the marks are added
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mxref.show._paint import Mark, common_marks
from mxref.show._text import View

if TYPE_CHECKING:
    from mxref.mxarray._look import Look

__all__ = ["LookView"]

_BLOCK = re.compile(r"  (\[[0-9:, ]*\])  scale (\S+(?: \(0x[0-9a-f]+\))?)")
_FLAGGED = re.compile(r"\S+?([*^!]+)(?= |$)")
_STYLES = {"!": "flushed", "^": "saturated", "*": "amax"}


class LookView(View):
    r"""The view of an array, to be printed by a command.

    Parameters
    ----------
    look : Look
        What ``q.look()`` returned.

    Examples
    --------
    >>> import mxref, numpy as np
    >>> q = mxref.MXArray(np.arange(4, dtype=np.uint8), np.array([128], np.uint8), "mxfp4/4")
    >>> view = LookView(q.look())
    >>> str(view) == str(q.look()), "\x1b[" in view.to_ansi()
    (True, True)
    """

    __slots__ = ("_look",)

    def __init__(self, look: Look) -> None:
        self._look = look

    def _lines(self) -> list[str]:
        return str(self._look).splitlines()

    def to_dict(self) -> dict[str, Any]:
        """Return what the view of the array returns."""
        return self._look.to_dict()

    def _marks(self, lines: Sequence[str]) -> Iterator[Mark]:
        yield from common_marks(lines)
        for at, line in enumerate(lines):
            if found := _BLOCK.match(line):
                yield Mark(at, *found.span(1), "label")
                yield Mark(at, *found.span(2), "scale")
            elif line.startswith("    value "):
                yield Mark(at, 4, 9, "label")
                for found in _FLAGGED.finditer(line):
                    style = next(s for mark, s in _STYLES.items() if mark in found[1])
                    yield Mark(at, *found.span(), style)
            elif line.startswith("    code "):
                yield Mark(at, 4, 8, "label")
            elif line.startswith(("  ... ", "  * ", "  ^ ", "  ! ")):
                yield Mark(at, 2, len(line), "label")
