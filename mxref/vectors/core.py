"""The core set: the few cases that find every fault that the whole set finds.

It is what goes into the wheel and what a slow simulator runs first. A greedy choice over all files:
always the case that shows most faults, not shown yet, for its size, the header of a file that it
would open included; then what turned out superfluous is left out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from mxref.vectors.model import Case, VectorError, VectorFile, case_as_json, compact
from mxref.vectors.operations import FAMILY

__all__ = ["Shown", "core_directory", "core_of"]

_PACKAGED = Path(__file__).parent / "core_set"
_IN_CHECKOUT = Path(__file__).parents[2] / "spec_vectors" / "core"
_HEADER = 4500
"""Bytes of a header and its .hex twin's, about: what a further file costs."""

_SECOND_CHOICE = 4

_Place: TypeAlias = tuple[str, str]


class Shown(NamedTuple):
    """A file, and for each fault and variant the ids of the cases that show it."""

    file: VectorFile
    kills: Mapping[tuple[str, str], Sequence[str]]


def core_directory() -> Path:
    """Return where the core set lies: in the installed package, or in a checkout.

    Raises
    ------
    VectorError
        If it is in neither place.

    Examples
    --------
    >>> (core_directory() / "manifest.json").exists()
    True
    """
    for place in (_PACKAGED, _IN_CHECKOUT):
        if (place / "manifest.json").exists():
            return place
    raise VectorError(
        f"there is no core set in {_PACKAGED} or {_IN_CHECKOUT}: install mxref from a wheel, or "
        "write the set with `mxref vectors generate`"
    )


def goal(file: VectorFile, fault: tuple[str, str]) -> tuple[str, ...] | None:
    """What a core has to show: a fault, its variant, the operation and the format.

    Where a tensor lies in memory has nothing to do with its element format, so for the operations
    on tensors one format is enough. So it is for products of matrices, and only for what is not a
    fault of a dot product as well (None): the core has those of every pair of formats. The BDR
    formats are points of one framework, which differ in widths: one is enough for each fault.
    """
    if FAMILY[file.operation] == "bdr":
        return (*fault, file.operation, "")
    if file.operation == "matmul":
        return (*fault, file.operation, "") if fault[0].startswith("L") else None
    where = "" if file.operation.endswith("_tensor") else file.format
    return (*fault, file.operation, where)


def core_of(shown: Iterable[Shown]) -> list[VectorFile]:
    """Return the files with the fewest cases that show every fault which the files show.

    An operation whose faults nothing models is there with one case.

    A header is that of the whole file, without the clauses and covergroups that no case is left
    of. Files of which no case is needed are left out.

    Parameters
    ----------
    shown : iterable of Shown
        All files of a set; their order does not matter for what is chosen.
    """
    shown = list(shown)
    files = {s.file.path: s.file for s in shown}
    size: dict[_Place, int] = {}
    needed: dict[tuple[str, ...], set[_Place]] = {}
    for file, kills in shown:
        for case in file.cases:
            text = compact(case_as_json(file.operation, case))
            cost = len(text) * 3 // 2  # with its line in the .hex twin
            # Who claims least claims float32 and the recipe of the standard: these cases first.
            cost *= 1 if case.inputs.type in (None, "float32") else _SECOND_CHOICE
            cost *= 1 if file.policy == type(file.policy)() else _SECOND_CHOICE
            size[file.path, case.id] = cost
        for fault, ids in kills.items():
            what = goal(file, fault)
            if what is not None:
                needed.setdefault(what, set()).update((file.path, one) for one in ids)
    modelled = {file.operation for file, kills in shown if kills}
    for file in files.values():
        if file.operation not in modelled:  # one case at least shows how it is read
            everyone = ((file.path, case.id) for case in file.cases)
            needed.setdefault((file.operation,), set()).update(everyone)
    chosen = _covering(needed, size)
    return [
        _only(file, {case_id for place, case_id in chosen if place == path})
        for path, file in files.items()
        if any(place == path for place, _ in chosen)
    ]


def _covering(
    needed: Mapping[tuple[str, ...], set[_Place]], size: Mapping[_Place, int]
) -> set[_Place]:
    """A small choice of cases that meets every set: the most faults a byte first, then pruned."""
    chosen: list[_Place] = []
    opened: set[str] = set()
    left = dict(needed)
    while left:
        shows: dict[_Place, int] = {}
        for places in left.values():
            for place in places:
                shows[place] = shows.get(place, 0) + 1

        def rank(place: _Place, shows: dict[_Place, int] = shows) -> tuple[float, _Place]:
            cost = size[place] + _HEADER * (place[0] not in opened)
            # One IEEE division of two small integers: the same ratio on every machine.
            return -shows[place] / cost, place

        best = min(shows, key=rank)
        chosen.append(best)
        opened.add(best[0])
        left = {key: places for key, places in left.items() if best not in places}
    for place in sorted(chosen, key=lambda place: (-size[place], place)):
        rest = set(chosen) - {place}
        if all(places & rest for places in needed.values()):
            chosen.remove(place)
    return set(chosen)


def _only(file: VectorFile, ids: set[str]) -> VectorFile:
    kept = tuple(case for case in file.cases if case.id in ids)
    groups = {_group(case) for case in kept}
    clauses = {clause for case in kept for clause in case.clauses}
    return replace(
        file,
        cases=kept,
        clauses=tuple(clause for clause in file.clauses if clause in clauses),
        covergroups=tuple(group for group in file.covergroups if group.name in groups),
    )


def _group(case: Case) -> str:
    return case.comment.partition(":")[0]
