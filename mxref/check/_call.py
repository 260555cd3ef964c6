"""Calls somebody's function so that nothing it does can hurt, and counts what it costs."""

from __future__ import annotations

import contextvars
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check.target import TargetError, describe_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CALL_ELEMENTS", "Caller", "RefusalError"]

CALL_ELEMENTS = 1 << 20
"""Elements of one call at most: a kernel launch is dear, and so is memory on a device."""


class RefusalError(TargetError):
    """The function raised: an error of the target, or a refusal of special values."""

    def __init__(self, text: str) -> None:
        super().__init__(text, "raised")


@dataclass(slots=True)
class Caller:
    """A function whose every call returns something, or raises `TargetError`.

    Attributes
    ----------
    fn : callable
    signature : str
        How it is called and what it returns, for messages.
    timeout : float or None
        Seconds that a call may take; None for no limit.
    calls, elements : int
        What has been asked of it so far.
    """

    fn: Callable[..., Any]
    signature: str
    timeout: float | None = None
    calls: int = field(default=0)
    elements: int = field(default=0)

    def __call__(self, *inputs: Any) -> Any:
        """Call the function on copies, and return what it returns.

        Raises
        ------
        TargetError
            If it raises, exits, takes too long, or writes into its input.
        """
        given = tuple(_copied(value) for value in inputs)
        self.calls += 1
        self.elements += inputs[0].size
        result = self._result(given)
        for position, (array, original) in enumerate(zip(given, inputs, strict=True), start=1):
            if isinstance(original, np.ndarray):
                _require_untouched(array, original, position)
        return result

    def _result(self, given: tuple[Any, ...]) -> Any:
        if self.timeout is None:
            return self._guarded(given)
        box: list[Any] = []

        def work() -> None:
            try:
                box.append((self._guarded(given), None))
            except BaseException as error:  # noqa: BLE001  # raised again by the caller
                box.append((None, error))

        # A daemon: a call that hangs must not keep the process from ending.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,), daemon=True)
        thread.start()
        thread.join(self.timeout)
        if not box:
            raise TargetError(
                f"the target did not return within {self.timeout:g} s on {given[0].size:,} "
                "numbers: a hang, or a first call that compiles (then call it once before, or "
                "give a longer timeout)",
                "timed-out",
            )
        result, error = box[0]
        if error is not None:
            raise error
        return result

    def _guarded(self, given: tuple[Any, ...]) -> Any:
        try:
            # Overflow and invalid casts are what these inputs are for, not accidents.
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                return self.fn(*given)
        except TargetError:
            raise  # a target of ours (cmd:, so:) says itself what went wrong
        except SystemExit as error:
            raise TargetError(
                f"the target called sys.exit({error.code!r}); return the result instead", "crashed"
            ) from error
        except Exception as error:
            raise RefusalError(
                f"the target raised {describe_error(error)}; it is called as {self.signature}"
            ) from error


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _require_untouched(array: NDArray[Any], original: NDArray[Any], position: int) -> None:
    bits = f"u{original.dtype.itemsize}"
    if array.shape != original.shape or array.dtype != original.dtype:
        raise TargetError(
            f"the target reshaped or retyped its argument {position} in place", "changed-input"
        )
    changed = np.argwhere(array.view(bits) != original.view(bits))
    if changed.size:
        where = ", ".join(map(str, changed[0]))
        raise TargetError(
            f"the target wrote into its input: argument {position} changed at {len(changed)} "
            f"places, first at [{where}] (a caller's data would be lost). To judge its output "
            "all the same, wrap it: lambda x: fn(x.copy())",
            "changed-input",
        )
