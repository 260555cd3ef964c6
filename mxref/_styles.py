"""How each meaning looks, on a terminal and in HTML: the only place with colours of views.

It lies below everything, since arrays show themselves in notebooks as well as `mxref.show` does.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MONOSPACE", "PRE", "STYLES", "Style"]


class Style(NamedTuple):
    """How one meaning looks: SGR parameters of a terminal, and CSS declarations."""

    sgr: str
    css: str


# The sixteen colours of terminals keep to the user's own theme. The CSS colours have a contrast of
# 4.3 against white and against a notebook's dark grey (#111) alike; no colour has 4.4 against both.
STYLES = {
    "title": Style("1", "font-weight:bold"),
    "label": Style("2", "opacity:.75"),
    "clause": Style("2", "opacity:.75"),
    "sign": Style("31", "color:#d24b45"),
    "exponent": Style("34", "color:#2e7ebf"),
    "mantissa": Style("32", "color:#2c8a4b"),
    "scale": Style("35", "color:#a55eae"),
    "guard": Style("33", "color:#a0701b"),
    "round": Style("33", "color:#a0701b"),
    "sticky": Style("33", "color:#a0701b"),
    "amax": Style("1;4", "font-weight:bold;text-decoration:underline"),
    "saturated": Style("1;31", "color:#d24b45;font-weight:bold"),
    "flushed": Style("36", "color:#1c8686"),
    "nan": Style("1;35", "color:#a55eae;font-weight:bold"),
    "good": Style("32", "color:#2c8a4b"),
    "bad": Style("1;31", "color:#d24b45;font-weight:bold"),
}
"""Meaning -> looks. Add a meaning here; never write a colour anywhere else."""

MONOSPACE = "font-family:ui-monospace,Menlo,Consolas,monospace"
"""CSS of text in columns."""

PRE = f"{MONOSPACE};white-space:pre;overflow-x:auto;line-height:1.35"
"""CSS of a ``pre``: JupyterLab lets it inherit the font of prose, and breaks its lines."""
