"""What `diff` cannot compare, and what to do instead: in Python, and at the command line."""

from __future__ import annotations

__all__ = ["RefusalError", "WrongTypeError", "WrongValueError"]


class RefusalError(Exception):
    """Two arrays cannot be compared.

    Parameters
    ----------
    what : str
        What was given, and what was expected.
    in_python, in_command : str
        The nearest right call, and how the command ``mxref diff`` says it.

    Attributes
    ----------
    for_command : str
        The message of the command.
    """

    def __init__(self, what: str, in_python: str, in_command: str) -> None:
        super().__init__(what + in_python)
        self.for_command = what + in_command


class WrongValueError(RefusalError, ValueError):
    """The two do not fit each other."""


class WrongTypeError(RefusalError, TypeError):
    """One of them is nothing that is compared, or the other is no such thing."""
