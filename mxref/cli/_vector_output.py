"""What the commands of ``mxref vectors`` share: where the set lies, errors, a progress bar."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path

import click

from mxref.cli._executors import opened
from mxref.cli._output import fail
from mxref.cli._progress import counted_progress

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
def workers(jobs: int | None, executor: str | None = None) -> Iterator[Executor | None]:
    """An executor by name, or of so many processes; None for a single one."""
    if executor is not None:
        if jobs is not None:
            fail("--jobs N is short for --executor processes:N: leave one of them out")
        with opened(executor) as found:
            yield found
        return
    count = jobs or os.cpu_count() or 1
    if count == 1:
        yield None
        return
    with opened(f"processes:{count}") as found:
        yield found


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


def progress_bar(
    what: str, *, lines: bool = False
) -> AbstractContextManager[Callable[[str, int, int], None]]:
    """Show which file a command is at, on a terminal or, if asked for, as lines."""
    return counted_progress(what, "files", lines=lines)
