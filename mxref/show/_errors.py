"""Complaints that name an argument: in the words of Python, and in those of the command line."""

from __future__ import annotations

from typing import Self

__all__ = ["ArgumentError", "ArgumentTypeError", "TwoWordedError"]


class TwoWordedError(Exception):
    """A complaint that ends in the nearest right call, which is another one in a shell.

    Parameters
    ----------
    text : str
        For Python: ``at=(0, 5)``.
    command : str
        The same for the command line: ``--at 0,5``.

    Examples
    --------
    >>> error = ArgumentError("say at=(0, 5)", "say --at 0,5")
    >>> str(error), error.command
    ('say at=(0, 5)', 'say --at 0,5')
    """

    def __init__(self, text: str, command: str) -> None:
        super().__init__(text)
        self.command = command

    @classmethod
    def after(cls, what: str, in_python: str, in_command: str) -> Self:
        """Make one whose first words are the same in both.

        Examples
        --------
        >>> ArgumentError.after("say ", "at=(0, 5)", "--at 0,5").command
        'say --at 0,5'
        """
        return cls(what + in_python, what + in_command)


class ArgumentError(TwoWordedError, ValueError):
    """An argument has a value that does not fit."""


class ArgumentTypeError(TwoWordedError, TypeError):
    """An argument is of a type that does not fit."""
