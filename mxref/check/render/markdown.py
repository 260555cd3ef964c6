"""Markdown for the summary of a CI job: verdicts as a table, then what was found."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from mxref import __version__
from mxref.check.parts import Finding, Verdict, Witness
from mxref.check.render import _sums as sums
from mxref.check.render import _words as words
from mxref.check.render.bits import bit_rows
from mxref.check.render.maps import LEGEND, lane_letters, letter_extent, map_letters
from mxref.check.render.run import Result, Run
from mxref.check.render.text import bit_lines
from mxref.check.report import Report

__all__ = ["escaped", "md_of_run"]

_MARKS = {
    Result.PASSED: "✅",
    Result.FAILED: "❌",
    Result.ERROR: "⚠️",
    Result.SKIPPED: "⏭️",
}
_SPECIAL = re.compile(r"([\\`*_\[\]|~#!])")
_AT_START = re.compile(r"^([-+=]|\d+(?=[.)]))")
_LINK = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+")


def escaped(text: str) -> str:
    r"""Return text that Markdown and the HTML in it show as it is.

    Examples
    --------
    >>> print(escaped("a|b <i> `x` *y* @z"))
    a\|b &lt;i&gt; \`x\` \*y\* &#64;z
    """
    safe = _SPECIAL.sub(r"\\\1", words.visible(text))
    safe = html.escape(safe, quote=False)
    # Neither a link nor a mention is what the text of a target should make.
    safe = safe.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")
    return _AT_START.sub(lambda found: _reference(found.group()), safe)


def _reference(text: str) -> str:
    return "".join(f"&#{ord(character)};" for character in text)


def md_of_run(run: Run) -> str:
    """Return a run as GitHub-flavoured Markdown."""
    return "\n".join(_run_lines(run)) + "\n"


def _run_lines(run: Run) -> Iterator[str]:
    mark = "✅" if run.ok else "❌"
    comes_to = "conforms" if run.ok else "does not conform"
    if run.ok and run.expected:
        comes_to = "has the expected defects, no more"
    yield f"## {mark} {escaped(run.title)} {comes_to}"
    yield ""
    asked = f"policy asked for: {escaped(run.asked)}" if run.asked else "no policy asked for"
    yield f"{words.tally(run)}; {asked}; mxref {__version__}."
    yield ""
    yield "| | operation | format | verdict | what |"
    yield "|---|---|---|---|---|"
    for entry in run.entries:
        what = escaped(words.in_short(entry))
        cells = (
            _MARKS[run.result(entry)],
            escaped(entry.op),
            escaped(entry.format),
            entry.label,
            what,
        )
        yield f"| {' | '.join(cells)} |"
    for entry in sorted(run.entries, key=words.is_fine):
        if entry.report is not None and words.tells_more(entry.report):
            yield ""
            yield from _report(entry.report)


def _report(report: Report) -> Iterator[str]:
    name = escaped(f"{report.op} {report.format}")
    yield f"### {name}: {report.verdict}, {words.meaning(report)}"
    yield ""
    if report.trouble is not None:
        yield f"**{escaped(report.trouble.kind)}**: {escaped(report.trouble.text)}"
        yield ""
    for finding in report.findings:
        yield from _finding(finding, report.format)
    repairs = [finding.repair for finding in report.findings]
    steps = [step for step in words.todo(report) if step not in repairs]
    yield from _bullets(f"**To do:** {escaped(step)}" for step in steps)
    yield from _bullets(_facts(report))
    first = report.mismatches.first
    if first is not None and first not in [finding.witness for finding in report.findings]:
        yield f"First mismatch: {escaped(str(first))}"
        yield ""
        yield from _bits(first, report.format)
    yield from _more(report)


def _facts(report: Report) -> Iterator[str]:
    yield f"Differs: {escaped(words.counts(report))}"
    if report.policy is not None:
        yield f"Policy: {escaped(str(report.policy))}"
    if report.asked is not None and report.asked != report.policy:
        yield f"Asked for: {escaped(str(report.asked))}"
    if report.profiles:
        yield f"Bit for bit like: {escaped(', '.join(report.profiles))}"


def _finding(finding: Finding, format: str) -> Iterator[str]:  # noqa: A002
    yield f"**{escaped(finding.id)} {words.says(finding)}:** {escaped(finding.title)}"
    yield ""
    rows = (
        ("**To do:**", escaped(finding.repair)),
        ("Effect:", escaped(finding.effect)),
        ("Explains:", words.explained(finding)),
        ("Variant:", escaped(finding.detail)),
        ("Policy:", escaped(words.changes(finding))),
        ("Shown by:", escaped(finding.stimulus)),
        ("Seen in:", ", ".join(_link(url) for url in finding.seen_in[:3])),
        ("Witness:", "" if finding.witness is None else escaped(str(finding.witness))),
    )
    yield from _bullets(f"{label} {content}" for label, content in rows if content)
    if finding.witness is not None:
        yield from _bits(finding.witness, format)


def _bits(witness: Witness, format: str) -> Iterator[str]:  # noqa: A002
    lines = [line[4:] for line in bit_lines(bit_rows(witness, format))]
    if lines:
        yield from ("```text", *lines, "```", "")


def _sums(report: Report) -> Iterator[str]:
    lines = sums.tree_lines(report)
    if lines:
        yield from (f"#### {sums.TREE_HEADING}", "", "```text", *lines, "```", "")
    rows = sums.histogram(report)
    if rows:
        yield from (f"#### {sums.HEADING}", "", "| error | results |", "|---|---|")
        yield from (f"| {escaped(name)} | {count:,} |" for name, count, _ in rows)
        yield ""


def _more(report: Report) -> Iterator[str]:
    if report.inferred:
        yield "#### Rules read off the data"
        yield ""
        yield "| rule | found | name | to the last bit |"
        yield "|---|---|---|---|"
        for rule in report.inferred:
            cells = (rule.what, rule.found, rule.name, "yes" if rule.exact else "no")
            yield f"| {' | '.join(escaped(cell) for cell in cells)} |"
        yield ""
    yield from _sums(report)
    yield from _where(report)
    if report.gaps:
        yield "#### Not testable with these data"
        yield ""
        yield "| what | hides | smallest input that shows it |"
        yield "|---|---|---|"
        for gap in report.gaps:
            hidden = (gap.what, ", ".join(gap.faults), gap.needs)
            yield f"| {' | '.join(escaped(cell) for cell in hidden)} |"
        yield ""
    if report.notes:
        yield "#### Notes"
        yield ""
        yield from _bullets(escaped(note) for note in report.notes)


def _where(report: Report) -> Iterator[str]:
    mismatch_map = report.mismatches.map
    if not report.places and mismatch_map is None:
        return
    yield "#### Where it differs"
    yield ""
    for place in report.places:
        share = "" if place.share >= 1 else f" ({words.percent(place.share)} of the mismatches)"
        yield f"- {escaped(place.what)}{share}"
        if place.points_to:
            yield f"  - points to: {escaped(place.points_to)}"
        if place.try_next:
            yield f"  - try next: {escaped(place.try_next)}"
    yield ""
    if mismatch_map is None:
        return
    rows = 16 if report.verdict is Verdict.UNEXPLAINED else 8
    yield f"Map: {letter_extent(mismatch_map, rows)}; {LEGEND.replace('#', '`#`')}."
    yield ""
    yield from ("```text", *map_letters(mismatch_map, rows), "```", "")
    if any(mismatch_map.lanes):
        yield "Lanes of a block, relative to the worst:"
        yield ""
        yield from ("```text", *lane_letters(mismatch_map.lanes), "```", "")


def _bullets(items: Iterator[str]) -> Iterator[str]:
    body = [f"- {item}" for item in items]
    if body:
        yield from (*body, "")


def _link(url: str) -> str:
    return f"<{url}>" if _LINK.fullmatch(url) else escaped(url)
