"""What of an output is done: a line for each finished slice, in the folder where it grows.

The first line says what the work is: a run goes on only with the same work. A slice's line carries
a checksum of what was written, which is read back before anyone relies on it: after a crash of the
machine a file may lack what its journal promises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mxref.checkpoints.store import CheckpointError

__all__ = ["Done", "Journal"]

Done = dict[str, Any]
"""A line: number of the unit, checksums by role, and what was counted."""

_DIGESTS = ("source header", "output")

_TYPES = {"unit": int, "crc": dict, "nan": int, "inf": int, "nan_scales": int, "first": list}


class Journal:
    """The lines of a journal, in memory and on the disk.

    Parameters
    ----------
    path : Path
        Exists, and is held by this run.
    work : mapping of str to str
        What is to be done, by the words that a person would use.

    Attributes
    ----------
    done : dict of int to dict
        Finished units, by number.

    Raises
    ------
    CheckpointError
        If the journal is of other work; the message says what differs.
    """

    def __init__(self, path: Path, work: Mapping[str, str]) -> None:
        self.done: dict[int, Done] = {}
        self._path = path
        data = path.read_bytes()
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        begun = _parsed(lines[0]) if lines else None
        self._file = path.open("r+b", buffering=0)
        if begun is None:
            self._file.truncate(0)
            self._append({"mxref": 1, "work": dict(work)})
            return
        self._compare(begun.get("work"), work)
        good = len(lines[0]) + 1
        for line in lines[1:]:  # up to what a killed run, or a full disk, left of its last line
            entry = _parsed(line)
            if entry is None or not _is_done(entry):
                break
            self.done[entry["unit"]] = entry
            good += len(line) + 1
        self._file.truncate(good)
        self._file.seek(good)

    def _compare(self, begun: Any, work: Mapping[str, str]) -> None:
        if not isinstance(begun, dict):
            begun = {}
        keys = [key for key, value in work.items() if begun.get(key) != value]
        # Digests follow from the rest and say little to a person: only where nothing else differs.
        telling = [key for key in keys if key not in _DIGESTS] or keys
        differs = [f"{k} was {begun.get(k, 'not known')}, now {work[k]}" for k in telling]
        if differs:
            self._file.close()
            raise CheckpointError(
                f"{self._path.parent}: was begun by another command ({'; '.join(differs)}); "
                f"run that command again to finish it, or restart (--restart) to throw it away"
            )

    def add(self, entry: Done) -> None:
        """Remember a finished unit."""
        self._append(entry)
        self.done[entry["unit"]] = entry

    def forget(self, unit: int) -> None:
        """Leave a unit out, to be done again; its line stays, and a later one counts."""
        self.done.pop(unit, None)

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.write((json.dumps(entry, separators=(",", ":")) + "\n").encode("ascii"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _parsed(line: bytes) -> Done | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _is_done(entry: Done) -> bool:
    return all(isinstance(entry.get(key), kind) for key, kind in _TYPES.items())
