"""The one error of executors, in a module that workers import quickly."""

from __future__ import annotations

__all__ = ["ExecutorError"]


class ExecutorError(RuntimeError):
    """Workers that cannot be reached, do not fit, or go on dying; the message says what to do."""
