"""The bytes of a GGUF file, known before the first tensor is: keys, tensor infos and offsets.

Keys of a GGUF source are copied as they lie in it. A source of another kind has none, and what
llama.cpp wants to know about a model (its architecture, its vocabulary) nobody can make up: such a
file carries the tensors, and says so.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence

from mxref.checkpoints._words import displayed
from mxref.checkpoints.gguf_file import GgufField
from mxref.checkpoints.gguf_types import TYPES
from mxref.checkpoints.safetensors_writer import PlannedFile, Stored
from mxref.checkpoints.store import CheckpointError, Store

__all__ = ["NO_MODEL", "gguf_file", "plan_gguf"]

NO_MODEL = (
    "the source has no GGUF keys: general.architecture is 'mxref', which readers of tensors accept "
    "and llama.cpp does not run"
)

_ALIGNMENT = 32
_UINT32, _STRING = 4, 8
_MAX_NAME = 63  # bytes; GGML_MAX_NAME with its terminating zero
_MAX_AXES = 4
_NUMBERS = {name: number for number, name in TYPES.items()}
_MOSTLY_MXFP4 = 38  # LLAMA_FTYPE_MOSTLY_MXFP4_MOE
_QUANTIZATION_VERSION = 2  # of ggml's block types


def plan_gguf(
    store: Store, name: str, stored: Sequence[Stored], made_by: Mapping[str, str]
) -> tuple[PlannedFile, tuple[str, ...]]:
    """Lay out a GGUF file, with the keys of the source if it has any.

    Returns
    -------
    file : PlannedFile
    notes : tuple of str
        What its user should know.

    Raises
    ------
    CheckpointError
        If GGUF cannot hold a tensor, or the source is big-endian.
    """
    ours = {
        "general.quantization_version": _uint32(_QUANTIZATION_VERSION),
        "general.file_type": _uint32(_MOSTLY_MXFP4),
        **{key: _string(text) for key, text in made_by.items()},
    }
    fields: Mapping[str, GgufField] | None = getattr(store, "fields", None)
    if fields is None:
        plain = {"general.architecture": _string("mxref"), **ours}
        return gguf_file(name, stored, _keys(plain), len(plain)), (NO_MODEL,)
    if getattr(store, "byte_order", "little") != "little":
        raise CheckpointError(f"{store.path}: is big-endian; convert it to little-endian first")
    # Several parts become one file, so their count must not be copied.
    kept = [f for key, f in fields.items() if key not in ours and not key.startswith("split.")]
    handle = os.open(store.files[0], os.O_RDONLY)
    try:
        raw = b"".join(os.pread(handle, field.nbytes, field.offset) for field in kept)
    finally:
        os.close(handle)
    if len(raw) != sum(field.nbytes for field in kept):
        raise CheckpointError(f"{store.path}: has become shorter while it was read")
    alignment: int = getattr(store, "alignment", _ALIGNMENT)
    return gguf_file(name, stored, raw + _keys(ours), len(kept) + len(ours), alignment), ()


def gguf_file(
    name: str, tensors: Sequence[Stored], keys: bytes, n_keys: int, alignment: int = _ALIGNMENT
) -> PlannedFile:
    """Lay out a GGUF file of version 3.

    Raises
    ------
    CheckpointError
        If GGUF has no such type, or a name or shape is beyond its limits.

    Examples
    --------
    >>> file = gguf_file("a.gguf", [Stored("w", "F32", (3, 32), 384, "w")], b"", 0)
    >>> file.header[:4], file.places["w"] % 32, file.size - file.places["w"]
    (b'GGUF', 0, 384)
    """
    infos, places, at = [], {}, 0
    for tensor in tensors:
        infos.append(_info(name, tensor, at))
        places[tensor.name] = at
        at += tensor.nbytes + -tensor.nbytes % alignment
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), n_keys) + keys + b"".join(infos)
    header += bytes(-len(header) % alignment)
    moved = {key: len(header) + offset for key, offset in places.items()}
    return PlannedFile(name, header, moved, len(header) + at)


def _info(file: str, tensor: Stored, offset: int) -> bytes:
    if tensor.dtype not in _NUMBERS:
        raise CheckpointError(
            f"{file}: GGUF files have no type {tensor.dtype}, which {displayed(tensor.name)} "
            f"has; leave that tensor out of the source, or choose a layout of safetensors files"
        )
    text = tensor.name.encode()
    if len(text) > _MAX_NAME or len(tensor.shape) > _MAX_AXES:
        raise CheckpointError(
            f"{file}: GGUF names have at most {_MAX_NAME} bytes and shapes {_MAX_AXES} axes; "
            f"{displayed(tensor.name)} has {len(text)} bytes and shape {tensor.shape}"
        )
    shape = tensor.shape[::-1]
    number = _NUMBERS[tensor.dtype]
    return (
        struct.pack("<Q", len(text))
        + text
        + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, number, offset)
    )


def _keys(values: Mapping[str, bytes]) -> bytes:
    made = b""
    for key, value in values.items():
        text = key.encode()
        made += struct.pack("<Q", len(text)) + text + value
    return made


def _uint32(value: int) -> bytes:
    return struct.pack("<II", _UINT32, value)


def _string(value: str) -> bytes:
    text = value.encode()
    return struct.pack("<IQ", _STRING, len(text)) + text
