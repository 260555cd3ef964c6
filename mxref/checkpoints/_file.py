"""A file read at any place by any thread, never mapped: a change under us is an error, no crash.

A mapped file that another program truncates kills the process on the next touch (SIGBUS). `pread`
returns fewer bytes instead, and that can be said.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.checkpoints.store import CheckpointError

__all__ = ["RandomFile", "require_regular"]

LARGEST_READ = 1 << 30  # macOS refuses 2 GiB and more in one call, Linux cuts it short


def require_regular(path: Path) -> os.stat_result:
    """Return what the system knows about a file, through symbolic links.

    Raises
    ------
    CheckpointError
        If there is no such file, or it is a pipe or a device, whose bytes cannot be read twice.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        why = "is a link to a file that does not exist" if path.is_symlink() else "no such file"
        raise CheckpointError(f"{path}: {why}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be read: {reason}") from None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise CheckpointError(
            f"{path}: is a pipe, socket or device; save it as a file first, because tensors are "
            f"read out of order"
        )
    return status


class RandomFile:
    """An open file of known size.

    Raises
    ------
    CheckpointError
        If it cannot be opened, or is no file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        if stat.S_ISDIR(require_regular(path).st_mode):
            raise CheckpointError(f"{path}: is a folder where a file was expected")
        try:
            # O_NONBLOCK: were the file replaced by a pipe just now, opening it would never return
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            status = os.fstat(self._descriptor)
        except OSError as error:
            self.close()
            more = "; raise the limit (ulimit -n)" if error.errno == errno.EMFILE else ""
            raise CheckpointError(
                f"{path}: cannot be read: {error.strerror or error}{more}"
            ) from None
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise CheckpointError(f"{path}: was replaced by something that is no file")
        self.size = status.st_size
        self._stamp = status.st_mtime_ns

    def read(self, offset: int, count: int) -> bytes:
        """Read bytes; the caller has compared `offset` and `count` with `size`."""
        buffer = np.empty(count, np.uint8)
        self.read_into(offset, buffer)
        return buffer.tobytes()

    def read_into(self, offset: int, buffer: NDArray[Any]) -> None:
        """Fill a contiguous array from the bytes at `offset`.

        Raises
        ------
        CheckpointError
            If the file has been closed, cannot be read, or has changed since it was opened.
        """
        if self._descriptor < 0:
            raise CheckpointError(f"{self.path}: is closed; open the checkpoint again")
        if not buffer.size:
            return
        view = buffer.reshape(-1).view(np.uint8).data
        done = 0
        try:
            while done < len(view):
                piece = view[done : done + LARGEST_READ]
                count = os.preadv(self._descriptor, [piece], offset + done)
                if not count:
                    break
                done += count
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise CheckpointError(
                f"{self.path}: cannot be read at byte {offset + done}: {error.strerror or error}"
            ) from None
        if done < len(view) or status.st_size != self.size or status.st_mtime_ns != self._stamp:
            raise CheckpointError(
                f"{self.path}: changed while it was read: it had {self.size} bytes when it was "
                f"opened and has {status.st_size} now"
                + (", written since" if status.st_size == self.size else "")
                + "; start again when nothing writes to it"
            )

    def was(self, size: int, stamp: int) -> bool:
        """Return whether the file had this size and time of change when it was opened."""
        return (self.size, self._stamp) == (size, stamp)

    def close(self) -> None:
        """Close the file; again is no mistake."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Open the file anew in another process: a descriptor means another file there."""
        return _open_same, (self.path.absolute(), self.size, self._stamp)


def _open_same(path: Path, size: int, stamp: int) -> RandomFile:
    """Open the file that another process had open.

    Raises
    ------
    CheckpointError
        If it is no longer the same, or not there.
    """
    file = RandomFile(path)
    if not file.was(size, stamp):
        file.close()
        raise CheckpointError(
            f"{path}: has {file.size} bytes here and had {size} where it was opened first, or was "
            f"written since; the workers need the same file under the same name"
        )
    return file
