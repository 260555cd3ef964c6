"""Names the parts of what was written: their layouts, their faults, their findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mxref.check._findings import fault_finding
from mxref.check.layout._map import (
    code_starts,
    describe,
    element_departure,
    scale_departure,
    scale_starts,
)
from mxref.check.layout._match import (
    Bytes,
    Match,
    Written,
    match_elements,
    match_records,
    match_scales,
)
from mxref.check.layout._report import LayoutPart
from mxref.check.parts import Finding
from mxref.formats import BlockFormat
from mxref.layouts.packings import find_packing
from mxref.layouts.probe import bit_sources
from mxref.mxarray import MXArray

__all__ = ["Buffers", "Claim", "findings_of", "mapped_parts", "named_parts"]

_NIBBLES = {"nibbles-low-first", "nibbles-high-first"}
_SPLIT = {"nibbles-split", "nibbles-split-16"}


class Claim(NamedTuple):
    """What the caller says that it is; None for nothing."""

    packing: str | None
    scale_layout: str | None
    record: str | None

    def __bool__(self) -> bool:
        """Whether anything was said."""
        return any(name is not None for name in self)


class Buffers(NamedTuple):
    """What was written for one probe: elements and scales, or one buffer for both."""

    elements: Bytes | None
    scales: Bytes | None
    both: Bytes | None


def named_parts(
    probes: Sequence[MXArray], buffers: Sequence[Buffers], fmt: BlockFormat, claim: Claim
) -> list[LayoutPart]:
    """The parts, by the known layouts; those of no known layout have no name."""
    if buffers[0].both is not None:
        return _parts_of_one(probes, [b.both for b in buffers if b.both is not None], fmt, claim)
    parts = []
    if buffers[0].elements is not None:
        parts.append(_elements(probes, [b.elements for b in buffers], fmt, claim))
    if buffers[0].scales is not None:
        parts.append(_scales(probes, [b.scales for b in buffers], claim))
    return parts


def _rounds(probes: Sequence[MXArray], stored: Sequence[Bytes | None]) -> list[Written]:
    return [
        Written(q.codes, q.scales, data)
        for q, data in zip(probes, stored, strict=False)
        if data is not None
    ]


def _elements(
    probes: Sequence[MXArray], stored: Sequence[Bytes | None], fmt: BlockFormat, claim: Claim
) -> LayoutPart:
    claimed = None if claim.packing is None else find_packing(claim.packing)
    match = match_elements(_rounds(probes, stored), fmt, claimed)
    return _part("elements", match, claim.packing or "")


def _scales(probes: Sequence[MXArray], stored: Sequence[Bytes | None], claim: Claim) -> LayoutPart:
    match = match_scales(_rounds(probes, stored), probes[0].axis, claim.scale_layout)
    return _part("scales", match, claim.scale_layout or "")


def _parts_of_one(
    probes: Sequence[MXArray], stored: Sequence[Bytes], fmt: BlockFormat, claim: Claim
) -> list[LayoutPart]:
    """One buffer: records, or one plane behind the other, or one plane alone."""
    match = match_records(_rounds(probes, stored), fmt, probes[0].axis)
    if match.fits:
        return [_part("records", match, claim.record or "")]
    size = stored[0].size
    for cut in _cuts(probes[0], size):
        for is_first in (True, False):
            heads, tails = [s[:cut] for s in stored], [s[cut:] for s in stored]
            front, back = (heads, tails) if is_first else (tails, heads)
            parts = [_elements(probes, front, fmt, claim), _scales(probes, back, claim)]
            if all(part.name and not part.spare for part in parts):
                return parts
    for alone in (_elements(probes, stored, fmt, claim), _scales(probes, stored, claim)):
        if alone.name and not alone.spare:
            return [alone]
    return [_part("records", match, claim.record or "")]


def _cuts(q: MXArray, size: int) -> list[int]:
    """Where elements may end and scales begin, or the reverse."""
    from mxref.check.layout._elements import packings_of

    rows, columns = q.shape
    ends = set()
    for packing in packings_of(q.format):
        needed = rows * packing.packed_size(columns)
        ends |= {needed, size - needed}
    return sorted(end for end in ends if 0 < end < size)


# --- faults -----------------------------------------------------------------------------------


def _part(of: str, match: Match, claimed: str) -> LayoutPart:
    if not match.fits:
        notes = []
        if match.nearest:
            notes.append(
                f"{match.nearest} is the nearest: {match.wrong} of {match.total} bytes differ"
            )
        return LayoutPart(of, "", claimed, "", (), "", tuple(notes))
    fit = match.best(claimed)
    fault, notes = fit.fault, []
    if claimed and claimed != fit.name and not fault:
        fault = _instead(of, fit.name, claimed)
    if fit.padding:
        notes.append(f"bytes that hold nothing: {fit.padding}")
    if fit.spare:
        notes.append(f"{fit.spare} bytes more than it needs, behind it")
    if match.added:
        sign = match.added - 256 if match.added > 127 else match.added
        notes.append(f"{sign:+d} was added to each scale code")
        fault = "S6"
    also = tuple(other.name for other in match.fits if other is not fit)
    return LayoutPart(of, fit.name, claimed, fault, also, fit.source, tuple(notes), spare=fit.spare)


def _instead(of: str, found: str, claimed: str) -> str:
    """The fault that one layout in use is where another was claimed."""
    if of == "records":
        return "L7"
    if of == "elements":
        if {found, claimed} == _NIBBLES:
            return "L1"
        return "L2" if {found, claimed} & _SPLIT else "L6"
    if "column-major" in (found, claimed):
        return "L8"
    return "L3" if "row-major" in (found, claimed) else "L6"


def findings_of(parts: Sequence[LayoutPart], claim: Claim) -> tuple[Finding, ...]:
    """A finding for each part that has a fault."""
    findings = []
    for part in parts:
        fault, asked = part.fault, part.claimed
        if part.of == "records" and (claim.packing or claim.scale_layout):
            fault, asked = "L7", "separate planes"
        elif part.of != "records" and claim.record:
            fault, asked = "L7", claim.record
        if fault:
            detail = f"{part.of} written as: {part.name}"
            detail += f"; claimed: {asked}" if asked else ""
            findings.append(fault_finding(fault, detail, 1.0, 0, None))
    return tuple({f.id + f.detail: f for f in findings}.values())


# --- maps -------------------------------------------------------------------------------------


def mapped_parts(
    parts: Sequence[LayoutPart],
    probes: Sequence[MXArray],
    buffers: Sequence[Buffers],
    fmt: BlockFormat,
    claim: Claim,
) -> list[LayoutPart]:
    """The parts, those without a name described from what all probes became."""
    return [part if part.name else _mapped(part, probes[0], buffers, fmt, claim) for part in parts]


def _mapped(
    part: LayoutPart, q: MXArray, buffers: Sequence[Buffers], fmt: BlockFormat, claim: Claim
) -> LayoutPart:
    stored = [
        data
        for b in buffers
        for data in [{"elements": b.elements, "scales": b.scales}.get(part.of, b.both)]
        if data is not None
    ]
    found = bit_sources(
        stored or [b.both for b in buffers if b.both is not None], fmt, q.shape, q.axis
    )
    notes: list[str] = []  # not those of the nearest by bytes: that by places says more
    addresses = None
    if part.of in ("elements", "records"):
        packing = None if claim.packing is None else find_packing(claim.packing)
        addresses = code_starts(found, q.shape)
        notes += describe(found, addresses, "code", ("row", "column"))
        if part.of == "elements":
            notes.append(element_departure(addresses, fmt, packing))
    if part.of in ("scales", "records"):
        starts = scale_starts(found, q.scales.shape)
        names = ("line", "block") if q.axis == 1 else ("block", "line")
        notes += describe(found, starts, "scale code", names)
        if part.of == "scales":
            notes.append(scale_departure(starts, q.axis, claim.scale_layout))
            addresses = starts
    kept = tuple(note for note in dict.fromkeys(notes) if note)
    shown = None if addresses is None else np.asarray(addresses)
    return LayoutPart(part.of, "", part.claimed, "", (), "", kept, shown)
