"""What a person looks at: the codes of a format, and each step of a conversion.

``mxref.show`` is this package and also a function of the public interface. Both are one object:
the package can be called, and a call goes to `show`. So these mean the same, and no order of
imports changes what the name ``mxref.show`` stands for::

    import mxref
    mxref.show("e4m3", 0x7E)

    from mxref.show import show
    show("e4m3", 0x7E)

Nothing in here imports numpy.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, SupportsIndex

from mxref.show.codes import BlockView, CodeView, FormatView, show
from mxref.show.explain import BlockExplanation, Explanation, explain

if TYPE_CHECKING:
    from mxref.formats import BlockFormat, ElementFormat, ScaleFormat

__all__ = [
    "BlockExplanation",
    "BlockView",
    "CodeView",
    "Explanation",
    "FormatView",
    "explain",
    "show",
]


class _Callable(types.ModuleType):
    """A module that can be called: Python lets a module name its own class."""

    def __call__(
        self,
        format: str | ElementFormat | ScaleFormat | BlockFormat,  # noqa: A002 - the public name
        code: SupportsIndex | str | None = None,
    ) -> CodeView | FormatView | BlockView:
        return show(format, code)


_Callable.__call__.__doc__ = show.__doc__
sys.modules[__name__].__class__ = _Callable
