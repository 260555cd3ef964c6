"""What a comparison says: `Difference`, one place where two policies part, and `Comparison`."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mxref._shown import Shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mxref.differences._subjects import Subject

__all__ = ["Comparison", "Difference", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy makes of a witness.

    Attributes
    ----------
    bits : tuple of int
        Codes (for a block: the scale code, then the codes of the numbers that are not zero), or
        the bits of a float32; empty where the policy refuses the input.
    text : str
        The same for people: codes in hexadecimal, and their values.
    """

    bits: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A class of inputs to which two policies give different bits, with its smallest witness.

    Attributes
    ----------
    operation : str
        ``"quantize"``, ``"dequantize"``, ``"encode"`` or ``"decode"``.
    output : str
        What differs: ``"scale code"``, ``"element codes"``, ``"code"`` or ``"value"``.
    format : str
        The block format; for a cast, the element format or ``"e8m0"``.
    kind : str
        The class of inputs, such as ``"tie"`` or ``"subnormal amax"``.
    inputs : tuple of int
        The witness: bits of float32 numbers (of a block only those up to the last that is not
        zero), a code, or a scale code and an element code.
    shown : str
        The witness for people.
    outcomes : tuple of two Outcome
        What either policy gives, as the kernels and the exact definition agree.
    fields : tuple of str
        The responsible fields of the policies.
    together : bool
        False if each of `fields` alone removes the difference when one policy takes it from the
        other; True if only all of them together do.
    count : int
        How many of the inputs searched differ so.
    """

    operation: str
    output: str
    format: str
    kind: str
    inputs: tuple[int, ...]
    shown: str
    outcomes: tuple[Outcome, Outcome]
    fields: tuple[str, ...]
    together: bool
    count: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it; codes and bits as integers."""
        return {
            "operation": self.operation,
            "output": self.output,
            "format": self.format,
            "kind": self.kind,
            "inputs": list(self.inputs),
            "shown": self.shown,
            "outcomes": [{"bits": list(o.bits), "text": o.text} for o in self.outcomes],
            "fields": list(self.fields),
            "together": self.together,
            "count": self.count,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Shown):
    """What a search for differences found, and where it looked.

    Attributes
    ----------
    a, b : Subject
        The two sides.
    differences : tuple of Difference
        By format, then operation and output, the smallest witness first.
    searched : Mapping
        ``{(operation, format): number of inputs}``; a cast's format is that of the element.
    """

    a: Subject
    b: Subject
    differences: tuple[Difference, ...]
    searched: Mapping[tuple[str, str], int]

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that were compared."""
        return tuple(dict.fromkeys(name for _, name in self.searched))

    @property
    def differing(self) -> tuple[str, ...]:
        """The formats in which something differs."""
        found = {d.format for d in self.differences}
        return tuple(name for name in self.formats if name in found)

    @property
    def conclusion(self) -> str:
        """One line: where the two differ, and on how many inputs they are equal elsewhere."""
        differing = set(self.differing)
        rest = [count for (_, name), count in self.searched.items() if name not in differing]
        if not differing:
            return f"They are equal on {sum(rest)} inputs in {_listing(self.formats)}."
        if not rest:
            return f"They differ in all formats searched: {_listing(self.differing)}."
        return (
            f"They differ for {_listing(self.differing)} only; equal on {sum(rest)} inputs in the "
            "other formats searched."
        )

    def __str__(self) -> str:
        """Return the smallest witness of each operation and format, and the conclusion."""
        names = self.a.name, self.b.name
        lines = [f"{names[0]} and {names[1]}"]
        groups: dict[tuple[str, str], list[Difference]] = {}
        for difference in self.differences:
            groups.setdefault((difference.format, difference.operation), []).append(difference)
        for (name, operation), (first, *others) in groups.items():
            lines += _wrapped(f"{name}, {operation}: {first.kind}, {first.shown}", 2)
            for policy, outcome in zip(names, first.outcomes, strict=True):
                lines += _wrapped(f"{policy}: {outcome.text}", 4)
            if others:
                lines += _wrapped(f"also: {', '.join(each.kind for each in others)}", 4)
        return "\n".join([*lines, *_wrapped(self.conclusion, 0)])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return {
            "a": self.a.name,
            "b": self.b.name,
            "conclusion": self.conclusion,
            "differing": list(self.differing),
            "searched": [
                {"operation": operation, "format": name, "inputs": count}
                for (operation, name), count in self.searched.items()
            ],
            "differences": [d.to_dict() for d in self.differences],
            "divergences": {
                "a": list(self.a.divergences),
                "b": list(self.b.divergences),
            },
        }


def _listing(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def _wrapped(text: str, indent: int) -> list[str]:
    first, rest = " " * indent, " " * (indent + 2)
    return textwrap.wrap(text, 80, initial_indent=first, subsequent_indent=rest)
