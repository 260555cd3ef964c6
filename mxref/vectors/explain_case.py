"""Find one case by its id, or by as many of its first digits as tell it from all others."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mxref.vectors._loose import vector_paths
from mxref.vectors.model import Case, VectorError, VectorFile
from mxref.vectors.read import load

__all__ = ["find_case"]

_DIGITS = 12
_SHOWN = 10


def find_case(source: str | os.PathLike[str], identity: str) -> tuple[VectorFile, Case]:
    """Return the case with an id, and the file that holds it.

    Parameters
    ----------
    source : path
        A set or a JSON vector file.
    identity : str
        The id, or its first digits.

    Raises
    ------
    VectorError
        If this is no id, no case has it, or several begin with it: the message lists them. As for
        `load`, if the file is damaged.
    """
    prefix = identity.strip().lower()
    if not re.fullmatch(rf"[0-9a-f]{{1,{_DIGITS}}}", prefix):
        raise VectorError(
            f"{identity!r} is no id of a case: an id has {_DIGITS} hexadecimal digits, such as "
            "fb5b6912dacf, and its first ones are enough"
        )
    # Reading a file takes a hundred times as long as looking for the digits in its text.
    pattern = re.compile(rb'"id":"(' + prefix.encode("ascii") + rb'[0-9a-f]*)"')
    found = [
        (match.decode("ascii"), path)
        for path in vector_paths(Path(source))
        for match in pattern.findall(_bytes(path))
    ]
    if not found:
        raise VectorError(
            f"{source}: no case has an id that begins with {prefix}; `mxref vectors list` with "
            "--format, --covergroup or --clause finds cases"
        )
    if len(found) > 1:
        shown = ", ".join(
            f"{name} ({path.parent.name}/{path.stem})" for name, path in found[:_SHOWN]
        )
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise VectorError(
            f"{len(found)} cases have an id that begins with {prefix}: {shown}{more}; give more "
            "digits"
        )
    name, path = found[0]
    file = load(path)
    return file, next(case for case in file.cases if case.id == name)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VectorError(f"{path}: cannot be read: {error.strerror or error}") from error
