"""``--executor``: what the units of a long command run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from mxref.cli._output import fail, one_line_errors

__all__ = ["executor_option", "opened"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _checked(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    from mxref.executors import check_name

    if value is not None:
        with one_line_errors("--"):
            check_name(value)
    return value


def executor_option(function: _F) -> _F:
    """Add ``--executor``; a name that cannot be is refused while the command line is read."""
    return click.option(
        "--executor",
        metavar="KIND",
        callback=_checked,
        help="Where the work runs: threads[:N], processes[:N] or dask://HOST:PORT.",
    )(function)


@contextmanager
def opened(executor: str | None, workers: int | None = None) -> Iterator[Executor]:
    """Open an executor by name; lost and unfit workers become one line and exit code 2."""
    from mxref.executors import ExecutorError, check_name, open_executor

    with one_line_errors("--"):
        check_name("threads" if executor is None else executor, workers)
    try:
        with open_executor(executor, workers) as found:
            yield found
    except ExecutorError as error:
        fail(str(error))
