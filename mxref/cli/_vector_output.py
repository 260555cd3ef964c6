"""What the commands of ``mxref vectors`` share: where the set lies, errors, a progress bar."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click

from mxref.cli._output import console, fail

__all__ = [
    "directory_option",
    "existing",
    "jobs_option",
    "progress_bar",
    "readable",
    "vector_errors",
    "workers",
]

_DEFAULT = Path("spec_vectors")

directory_option = click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=_DEFAULT,
    show_default=True,
    help="Where the set lies.",
)


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    help="How many processes work; default: one for each processor. None changes a byte.",
)


@contextlib.contextmanager
def workers(jobs: int | None) -> Iterator[Executor | None]:
    """An executor of so many processes; None for a single one."""
    count = jobs or os.cpu_count() or 1
    if count == 1:
        yield None
        return
    # Not fork: the kernels have threads of their own.
    with ProcessPoolExecutor(count, get_context("spawn")) as executor:
        yield executor


def existing(directory: Path) -> Path:
    """Return the folder of a set, or stop where there is none."""
    if not directory.is_dir():
        fail(f"{directory}: there is no such folder; mxref vectors generate writes the set")
    return directory


def readable(directory: Path) -> Path:
    """Return the folder of a set; the core set of the package where the default is not there."""
    if directory != _DEFAULT or directory.is_dir():
        return existing(directory)
    from mxref.vectors import core_directory

    core = core_directory()
    click.echo(f"no {directory} here: this is the core set of the package, {core}", err=True)
    return core


@contextlib.contextmanager
def vector_errors() -> Iterator[None]:
    """Turn damaged files and missing folders into one line and exit code 2."""
    from mxref.vectors import VectorError

    try:
        yield
    except VectorError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}")


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[str, int, int], None] | None]:
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
