"""Files of one `MXArray`: an ``.npz`` archive that NumPy alone can read, without pickles.

Three members: ``codes`` and ``scales``, arrays of uint8, and ``mxref``, a text in JSON that says
what they mean. Lengths are compared with the file before memory is asked for, so that a damaged or
hostile file cannot demand more than its own size.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mxref._placing import file_mode, place
from mxref.formats import BLOCK_FORMATS, BlockFormat, block_format
from mxref.policy import OPEN_POINT_OF, Policy

__all__ = ["Contents", "read", "write"]

VERSION = 1
"""Version of the file format; a reader refuses a higher one."""

_MEMBERS = ("codes", "scales", "mxref")
_MOST_TEXT = 1 << 20  # bytes of the JSON text; ours has ten thousand, four for each character
_PIECE = 1 << 24  # bytes read at a time


class Contents(NamedTuple):
    """What a file holds."""

    codes: NDArray[np.uint8]
    scales: NDArray[np.uint8]
    format: BlockFormat
    axis: int
    policy: Policy


# --- writing --------------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], contents: Contents, *, overwrite: bool) -> None:
    """Write a file in one step: it appears whole or not at all.

    Raises
    ------
    FileExistsError
        If the path is taken and `overwrite` is false.
    OSError
        If it cannot be written.
    ValueError
        If the format has no name by which it could be found again.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        msg = f"{target} exists; pass overwrite=True to replace it"
        raise FileExistsError(msg)
    members = {"codes": contents.codes, "scales": contents.scales}
    members["mxref"] = np.array(_text(contents))
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:  # its name would be the temporary one
        raise type(error)(error.errno, error.strerror, str(target)) from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **members)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(file_mode())
        place(temporary, target, overwrite=overwrite)
    except FileExistsError:
        msg = f"{target} exists; pass overwrite=True to replace it"
        raise FileExistsError(msg) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _text(contents: Contents) -> str:
    name = contents.format.name
    if contents.format.base not in BLOCK_FORMATS or block_format(name) != contents.format:
        msg = f"the format {name!r} differs from mxref's own of that name, so a file cannot name it"
        raise ValueError(msg)
    facts = {
        "version": VERSION,
        "format": name,
        "axis": contents.axis,
        # Every field, since what a name stands for may change from release to release.
        "policy": {"name": contents.policy.name, "fields": contents.policy.as_dict()},
    }
    return json.dumps(facts, sort_keys=True)


# --- reading --------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> Contents:
    """Read a file; whether the arrays fit each other is for the caller to check.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is damaged, or something else; the message names it and says why.
    """
    source = Path(path)
    with source.open("rb") as file:
        try:
            return _contents(file)
        except _Unreadable as error:
            msg = f"{source}: {error}"
            raise ValueError(msg) from error.__cause__
        except MemoryError:
            msg = f"{source}: larger than the memory"
            raise ValueError(msg) from None


class _Unreadable(Exception):  # noqa: N818  # says what a file is, not that we failed
    """What is wrong with a file, in words that go behind its name."""


def _contents(file: IO[bytes]) -> Contents:
    try:
        archive = zipfile.ZipFile(file)
        names = archive.namelist()
    except Exception as error:
        what = "is no .npz archive, or it is truncated"
        if file.seek(0) == 0 and file.read(6) == b"\x93NUMPY":
            what = "is one array (.npy) without its scales and its format"
        raise _Unreadable(f"{what}: expected what MXArray.save writes") from error
    if sorted(names) != sorted(f"{each}.npy" for each in _MEMBERS):
        found = ", ".join(sorted(names)[:8]) or "nothing"
        raise _Unreadable(
            f"holds {found[:200]}; expected codes.npy, scales.npy and mxref.npy, as MXArray.save "
            "writes them. To read other arrays use numpy.load and mxref.MXArray(codes, scales, ...)"
        )
    text = _member(archive, "mxref")
    fmt, axis, policy = _meaning(text)
    return Contents(_octets(archive, "codes"), _octets(archive, "scales"), fmt, axis, policy)


def _octets(archive: zipfile.ZipFile, name: str) -> NDArray[np.uint8]:
    array = _member(archive, name)
    if array.dtype != np.uint8:
        raise _Unreadable(f"its {name} have type {array.dtype}; expected uint8")
    return array


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read one array, after comparing what its header claims with the bytes that are there."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise _Unreadable("is compressed; expected the stored arrays that MXArray.save writes")
    length = archive.fp.seek(0, os.SEEK_END) if archive.fp else 0
    if info.file_size != info.compress_size or info.file_size > length:
        raise _Unreadable(f"its {name} claim {info.file_size} bytes in a file of {length}")
    try:
        with archive.open(info) as stream:
            shape, is_fortran, dtype = _header(stream)
            _refuse_claims(name, shape, dtype, info.file_size - stream.tell())
            data = _exactly(stream, math.prod(shape) * dtype.itemsize)
    except _Unreadable:
        raise
    except Exception as error:
        raise _Unreadable(f"its {name} cannot be read: {_words(error)}") from error
    return data.view(dtype).reshape(shape, order="F" if is_fortran else "C")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    is_first = npy.read_magic(stream) == (1, 0)
    return npy.read_array_header_1_0(stream) if is_first else npy.read_array_header_2_0(stream)


def _refuse_claims(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], present: int) -> None:
    claimed = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or claimed != present:
        raise _Unreadable(f"its {name} claim shape {shape} of {dtype}, but have {present} bytes")
    if name == "mxref" and (dtype.kind != "U" or shape or claimed > _MOST_TEXT):
        raise _Unreadable(f"its description is no text, but {dtype} of shape {shape}")


def _exactly(stream: IO[bytes], length: int) -> NDArray[np.uint8]:
    data = np.empty(length, np.uint8)
    n_read = 0
    while n_read < length and (piece := stream.read(min(_PIECE, length - n_read))):
        data[n_read : n_read + len(piece)] = np.frombuffer(piece, np.uint8)
        n_read += len(piece)
    if n_read != length or stream.read(1):  # at the end, the checksum is compared
        raise _Unreadable(f"ends after {n_read} of {length} bytes")
    return data


def _meaning(text: NDArray[Any]) -> tuple[BlockFormat, int, Policy]:
    try:
        facts = json.loads(str(text))
        version = facts["version"]
        name, axis, fields = facts["format"], facts["axis"], facts["policy"]["fields"]
    except Exception as error:
        raise _Unreadable(f"its description (mxref.npy) is not mxref's: {_words(error)}") from error
    if version != VERSION:
        raise _Unreadable(
            f"is of version {version!r}; this mxref reads version {VERSION}: update mxref"
        )
    newer = sorted(set(fields) - set(OPEN_POINT_OF)) if isinstance(fields, dict) else []
    if newer:
        raise _Unreadable(f"its policy has fields that this mxref does not know: {newer[:4]}")
    try:
        return block_format(name), axis, Policy(**fields)
    except Exception as error:
        raise _Unreadable(f"its description says: {_words(error)}") from error


def _words(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
