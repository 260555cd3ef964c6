"""Look at one code of a format, at several, or at a whole format.

The rules shown are those of the profile ``ocp`` (of the relatives: those of their own default
profile) unless a policy is given.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import SupportsIndex

from mxref._policy_base import Choices
from mxref.formats import BlockFormat
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.nvfp4_format import NVFP4Format
from mxref.show._asked import asked_for
from mxref.show._books import Book
from mxref.show._code_view import CodesView, CodeView, code_view
from mxref.show._errors import ArgumentError
from mxref.show._find import AnyFormat, any_format, book_of, find
from mxref.show._format_view import BDRView, BlockView, FormatView, NVFP4View
from mxref.show._takes import takes

__all__ = [
    "BDRView",
    "BlockView",
    "CodeView",
    "CodesView",
    "FormatView",
    "NVFP4View",
    "any_format",
    "show",
]

AnyView = CodeView | CodesView | FormatView | BlockView | NVFP4View | BDRView


def show(
    format: str | AnyFormat,  # noqa: A002 - the public name
    code: SupportsIndex | str | Iterable[SupportsIndex | str] | None = None,
    policy: Choices | str | None = None,
) -> AnyView:
    """Show a code of a format, several codes, or a whole format.

    Parameters
    ----------
    format : str or a format
        An element (``"e4m3"``), scale (``"e8m0"``, ``"ue4m3"``) or block format (``"mxfp4"``,
        ``"nvfp4"``), or a BDR format (``"mx9"``, ``"bdr:m=5,k1=16"``), whose codes are elements.
    code : int, str or several of them, optional
        The bit pattern, as an integer or as text such as ``"0x7e"``, ``"0b1111110"`` or ``"126"``.
        Without it the whole format is shown. MX formats and NVFP4 have no codes of their own.
    policy : Policy, NVFP4Policy, BDRPolicy or str, optional
        Whose rules say which numbers become a code, such as ``"ocp:rounding=toward-zero"``; of the
        kind that goes with the format. Default: ``ocp``, ``te-1d`` for ``"ue4m3"``, ``bdr-paper``.

    Returns
    -------
    CodeView, CodesView, FormatView, BlockView, NVFP4View or BDRView
        ``str()`` gives the text, ``to_dict()`` the same facts as data.

    Raises
    ------
    ValueError
        If the format or the policy is unknown, or the code does not exist in the format.
    TypeError
        If `format`, `code` or `policy` is of another type.

    Examples
    --------
    >>> show("e2m1", 0b0111)
    e2m1 code 0x7, 7 of 0..15
      bits       0 | 11 | 1   sign | exponent | mantissa
      class      normal  [MX-1.0/5.3/fp4]
      value      6 = +3*2^1 = +0b1.1*2^2
      position   value 7 above zero
      below      4 = code 0x6, gap 2
      above      none
      takes      (5, 7)   to nearest, ties to even  [OP-ELEM-ROUNDING]
                 [7, +inf)   by saturation  [MX-1.0/6.3/clamp]
      note       +Inf becomes this code [OP-INF-ELEMENT]
      note       NaN becomes this code [OP-NAN-ELEMENT]
    """
    found = find(format)
    if isinstance(found, BlockFormat | NVFP4Format):
        if code is not None or policy is not None:
            raise ValueError(_without_codes(found, "codes" if policy is None else "rounding"))
        return BlockView(found) if isinstance(found, BlockFormat) else NVFP4View(found)
    book = book_of(found) if isinstance(found, BDRFormat) else found
    chosen = book.get_policy(policy)
    asked = asked_for(policy, chosen)
    if code is None:
        taken = takes(book, chosen)
        views = tuple(
            code_view(book, c, chosen, taken.get(c, ()), asked) for c in range(book.code_count)
        )
        return BDRView(found, views) if isinstance(found, BDRFormat) else FormatView(book, views)
    if isinstance(code, str) or not isinstance(code, Iterable):
        return code_view(book, checked_code(book, code), chosen, asked=asked)
    several = [code_view(book, checked_code(book, one), chosen, asked=asked) for one in code]
    return CodesView(book.name, tuple(several))


def _without_codes(fmt: BlockFormat | NVFP4Format, what: str) -> str:
    scale = "ue4m3" if isinstance(fmt, NVFP4Format) else fmt.scale.name
    return (
        f"{fmt.name!r} is a block format without {what} of its own: show its element "
        f"{fmt.element.name!r} or its scale {scale!r}"
    )


def checked_code(book: Book, code: SupportsIndex | str) -> int:
    """Turn a code given as integer or text into an integer that exists in the format.

    Raises
    ------
    ValueError
        If it cannot be read, or is out of range.
    TypeError
        If it is no integer.
    """
    last = book.code_count - 1
    expected = f"codes of {book.name} are 0 to {last} (0x{last:x})"
    if isinstance(code, str):
        try:
            pattern = int(code, 0)
        except ValueError:
            what = f"cannot read {code!r} as a code; {expected}, written as 0x.., 0b.. or decimal"
            raise _no_code(what, book, "NUMBER") from None
    elif isinstance(code, bool):
        raise TypeError(f"a code is an integer, got {code!r}; {expected}")
    else:
        try:
            pattern = operator.index(code)
        except TypeError:
            raise TypeError(
                f"a code is an integer or text such as '0x7e', got {code!r}; to see how a number "
                "is encoded use mxref.explain"
            ) from None
    if not 0 <= pattern <= last:
        what = f"code {code} is out of range: {expected}"
        if -(last + 1) // 2 <= pattern < 0:
            what += f"; the pattern of {pattern} in two's complement is 0x{pattern & last:x}"
        raise _no_code(what, book, str(code))
    return pattern


def _no_code(what: str, book: Book, number: str) -> ArgumentError:
    """Refuse a code, and say where a number goes instead."""
    return ArgumentError(
        f"{what}; mxref.explain says how a number is encoded",
        f"{what}; to see how a number is encoded: mxref explain {number} {book.name}",
    )
