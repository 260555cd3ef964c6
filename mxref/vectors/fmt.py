"""The canonical text of vector files: restored where a file says the same in other words.

Key order, blanks and line ends belong to no meaning, but hashes and comparisons by line need them.
What is damaged, or means something that the canonical text cannot hold, is never touched.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxref.vectors._loose import (
    is_manifest,
    read_json,
    schema_version,
    to_manifest,
    to_vector_file,
    vector_paths,
)
from mxref.vectors.hexfile import hex_text
from mxref.vectors.model import (
    MX_SCHEMA_VERSION,
    Progress,
    VectorError,
    VectorFile,
    manifest_text,
    vector_file_text,
)

__all__ = ["FmtResult", "fmt"]

_REGENERATE = "regenerate the set with `mxref vectors generate`"


@dataclass(frozen=True, slots=True)
class FmtResult:
    """What `fmt` found.

    Attributes
    ----------
    files : int
        Files looked at, ``.hex`` twins and manifests included.
    changed : tuple of str
        Files that were not canonical; rewritten, unless only a check was asked for.
    errors : tuple of str
        A sentence for each file that has no canonical text; these were not touched.

    Examples
    --------
    >>> FmtResult(3, (), ()).ok
    True
    """

    files: int
    changed: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every file was canonical."""
        return not self.changed and not self.errors


def fmt(
    paths: Iterable[str | os.PathLike[str]],
    *,
    check: bool = False,
    progress: Progress | None = None,
) -> FmtResult:
    """Rewrite vector files in canonical form, their ``.hex`` twins with them.

    Parameters
    ----------
    paths : iterable of paths
        JSON vector files, manifests, or folders of them.
    check : bool
        Change nothing, only say which files are not canonical.
    progress : callable, optional
        Called as ``progress(path, done, total)`` after each JSON file.

    Returns
    -------
    FmtResult
        Ids, inputs and expectations of a rewritten file are what they were.

    Raises
    ------
    VectorError
        If a path does not exist, or a file cannot be written.
    """
    targets = list(dict.fromkeys(path for root in paths for path in _targets(Path(root))))
    changed: list[str] = []
    errors: list[str] = []
    files = 0
    for done, path in enumerate(targets, start=1):
        try:
            for target, text in _texts(path):
                files += 1
                if target.read_bytes() != text.encode("ascii"):
                    changed.append(str(target))
                    if not check:
                        _replace(target, text)
        except VectorError as error:
            errors.append(str(error))
        if progress is not None:
            progress(str(path), done, len(targets))
    return FmtResult(files, tuple(changed), tuple(errors))


def _targets(root: Path) -> Iterator[Path]:
    yield from vector_paths(root, nested=True)
    if root.is_dir():
        yield from sorted(root.rglob("manifest.json"))


def _texts(path: Path) -> Iterator[tuple[Path, str]]:
    """Each file that belongs to a JSON file, itself included, with its canonical text."""
    data = read_json(path)
    version = schema_version(data)
    if version is not None and version < MX_SCHEMA_VERSION:
        raise VectorError(
            f"{path}: of schema version {version}, the canonical text is of version "
            f"{MX_SCHEMA_VERSION}; {_REGENERATE}"
        )
    if is_manifest(data):
        yield path, _same_content(path, data, _manifest(path, data))
        return
    try:
        file = to_vector_file(data)
    except ValueError as error:
        raise VectorError(f"{path}: {error}") from error
    text = _same_content(path, data, vector_file_text(file))
    twin = path.with_suffix(".hex")
    if twin.is_file():
        yield twin, _twin(twin, file)
    yield path, text


def _manifest(path: Path, data: Any) -> str:
    try:
        return manifest_text(to_manifest(data))
    except ValueError as error:
        raise VectorError(f"{path}: {error}") from error


def _same_content(path: Path, data: Any, text: str) -> str:
    """Return the canonical text, if it says exactly what the file says."""
    canonical = json.loads(text)
    different = [key for key in data if canonical[key] != data[key]]
    if different:
        raise VectorError(
            f"{path}: the canonical text says something else in {', '.join(different)}: the file "
            f"is of another generator, or edited; {_REGENERATE}"
        )
    return text


def _twin(path: Path, file: VectorFile) -> str:
    """Return the canonical text of a twin, if it holds the cases of the JSON file."""
    text = hex_text(file)
    found = path.read_bytes().decode("latin-1")
    ours, theirs = list(_cases(text)), list(_cases(found))
    if ours != theirs:
        pairs = enumerate(zip(ours, theirs, strict=False), start=1)
        place = next((n for n, (a, b) in pairs if a != b), min(len(ours), len(theirs)) + 1)
        raise VectorError(
            f"{path}: case {place} is not that of its .json twin: one of the two files is damaged "
            f"or edited; {_REGENERATE}"
        )
    return text


def _cases(text: str) -> Iterator[list[str]]:
    lines = (line.split() for line in text.splitlines() if not line.startswith("//"))
    return (tokens for tokens in lines if tokens)


def _replace(target: Path, text: str) -> None:
    """Replace a file in one step: an interruption leaves the old text or the new one."""
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("ascii"))
        shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        raise VectorError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
