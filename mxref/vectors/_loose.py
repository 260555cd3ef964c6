"""Vector files as JSON, for the tools that look at files which `load` would refuse.

A formatter reads what is not canonical yet, a comparison reads sets of older versions. Both check
as much as `mxref.vectors.read` does, except for what they are there to change or to bridge.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mxref.vectors.model import (
    MX_SCHEMA_VERSION,
    FileEntry,
    Manifest,
    VectorError,
    VectorFile,
)
from mxref.vectors.read import _checked, _parse, _read, _vector_file
from mxref.vectors.schema import MANIFEST, VECTOR_FILE

__all__ = [
    "compact",
    "is_manifest",
    "read_json",
    "schema_version",
    "to_manifest",
    "to_vector_file",
    "vector_json",
    "vector_paths",
]

# JSON files of a set that hold no cases.
_OTHERS = {"manifest.json", "schema.json"}
_DIGESTS = "digests"


def vector_paths(root: Path, *, nested: bool = False) -> list[Path]:
    """Return the JSON vector files of a folder in order, or the one file that was given.

    A folder inside it with a manifest of its own (the core set) is another set, with cases that
    are in this one as well: it counts only where `nested` is asked for.

    Raises
    ------
    VectorError
        If there is nothing of that name, or the folder holds no vector file.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise VectorError(f"{root}: there is no such file or folder")
    others = () if nested else [m.parent for m in root.rglob("manifest.json") if m.parent != root]
    found = [
        path
        for path in sorted(root.rglob("*.json"))
        if path.name not in _OTHERS
        and path.relative_to(root).parts[0] != _DIGESTS
        and not any(path.is_relative_to(other) for other in others)
    ]
    if not found:
        raise VectorError(
            f"{root}: no vector file in this folder; `mxref vectors generate --directory {root}` "
            "writes a set"
        )
    return found


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; damage and truncation are VectorError."""
    return _parse(_read(path), path)


def schema_version(data: Any) -> int | None:
    """Return the schema version that a file declares, or None where it declares none."""
    version = data.get("schema") if isinstance(data, dict) else None
    return version if isinstance(version, int) and not isinstance(version, bool) else None


def is_manifest(data: Any) -> bool:
    """Whether this is meant to be a manifest rather than a vector file."""
    return isinstance(data, dict) and "files" in data and "cases" not in data


def vector_json(path: Path) -> dict[str, Any]:
    """Return a vector file as JSON of the right schema, whatever older version it is of.

    Its ``schema`` stays what the file says. The ids of clauses and policy fields are not looked up,
    since an older or newer set may have others.

    Raises
    ------
    VectorError
        If the file is damaged, is of a newer version, or breaks the schema.
    """
    data = read_json(path)
    version = schema_version(data)
    if version is None or not 1 <= version < MX_SCHEMA_VERSION:
        modern = data
    else:
        modern = {**data, "schema": MX_SCHEMA_VERSION}  # a version only adds operations
    try:
        _checked(modern, VECTOR_FILE)
    except ValueError as error:
        raise VectorError(f"{path}: {error}") from error
    checked: dict[str, Any] = data
    return checked


def to_vector_file(data: Any) -> VectorFile:
    """Return the vector file that JSON stands for; ValueError says what is wrong."""
    return _vector_file(_checked(data, VECTOR_FILE))


def to_manifest(data: Any) -> Manifest:
    """Return the manifest that JSON stands for; ValueError says what is wrong."""
    checked = _checked(data, MANIFEST)
    files = {name: FileEntry(**entry) for name, entry in checked["files"].items()}
    return Manifest(checked["set_version"], checked["provenance"]["version"], files)


def compact(value: Any) -> str:
    """Return one text for equal JSON values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
