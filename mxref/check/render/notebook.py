"""A report for notebooks: the parts of the HTML page, with their styles in place.

Notebooks drop style sheets of others, and their pages may be light or dark: the classes of the page
become ``style=`` here, in colours that both can carry. What acts (scripts, requests) the page does
not have in the first place.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from html.parser import HTMLParser

from mxref._styles import MONOSPACE, PRE, STYLES
from mxref.check.render import _words as words
from mxref.check.render import html as page
from mxref.check.report import Report

__all__ = ["fragment", "with_styles"]


def _colour(meaning: str) -> str:
    found = re.search(r"color:(#[0-9a-f]+)", STYLES[meaning].css)
    assert found is not None  # noqa: S101  # of a meaning that has a colour
    return found[1]


_TONES = {
    "good": _colour("good"),
    "bad": _colour("bad"),
    "odd": _colour("nan"),
    "idle": _colour("guard"),
    "next": _colour("exponent"),
}
_FIELDS = {"s": "sign", "e": "exponent", "m": "mantissa", "x": "guard", "u": "scale"}
_SHADE = re.compile("c[0-5]")
_SHARES = (0.0, 0.3, 0.45, 0.6, 0.8, 1.0)  # opacity of the shades of the mismatch map
_FAINT = "rgba(128,128,128,.12)"
_EDGE = "rgba(128,128,128,.4)"
_TOP = f"border-top:1px solid {_EDGE}"
_DIM = STYLES["label"].css
_BOX = "margin:0 0 8px;padding:8px 12px;border-radius:6px;border-left:4px solid"

_CELL = re.compile(
    r'<rect class="c(?P<shade>[1-5])" x="(?P<x>\d+)" y="(?P<y>\d+)" width="(?P<wide>\d+)" '
    r'height="(?P<high>\d+)"><title>[^<]*</title></rect>'
)
_MOST_CELLS = 200  # of a map, that each say where they lie; more are drawn as one path a shade

# What the page's style sheet says of a class, in short; later ones win.
_CLASSES = {
    "dim": f"{_DIM};font-weight:normal",
    "cause": f"{_BOX};background:{_FAINT}",
    "place": _BOX,
    "todo": "margin:4px 0 0",
    "facts": "display:grid;grid-template-columns:max-content 1fr;gap:3px 14px;margin:10px 0 0",
    "scroll": "overflow-x:auto",
    "witness": f"margin:8px 0;padding:8px 12px;border:1px solid {_EDGE};border-radius:6px",
    "where": f"margin:0 0 6px;{_DIM};{MONOSPACE}",
    "bits": (
        "display:grid;grid-template-columns:max-content max-content 1fr;gap:8px 16px;"
        "align-items:center;overflow-x:auto"
    ),
    "bitrow": "display:contents",
    "boxes": f"display:flex;flex-wrap:wrap;gap:4px 6px;{MONOSPACE}",
    "f": "display:inline-flex;border-radius:3px;color:#fff;padding:2px 0",
    "d": (
        "background:#fff;color:#111;font-weight:bold;text-decoration:underline;margin:0 2px;"
        "border-radius:2px"
    ),
    "swatch": (
        "display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 5px 0 12px;"
        "vertical-align:-1px"
    ),
    "ring": "background:#fff;border:1px solid #888;box-sizing:border-box",
    "shades": "display:block;margin-top:4px",
    "slot": f"fill:{_FAINT}",
    "bar": f"fill:{_colour('bad')}",
    **{name: f"border-color:{colour}" for name, colour in _TONES.items()},
    **{name: f"background:{_colour(meaning)}" for name, meaning in _FIELDS.items()},
}
_TAGS = {
    "a": f"color:{_colour('exponent')}",
    "details": "margin:10px 0 0",
    "summary": "cursor:pointer",
    "h3": f"font-size:1.05em;font-weight:bold;margin:14px 0 6px;padding-top:10px;{_TOP}",
    "p": "margin:0 0 4px",
    "i": "font-style:normal;width:1.25em;text-align:center",
    "dt": f"margin:0;float:none;width:auto;font-weight:normal;{_DIM}",
    "dd": "margin:0;overflow-wrap:anywhere",
    "ul": "margin:0;padding-left:20px",
    "figure": "margin:8px 0",
    "figcaption": f"margin-top:6px;font-size:.9em;{_DIM}",
    "table": "table-layout:auto;border-collapse:collapse;margin:0",
    "th": f"text-align:left;padding:4px 14px 4px 0;{_DIM}",
    "td": "text-align:left;vertical-align:top;padding:4px 14px 4px 0",
    "svg": "max-width:100%;height:auto;display:block",
    "pre": PRE,
    "text": "font:11px sans-serif;fill:currentColor;text-anchor:middle",
    "code": "background:none",
}


def fragment(report: Report) -> str:
    """Return a report for a notebook: the diagnosis and its evidence, and the rest folded.

    Examples
    --------
    >>> from mxref.check.parts import Mismatches, Verdict
    >>> none = Mismatches(0, 0, 0, 0)
    >>> report = Report("encode", "e4m3", Verdict.NOT_TESTABLE, None, None, (), none)
    >>> "Not testable" in fragment(report)
    True
    """
    tone = _TONES[page.tone_of(report)]
    word = _text(str(report.verdict).capitalize().replace("-", " "))
    about = _text(f"{report.op} {report.format}: {words.meaning(report)}")
    parts = [
        f'<div style="{_BOX};border-color:{tone};background:{_FAINT}">',
        f'<b style="font-size:1.3em;color:{tone}">{word}</b><p>{about}</p></div>',
        *page.diagnosis(report),
    ]
    shown, folded = report.findings[:1], report.findings[1:]
    for finding in shown:
        parts += page.evidence(finding, report.format)
    parts += page.first_mismatch(report)
    rest = [part for finding in folded for part in page.evidence(finding, report.format)]
    rest += page.details(report)
    if rest:
        is_short = not report.findings  # nothing else says where to look
        parts += [f"<details{' open' * is_short}><summary>More</summary>", *rest, "</details>"]
    body = with_styles(parts)
    return f'<div class="mxref" style="max-width:960px;line-height:1.4">{body}</div>'


def with_styles(parts: Iterable[str]) -> str:
    """Return HTML in which classes have become styles.

    Examples
    --------
    >>> with_styles(['<p class="todo">1 &lt; 2</p>'])
    '<p style="margin:4px 0 0">1 &lt; 2</p>'
    """
    styler = _Styler()
    styler.feed(_smaller("".join(parts)))
    styler.close()
    return "".join(styler.made)


def _smaller(given: str) -> str:
    """Draw a map of many cells as paths: a notebook keeps what it shows in its file."""
    cells = list(_CELL.finditer(given))
    if len(cells) <= _MOST_CELLS:
        return given
    drawn: dict[str, list[str]] = {}
    for cell in cells:
        x, y, wide, high = cell.group("x", "y", "wide", "high")
        drawn.setdefault(cell["shade"], []).append(f"M{x} {y}h{wide}v{high}h-{wide}z")
    paths = "".join(
        f'<path class="c{shade}" d="{"".join(steps)}"/>' for shade, steps in drawn.items()
    )
    return given[: cells[0].start()] + paths + _CELL.sub("", given[cells[0].start() :])


class _Styler(HTMLParser):
    """Write HTML again as it is read, styles in place of classes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.made: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write a tag with its style."""
        given = dict(attrs)
        classes = (given.pop("class", None) or "").split()
        given.pop("id", None)  # two reports in one notebook would share it
        styles = [] if tag in _TAGS and set(classes) & _OWN else [_TAGS.get(tag, "")]
        styles += [self._class(tag, name) for name in classes]
        style = ";".join(filter(None, styles))
        written = [f' {_ATTRIBUTES.get(k, k)}="{html.escape(v or "")}"' for k, v in given.items()]
        if style:
            written.append(f' style="{style}"')
        self.made.append(f"<{tag}{''.join(written)}>")

    def _class(self, tag: str, name: str) -> str:
        if _SHADE.fullmatch(name):
            return _shade(int(name[1:]), "fill" if tag in {"rect", "path"} else "background")
        return _CLASSES.get(name, "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an empty element of a picture."""
        self.handle_starttag(tag, attrs)
        self.made[-1] = f"{self.made[-1][:-1]}/>"

    def handle_endtag(self, tag: str) -> None:
        """Write the end of an element."""
        self.made.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Write text; a bracket in it can only be one that stood alone."""
        self.made.append(data.replace("<", "&lt;").replace(">", "&gt;"))

    def handle_entityref(self, name: str) -> None:
        """Write a character by name."""
        self.made.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """Write a character by number."""
        self.made.append(f"&#{name};")


_OWN = {"todo", "where", "witness"}
"""Classes whose style stands in place of that of the tag."""
_ATTRIBUTES = {"viewbox": "viewBox"}  # the parser writes names small, and SVG minds


def _shade(number: int, what: str) -> str:
    opacity = "fill-opacity" if what == "fill" else "opacity"
    return f"{what}:{_colour('bad')};{opacity}:{_SHARES[number]}" if number else f"{what}:{_FAINT}"


def _text(text: str) -> str:
    return html.escape(words.visible(text))
