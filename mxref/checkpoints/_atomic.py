"""Where an output grows until it is complete: a folder OUT.partial beside OUT, held by one run.

OUT itself appears by one rename of files that are on the disk, so whoever finds it finds all of it.

    OUT.partial/journal    what is done, and by what command (also the lock)
    OUT.partial/data/      the files, in their full size from the start
    OUT.partial/old        what OUT was, for the moment in which a folder is replaced
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from mxref.checkpoints.store import CheckpointError

__all__ = ["Workplace", "is_full", "refuse_foreign_folder", "refuse_overwriting"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CHUNK = 1 << 26
_OPEN = 200  # files at a time; systems allow a process 1024, or 256
_OF_CHECKPOINTS = (".safetensors", ".safetensors.index.json", "config.json")


def is_full(error: OSError) -> bool:
    """Return whether an error says that there is no room."""
    return error.errno in _FULL


def refuse_overwriting(out: Path, source: Path, files: set[Path], *, force: bool) -> None:
    """Stop before any work if writing `out` would destroy or change something.

    Parameters
    ----------
    out : Path
    source : Path
        What the user named as input.
    files : set of Path
        The files that it consists of.
    force : bool
        Whether an existing `out` may be replaced.

    Raises
    ------
    CheckpointError
        If `out` is (part of) the input under whatever name, lies inside the input's folder, exists
        without `force`, or has no folder to be in.
    """
    if not out.name or not out.parent.is_dir():
        raise CheckpointError(f"{out}: there is no folder {out.parent}; make it first")
    inputs = {source.resolve(), *(file.resolve() for file in files)}
    if source.is_dir() and source.resolve() in out.resolve().parents:
        raise CheckpointError(
            f"{out}: lies in the input {source}, which would no longer be one checkpoint; "
            f"write it somewhere else"
        )
    if out.resolve() in inputs or any(_same(out, path) for path in inputs):
        raise CheckpointError(f"{out}: is the input itself; give the output another name")
    if out.is_dir() and any(out.resolve() in path.parents for path in inputs):
        raise CheckpointError(f"{out}: holds the input {source}; give the output another name")
    if not os.path.lexists(out):
        return
    if not force:
        raise CheckpointError(f"{out}: exists; force (--force) replaces it")
    if not out.is_dir() and not out.is_file():
        raise CheckpointError(f"{out}: is no regular file; give the output another name")


def _same(one: Path, other: Path) -> bool:
    """Whether two names lead to one file: hard links do, too."""
    with suppress(OSError):
        return one.samefile(other)
    return False


def refuse_foreign_folder(out: Path, files: Collection[str]) -> None:
    """Refuse to replace a folder that holds more than a checkpoint: the rest would be deleted.

    Parameters
    ----------
    out : Path
        Need not exist, or be a folder.
    files : collection of str
        What the new folder will hold.

    Raises
    ------
    CheckpointError
        If there is something else in it.
    """
    if not out.is_dir():
        return
    strange = [
        path.name
        for path in sorted(out.iterdir())
        if path.is_symlink()
        or not path.is_file()
        or (path.name not in files and not path.name.endswith(_OF_CHECKPOINTS))
    ]
    if strange:
        raise CheckpointError(
            f"{out}: is a folder that holds more than a checkpoint ({', '.join(strange[:3])}), "
            f"which would be lost; remove it yourself, or write elsewhere"
        )


class Workplace:
    """A folder OUT.partial that one run holds, until OUT is placed.

    Parameters
    ----------
    out : Path
        A file, or a folder if `is_folder`.
    is_folder : bool
    restart : bool
        Whether to throw away what an earlier run has left.

    Raises
    ------
    CheckpointError
        If another run holds it, it is something else, or it cannot be made.
    """

    def __init__(self, out: Path, *, is_folder: bool, restart: bool = False) -> None:
        self.out = out
        self.is_folder = is_folder
        self.partial = out.with_name(out.name + ".partial")
        self.journal = self.partial / "journal"
        self.data = self.partial / "data"
        self._old = self.partial / "old"
        self._files: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._lock = -1
        try:
            self._open(restart=restart)
        except OSError as error:
            self.close()
            self._fail(error, self.partial)
        except BaseException:
            self.close()
            raise

    def _open(self, *, restart: bool) -> None:
        try:
            self.partial.mkdir()
        except FileExistsError:
            if self.partial.is_symlink() or not self.partial.is_dir():
                raise CheckpointError(
                    f"{self.partial}: is in the way and not a folder of mxref's; move it"
                ) from None
            if any(self.partial.iterdir()) and not self.journal.is_file():
                raise CheckpointError(
                    f"{self.partial}: is in the way, and has no journal of mxref's in it; move it"
                ) from None
        self._hold()
        if self._old.exists():  # killed while a folder was being replaced
            if self.out.exists():
                shutil.rmtree(self._old)
            else:
                self._old.rename(self.out)
        if restart:
            os.truncate(self._lock, 0)
            shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(exist_ok=True)

    def _hold(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._lock = os.open(self.journal, flags, 0o666)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.path.samestat(os.fstat(self._lock), self.journal.stat())
        except (BlockingIOError, FileNotFoundError):
            same = False
        if not same:
            raise CheckpointError(
                f"{self.out}: another run is writing it (it holds {self.partial}); wait for that "
                f"run to end, or stop it"
            )

    def file(self, name: str, size: int) -> int:
        """Open one of the files, in its full size, and return its descriptor."""
        if name not in self._files:
            path = self.data / name
            try:
                if len(self._files) >= _OPEN:
                    self._close_oldest()
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._files[name] = os.open(path, flags, 0o666)
                if os.fstat(self._files[name]).st_size != size:
                    os.truncate(self._files[name], size)
            except OSError as error:
                self._fail(error, path)
        return self._files[name]

    def write(self, name: str, size: int, data: bytes | memoryview, offset: int) -> None:
        """Write bytes at a place in one of the files.

        Raises
        ------
        CheckpointError
            If they cannot be written.
        """
        handle, view = self.file(name, size), memoryview(data).cast("B")
        try:
            while view:
                done = os.pwrite(handle, view[:_CHUNK], offset)
                view, offset = view[done:], offset + done
        except OSError as error:
            self._fail(error, self.data / name)

    def guarded(self, action: Callable[[], None]) -> None:
        """Do what may fail for want of room, such as a line of the journal."""
        try:
            action()
        except OSError as error:
            self._fail(error, self.journal)

    def require_room(self, sizes: dict[str, int]) -> None:
        """Refuse to begin what cannot end for want of room.

        Raises
        ------
        CheckpointError
            With the bytes needed and the bytes that are free.
        """
        self._sizes = dict(sizes)
        needed, free = self._needed(), self.free()
        if needed > free:
            raise CheckpointError(
                f"{self.out}: needs {needed:,} bytes, but the file system of {self.out.parent} has "
                f"{free:,} free; make room, or write elsewhere"
            )

    def _needed(self) -> int:
        """Bytes that the files do not take yet."""
        there = 0
        for name, size in self._sizes.items():
            with suppress(OSError):
                there += min((self.data / name).stat().st_blocks * 512, size)
        return sum(self._sizes.values()) - there

    def free(self) -> int:
        """Return how many bytes the file system still takes."""
        room = os.statvfs(self.partial)
        return room.f_bavail * room.f_frsize

    def place(self, *, force: bool) -> None:
        """Let `out` appear: all files onto the disk first, then one rename, then the folder.

        Raises
        ------
        CheckpointError
            If `out` has come into being meanwhile, or a file cannot be saved.
        """
        try:
            for handle in self._files.values():
                os.fsync(handle)
            _sync_folder(self.data)
            if self.is_folder:
                self._place_folder(force=force)
            else:
                made = self.data / self.out.name
                if force:
                    made.replace(self.out)
                else:
                    _move_new(made, self.out)
            _sync_folder(self.out.parent)
        except OSError as error:
            if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
                raise CheckpointError(
                    f"{self.out}: has come into being meanwhile; the same command with force "
                    f"(--force) replaces it by what was made, which is in {self.partial}; else "
                    f"remove that folder"
                ) from None
            self._fail(error, self.out)
        self.discard()

    def _place_folder(self, *, force: bool) -> None:
        if force and self.out.exists():
            self.out.rename(self._old)
            try:
                self.data.rename(self.out)
            except BaseException:
                self._old.rename(self.out)
                raise
            return
        self.data.rename(self.out)

    def discard(self) -> None:
        """Remove the folder; what was placed stays."""
        self.close_files()
        shutil.rmtree(self.partial, ignore_errors=True)
        self.close()

    def _close_oldest(self) -> None:
        handle = self._files.pop(next(iter(self._files)))
        try:
            os.fsync(handle)  # `place` sees only those that are open
        finally:
            os.close(handle)

    def close_files(self) -> None:
        """Close the files that grow."""
        for handle in self._files.values():
            os.close(handle)
        self._files.clear()

    def close(self) -> None:
        """Let go of the folder; it stays, for a run that goes on."""
        self.close_files()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _fail(self, error: OSError, path: Path) -> NoReturn:
        if is_full(error):
            free = 0
            with suppress(OSError):
                free = self.free()
            raise CheckpointError(
                f"{path}: no room on the disk ({error.strerror}: {self._needed():,} bytes are "
                f"still needed, {free:,} are free); what is done is kept in {self.partial}: make "
                f"room and run the same command to go on"
            ) from error
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from error


def _move_new(made: Path, out: Path) -> None:
    """Rename, unless the name has been taken meanwhile."""
    try:
        os.link(made, out)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        made.replace(out)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
