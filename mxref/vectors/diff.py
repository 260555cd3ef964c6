"""Compare two sets case by case, and say what kind of release the difference is.

Cases are matched by id, a hash of what they ask, so that files may be sorted, split or renamed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from mxref.vectors._loose import compact, vector_json, vector_paths
from mxref.vectors.model import Progress, VectorError

__all__ = ["Change", "Difference", "Release", "diff"]

_STRICTNESS = {"open": 0, "one_of": 1, "must": 2}
_WORDS = ("comment", "clauses", "flags")
_SHOWN = 10
_SHOWN_MINOR = 3


class Release(IntEnum):
    """What kind of release a change needs.

    Examples
    --------
    >>> max(Release.PATCH, Release.MAJOR).name
    'MAJOR'
    """

    NONE = 0
    PATCH = 1
    """Only words change: comments, clauses, flags."""
    MINOR = 2
    """Cases or allowed outputs are added: who passed may fail new cases, never an old one."""
    MAJOR = 3
    """An expected bit changes, or an allowed output or a case is gone."""

    def __str__(self) -> str:
        """Return the word in lower case."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes
    ----------
    kind : str
        ``case added``, ``case removed``, ``expected bits``, ``output removed``, ``output added``,
        ``verdict``, ``labels``, ``words`` or ``header``.
    where : str
        The file.
    id : str
        The case; empty for a header.
    detail : str
        What was, and what is.
    release : Release
        What it needs by itself.
    """

    kind: str
    where: str
    id: str
    detail: str
    release: Release


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes between two sets, and whether the version says so.

    Examples
    --------
    >>> print(Difference("1.0.0", "1.0.0", ()))
    no difference: version 1.0.0 may stay
    """

    old_version: str
    new_version: str
    changes: tuple[Change, ...]

    @property
    def release(self) -> Release:
        """The kind of release that all changes together need."""
        return max((change.release for change in self.changes), default=Release.NONE)

    @property
    def needed(self) -> str:
        """The least version that the new set may have."""
        major, minor, patch = _numbers(self.old_version)
        match self.release:
            case Release.MAJOR:
                return f"{major + 1}.0.0"
            case Release.MINOR:
                return f"{major}.{minor + 1}.0"
            case Release.PATCH:
                return f"{major}.{minor}.{patch + 1}"
        return self.old_version

    @property
    def ok(self) -> bool:
        """Whether the version of the new set is at least the one needed."""
        return _numbers(self.new_version) >= _numbers(self.needed)

    def as_json(self) -> dict[str, Any]:
        """Return everything in types that JSON knows."""
        return {
            "ok": self.ok,
            "old_version": self.old_version,
            "new_version": self.new_version,
            "release": str(self.release),
            "needed_version": self.needed,
            "counts": dict(Counter(change.kind for change in self.changes)),
            "changes": [
                {
                    "kind": change.kind,
                    "where": change.where,
                    "id": change.id,
                    "detail": change.detail,
                    "release": str(change.release),
                }
                for change in self.changes
            ],
        }

    def __str__(self) -> str:
        """Return the gravest changes first, a few of each kind, and what they come to."""
        return "\n".join([*self._sections(), self._verdict()])

    def _sections(self) -> Iterator[str]:
        kinds: dict[str, list[Change]] = {}
        for change in sorted(self.changes, key=lambda change: -change.release):
            kinds.setdefault(change.kind, []).append(change)
        for kind, changes in kinds.items():
            release = max(change.release for change in changes)
            yield f"{kind}: {len(changes)} ({release})"
            # What all files share is said once.
            by_id = bool(changes[0].id)
            heads = Counter(change.where if by_id else change.detail for change in changes)
            for head, count in heads.items():
                if not by_id:
                    files = [change.where for change in changes if change.detail == head]
                    others = f" and {count - 1} more" if count > 1 else ""
                    yield f"  {head}: {files[0]}{others}"
                    continue
                yield f"  {head}: {count}"
                shown = _SHOWN if release is Release.MAJOR else _SHOWN_MINOR
                own = [change for change in changes if change.where == head]
                yield from (f"    {change.id} {change.detail}" for change in own[:shown])
                if count > shown:
                    yield f"    and {count - shown} more; --json has them all"

    def _verdict(self) -> str:
        if not self.changes:
            verb = "may stay" if self.ok else "is older than"
            tail = "" if self.ok else f" {self.old_version}"
            return f"no difference: version {self.new_version} {verb}{tail}"
        needs = f"a {self.release} release is needed: {self.old_version} to {self.needed} or later"
        if self.ok:
            return f"{needs}; the new set is {self.new_version}"
        return f"{needs}, but the new set is {self.new_version}: raise its version"


def diff(
    old: str | os.PathLike[str],
    new: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> Difference:
    """Compare two sets, or two files.

    Parameters
    ----------
    old, new : path
        Two folders or two JSON vector files; `old` may be of an older schema version.
    progress : callable, optional
        Called as ``progress(path, done, total)`` after each file.

    Raises
    ------
    VectorError
        If one is a folder and the other a file, if either is damaged, or if the files of a set
        disagree about its version.
    """
    roots = Path(old), Path(new)
    if roots[0].exists() and roots[1].exists() and roots[0].is_dir() != roots[1].is_dir():
        raise VectorError(f"{old} and {new}: compare two folders, or two files")
    paths = [vector_paths(root) for root in roots]
    total, done = sum(map(len, paths)), 0
    sides: list[_Side] = []
    for root, own in zip(roots, paths, strict=True):
        side = _Side(root)
        for path in own:
            side.add(path)
            done += 1
            if progress is not None:
                progress(str(path), done, total)
        sides.append(side)
    before, after = sides
    changes = [*_header_changes(before, after), *_case_changes(before, after)]
    return Difference(before.version, after.version, tuple(changes))


class _Side:
    """One of the two sets: its headers and its cases, as JSON."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.version = ""
        self.headers: dict[str, dict[str, Any]] = {}
        self.cases: dict[str, tuple[str, dict[str, Any]]] = {}
        stated = root / "VERSION"
        if stated.is_file():
            self.version = stated.read_text(encoding="ascii", errors="replace").strip()
            _numbers(self.version, str(stated))

    def add(self, path: Path) -> None:
        data = vector_json(path)
        policy = data["policy"]["name"]
        name = f"{data['operation']} {data['format']} {policy}"
        version = data["set_version"]
        if version != (self.version or version):
            raise VectorError(
                f"{path}: of set version {version}, the rest of the set is {self.version}"
            )
        self.version = version
        cases = data.pop("cases")
        self.headers[name] = data
        for case in cases:
            if case["id"] in self.cases:
                raise VectorError(
                    f"{path}: case {case['id']} is in {self.cases[case['id']][0]} as well"
                )
            self.cases[case["id"]] = name, case


def _numbers(version: str, where: str = "version") -> tuple[int, int, int]:
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise VectorError(f"{where}: {version!r} is no version of three numbers, such as 1.0.0")
    major, minor, patch = map(int, parts)
    return major, minor, patch


# --- headers ---------------------------------------------------------------------------------


def _header_changes(old: _Side, new: _Side) -> Iterator[Change]:
    for name in old.headers:
        if name in new.headers:
            for detail, release in _header_parts(old.headers[name], new.headers[name]):
                yield Change("header", name, "", detail, release)


def _header_parts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Release]]:
    if old["schema"] != new["schema"]:
        # Readers refuse what is newer than themselves.
        yield f"schema version {old['schema']} is {new['schema']}", Release.MAJOR
    for key in ("assumes", "compare"):  # each entry excuses something
        gone = sorted(set(old[key]) - set(new[key]))
        come = sorted(set(new[key]) - set(old[key]))
        if gone:
            yield f"{key} no longer {', '.join(gone)}", Release.MAJOR
        if come:
            yield f"{key} also {', '.join(come)}", Release.MINOR
    before, after = old["policy"]["choices"], new["policy"]["choices"]
    for field in (*before, *(f for f in after if f not in before)):
        was, now = before.get(field), after.get(field)
        if was is None or now is None:
            verb = "gone" if now is None else f"new: {now}"
            yield f"policy field {field} is {verb}", Release.MINOR
        elif was != now:
            yield f"policy field {field} was {was}, is {now}", Release.MAJOR
    for key in ("clauses", "provenance", "covergroups"):
        if compact(old[key]) != compact(new[key]):
            yield f"{key} changed", Release.PATCH


# --- cases -----------------------------------------------------------------------------------


def _case_changes(old: _Side, new: _Side) -> Iterator[Change]:
    for identity, (where, case) in old.cases.items():
        if identity not in new.cases:
            detail = case["comment"]
            yield Change("case removed", where, identity, detail, Release.MAJOR)
            continue
        for kind, detail, release in _differences(case, new.cases[identity][1]):
            yield Change(kind, where, identity, detail, release)
    for identity, (where, case) in new.cases.items():
        if identity not in old.cases:
            yield Change("case added", where, identity, case["comment"], Release.MINOR)


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[str, str, Release]]:
    was, now = _outputs(old), _outputs(new)
    first_was, first_now = next(iter(was)), next(iter(now))
    if first_was != first_now:
        yield "expected bits", _turned(first_was, first_now), Release.MAJOR
    for output in was:
        # What replaces the expected output has been told already.
        if output not in now and output != first_was:
            yield "output removed", f"no longer {_short(output)}", Release.MAJOR
    for output in now:
        if output not in was and output != first_now:
            yield "output added", f"also {_short(output)}", Release.MINOR
    if old.get("exact") != new.get("exact"):
        yield "exact values", "of the same inputs", Release.MAJOR
    if first_was != first_now and first_was in now:
        yield "labels", f"{_short(first_was)} is allowed, no longer expected", Release.MINOR
    if any(was[output] != now[output] for output in was if output in now):
        yield "labels", "other policy choices give the outputs", Release.MINOR
    if old["verdict"] != new["verdict"]:
        stricter = _STRICTNESS[new["verdict"]] > _STRICTNESS[old["verdict"]]
        release = Release.MAJOR if stricter else Release.MINOR
        yield "verdict", f"{old['verdict']} is {new['verdict']}", release
    words = [key for key in _WORDS if old[key] != new[key]]
    if words:
        details = (f"{key} {_short(compact(old[key]))} is {_short(compact(new[key]))}"
                   for key in words)  # fmt: skip
        yield "words", "; ".join(details), Release.PATCH


def _outputs(case: Mapping[str, Any]) -> dict[str, str]:
    """Allowed outputs in order, the expected one first, each with its labels."""
    if "out" in case:
        return {compact(case["out"]): compact([{}])}
    return {compact(member["out"]): compact(member["when"]) for member in case["one_of"]}


def _turned(was: str, now: str) -> str:
    return f"{_short(was)} is {_short(now)}"


def _short(text: str, width: int = 60) -> str:
    plain = text.replace('"', "")
    plain = "refused" if plain == "null" else plain
    return plain if len(plain) <= width else plain[: width - 3] + "..."
