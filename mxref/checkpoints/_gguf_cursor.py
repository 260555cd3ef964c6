"""A place in the header of a GGUF file: numbers and strings are read from here on, never beyond.

Each length that the header claims is compared with what is left of the file before anything is read
or reserved for it.
"""

from __future__ import annotations

import struct
from typing import Any, NoReturn

from mxref.checkpoints._file import RandomFile
from mxref.checkpoints._words import DAMAGED, quoted
from mxref.checkpoints.gguf_types import SCALARS, VALUE_TYPES
from mxref.checkpoints.store import CheckpointError

__all__ = ["LONGEST_HEADER", "GgufCursor"]

LONGEST_HEADER = 100_000_000
"""Bytes; the vocabulary of a large model takes some 20 millions."""

_WINDOW = 1 << 20
_DEEPEST = 8  # arrays in arrays; ggml reads none, so nobody writes them
_MOST_INNER = 1 << 16  # of them in a file


class GgufCursor:
    """A place in the header.

    Attributes
    ----------
    at : int
        The place, in bytes from the beginning of the file.
    order : str
        ``"<"`` or ``">"``.
    """

    def __init__(self, file: RandomFile) -> None:
        self.at = 0
        self.order = "<"
        self._file = file
        self._window = b""
        self._begin = 0
        self._n_inner = 0

    def refuse(self, problem: str, advice: str = DAMAGED) -> NoReturn:
        """Refuse the file."""
        raise CheckpointError(f"{self._file.path}: {problem}; {advice}")

    def require(self, count: int, what: str) -> None:
        """Require that the file goes on for so many bytes, and that the header may."""
        left = self._file.size - self.at
        if count > left:
            self.refuse(
                f"{what} takes {count} bytes from byte {self.at} on, and the file has only {left} "
                f"left: truncated, or its lengths are wrong",
                "fetch it again",
            )
        if self.at + count > LONGEST_HEADER:
            self.refuse(
                f"its header is longer than {LONGEST_HEADER} bytes (at {what})",
                "no real file needs as much, so it was written wrongly, or to do harm",
            )

    def take(self, count: int, what: str) -> bytes:
        """Read bytes."""
        self.require(count, what)
        offset = self.at - self._begin
        if offset + count > len(self._window):
            length = min(max(count, _WINDOW), self._file.size - self.at)
            self._window, self._begin, offset = self._file.read(self.at, length), self.at, 0
        self.at += count
        return self._window[offset : offset + count]

    def number(self, kind: str, what: str) -> Any:
        """Read a number of a kind in `SCALARS`."""
        code = self.order + SCALARS[kind]
        return struct.unpack(code, self.take(struct.calcsize(code), what))[0]

    def string(self, what: str) -> str:
        """Read a string."""
        length = self.number("UINT64", f"the length of {what}")
        data = self.take(length, what)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            return self.refuse(f"{what} is no UTF-8 (byte {data[error.start]:#04x}): {data[:40]!r}")

    def value(self, kind: int, key: str) -> tuple[str, Any]:
        """Read a value: (name of its type, value or, of an array, what it is in words)."""
        what = f"the value of {quoted(key)}"
        name = self._type(kind, what)
        if name == "ARRAY":
            return self._array(what, _DEEPEST)
        if name == "STRING":
            return name, self.string(what)
        return name, self.number(name, what)

    def _type(self, kind: int, what: str) -> str:
        if kind >= len(VALUE_TYPES):
            self.refuse(f"{what} has type {kind}; GGUF has 0 to {len(VALUE_TYPES) - 1}")
        return VALUE_TYPES[kind]

    def _array(self, what: str, depth: int) -> tuple[str, str]:
        """Step over an array; nobody here reads vocabularies."""
        if not depth:
            self.refuse(f"{what} is arrays in arrays, more than {_DEEPEST} deep")
        name = self._type(self.number("UINT32", what), what)
        count = self.number("UINT64", what)
        if name == "ARRAY":
            self._n_inner += count
            if self._n_inner > _MOST_INNER:
                self.refuse(f"{what} is arrays in arrays, more than {_MOST_INNER} of them")
            for _ in range(count):
                self._array(what, depth - 1)
        elif name == "STRING":
            self._step_over_strings(count, what)
        else:
            size = struct.calcsize(self.order + SCALARS[name]) * count
            self.require(size, what)
            self.at += size
        return f"ARRAY of {name}", f"{count} × {name}"

    def _step_over_strings(self, count: int, what: str) -> None:
        """Step over strings without reading them; a vocabulary has some hundred thousands."""
        self.require(8 * count, what)
        length = struct.Struct(self.order + "Q")
        done = 0
        while done < count:
            self.take(8, what)  # fills the window
            self.at -= 8
            window, begin, at = self._window, self._begin, self.at - self._begin
            last = len(window) - 8
            while at <= last and done < count:
                at += 8 + length.unpack_from(window, at)[0]
                done += 1
            self.require(begin + at - self.at, what)
            self.at = begin + at
