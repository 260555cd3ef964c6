"""Files that people take for safetensors: recognised by their first bytes, to say what to do."""

from __future__ import annotations

from mxref.checkpoints._file import RandomFile
from mxref.checkpoints.store import CheckpointError

__all__ = ["LOOK", "is_text_object", "refuse_other"]

LOOK = 64
"""How many first bytes tell what a file is."""

_OTHERS = (
    (b"GGUF", "is a GGUF file where a safetensors file was expected: convert it to"),
    (b"PK\x03\x04", "is a zip archive, perhaps weights pickled by torch.save: convert it to"),
    (b"\x80", "is a Python pickle, which only running it could read: convert it to"),
    (b"\x89HDF", "is an HDF5 file: convert it to"),
    (b"\x93NUMPY", "is a .npy array, no checkpoint: convert it to"),
    (b"lmgg", "is a GGML file from before GGUF: convert it to"),
    (b"tjgg", "is a GGML file from before GGUF: convert it to"),
)
_POINTER = b"version https://git-lfs"
_PAGES = (b"<!doctype", b"<html")


def is_text_object(first: bytes) -> bool:
    """Return whether a file begins as a JSON object does.

    A header of 123 bytes makes a safetensors file begin with a brace too, but zeros follow it.

    Examples
    --------
    >>> is_text_object(b' {"weight_map"'), is_text_object(b"{" + bytes(7) + b'{"w"')
    (True, False)
    """
    return first.lstrip()[:1] == b"{" and b"\0" not in first[:8]


def refuse_other(file: RandomFile) -> None:
    """Say what a file is, if it is of a kind that we know and not safetensors.

    Raises
    ------
    CheckpointError
        If so; what passes is a safetensors file, or a damaged one.
    """
    first = file.read(0, min(file.size, LOOK))
    if not first:
        raise CheckpointError(f"{file.path}: is empty; fetch it again")
    if first[8:9] == b"{" and first[4:8] == bytes(4):
        return
    if first.startswith(_POINTER):
        raise CheckpointError(
            f"{file.path}: is a pointer of Git LFS, not the file itself; run `git lfs pull` there"
        )
    if first.lstrip().lower().startswith(_PAGES):
        raise CheckpointError(
            f"{file.path}: is a web page, so a download failed; open it to read why, then fetch it "
            f"again"
        )
    for magic, what in _OTHERS:
        if first.startswith(magic):
            raise CheckpointError(f"{file.path}: {what} safetensors")
