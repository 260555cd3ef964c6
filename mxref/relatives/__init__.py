"""The relatives of the MX formats: what they are and what is open about them, as data.

NVFP4 has a second, global scale and block scales in E4M3; BDR formats (MX9, MX6, MX4, MSFP, VSQ,
scaled integers and FP8) are points of one family. Their formats and policies lie here, below the
exact layer; ``mxref.nvfp4`` and ``mxref.bdr`` are what people import.
"""

from __future__ import annotations

from typing import Any, Literal

from mxref.relatives.bdr_formats import is_bdr_name
from mxref.relatives.nvfp4_format import NVFP4Format

__all__ = ["Family", "arguments_of", "family_of"]

Family = Literal["mx", "nvfp4", "bdr"]


def family_of(format: object) -> Family:  # noqa: A002  # the field's word
    """Which family a format, or the name of one, belongs to; unknown names count as MX.

    Examples
    --------
    >>> family_of("mxfp4"), family_of("NVFP4"), family_of("mx9")
    ('mx', 'nvfp4', 'bdr')
    """
    if isinstance(format, NVFP4Format):
        return "nvfp4"
    if isinstance(format, str) and format.strip().lower() == "nvfp4":
        return "nvfp4"
    return "bdr" if is_bdr_name(format) else "mx"


_OWNER: dict[str, Family] = {
    "block_size": "mx",
    "scale_random": "mx",
    "global_amax": "nvfp4",
    "global_scale": "nvfp4",
    "subscales": "bdr",
}
_FAMILIES: dict[Family, str] = {"mx": "MX formats", "nvfp4": "NVFP4", "bdr": "BDR formats"}


def arguments_of(format: object, **given: Any) -> dict[str, Any]:  # noqa: A002
    """Return the arguments that are not None; refuse those of another family than the format's.

    Raises
    ------
    TypeError
        If an argument belongs to another family.

    Examples
    --------
    >>> arguments_of("nvfp4", block_size=None, global_scale=0.5)
    {'global_scale': 0.5}
    """
    family = family_of(format)
    kept = {name: value for name, value in given.items() if value is not None}
    for name in kept:
        owner = _OWNER.get(name, family)
        if owner != family:
            called = getattr(format, "name", format)
            raise TypeError(f"{name} is for {_FAMILIES[owner]}, and {called} is none: leave it out")
    return kept
