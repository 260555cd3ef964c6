"""Errors of the library in the words of the command line, where it offers both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mxref.cli._output import fail, one_line_errors

__all__ = ["command_line_errors"]


@contextmanager
def command_line_errors() -> Iterator[None]:
    """Do what `one_line_errors` does, and name options rather than arguments of Python."""
    from mxref.show._errors import TwoWordedError  # brings the package, which --help does without

    with one_line_errors():
        try:
            yield
        except TwoWordedError as error:
            fail(error.command)
