"""Who made a tensor: told by a sample, before all of it is read.

Each step is dearer and less usual than the one before: a published policy; the same from a source
that was rounded first; codes out of order; another source. What is left is `_diagnose`'s.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from mxref.check._findings import fault_finding
from mxref.check.checkpoint import _misplaced as misplaced
from mxref.check.checkpoint import _pairs as pairs
from mxref.check.checkpoint import _scan as scans
from mxref.check.checkpoint._candidates import Candidate, with_twin
from mxref.check.checkpoint._nvfp4 import is_whole
from mxref.check.checkpoint._readings import READINGS
from mxref.check.checkpoint._scan import Tally, Unit
from mxref.check.parts import Finding, Verdict
from mxref.formats import block_format

__all__ = ["Identified", "identify"]

_SAMPLE = 1 << 18  # elements
_LEAST = 1 << 14
_FOREIGN = 3.0  # dB: even two bits an element leave more of the right source
_NEAREST = 3
_OFFSETS = 4
_FEW = 0.25  # share of wrong blocks that looks like an accident, not like another rule
_SAME_SCALES = 0.05  # share of wrong scale codes that leaves the source beyond doubt
_ASSUMED = {
    "bfloat16": "The bits are explained if the source was first rounded to bfloat16.",
    "float16": "The bits are explained if the source was first rounded to float16.",
}
_TURNED = "The bits are explained if the source is transposed: rows of it are columns here."


@dataclass(slots=True)
class Identified:
    """What a sample showed.

    Attributes
    ----------
    pair : Pair
        As it has to be read.
    tried : tuple of Candidate
        What is worth trying on the whole.
    verdict : Verdict or None
        Where nothing more is to be tried.
    findings, notes, assumed
        As in `TensorReport`.
    """

    pair: pairs.Pair
    tried: tuple[Candidate, ...]
    verdict: Verdict | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    assumed: str = ""


def identify(unit: Unit) -> Identified:
    """Look at a sample of a pair; `Unit.tried` are all candidates, what was asked for first."""
    pair = unit.pair
    some = scans.stretches(pair, min(_SAMPLE, max(_LEAST, pair.rows * pair.columns // 8)))
    alive = scans.survivors(unit, some)
    if alive:
        return Identified(pair, _begun(alive, pair))
    tallies, stats, evidence = scans.sample(unit, some)
    is_foreign = stats.qsnr is not None and stats.qsnr < _FOREIGN
    for other, assumed, findings in _other_ways(unit, is_foreign=is_foreign):
        unit_there = replace(unit, pair=other)
        alive = scans.survivors(unit_there, some)
        if alive:
            return Identified(other, _begun(alive, pair), None, findings, assumed=assumed)
    nearest = _nearest(unit.tried, tallies)
    odd = misplaced.plain(unit, evidence) if is_foreign else None
    if odd is not None:
        return Identified(pair, nearest, *odd)
    blocks = max(1, stats.blocks)
    if misplaced.scales_moved(unit, evidence):
        found = misplaced.scale_order(unit)
        if found is not None:
            return Identified(pair, nearest, *found)
        return Identified(pair, nearest, notes=(misplaced.MOVED,))
    if min(tally.blocks for tally in tallies) < _FEW * blocks:
        return Identified(pair, nearest)  # looked at when all of it is known
    says_scales = [
        tally.scales
        for each, tally in zip(unit.tried, tallies, strict=True)
        if each.policy is not None or is_whole(each.name)
    ]
    is_source = min(says_scales) < _SAME_SCALES * blocks
    if is_foreign:
        found = misplaced.look(unit, evidence, stats, is_source=is_source)
        if found is not None:
            return Identified(pair, nearest, *found)
    return Identified(pair, nearest)


def _nearest(tried: tuple[Candidate, ...], tallies: list[Tally]) -> tuple[Candidate, ...]:
    """What is worth a pass over all of it: what is wrong least, and two that share the rows."""
    bad = [{row for run in tally.rows for row in range(*run)} for tally in tallies]
    both = [
        (tallies[i].weight + tallies[j].weight, i, j)
        for i, j in itertools.combinations(range(len(tried)), 2)
        if not bad[i] & bad[j]
    ]
    shared = [tried[i] for i in min(both)[1:]] if both else []
    order = sorted(range(len(tried)), key=lambda i: (tallies[i].weight, tried[i].rank))
    best = [tried[i] for i in order[:_NEAREST]]
    return tuple(dict.fromkeys((*best, *shared)))


def _begun(alive: list[Candidate], pair: pairs.Pair) -> tuple[Candidate, ...]:
    """What to try on the whole."""
    name = pair.found.format
    return tuple(alive) if name == "nvfp4" else with_twin(alive, block_format(name))


def _other_ways(
    unit: Unit, *, is_foreign: bool
) -> list[tuple[pairs.Pair, str, tuple[Finding, ...]]]:
    """Readings of a pair under which a published policy may fit."""
    pair = unit.pair
    ways: list[tuple[pairs.Pair, str, tuple[Finding, ...]]] = []
    source = pairs.open_in(unit.token, unit.source).tensors[pair.source_name]
    if source.dtype in ("F32", "F64"):
        ways += [(replace(pair, rounding=name), text, ()) for name, text in _ASSUMED.items()]
    if pair.found.format in ("mxfp4", "nvfp4"):
        for name, (fault, detail) in READINGS.items():
            finding = fault_finding(fault, detail, 1.0, 0, None)
            ways.append((replace(pair, reading=name), "", (finding,)))
    if pair.found.format != "nvfp4":
        for offset in (n for n in range(-_OFFSETS, _OFFSETS + 1) if n):
            detail = f"{-offset:+d}" + ", as with a bias of 125" * (offset == 2)
            finding = fault_finding("S6", detail, 1.0, 0, None)
            ways.append((replace(pair, reading=f"scale{offset:+d}"), "", (finding,)))
    shape = pair.found.shape
    is_square = len(shape) > 1 and shape[-1] == shape[-2]  # else the shape says it
    if is_foreign and is_square and not pair.transposed:
        ways.append((replace(pair, transposed=True), _TURNED, ()))
    return ways
