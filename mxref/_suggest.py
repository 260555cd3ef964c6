"""Error messages that name what the user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["unknown_name"]


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
    listing = ", ".join(names)
    by_lower = {n.lower(): n for n in names}
    near = [by_lower[n] for n in difflib.get_close_matches(str(given).lower(), by_lower, 3, 0.5)]
    hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
    return f"unknown {kind} {given!r}: {hint}Known: {listing}"
