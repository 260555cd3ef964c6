"""The ways in: how a program, a shared library or a function becomes kernels to call.

Whatever a target does ends as arrays or as a `mxref.check.target.TargetError`. What can crash or
hang runs in a process of its own, and every wait has an end.
"""

from __future__ import annotations

__all__: list[str] = []
