"""Commands of ``mxref vectors`` that look at a set, compare it, or take it elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mxref.cli._output import emit_json, fail, json_option
from mxref.cli._vector_output import (
    directory_option,
    existing,
    progress_bar,
    readable,
    vector_errors,
)

if TYPE_CHECKING:
    from mxref.vectors import Case, VectorFile
    from mxref.vectors.listing import FileRow

__all__ = ["diff", "explain", "export", "fmt", "lint", "list_"]

_F = TypeVar("_F", bound=Callable[..., Any])
_FORMS = ("sv", "c", "bin", "npy", "csv", "safetensors")
_WIDTH = 80
_VERDICTS = ("must", "one_of", "open")


def _exit(*, ok: bool) -> None:
    click.get_current_context().exit(0 if ok else 1)


# --- fmt and lint ----------------------------------------------------------------------------


@click.command("fmt")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if anything would change.")
@json_option
def fmt(paths: tuple[Path, ...], check: bool, as_json: bool) -> None:  # noqa: FBT001
    """Bring vector files into canonical form, and their .hex twins with them.

    PATHS are JSON vector files or folders; default: spec_vectors. A file that is damaged, or that
    means something else in canonical form, is named and left as it is.

    Exit code 0: all canonical, or made so. 1: not canonical (--check), or damaged.
    """
    from mxref.vectors.fmt import fmt as run

    with vector_errors(), progress_bar("formatting") as progress:
        result = run(paths or (existing(Path("spec_vectors")),), check=check, progress=progress)
    ok = not result.errors and not (check and result.changed)
    if as_json:
        emit_json(
            {
                "ok": ok,
                "files": result.files,
                "check": check,
                "changed": list(result.changed),
                "errors": list(result.errors),
            }
        )
        _exit(ok=ok)
    for name in result.changed:
        click.echo(f"{name}: {'not canonical' if check else 'rewritten'}")
    for error in result.errors:
        click.echo(error)
    verb = "not canonical" if check else "rewritten"
    tail = f", {len(result.errors)} damaged" if result.errors else ""
    click.echo(f"{result.files} files: {len(result.changed)} {verb}{tail}")
    _exit(ok=ok)


@click.command("lint")
@directory_option
@json_option
def lint(directory: Path, as_json: bool) -> None:  # noqa: FBT001
    """Check a set against the rules that no schema can express.

    Covergroups, comments, clauses, flags, verdicts, ids, sizes and the manifest. Whether the
    expected bits are right is what `mxref vectors verify` says.

    Exit code 0: no problems. 1: problems. 2: there is no set.
    """
    from mxref.vectors.lint import lint as run

    with vector_errors(), progress_bar("checking") as progress:
        problems = run(existing(directory), progress=progress)
    if as_json:
        emit_json({"directory": str(directory), "ok": not problems, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        noun = "problem" if len(problems) == 1 else "problems"
        click.echo(f"{directory}: {len(problems) or 'no'} {noun}")
    _exit(ok=not problems)


# --- diff and export -------------------------------------------------------------------------


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@json_option
def diff(old: Path, new: Path, as_json: bool) -> None:  # noqa: FBT001
    """Say what changed from one set to another, and what kind of release that needs.

    OLD and NEW are two folders or two JSON files. Cases are matched by id. A major release is
    needed where an expected bit changed or a case or an allowed output is gone, a minor one where
    some were added, a patch where only words changed.

    Exit code 0: the version of NEW says so. 1: it does not. 2: could not compare.
    """
    from mxref.vectors.diff import diff as run

    with vector_errors(), progress_bar("reading") as progress:
        found = run(old, new, progress=progress)
    if as_json:
        emit_json(found.as_json())
    else:
        click.echo(str(found))
    _exit(ok=found.ok)


@click.command("export")
@click.argument("source", type=click.Path(path_type=Path), default=Path("spec_vectors"))
@click.option("--to", type=click.Choice(_FORMS), required=True, help="The form to write.")
@click.option("--operation", metavar="NAME", help="Only this operation, such as encode.")
@click.option("--format", "format_name", metavar="NAME", help="Only this format, such as e4m3.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to write to."
)
@json_option
def export(
    *,
    source: Path,
    to: str,
    operation: str | None,
    format_name: str | None,
    output: Path,
    as_json: bool,
) -> None:
    """Write vectors for SystemVerilog, C, numpy and others.

    SOURCE is a set or a JSON vector file; default: spec_vectors. sv: a package and $readmemh
    files; c: a header; bin: raw little-endian records; npy, csv, safetensors: one array a column.
    """
    from mxref.vectors.export import export as run

    with vector_errors(), progress_bar("exporting") as progress:
        if source == Path("spec_vectors"):
            source = readable(source)
        if not source.exists():
            fail(f"{source}: there is no such file or folder; mxref vectors generate writes a set")
        written = run(
            source, output, to=to, operation=operation, format=format_name, progress=progress
        )
    if as_json:
        emit_json({"output": str(output), "to": to, "files": [str(path) for path in written]})
        return
    click.echo(f"{output}: {len(written)} files written")


# --- list and explain ------------------------------------------------------------------------


def _filters(function: _F) -> _F:
    """Add the options that say which cases are looked for."""
    for option, metavar, text in reversed(
        (
            ("--operation", "NAME", "Only this operation, such as encode."),
            ("--format", "NAME", "Only this format, such as e4m3."),
            ("--policy", "NAME", "Only this policy, such as ocp."),
            ("--covergroup", "NAME", "List the cases of this covergroup."),
            ("--clause", "ID", "List the cases that cite this clause or open point."),
            ("--flag", "ID", "List the cases that discriminate this fault, such as E1."),
        )
    ):
        function = click.option(option, metavar=metavar, help=text)(function)
    return function


@click.command("list")
@directory_option
@_filters
@click.option("--verdict", type=click.Choice(_VERDICTS), help="List the cases with this verdict.")
@json_option
def list_(*, directory: Path, as_json: bool, **asked: str | None) -> None:
    """List the files of a set with their covergroups, or the cases that you look for.

    --covergroup, --clause, --flag and --verdict list cases: id, format, verdict, comment.
    """
    from mxref.vectors.listing import Wanted, find_cases, list_files
    from mxref.vectors.model import case_as_json

    wanted = Wanted(**asked)
    rows: tuple[FileRow, ...] = ()
    found: list[tuple[VectorFile, Case]] = []
    with vector_errors(), progress_bar("reading") as progress:
        directory = readable(directory)
        if wanted.asks_for_cases:
            found = list(find_cases(directory, wanted, progress=progress))
        else:
            rows = list_files(directory, wanted, progress=progress)
    # Nothing is printed before: the bar is still there, and a closed pipe is no error of the set.
    if as_json and wanted.asks_for_cases:
        emit_json([{"path": f.path, **case_as_json(f.operation, case)} for f, case in found])
    elif as_json:
        emit_json([row.as_json() for row in rows])
    elif wanted.asks_for_cases:
        for file, case in found:
            what = f"{file.operation} {file.format}"
            click.echo(f"{case.id}  {case.verdict:6}  {what}  {case.comment}")
        click.echo(f"{len(found):,} {'case' if len(found) == 1 else 'cases'}")
    else:
        _print_files(rows)


def _print_files(rows: tuple[FileRow, ...]) -> None:
    for row in rows:
        verdicts = ", ".join(f"{n} {name}" for name, n in row.verdicts.items() if n)
        click.echo(f"{row.path}: {row.cases} cases ({verdicts})")
        _wrapped(f"{name} {count}" for name, count in row.covergroups.items())
    cases = sum(row.cases for row in rows)
    click.echo(f"{len(rows)} files, {cases:,} cases")


def _wrapped(words: Iterable[str]) -> None:
    """Print a list below its heading, in lines of 80 columns."""
    line = " "
    for word in words:
        if len(line) + len(word) + 2 > _WIDTH:
            click.echo(line)
            line = " "
        line += f" {word},"
    click.echo(line.rstrip(","))


@click.command("explain")
@click.argument("identity", metavar="ID")
@directory_option
@json_option
def explain(identity: str, directory: Path, as_json: bool) -> None:  # noqa: FBT001
    """Walk one case step by step: what it asks, what is due, and which clauses say so.

    ID is the id of a case, or as many of its first digits as tell it from the others.
    """
    from mxref.show.vector_case import vector_case
    from mxref.vectors.explain_case import find_case

    with vector_errors():
        view = vector_case(*find_case(readable(directory), identity))
    if as_json:
        emit_json(view.to_dict())
    else:
        click.echo(str(view))
