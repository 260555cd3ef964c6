"""``mxref vectors strength``: which known faults a set finds, and by which case."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxref.cli._executors import executor_option
from mxref.cli._output import emit_json, fail, json_option
from mxref.cli._vector_output import (
    directory_option,
    existing,
    jobs_option,
    progress_bar,
    vector_errors,
    workers,
)

if TYPE_CHECKING:
    from mxref.vectors.strength import Row, Strength

__all__ = ["strength"]

_WIDTH = 80
_UNKILLED = "unkilled"


@click.command("strength")
@directory_option
@click.option("--operation", metavar="NAME", help="Only this operation, such as encode.")
@click.option("--format", "format_name", metavar="NAME", help="Only this format, such as e4m3.")
@click.option("--fault", metavar="ID", help="Show one fault in detail, such as S8.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the whole result as a page, such as docs/strength.md.",
)
@click.option("--check", is_flag=True, help="Write no page; exit 1 if it is out of date.")
@jobs_option
@executor_option
@json_option
def strength(  # noqa: PLR0913  # one for each option
    *,
    directory: Path,
    operation: str | None,
    format_name: str | None,
    fault: str | None,
    markdown: Path | None,
    check: bool,
    jobs: int | None,
    executor: str | None,
    as_json: bool,
) -> None:
    """Run every known fault over a set, and say which it finds.

    killed: a case fails. inconsistent: each case passes, but no one policy gives all outputs.
    legal: a policy choice gives the same outputs. equivalent: no input can show the fault there.
    unkilled: a hole in the set.

    Exit code 0: no holes. 1: holes. 2: could not run.
    """
    from mxref._suggest import unknown_name
    from mxref.faults import FAULTS
    from mxref.vectors import strength as module

    if fault is not None and fault not in FAULTS:
        fail(unknown_name("fault", fault, FAULTS))
    if markdown is not None and (operation or format_name or fault):
        fail("--markdown is about the whole set: leave out --operation, --format and --fault")
    if check and markdown is None:
        fail("--check needs --markdown FILE, the page to be compared")
    with (
        vector_errors(),
        progress_bar("running faults over") as progress,
        workers(jobs, executor) as pool,
    ):
        found = module.strength(
            existing(directory),
            operation=operation,
            format=format_name,
            progress=progress,
            executor=pool,
        )
    rows = [row for row in found.rows if fault in (None, row.fault)]
    if not rows:
        asked = (("operation", operation), ("format", format_name), ("fault", fault))
        said = ", ".join(f"{name} {value}" for name, value in asked if value is not None)
        fail(f"{directory}: nothing to run for {said or 'any file'}; `mxref vectors list` has all")
    ok = not any(row.status == _UNKILLED for row in rows)
    if as_json:
        emit_json(_document(found.as_json(), fault, ok=ok))
    else:
        lines = _details(rows) if fault is not None else _overview(rows)
        for line in lines:
            click.echo(line)
    if markdown is not None:
        ok &= _page(found, directory, markdown, check=check)
    click.get_current_context().exit(0 if ok else 1)


def _page(found: Strength, directory: Path, target: Path, *, check: bool) -> bool:
    """Write the page, or say whether it is up to date."""
    from mxref.vectors import load_manifest
    from mxref.vectors.strength_page import strength_page

    with vector_errors():
        whole = load_manifest(directory / "manifest.json")
        core = load_manifest(directory / "core" / "manifest.json")
        text = strength_page(found, whole, core)
        if not check:
            target.write_text(text, encoding="utf-8", newline="\n")
            return True
        is_same = target.exists() and target.read_text(encoding="utf-8") == text
    if not is_same:
        click.echo(f"{target}: out of date; leave out --check to write it", err=True)
    return is_same


def _document(document: dict[str, Any], fault: str | None, *, ok: bool) -> dict[str, Any]:
    rows = [row for row in document["rows"] if fault in (None, row["fault"])]
    counts = Counter(row["status"] for row in rows)
    return {"ok": ok, "counts": dict(counts), "rows": rows}


def _counts(rows: Sequence[Row]) -> str:
    """How many rows have each status, in the order of `Strength.counts`."""
    from mxref.vectors.strength import Strength

    counts = Strength(tuple(rows)).counts()
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def _overview(rows: Sequence[Row]) -> Iterator[str]:
    from mxref.faults import FAULTS

    files: dict[str, list[Row]] = {}
    faults: dict[str, list[Row]] = {}
    for row in rows:
        files.setdefault(_file(row), []).append(row)
        faults.setdefault(row.fault, []).append(row)
    for name, own in files.items():
        yield from _line(name, _counts(own))
    yield ""
    order = list(FAULTS)
    for name in sorted(faults, key=lambda name: order.index(name) if name in FAULTS else -1):
        title = FAULTS[name].title if name in FAULTS else ""
        shown = next((f", such as by {row.by}" for row in faults[name] if row.by), "")
        yield from _line(f"{name:4}{title}", f"{_counts(faults[name])}{shown}")
    holes = [row for row in rows if row.status == _UNKILLED]
    yield "What is equivalent, and why: --fault ID, or docs/strength.md."
    for row in holes:
        yield from _line(f"UNKILLED {row.fault} {row.detail}".rstrip(), _file(row))
    verdict = f"{len(holes)} {'hole' if len(holes) == 1 else 'holes'}" if holes else "no holes"
    yield f"{len(faults)} faults in {len(files)} files: {_counts(rows)}; {verdict}"


def _details(rows: Sequence[Row]) -> Iterator[str]:
    from mxref.faults import FAULTS

    fault = FAULTS[rows[0].fault]
    yield from textwrap.wrap(f"{fault.id}: {fault.title}", _WIDTH)
    for row in rows:
        shown = f", shown by {row.count} cases, such as {row.by}" if row.count else ""
        detail = f" ({row.detail})" if row.detail else ""
        yield from _line(f"{_file(row)}{detail}", f"{row.status}{shown}")
        if row.reason:
            yield from textwrap.wrap(row.reason, _WIDTH, initial_indent="    ",
                                     subsequent_indent="    ")  # fmt: skip
    yield f"{len(rows)} runs: {_counts(rows)}"


def _file(row: Row) -> str:
    return f"{row.operation} {row.format} {row.policy}"


def _line(left: str, right: str) -> Iterator[str]:
    """One line if it fits 80 columns, otherwise the second half indented below the first."""
    if len(left) + 2 + len(right) <= _WIDTH:
        yield f"{left}: {right}"
        return
    yield from textwrap.wrap(f"{left}:", _WIDTH, subsequent_indent="    ")
    yield from textwrap.wrap(right, _WIDTH, initial_indent="    ", subsequent_indent="    ")
