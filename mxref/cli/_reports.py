"""``--report FORMAT:FILE``: what a command found, written for a person or a program to read later.

A command takes two things from here: the decorator `report_option`, which refuses what could not be
written before any work is done, and `write_reports` (or `write_report`) for the end.
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mxref._suggest import unknown_name
from mxref.cli._output import fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxref.check.render.run import Run
    from mxref.check.report import Report
    from mxref.cli._conform_data import Outcome

__all__ = ["FORMATS", "Reports", "report_option", "write_report", "write_reports"]

FORMATS = ("html", "md", "junit", "jsonl", "json", "txt")
"""The forms in which a report can be had."""

_STDOUT = "-"
_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Reports:
    """Where reports go, and when the work began.

    Attributes
    ----------
    places : tuple of (str, Path or None)
        Format and file; None is standard output.
    started : datetime
        When the command line was read.
    clock : float
        The same on the clock that measures durations.
    """

    places: tuple[tuple[str, Path | None], ...] = ()
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.perf_counter)

    @property
    def take_stdout(self) -> bool:
        """Whether standard output belongs to a report, so that the command prints nothing else."""
        return any(path is None for _, path in self.places)


def report_option(function: _F) -> _F:
    """Add ``--report``; the function gets `Reports` as ``reports``."""

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        reports: Reports = kwargs["reports"]
        if kwargs.get("as_json") and reports.take_stdout:
            fail("--json and a report to standard output (-) exclude each other: drop one")
        inputs = {os.path.realpath(value) for value in kwargs.values() if isinstance(value, Path)}
        for _, path in reports.places:
            if str(path) in inputs:
                fail(f"--report: {path} is an input; the report would overwrite it")
        return function(*args, **kwargs)

    option = click.option(
        "--report",
        "reports",
        multiple=True,
        metavar="FORMAT:FILE",
        callback=_parsed,
        help=f"Write a report as well; can be repeated. FORMAT is {', '.join(FORMATS[:-1])} or "
        f"{FORMATS[-1]}. FILE is overwritten; - is standard output, and then nothing else is "
        "printed.",
    )
    return option(checked)  # type: ignore[return-value]  # it has the same parameters


def write_reports(outcome: Outcome, reports: Reports, expected: Sequence[str] = ()) -> None:
    """Write what ``mxref conform`` found.

    Raises
    ------
    CliError
        If a file cannot be written after all.
    """
    if reports.places:
        _write(outcome.to_run(reports.started.isoformat(timespec="seconds"), expected), reports)


def write_report(report: Report, target: str, reports: Reports) -> None:
    """Write the report of a single check; `target` says what was judged.

    Raises
    ------
    CliError
        If a file cannot be written after all.
    """
    if not reports.places:
        return
    from mxref.check.render.run import Entry, Run

    entry = Entry(report.op, report.format, report)
    asked = None if report.asked is None else str(report.asked)
    started = reports.started.isoformat(timespec="seconds")
    _write(Run(target, target, (entry,), asked, started=started), reports)


def _write(run: Run, reports: Reports) -> None:
    from mxref.check.render import render
    from mxref.vectors import _atomic
    from mxref.vectors.model import VectorError

    run = run.after(time.perf_counter() - reports.clock)
    for name, path in reports.places:
        text = render(run, name)
        if path is None:
            click.echo(text, nl=not text.endswith("\n"))
            continue
        try:
            _atomic.write(path, text.encode())
        except VectorError as error:
            fail(str(error))


# --- reading the option -----------------------------------------------------------------------


def _parsed(ctx: click.Context, _: click.Parameter, given: tuple[str, ...]) -> Reports:
    if ctx.resilient_parsing:
        return Reports()
    places: list[tuple[str, Path | None]] = []
    for text in given:
        name, path = _place(text)
        if path in [other for _, other in places]:
            where = "standard output (-)" if path is None else str(path)
            fail(f"--report: two reports go to {where}; the one would overwrite the other")
        places.append((name, path))
    return Reports(tuple(places))


def _place(text: str) -> tuple[str, Path | None]:
    """Format and file of one option; links are followed, for what is written replaces its place."""
    name, colon, file = text.partition(":")
    if not colon or not file:
        fail(f"--report {text}: expected FORMAT:FILE, such as html:report.html or md:-")
    if name not in FORMATS:
        fail(f"--report {text}: {unknown_name('format', name, FORMATS)}")
    if file == _STDOUT:
        return name, None
    _require_writable(Path(file))
    return name, Path(os.path.realpath(file))


def _require_writable(path: Path) -> None:
    """Stop before the work rather than after it; folders that are missing are made at the end."""
    try:
        if path.is_dir():
            fail(f"--report: {path} is a folder; name a file in it")
        if path.exists() and not path.is_file():
            fail(f"--report: {path} is no ordinary file; - is standard output")
        folder = path.absolute().parent
        while not folder.exists():
            folder = folder.parent
        # Only the attempt tells: rights, a read-only file system, a file where a folder should be.
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:32]}.", dir=folder)
        os.close(handle)
        Path(name).unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        fail(f"--report: cannot write {path}: {reason}")
