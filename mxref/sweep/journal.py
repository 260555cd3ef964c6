"""The file that makes a sweep resumable: a line for each finished chunk.

Lines are appended whole. What a killed process left of its last line is cut off; a line that is
damaged in any other way is refused, and so is a file of other kernels, another Numba or another
mxref: their digests would say nothing about these.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from mxref.kernels._jit import cache_directory
from mxref.sweep.chunk import CHUNKS, ChunkResult

__all__ = ["Journal", "JournalError"]

_KEYS = {"subject": str, "chunk": int, "digest": str, "oracle": bool}
_DIGEST = re.compile(r"[0-9a-f]{64}")


class JournalError(ValueError):
    """A file that cannot be resumed; the message says what to do."""


class Journal:
    """Finished chunks of sweeps, in memory and in a file.

    Parameters
    ----------
    path : path
        Created where it does not exist.
    oracle : bool
        Whether to leave out chunks that no oracle confirmed.

    Raises
    ------
    JournalError
        If the file cannot be read or written, is damaged, or is not of this state of mxref.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "state"
    >>> Journal(path).add("e2m1.nearest-even", ChunkResult(7, "00" * 32), oracle=True)
    >>> Journal(path, oracle=True).digest_of("e2m1.nearest-even", 7) == "00" * 32
    True
    """

    def __init__(self, path: str | os.PathLike[str], *, oracle: bool = False) -> None:
        self._path = Path(path)
        self._done: dict[tuple[str, int], str] = {}
        try:
            if not self._path.exists() or not self._path.stat().st_size:
                self._append({"state": _state()})
                return
            lines = self._whole_lines()
        except OSError as error:
            raise JournalError(f"{self._path}: {error.strerror or error}") from error
        if not lines or self._parsed(1, lines[0]).get("state") != _state():
            raise JournalError(
                f"{self._path}: not of this mxref, with these kernels and this Numba "
                f"({_state()}): remove the file, or name another"
            )
        for number, line in enumerate(lines[1:], start=2):
            entry = self._entry(number, line)
            if entry["oracle"] or not oracle:
                self._done[entry["subject"], entry["chunk"]] = entry["digest"]

    def digest_of(self, subject: str, chunk: int) -> str | None:
        """Return the digest of a finished chunk, or None."""
        return self._done.get((subject, chunk))

    def add(self, subject: str, result: ChunkResult, *, oracle: bool) -> None:
        """Remember a chunk; one with a difference is left out, to be looked at again.

        Raises
        ------
        JournalError
            If the file cannot be written.
        """
        if result.wrong:
            return
        entry = {"subject": subject, "chunk": result.chunk, "digest": result.digest}
        try:
            self._append({**entry, "oracle": oracle})
        except OSError as error:
            raise JournalError(f"{self._path}: {error.strerror or error}") from error

    def _append(self, entry: dict[str, Any]) -> None:
        line = (json.dumps(entry) + "\n").encode("ascii")
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line)  # one call, so that two sweeps never mix their lines
        finally:
            os.close(handle)

    def _whole_lines(self) -> list[str]:
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self._path, whole)
        if not whole:
            self._append({"state": _state()})
            return [json.dumps({"state": _state()})]
        return data[:whole].decode("ascii", "replace").splitlines()

    def _parsed(self, number: int, line: str) -> dict[str, Any]:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            raise self._damaged(number, line)
        return entry

    def _entry(self, number: int, line: str) -> dict[str, Any]:
        entry = self._parsed(number, line)
        if (
            {key: type(value) for key, value in entry.items()} != _KEYS
            or not 0 <= entry["chunk"] < CHUNKS
            or not _DIGEST.fullmatch(entry["digest"])
        ):
            raise self._damaged(number, line)
        return entry

    def _damaged(self, number: int, line: str) -> JournalError:
        shown = line if len(line) <= 60 else line[:57] + "..."
        return JournalError(
            f"{self._path}: line {number} is damaged: {shown!r}; delete the line and its chunk "
            "is swept again, or remove the file"
        )


def _state() -> str:
    return cache_directory().name
