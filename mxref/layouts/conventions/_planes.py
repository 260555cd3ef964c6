"""Layouts with tensors of their own for codes and scale codes, made from descriptions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.layouts._layout import Fields, Layout, Part, cannot_hold
from mxref.layouts.conventions._bits import packed_bytes, to_bytes, to_codes
from mxref.layouts.conventions._blocks import whole_blocks
from mxref.layouts.conventions._factors import Global, factor_shape, read_factor, stored_factor
from mxref.layouts.conventions._scale_planes import ROW_MAJOR, ScalePlane
from mxref.layouts.conventions._traits import Traits, traits

__all__ = ["Codes", "Global", "Parts", "Scales", "Words", "planes"]

Shape = tuple[int, ...]


class Words(NamedTuple):
    """What a layout says about itself."""

    name: str
    text: str
    source: str
    evidence: str
    container: str = "safetensors"


@dataclass(frozen=True, slots=True)
class Codes:
    """How element codes are stored.

    Attributes
    ----------
    suffixes, dtypes : tuple of str
        As in `Part`.
    packing : str
        A name of `mxref.layouts.packings`.
    word : int
        Bytes of an item of the stored tensor: 4 for little-endian words, else 1.
    grouped : bool
        Whether the bytes of a block have an axis of their own.
    """

    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    packing: str
    word: int = 1
    grouped: bool = False


@dataclass(frozen=True, slots=True)
class Scales:
    """How scale codes are stored: names, types, and where they lie."""

    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    plane: ScalePlane = ROW_MAJOR


class Parts(NamedTuple):
    """The parts of a weight in one format."""

    codes: Codes
    scales: Scales
    factor: Global | None = None

    def listed(self) -> tuple[Part, ...]:
        """The same, as users see them."""
        found = [
            Part("codes", self.codes.suffixes, self.codes.dtypes),
            Part("scales", self.scales.suffixes, self.scales.dtypes),
        ]
        if self.factor is not None:
            found.append(self.factor.part())
        return tuple(found)


def planes(words: Words, stored: Mapping[str, Parts]) -> Layout:
    """Make a layout of separate tensors."""
    maker = _Planes(words.name, MappingProxyType(dict(stored)))
    steps = {p.scales.plane.row_step for p in stored.values()}
    return Layout(
        words.name,
        MappingProxyType({name: parts.listed() for name, parts in stored.items()}),
        words.text,
        words.source,
        words.evidence,
        words.container,
        0 if 0 in steps else math.lcm(*steps),
        maker.shapes,
        maker.pack,
        maker.unpack,
        maker.logical,
    )


@dataclass(frozen=True, slots=True)
class _Planes:
    name: str
    stored: Mapping[str, Parts]

    def shapes(self, format: str, shape: Shape) -> dict[str, Shape]:  # noqa: A002
        parts, of = self._find(format)
        blocks = whole_blocks(shape, of, self.name)
        lines = shape[:-1]
        codes: Shape
        if parts.codes.grouped:
            codes = (*lines, blocks, packed_bytes(of.block_size, parts.codes.packing))
        else:
            codes = (*lines, packed_bytes(shape[-1], parts.codes.packing) // parts.codes.word)
        found = {"codes": codes, "scales": parts.scales.plane.shape(lines, blocks)}
        if parts.factor is not None:
            found["global_scale"] = parts.factor.shape
        return found

    def pack(self, fields: Fields, format: str) -> dict[str, NDArray[Any]]:  # noqa: A002
        parts, of = self._find(format)
        shape = fields.codes.shape
        shapes = self.shapes(format, shape)
        want = (*shape[:-1], shape[-1] // of.block_size)
        if fields.scales.shape != want:
            raise ValueError(
                f"scales have shape {fields.scales.shape}; codes of shape {shape} in {of.name} "
                f"take scales of shape {want}"
            )
        data = to_bytes(fields.codes, parts.codes.packing, of.bits)
        if parts.codes.word > 1:
            data = np.ascontiguousarray(data).view(f"<u{parts.codes.word}")
        found: dict[str, NDArray[Any]] = {
            "codes": data.reshape(shapes["codes"]),
            "scales": parts.scales.plane.put(fields.scales),
        }
        factor = stored_factor(fields.global_scale, parts.factor, self.name, format)
        if factor is not None:
            found["global_scale"] = factor
        return found

    def unpack(self, parts: Mapping[str, NDArray[Any]], format: str, shape: Shape) -> Fields:  # noqa: A002
        how, of = self._find(format)
        shapes = self.shapes(format, shape)
        codes = _as_stored(parts, "codes", shapes["codes"], how.codes.word)
        scales = _as_stored(parts, "scales", shapes["scales"], 1)
        packed = codes.view(np.uint8).reshape(
            *shape[:-1], packed_bytes(shape[-1], how.codes.packing)
        )
        blocks = shape[-1] // of.block_size
        return Fields(
            to_codes(packed, how.codes.packing, shape[-1], of.bits),
            how.scales.plane.take(scales, shape[:-1], blocks),
            read_factor(parts.get("global_scale"), how.factor, shape, self.name),
        )

    def logical(self, stored: Mapping[str, Shape], format: str) -> Shape:  # noqa: A002
        parts, of = self._find(format)
        codes = stored["codes"]
        least = 2 if parts.codes.grouped else 1
        if len(codes) < least:
            raise ValueError(f"codes have shape {codes}: {least} axes or more are expected")
        lines, last = (
            codes[: -1 - parts.codes.grouped],
            math.prod(codes[-1 - parts.codes.grouped :]),
        )
        columns = last * parts.codes.word * 8 // of.bits
        if parts.codes.packing == "bytes":
            columns = last * parts.codes.word
        shape = (*lines, columns)
        want = self.shapes(format, shape)
        if want["codes"] != codes:
            raise ValueError(f"codes have shape {codes}; {of.name} would have {want['codes']}")
        if want["scales"] != stored["scales"]:
            raise ValueError(
                f"scales have shape {stored['scales']}; codes of shape {codes} in {of.name} take "
                f"scales of shape {want['scales']}"
            )
        factor = stored.get("global_scale")
        if factor is not None:
            factor_shape(factor, shape, self.name)
        return shape

    def _find(self, format: str) -> tuple[Parts, Traits]:  # noqa: A002
        if format not in self.stored:
            raise ValueError(cannot_hold(self.name, self.stored, format))
        return self.stored[format], traits(format)


def _as_stored(
    parts: Mapping[str, NDArray[Any]], role: str, shape: Shape, word: int
) -> NDArray[Any]:
    if role not in parts:
        raise ValueError(f"{role} are missing; given: {', '.join(parts) or 'nothing'}")
    array = np.ascontiguousarray(parts[role])
    if array.dtype.itemsize != word or array.dtype.kind == "b":
        raise TypeError(
            f"{role} have dtype {array.dtype}; expected items of {word} "
            f"byte{'s' if word > 1 else ''}, such as {'uint32' if word > 1 else 'uint8'}"
        )
    if array.size != math.prod(shape):
        raise ValueError(f"{role} have shape {array.shape}; expected {shape}")
    if word > 1:
        array = array.astype(f"<u{word}", copy=False)
    return array.view(f"<u{word}" if word > 1 else np.uint8).reshape(shape)
