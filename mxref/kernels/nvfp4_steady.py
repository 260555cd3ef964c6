"""The default floating-point mode for a whole call, NumPy's arithmetic in it included."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import numpy as np

from mxref.kernels._jit import INTERPRETED, float_kernel
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = ["steadily", "steady"]

P = ParamSpec("P")
R = TypeVar("R")


@functools.cache
def _enter() -> Callable[..., None]:
    @float_kernel(key="steady-enter", parallel=False)
    def enter(mode):  # type: ignore[no-untyped-def]
        mode[0] = steady_floats()

    return enter


@functools.cache
def _leave() -> Callable[..., None]:
    @float_kernel(key="steady-leave", parallel=False)
    def leave(mode):  # type: ignore[no-untyped-def]
        restore_floats(mode[0])

    return leave


@contextmanager
def steady() -> Iterator[None]:
    """Run in the default mode of IEEE 754, and restore what was set in this thread.

    Without a compiler nothing is done.
    """
    if INTERPRETED:
        yield
        return
    mode = np.zeros(1, np.int64)
    _enter()(mode)
    try:
        yield
    finally:
        _leave()(mode)


def steadily(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that runs in the default mode."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with steady():
            return function(*args, **kwargs)

    return inside
