"""The report of ``mxref conform`` as a person reads it: verdicts at a glance, then each finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mxref.check.render._words import visible
from mxref.check.report import Verdict
from mxref.policy import PROFILES, REASONS, get_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from mxref.check.report import Finding, Report, Witness
    from mxref.cli._conform_data import Outcome, Row, Topic

__all__ = ["print_outcome"]

_WIDE = 108  # columns from which a witness gets a column of its own
_MARKS = {
    Verdict.CONFORMS: ("✓", "conforms", "green"),
    Verdict.CONFORMS_AS: ("✓", "conforms as", "cyan"),
    Verdict.DEFECT: ("✗", "defect", "bold red"),
    Verdict.UNEXPLAINED: ("✗", "unexplained", "bold magenta"),
    Verdict.NOT_TESTABLE: ("-", "not testable", "yellow"),
}
_NOT_CLAIMED = ("-", "not claimed", "dim")
_NOT_RUN = ("!", "not run", "bold yellow")
_AMAX = "amax "  # what the scale of a block depends on


def print_outcome(out: Console, outcome: Outcome, expected: Sequence[str] = ()) -> None:
    """Print the title, the table, a section for each difference, and what it comes to."""
    parts = list(_parts(out, outcome, expected))
    if out.is_terminal:
        for part in parts:
            out.print(part)
        return
    with out.capture() as capture:
        for part in parts:
            out.print(part)
    # Tables fill their cells with blanks, which have no business in a file.
    lines = capture.get().splitlines()
    out.print(Text("\n".join(line.rstrip() for line in lines)), soft_wrap=True)


def _parts(out: Console, outcome: Outcome, expected: Sequence[str]) -> Iterator[RenderableType]:
    yield _title(outcome, is_terminal=out.is_terminal)
    yield _overview(outcome, is_wide=out.width >= _WIDE)
    number = 0
    for number, topic in enumerate(outcome.topics(), start=1):  # used behind the loop
        yield _section(number, topic, outcome)
        yield ""
    for row in outcome.rows:
        if row.is_unexplained and row.report is not None:
            number += 1
            yield _heading(number, "Unexplained", row.name, "bold magenta")
            yield _full(row.report)
            yield ""
    if len(outcome.rows) == 1:
        yield from _more(outcome.rows[0])
    yield _closing(outcome, expected)


# --- title -----------------------------------------------------------------------------------


def _title(outcome: Outcome, *, is_terminal: bool) -> RenderableType:
    policy = (
        "no policy asked for" if outcome.asked is None else f"asked for policy {outcome.asked.name}"
    )
    counts = f"{_plural(len(outcome.rows), 'kernel')}, {outcome.judged():,} outputs judged"
    lines = Text.assemble(
        (visible(outcome.target.title), "bold"),
        ", bit for bit against OCP MX v1.0 and OFP8 v1.0\n",
        (f"{counts}, {policy}", "dim"),
    )
    if not is_terminal:
        return lines
    return Panel(lines, box=box.ROUNDED, border_style="cyan", title="mxref conform", padding=(0, 1))


# --- table -----------------------------------------------------------------------------------


def _overview(outcome: Outcome, *, is_wide: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("operation", no_wrap=True)
    table.add_column("format", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("what differs")
    if is_wide:
        table.add_column("for example", no_wrap=True)
    previous = ""
    for row in outcome.rows:
        if previous not in ("", row.kernel.op):
            table.add_section()
        mark, word, style = _mark(row)
        first: list[RenderableType] = [
            row.kernel.op if row.kernel.op != previous else "",
            row.kernel.format,
            Text(f"{mark} {word}", style=style),
        ]
        lines = list(_what_differs(row))
        if not lines:
            table.add_row(*first)
        for said, example in lines:
            if is_wide:
                table.add_row(*first, said, Text(example, style="dim"))
            else:
                example_line = Padding(Text(example, style="dim"), (0, 0, 0, 2))
                table.add_row(*first, Group(said, example_line) if example else said)
            first = [""] * len(first)
        previous = row.kernel.op
    return table


def _mark(row: Row) -> tuple[str, str, str]:
    if row.report is None:
        return _NOT_RUN
    if _is_not_claimed(row):
        return _NOT_CLAIMED
    mark, word, style = _MARKS[row.report.verdict]
    if row.report.verdict is Verdict.CONFORMS_AS and not row.report.ok:
        return "✗", word, "yellow"  # legal, but another policy was asked for
    return mark, word, style


def _is_not_claimed(row: Row) -> bool:
    trouble = None if row.report is None else row.report.trouble
    return trouble is not None and trouble.kind == "not-claimed"


def _what_differs(row: Row) -> Iterator[tuple[Text, str]]:
    """What differs and an example of it, a line each."""
    if row.report is None:
        yield Text(visible(row.error), style="yellow"), ""
    elif _is_not_claimed(row):
        return
    elif row.report.trouble is not None:
        trouble = row.report.trouble
        yield Text(visible(f"{trouble.kind}: {trouble.text}"), style="yellow"), ""
    elif row.is_unexplained:
        said = Text("no policy and no known fault gives these bits")
        yield said, _example(row.report.mismatches.first)
    else:
        for difference in row.differences():
            style = "" if difference.is_legal else "red"
            ids = ", ".join(difference.ids)
            said = Text.assemble((difference.words, style), (f" {ids}", "dim"))
            yield said, _example(difference.witness)


def _example(witness: Witness | None) -> str:
    """A witness in as few words as will do."""
    if witness is None:
        return ""
    given = witness.input_value or witness.input_bits or "?"
    got, due = witness.got_value, witness.expected_value
    if got == due or not got or not due:  # such as NaN and NaN: the bits tell
        got, due = witness.got_bits, witness.expected_bits
        given = _pair(witness.input_bits, witness.input_value)
    return f"{_AMAX if witness.stage == 'scale' else ''}{given} -> {got}, not {due}"


def _pair(bits: str | None, value: str | None) -> str:
    """Bits and value side by side, whichever there are."""
    return " ".join(part for part in (bits, value) if part)


# --- sections --------------------------------------------------------------------------------


def _heading(number: int, kind: str, what: str, style: str) -> Text:
    return Text.assemble(f"{number}. ", (kind, style), " ", (what, "bold"))


def _section(number: int, topic: Topic, outcome: Outcome) -> RenderableType:
    name = ", ".join(topic.ids)
    if topic.is_legal:
        heading = _heading(number, "Legal choice", name, "cyan")
        body = list(_choice_lines(topic, outcome))
    else:
        heading = _heading(number, "Defect", name, "bold red")
        body = list(_fault_lines(topic))
    parts: list[RenderableType] = [heading, *(Padding(line, (0, 0, 0, 3)) for line in body)]
    if any(difference.witness for _, difference in topic.shown_by):
        parts.append(Padding(_witness_table(topic, outcome), (1, 0, 0, 3)))
        parts.append(_first_bits(topic))
    return Group(*parts)


def _first_bits(topic: Topic) -> RenderableType:
    """The first witness bit by bit."""
    from mxref.check.render.terminal import styled_bits

    row, witness = next((row, d.witness) for row, d in topic.shown_by if d.witness is not None)
    return styled_bits(witness, row.kernel.format)


def _fault_lines(topic: Topic) -> Iterator[RenderableType]:
    findings = [difference.finding for _, difference in topic.shown_by if difference.finding]
    titles = dict.fromkeys(_described(finding) for finding in findings)
    for title in titles:
        yield Text(title, style="red")
    facts = Table.grid(padding=(0, 1))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    first = findings[0]
    facts.add_row("effect", first.effect)
    facts.add_row("to do", first.repair)
    for i, url in enumerate(first.seen_in):
        facts.add_row("" if i else "seen in", url)
    yield facts


def _described(finding: Finding) -> str:
    return f"{finding.title} ({finding.detail})" if finding.detail else finding.title


def _choice_lines(topic: Topic, outcome: Outcome) -> Iterator[RenderableType]:
    from mxref.clauses import CLAUSES

    for point in topic.ids:
        if point in CLAUSES:
            yield Text(f"left open: {CLAUSES[point].text}", style="dim")
    reference = outcome.asked or get_policy(None)
    for field, choices in topic.choices().items():
        for choice, said in choices.items():
            yield Text.assemble((f"{field}={choice}", "bold cyan"), f": {'; '.join(said)}.")
        default = f"{reference.name} has {getattr(reference, field)}"
        reason = f": {REASONS[field]}" if outcome.asked is None else ""
        yield Text(default + reason, style="dim")


def _witness_table(topic: Topic, outcome: Outcome) -> Table:
    shown = [(row, d.witness) for row, d in topic.shown_by if d.witness is not None]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    is_several = len(outcome.rows) > 1
    if is_several:
        table.add_column("kernel", style="dim", no_wrap=True)
    table.add_column("input")
    has_scale = any(witness.scale_code for _, witness in shown)
    if has_scale:
        table.add_column("scale")
    table.add_column(_short(outcome.target.name), style="cyan" if topic.is_legal else "red")
    reference = "ocp" if outcome.asked is None else "asked for"
    if all(witness.stage == "dot" for _, witness in shown):
        reference = "exact sum"
    table.add_column(reference, style="green")
    for row, witness in shown:
        given = _pair(witness.input_bits, witness.input_value)
        cells = [row.name] if is_several else []
        cells.append(f"{_AMAX if witness.stage == 'scale' else ''}{given}")
        if has_scale:
            cells.append(witness.scale_code or "")
        cells.append(_pair(witness.got_bits, witness.got_value))
        cells.append(_pair(witness.expected_bits, witness.expected_value))
        table.add_row(*cells)
    return table


def _short(name: str) -> str:
    return name.rpartition(":")[2]


def _full(report: Report) -> RenderableType:
    from mxref.check.render.terminal import styled

    return styled(report)


def _more(row: Row) -> Iterator[RenderableType]:
    """What the check of a single kernel says beside; of many kernels it would be too much."""
    if row.report is None or row.is_unexplained:
        return
    from mxref.check.render.terminal import styled_more

    more = styled_more(row.report)
    if more:
        yield more
        yield ""


# --- closing ---------------------------------------------------------------------------------


def _closing(outcome: Outcome, expected: Sequence[str]) -> RenderableType:
    lines = Text(_tally(outcome) + "\n", style="bold")
    profile = outcome.profile()
    if outcome.asked is None and profile not in (None, get_policy(None)):
        kind = "profile" if str(profile) in PROFILES else "policy"
        lines.append(f"All legal choices fit one {kind}: {profile}\n", style="not bold")
    for fault, rows in outcome.defects().items():
        known = ", as expected" if fault in expected else ""
        names = ", ".join(row.name for row in rows)
        lines.append(f"Defect {fault} in {names}{known}.\n", style="red")
    for missing in sorted(set(expected) - set(outcome.defects())):
        lines.append(f"Expected defect {missing} was not found: drop --expect {missing}.\n")
    code = outcome.exit_code(expected)
    good = "as expected" if expected else "conforms"
    verdict = (good, "does not conform", "incomplete")[code]
    return lines.append(f"Verdict: {verdict}.", style="green" if code == 0 else "red")


def _tally(outcome: Outcome) -> str:
    reference = "ocp" if outcome.asked is None else outcome.asked.name
    failed = sum(row.report is None for row in outcome.rows)
    unclaimed = sum(map(_is_not_claimed, outcome.rows))
    sums = sum(
        r.kernel.op in ("dot", "matmul")
        and r.report is not None
        and r.report.verdict is Verdict.CONFORMS_AS
        for r in outcome.rows
    )
    counts = (
        (outcome.count(Verdict.CONFORMS_AS) - sums, "under another legal policy"),
        (sums, "with a sum that the standard leaves open"),
        (outcome.count(Verdict.DEFECT), "with a named defect"),
        (outcome.count(Verdict.UNEXPLAINED), "unexplained"),
        (outcome.count(Verdict.NOT_TESTABLE) - unclaimed, "not testable"),
        (unclaimed, "not claimed"),
        (failed, "not run"),
    )
    same = outcome.count(Verdict.CONFORMS)
    said = [f"{same} of {_plural(len(outcome.rows), 'kernel')} bit-exact under {reference}"]
    return ", ".join([*said, *(f"{count} {words}" for count, words in counts if count)]) + "."


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
