"""What a check of a layout found: each part by its name, or described."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._shown import Shown
from mxref.check.parts import Finding, Verdict
from mxref.check.report import DefectError

__all__ = ["LayoutPart", "LayoutReport"]

_WIDTH = 80


@dataclass(frozen=True, slots=True, eq=False)
class LayoutPart:
    """Where the codes, the scale codes, or both together lie.

    Attributes
    ----------
    of : str
        ``"elements"``, ``"scales"`` or ``"records"``.
    name : str
        The layout, as `mxref.layouts` or a mistake is called; empty if it is none that is known.
    claimed : str
        The layout that was claimed, or empty.
    fault : str
        Id of the fault that it is; empty if it is what was claimed, or is in use.
    also : tuple of str
        Other layouts that give the same bytes for this shape.
    source : str
        Who uses it.
    notes : tuple of str
        Padding, bytes left over; of an unknown layout, what its map looks like.
    addresses : ndarray of int64 or None
        Of an unknown layout that was mapped: the bit at which each code begins; -1 for none.
    spare : int
        Bytes behind its end.
    """

    of: str
    name: str
    claimed: str
    fault: str
    also: tuple[str, ...]
    source: str
    notes: tuple[str, ...]
    addresses: NDArray[np.int64] | None = None
    spare: int = 0

    @property
    def ok(self) -> bool:
        """Whether it is known, in use, and what was claimed if something was."""
        return bool(self.name) and not self.fault

    def __str__(self) -> str:
        """Return a line and its notes."""
        text = f"{self.of}: {self.name or 'no known layout'}"
        if self.fault:
            text += f" ({self.fault})"
        if self.claimed and self.claimed != self.name:
            text += f"; claimed: {self.claimed}"
        if self.source:
            text += f". Used by: {self.source}"
        if self.also:
            text += f". The same bytes for this shape: {', '.join(self.also)}"
        lines = textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        for note in self.notes:
            lines += textwrap.wrap(
                note, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LayoutReport(Shown):
    """The answer of `mxref.check.layout`.

    Attributes
    ----------
    verdict : Verdict
        ``conforms``: what was claimed. ``conforms-as``: nothing was claimed, and it is a layout in
        use. ``defect``: another layout than claimed, or one that only mistakes give.
        ``unexplained``: no known layout. ``not-testable``: nothing was packed.
    format : str
    shape : tuple of int
    axis : int
    parts : tuple of LayoutPart
    findings : tuple of Finding
    probes : int
        How many probes were looked at.
    """

    verdict: Verdict
    format: str
    shape: tuple[int, int]
    axis: int
    parts: tuple[LayoutPart, ...]
    findings: tuple[Finding, ...]
    probes: int

    @property
    def ok(self) -> bool:
        """Whether the verdict is ``conforms`` or ``conforms-as``."""
        return self.verdict in (Verdict.CONFORMS, Verdict.CONFORMS_AS)

    @property
    def packing(self) -> str | None:
        """Name of the packing of the elements, if it is known."""
        return self._name("elements")

    @property
    def scale_layout(self) -> str | None:
        """Name of the order of the scale codes, if it is known."""
        return self._name("scales")

    @property
    def record(self) -> str | None:
        """Name of the record that holds both, if it is one."""
        return self._name("records")

    def _name(self, of: str) -> str | None:
        return next((part.name or None for part in self.parts if part.of == of), None)

    def raise_for_defects(self) -> None:
        """Raise `DefectError` with the report as its message unless `ok`."""
        if not self.ok:
            raise DefectError("\n" + str(self))

    def __str__(self) -> str:
        """Return the report in 80 columns."""
        rows, columns = self.shape
        seen = f"{self.probes} probe" + "s" * (self.probes != 1)
        head = f"{self.verdict}: {self.format}, {rows} x {columns}, axis {self.axis}, {seen}"
        lines = [head, *(str(part) for part in self.parts)]
        for finding in self.findings:
            text = f"{finding.id}: {finding.title} {finding.repair}"
            lines += textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain numbers and strings; maps of addresses as lists."""
        return {
            "verdict": str(self.verdict),
            "ok": self.ok,
            "format": self.format,
            "shape": list(self.shape),
            "axis": self.axis,
            "probes": self.probes,
            "parts": [_part(part) for part in self.parts],
            "findings": [
                {"id": f.id, "title": f.title, "detail": f.detail, "repair": f.repair}
                for f in self.findings
            ],
        }

    def to_json(self) -> str:
        """Return it as a JSON object."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False)


def _part(part: LayoutPart) -> dict[str, Any]:
    return {
        "of": part.of,
        "name": part.name or None,
        "claimed": part.claimed or None,
        "fault": part.fault or None,
        "also": list(part.also),
        "source": part.source,
        "notes": list(part.notes),
        "addresses": None if part.addresses is None else part.addresses.tolist(),
    }
