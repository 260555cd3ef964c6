"""Put the files of an export where they belong: nothing of others replaced, nothing half written.

Beside the files of an export lies its description, ``NAME.TO.json``, with their SHA-256. A file may
be replaced if its description there vouches for it, or if it already has the bytes to be written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mxref.vectors import _atomic
from mxref.vectors.export._table import Table
from mxref.vectors.model import VectorError, sha256

__all__ = ["EXPORTER", "described", "write"]

EXPORTER = "mxref.vectors.export"
"""How a description says who wrote it."""


def described(
    table: Table, to: str, files: Mapping[str, bytes], fields: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the files of an export with their description, which comes last."""
    description = {
        "exporter": EXPORTER,
        "to": to,
        **table.description,
        **fields,
        "files": {
            name: {"sha256": sha256(data), "size": len(data)} for name, data in files.items()
        },
    }
    text = json.dumps(description, indent=1, ensure_ascii=True) + "\n"
    return {**files, f"{table.name}.{to}.json": text.encode("ascii")}


def write(directory: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write the files of one export, the description last.

    Raises
    ------
    VectorError
        Before anything is written, if a file stands in the way that no export wrote or that was
        changed since; or if the directory cannot be written.
    """
    if directory.exists() and not directory.is_dir():
        raise VectorError(f"{directory} is no directory: give a directory for the exported files")
    *names, own = files
    vouched = _vouched(directory / own)
    for name in (*names, own):
        target = directory / name
        if not target.exists() or (name == own and vouched is not None):
            continue
        found = target.read_bytes() if target.is_file() else None
        if found == files[name]:
            continue
        if found is None or (vouched or {}).get(name) != sha256(found):
            raise VectorError(
                f"{target} was not written by {EXPORTER}, or was changed since, and will not be "
                "replaced: move it away, or give another directory"
            )
    return [_write(directory / name, files[name]) for name in (*names, own)]


def _vouched(description: Path) -> dict[str, str] | None:
    """SHA-256 of the files that a description lists; None where it is not one of ours."""
    try:
        data = json.loads(description.read_bytes())
        if data["exporter"] != EXPORTER:
            return None
        return {name: entry["sha256"] for name, entry in data["files"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _write(target: Path, data: bytes) -> Path:
    _atomic.write(target, data)
    return target
