"""What a check of a BDR format is given: validated, and as rows of blocks."""

from __future__ import annotations

import functools
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref._foreign import as_numpy
from mxref.bdr import BDRArray
from mxref.check.relatives import Blocks, Piece
from mxref.faults.bdr_model import neighbours
from mxref.faults.bdr_scaled import model_of
from mxref.relatives.bdr_format import BDRFormat, Element
from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["Data"]

_LANES = 64  # elements of a row where blocks are long
_LONG = 128


class Data:
    """Values, codes, scales and sub-scales of one array.

    Parameters
    ----------
    x, codes, scales, subscales : array_like
        As the caller gave them; `x` may be decoded values.
    fmt : BDRFormat
    axis : int
        Blocked axis.

    Attributes
    ----------
    blocks : Blocks
        A block a row, with its ``"scales"`` and ``"subscales"``.
    lanes : Blocks
        The same elements in rows that are short where blocks are long: a search looks at some of
        them.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or codes do not fit.
    """

    def __init__(
        self, x: Any, codes: Any, scales: Any, subscales: Any, fmt: BDRFormat, axis: int
    ) -> None:
        values, _ = inputs.as_float(x)
        given = _as_codes(codes, fmt)
        if given.shape != values.shape:
            raise ValueError(
                f"codes have shape {given.shape}; expected that of x, {values.shape}, one code in "
                "each byte; packed blocks come apart with mxref.bdr.unpack"
            )
        if fmt.has_subscales and subscales is None:
            kind = "microexponents" if fmt.max_shift else "integer scales"
            raise ValueError(
                f"subscales are missing: {fmt.name} has a second level of {kind}, one for each "
                f"{fmt.k2} elements. Give them as subscales=..., one in each byte"
            )
        made = BDRArray(given, scales, subscales, fmt, axis)
        self.fmt, self.axis, self.shape = fmt, made.axis, values.shape
        self.x, self.codes = values, made.codes
        self.scales, self.subscales = made.scales, made.subscales

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.x.size

    @functools.cached_property
    def blocks(self) -> Blocks:
        """A block a row."""
        if self.fmt.k1 is None:
            flat = self.x.reshape(-1), self.codes.reshape(-1)
            return Blocks(*flat, 0, max(1, self.size), {"scales": self.scales.reshape(1)})
        parts = {"scales": self.scales}
        if self.subscales is not None:
            parts["subscales"] = self.subscales
        return Blocks(self.x, self.codes, self.axis, self.fmt.k1, parts)

    @functools.cached_property
    def lanes(self) -> Blocks:
        """The elements in rows that are not too long."""
        k1, k2 = self.fmt.k1, self.fmt.k2
        if k1 is None:
            shared = np.broadcast_to(self.scales.reshape(1), (-(-self.size // _LANES),))
            parts = {"scales": shared}
            return Blocks(self.x.reshape(-1), self.codes.reshape(-1), 0, _LANES, parts)
        if k1 < _LONG or k1 % _LANES or (k2 and _LANES % k2):
            return self.blocks
        rows = -(-self.shape[self.axis] // _LANES)
        scales = np.repeat(self.scales, k1 // _LANES, axis=self.axis)
        parts = {"scales": scales.take(range(rows), axis=self.axis)}
        if self.subscales is not None:
            count = range(rows * (_LANES // k2))
            parts["subscales"] = self.subscales.take(count, axis=self.axis)
        return Blocks(self.x, self.codes, self.axis, _LANES, parts)

    def prepare(self, policy: BDRPolicy) -> None:
        """Add what searches need: what neighbours hold, and the scale that would be right."""
        model = model_of(self.fmt)(self.fmt, policy)
        seen = [model.look(p.x).magnitude.max(1, initial=0.0) for p in self.blocks.pieces()]
        around = neighbours(np.concatenate(seen))
        parts = {**self.blocks.parts, "around": around}
        self.blocks.parts = MappingProxyType(parts)
        own = np.concatenate([model.scales(p.x) for p in self.blocks.pieces()])
        if self.fmt.k1 is None:
            own = np.broadcast_to(own, (self.lanes.n,))
        elif self.lanes is not self.blocks:
            along = self.scales.shape[self.axis]
            own = np.repeat(own.reshape(-1, along), self.fmt.k1 // _LANES, axis=1)
            rows = -(-self.shape[self.axis] // _LANES)
            own = own[:, :rows].reshape(-1)
        parts = {**self.lanes.parts, "own": own[:, None]}
        self.lanes.parts = MappingProxyType(parts)

    def scale_index(self, row: int) -> tuple[int, ...]:
        """Coordinates of a block's scale."""
        return () if self.fmt.k1 is None else self.blocks.block_index(row)

    def subscale_index(self, row: int, place: int) -> tuple[int, ...]:
        """Coordinates of a sub-scale."""
        index = list(self.blocks.block_index(row))
        per = (self.fmt.k1 or 1) // self.fmt.k2
        index[self.axis] = index[self.axis] * per + place
        return tuple(index)

    def element_index(self, row: int, lane: int) -> tuple[int, ...]:
        """Coordinates of an element, by its row among `lanes`."""
        index = self.lanes.element_index(row, lane)
        if self.fmt.k1 is None:
            return tuple(int(i) for i in np.unravel_index(index[0], self.shape))
        return index


def scales_of(piece: Piece) -> NDArray[Any]:
    """Return the scales of rows, shape (n,)."""
    return piece.parts["scales"].reshape(-1)


def subscales_of(piece: Piece) -> NDArray[np.uint8] | None:
    """Return the sub-scales of rows, shape (n, p); None without a second level."""
    return piece.parts.get("subscales")


def _as_codes(given: Any, fmt: BDRFormat) -> NDArray[Any]:
    """Codes as bytes; the signed numbers of two's complement formats are taken too."""
    array = as_numpy(given, "codes")
    if array.dtype == np.int8 and fmt.element is Element.TWOS_COMPLEMENT:
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        if -fmt.sign_mask <= low and high < fmt.sign_mask:
            return array.view(np.uint8) & np.uint8(fmt.code_count - 1)
    name = array.dtype.name
    if fmt.float_element is not None and array.dtype.itemsize == 1 and name.startswith("float8"):
        return inputs.as_codes(array, fmt.float_element.name).view(np.uint8)
    return array
