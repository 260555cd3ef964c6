"""JUnit XML: one suite for the target, one case for each operation and format."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from mxref import __version__
from mxref.check.render import _words as words
from mxref.check.render.run import Entry, Result, Run
from mxref.check.render.text import as_text

__all__ = ["junit_of_run"]

# What XML 1.0 can hold at all, even as a reference. `visible` leaves only non-characters to catch.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_of_run(run: Run) -> str:
    """Return a run as JUnit XML.

    A failure is a kernel that is wrong or does not follow the policy asked for; an error is one
    that could not be judged; skipped is one that the target does not claim, or whose defects were
    expected.
    """
    results = [run.result(entry) for entry in run.entries]
    counts = {
        "tests": len(results),
        "failures": results.count(Result.FAILED),
        "errors": results.count(Result.ERROR),
        "skipped": results.count(Result.SKIPPED),
    }
    numbers = " ".join(f'{name}="{count}"' for name, count in counts.items())
    time = _time(run.seconds)
    # In UTC; the offset goes, which many a consumer's schema does not allow.
    stamp = f" timestamp={_quoted(run.started[:19])}" if run.started else ""
    cases = "".join(_case(run, entry) for entry in run.entries)
    properties = {"mxref": __version__, "target": run.target, "policy asked for": run.asked}
    listed = "".join(
        f"      <property name={_quoted(name)} value={_quoted(value)}/>\n"
        for name, value in properties.items()
        if value
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="mxref" {numbers}{time}>\n'
        f"  <testsuite name={_quoted(run.title)} {numbers}{time}{stamp}>\n"
        f"    <properties>\n{listed}    </properties>\n"
        f"{cases}  </testsuite>\n</testsuites>\n"
    )


def _case(run: Run, entry: Entry) -> str:
    head = f"    <testcase classname={_quoted(run.title)} name={_quoted(entry.name)}"
    head += _time(entry.seconds)
    body = _body(run, entry)
    return f"{head}>\n{body}    </testcase>\n" if body else f"{head}/>\n"


def _body(run: Run, entry: Entry) -> str:
    report, result = entry.report, run.result(entry)
    text = entry.error if report is None else as_text(report)
    kind = "not-run" if report is None else str(report.verdict)
    message = _message(entry)
    if result is Result.PASSED:
        return f"      <system-out>{_text(text)}</system-out>\n"
    if result is Result.SKIPPED:
        if report is not None and report.findings:
            message = f"expected: {message}"
        return f"      <skipped message={_quoted(message)}/>\n"
    if result is Result.ERROR and report is not None and report.trouble is not None:
        kind = report.trouble.kind
    tag = "failure" if result is Result.FAILED else "error"
    kinds = f"message={_quoted(message)} type={_quoted(kind)}"
    return f"      <{tag} {kinds}>{_text(text)}</{tag}>\n"


def _message(entry: Entry) -> str:
    about = words.in_short(entry)
    if entry.report is None:
        return about or "not run"
    verdict = f"{entry.report.verdict}: {words.meaning(entry.report)}"
    return f"{verdict}. {about}" if about else verdict


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f' time="{seconds:.3f}"'


def _quoted(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", words.visible(text)))


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", "\n".join(map(_line, text.split("\n")))))


def _line(line: str) -> str:
    """One line made visible; its indentation, which `visible` would take, stays."""
    inner = line.lstrip(" ")
    return " " * (len(line) - len(inner)) + inner if inner.isprintable() else words.visible(line)
