"""Write a file in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mxref.vectors.model import VectorError

__all__ = ["write"]


def write(target: Path, data: bytes) -> None:
    """Write one file in one step, so that an interruption leaves the old file or the new one.

    Raises
    ------
    VectorError
        If the file, or its folder, cannot be written.
    """
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        temporary.replace(target)
    except OSError as error:
        raise VectorError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
