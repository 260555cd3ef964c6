"""What there is to say of a tensor that shares one scale, without its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mxref.show._explain_spot import listed

__all__ = ["Whole"]


@dataclass(frozen=True, slots=True)
class Whole:
    """A tensor whose numbers are too many to explain one by one.

    Attributes
    ----------
    kinds : mapping of str to int
        How many numbers of each class it holds.
    amax : tuple of int
        The place of the largest finite magnitude.
    """

    kinds: Mapping[str, int]
    amax: tuple[int, ...]

    @property
    def amax_name(self) -> str:
        """The largest, as Python writes it."""
        return f"x[{listed(self.amax)}]"
