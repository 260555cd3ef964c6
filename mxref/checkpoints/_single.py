"""What the stores of one file have in common: tensors of known place are read from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from mxref.checkpoints._file import RandomFile
from mxref.checkpoints._rows import read_bytes, read_rows
from mxref.checkpoints._words import quoted
from mxref.checkpoints.store import CheckpointError, Store, TensorInfo

__all__ = ["SingleFile", "require_tensor"]


class SingleFile:
    """An open file of tensors; a `Store` once a subclass has read its header.

    Parameters
    ----------
    path : Path
    """

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: tuple[Path, ...] = (path,)
        self.notes: tuple[str, ...] = ()
        self._file = RandomFile(path)
        try:
            self._read_header()
        except BaseException:
            self._file.close()
            raise

    def _read_header(self) -> None:
        """Set `tensors` and `metadata`."""
        raise NotImplementedError

    def read(
        self,
        name: str,
        start: int = 0,
        stop: int | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Read rows of a tensor; see `Store.read`."""
        return read_rows(self._file, require_tensor(self, name), start, stop, out)

    def read_bytes(
        self,
        name: str,
        start: int = 0,
        stop: int | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Read bytes of a tensor; see `Store.read_bytes`."""
        return read_bytes(self._file, require_tensor(self, name), start, stop, out)

    def close(self) -> None:
        """Close the file; again is no mistake."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def require_tensor(store: Store, name: str) -> TensorInfo:
    """Return what is known about a tensor.

    Raises
    ------
    CheckpointError
        If the checkpoint holds none of this name.
    """
    info = store.tensors.get(name)
    if info is None:
        raise CheckpointError(
            f"{store.path}: holds no tensor {quoted(name)}; it holds {len(store.tensors)} others"
        )
    return info
