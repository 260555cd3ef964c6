"""A report as plain text in 80 columns, the diagnosis first; what ``str(report)`` gives."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from mxref.check.parts import Finding, Verdict, Witness
from mxref.check.render import _sums as sums
from mxref.check.render import _words as words
from mxref.check.render.bits import BitRow, bit_rows
from mxref.check.render.maps import LEGEND, lane_letters, letter_extent, map_letters
from mxref.check.render.run import Run
from mxref.check.report import Report

__all__ = ["WIDTH", "as_text", "bit_lines", "lines", "more_lines", "txt_of_run"]

WIDTH = 80
_LABEL = 12
_GAPS = 3  # that are shown in full


def as_text(report: Report) -> str:
    """Return a report in 80 columns, without colour."""
    return "\n".join(line.rstrip() for line in lines(report))


def lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report; only a URL or a policy's name may be longer than 80 columns."""
    name = f"{report.op} {report.format}"
    head = f"{name}: {words.meaning(report)}"
    yield from _wrapped(head, f"{report.verdict.upper()}  ", "  ")
    yield "=" * WIDTH
    yield from _diagnosis(report)
    shown = [finding.witness for finding in report.findings]
    first = report.mismatches.first
    if first is not None and first not in shown:
        yield ""
        yield from _section("First mismatch")
        yield from _witness_lines(first, report.format)
    for finding in report.findings:
        yield ""
        yield from _evidence(finding, report.format)
    yield from more_lines(report)


def more_lines(report: Report) -> Iterator[str]:
    """Yield what there is to know beside the causes, an empty line before each part."""
    for part in (_inferred, _sum_tree, _distances, _alike, _where, _gaps, _notes):
        body = list(part(report))
        if body:
            yield ""
            yield from body


def _diagnosis(report: Report) -> Iterator[str]:
    yield from _row("ok", words.answer(report))
    if report.trouble is not None:
        yield from _row("trouble", f"{report.trouble.kind}: {report.trouble.text}", is_foreign=True)
    told = []
    for finding in report.findings:
        yield from _row("cause", f"{finding.id} {words.says(finding)}: {finding.title}")
        if finding.repair:
            yield from _row("to do", finding.repair)
            told.append(finding.repair)
    for step in words.todo(report):
        if step not in told:
            yield from _row("to do", step)
    if report.policy is not None:
        yield from _row("policy", str(report.policy))
    if report.asked is not None and report.asked != report.policy:
        yield from _row("asked", str(report.asked))
    yield from _row("differs", words.counts(report))


def _evidence(finding: Finding, format: str) -> Iterator[str]:  # noqa: A002
    yield from _section(f"Evidence for {finding.id}")
    rows = (
        ("explains", words.explained(finding)),
        ("variant", finding.detail),
        ("policy", words.changes(finding)),
        ("effect", finding.effect),
        ("shown by", finding.stimulus),
    )
    for label, content in rows:
        if content:
            yield from _row(f"  {label}", content)
    if finding.witness is not None:
        yield from _witness_lines(finding.witness, format)
    for i, url in enumerate(finding.seen_in[:3]):
        yield from _row("" if i else "  seen in", url)


def _witness_lines(witness: Witness, format: str) -> Iterator[str]:  # noqa: A002
    yield from _row("  witness", str(witness))
    yield from bit_lines(bit_rows(witness, format))


def bit_lines(rows: tuple[BitRow, ...]) -> Iterator[str]:
    """Yield numbers bit by bit, and carets under what differs."""
    compared: dict[str, str] = {}
    for row in rows:
        split = row.split()
        line = f"    {row.role:<8}  {split}"
        name = f"  {row.format}"
        yield line + name if len(line) + len(name) <= WIDTH else line
        compared[row.role] = split
    got, due = compared.get("got", ""), compared.get("expected", "")
    if got != due and len(got) == len(due):
        marks = "".join("^" if a != b else " " for a, b in zip(got, due, strict=True))
        yield " " * 14 + marks


def _inferred(report: Report) -> Iterator[str]:
    # Where all is well, what the data do not pin down is no news: the gaps below say it.
    is_fine = report.verdict is Verdict.CONFORMS
    rules = [rule for rule in report.inferred if rule.exact or not is_fine]
    if rules:
        yield from _section("Rules read off the data")
    for rule in rules:
        name = f" ({rule.name})" if rule.name and rule.name not in rule.found else ""
        sure = "" if rule.exact else "; the data do not pin it to the last bit"
        yield from _wrapped(f"{rule.what}: {rule.found}{name}{sure}", "- ", "  ")


def _sum_tree(report: Report) -> Iterator[str]:
    lines = sums.tree_lines(report)
    if lines:
        yield from _section(sums.TREE_HEADING)
    for line in lines:
        yield from textwrap.wrap(line, WIDTH - 2, initial_indent="  ", subsequent_indent=" " * 8)


def _distances(report: Report) -> Iterator[str]:
    rows = sums.histogram(report)
    if rows:
        yield from _section(sums.HEADING)
    for name, count, bar in rows:
        yield f"  {name:<24}{count:>13,}  {bar}"


def _alike(report: Report) -> Iterator[str]:
    if report.profiles:
        yield from _section("Bit for bit like")
        yield from _wrapped(", ".join(report.profiles), "  ", "  ")


def _where(report: Report) -> Iterator[str]:
    # A cause says more than a picture; the HTML form shows it all the same.
    mismatch_map = None if report.verdict is Verdict.DEFECT else report.mismatches.map
    if report.verdict is Verdict.CONFORMS_AS:
        mismatch_map = None
    if not report.places and mismatch_map is None:
        return
    yield from _section("Where it differs")
    for place in report.places:
        share = "" if place.share >= 1 else f" ({words.percent(place.share)} of the mismatches)"
        yield from _wrapped(f"{place.what}{share}", "- ", "  ")
        yield from _wrapped(f"points to: {place.points_to}" * bool(place.points_to), "  ", "  ")
        yield from _wrapped(f"try next: {place.try_next}" * bool(place.try_next), "  ", "  ")
    if mismatch_map is None:
        return
    rows = 16 if report.verdict is Verdict.UNEXPLAINED else 8
    yield from _wrapped(f"Map: {letter_extent(mismatch_map, rows)}", "  ", "  ")
    yield f"  {LEGEND}"
    for line in map_letters(mismatch_map, rows):
        yield f"    {line}"
    if any(mismatch_map.lanes):
        yield from _wrapped("Lanes of a block, relative to the worst:", "  ", "  ")
        for line in lane_letters(mismatch_map.lanes):
            yield f"    {line}"


def _gaps(report: Report) -> Iterator[str]:
    if report.gaps:
        yield from _section("Not testable with these data")
    for gap in report.gaps[:_GAPS]:
        unseen = f"; would hide {', '.join(gap.faults)}" if gap.faults else ""
        yield from _wrapped(f"{gap.what}{unseen}", "- ", "  ")
        if gap.needs:
            yield from _wrapped(f"smallest input that shows it: {gap.needs}", "  ", "  ")
    if len(report.gaps) > _GAPS:
        rest = "; ".join(gap.what for gap in report.gaps[_GAPS:])
        yield from _wrapped(f"and {rest} (report.gaps has the inputs)", "- ", "  ")


def _notes(report: Report) -> Iterator[str]:
    if report.notes:
        yield from _section("Notes")
    for note in report.notes:
        yield from _wrapped(note, "- ", "  ")


# --- a run ------------------------------------------------------------------------------------


def txt_of_run(run: Run) -> str:
    """Return a run as text: what came of each operation and format, then each report."""
    return "\n".join(line.rstrip() for line in _run_lines(run)) + "\n"


def _run_lines(run: Run) -> Iterator[str]:
    if len(run.entries) == 1 and run.entries[0].report is not None:
        yield from lines(run.entries[0].report)
        return
    yield from _wrapped(f"{run.title}: {words.tally(run)}", "", "  ", is_foreign=True)
    yield ""
    for entry in run.entries:
        about = words.in_short(entry)
        head = f"{words.visible(entry.name):<22} {entry.label:<13} "
        yield from _wrapped(about, head, " " * 37, is_foreign=True) if about else (head,)
    for entry in sorted(run.entries, key=words.is_fine):
        if entry.report is not None and words.tells_more(entry.report):
            yield ""
            yield ""
            yield from lines(entry.report)


# --- lines ------------------------------------------------------------------------------------


def _section(title: str) -> Iterator[str]:
    yield from _wrapped(title, "", "  ")


def _row(label: str, text: str, *, is_foreign: bool = False) -> Iterator[str]:
    yield from _wrapped(text, f"{label:<{_LABEL}}", " " * _LABEL, is_foreign=is_foreign)


def _wrapped(text: str, first: str, rest: str, *, is_foreign: bool = False) -> Iterator[str]:
    """Fill lines; only in foreign text are long words cut, ours are URLs and names of policies."""
    yield from textwrap.wrap(
        words.visible(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=is_foreign,
        break_on_hyphens=False,
    )
