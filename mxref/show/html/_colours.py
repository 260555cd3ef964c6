"""The colours of the page: those of `mxref.show._paint`, shaded until they can be read.

A colour that is legible on white is not so on black. The hues are kept, and each is mixed with
black or white until its contrast with the background reaches that of WCAG 2.2 for text.
"""

from __future__ import annotations

import re

from mxref.show._paint import STYLES

__all__ = ["BACKGROUNDS", "CONTRAST", "contrast", "declarations"]

CONTRAST = 4.5
"""Success criterion 1.4.3 of WCAG 2.2, for text."""

BACKGROUNDS = {"light": ("#ffffff", "#f3f5f8"), "dark": ("#14171c", "#20252c")}
"""The page and its panels, by theme; style.css takes them from here."""

_HEX = re.compile(r"color:(#[0-9a-f]{6})")
_MEANINGS = (
    *("sign", "exponent", "mantissa", "scale", "guard"),
    *("saturated", "flushed", "nan", "good", "bad"),
)
_Colour = tuple[float, float, float]


def declarations(theme: str) -> str:
    """Return the custom properties of a theme, ``light`` or ``dark``, as CSS.

    Examples
    --------
    >>> declarations("light").splitlines()[:2]
    ['  --page: #ffffff;', '  --panel: #f3f5f8;']
    """
    page, panel = BACKGROUNDS[theme]
    lines = [f"--page: {page}", f"--panel: {panel}"]
    for name in _MEANINGS:
        found = _HEX.search(STYLES[name].css)
        if found is None:
            raise ValueError(f"the style {name!r} has no colour")
        lines.append(f"--c-{name}: {_legible(found[1], theme)}")
    return "\n".join(f"  {line};" for line in lines)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21.

    Examples
    --------
    >>> contrast("#000000", "#ffffff")
    21.0
    """
    low, high = sorted((_luminance(_read(one)), _luminance(_read(other))))
    return (high + 0.05) / (low + 0.05)


def _legible(colour: str, theme: str) -> str:
    """Return the nearest shade that can be read on the page and on its panels."""
    target = (0.0, 0.0, 0.0) if theme == "light" else (255.0, 255.0, 255.0)
    start = _read(colour)
    for percent in range(101):
        share = percent / 100
        mixed = [(1 - share) * a + share * b for a, b in zip(start, target, strict=True)]
        shade = "#" + "".join(f"{round(part):02x}" for part in mixed)
        if all(contrast(shade, back) >= CONTRAST for back in BACKGROUNDS[theme]):
            return shade
    raise AssertionError("black and white have contrast enough")  # pragma: no cover


def _read(colour: str) -> _Colour:
    red, green, blue = (float(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return red, green, blue


def _luminance(colour: _Colour) -> float:
    """Return the relative luminance of WCAG 2.2, from 0 to 1."""
    linear = [
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4
        for part in colour
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
