"""Read GGUF files: a header of keys and values, then the places of the tensors, then their bytes.

The package `gguf` is the second opinion in the tests, not the reader here: it maps the file, holds
an object for every string of the vocabulary, and believes every length that it reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mxref.checkpoints._gguf_cursor import GgufCursor
from mxref.checkpoints._header import MOST_TENSORS
from mxref.checkpoints._single import SingleFile
from mxref.checkpoints._words import DAMAGED, quoted, shortened
from mxref.checkpoints.gguf_types import BLOCKS, TYPES
from mxref.checkpoints.store import CheckpointError, TensorInfo

__all__ = ["MAGIC", "GgufField", "GgufFile"]

MAGIC = b"GGUF"

MOST_FIELDS = 1 << 16
"""Keys of a header; real ones have dozens."""

_VERSIONS = (2, 3)
_MOST_DIMENSIONS = 4
_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class GgufField:
    """A key of the header and its value.

    Attributes
    ----------
    type : str
        ``"UINT32"``, ``"STRING"``, ``"ARRAY of STRING"``, ...
    value : int, float, bool or str
        Of an array only what it is, such as ``"32000 × STRING"``.
    offset, nbytes : int
        Where key, type and value lie in the file, to copy them as they are.
    """

    type: str
    value: Any
    offset: int
    nbytes: int


class GgufFile(SingleFile):
    """An open GGUF file; a `Store`.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    fields : mapping of str to GgufField
    version, alignment : int
    byte_order : str
        ``"little"`` or ``"big"``.

    Raises
    ------
    CheckpointError
        If it is no such file, is truncated, or contradicts itself.
    """

    fields: Mapping[str, GgufField]

    def _read_header(self) -> None:
        cursor = GgufCursor(self._file)
        self.version = self._read_version(cursor)
        self.byte_order = "big" if cursor.order == ">" else "little"
        n_tensors = cursor.number("UINT64", "the number of tensors")
        n_fields = cursor.number("UINT64", "the number of keys")
        # A tensor takes 24 bytes at least, a key 13: a lie is refused before anything is read.
        cursor.require(24 * n_tensors + 13 * n_fields, f"a header of {n_tensors} tensors")
        for count, most, what in (
            (n_tensors, MOST_TENSORS, "tensors"),
            (n_fields, MOST_FIELDS, "keys"),
        ):
            if count > most:
                cursor.refuse(f"its header claims {count} {what}; at most {most} are read")
        self.fields = self._read_fields(cursor, n_fields)
        self.metadata = {key: _text(field.value) for key, field in self.fields.items()}
        self.alignment = self._read_alignment(cursor)
        self.tensors = self._read_tensors(cursor, n_tensors)

    def _read_version(self, cursor: GgufCursor) -> int:
        if cursor.take(4, "the magic") != MAGIC:
            cursor.refuse("is no GGUF file: it does not begin with GGUF")
        version = cursor.number("UINT32", "the version")
        if version & 0xFFFF == 0 and version:
            cursor.order = ">"
            version = int.from_bytes(version.to_bytes(4, "little"), "big")
        if version not in _VERSIONS:
            advice = (
                "convert it with a llama.cpp of 2023, or make it anew"
                if version == 1
                else "is there a newer mxref?"
            )
            cursor.refuse(f"is GGUF of version {version}; mxref reads versions 2 and 3", advice)
        return int(version)

    def _read_fields(self, cursor: GgufCursor, count: int) -> dict[str, GgufField]:
        fields: dict[str, GgufField] = {}
        for i in range(count):
            offset = cursor.at
            key = cursor.string(f"key {i}")
            if key in fields:
                cursor.refuse(f"has the key {quoted(key)} twice")
            name, value = cursor.value(cursor.number("UINT32", f"the type of {quoted(key)}"), key)
            fields[key] = GgufField(name, value, offset, cursor.at - offset)
        return fields

    def _read_alignment(self, cursor: GgufCursor) -> int:
        field = self.fields.get("general.alignment")
        if field is None:
            return 32
        value = field.value
        if field.type != "UINT32" or value == 0 or value & (value - 1):
            cursor.refuse(
                f"general.alignment is {shortened(value)} ({field.type}); expected a power of two "
                f"(UINT32)"
            )
        return int(value)

    def _read_tensors(self, cursor: GgufCursor, count: int) -> dict[str, TensorInfo]:
        tensors: dict[str, TensorInfo] = {}
        for i in range(count):
            info = self._read_tensor(cursor, i)
            if info.name in tensors:
                cursor.refuse(f"has two tensors named {quoted(info.name)}")
            tensors[info.name] = info
        data = -(-cursor.at // self.alignment) * self.alignment
        return self._in_place(tensors, data)

    def _read_tensor(self, cursor: GgufCursor, i: int) -> TensorInfo:
        """Return a tensor with its offset from the beginning of the data."""
        name = cursor.string(f"the name of tensor {i}")
        what = f"tensor {quoted(name)}"
        dimensions = cursor.number("UINT32", what)
        if dimensions > _MOST_DIMENSIONS:
            cursor.refuse(f"{what} has {dimensions} dimensions; GGUF has at most 4")
        shape = [cursor.number("UINT64", what) for _ in range(dimensions)][::-1]
        kind = cursor.number("UINT32", what)
        offset = cursor.number("UINT64", what)
        dtype = TYPES.get(kind, f"TYPE_{kind}")
        elements, size = BLOCKS.get(dtype, (1, 0))
        if max(shape, default=0) >= _LARGEST or math.prod(shape) * max(size, 1) >= _LARGEST:
            cursor.refuse(f"{what}: shape {shape} × {dtype} has more than 2^63 elements or bytes")
        if (shape[-1] if shape else 1) % elements:
            cursor.refuse(
                f"{what}: rows of {shape[-1] if shape else 1} elements are no whole number of "
                f"{dtype} blocks of {elements}"
            )
        if offset % self.alignment:
            cursor.refuse(f"{what}: its offset {offset} is no multiple of {self.alignment}")
        nbytes = math.prod(shape) // elements * size
        return TensorInfo(name, dtype, tuple(shape), self.path, offset, nbytes, self.byte_order)

    def _in_place(self, tensors: dict[str, TensorInfo], data: int) -> dict[str, TensorInfo]:
        """Return the tensors with their places in the file, if none overlap or lie beyond it."""
        ordered = sorted(tensors.values(), key=lambda info: (info.offset, info.nbytes))
        starts = [info.offset for info in ordered] + [max(self._file.size - data, 0)]
        placed: dict[str, TensorInfo] = {}
        at, before = 0, "the header"
        for info, following in zip(ordered, starts[1:], strict=True):
            what = f"tensor {quoted(info.name)}"
            known = info.dtype in BLOCKS
            # Of an unknown type only this is known: it ends where the next one begins, or before.
            nbytes = info.nbytes if known else max(following - info.offset, 0)
            if info.offset < at and info.nbytes:
                raise CheckpointError(
                    f"{self.path}: {what} overlaps {before}: it begins at byte {info.offset} of "
                    f"the data, and {before} ends at {at}; {DAMAGED}"
                )
            at, before = max(at, info.offset + nbytes), what
            if data + info.offset + nbytes > self._file.size:
                raise CheckpointError(
                    f"{self.path}: {what} ends at byte {data + info.offset + nbytes} of a file of "
                    f"{self._file.size}: truncated, or its header lies; fetch it again"
                )
            placed[info.name] = TensorInfo(
                *(info.name, info.dtype, info.shape, info.file, data + info.offset, nbytes),
                info.byte_order,
            )
        return placed


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
