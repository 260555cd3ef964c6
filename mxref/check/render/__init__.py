"""Reports for people and programs: text, terminal, JSON, JUnit, Markdown and HTML.

Everything is made from one `run.Run`. Names and messages may come from a target, so that each form
escapes whatever it shows.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mxref.check.render.run import Run

__all__ = ["FORMATS", "render"]

FORMATS = {
    "html": "html",
    "md": "markdown",
    "junit": "junit",
    "jsonl": "jsonlines",
    "json": "jsonlines",
    "txt": "text",
}
"""Name of each form on the command line, and the module that writes it."""


def render(run: Run, format: str) -> str:  # noqa: A002
    """Return a run in one of the `FORMATS`.

    Parameters
    ----------
    run : Run
    format : str
        One of `FORMATS`.

    Raises
    ------
    KeyError
        If there is no such form.
    """
    module = importlib.import_module(f"mxref.check.render.{FORMATS[format]}")
    text: str = getattr(module, f"{format}_of_run")(run)
    return text
