"""JSON as strict as serde_json, which the package `safetensors` uses, one member at a time.

Python's own `json.loads` takes what others refuse (duplicate keys, NaN, lone surrogates), and turns
a hostile 100 MB into 2.4 GB of lists before anybody can look. Here an object is walked member by
member, and what a member may hold is bounded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed does not know it
from typing import Any, NoReturn

from mxref.checkpoints._words import quoted

__all__ = ["JsonCursor", "JsonError"]

SMALL, LARGE = 1 << 12, 1 << 20
"""Characters that are tried for one value, and the most that it may have."""

DEEPEST = 126
"""Levels of lists and objects in an entry; serde_json stops at 128 from the top."""

_SPACE = re.compile(r"[ \t\n\r]*")


class JsonError(ValueError):
    """Text that is no JSON, or none that a header may hold."""


class JsonCursor:
    """A place in a JSON text.

    Parameters
    ----------
    text : str
    what : str
        Name of the text in messages.
    """

    def __init__(self, text: str, what: str) -> None:
        self._text = text
        self._what = what
        self._at = 0

    def fail(self, problem: str) -> NoReturn:
        """Refuse the text, naming the place."""
        raise JsonError(f"{self._what} cannot be read: {problem} (at character {self._at})")

    def members(self) -> Iterator[str]:
        """Yield the keys of the object here; after each, the caller reads the value."""
        self._expect("{")
        seen: set[str] = set()
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            key = self.string()
            if key in seen:
                self.fail(f"it has the key {quoted(key)} twice")
            seen.add(key)
            self._expect(":")
            yield key
            if self._peek() != ",":
                break
            self._at += 1
        self._expect("}")

    def string(self) -> str:
        """Read a string."""
        self._expect('"')
        try:
            value, self._at = scanstring(self._text, self._at)
            value.encode()
        except json.JSONDecodeError as error:
            self._at = error.pos
            self.fail(error.msg)
        except UnicodeEncodeError:
            self.fail("a string with half of a surrogate pair")
        return str(value)

    def value(self) -> Any:
        """Read any value of at most 1 MiB."""
        self._peek()
        problem = ""
        for length in (SMALL, LARGE):
            piece = self._text[self._at : self._at + length]
            try:
                value, used = _DECODER.raw_decode(piece)
            except json.JSONDecodeError as error:
                problem = f"{error.msg}, {error.pos} characters further"
            except RecursionError:
                self.fail("lists within lists without end")
            except ValueError as error:  # of the hooks below
                problem = str(error)
            else:
                if used < len(piece) or self._at + used == len(self._text):
                    self._at += used
                    return value
                problem = "a value that ends nowhere"  # a number, cut
        cut = self._at + LARGE < len(self._text)
        return self.fail(problem + (", in a value that may have 1 MiB at most" if cut else ""))

    def peek(self) -> str:
        """Return the next character that is no space, or nothing at the end."""
        return self._peek()

    def end(self) -> None:
        """Require that nothing follows."""
        if self._peek():
            self.fail("there is more text after the end")

    def _peek(self) -> str:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _expect(self, character: str) -> None:
        found = self._peek()
        if found != character:
            self.fail(f"{found!r} instead of {character!r}" if found else "the text ends")
        self._at += 1


def require_modest(value: Any) -> None:
    """Refuse what serde_json would refuse in a value that nobody reads.

    Raises
    ------
    ValueError
        If it is nested too deeply, or holds half of a surrogate pair.
    """
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += any(isinstance(item, list | dict) for item in level)
        if depth > DEEPEST:
            raise ValueError("lists within lists, too deep")
        for item in level:
            if isinstance(item, str):
                _require_text(item)
        level = [
            inner
            for item in level
            if isinstance(item, list | dict)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]


def _require_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique: dict[str, Any] = {}
    for key, value in pairs:
        if key in unique:
            raise ValueError(f"it has the key {quoted(key)} twice")
        _require_text(key)
        unique[key] = value
    return unique


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not know")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:40]} out of range")
    return value


def _integer(text: str) -> int | float:
    if text == "-0" or len(text) > 300:
        return _float(text)
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_constant,
    parse_float=_float,
    parse_int=_integer,
)
