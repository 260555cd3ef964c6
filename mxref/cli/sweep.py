"""``mxref sweep``: all 2^32 float32 inputs of a cast, proven and compared with digests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxref.cli._executors import executor_option, opened
from mxref.cli._output import emit_json, fail, json_option, one_line_errors
from mxref.cli._progress import counted_progress, echo, progress_option

if TYPE_CHECKING:
    from mxref.sweep import DigestFile, Journal, Outcome, Subject

__all__ = ["command"]

_PUBLISHED = Path("spec_vectors/digests")
_HOW_TO_LIST = "`mxref sweep --list` names all sweeps"


@click.command("sweep")
@click.argument("formats", metavar="[FORMAT]...", nargs=-1)
@click.option("--rounding", "roundings", multiple=True, help="Only this rounding; repeatable.")
@click.option("--overflow", "overflows", multiple=True, help="Only this FP8 overflow; repeatable.")
@click.option("--policy", "policies", multiple=True, help="Sweep this policy; repeatable.")
@click.option("--part", metavar="K/N", help="Every N-th sweep only, from the K-th on.")
@click.option("--list", "only_list", is_flag=True, help="Name the sweeps, and do nothing.")
@click.option(
    "--verify",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Compare with the digests there.  [default: {_PUBLISHED}, if it exists]",
)
@click.option(
    "--write", type=click.Path(path_type=Path), metavar="DIR", help="Write digests there instead."
)
@click.option("--no-oracle", is_flag=True, help="Hash the codes, and compare hashes only.")
@executor_option
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="How many threads or processes.  [default: one for each core]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep finished chunks there, and skip those that it holds.",
)
@progress_option
@json_option
def command(  # noqa: PLR0913  # one for each option
    *,
    formats: tuple[str, ...],
    roundings: tuple[str, ...],
    overflows: tuple[str, ...],
    policies: tuple[str, ...],
    part: str | None,
    only_list: bool,
    verify: Path | None,
    write: Path | None,
    no_oracle: bool,
    executor: str | None,
    workers: int | None,
    resume: Path | None,
    progress: bool,
    as_json: bool,
) -> None:
    """Cast every float32 there is, all 2^32, and prove the codes.

    FORMAT is an element format or e8m0; default: all, under every deterministic rounding and
    overflow mode. Each code is compared with an oracle that enumerates the code points, and the
    SHA-256 of each 2^24 codes with the published one.

    Exit code 0: all equal. 1: a difference. 2: could not run.
    """
    with one_line_errors():
        subjects = _part(_subjects(formats, roundings, overflows, policies), part)
        if only_list:
            _print_names(subjects, as_json=as_json)
            return
        known = _known(subjects, verify, write, is_published=not policies, no_oracle=no_oracle)
        journal = _journal(resume, oracle=not no_oracle)
    reports = []
    began = time.perf_counter()
    with opened(executor, workers) as pool, counted_progress("", "chunks", lines=progress) as show:
        for outcome in _outcomes(
            subjects, executor=pool, journal=journal, progress=show, oracle=not no_oracle
        ):
            report = _report(outcome, known.get(outcome.subject), oracle=not no_oracle)
            if write is not None and report["ok"]:
                _write(write, outcome)
            reports.append(report)
            if not as_json:
                echo(_line(report))
    seconds = round(time.perf_counter() - began, 1)
    ok = all(report["ok"] for report in reports)
    if as_json:
        emit_json({"ok": ok, "seconds": seconds, "oracle": not no_oracle, "sweeps": reports})
    elif len(reports) > 1:
        bad = sum(not report["ok"] for report in reports)
        verdict = f"{bad} differ" if bad else "all equal"
        click.echo(f"{len(reports)} sweeps in {seconds} s: {verdict}")
    click.get_current_context().exit(0 if ok else 1)


# --- what to sweep ---------------------------------------------------------------------------


def _subjects(
    formats: tuple[str, ...],
    roundings: tuple[str, ...],
    overflows: tuple[str, ...],
    policies: tuple[str, ...],
) -> list[Subject]:
    """Choose the subjects, and complain of a word that none of them has."""
    from mxref._choices import E8M0Rounding, FP8Overflow, Rounding
    from mxref._suggest import unknown_name
    from mxref.formats import ELEMENT_FORMATS, SCALE_FORMATS, scalar_format
    from mxref.sweep import DETERMINISTIC, Subject, published

    names = [scalar_format(name).name for name in formats or (*ELEMENT_FORMATS, *SCALE_FORMATS)]
    if policies:
        if roundings or overflows:
            fail("--policy says the rounding and the overflow already: leave the other options out")
        return list(dict.fromkeys(Subject.of(name, p) for name in names for p in policies))
    known = list(dict.fromkeys([*map(str, DETERMINISTIC), *map(str, E8M0Rounding)]))
    for word in roundings:
        if word in list(Rounding) and word not in known:
            Subject.of("e4m3", f"ocp:rounding={word}")  # says why it cannot be
        if word not in known:
            fail(unknown_name("rounding", word, known))
    for word in overflows:
        if word not in list(FP8Overflow):
            fail(unknown_name("overflow mode", word, [str(mode) for mode in FP8Overflow]))
    found = [
        subject
        for subject in published()
        if subject.format in names
        and (not roundings or subject.rounding in roundings)
        and (not overflows or subject.overflow in overflows)
    ]
    for name in names if formats else ():
        if not any(subject.format == name for subject in found):
            fail(f"{name} has no such rounding, or no overflow modes; {_HOW_TO_LIST}")
    if not found:
        fail(f"no format has that rounding with that overflow mode; {_HOW_TO_LIST}")
    return found


def _part(subjects: list[Subject], part: str | None) -> list[Subject]:
    if part is None:
        return subjects
    first, slash, count = part.partition("/")
    if not (slash and first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        fail(f"--part {part}: expected K/N with K from 1 to N, such as 1/8")
    chosen = subjects[int(first) - 1 :: int(count)]
    if not chosen:
        fail(f"--part {part}: there are {len(subjects)} sweeps only")
    return chosen


def _print_names(subjects: list[Subject], *, as_json: bool) -> None:
    if as_json:
        emit_json([{"name": s.name, "format": s.format, "policy": s.choices} for s in subjects])
        return
    for subject in subjects:
        click.echo(subject.name)


def _known(
    subjects: list[Subject],
    verify: Path | None,
    write: Path | None,
    *,
    is_published: bool,
    no_oracle: bool,
) -> dict[Subject, DigestFile]:
    """Read the digests to compare with, before any time is spent."""
    from mxref.sweep import load, load_roots

    if write is not None:
        if verify is not None:
            fail("--verify and --write exclude each other: compare first, then write")
        if no_oracle:
            fail("--write without the oracle would publish what nobody has checked")
        if write.exists() and not write.is_dir():
            fail(f"{write} is no folder")
        return {}
    directory = verify or (_PUBLISHED if _PUBLISHED.is_dir() else None)
    if directory is None:
        return {}
    roots = load_roots(directory)
    # What a user's own policy gives need not have been published.
    return {s: load(directory, s) for s in subjects if is_published or s.name in roots}


def _journal(path: Path | None, *, oracle: bool) -> Journal | None:
    from mxref.sweep import Journal

    return None if path is None else Journal(path, oracle=oracle)


# --- running ---------------------------------------------------------------------------------


def _outcomes(subjects: list[Subject], **how: Any) -> Iterator[Outcome]:
    from mxref.sweep import sweep

    with one_line_errors():
        yield from sweep(subjects, **how)


def _write(directory: Path, outcome: Outcome) -> None:
    from mxref.sweep import DigestFile, write

    with one_line_errors():
        write(directory, DigestFile(outcome.subject, outcome.digests))


# --- the answer ------------------------------------------------------------------------------


def _report(outcome: Outcome, known: DigestFile | None, *, oracle: bool) -> dict[str, Any]:
    chunks = []
    if known is not None:
        pairs = zip(outcome.digests, known.digests, strict=True)
        chunks = [chunk for chunk, (ours, theirs) in enumerate(pairs) if ours != theirs]
    first = outcome.first
    return {
        "name": outcome.subject.name,
        "format": outcome.subject.format,
        "policy": outcome.subject.choices,
        "ok": not chunks and not outcome.wrong,
        "root": outcome.root,
        "compared": known is not None,
        "oracle": oracle,
        "resumed_chunks": outcome.resumed,
        "different_chunks": chunks,
        "wrong_inputs": outcome.wrong,
        "first": first
        and {
            "chunk": first.pattern >> 24,
            "input": f"{first.pattern:#010x}",
            "got": f"{first.got:#04x}",
            "expected": f"{first.expected:#04x}",
        },
    }


def _line(report: dict[str, Any]) -> str:
    """One line for people: what was compared, or the first difference."""
    compared = [
        word
        for word, is_so in (("oracle", report["oracle"]), ("digest", report["compared"]))
        if is_so
    ]
    head = f"{report['root']}  {report['name']}"
    if report["ok"]:
        return f"{head}  {'equal: ' + ', '.join(compared) if compared else 'not compared'}"
    problems = []
    if first := report["first"]:
        problems.append(
            f"chunk {first['chunk']}: float32 {first['input']} gave {first['got']}, expected "
            f"{first['expected']} ({report['wrong_inputs']:,} inputs differ)"
        )
    if chunks := report["different_chunks"]:
        shown = ", ".join(map(str, chunks[:8])) + (", ..." if len(chunks) > 8 else "")
        noun = "chunk has another digest" if len(chunks) == 1 else "chunks have other digests"
        problems.append(f"{len(chunks)} {noun}: {shown}")
    return f"{head}  DIFFERS: {'; '.join(problems)}"
