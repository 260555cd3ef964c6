"""Write the set: every file of the plan, its core, and their manifests.

The same sources give the same bytes on every machine: nothing here reads a clock, a locale, a
random number or the file system's order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mxref import __version__
from mxref.executors import run_units
from mxref.vectors import _atomic
from mxref.vectors.core import Shown, core_of
from mxref.vectors.hexfile import hex_text
from mxref.vectors.model import (
    GENERATOR,
    SET_VERSION,
    FileEntry,
    Manifest,
    Progress,
    VectorError,
    VectorFile,
    manifest_text,
    sha256,
    vector_file_text,
)
from mxref.vectors.plan import Job, build, jobs
from mxref.vectors.read import load_manifest
from mxref.vectors.schema import schema_text
from mxref.vectors.strength import Survey

__all__ = ["CORE", "MANIFEST_NAME", "generate"]

MANIFEST_NAME = "manifest.json"
CORE = "core"
"""Folder of the core set inside the set."""


class _Texts(NamedTuple):
    """What stands in the two files of a job."""

    path: str
    json: str
    hex: str
    cases: int


def _texts(file: VectorFile) -> _Texts:
    return _Texts(file.path, vector_file_text(file), hex_text(file), len(file.cases))


def _built(job: Job) -> Shown:
    """The file of a job with its flags, and which cases show which fault."""
    file = build(job)
    survey = Survey(file)
    flags = survey.flags()
    flagged = replace(file, cases=tuple(replace(c, flags=flags[c.id]) for c in file.cases))
    return Shown(flagged, survey.kills())


def generate(
    directory: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Manifest:
    """Write the whole set, and its core, into a directory.

    Parameters
    ----------
    directory : path
        Created where it does not exist. Files that `generate` did not make are never overwritten
        or deleted, those that it made and makes no longer are removed; each file appears complete
        or not at all, the manifest last.
    progress : callable, optional
        Called as ``progress(path, done, total)`` after each file.
    executor : concurrent.futures.Executor, optional
        Builds the files; any executor does, and none changes a byte. Default: one after another.

    Returns
    -------
    Manifest
        What was written, the core aside.

    Raises
    ------
    VectorError
        If the directory cannot be written, or a file stands in the way that is not of the set.
    ExecutorError
        If workers are lost again and again.
    """
    root = Path(directory)
    work = jobs()
    names = [*_paths(work), "VERSION", "schema.json", MANIFEST_NAME]
    _check_writable(root, [*names, *(f"{CORE}/{name}" for name in names)])
    made: Iterator[Shown] = map(_built, work)
    if executor is not None:
        units = run_units(executor, _built, work, ordered=True, describe=lambda job: job.path)
        made = (found for _, found in units)
    shown: list[Shown] = []
    for done, found in enumerate(made, start=1):
        shown.append(found)
        if progress is not None:
            progress(found.file.path, done, len(work))
    _write_set(root / CORE, map(_texts, core_of(shown)))
    return _write_set(root, (_texts(found.file) for found in shown))


def _write_set(root: Path, files: Iterable[_Texts]) -> Manifest:
    before = _listed(root)
    entries = {
        "VERSION": _write(root, "VERSION", SET_VERSION + "\n"),
        "schema.json": _write(root, "schema.json", schema_text()),
    }
    for texts in files:
        entries[texts.path] = _write(root, texts.path, texts.json, texts.cases)
        twin = texts.path.removesuffix(".json") + ".hex"
        entries[twin] = _write(root, twin, texts.hex, texts.cases)
    manifest = Manifest(SET_VERSION, __version__, entries)
    _write(root, MANIFEST_NAME, manifest_text(manifest))
    for name in sorted(before - entries.keys()):
        if _is_ours(root / name):  # of an earlier set, and no longer part of it
            (root / name).unlink()
    return manifest


def _listed(root: Path) -> set[str]:
    """Files that an earlier manifest lists; none where there is no manifest that can be read."""
    try:
        return set(load_manifest(root / MANIFEST_NAME).files)
    except VectorError:
        return set()


def _paths(work: tuple[Job, ...]) -> Iterator[str]:
    for job in work:
        yield job.path
        yield job.path.removesuffix(".json") + ".hex"


def _check_writable(root: Path, paths: list[str]) -> None:
    """Refuse, before anything is written, to replace a file that is not of the set."""
    if root.exists() and not root.is_dir():
        raise VectorError(f"{root} is no directory: give a directory for the vector set")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VectorError(f"cannot make the folder {root}: {error.strerror or error}") from error
    for path in paths:
        target = root / path
        if target.exists() and not _is_ours(target):
            raise VectorError(
                f"{target} was not written by {GENERATOR} and will not be replaced: "
                "move it away, or give another directory"
            )


def _is_ours(target: Path) -> bool:
    if not target.is_file():
        return False
    start = target.read_bytes()[:4096]
    if target.name == "VERSION":
        return start.strip().replace(b".", b"").isdigit()
    return any(
        mark in start
        for mark in (GENERATOR.encode(), b"// mxref vectors ", b"mxref conformance vectors")
    )


def _write(root: Path, path: str, text: str, cases: int = 0) -> FileEntry:
    data = text.encode("ascii")
    _atomic.write(root / path, data)
    return FileEntry(sha256(data), len(data), cases)
