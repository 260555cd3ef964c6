"""The page, put together from a template, a style sheet, scripts and data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib import resources

from mxref import __version__
from mxref.show.html._colours import declarations
from mxref.show.html._data import data

__all__ = ["ARITHMETIC", "SCRIPTS", "arithmetic", "page"]

ARITHMETIC = (
    *("rational", "number", "ieee", "element", "rules", "scale"),
    *(
        "text",
        "input",
        "facts",
        "words-element",
        "words-reach",
        "words-scale",
        "words-cast",
        "explain",
    ),
)
"""The scripts that know nothing of a page, in the order in which they need each other."""

SCRIPTS = (
    *ARITHMETIC,
    *(
        "dom",
        "state",
        "view-bits",
        "view-line",
        "view-steps",
        "view-block",
        "view-policy",
        "show",
        "main",
    ),
)
"""All scripts."""


def page() -> str:
    """Return the explorer: one HTML file that needs nothing else.

    Returns
    -------
    str
        The page. Its address may end in a state, with the words of the command line:
        ``#f=e4m3&c=0x7e`` a code, ``#f=mxfp4&x=1.3,2&p=ocp:rounding=up`` numbers and a policy.

    Examples
    --------
    >>> text = page()
    >>> text.startswith("<!doctype html>"), "http-equiv" in text
    (True, True)
    """
    style = _filled(_read("style.css"), light=declarations("light"), dark=declarations("dark"))
    script = _as_script("\n".join(['"use strict";', _DATA, *map(_script, SCRIPTS)]))
    tables = json.dumps(data(), ensure_ascii=False, separators=(",", ":"))
    return _filled(
        _read("page.html"),
        version=__version__,
        style=style,
        script=script,
        data=_as_script(tables),
        # The page may run these two texts and nothing else, whatever a link brings along.
        **{"style-hash": _digest(style), "script-hash": _digest(script)},
    )


def arithmetic() -> str:
    """Return the scripts that compute, with their data, for whoever runs them without a page."""
    tables = json.dumps(data(), ensure_ascii=False)
    return "\n".join([f"const TABLES = {tables};", _NAMES, *map(_script, ARITHMETIC)])


_NAMES = "const { VERSION, IEEE, ELEMENTS, E8M0, BLOCKS, OCP, FIELDS, PROFILES, CLAUSES } = TABLES;"
_DATA = f'const TABLES = JSON.parse(document.getElementById("data").textContent);\n{_NAMES}'


def _filled(text: str, **parts: str) -> str:
    """Replace ``@@name@@`` by the part of that name, in one pass: parts are never looked into."""
    return re.sub(r"@@([a-z-]+)@@", lambda found: parts[found[1]], text)


def _digest(text: str) -> str:
    """Return how a Content-Security-Policy names a text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _as_script(text: str) -> str:
    """Keep text from ending the script element that it stands in."""
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")


def _script(name: str) -> str:
    return _read(f"js/{name}.js")


def _read(name: str) -> str:
    return resources.files("mxref.show.html").joinpath(name).read_text("utf-8")
