"""Open a checkpoint, whatever it is: decided by what a file holds, not by its name alone."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from mxref.checkpoints._file import RandomFile, require_regular
from mxref.checkpoints._kinds import LOOK, is_text_object
from mxref.checkpoints.gguf_file import MAGIC
from mxref.checkpoints.safetensors_file import SafetensorsFile
from mxref.checkpoints.sharded import open_files, open_index, open_split, split_of
from mxref.checkpoints.store import CheckpointError, Store

__all__ = ["open_checkpoint"]


def open_checkpoint(path: str | PathLike[str]) -> Store:
    """Open a checkpoint for reading.

    Parameters
    ----------
    path : path
        A .safetensors file, a ``*.safetensors.index.json``, a GGUF file (of several: any of them),
        or a folder that holds one of these. What a file is, is decided by its contents.

    Returns
    -------
    Store
        Nothing but headers has been read. Use it in ``with``, or call `close`.

    Raises
    ------
    CheckpointError
        If there is no checkpoint, or more than one, or it is truncated or contradicts itself.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> header = b'{"w": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tiny.safetensors")
    ...     _ = path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    ...     with open_checkpoint(path) as store:
    ...         store.tensors["w"].shape, store.read("w")
    ((1, 2), array([[0., 0.]], dtype=float32))
    """
    path = Path(path)
    if stat.S_ISDIR(require_regular(path).st_mode):
        return _open_folder(path)
    file = RandomFile(path)
    try:
        first = file.read(0, min(file.size, LOOK))
    finally:
        file.close()
    if first.startswith(MAGIC):
        return open_split(path)
    return open_index(path) if is_text_object(first) else SafetensorsFile(path)


def _open_folder(path: Path) -> Store:
    """Open the one checkpoint in a folder."""
    try:
        names = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    indexes = [file for file in names if file.name.endswith(".safetensors.index.json")]
    safetensors = [file for file in names if file.suffix == ".safetensors"]
    ggufs = [file for file in names if file.suffix == ".gguf"]
    if len(indexes) > 1:
        raise _several(path, indexes)
    if safetensors and ggufs:
        raise _several(path, [*(indexes or safetensors), *ggufs])
    if indexes:
        store = open_index(indexes[0])
        ignored = [file.name for file in safetensors if file not in store.files]
        if ignored:
            note = f"{_listed(ignored)} beside the index {indexes[0].name} but not in it: not read"
            store.notes = (*store.notes, note)
        return store
    if len(safetensors) == 1 and len(split_of(safetensors[0])) == 1:
        return SafetensorsFile(safetensors[0])
    if safetensors:
        return open_files(path, safetensors)
    sets = {tuple(split_of(file)) for file in ggufs}
    if len(sets) > 1:
        raise _several(path, ggufs)
    if ggufs:
        return open_split(ggufs[0])
    raise CheckpointError(
        f"{path}: holds no .safetensors and no .gguf file ({len(names)} others); name the file, or "
        f"the folder that holds it"
    )


def _several(path: Path, files: Sequence[Path]) -> CheckpointError:
    names = _listed([file.name for file in files])
    return CheckpointError(f"{path}: holds several checkpoints: {names}; name the one you mean")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
