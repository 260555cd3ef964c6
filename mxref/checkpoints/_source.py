"""What can be quantized: any checkpoint, and a single array in a .npy file."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mxref.checkpoints._single import SingleFile
from mxref.checkpoints.open import open_checkpoint
from mxref.checkpoints.store import CheckpointError, Store, TensorInfo

__all__ = ["NpyFile", "open_source"]

_MAGIC = b"\x93NUMPY"
_HEADER = 1 << 16  # bytes; numpy itself reads no longer one
_TYPES: dict[np.dtype[Any], str] = {
    np.dtype("<f4"): "F32",
    np.dtype("<f8"): "F64",
    np.dtype("<f2"): "F16",
    np.dtype("V2"): "BF16",  # what np.save makes of bfloat16
}


def open_source(path: Path) -> Store:
    """Open what is to be quantized.

    Raises
    ------
    CheckpointError
        If it is neither a checkpoint nor an array of real numbers.
    """
    return NpyFile(path) if _is_npy(path) else open_checkpoint(path)


def _is_npy(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):
        return False  # why, `open_checkpoint` can say


class NpyFile(SingleFile):
    """A .npy file as a checkpoint of one tensor, named after the file: ``x.npy`` has ``x.weight``.

    Raises
    ------
    CheckpointError
        If it does not hold real numbers, rows first, in little-endian order.
    """

    def _read_header(self) -> None:
        self.metadata = MappingProxyType({})
        file = io.BytesIO(self._file.read(0, min(self._file.size, _HEADER)))
        shape, fortran, dtype = self._parsed(file)
        kind = _TYPES.get(dtype)
        if kind is None or (fortran and len(shape) > 1):
            order = ", columns first" if fortran else ""
            raise CheckpointError(
                f"{self.path}: holds {dtype}{order}; expected float32, float64, float16 or "
                f"bfloat16 in C order: np.save(path, np.ascontiguousarray(x))"
            )
        offset, nbytes = file.tell(), math.prod(shape) * dtype.itemsize
        if self._file.size - offset != nbytes:
            raise CheckpointError(
                f"{self.path}: truncated, or not what its header says: shape {shape} of {dtype} "
                f"takes {nbytes} bytes, the file has {self._file.size - offset}"
            )
        name = f"{self.path.name.removesuffix('.npy')}.weight"
        info = TensorInfo(name, kind, shape, self.path, offset, nbytes)
        self.tensors = MappingProxyType({name: info})

    def _parsed(self, file: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about headers of old or damaged files
                version = np.lib.format.read_magic(file)
                if version == (1, 0):
                    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
                else:
                    shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        except Exception as error:  # noqa: BLE001  # a damaged header raises what parsing meets
            why = " ".join(str(error).split())
            raise CheckpointError(f"{self.path}: damaged .npy header: {why}") from None
        return tuple(int(length) for length in shape), fortran, dtype
