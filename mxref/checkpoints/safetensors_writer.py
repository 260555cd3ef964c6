"""The bytes of safetensors files, known before the first tensor is: headers, offsets, indexes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mxref.checkpoints._dtypes import SAFETENSORS_BITS
from mxref.checkpoints.store import CheckpointError

__all__ = ["INDEX", "PlannedFile", "Stored", "safetensors_file", "safetensors_index", "stored_size"]

INDEX = "model.safetensors.index.json"

_MAX_HEADER = 100_000_000  # what readers accept


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of an output file.

    Attributes
    ----------
    name, dtype, shape, nbytes
        As the file's header says.
    source : str
        The tensor that it is made of.
    role : str
        Of the layout's parts; ``"mark"`` for what marks a weight as such; empty for a copy.
    data : bytes
        Of a mark: all of it.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    source: str
    role: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that is to be written.

    Attributes
    ----------
    name : str
    header : bytes
        Its beginning; for a file without tensors, all of it.
    places : dict of str to int
        Offset of each tensor's bytes from the beginning of the file.
    size : int
    """

    name: str
    header: bytes
    places: dict[str, int]
    size: int


def stored_size(dtype: str, shape: Sequence[int]) -> int:
    """Return the bytes that a tensor takes in a safetensors file.

    Raises
    ------
    CheckpointError
        If safetensors has no such type.

    Examples
    --------
    >>> stored_size("F4", (3, 32)), stored_size("BF16", (2, 2))
    (48, 8)
    """
    if dtype not in SAFETENSORS_BITS:
        known = ", ".join(SAFETENSORS_BITS)
        raise CheckpointError(f"safetensors files have no type {dtype}; they have {known}")
    return math.prod(shape) * SAFETENSORS_BITS[dtype] // 8


def safetensors_file(
    name: str, tensors: Sequence[Stored], metadata: Mapping[str, str]
) -> PlannedFile:
    """Lay a safetensors file out.

    The widest types come first, as the safetensors package does it, so that every tensor is
    aligned to its type; within a width, the order given is kept.

    Raises
    ------
    CheckpointError
        If a type is unknown, or the header larger than readers accept.

    Examples
    --------
    >>> file = safetensors_file("a.safetensors", [Stored("w", "U8", (3,), 3, "w")], {"by": "us"})
    >>> file.size - len(file.header), file.places["w"] == len(file.header)
    (3, True)
    """
    ordered = sorted(tensors, key=lambda tensor: -SAFETENSORS_BITS.get(tensor.dtype, 0))
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    begin, places = 0, {}
    for tensor in ordered:
        if tensor.nbytes != stored_size(tensor.dtype, tensor.shape):
            raise CheckpointError(
                f"{tensor.name}: {tensor.nbytes} bytes cannot be {tensor.dtype} of shape "
                f"{tensor.shape}"
            )
        end = begin + tensor.nbytes
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        places[tensor.name] = begin
        begin = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_HEADER:
        raise CheckpointError(
            f"{name}: its header would take {len(text):,} bytes, and readers accept "
            f"{_MAX_HEADER:,}: write more shards"
        )
    header = len(text).to_bytes(8, "little") + text
    moved = {key: len(header) + offset for key, offset in places.items()}
    return PlannedFile(name, header, moved, len(header) + begin)


def safetensors_index(files: Sequence[PlannedFile], total: int) -> PlannedFile:
    """Make the index of several files: which tensor lies where."""
    where = {tensor: file.name for file in files for tensor in file.places}
    document = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
    text = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    return PlannedFile(INDEX, text, {}, len(text))
