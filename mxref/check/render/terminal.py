"""A report for a terminal: the plain text with colours that say what is what.

The words and the layout are those of `text`, so that what a person pastes elsewhere stays the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.text import Text

from mxref.check.parts import Verdict, Witness
from mxref.check.render.bits import bit_rows
from mxref.check.render.text import bit_lines, lines, more_lines
from mxref.check.report import Report

__all__ = ["FIELD_STYLES", "VERDICT_STYLES", "styled", "styled_bits", "styled_more"]

VERDICT_STYLES = {
    Verdict.CONFORMS: "green",
    Verdict.CONFORMS_AS: "cyan",
    Verdict.DEFECT: "bold red",
    Verdict.UNEXPLAINED: "bold magenta",
    Verdict.NOT_TESTABLE: "yellow",
}
FIELD_STYLES = {"sign": "bold red", "exponent": "bold bright_blue", "mantissa": "bold green"}

_HEAT = {".": "dim", "#": "bold red"} | dict.fromkeys("1234", "yellow")
_HEAT |= dict.fromkeys("56789", "red")
_BITS = re.compile(r"^    (?P<role>input|scale|got|expected) +(?P<bits>[01|]+)(?P<rest>.*)$")
_CARETS = re.compile(r"^ {14,}[\^ ]+$")
_CELLS = re.compile(r"^    [.1-9#]+$")
_LABEL = re.compile(r"^(?P<label>(?:  )?[a-z][a-z ]{0,9}) {2,}")
_URL = re.compile(r"https?://\S+")
_CAUSE = re.compile(r"^cause {7}(?P<says>\S+ is .*?:)")


def styled(report: Report) -> Text:
    """Return a report as rich text; its plain text is that of ``str(report)``.

    Examples
    --------
    >>> from mxref.check.parts import Mismatches
    >>> none = Mismatches(0, 0, 0, 0)
    >>> report = Report("encode", "e4m3", Verdict.NOT_TESTABLE, None, None, (), none)
    >>> styled(report).plain == str(report)
    True
    """
    return Text("\n").join(_styled_lines(lines(report), report))


def styled_more(report: Report) -> Text:
    """Return what there is to know beside the causes; empty where there is nothing."""
    shown = list(more_lines(report))[1:]
    return Text("\n").join(_styled_lines(iter(shown), report, first=1))


def styled_bits(witness: Witness, format: str) -> Text:  # noqa: A002
    """Return the numbers of a witness bit by bit."""
    shown = [Text(line.rstrip()) for line in bit_lines(bit_rows(witness, format))]
    for text in shown:
        _colour(text, text.plain, "")
    return Text("\n").join(shown)


def _styled_lines(source: Iterator[str], report: Report, first: int = 0) -> Iterator[Text]:
    tone = VERDICT_STYLES[report.verdict]
    if report.verdict is Verdict.CONFORMS_AS and not report.ok:
        tone = "yellow"  # legal, but another policy was asked for
    for number, line in enumerate(source, start=first):
        text = Text(line.rstrip())
        if number == 0:
            text.stylize(tone, 0, len(report.verdict))
        elif line.startswith("="):
            text.stylize(tone)
        elif line and line[0] not in "- " and not _LABEL.match(line):
            text.stylize("bold")
        else:
            _colour(text, line, tone)
        yield text


def _colour(text: Text, line: str, tone: str) -> None:
    bits = _BITS.match(line)
    if bits:
        _colour_bits(text, bits)
        return
    if _CARETS.match(line):
        text.stylize("bold yellow")
        return
    if _CELLS.match(line):
        for at, letter in enumerate(line):
            if letter != " ":
                text.stylize(_HEAT[letter], at, at + 1)
        return
    label = _LABEL.match(line)
    if label:
        text.stylize("bold" if label["label"].strip() == "to do" else "dim", *label.span("label"))
    cause = _CAUSE.match(line)
    if cause:
        text.stylize(tone, *cause.span("says"))
    for url in _URL.finditer(line):
        text.stylize("blue", *url.span())


def _colour_bits(text: Text, bits: re.Match[str]) -> None:
    text.stylize("dim", *bits.span("role"))
    text.stylize("dim", *bits.span("rest"))
    fields, start = bits["bits"].split("|"), bits.start("bits")
    names = ["sign", "exponent", "mantissa"] if len(fields) == 3 else ["exponent"] * len(fields)
    for name, field in zip(names, fields, strict=True):
        text.stylize(FIELD_STYLES[name], start, start + len(field))
        start += len(field) + 1
