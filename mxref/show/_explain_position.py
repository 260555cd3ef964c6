"""One place of a tensor: where it lies, and how its number is converted."""

from __future__ import annotations

from dataclasses import dataclass

from mxref.show._explain_spot import listed
from mxref.show._explain_views import BlockExplanation, Explanation, Marked, heading, step_lines
from mxref.show._text import field

__all__ = ["Place", "PositionExplanation"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element lies.

    Attributes
    ----------
    index : tuple of int
        Its place in the tensor.
    shape : tuple of int
        That of the tensor.
    axis : int
        Along which blocks lie, counted from the front.
    block : tuple of int
        The place of its scale among the scales.
    within : int
        Its place in the block, from 0.
    start, stop : int
        From where to where the block reaches along the axis.
    size : int
        Elements of a full block; 0 where the whole tensor is one.
    name : str
        What the tensor is called.
    """

    index: tuple[int, ...]
    shape: tuple[int, ...]
    axis: int
    block: tuple[int, ...]
    within: int
    start: int
    stop: int
    size: int
    name: str = "x"

    def __str__(self) -> str:
        if not self.size:
            return f"{self.element}; the whole tensor shares one scale"
        cut = [str(i) for i in self.index]
        cut[self.axis] = f"{self.start}:{self.stop}"
        tail = self.stop - self.start < self.size
        short = f", padded with zeros to {self.size}" if tail else ""
        block = f"block [{listed(self.block)}]"
        return (
            f"{self.element}, element {self.within} of {block}: {self.name}[{', '.join(cut)}], "
            f"along axis {self.axis}{short}"
        )

    @property
    def element(self) -> str:
        """The element, as Python writes it."""
        return f"{self.name}[{listed(self.index)}]"

    def to_dict(self) -> dict[str, object]:
        """Return the same in types that JSON knows."""
        return {
            "index": list(self.index),
            "shape": list(self.shape),
            "axis": self.axis,
            "block": list(self.block),
            "within": self.within,
            "start": self.start,
            "stop": self.stop,
        }


@dataclass(frozen=True, slots=True, repr=False)
class PositionExplanation(Marked):
    """How one element of a tensor is converted, with the block that gives it its scale.

    Attributes
    ----------
    place : Place
        Where the element lies.
    block : BlockExplanation
        The whole block; its text has a table of all elements.
    element : Explanation
        The way of the element.
    amax : tuple of int or None
        Where one scale serves the whole tensor: the place of the number that decided it.
    """

    place: Place
    block: BlockExplanation
    element: Explanation
    amax: tuple[int, ...] | None = None

    @property
    def code(self) -> int:
        """The code of the element."""
        return self.element.code

    @property
    def scale_code(self) -> int:
        """The scale code of its block."""
        return self.block.scale_code

    def _lines(self) -> list[str]:
        what = f"{self.place.element} = {self.element.given.brief}"
        return [
            *heading(what, self.block.format.name, self.block.policy, self.block.asked),
            *field("position", str(self.place)),
            *step_lines(self.block.steps),
            "",
            *heading(self._own(), self.block.element.name),
            *self.element.body(),
        ]

    def _own(self) -> str:
        return f"element {self.place.within}" if self.place.size else "element"

    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""
        return {
            **self.block.head(),
            **({} if self.place.size else {"amax": self.amax and list(self.amax)}),
            "position": self.place.to_dict(),
            "element": self.element.to_dict(),
        }
