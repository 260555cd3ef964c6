"""GGUF: one tensor of records, each a block's scale codes and codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.layouts._layout import Fields, Layout, Part, cannot_hold
from mxref.layouts.conventions._blocks import whole_blocks
from mxref.layouts.conventions._factors import Global, factor_shape, read_factor, stored_factor
from mxref.layouts.conventions._traits import traits
from mxref.layouts.records import Record, find_record, pack_records, unpack_records

__all__ = ["LAYOUTS"]

Shape = tuple[int, ...]


class _Stored(NamedTuple):
    """A type of GGUF: its record, and the tensor beside it."""

    dtype: str
    record: str
    factor: Global | None = None

    @property
    def of(self) -> Record:
        return find_record(self.record)

    def listed(self) -> tuple[Part, ...]:
        records = Part("records", (".weight",), (self.dtype,))
        return (records,) if self.factor is None else (records, self.factor.part())


_STORED = {
    "mxfp4": _Stored("MXFP4", "gguf-mxfp4"),
    # The factor lies in a tensor of its own: https://github.com/ggml-org/llama.cpp/pull/19769;
    # the longer name was seen in files of others (https://github.com/Luce-Org/lucebox/pull/146).
    "nvfp4": _Stored(
        "NVFP4", "gguf-nvfp4", Global((".scale", ".weight.scale"), (1,), optional=True)
    ),
}


def _stored(format: str) -> _Stored:  # noqa: A002
    if format not in _STORED:
        raise ValueError(cannot_hold("gguf", _STORED, format))
    return _STORED[format]


def _shapes(format: str, shape: Shape) -> dict[str, Shape]:  # noqa: A002
    of = _stored(format)
    records = whole_blocks(shape, traits(format), "gguf", of.of.blocks) // of.of.blocks
    found: dict[str, Shape] = {"records": (*shape[:-1], records * of.of.nbytes)}
    if of.factor is not None:
        found["global_scale"] = of.factor.shape
    return found


def _pack(fields: Fields, format: str) -> dict[str, NDArray[Any]]:  # noqa: A002
    of = _stored(format)
    shape = fields.codes.shape
    stored = _shapes(format, shape)["records"]
    want = (*shape[:-1], shape[-1] // traits(format).block_size)
    if fields.scales.shape != want:
        raise ValueError(
            f"scales have shape {fields.scales.shape}; codes of shape {shape} in {format} take "
            f"scales of shape {want}"
        )
    found = dict[str, NDArray[Any]]()
    factor = stored_factor(fields.global_scale, of.factor, "gguf", format)
    if factor is not None:
        found["global_scale"] = factor
    records = pack_records(fields.scales, fields.codes, of.record)
    found["records"] = records.reshape(stored)
    return found


def _unpack(parts: Mapping[str, NDArray[Any]], format: str, shape: Shape) -> Fields:  # noqa: A002
    of = _stored(format)
    stored = _shapes(format, shape)["records"]
    if "records" not in parts:
        raise ValueError(f"records are missing; given: {', '.join(parts) or 'nothing'}")
    array = np.ascontiguousarray(parts["records"])
    if array.dtype != np.uint8:
        raise TypeError(f"records have dtype {array.dtype}; expected uint8")
    if array.size != math.prod(stored):
        raise ValueError(f"records have shape {array.shape}; expected {stored}")
    found = unpack_records(array.reshape(stored), of.record)
    factor = read_factor(parts.get("global_scale"), of.factor, shape, "gguf")
    return Fields(found.codes.reshape(shape), found.scales, factor)


def _logical(stored: Mapping[str, Shape], format: str) -> Shape:  # noqa: A002
    of = _stored(format)
    shape = stored["records"]
    if not shape:
        raise ValueError(f"a tensor without axes holds no {of.dtype} records")
    records, rest = divmod(shape[-1], of.of.nbytes)
    if rest:
        raise ValueError(f"rows of {shape[-1]} bytes; {of.dtype} records have {of.of.nbytes}")
    logical = (*shape[:-1], records * of.of.elements)
    if "global_scale" in stored:
        factor_shape(stored["global_scale"], logical, "gguf")
    return logical


_GGUF = Layout(
    "gguf",
    MappingProxyType({name: of.listed() for name, of in _STORED.items()}),
    "records of a scale code and 16 bytes (NVFP4: four and 32): a byte holds elements j and j + 16 "
    "of a block (j + 8), the first in the low nibble",
    "https://github.com/ggml-org/llama.cpp (ggml/src/ggml-common.h), "
    "https://pypi.org/project/gguf/0.19.0/",
    "measured: gguf.quants dequantizes our records, and its own are read by us",
    "gguf",
    1,
    _shapes,
    _pack,
    _unpack,
    _logical,
)

LAYOUTS: tuple[Layout, ...] = (_GGUF,)
"""The layouts of this module."""
