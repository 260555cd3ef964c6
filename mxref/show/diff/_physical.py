"""Where the bits of an element lie in memory: as packed codes, or in a project's tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mxref.layouts import layout as find_layout
from mxref.layouts._scale_addresses import Plane
from mxref.layouts.conventions import Fields
from mxref.layouts.packings import Packing, find_packing
from mxref.layouts.scale_orders import ScaleOrder, scale_order
from mxref.show.diff._operands import Pair
from mxref.show.diff._scaling import Scaling

__all__ = ["Memory", "Spot"]

_BYTES, _ROWS = "bytes", "row-major"


@dataclass(frozen=True, slots=True)
class Spot:
    """Bits in a buffer.

    Attributes
    ----------
    buffer : str
        ``"codes"``, ``"scales"``, ``"subscales"``, ``"numbers"``, or a part of a convention.
    byte : int
        Offset of the byte that holds the lowest bit.
    bits : tuple of int
        Each bit, bit 0 of the code first: 8 times the offset of its byte, plus its place in it
        (0 is the lowest).
    order : str
        Name of the packing, order or layout.

    Examples
    --------
    >>> str(Spot("codes", 1, (12, 13, 14, 15), "nibbles-low-first"))
    'byte 1, bits 4-7 (nibbles-low-first)'
    >>> str(Spot("codes", 0, (6, 7, 8, 9, 10, 11), "fp6-dense"))
    'byte 0, bits 6-7, byte 1, bits 0-3 (fp6-dense)'
    """

    buffer: str
    byte: int
    bits: tuple[int, ...]
    order: str

    def __str__(self) -> str:
        """Name the bytes, and the bits in each."""
        octets: dict[int, list[int]] = {}
        for bit in self.bits:
            octets.setdefault(bit // 8, []).append(bit % 8)
        whole = all(len(held) == 8 for held in octets.values())
        if whole:
            first, last = min(octets), max(octets)
            where = f"byte {first}" if first == last else f"bytes {first}-{last}"
        else:
            where = ", ".join(f"byte {byte}, {_span(held)}" for byte, held in octets.items())
        return f"{where} ({self.order})"

    def to_dict(self) -> dict[str, object]:
        """Return the same as plain data."""
        return {
            "buffer": self.buffer,
            "byte": self.byte,
            "bits": [bit % 8 for bit in self.bits],
            "bytes": sorted({bit // 8 for bit in self.bits}),
            "order": self.order,
        }


def _span(bits: list[int]) -> str:
    low, high = min(bits), max(bits)
    return f"bit {low}" if low == high else f"bits {low}-{high}"


class Memory:
    """How a pair is stored.

    Parameters
    ----------
    pair : Pair
    scaling : Scaling or None
    packing, scale_layout, layout : str or None
        As `mxref.diff` takes them.

    Raises
    ------
    ValueError
        If there is none of that name, or it does not fit the pair.
    """

    def __init__(
        self,
        pair: Pair,
        scaling: Scaling | None,
        packing: str | Packing | None = None,
        scale_layout: str | ScaleOrder | None = None,
        layout: str | None = None,
    ) -> None:
        self._pair, self._scaling = pair, scaling
        if layout is not None and (packing is not None or scale_layout is not None):
            raise ValueError(
                f"layout={layout!r} says where codes and scales lie: leave packing and "
                "scale_layout out"
            )
        self._packing = find_packing(_BYTES if packing is None else packing)
        self._order = scale_order(_ROWS if scale_layout is None else scale_layout)
        self._layout = None if layout is None else find_layout(layout)
        self._check()

    def _check(self) -> None:
        pair = self._pair
        given = self._packing.name != _BYTES or self._order.name != _ROWS
        if pair.kind != "blocks" and (self._layout or self._order.name != _ROWS):
            raise ValueError(
                f"there are no scales in {pair.name}: scale_layout and layout go with blocks; "
                "for codes there is packing"
            )
        if pair.kind == "numbers" and given:
            raise ValueError(f"packing goes with codes, and a and b hold {pair.name}: leave it out")
        if self._packing.name != _BYTES and self._packing.bits != pair.line.bits:
            raise ValueError(
                f"packing {self._packing.name!r} stores codes of {self._packing.bits} bits; those "
                f"of {pair.name} have {pair.line.bits}"
            )
        if self._order.name != _ROWS and self._plane() is None:
            raise ValueError(
                f"scale_layout {self._order.name!r} orders planes, with blocks along one of the "
                f"last two axes; here they lie along axis {pair.axis} of shape {pair.shape}"
            )
        if self._layout is not None:
            self._layout.parts_for(pair.name)
            if pair.axis != len(pair.shape) - 1:
                raise ValueError(
                    f"layout {self._layout.name!r} keeps blocks on the last axis; here they lie "
                    f"along axis {pair.axis}"
                )

    def spots(self, flat: int) -> tuple[Spot, ...]:
        """Return where the code, the scale and the sub-scale of an element lie."""
        pair = self._pair
        if self._layout is not None:
            return self._by_convention(flat)
        if pair.kind == "numbers":
            size = pair.a.dtype.itemsize
            bits = tuple(range(8 * size * flat, 8 * size * (flat + 1)))
            return (Spot("numbers", size * flat, bits, "little-endian"),)
        spots = [self._code(flat)]
        if self._scaling is not None:
            names = ("scales", "subscales")
            for part, (held, _) in enumerate(self._scaling.parts):
                group = int(self._scaling.groups(np.array([flat]), part)[0])
                spots.append(self._scale(names[part], group, held))
        return tuple(spots)

    def _code(self, flat: int) -> Spot:
        columns = self._pair.shape[-1] if self._pair.shape else 1
        row, column = divmod(flat, columns)
        if self._packing.name == _BYTES:
            bits = tuple(range(8 * flat, 8 * flat + self._pair.line.bits))
            return Spot("codes", flat, bits, _BYTES)
        octets, places = self._packing.bit_places(column, columns)
        start = row * self._packing.packed_size(columns)
        held = tuple(8 * (start + int(o)) + int(p) for o, p in zip(octets, places, strict=True))
        return Spot("codes", held[0] // 8, held, self._packing.name)

    def _scale(self, name: str, group: int, held: Any) -> Spot:
        size = held.dtype.itemsize
        byte, order = group * size, _ROWS
        plane = self._plane()
        if name == "scales" and self._order.name != _ROWS and plane is not None:
            order = self._order.name
            which, rest = divmod(group, plane.lines * plane.blocks)
            row, column = divmod(rest, plane.shape[1])
            line, block = (row, column) if plane.axis == 1 else (column, row)
            at = self._order.address(np.array([line]), np.array([block]), plane)
            byte = which * int(self._order.size(plane)) + int(np.asarray(at).reshape(-1)[0])
        return Spot(name, byte, tuple(range(8 * byte, 8 * (byte + size))), order)

    def _plane(self) -> Plane | None:
        """Return the plane that the last two axes of the scales are."""
        pair = self._pair
        if pair.a_scales is None or pair.axis is None or pair.a_scales.dtype != np.uint8:
            return None
        shape = (1, *pair.a_scales.shape)[-2:]
        from_end = pair.axis - len(pair.shape)
        if from_end == -1:
            return Plane(shape[0], shape[1], 1)
        return Plane(shape[1], shape[0], 0) if from_end == -2 else None

    def _by_convention(self, flat: int) -> tuple[Spot, ...]:
        """Find the bits that change when those of one code, or of one scale code, do."""
        pair = self._pair
        assert self._layout is not None  # noqa: S101
        assert pair.a_scales is not None  # noqa: S101
        shape = pair.shape if len(pair.shape) > 1 else (1, *pair.shape)
        lead = (math.prod(shape[:-1]), shape[-1])
        codes = np.zeros(lead, np.uint8)
        scales = np.zeros((lead[0], pair.a_scales.shape[-1]), np.uint8)
        whole = None if pair.global_scales is None else np.ones((), np.float64)
        group = 0 if self._scaling is None else int(self._scaling.groups(np.array([flat]))[0])
        found = []
        for array, at, width in ((codes, flat, pair.line.bits), (scales, group, 8)):
            held: list[tuple[str, int]] = []
            base = self._layout.pack(Fields(codes, scales, whole), pair.name)
            before = {role: _octets(part).copy() for role, part in base.items()}
            for bit in range(width):
                array.reshape(-1)[at] = 1 << bit
                after = self._layout.pack(Fields(codes, scales, whole), pair.name)
                held += _changed(before, {role: _octets(part) for role, part in after.items()})
            array.reshape(-1)[at] = 0
            if held:
                bits = tuple(bit for _, bit in held)
                found.append(Spot(held[0][0], bits[0] // 8, bits, self._layout.name))
        return tuple(found)


def _octets(part: Any) -> Any:
    return np.ascontiguousarray(part).reshape(-1).view(np.uint8)


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, int]]:
    found = []
    for role, part in after.items():
        for byte in np.flatnonzero(before[role] != part):
            flipped = int(before[role][byte] ^ part[byte])
            found += [(role, 8 * int(byte) + bit) for bit in range(8) if flipped >> bit & 1]
    return found
