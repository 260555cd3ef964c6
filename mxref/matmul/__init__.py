"""Products of matrices in block formats: exact, or bit for bit as a named machine sums them.

``mxref.matmul`` is this package and also a function of the public interface. Both are one object:
the package can be called, and a call goes to `matmul`.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

from mxref.matmul._accumulator import Accumulator, accumulator, accumulators
from mxref.matmul._api import matmul
from mxref.matmul._operands import Operands

__all__ = ["Accumulator", "Operands", "accumulator", "accumulators", "matmul"]


class _Callable(types.ModuleType):
    """A module that can be called: Python lets a module name its own class."""

    __signature__ = inspect.signature(matmul)  # what a REPL shows

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return matmul(*args, **kwargs)


_Callable.__call__.__doc__ = matmul.__doc__
sys.modules[__name__].__class__ = _Callable
# What help(mxref.matmul) shows first is the function; what the package holds stands behind it.
__doc__ = f"{matmul.__doc__}\n{__doc__}"
