"""Where a number was picked from an array, where no block comes into it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Spot", "listed"]


def listed(index: tuple[int, ...]) -> str:
    """Write an index as it stands between brackets.

    Examples
    --------
    >>> listed((3, 70))
    '3, 70'
    """
    return ", ".join(map(str, index))


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of one number of an array.

    Attributes
    ----------
    index, shape : tuple of int
        The place, and the shape of the array.
    name : str
        What the array is called.
    """

    index: tuple[int, ...]
    shape: tuple[int, ...]
    name: str = "x"

    def __str__(self) -> str:
        return f"{self.element} of shape {self.shape}; a cast of one number, without a block"

    @property
    def element(self) -> str:
        """The element, as Python writes it."""
        return f"{self.name}[{listed(self.index)}]"

    def to_dict(self) -> dict[str, object]:
        """Return the same in types that JSON knows."""
        return {"index": list(self.index), "shape": list(self.shape)}
