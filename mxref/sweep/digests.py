"""Digest files: what a sweep gave, as 257 hashes that anybody can recompute.

``spec_vectors/digests`` holds one JSON file for each subject, and ``roots.json`` with the root of
each: 32 bytes to compare first. The README there is written for those who recompute them.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxref import __version__
from mxref.policy import Policy
from mxref.sweep.chunk import CHUNK, CHUNKS
from mxref.sweep.run import root_of
from mxref.sweep.subject import Subject

__all__ = ["ROOTS", "SCHEMA_TEXT", "DigestError", "DigestFile", "load", "load_roots", "write"]

ROOTS = "roots.json"
_SCHEMA_NAME = "schema.json"
_SCHEMA_VERSION = 1
_GENERATOR = "mxref.sweep"
_LICENSE = "CC0-1.0"
_HASH = "^[0-9a-f]{64}$"
_ADVICE = "restore the file, or write it anew with `mxref sweep --write DIRECTORY`"


class DigestError(ValueError):
    """A digest file that cannot be read, written or trusted; the message names it."""


@dataclass(frozen=True, slots=True)
class DigestFile:
    """The digests of one subject.

    Attributes
    ----------
    subject : Subject
        The cast.
    digests : tuple of str
        SHA-256 of each chunk, in hexadecimal.
    version : str
        Of the mxref that wrote the file.

    Examples
    --------
    >>> file = DigestFile(Subject.of("e2m1", "ocp:rounding=up"), ("00" * 32,) * 256)
    >>> file.command
    'mxref sweep e2m1 --policy ocp:rounding=up --write spec_vectors/digests'
    >>> file.name, file.root[:8]
    ('e2m1.up.json', '9f1dcbc3')
    """

    subject: Subject
    digests: tuple[str, ...]
    version: str = __version__

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{self.subject.name}.json"

    @property
    def root(self) -> str:
        """SHA-256 over the binary digests of all chunks, in hexadecimal."""
        return root_of(self.digests)

    @property
    def command(self) -> str:
        """The command that writes the file."""
        changes = self.subject.policy.diff(Policy())
        policy = "ocp" + ":" * bool(changes) + ",".join(f"{k}={v[0]}" for k, v in changes.items())
        return f"mxref sweep {self.subject.format} --policy {policy} --write spec_vectors/digests"

    @property
    def text(self) -> str:
        """The canonical text: one digest a line, so that a difference has a line number."""
        head = {
            "schema": _SCHEMA_VERSION,
            "license": _LICENSE,
            "operation": "encode",
            "source": "float32",
            "format": self.subject.format,
            "policy": self.subject.choices,
            "hash": "sha256",
            "chunk_size": CHUNK,
            "root": self.root,
            "provenance": {
                "generator": _GENERATOR,
                "version": self.version,
                "command": self.command,
            },
        }
        lines = [f'"{key}":{_json(value)},' for key, value in head.items()]
        chunks = ",\n".join(f'"{digest}"' for digest in self.digests)
        return "\n".join(["{", *lines, '"chunks":[', chunks, "]", "}", ""])


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_STRING = {"type": "string"}
_HEX = {"type": "string", "pattern": _HASH}
_MAP = {"type": "object", "additionalProperties": _STRING}
_COMMON = {"schema": {"const": _SCHEMA_VERSION}, "license": {"const": _LICENSE}}
SCHEMA_TEXT: str = (
    json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "mxref digests of all 2^32 float32 inputs: a digest file, or roots.json",
            "anyOf": [
                _object(
                    {
                        **_COMMON,
                        "operation": {"const": "encode"},
                        "source": {"const": "float32"},
                        "format": {"type": "string", "pattern": "^[a-z0-9]+$"},
                        "policy": _MAP,
                        "hash": {"const": "sha256"},
                        "chunk_size": {"const": CHUNK},
                        "root": _HEX,
                        "provenance": _object(
                            {"generator": _STRING, "version": _STRING, "command": _STRING}
                        ),
                        "chunks": {
                            "type": "array",
                            "items": _HEX,
                            "minItems": CHUNKS,
                            "maxItems": CHUNKS,
                        },
                    }
                ),
                _object({**_COMMON, "roots": {"type": "object", "additionalProperties": _HEX}}),
            ],
        },
        indent=2,
    )
    + "\n"
)
"""JSON Schema of the files, ``schema.json`` in their folder."""


def load(directory: str | os.PathLike[str], subject: Subject) -> DigestFile:
    """Read and check the digest file of a subject.

    Raises
    ------
    DigestError
        If it is missing, cannot be read, is damaged, or is of another subject.
    """
    path = Path(directory) / f"{subject.name}.json"
    text = _read(path)
    data = _parse(path, text)
    chunks, provenance = data.get("chunks"), data.get("provenance")
    if not isinstance(chunks, list) or not isinstance(provenance, dict):
        raise DigestError(f"{path}: no digest file: 'chunks' or 'provenance' is missing; {_ADVICE}")
    if len(chunks) != CHUNKS or not all(_is_hash(digest) for digest in chunks):
        raise DigestError(f"{path}: expected {CHUNKS} SHA-256 digests in 'chunks'; {_ADVICE}")
    stated = {"format": data.get("format"), "policy": data.get("policy")}
    if stated != {"format": subject.format, "policy": subject.choices}:
        raise DigestError(
            f"{path}: of another cast: {_json(stated)}; expected "
            f"{_json({'format': subject.format, 'policy': subject.choices})}"
        )
    found = DigestFile(subject, tuple(chunks), str(provenance.get("version")))
    if data.get("root") != found.root:
        raise DigestError(f"{path}: 'root' is not the hash of the chunks; {_ADVICE}")
    if text != found.text:
        raise DigestError(f"{path}: not as mxref writes it (fields, order, or blanks); {_ADVICE}")
    return found


def load_roots(directory: str | os.PathLike[str]) -> dict[str, str]:
    """Read ``roots.json`` and hold it against the files beside it.

    Returns
    -------
    dict of str to str
        Root of each subject by name.

    Raises
    ------
    DigestError
        If it cannot be read, or a file is missing from it or from the directory.
    """
    root = Path(directory)
    if not root.is_dir():
        raise DigestError(f"{root}: there is no such folder; `mxref sweep --write {root}` makes it")
    path = root / ROOTS
    text = _read(path)
    roots = _parse(path, text).get("roots")
    if not isinstance(roots, dict) or not all(map(_is_hash, roots.values())):
        raise DigestError(f"{path}: expected 'roots', a digest for each name; {_ADVICE}")
    if text != _roots_text(roots):
        raise DigestError(f"{path}: not as mxref writes it (fields, order, or blanks); {_ADVICE}")
    others = {ROOTS, _SCHEMA_NAME}
    names = {file.stem for file in root.glob("*.json") if file.name not in others}
    if odd := names ^ set(roots):
        where = "not listed" if min(odd) in names else "listed, but the file is missing"
        raise DigestError(f"{path}: {min(odd)}.json is {where}; {_ADVICE}")
    return roots


def write(directory: str | os.PathLike[str], file: DigestFile) -> None:
    """Write a digest file, ``roots.json`` with it, and the schema.

    Each appears complete or not at all.

    Raises
    ------
    DigestError
        If the directory cannot be written.
    """
    root = Path(directory)
    try:
        root.mkdir(parents=True, exist_ok=True)
        known = json.loads(_read(root / ROOTS))["roots"] if (root / ROOTS).exists() else {}
        _write(root / file.name, file.text)
        known[file.subject.name] = file.root
        kept = {name: digest for name, digest in known.items() if (root / f"{name}.json").exists()}
        _write(root / ROOTS, _roots_text(kept))
        _write(root / _SCHEMA_NAME, SCHEMA_TEXT)
    except OSError as error:
        raise DigestError(f"{error.filename or root}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DigestError(f"{root / ROOTS}: damaged: remove it and sweep everything") from error


def _roots_text(roots: dict[str, str]) -> str:
    lines = ",\n".join(f'"{name}":"{roots[name]}"' for name in sorted(roots))
    head = f'"schema":{_SCHEMA_VERSION},\n"license":"{_LICENSE}",\n"roots":{{\n'
    return "{\n" + head + lines + "\n}\n}\n"


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(_HASH, value) is not None


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("ascii")
    except FileNotFoundError:
        raise DigestError(
            f"{path}: there is no such file; `mxref sweep --write {path.parent}` writes it"
        ) from None
    except OSError as error:
        raise DigestError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DigestError(f"{path}: byte {error.start} is no ASCII; {_ADVICE}") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DigestError(f"{path}: damaged JSON: {error}; {_ADVICE}") from error
    if not isinstance(data, dict) or data.get("schema") != _SCHEMA_VERSION:
        raise DigestError(f"{path}: expected schema {_SCHEMA_VERSION} of mxref digests; {_ADVICE}")
    return data


def _write(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("ascii"))
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
