"""Words that the messages of all readers share."""

from __future__ import annotations

__all__ = ["DAMAGED", "displayed", "quoted", "shortened"]

DAMAGED = "the file is damaged or was written wrongly: fetch it again, or write it anew"
"""What to do about a file that contradicts itself."""


def quoted(name: str, most: int = 80) -> str:
    r"""Return a name as it can be printed: escaped, and cut if somebody made it huge.

    Examples
    --------
    >>> print(quoted("a.weight"), quoted("a" * 200, 9), quoted("nul" + chr(0)))
    'a.weight' 'aaaaaaaaa'... (200 characters) 'nul\x00'
    """
    return repr(name) if len(name) <= most else f"{name[:most]!r}... ({len(name)} characters)"


def displayed(name: str, most: int = 80) -> str:
    r"""Return a name for a table or a line of its own: as it is, unless it had to be `quoted`.

    Names come from files: they may hold escape sequences that rewrite the screen.

    Examples
    --------
    >>> print(displayed("a.weight"), displayed("red" + chr(27) + "[31m"))
    a.weight 'red\x1b[31m'
    """
    return name if name.isprintable() and len(name) <= most else quoted(name, most)


def shortened(value: object, most: int = 80) -> str:
    """Return the text of a value, cut if it is long; without the int that Python will not print."""
    try:
        text = str(value)
    except ValueError:  # an integer of more digits than Python converts
        return "a number of thousands of digits"
    return text if len(text) <= most else f"{text[:most]}..."
