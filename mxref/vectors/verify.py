"""Verify a set: every file against its manifest, every case against a second computation."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mxref.vectors.generate import CORE, MANIFEST_NAME, generate
from mxref.vectors.hexfile import hex_text
from mxref.vectors.model import (
    SCHEMA_VERSION,
    FileEntry,
    Manifest,
    Progress,
    VectorError,
    VectorFile,
    sha256,
)
from mxref.vectors.read import load, load_manifest
from mxref.vectors.recheck import expectation_problems
from mxref.vectors.schema import schema_text

__all__ = ["VerifyResult", "verify"]

# What people write beside the generated files.
_WRITTEN_BY_HAND = {"README.md", "INTERPRETING.md", "CHANGELOG.md", "LICENSE"}
# With manifests of their own: the core set, and what `mxref sweep` writes.
_APART = (f"{CORE}/", "digests/")
_SHOWN_PER_FILE = 10
_REGENERATE = "regenerate the set with `mxref vectors generate`"


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What `verify` found.

    Attributes
    ----------
    files, cases : int
        Generated files read, and cases whose expected values were worked out again.
    problems : tuple of str
        One sentence each; empty if all is well.

    Examples
    --------
    >>> print(VerifyResult(2, 10, ()))
    2 files, 10 cases: no problems
    """

    files: int
    cases: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def __str__(self) -> str:
        """Return the counts in one line, and each problem in one of its own."""
        if self.ok:
            return f"{self.files} files, {self.cases} cases: no problems"
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        head = f"{self.files} files, {self.cases} cases: {count} {noun}"
        return "\n".join([head, *self.problems])


def verify(
    directory: str | os.PathLike[str],
    *,
    regenerate: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> VerifyResult:
    """Check a set of vectors: nothing damaged, missing or added, and every expectation right.

    Parameters
    ----------
    directory : path
        The set, such as ``spec_vectors``; the core set in it is checked likewise.
    regenerate : bool
        Also generate the set anew in a temporary directory, and report any byte that differs.
    progress : callable, optional
        Called as ``progress(path, done, total)`` after each file.
    executor : concurrent.futures.Executor, optional
        For the regeneration, as in `mxref.vectors.generate`.

    Returns
    -------
    VerifyResult
        With the problems found; a set that is damaged in any way gives problems, no exception.
    """
    root = Path(directory)
    if not root.is_dir():
        return VerifyResult(0, 0, (f"{root}: there is no such directory",))
    found = _verify_set(root, progress)
    if not found.files:
        return found
    problems = list(found.problems)
    count = found.files
    if (root / CORE).is_dir():
        # Its cases are among those of the whole set: counted once.
        core = _verify_set(root / CORE, progress)
        problems += (f"{CORE}/{problem}" for problem in core.problems)
        count += core.files
    if regenerate:
        problems += _regeneration_problems(root, progress, executor)
    return VerifyResult(count, found.cases, tuple(problems))


def _verify_set(root: Path, progress: Progress | None) -> VerifyResult:
    """One set, its core aside."""
    try:
        manifest = load_manifest(root / MANIFEST_NAME)
    except VectorError as error:
        return VerifyResult(0, 0, (f"{error}; {_REGENERATE}",))
    problems = list(_listing_problems(root, manifest))
    cases = 0
    names = [name for name in sorted(manifest.files) if _is_inside(name)]
    for done, name in enumerate(names, start=1):
        found, count = _file_problems(root, name, manifest)
        problems += found
        cases += count
        if progress is not None:
            progress(name, done, len(names))
    return VerifyResult(len(names), cases, tuple(problems))


# --- the set as a whole ----------------------------------------------------------------------


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _listing_problems(root: Path, manifest: Manifest) -> Iterator[str]:
    listed = set(manifest.files)
    for name in sorted(listed):
        if not _is_inside(name):
            yield f"{MANIFEST_NAME}: {name!r} is no path inside the set"
        if name.endswith(".hex") and name.removesuffix(".hex") + ".json" not in listed:
            yield f"{MANIFEST_NAME}: {name} is listed without its .json twin"
    for name in ("VERSION", "schema.json"):
        if name not in listed:
            yield f"{MANIFEST_NAME}: {name} is not listed"
    present = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    for name in sorted(present - listed - _WRITTEN_BY_HAND - {MANIFEST_NAME}):
        if name.startswith(_APART):
            continue
        yield f"{name}: the manifest does not list this file; remove it, or {_REGENERATE}"


def _file_problems(root: Path, name: str, manifest: Manifest) -> tuple[list[str], int]:
    """Problems of one listed file, and how many cases of it were worked out again."""
    path, entry = root / name, manifest.files[name]
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [f"{name}: the manifest lists this file, but it is missing; {_REGENERATE}"], 0
    except OSError as error:
        return [f"{name}: cannot be read: {error.strerror or error}"], 0
    problems = [] if name == "schema.json" else list(_hash_problems(name, data, entry))
    if name == "schema.json":
        if data != schema_text().encode("ascii"):
            problems.append(
                f"{name}: not the schema of version {SCHEMA_VERSION} that mxref enforces; "
                f"{_REGENERATE}"
            )
        return problems, 0
    if name == "VERSION":
        if data.decode("ascii", "replace").strip() != manifest.set_version:
            problems.append(f"{name}: not {manifest.set_version}, which the manifest says")
        return problems, 0
    if not name.endswith(".json"):
        return problems, 0
    try:
        file = load(path)
    except VectorError as error:
        # The reason is worth more than the hash that differs because of it.
        return [str(error).replace(str(path), name, 1)], 0
    problems += _header_problems(name, file, manifest)
    problems += _twin_problems(root, file, manifest)
    wrong = list(expectation_problems(file))
    problems += wrong[:_SHOWN_PER_FILE]
    if len(wrong) > _SHOWN_PER_FILE:
        problems.append(f"{name}: and {len(wrong) - _SHOWN_PER_FILE} more wrong expectations")
    return problems, len(file.cases)


def _hash_problems(name: str, data: bytes, entry: FileEntry) -> Iterator[str]:
    found = sha256(data)
    if found != entry.sha256:
        yield (
            f"{name}: SHA-256 is {found[:12]}..., the manifest says {entry.sha256[:12]}...: the "
            f"file was changed; {_REGENERATE}"
        )
    elif len(data) != entry.size:
        yield f"{MANIFEST_NAME}: {name} has {len(data)} bytes, not {entry.size}"


def _header_problems(name: str, file: VectorFile, manifest: Manifest) -> Iterator[str]:
    entry = manifest.files[name]
    if file.path != name:
        yield f"{name}: its header says {file.path}: the file was renamed or copied"
    if file.set_version != manifest.set_version:
        yield f"{name}: of set version {file.set_version}, the manifest is {manifest.set_version}"
    if len(file.cases) != entry.cases:
        yield f"{MANIFEST_NAME}: {name} has {len(file.cases)} cases, not {entry.cases}"


def _twin_problems(root: Path, file: VectorFile, manifest: Manifest) -> Iterator[str]:
    if file.hex_path not in manifest.files:
        yield f"{MANIFEST_NAME}: {file.path} is listed without its .hex twin"
        return
    if manifest.files[file.hex_path].cases != len(file.cases):
        yield f"{MANIFEST_NAME}: {file.hex_path} does not have the case count of its .json twin"
    try:
        found = (root / file.hex_path).read_bytes()
    except OSError:
        return  # reported where the file itself is read
    if found != hex_text(file).encode("ascii"):
        line = _first_difference(found, hex_text(file).encode("ascii"))
        yield f"{file.hex_path}: line {line} differs from its .json twin; {_REGENERATE}"


def _first_difference(found: bytes, expected: bytes) -> int:
    ours, theirs = expected.split(b"\n"), found.split(b"\n")
    pairs = enumerate(zip(ours, theirs, strict=False), start=1)
    return next((n for n, (a, b) in pairs if a != b), min(len(ours), len(theirs)))


# --- regeneration ----------------------------------------------------------------------------


def _regeneration_problems(
    root: Path, progress: Progress | None, executor: Executor | None
) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="mxref-vectors-") as scratch:
        generate(scratch, progress=progress, executor=executor)
        for part in (root, root / CORE):
            fresh = Path(scratch) / part.relative_to(root)
            yield from _differences(part, fresh, "" if part == root else f"{CORE}/")


def _differences(found_in: Path, fresh_in: Path, prefix: str) -> Iterator[str]:
    fresh = load_manifest(fresh_in / MANIFEST_NAME).files
    try:
        listed = load_manifest(found_in / MANIFEST_NAME).files
    except VectorError as error:
        yield f"{error}; {_REGENERATE}"
        return
    for name in sorted({*fresh, *listed, MANIFEST_NAME}):
        if name != MANIFEST_NAME and name not in fresh:
            yield f"{prefix}{name}: this mxref does not generate such a file"
            continue
        try:
            found = (found_in / name).read_bytes()
        except OSError:
            if name not in listed:
                yield f"{prefix}{name}: this mxref generates this file, the set lacks it"
            continue
        expected = (fresh_in / name).read_bytes()
        if found != expected:
            line = _first_difference(found, expected)
            yield f"{prefix}{name}: differs from what this mxref generates, first in line {line}"
