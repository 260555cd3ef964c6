"""Checkpoints in several files: safetensors with an index, loose safetensors, and split GGUF."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from mxref.checkpoints._file import RandomFile
from mxref.checkpoints._header import LONGEST_HEADER, MOST_TENSORS
from mxref.checkpoints._json import JsonCursor, JsonError
from mxref.checkpoints._single import SingleFile, require_tensor
from mxref.checkpoints._words import DAMAGED, quoted
from mxref.checkpoints.gguf_file import GgufField, GgufFile
from mxref.checkpoints.safetensors_file import SafetensorsFile
from mxref.checkpoints.store import CheckpointError, TensorInfo

__all__ = ["ShardedStore", "SplitGguf", "open_files", "open_index", "open_split", "split_of"]

MOST_SHARDS = 10_000
"""Of one checkpoint; a name that claims more is just a name."""

_NUMBERED = re.compile(r"(.*)-(\d{5,})-of-(\d{5,})(\.[a-z]+)")

Shard = TypeVar("Shard", bound=SingleFile)
Joined = TypeVar("Joined")


class ShardedStore:
    """Several open files that make one checkpoint; a `Store`.

    Parameters
    ----------
    path : Path
        What the user named.
    shards : sequence of SingleFile
        Closed with this store.

    Raises
    ------
    CheckpointError
        If two of them hold a tensor of the same name.
    """

    def __init__(self, path: Path, shards: Sequence[SingleFile]) -> None:
        self.path = path
        self.files = tuple(shard.path for shard in shards)
        self.notes: tuple[str, ...] = tuple(note for shard in shards for note in shard.notes)
        self._shards = shards
        self._shard_of: dict[str, SingleFile] = {}
        tensors: dict[str, TensorInfo] = {}
        metadata: dict[str, str] = {}
        for shard in shards:
            for name, info in shard.tensors.items():
                if name in tensors:
                    raise CheckpointError(
                        f"{path}: tensor {quoted(name)} is in {tensors[name].file.name} and in "
                        f"{info.file.name}; which one counts? Remove the file that does not belong"
                    )
                tensors[name] = info
                self._shard_of[name] = shard
            metadata = {**shard.metadata, **metadata}
        self.tensors: Mapping[str, TensorInfo] = tensors
        self.metadata: Mapping[str, str] = metadata

    def read(
        self,
        name: str,
        start: int = 0,
        stop: int | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Read rows of a tensor; see `Store.read`."""
        require_tensor(self, name)
        return self._shard_of[name].read(name, start, stop, out=out)

    def read_bytes(
        self,
        name: str,
        start: int = 0,
        stop: int | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Read bytes of a tensor; see `Store.read_bytes`."""
        require_tensor(self, name)
        return self._shard_of[name].read_bytes(name, start, stop, out=out)

    def close(self) -> None:
        """Close the files; again is no mistake."""
        for shard in self._shards:
            shard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SplitGguf(ShardedStore):
    """A GGUF checkpoint in several files; its keys are those of the first.

    Attributes
    ----------
    fields : mapping of str to GgufField
    version, alignment, byte_order
        As of `GgufFile`, of the first file.
    """

    def __init__(self, path: Path, shards: Sequence[GgufFile]) -> None:
        super().__init__(path, shards)
        first = shards[0]
        self.fields: Mapping[str, GgufField] = first.fields
        self.version, self.alignment = first.version, first.alignment
        self.byte_order = first.byte_order
        for i, shard in enumerate(shards):
            for key, expected in (("split.no", i), ("split.count", len(shards))):
                field = shard.fields.get(key)
                if field is not None and field.value != expected:
                    raise CheckpointError(
                        f"{shard.path}: {key} is {field.value}, but its name says {expected}; "
                        f"a file was renamed, or belongs to another set"
                    )
        total = first.fields.get("split.tensors.count")
        if total is not None and total.value != len(self.tensors):
            raise CheckpointError(
                f"{path}: split.tensors.count is {total.value}, and the {len(shards)} files hold "
                f"{len(self.tensors)} tensors; fetch them again"
            )


def open_index(path: Path) -> ShardedStore:
    """Open the checkpoint that an index describes: ``*.safetensors.index.json``.

    Raises
    ------
    CheckpointError
        If the index is damaged or names a place outside its folder, a shard is missing or damaged,
        or the shards do not hold what the index says.
    """
    weight_map = _read_index(path)
    files = [path.parent / name for name in sorted(set(weight_map.values()))]
    return _join(
        _open_all(path, files, SafetensorsFile),
        lambda shards: _as_listed(ShardedStore(path, shards), weight_map),
    )


def _as_listed(store: ShardedStore, weight_map: Mapping[str, str]) -> ShardedStore:
    """Require that the shards hold what the index says; what else they hold is noted."""
    path = store.path
    held = {name: info.file for name, info in store.tensors.items()}
    for name, shard in weight_map.items():
        if held.get(name) != path.parent / shard:
            where = f"it is in {held[name].name}" if name in held else "it is in none of the shards"
            raise CheckpointError(
                f"{path}: tensor {quoted(name)} should be in {shard}, but {where}; the index "
                f"belongs to other files: fetch all of them again"
            )
    unlisted = [name for name in held if name not in weight_map]
    if unlisted:
        names = ", ".join(map(quoted, unlisted[:3])) + (", ..." if len(unlisted) > 3 else "")
        note = f"{len(unlisted)} tensors of the shards are not in the index {path.name}: {names}"
        store.notes = (*store.notes, note)
    return store


def _read_index(path: Path) -> dict[str, str]:
    """Return {tensor: file} of an index."""
    file = RandomFile(path)
    try:
        if file.size > LONGEST_HEADER:
            raise CheckpointError(f"{path}: is too large for an index: {file.size} bytes")
        text = file.read(0, file.size).decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: is no UTF-8 at byte {error.start}; {DAMAGED}") from None
    finally:
        file.close()
    cursor = JsonCursor(text, "the index")
    weight_map: dict[str, str] | None = None
    try:
        for key in cursor.members():
            if key != "weight_map":
                cursor.value()
                continue
            weight_map = {}
            for name in cursor.members():
                if cursor.peek() != '"':
                    cursor.fail(f"no file name for tensor {quoted(name)}")
                if len(weight_map) >= MOST_TENSORS:
                    cursor.fail(f"more than {MOST_TENSORS} tensors")
                weight_map[name] = _inside(path, name, cursor.string())
        cursor.end()
    except JsonError as error:
        raise CheckpointError(f"{path}: {error}; {DAMAGED}") from None
    if weight_map is None:
        raise CheckpointError(
            f"{path}: is JSON without a weight_map, so it is no index of a checkpoint; name the "
            f".safetensors file, its index or its folder"
        )
    return weight_map


def _inside(path: Path, name: str, shard: str) -> str:
    """Return the name of a shard, if it lies in the folder of the index."""
    parts = PurePosixPath(shard)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts or "\0" in shard:
        raise CheckpointError(
            f"{path}: places tensor {quoted(name)} in {quoted(shard)}, which is not below its own "
            f"folder: refused, because an index from elsewhere could name any file"
        )
    return str(parts)


def split_of(path: Path) -> list[Path]:
    """Return all files of the numbered set that a name belongs to, or just that name.

    Examples
    --------
    >>> [file.name for file in split_of(Path("m-00002-of-00002.gguf"))]
    ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf']
    >>> split_of(Path("m.gguf"))
    [PosixPath('m.gguf')]
    """
    match = _NUMBERED.fullmatch(path.name)
    if match is None:
        return [path]
    stem, number, total, suffix = match.groups()
    if not 1 <= int(number) <= int(total) <= MOST_SHARDS:
        return [path]
    return [
        path.with_name(f"{stem}-{i + 1:0{len(number)}}-of-{total}{suffix}")
        for i in range(int(total))
    ]


def open_split(path: Path) -> GgufFile | SplitGguf:
    """Open a GGUF file, with the others of its set if its name says that it is one of several.

    Raises
    ------
    CheckpointError
        If one is missing or damaged, or they do not belong together.
    """
    files = split_of(path)
    if len(files) == 1:
        return GgufFile(path)
    return _join(_open_all(path, files, GgufFile), lambda shards: SplitGguf(path, shards))


def open_files(path: Path, files: Sequence[Path]) -> ShardedStore:
    """Open safetensors files without an index as one checkpoint.

    Raises
    ------
    CheckpointError
        If one is missing by the numbers in the names, or damaged, or two hold the same tensor.
    """
    complete = sorted({member for file in files for member in split_of(file)})
    shards = _open_all(path, complete, SafetensorsFile)
    return _join(shards, lambda shards: ShardedStore(path, shards))


def _open_all(
    path: Path,
    files: Sequence[Path],
    open_file: Callable[[Path], Shard],
) -> list[Shard]:
    """Open files, all or none."""
    missing = [file for file in files if not os.path.exists(file)]  # noqa: PTH110  # never raises
    if missing:
        names = ", ".join(quoted(file.name) for file in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise CheckpointError(
            f"{path}: {len(missing)} of {len(files)} files are missing: {names}{more}; fetch them "
            f"into {files[0].parent}"
        )
    shards: list[Shard] = []
    try:
        for file in files:
            shards.append(open_file(file))  # noqa: PERF401  # those opened are closed below
    except BaseException:
        _close(shards)
        raise
    return shards


def _join(shards: list[Shard], build: Callable[[list[Shard]], Joined]) -> Joined:
    """Return what is made of open files; they do not stay open if it cannot be made."""
    try:
        return build(shards)
    except BaseException:
        _close(shards)
        raise


def _close(shards: Iterable[SingleFile]) -> None:
    for shard in shards:
        shard.close()
