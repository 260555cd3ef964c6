"""``mxref vectors``: write the conformance vectors, or prove that a set is what it should be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from mxref.cli._output import console, emit_json, fail, json_option

__all__ = ["command"]

_DIRECTORY = click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("spec_vectors"),
    show_default=True,
    help="Where the set lies.",
)


@click.group("vectors")
def command() -> None:
    """Generate and verify conformance vectors: plain files for C, Verilog, Rust, anyone."""


@command.command()
@_DIRECTORY
@json_option
def generate(directory: Path, as_json: bool) -> None:  # noqa: FBT001
    """Write the whole set; the same sources give the same bytes everywhere."""
    from mxref import vectors

    with _vector_errors(), _progress("writing") as progress:
        manifest = vectors.generate(directory, progress=progress)
    files, cases = len(manifest.files), manifest.case_count
    if as_json:
        emit_json(
            {
                "directory": str(directory),
                "set_version": manifest.set_version,
                "files": files,
                "cases": cases,
                "bytes": manifest.size,
            }
        )
        return
    click.echo(f"{directory}: {files} files, {cases:,} cases, version {manifest.set_version}")


@command.command()
@_DIRECTORY
@click.option("--regenerate", is_flag=True, help="Also build the set anew and compare every byte.")
@json_option
def verify(directory: Path, regenerate: bool, as_json: bool) -> None:  # noqa: FBT001
    """Read a set back and check files, hashes and every expected bit.

    Exit code 0: the set is right. 1: it is not. 2: there is none.
    """
    from mxref import vectors

    if not directory.is_dir():
        fail(f"{directory}: there is no such folder; mxref vectors generate writes the set")
    with _vector_errors(), _progress("verifying") as progress:
        result = vectors.verify(directory, regenerate=regenerate, progress=progress)
    if as_json:
        emit_json(
            {
                "directory": str(directory),
                "ok": result.ok,
                "files": result.files,
                "cases": result.cases,
                "problems": list(result.problems),
            }
        )
    else:
        click.echo(f"{directory}: {result}")
    click.get_current_context().exit(0 if result.ok else 1)


@contextlib.contextmanager
def _vector_errors() -> Iterator[None]:
    from mxref.vectors import VectorError

    try:
        yield
    except VectorError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}")


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a bar on a terminal, and nothing in a pipe."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(name: str, done: int, total: int) -> None:
            label = f"{what} {Path(name).name:32}"
            bar.update(task, description=label, completed=done, total=total)

        yield show
