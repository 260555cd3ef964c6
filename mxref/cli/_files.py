"""Reading and writing .npy files: nothing pickled is opened, nothing existing is lost."""

from __future__ import annotations

import os
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxref._placing import file_mode, place
from mxref.cli._output import fail

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["INPUT_DTYPES", "holds_floats", "load_codes", "load_numbers", "require_free", "save_all"]

INPUT_DTYPES = ("float32", "float64", "float16", "bfloat16")
"""The types of numbers that `load_numbers` accepts."""

_AS_UINT8 = "save the bytes instead: np.save(path, codes.view(np.uint8))"


def load_numbers(path: Path, input_dtype: str | None = None) -> NDArray[Any]:
    """Read real numbers.

    Parameters
    ----------
    path : Path
    input_dtype : str, optional
        What the file holds. NumPy cannot record bfloat16 and saves it as raw pairs of bytes,
        which only this can explain.

    Raises
    ------
    CliError
        If the file cannot be read or does not hold such numbers.
    """
    import ml_dtypes
    import numpy as np

    array = _load(path)
    dtype = array.dtype
    if input_dtype == "bfloat16" and dtype in (np.dtype("V2"), np.dtype("u2")):
        return array.view(ml_dtypes.bfloat16)
    if input_dtype is not None and dtype != np.dtype(input_dtype).newbyteorder(dtype.byteorder):
        fail(f"{path}: holds {dtype}, not {input_dtype}")
    if dtype == np.dtype("V2"):
        fail(f"{path}: holds raw pairs of bytes; if they are bfloat16, say --input-dtype bfloat16")
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        fail(
            f"{path}: holds {dtype}, expected numbers of type {', '.join(INPUT_DTYPES)}"
            + (_instead() if dtype.kind in "iuV" else "")
        )
    return array


def _instead() -> str:
    """Say what to do with a file of integers: only some commands take codes."""
    context = click.get_current_context(silent=True)
    options = [] if context is None else [o for p in context.command.params for o in p.opts]
    if "--codes" in options:
        return " (codes? then --codes)"
    return "; if they are numbers, save them as float32"


def holds_floats(path: Path) -> bool:
    """Whether a file holds real numbers; one that cannot be read does not."""
    import numpy as np

    try:
        return bool(np.load(path, mmap_mode="r", allow_pickle=False).dtype.kind == "f")
    except Exception:  # noqa: BLE001  # whoever loads it says what is wrong with it
        return False


def load_codes(path: Path, what: str) -> NDArray[Any]:
    """Read codes or scale codes: integers of any type, or raw bytes.

    Raises
    ------
    CliError
        If the file cannot be read or does not hold codes.
    """
    import numpy as np

    array = _load(path)
    if array.dtype.kind == "V":
        fail(
            f"{path}: holds {array.dtype.str}, raw bytes: NumPy cannot record the types of "
            f"ml_dtypes; {_AS_UINT8}"
        )
    if array.dtype == np.int8:
        return array.view(np.uint8)
    if array.dtype.kind not in "iu":
        fail(f"{path}: holds {array.dtype}, expected {what} as uint8, not values")
    if array.dtype != np.uint8:
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        if low < 0 or high > 0xFF:
            fail(f"{path}: holds {low if low < 0 else high}, but a byte is 0 to 255")
        array = array.astype(np.uint8)
    return array


def _load(path: Path) -> NDArray[Any]:
    import numpy as np

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of old or damaged files
            loaded = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        fail(f"{path}: no such file")
    except MemoryError:
        fail(f"{path}: larger than the memory, or its header is damaged")
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001  # a damaged header raises whatever parsing it meets
        fail(f"{path}: {_reason(error)}")
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        fail(f"{path}: is an .npz archive; save each array by itself with np.save")
    return loaded


def _reason(error: Exception) -> str:
    """Say why numpy refused a file."""
    text = " ".join(str(error).split())
    if "Object arrays" in text:
        return "holds Python objects, which only unpickling could read: refused as unsafe"
    if "pickled" in text:
        return "is no .npy file (a pickle would be refused as unsafe)"
    if "reshape" in text or "No data left" in text or "EOF" in text or "Expected" in text:
        return f"is truncated ({text})"
    if "dtype descriptor" in text:
        return f"has a type that NumPy cannot read back ({text}); if it holds codes, {_AS_UINT8}"
    return f"cannot be read as .npy: {text or type(error).__name__}"


def require_free(inputs: list[Path], outputs: list[Path], *, force: bool) -> None:
    """Stop before any work if an output would destroy something.

    Raises
    ------
    CliError
        If two outputs or an input and an output are one file, or an output exists without
        `force`, or its folder does not.
    """
    for i, output in enumerate(outputs):
        for other in [*inputs, *outputs[:i]]:
            if output.resolve() == other.resolve():
                fail(f"{output}: named twice; the one would overwrite the other")
        if output.is_dir():
            fail(f"{output}: is a folder")
        if not output.parent.is_dir():
            fail(f"{output}: there is no folder {output.parent}")
        if output.exists() and not force:
            fail(f"{output}: exists; --force overwrites it")


def save_all(arrays: dict[Path, NDArray[Any]], *, force: bool) -> None:
    """Write .npy files, all or none, each appearing whole or not at all.

    Raises
    ------
    CliError
        If a file exists without `force`, or cannot be written.
    """
    import numpy as np

    written: dict[Path, Path] = {}
    placed: list[Path] = []
    try:
        for path, array in arrays.items():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            written[path] = Path(name)
            with os.fdopen(handle, "wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            written[path].chmod(file_mode())
        for path, temporary in written.items():
            place(temporary, path, overwrite=force)
            placed.append(path)
    except OSError as error:
        if not force:  # what was there before stays, what was not goes
            for path in placed:
                path.unlink(missing_ok=True)
        reason = "exists" if isinstance(error, FileExistsError) else error.strerror or error
        fail(f"{path}: cannot be written: {reason}")
    finally:
        for temporary in written.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
