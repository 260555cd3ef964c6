"""Writing the page to a file, and the address at which it opens."""

from __future__ import annotations

from pathlib import Path
from typing import SupportsIndex
from urllib.parse import quote

from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import get_policy
from mxref.show.codes import CodeView, any_format, show
from mxref.show.html._page import page

__all__ = ["FILE", "address", "write_page"]

FILE = "mxref-explorer.html"
"""The name of the page where none is given."""


def address(
    format: str | None = None,  # noqa: A002 - as in `show`
    code: SupportsIndex | str | None = None,
    policy: str | None = None,
) -> str:
    """Return what follows the address of the page, so that it opens at a format or a code.

    Parameters
    ----------
    format : str, optional
        A block, element or scale format of OCP MX.
    code : int or str, optional
        A code of an element or scale format.
    policy : str, optional
        A profile, or ``"profile:field=choice,..."``; default ``ocp``.

    Raises
    ------
    ValueError
        If the format is unknown to the page, or has no such code; if there is no such policy.

    Examples
    --------
    >>> address("e4m3", 126), address("mxfp4", policy="ocp:rounding=up"), address()
    ('#f=e4m3&c=0x7e', '#f=mxfp4&p=ocp:rounding=up', '')
    """
    parts = []
    if format is not None:
        fmt = _format_of_page(format)
        parts.append(f"f={quote(fmt.base if isinstance(fmt, BlockFormat) else fmt.name)}")
        if code is not None:
            view = show(fmt, code)  # refuses a code of a block format
            if isinstance(view, CodeView) and not isinstance(fmt, BlockFormat):
                parts.append(f"c=0x{view.code:0{-(-fmt.bits // 4)}x}")
    if policy is not None:
        get_policy(policy)
        parts.append(f"p={quote(policy, safe=':=,')}")
    return f"#{'&'.join(parts)}" if parts else ""


def write_page(
    file: str = FILE,
    format: str | None = None,  # noqa: A002 - as in `show`
    code: SupportsIndex | str | None = None,
    policy: str | None = None,
) -> str:
    """Write the explorer to a file and return its address, ready for a browser.

    Parameters
    ----------
    file : str
        Where to write; ``"-"`` writes nothing and returns the page itself.
    format, code, policy : optional
        What the page opens at, as `address` takes it.

    Raises
    ------
    ValueError
        If `address` refuses the rest, or `file` is the name of a format.
    OSError
        If the file cannot be written.
    """
    where = address(format, code, policy)
    if file == "-":
        return page()
    if "." not in file and _is_format(file):
        raise ValueError(
            f"--html takes the name of a file, and {file!r} is a format; "
            f"write: mxref show {file} --html"
        )
    path = Path(file).resolve()
    path.write_text(page(), encoding="utf-8")
    return path.as_uri() + where


def _format_of_page(name: str) -> ElementFormat | ScaleFormat | BlockFormat:
    """Look up a format that the page has; one that only `show` has is refused in so many words."""
    try:
        return any_format(name)
    except ValueError:
        show(name)  # what nobody knows ends here
        raise ValueError(
            f"the explorer has the OCP MX formats, their elements and e8m0, not {name!r}; "
            f"mxref show {name} prints it"
        ) from None


def _is_format(name: str) -> bool:
    try:
        show(name)
    except ValueError:
        return False
    return True
