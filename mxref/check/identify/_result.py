"""What an identification says, as text in 80 columns and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mxref._shown import Shown
from mxref.check.parts import Witness

__all__ = ["Candidate", "Identification"]

_WIDTH = 80
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile, and how well it describes what was seen.

    Attributes
    ----------
    name, title, versions : str
        Of the profile.
    agreed, total : int
        Inputs with the same answer, of how many that were compared.
    place : int
        Number of the first input that rules it out, from 1; 0 if none does.
    witness : Witness or None
        That input: what was seen, and what the profile has.
    faults : tuple of str
        Faults that the described thing is known to have, if they explain all that differs.
    usual : bool
        Whether every bit is as the profile has it on ordinary numbers at least: no special values,
        and none near the ends of the range.
    diverges : bool
        Whether the profile lists what the described thing does besides its policy.
    """

    name: str
    title: str
    versions: str
    agreed: int
    total: int
    place: int = 0
    witness: Witness | None = None
    faults: tuple[str, ...] = ()
    usual: bool = True
    diverges: bool = False

    @property
    def matches(self) -> bool:
        """Whether every bit is as the profile has it, known faults included."""
        return self.witness is None or bool(self.faults)

    @property
    def share(self) -> float:
        """Share of equal answers."""
        return self.agreed / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True, repr=False)
class Identification(Shown):
    """Whose implementation it is.

    Attributes
    ----------
    op, format : str
        What was compared.
    title : str
        The target.
    matches : tuple of Candidate
        Profiles that give every bit.
    excluded : tuple of Candidate
        The others that have this operation on this format, the nearest first.
    alike : tuple of tuple of str
        Profiles that no input tells apart here.
    absent : tuple of str
        Profiles without this operation or format.
    chosen : int
        How many inputs were chosen to tell profiles apart; they come first. 0 for given data.
    inputs : int
        How many inputs were compared.
    differs : tuple of str
        If nothing matches: in what the nearest profile is departed from.
    undecided : tuple of str
        If given data allow several: inputs that would decide.
    """

    op: str
    format: str
    title: str
    matches: tuple[Candidate, ...]
    excluded: tuple[Candidate, ...]
    alike: tuple[tuple[str, ...], ...]
    absent: tuple[str, ...]
    chosen: int
    inputs: int
    differs: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether some profile matches, and there was something to compare."""
        return bool(self.matches) and self.inputs > 0

    @property
    def names(self) -> tuple[str, ...]:
        """The profiles that match."""
        return tuple(candidate.name for candidate in self.matches)

    def __str__(self) -> str:
        """Return the answer in 80 columns."""
        return "\n".join(_lines(self))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return {
            "op": self.op,
            "format": self.format,
            "target": self.title,
            "matches": [_entry(candidate) for candidate in self.matches],
            "excluded": [_entry(candidate) for candidate in self.excluded],
            "alike": [list(group) for group in self.alike],
            "absent": list(self.absent),
            "chosen": self.chosen,
            "inputs": self.inputs,
            "differs": list(self.differs),
            "undecided": list(self.undecided),
        }

    def to_json(self) -> str:
        """Return it as a JSON object."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)


def _entry(candidate: Candidate) -> dict[str, Any]:
    shown = candidate.witness
    return {
        "name": candidate.name,
        "title": candidate.title,
        "versions": candidate.versions,
        "agreed": candidate.agreed,
        "total": candidate.total,
        "place": candidate.place,
        "faults": list(candidate.faults),
        "usual": candidate.usual,
        "witness": None
        if shown is None
        else {name: _plain(getattr(shown, name)) for name in Witness.__slots__},
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


# --- text -------------------------------------------------------------------------------------


def _lines(found: Identification) -> Iterator[str]:
    yield from _wrapped(_headline(found))
    if not found.inputs:
        return
    yield from _matched(found)
    if not found.matches:
        yield from _nearest(found)
    yield from _ruled_out(found)
    if found.absent:
        yield from _wrapped(
            f"Profiles that have no {found.op} {found.format}: {', '.join(found.absent)}."
        )


def _matched(found: Identification) -> Iterator[str]:
    for candidate in found.matches:
        yield from _wrapped(f"{candidate.name}: {candidate.title}", "  ")
        yield from _wrapped(f"known by {candidate.versions}", "    ")
        if candidate.faults:
            faults = ", ".join(candidate.faults)
            yield from _wrapped(f"with the fault that it is known to have: {faults}", "    ")
    for group in found.alike:
        if set(group) & set(found.names):
            what = f"{found.op} {found.format}"
            yield from _wrapped(f"No input tells these apart in {what}: {', '.join(group)}.")
    if found.undecided:
        count = len(found.undecided)
        yield from _wrapped(
            f"These data do not decide between them. What would, {_unit(found)} by {_unit(found)}:"
            if count > 1
            else f"These data do not decide between them. 1 {_unit(found)} would:"
        )
    for said in found.undecided:
        yield from _wrapped(said, "  ")


def _ruled_out(found: Identification) -> Iterator[str]:
    """Whom one and the same observation rules out stands in one entry, in order of the inputs."""
    groups: dict[tuple[int, str], list[str]] = {}
    for candidate in found.excluded:
        groups.setdefault((candidate.place, str(candidate.witness)), []).append(candidate.name)
    if groups:
        yield "Ruled out"
    for (place, shown), names in sorted(groups.items()):
        yield from _wrapped(f"{', '.join(names)} by {_where(place, found)}", "  ")
        yield from _wrapped(shown, "    ")


def _nearest(found: Identification) -> Iterator[str]:
    usual = [candidate for candidate in found.excluded if candidate.usual]
    if usual:
        yield from _wrapped("What differs are special values, or lies near the ends of the range.")
    for candidate in usual:
        if candidate.diverges:
            yield from _wrapped(
                f"{candidate.name} is known to diverge from its policy: `mxref profiles show "
                f"{candidate.name}` says how.",
                "  ",
            )
    for candidate in found.excluded[:_NEAREST]:
        count = f"{candidate.agreed:,} of {candidate.total:,} {_unit(found)}s"
        yield from _wrapped(f"near: {candidate.name}, equal on {count}", "  ")
    for said in found.differs:
        yield from _wrapped(f"differs from {found.excluded[0].name}: {said}", "  ")


def _unit(found: Identification) -> str:
    return "input" if found.op in ("encode", "decode") else "block"


def _headline(found: Identification) -> str:
    what = f"{found.title}, {found.op} {found.format}"
    if not found.inputs:
        return f"{what}: nothing to compare."
    if not found.matches:
        usual = ", ".join(candidate.name for candidate in found.excluded if candidate.usual)
        if usual:
            return f"{what}: as {usual} on ordinary numbers, and as nobody in every bit."
        return f"{what}: no known implementation gives these bits."
    if found.undecided:
        return f"{what}: as any of {', '.join(found.names)}, in every bit."
    return f"{what}: as {', '.join(found.names)}, in every bit."


def _where(place: int, found: Identification) -> str:
    if 0 < place <= found.chosen:
        return f"{_unit(found)} {place} of the {found.chosen} chosen"
    return f"{_unit(found)} {place:,} of {found.inputs:,}"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
