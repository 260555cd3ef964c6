"""What `mxref.explain` returns: the way of one number, and of a block.

The views know no arithmetic; who makes them says every step in words, whatever the family.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mxref.exact.number import Number
from mxref.show._asked import Named, policy_text
from mxref.show._explain_html import Row, block_html
from mxref.show._explain_marks import explanation_marks
from mxref.show._explain_spot import Spot
from mxref.show._explain_step import Error, Step
from mxref.show._input import Given, brief
from mxref.show._paint import Mark, markup
from mxref.show._text import WIDTH, View, decimal, field

__all__ = [
    "BlockExplanation",
    "Explanation",
    "Marked",
    "heading",
    "step_lines",
    "without_heading",
]


def heading(
    what: str, name: str, policy: Named | None = None, asked: str | None = None
) -> list[str]:
    """Return the first lines of a view."""
    if policy is None:
        return textwrap.wrap(f"{what}, {name}", WIDTH)
    # A policy without a name is written as its changes, a long word that must be able to break.
    text = f"{what} to {name}, policy {policy_text(policy, asked)}"
    text = text.replace(",", ", ").replace(",  ", ", ")
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False)


def without_heading(text: str) -> list[str]:
    r"""Return the lines of a view below its heading.

    Examples
    --------
    >>> without_heading("1.3 to e2m1, policy ocp\n  given      1.3")
    ['  given      1.3']
    """
    lines = text.splitlines()
    while lines and not lines[0].startswith("  "):  # a long policy takes several lines
        lines.pop(0)
    return lines


def step_lines(steps: Sequence[Step]) -> list[str]:
    """Return the lines of steps."""
    return [line for step in steps for line in field(step.name, step.text, step.clauses)]


class Marked(View):
    """A view whose bits and flags are marked."""

    __slots__ = ()

    def _marks(self, lines: Sequence[str]) -> Iterator[Mark]:
        yield from explanation_marks(lines)


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Marked):
    """How one number becomes one code.

    Attributes
    ----------
    given : Given
        The number, with the bits that it came in.
    format : format
        The format of the code.
    policy : Policy, NVFP4Policy or BDRPolicy
        What answers the open points.
    steps : tuple of Step
        The steps from number to code.
    code : int
        The result.
    value : Number
        What the result stands for, times the scales of its block.
    decoding : Step
        How the value follows from the code.
    float32 : int
        The bits of the value as a float32, under what the policy says of decoding.
    scaled : Number
        What is rounded to the element: the number divided by the scales.
    error : Error or None
        How far the value is from the number; None where either is no real number.
    flags : tuple of str
        ``tie``, ``overflow``, ``to zero``, ``subnormal``, ``nan``, ``inf``: a reason to look.
    block : format or None
        The format of the block; None for a cast without one.
    scale_code : int or None
        The scale code of the block; the bits of the scale where it is a float32.
    asked : str or None
        The name by which the policy was asked for, where that is another than its own.
    place : Spot or None
        Where a number without a block lies in the array that it was picked from.
    """

    given: Given
    format: Named
    policy: Named
    steps: tuple[Step, ...]
    code: int
    value: Number
    decoding: Step
    float32: int
    scaled: Number
    error: Error | None = None
    flags: tuple[str, ...] = ()
    block: Named | None = None
    scale_code: int | None = None
    asked: str | None = None
    place: Spot | None = None

    def _lines(self) -> list[str]:
        what, place = self.given.brief, []
        if self.place is not None:
            what, place = f"{self.place.element} = {what}", field("position", str(self.place))
        title = heading(what, self.format.name, self.policy, self.asked)
        return [*title, *place, *self.body()]

    def body(self) -> list[str]:
        """Return the lines without the heading."""
        lines = [*field("given", str(self.given)), *step_lines((*self.steps, self.decoding))]
        return lines + (field("error", self._error_text()) if self.error is not None else [])

    def _error_text(self) -> str:
        if self.given.text is None or self.error is None or self.error.absolute:
            return str(self.error)
        source = self.given.source
        return f"none against the {source} given; {self.given.text} itself was rounded to it"

    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""
        return {
            "format": self.format.name,
            "policy": self.policy.name,
            **({} if self.asked is None else {"policy_asked": self.asked}),
            **({} if self.place is None else {"position": self.place.to_dict()}),
            "given": {
                "value": str(self.given.number),
                "source": self.given.source,
                "bits": self.given.pattern.rpartition(" ")[2] or None,
                "text": self.given.text,
            },
            "block": self.block and self.block.name,
            "scale_code": self.scale_code,
            "scaled": str(self.scaled),
            "steps": [step.to_dict() for step in self.steps],
            "code": self.code,
            "value": str(self.value),
            "float32": f"0x{self.float32:08x}",
            "error": self.error and self.error.to_dict(),
            "flags": list(self.flags),
        }


@dataclass(frozen=True, slots=True, repr=False)
class BlockExplanation(Marked):
    """How a block of numbers becomes scales and element codes.

    Attributes
    ----------
    format : format
        The block format.
    policy : Policy, NVFP4Policy or BDRPolicy
        What answers the open points.
    steps : tuple of Step
        The steps from the block to its scales.
    scale_code : int
        The scale code; the bits of the scale where it is a float32.
    elements : tuple of Explanation
        The way of each element.
    amax : int or None
        Which element decided the scale; None if none did.
    alone : bool
        Whether one number was given for a whole block: the others are taken to be zero.
    size : int
        How many elements the block has.
    element : format
        The format of an element.
    code_digits : int
        Hexadecimal digits of its codes.
    subscales : tuple of int
        The codes of the second level, where the format has one.
    sub_size : int
        How many elements share one of them; 0 without.
    global_scale : Number or None
        The multiplier of the whole tensor, NVFP4's g.
    scaled_name : str
        What `Explanation.scaled` is called here.
    asked : str or None
        The name by which the policy was asked for, where that is another than its own.
    """

    format: Named
    policy: Named
    steps: tuple[Step, ...]
    scale_code: int
    elements: tuple[Explanation, ...]
    amax: int | None
    alone: bool
    size: int
    element: Named
    code_digits: int
    subscales: tuple[int, ...] = ()
    sub_size: int = 0
    global_scale: Number | None = None
    scaled_name: str = "V / X"
    asked: str | None = None

    @property
    def codes(self) -> tuple[int, ...]:
        """The element codes."""
        return tuple(element.code for element in self.elements)

    def _lines(self) -> list[str]:
        what = self.elements[0].given.brief if self.alone else f"{len(self.elements)} numbers"
        lines = heading(what, self.format.name, self.policy, self.asked)
        others = self.size - 1
        if self.alone and others:
            lines += field("block", f"the other {others} elements are taken to be zero")
        lines += step_lines(self.steps)
        if self.alone:
            return [*lines, "", *heading("element", self.element.name), *self.elements[0].body()]
        return [*lines, "", *self._table()]

    def _head(self) -> tuple[str, ...]:
        sub = ("sub",) if self.sub_size else ()
        return ("i", "given", *sub, self.scaled_name, "code", "decoded", "error/ulp")

    def _rows(self) -> list[Row]:
        return [self._row(i, one) for i, one in enumerate(self.elements)]

    def _row(self, i: int, one: Explanation) -> Row:
        flags = ("amax", *one.flags) if i == self.amax else one.flags
        ulps = ""
        if one.error is not None:
            in_ulp = one.error.in_ulp
            ulps = "-" if in_ulp is None else decimal(in_ulp, 6, 3)
        code = f"0x{one.code:0{self.code_digits}x}"
        own = (str(self.subscales[i // self.sub_size]),) if self.sub_size else ()
        cells = (str(i), brief(one.given.number), *own, brief(one.scaled), code, brief(one.value))
        bits = next((step.text for step in one.steps if step.name == "pack"), code)
        title = f"{one.given}; {bits}; {one.decoding.text}"
        return (*cells, ulps), title, flags, ", ".join(flags)

    def _table(self) -> list[str]:
        rows = [(self._head(), ""), *((cells, words) for cells, _, _, words in self._rows())]
        widths = [
            max(map(len, column)) for column in zip(*(cells for cells, _ in rows), strict=True)
        ]
        wide = sum(widths) + 2 * len(widths) + max(len(words) for _, words in rows)
        gap = "  " if wide <= WIDTH else " "
        return [
            line
            for cells, words in rows
            for line in _row(
                gap.join(f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True)), words, gap
            )
        ]

    def _repr_html_(self) -> str:
        lines = self._lines()
        if self.alone:
            return markup(lines, self._marks(lines))
        above = lines[: lines.index("")]
        return block_html(above, [*self._marks(above)], self._head(), self._rows())

    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""
        return {**self.head(), "elements": [element.to_dict() for element in self.elements]}

    def head(self) -> dict[str, object]:
        """Return what concerns the block as a whole, in types that JSON knows."""
        g = self.global_scale
        return {
            "format": self.format.name,
            "policy": self.policy.name,
            **({} if self.asked is None else {"policy_asked": self.asked}),
            "alone": self.alone,
            "steps": [step.to_dict() for step in self.steps],
            "scale_code": self.scale_code,
            **({"subscales": list(self.subscales)} if self.sub_size else {}),
            **({} if g is None else {"global_scale": str(g)}),
            "amax": self.amax,
        }


def _row(cells: str, flags: str, gap: str) -> list[str]:
    """A row with its flags behind it, or below it where they would reach beyond the width."""
    if len(cells) + len(gap) + len(flags) <= WIDTH:
        return [f"{cells}{gap}{flags}"]
    return [cells, f"    {flags}"]
