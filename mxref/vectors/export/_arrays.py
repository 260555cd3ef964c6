"""The columns as arrays: one ``.npy`` file a column, or one ``.safetensors`` file."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from mxref.vectors.export._table import Column, Table
from mxref.vectors.export._write import described
from mxref.vectors.model import VectorError

__all__ = ["npy_files", "safetensors_files"]


def npy_files(table: Table) -> dict[str, bytes]:
    """Return one ``.npy`` file for each array."""
    arrays = _arrays(table)
    files = {f"{table.name}.{name}.npy": _npy(array) for name, array in arrays.items()}
    return described(table, "npy", files, {"arrays": _listing(arrays)})


def safetensors_files(table: Table) -> dict[str, bytes]:
    """Return one ``.safetensors`` file with all arrays, and the description as its metadata.

    Raises
    ------
    VectorError
        If the package ``safetensors`` is not installed.
    """
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise VectorError(
            "the export to safetensors needs the package of that name: "
            "pip install 'mxref[safetensors]'"
        ) from error
    arrays = _arrays(table)
    # One entry, since the package writes several in an order that differs from run to run.
    metadata = {"mxref": json.dumps(table.description, ensure_ascii=True)}
    files = {f"{table.name}.safetensors": bytes(save(arrays, metadata))}
    return described(table, "safetensors", files, {"arrays": _listing(arrays)})


def _listing(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    return {
        name: {"dtype": array.dtype.name, "shape": list(array.shape)}
        for name, array in arrays.items()
    }


def _arrays(table: Table) -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, np.ndarray[Any, Any]] = {}
    for prefix, columns in (("", table.cases), ("out_", table.members)):
        for column in columns:
            name = prefix + column.name
            if column.length is None:
                found[f"{name}_start"] = np.array(column.starts, "<u4")
            found[name] = _array(column)
    return found


def _array(column: Column) -> np.ndarray[Any, Any]:
    flat = np.array(column.flat, f"<u{column.bits // 8}")
    if column.length is None or not column.many:
        return flat
    return flat.reshape(len(column.rows), column.length)


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    """The bytes of a ``.npy`` file, version 1.0 of NEP 1.

    Not ``numpy.save``: how much room that leaves in the header depends on the version of numpy.
    """
    header = repr({"descr": array.dtype.str, "fortran_order": False, "shape": array.shape})
    blanks = -(10 + len(header) + 1) % 64
    text = header.encode("ascii") + b" " * blanks + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + array.tobytes()
