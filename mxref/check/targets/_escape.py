"""Text that comes from a target, made fit to be shown.

A target may print anything: escape sequences that clear a terminal, a megabyte in one line, bytes
that are no text. What is quoted in a message is short and printable.
"""

from __future__ import annotations

__all__ = ["MOST_CHARACTERS", "escaped"]

MOST_CHARACTERS = 300
"""The longest text of a target that a message quotes."""

_KNOWN = {"\t": "\\t", "\r": "\\r", "\n": "\\n"}


def escaped(text: str | bytes, limit: int = MOST_CHARACTERS) -> str:
    r"""Return printable text of at most `limit` characters.

    Parameters
    ----------
    text : str or bytes
        Bytes are read as UTF-8; what is not stands as ``\x..``.
    limit : int
        Longer text keeps its beginning and ends with three dots.

    Examples
    --------
    >>> escaped("\x1b[2Jgone")
    '\\x1b[2Jgone'
    >>> escaped(b"text \xff\xfe", 7)
    'text...'
    """
    if isinstance(text, bytes):
        # No character takes more than four bytes, so that the cut is far behind the limit.
        text = text[: 4 * limit + 4].decode("utf-8", "backslashreplace")
    shown = "".join(map(_printable, text[: limit + 1]))
    return shown if len(shown) <= limit else shown[: max(0, limit - 3)] + "..."


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    if character in _KNOWN:
        return _KNOWN[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
