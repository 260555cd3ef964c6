"""What every kind of checkpoint looks like to its readers: named tensors, read in runs of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from numpy.typing import NDArray

__all__ = ["CheckpointError", "Store", "TensorInfo"]


class CheckpointError(ValueError):
    """A file that cannot be read or written as a checkpoint; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor of a checkpoint.

    Attributes
    ----------
    name : str
    dtype : str
        As safetensors names types: ``"F32"``, ``"BF16"``, ``"F16"``, ``"U8"``, ``"F8_E4M3"``,
        ``"F8_E5M2"``, ``"F8_E8M0"``, ``"F4"``, ``"U32"``, ...; for GGUF its block types, such as
        ``"MXFP4"``, in upper case.
    shape : tuple of int
        Logical shape, rows first (GGUF lists its dimensions the other way round).
    file : Path
    offset, nbytes : int
        Where its bytes lie in the file.
    byte_order : str
        ``"little"`` or ``"big"`` (only in GGUF files that say so).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int
    nbytes: int
    byte_order: str = "little"


class Store(Protocol):
    """An open checkpoint, of one file or many. A context manager; `close` is idempotent.

    Attributes
    ----------
    path : Path
        What the user named.
    files : tuple of Path
        All files that hold tensors.
    tensors : mapping of str to TensorInfo
        In the order of the file.
    metadata : mapping of str to str
    notes : tuple of str
        What is odd about the files and yet no reason to refuse them.
    """

    path: Path
    files: tuple[Path, ...]
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    notes: tuple[str, ...]

    def read(
        self,
        name: str,
        start: int = 0,
        stop: int | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Read rows `start` to `stop` of a tensor: all axes but the last count as rows, flattened.

        Returns an array of shape (rows, columns as stored): float32, float64, float16, bfloat16 (of
        ml_dtypes) or integers for types that are numbers; uint8 bytes for the narrow types (F8, F6,
        F4 and the block types of GGUF), where the last axis counts bytes.

        `out` is a buffer to read into: a contiguous array of bytes (uint8) that is large enough, or
        an array of the very type and shape. The result is then a view of it. Reading into memory
        that was used before is twice as fast as into fresh memory. Threads may read at the same
        time.
        """
        ...

    def read_bytes(
        self,
        name: str,
        start: int = 0,
        stop: int | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Read bytes `start` to `stop` of a tensor as they lie in the file, whatever its type."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
