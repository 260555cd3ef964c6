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

import importlib
import sys
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, SupportsIndex

from mxref.show.codes import (
    BDRView,
    BlockView,
    CodesView,
    CodeView,
    FormatView,
    NVFP4View,
    show,
)

if TYPE_CHECKING:
    from mxref._policy_base import Choices
    from mxref.show._find import AnyFormat
    from mxref.show.codes import AnyView
    from mxref.show.explain import BlockExplanation as BlockExplanation
    from mxref.show.explain import Explanation as Explanation
    from mxref.show.explain import PositionExplanation as PositionExplanation
    from mxref.show.explain import explain as explain
    from mxref.show.numberline import NumberLine as NumberLine
    from mxref.show.numberline import numberline as numberline

__all__ = [
    "BDRView",
    "BlockExplanation",
    "BlockView",
    "CodeView",
    "CodesView",
    "Explanation",
    "FormatView",
    "NVFP4View",
    "NumberLine",
    "PositionExplanation",
    "explain",
    "numberline",
    "show",
]


# To look at a code needs none of these, and half of the time: they are imported on first use.
_HOME = {
    "BlockExplanation": "explain",
    "Explanation": "explain",
    "NumberLine": "numberline",
    "PositionExplanation": "explain",
    "explain": "explain",
    "numberline": "numberline",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Callable(types.ModuleType):
    """A module that can be called: Python lets a module name its own class."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Python enters a module that was imported here; a function of the same name goes before.
        is_hiding = name in _HOME and isinstance(value, types.ModuleType)
        super().__setattr__(name, getattr(value, name) if is_hiding else value)

    def __call__(
        self,
        format: str | AnyFormat,  # noqa: A002 - the public name
        code: SupportsIndex | str | Iterable[SupportsIndex | str] | None = None,
        policy: Choices | str | None = None,
    ) -> AnyView:
        return show(format, code, policy)


_Callable.__call__.__doc__ = show.__doc__
_Callable.__call__.__qualname__ = "show"  # the name in what Python says of a missing argument
sys.modules[__name__].__class__ = _Callable
