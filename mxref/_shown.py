"""How results show themselves at a prompt and in a notebook: as the text that they print."""

from __future__ import annotations

import html

from mxref._styles import PRE

__all__ = ["Shown"]


class Shown:
    """A result whose ``repr`` is its text, since that is what a person at a prompt asks for.

    A data class needs ``repr=False``, or its own would win.

    Examples
    --------
    >>> class Answer(Shown):
    ...     def __str__(self) -> str:
    ...         return "1 < 2"
    >>> Answer()
    1 < 2
    >>> Answer()._repr_html_()[-15:]
    '>1 &lt; 2</pre>'
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text."""
        return str(self)

    def _repr_html_(self) -> str:
        return f'<pre style="{PRE}">{html.escape(str(self))}</pre>'
