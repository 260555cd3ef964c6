"""How commands speak: a console for people, JSON for programs, one line for errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

    from mxref.show._text import View

__all__ = [
    "CliError",
    "color_option",
    "console",
    "emit_json",
    "emit_view",
    "fail",
    "json_option",
    "one_line_errors",
]

_PIPE_WIDTH = 80
_F = TypeVar("_F", bound=Callable[..., Any])


class CliError(click.ClickException):
    """Something the user can repair: one line on standard error, exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print the message, without a usage text: the arguments were well formed."""
        click.echo(f"mxref: error: {self.format_message()}", file=file, err=True)


def fail(message: str) -> NoReturn:
    """Stop with one line on standard error and exit code 2."""
    raise CliError(" ".join(message.split()))


@contextmanager
def one_line_errors(prefix: str = "") -> Iterator[None]:
    """Turn the library's complaints about its arguments into one line and exit code 2."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        fail(f"{prefix}{error}")
    except MemoryError:
        fail(f"{prefix}not enough memory")


def json_option(function: _F) -> _F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")(
        function
    )


def color_option(function: _F) -> _F:
    """Add ``--color``."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colours; auto: on a terminal, unless NO_COLOR is set.",
    )(function)


def emit_view(view: View, color: str = "auto") -> None:
    """Print something to look at, in colour where that is wanted."""
    from mxref.show._paint import wants_colour

    is_coloured = color == "always" or (color == "auto" and wants_colour())
    # click would strip the colours of what it takes for no terminal.
    click.echo(view.to_ansi() if is_coloured else str(view), color=is_coloured)


def emit_json(document: object) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def console(*, stderr: bool = False) -> Console:
    """Return a rich console: colours on a terminal, 80 columns of plain text in a pipe."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to the command line; rich would exit with 1, a verdict here."""
            raise BrokenPipeError

    file = sys.stderr if stderr else sys.stdout
    found = Output(file=file, highlight=False, markup=False)
    if found.is_terminal:
        return found
    return Output(file=file, width=_PIPE_WIDTH, color_system=None, highlight=False, markup=False)
