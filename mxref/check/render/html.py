"""One HTML file that needs nothing else: the diagnosis first, then the evidence, bit by bit."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from importlib import resources

from mxref import __version__
from mxref.check.parts import Finding, MismatchMap, Verdict
from mxref.check.render import _html_bits as bits
from mxref.check.render import _sums as sums
from mxref.check.render import _words as words
from mxref.check.render.maps import extent, lane_svg, map_svg
from mxref.check.render.run import Entry, Result, Run
from mxref.check.report import Report

__all__ = ["details", "diagnosis", "evidence", "first_mismatch", "html_of_run", "tone_of"]

_TONES = {
    Verdict.CONFORMS: "good",
    Verdict.CONFORMS_AS: "good",
    Verdict.DEFECT: "bad",
    Verdict.UNEXPLAINED: "odd",
    Verdict.NOT_TESTABLE: "idle",
}
_LINK = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+")
# No script, no request: what a target wrote could not act even if an escape were forgotten.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_of_run(run: Run) -> str:
    """Return a run as one HTML page."""
    style = resources.files("mxref.check.render").joinpath("report.css").read_text("utf-8")
    title = _text(f"mxref: {run.title}")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}</title>",
            f"<style>\n{style}</style></head>",
            "<body><main>",
            *_page(run),
            "</main></body></html>",
            "",
        ]
    )


def _page(run: Run) -> Iterator[str]:
    yield from _banner(run)
    if len(run.entries) == 1 and run.entries[0].report is not None:
        yield '<section class="card">'
        yield from _report(run.entries[0].report)
        yield "</section>"
    else:
        yield from _overview(run)
        yield from _sections(run)
    facts = [f"mxref {__version__}"]
    if run.started:
        facts.append(f"started {run.started}")
    if run.seconds is not None:
        facts.append(f"took {run.seconds:.1f} s")
    yield f"<footer>{_text(' · '.join(facts))}</footer>"


def _banner(run: Run) -> Iterator[str]:
    single = run.entries[0].report if len(run.entries) == 1 else None
    tone = "good" if run.ok else "bad"
    word = "Conforms" if run.ok else "Does not conform"
    if run.ok and run.expected:
        word = "As expected"
    if single is not None:
        word, tone = str(single.verdict).capitalize().replace("-", " "), tone_of(single)
        about = f"{single.op} {single.format}: {words.meaning(single)}"
    else:
        about = f"{len(run.entries)} checks: {words.tally(run)}"
    asked = f"against policy {run.asked}" if run.asked else "no policy asked for"
    yield f'<header class="banner {tone}">'
    if single is None or run.title != f"{single.op} {single.format}":
        yield f'<p class="target">{_text(run.title)}</p>'
    yield f"<h1>{_text(word)}</h1><p>{_text(about)}</p>"
    yield f'<p class="dim">bit for bit against OCP MX v1.0 and OFP8 v1.0, {_text(asked)}</p>'
    yield "</header>"


def _overview(run: Run) -> Iterator[str]:
    yield '<section class="card"><h2>All checks</h2><div class="scroll"><table class="overview">'
    yield "<thead><tr><th>operation<th>format<th>verdict<th>what differs</thead><tbody>"
    for number, entry in enumerate(run.entries, start=1):
        name = _text(entry.format)
        if entry.report is not None and words.tells_more(entry.report):
            name = f'<a href="#check-{number}">{name}</a>'
        yield (
            f"<tr><td>{_text(entry.op)}<td>{name}<td>{_chip(run, entry)}"
            f"<td>{_text(words.in_short(entry))}"
        )
    yield "</tbody></table></div></section>"


def _chip(run: Run, entry: Entry) -> str:
    is_idle = entry.report is None or run.result(entry) is Result.SKIPPED
    tone = "idle" if entry.report is None or is_idle else tone_of(entry.report)
    return f'<span class="chip {tone}">{entry.label.replace("-", " ")}</span>'


def tone_of(report: Report) -> str:
    """Return the class of a report's colours: good, bad, odd or idle."""
    if report.verdict is Verdict.CONFORMS_AS and not report.ok:
        return "bad"  # legal, but another policy was asked for
    return _TONES[report.verdict]


# --- one report -------------------------------------------------------------------------------


def _sections(run: Run) -> Iterator[str]:
    """Yield what is wrong, open, and then what is right, folded."""
    ranked = sorted(enumerate(run.entries, start=1), key=lambda pair: words.is_fine(pair[1]))
    for number, entry in ranked:
        if entry.report is None or not words.tells_more(entry.report):
            continue
        head = f"{_text(entry.name)} {_chip(run, entry)}"
        if words.is_fine(entry):
            # The anchor lies inside: browsers unfold what holds the target of a link.
            yield f'<details class="card"><summary>{head}</summary><div id="check-{number}">'
        else:
            yield f'<section class="card" id="check-{number}"><h2>{head}</h2>'
        yield from _report(entry.report)
        yield "</div></details>" if words.is_fine(entry) else "</section>"


def _report(report: Report) -> Iterator[str]:
    yield from diagnosis(report)
    for finding in report.findings:
        yield from evidence(finding, report.format)
    yield from first_mismatch(report)
    yield from details(report)


def first_mismatch(report: Report) -> Iterator[str]:
    """Yield the first mismatch bit by bit, where no finding shows it."""
    first = report.mismatches.first
    if first is not None and first not in [finding.witness for finding in report.findings]:
        yield "<h3>First mismatch</h3>"
        yield from bits.witness(first, report.format)


def details(report: Report) -> Iterator[str]:
    """Yield what there is to know beside the causes."""
    yield from _where(report)
    yield from _inferred(report)
    yield from _sums(report)
    yield from _gaps(report)
    if report.notes:
        yield "<h3>Notes</h3><ul>"
        yield from (f"<li>{_text(note)}" for note in report.notes)
        yield "</ul>"


def diagnosis(report: Report) -> Iterator[str]:
    """Yield the causes, what to do, and the policy."""
    if report.trouble is not None:
        yield f'<div class="cause idle"><p><b>{_text(report.trouble.kind)}</b>: '
        yield f"{_text(report.trouble.text)}</p></div>"
    repairs = []
    for finding in report.findings:
        tone = "good" if finding.legal else "bad"
        yield f'<div class="cause {tone if finding.certain else "odd"}"><p>'
        yield f"<b>{_text(finding.id)} {_text(words.says(finding))}.</b> {_text(finding.title)}</p>"
        yield f"{_todo(finding.repair)}</div>"
        repairs.append(finding.repair)
    rest = [step for step in words.todo(report) if step not in repairs]
    if rest:
        yield f'<div class="cause next">{"".join(map(_todo, rest))}</div>'
    rows = [("Differs", words.counts(report))]
    if report.policy is not None:
        rows.append(("Policy", str(report.policy)))
    if report.asked is not None and report.asked != report.policy:
        rows.append(("Asked for", str(report.asked)))
    if report.profiles:
        rows.append(("Bit for bit like", ", ".join(report.profiles)))
    yield from _facts((label, _text(content)) for label, content in rows)


def _todo(step: str) -> str:
    return f'<p class="todo"><b>To do</b> {_text(step)}</p>' if step else ""


def evidence(finding: Finding, format: str) -> Iterator[str]:  # noqa: A002
    """Yield what shows that a finding is the cause."""
    yield f"<h3>Evidence for {_text(finding.id)}</h3>"
    if finding.witness is not None:
        yield from bits.witness(finding.witness, format)
    links = "<br>".join(_link(url) for url in finding.seen_in)
    rows = (
        ("Explains", _text(words.explained(finding))),
        ("Effect", _text(finding.effect)),
        ("Variant", _text(finding.detail)),
        ("Policy", _text(words.changes(finding))),
        ("Shown by", _text(finding.stimulus)),
        ("Seen in", links),
    )
    yield from _facts((label, content) for label, content in rows if content)


def _facts(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield '<dl class="facts">'
    yield from (f"<dt>{label}<dd>{content}" for label, content in rows)
    yield "</dl>"


def _where(report: Report) -> Iterator[str]:
    mismatch_map = report.mismatches.map
    if not report.places and mismatch_map is None:
        return
    yield "<h3>Where it differs</h3>"
    for place in report.places:
        share = "" if place.share >= 1 else f" ({words.percent(place.share)} of the mismatches)"
        yield f'<div class="place"><p><b>{_text(place.what)}</b>{share}</p>'
        if place.points_to:
            yield f'<p><span class="dim">points to</span> {_text(place.points_to)}</p>'
        if place.try_next:
            yield f'<p><span class="dim">try next</span> {_text(place.try_next)}</p>'
        yield "</div>"
    if mismatch_map is not None:
        yield from _picture(mismatch_map)


def _picture(map: MismatchMap) -> Iterator[str]:  # noqa: A002
    swatches = "".join(
        f'<span class="swatch c{shade}"></span>{label}'
        for shade, label in enumerate(("none", "to 20 %", "to 40 %", "to 60 %", "to 80 %", "more"))
    )
    yield f"<figure>{map_svg(map)}<figcaption>Share of mismatches; {_text(extent(map))}. "
    yield "The last axis runs to the right, all others down."
    yield f'<span class="shades">{swatches}</span></figcaption></figure>'
    lanes = lane_svg(map.lanes)
    if lanes:
        yield f"<figure>{lanes}<figcaption>Mismatches by lane, the place in a block; "
        yield f"at most {max(map.lanes):,} in one.</figcaption></figure>"


def _inferred(report: Report) -> Iterator[str]:
    if not report.inferred:
        return
    yield '<h3>Rules read off the data</h3><div class="scroll"><table>'
    yield "<thead><tr><th>rule<th>found<th>published as<th>to the last bit</thead><tbody>"
    for rule in report.inferred:
        cells = (rule.what, rule.found, rule.name or "–", "yes" if rule.exact else "no")
        yield f"<tr>{''.join(f'<td>{_text(cell)}' for cell in cells)}"
    yield "</tbody></table></div>"


def _sums(report: Report) -> Iterator[str]:
    lines = sums.tree_lines(report)
    if lines:
        body = html.escape("\n".join(lines))
        yield f"<h3>{sums.TREE_HEADING}</h3><pre>{body}</pre>"
    rows = sums.histogram(report)
    if rows:
        yield f'<h3>{sums.HEADING}</h3><div class="scroll"><table>'
        yield "<thead><tr><th>error<th>results<th></thead><tbody>"
        for name, count, bar in rows:
            yield f"<tr><td>{_text(name)}<td>{count:,}<td>{'█' * len(bar)}"
        yield "</tbody></table></div>"


def _gaps(report: Report) -> Iterator[str]:
    if not report.gaps:
        return
    yield '<h3>Not testable with these data</h3><div class="scroll"><table>'
    yield "<thead><tr><th>what<th>would hide<th>smallest input that shows it</thead><tbody>"
    for gap in report.gaps:
        cells = (gap.what, ", ".join(gap.faults), gap.needs)
        yield f"<tr>{''.join(f'<td>{_text(cell)}' for cell in cells)}"
    yield "</tbody></table></div>"


def _text(text: str) -> str:
    return html.escape(words.visible(text))


def _link(url: str) -> str:
    if not _LINK.fullmatch(url):
        return _text(url)
    shown = url.removeprefix("https://")
    return f'<a href="{html.escape(url)}" rel="noreferrer noopener">{html.escape(shown)}</a>'
