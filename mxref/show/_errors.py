"""Complaints that name an argument: in the words of Python, and in those of the command line."""

from __future__ import annotations

__all__ = ["ArgumentError"]


class ArgumentError(ValueError):
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
