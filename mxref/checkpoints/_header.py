"""The header of a .safetensors file: read, and refused where it lies.

The rules are those of the format's own description (README of huggingface/safetensors) and of the
package `safetensors` 0.8; where the two differ, the stricter one holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from mxref.checkpoints._dtypes import SAFETENSORS_BITS
from mxref.checkpoints._file import RandomFile
from mxref.checkpoints._json import JsonCursor, JsonError, require_modest
from mxref.checkpoints._words import DAMAGED, quoted, shortened
from mxref.checkpoints.store import CheckpointError, TensorInfo

__all__ = ["LONGEST_HEADER", "MOST_TENSORS", "Header", "read_header"]

LONGEST_HEADER = 100_000_000
"""Bytes; the package `safetensors` refuses more too."""

MOST_TENSORS = 1_000_000
"""Of one file; bounds the memory that a hostile header can take. Real files have thousands."""

_WORD = 1 << 64
_KEYS = ("dtype", "shape", "data_offsets")


class Header(NamedTuple):
    """What a header says.

    Attributes
    ----------
    tensors : mapping of str to TensorInfo
        In the order of the data.
    metadata : mapping of str to str
    """

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]


def read_header(file: RandomFile) -> Header:
    """Read the header of a .safetensors file.

    Raises
    ------
    CheckpointError
        If the file is no such file, is truncated, or contradicts itself.
    """
    text, data = _header_text(file)
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, str] = {}
    cursor = JsonCursor(text, "its header")
    try:
        for key in cursor.members():
            if len(tensors) + len(metadata) >= MOST_TENSORS:
                cursor.fail(f"more than {MOST_TENSORS} tensors")
            if key == "__metadata__":
                metadata = _read_metadata(cursor)
            else:
                tensors[key] = _tensor(file.path, key, cursor.value(), data)
        cursor.end()
    except JsonError as error:
        raise CheckpointError(f"{file.path}: {error}; {DAMAGED}") from None
    return Header(_in_place(file, tensors, data), metadata)


def _header_text(file: RandomFile) -> tuple[str, int]:
    """Return the header and where the data begin."""
    path = file.path
    if file.size < 8:
        raise CheckpointError(
            f"{path}: has {file.size} bytes; a safetensors file begins with 8 bytes that hold the "
            f"length of its header; {DAMAGED}"
        )
    length = int.from_bytes(file.read(0, 8), "little")
    if length > LONGEST_HEADER:
        raise CheckpointError(
            f"{path}: is no safetensors file, or a damaged one: its first 8 bytes claim a header "
            f"of {length} bytes; at most {LONGEST_HEADER} are allowed, and the file has {file.size}"
        )
    if 8 + length > file.size:
        raise CheckpointError(
            f"{path}: truncated in its header: that claims {length} bytes, and the file has "
            f"{file.size - 8} after the length; fetch it again"
        )
    if length == 0 or file.read(8, 1) != b"{":
        first = file.read(8, min(length, 8))
        raise CheckpointError(
            f"{path}: is no safetensors file, or a damaged one: its header must begin with '{{' "
            f"and begins with {first!r}"
        )
    try:
        return file.read(8, length).decode(), 8 + length
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path}: its header is no UTF-8 (byte {error.object[error.start]:#04x} at "
            f"{error.start}); {DAMAGED}"
        ) from None


def _read_metadata(cursor: JsonCursor) -> dict[str, str]:
    """Read the free-form strings."""
    if cursor.peek() == "n" and cursor.value() is None:
        return {}  # the library takes null for nothing
    metadata: dict[str, str] = {}
    for key in cursor.members():
        if cursor.peek() != '"':
            cursor.fail(f"the value of {quoted(key)} in __metadata__ is no string")
        if len(metadata) >= MOST_TENSORS:
            cursor.fail(f"more than {MOST_TENSORS} entries of __metadata__")
        metadata[key] = cursor.string()
    return metadata


def _tensor(path: Path, name: str, entry: Any, data: int) -> TensorInfo:
    """Return what an entry says, if it can be true."""
    try:
        dtype, shape, (begin, end) = _fields(entry)
        nbytes = _size(dtype, shape)
    except ValueError as error:
        raise CheckpointError(f"{path}: tensor {quoted(name)}: {error}; {DAMAGED}") from None
    if end - begin != nbytes:
        raise CheckpointError(
            f"{path}: tensor {quoted(name)}: its data_offsets [{begin}, {end}] hold {end - begin} "
            f"bytes, but {dtype} of shape {shortened(shape)} takes {nbytes}; {DAMAGED}"
        )
    return TensorInfo(name, dtype, tuple(shape), path, data + begin, nbytes)


def _fields(entry: Any) -> tuple[str, list[int], tuple[int, int]]:
    """Return type, shape and offsets of an entry, each possible by itself."""
    if not isinstance(entry, dict):
        raise ValueError(  # noqa: TRY004  # what a file holds is a value, not a type of ours
            f"its entry is {shortened(entry)}; expected an object with {', '.join(_KEYS)}"
        )
    for key in _KEYS:
        if key not in entry:
            raise ValueError(f"its entry lacks {key}")
    if len(entry) > len(_KEYS):
        require_modest(entry)
    dtype, shape, offsets = (entry[key] for key in _KEYS)
    if not isinstance(dtype, str) or dtype not in SAFETENSORS_BITS:
        known = ", ".join(sorted(SAFETENSORS_BITS))
        raise ValueError(f"its dtype is {shortened(repr(dtype))}; safetensors has {known}")
    if not _are_counts(shape):
        raise ValueError(f"its shape is {shortened(shape)}; expected a list of integers from 0")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"its data_offsets are {shortened(offsets)}; expected [begin, end]")
    begin, end = offsets
    if begin > end:
        raise ValueError(f"its data_offsets are {offsets}: they end before they begin")
    return dtype, shape, (begin, end)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(item) is int and 0 <= item < _WORD for item in value
    )


def _size(dtype: str, shape: list[int]) -> int:
    """Return the bytes of a tensor; 64 bits must hold each number on the way, as in the library."""
    count = 1
    for length in shape:
        count *= length
        if count >= _WORD:
            break
    bits = count * SAFETENSORS_BITS[dtype]
    if bits >= _WORD:
        raise ValueError(f"{dtype} of shape {shortened(shape)} has more than 2^64 bits")
    if bits % 8:
        raise ValueError(f"{dtype} of shape {shortened(shape)} is no whole number of bytes")
    return bits // 8


def _in_place(file: RandomFile, tensors: dict[str, TensorInfo], data: int) -> dict[str, TensorInfo]:
    """Return the tensors by place, if they fill the file without overlap or hole."""
    at, before = data, "the header"
    ordered = sorted(
        ((info.offset, info.offset + info.nbytes, name) for name, info in tensors.items()),
        key=itemgetter(0, 1),
    )
    for begin, end, name in ordered:
        if begin != at:
            what = "overlaps" if begin < at else "leaves a hole after"
            raise CheckpointError(
                f"{file.path}: tensor {quoted(name)} {what} {before}: it begins at byte "
                f"{begin - data} of the data, expected {at - data}; {DAMAGED}"
            )
        at, before = end, f"tensor {quoted(name)}"
    if at > file.size:
        raise CheckpointError(
            f"{file.path}: truncated: its header describes {at} bytes, the file has {file.size}, "
            f"{at - file.size} are missing ({before} ends beyond the file); fetch it again"
        )
    if at < file.size:
        raise CheckpointError(
            f"{file.path}: has {file.size - at} bytes after the end of {before} that belong to no "
            f"tensor; {DAMAGED}"
        )
    return {name: tensors[name] for _, _, name in ordered}
