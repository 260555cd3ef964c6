"""Error messages that name what the user may have meant."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any, NoReturn

__all__ = ["nearest", "not_a_function", "shown", "unknown_name"]

_NEAR = 3  # names that a hint offers
_SHOWN = 60  # characters of a value that a message repeats
_PART = 3  # letters that make a part of a name worth looking for


def unknown_name(kind: str, given: object, known: Iterable[str]) -> str:
    """Say that a name is unknown, with the nearest known names first.

    Parameters
    ----------
    kind : str
        What the name was meant to be, such as ``"format"``.
    given : object
        What the user gave.
    known : iterable of str
        Every name that would have been accepted.

    Returns
    -------
    str
        One sentence that says what was given and what is accepted.

    Examples
    --------
    >>> unknown_name("format", "mxpf4", ["mxfp4", "mxint8"])
    "unknown format 'mxpf4': did you mean 'mxfp4'? Known: mxfp4, mxint8"
    """
    names = [str(name) for name in known]  # a member of an enumeration too
    near = nearest(given, names)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
    return f"unknown {kind} {given!r}: {hint}Known: {', '.join(names)}"


def nearest(given: object, known: Iterable[str]) -> list[str]:
    """Return the names that somebody may have meant, the likeliest first, three at most.

    A name that was begun and not finished comes first, then a part of one, then one with a few
    letters wrong.

    Examples
    --------
    >>> nearest("fp8", ["mxfp8_e4m3", "mxfp4", "nvfp4"])
    ['mxfp8_e4m3', 'nvfp4', 'mxfp4']
    """
    by_lower = {name.lower(): name for name in map(str, known)}
    text = str(given).strip().lower()
    begun = [name for name in by_lower if text and name.startswith(text)]
    parts = [name for name in by_lower if len(text) >= _PART and text in name]
    alike = difflib.get_close_matches(text, by_lower, _NEAR, 0.5)
    return [by_lower[name] for name in dict.fromkeys([*begun, *parts, *alike])][:_NEAR]


def shown(given: object) -> str:
    """Return what was given as a message repeats it: its type, and its text where that is short.

    Examples
    --------
    >>> shown(5), shown(None), shown(list(range(100)))
    ('int 5', 'None', 'list')
    """
    if given is None or isinstance(given, type):
        return str(given) if given is None else f"the type {given.__name__}"
    kind, text = type(given).__name__, repr(given)
    return f"{kind} {text}" if len(text) <= _SHOWN and "\n" not in text else kind


def not_a_function(module: str, advice: str) -> None:
    """Let a module that looks like a function say what to call instead.

    Parameters
    ----------
    module : str
        Its name in ``sys.modules``.
    advice : str
        What to call, a sentence without its period.
    """

    class _Module(ModuleType):
        def __call__(self, *_: Any, **__: Any) -> NoReturn:
            raise TypeError(f"{module} is a module, not a function: {advice}")

    sys.modules[module].__class__ = _Module
