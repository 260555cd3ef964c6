"""Faults on top of each other: one class that inherits from several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["stack"]

T = TypeVar("T")


def stack(correct: type[T], faulty: Iterable[type[T]]) -> type[T]:
    """A class with all of the given faults, the first one outermost.

    Parameters
    ----------
    correct : type
        What the faults derive from; returned if there is none.
    faulty : iterable of type
        Subclasses whose methods call ``super()``.
    """
    bases = list(dict.fromkeys(faulty))
    # A class must come before those that it derives from; the order is kept otherwise.
    bases.sort(key=lambda cls: -len(cls.__mro__))
    if len(bases) < 2:
        return bases[0] if bases else correct
    return type("Stacked", tuple(bases), {})
