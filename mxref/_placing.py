"""The last step of writing a file: what was written under another name takes its own."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["file_mode", "place"]


def place(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished file its name, in one step.

    Raises
    ------
    FileExistsError
        If the name is taken and `overwrite` is false, also if it was taken meanwhile.
    OSError
        If the file system refuses.
    """
    if overwrite:
        temporary.replace(target)
        return
    try:
        os.link(temporary, target)  # fails if the name has been taken meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        target.touch(exist_ok=False)
        temporary.replace(target)


def file_mode() -> int:
    """The mode of files that this process makes; those of `tempfile` only their owner can read."""
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask
