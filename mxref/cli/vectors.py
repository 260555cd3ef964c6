"""``mxref vectors``: write the conformance vectors, prove them, look at them, export them."""

from __future__ import annotations

from pathlib import Path

import click

from mxref.cli._executors import executor_option
from mxref.cli._group import NamingGroup
from mxref.cli._output import emit_json, fail, json_option
from mxref.cli._progress import progress_option
from mxref.cli._vector_output import (
    directory_option,
    existing,
    jobs_option,
    progress_bar,
    readable,
    vector_errors,
    workers,
)
from mxref.cli._vector_strength import strength
from mxref.cli._vector_tools import diff, explain, export, fmt, lint, list_

__all__ = ["command"]


@click.group("vectors", cls=NamingGroup)
def command() -> None:
    """Conformance vectors: plain files for C, Verilog, Rust, anyone.

    Exit code 0: all is well, or done. 1: problems were found. 2: could not run.
    """


@command.command()
@directory_option
@jobs_option
@executor_option
@progress_option
@json_option
def generate(
    *, directory: Path, jobs: int | None, executor: str | None, progress: bool, as_json: bool
) -> None:
    """Write the whole set; the same sources give the same bytes everywhere."""
    from mxref import vectors

    with (
        vector_errors(),
        progress_bar("writing", lines=progress) as show,
        workers(jobs, executor) as pool,
    ):
        manifest = vectors.generate(directory, progress=show, executor=pool)
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
@directory_option
@click.option("--regenerate", is_flag=True, help="Also build the set anew and compare every byte.")
@jobs_option
@executor_option
@progress_option
@json_option
def verify(
    *,
    directory: Path,
    regenerate: bool,
    jobs: int | None,
    executor: str | None,
    progress: bool,
    as_json: bool,
) -> None:
    """Read a set back and check files, hashes and every expected bit.

    Exit code 0: the set is right. 1: it is not. 2: there is none.
    """
    from mxref import vectors

    if executor is not None and not regenerate:
        fail("--executor is for --regenerate: reading a set back takes seconds on one core")
    with vector_errors():
        directory = existing(directory) if regenerate else readable(directory)
    with (
        vector_errors(),
        progress_bar("verifying", lines=progress) as show,
        workers(jobs if regenerate else 1, executor) as pool,
    ):
        result = vectors.verify(directory, regenerate=regenerate, progress=show, executor=pool)
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


for tool in (fmt, lint, diff, export, strength, list_, explain):
    command.add_command(tool)
