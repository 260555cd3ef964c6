"""What `run_units` may ask of the executors that `open_executor` makes."""

from __future__ import annotations

from concurrent.futures import Executor

__all__ = ["ManagedExecutor"]


class ManagedExecutor(Executor):
    """An executor that knows how many workers it has, whether they live, and how to replace them.

    Attributes
    ----------
    is_elsewhere : bool
        Whether workers may have another mxref than this process.
    can_restart : bool
        Whether `restart` can replace workers that are gone.
    """

    is_elsewhere = False
    can_restart = False

    def workers(self) -> int:
        """Return how many units can be at work at once."""
        raise NotImplementedError

    def restart(self) -> None:
        """Replace all workers, after one of them was lost."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise an `ExecutorError` if no result can be expected any more; called while waiting."""

    def lost(self, error: Exception) -> str | None:
        """Return why an error of a unit means that workers were lost, or None if it does not."""
        _ = error
        return None
