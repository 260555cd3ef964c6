"""What a view of a `BDRArray` has to know of BDR formats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mxref.exact import bdr as exact
from mxref.exact.bdr_elements import decode
from mxref.exact.number import Number, NumberClass
from mxref.mxarray._look_numbers import brief, power_text
from mxref.mxarray._look_parts import Block, Box, Cell, Family, Index, Scale, fields_of, part_of
from mxref.relatives.bdr_format import Element, ScaleKind, SubscaleKind

if TYPE_CHECKING:
    from mxref.bdr._array import BDRArray

__all__ = ["BDRFamily"]


class BDRFamily(Family):
    """A `BDRArray`, for its view."""

    def __init__(self, q: BDRArray) -> None:
        fmt = q.format
        self._q, self._format = q, fmt
        self.head = (
            f"BDRArray({fmt.name}, shape={q.shape}, axis={q.axis}, policy='{q.policy.name}')"
        )
        if q.subscales is not None:
            what = "a shift D" if fmt.subscale is SubscaleKind.POW2 else "an integer"
            self.facts = (("sub-scale", f"{what} of {fmt.d2} bits for every {fmt.k2} elements"),)
        self.codes, self.axis = q.codes, q.axis
        self.block_size = q.codes.size if fmt.k1 is None else fmt.k1
        self.element_name, self.code_bits = str(fmt.element), fmt.code_bits
        is_float = fmt.float_element is not None
        self.largest = fmt.largest if is_float else Fraction(fmt.max_magnitude)
        shared = 0 if q.subscales is None else q.subscales.size
        bits = q.size * fmt.code_bits + q.scales.size * fmt.d1 + shared * fmt.d2
        per_element = f"{float(fmt.bits_per_element):.4g} bits per element"
        self.storage = f"{-(-bits // 8):,} bytes packed, {per_element}"

    @property
    def block_shape(self) -> tuple[int, ...]:
        """How many blocks lie along each axis; () for one of the whole tensor."""
        return self._q.scales.shape

    def extent(self, block: Index) -> Box:
        """Return where the elements of a block lie, as slices of every axis."""
        if self._format.k1 is None:
            return tuple(slice(0, length) for length in self.codes.shape)
        return super().extent(block)

    def element(self, code: int) -> Number:
        """Return what a code stands for, before scales."""
        return decode(code, self._format)

    def values(self, block: Index, codes: Sequence[int]) -> Sequence[Number]:
        """Return the values of elements from the beginning of a block, in C order."""
        fmt, subscales = self._format, self.subscales(block, len(codes))
        scale = self._scale_bits(block)
        found: dict[tuple[int, tuple[int, ...]], Number] = {}
        pairs = [
            (code, subscales[i // fmt.k2 :][:1] if subscales else ())
            for i, code in enumerate(codes)
        ]
        for code, shared in set(pairs):
            found[code, shared] = exact.dequantize(scale, shared, (code,), fmt)[0]
        return [found[pair] for pair in pairs]

    def _scale_bits(self, block: Index) -> int:
        scale = self._q.scales[block]
        is_float = self._format.scale is ScaleKind.FLOAT32
        return int(np.float32(scale).view(np.uint32)) if is_float else int(scale)

    def scale(self, block: Index) -> Scale:
        """Return the scale of a block."""
        return self._scale(self._scale_bits(block))

    def _scale(self, bits: int) -> Scale:
        number = exact.decode_scale(bits, self._format)
        if self._format.scale is ScaleKind.FLOAT32:
            return Scale(f"0x{bits:08x}", brief(number))
        is_nan = number.cls is NumberClass.NAN
        return Scale(f"0x{bits:02x}", "NaN" if is_nan else power_text(number.value))

    def subscales(self, block: Index, length: int) -> tuple[int, ...]:
        """Return the sub-scales of the first elements of a block."""
        fmt, held = self._format, self._q.subscales
        if held is None or fmt.k1 is None:
            return ()
        each = fmt.k1 // fmt.k2
        at = block[self.axis] * each
        where: list[Any] = list(block)
        where[self.axis] = slice(at, at + -(-length // fmt.k2))
        return tuple(int(code) for code in held[tuple(where)])

    def factor(self, block: Block, cell: Cell) -> str:
        """Return what an element is multiplied by, as text."""
        fmt, factors = self._format, []
        if fmt.scale is ScaleKind.POW2:
            factors.append(power_text(fmt.step))
        if block.subscales:
            at = cell.index[self.axis] % self.block_size // fmt.k2
            shared = block.subscales[at]
            factors.append(f"2^-{shared}" if fmt.subscale is SubscaleKind.POW2 else str(shared))
        return " × ".join([*factors, block.scale.value])

    def split(self, code: int) -> str:
        """Return the bits of a code, fields separated by ``|``."""
        fmt = self._format
        if fmt.float_element is not None:
            return fields_of(code, fmt.float_element)
        digits = f"{code:0{fmt.code_bits}b}"
        return digits if fmt.element is Element.TWOS_COMPLEMENT else f"{digits[0]}|{digits[1:]}"

    @property
    def field_names(self) -> str:
        """What the fields of `split` are."""
        if self._format.float_element is not None:
            return "sign|exponent|mantissa"
        is_whole = self._format.element is Element.TWOS_COMPLEMENT
        return "an integer in two's complement" if is_whole else "sign|magnitude"

    def decoded(self, box: Box) -> NDArray[np.float32]:
        """Return the values of a part that begins at the first element and cuts no block."""
        q = self._q
        scales, subscales = self._parts(box)
        parts = (part_of(q.codes, box), scales, subscales, q.format, q.axis, q.policy)
        return type(q).trusted(*parts).dequantize()

    def _parts(self, box: Box) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        """Return the scales and sub-scales of a part."""
        q, k1 = self._q, self._format.k1
        if k1 is None:
            return q.scales, None
        found: list[Any] = []
        n_blocks = -(-box[self.axis].stop // k1)
        for array, each in ((q.scales, 1), (q.subscales, k1 // (self._format.k2 or k1))):
            where = list(box)
            where[self.axis] = slice(0, n_blocks * each)
            found.append(None if array is None else array[tuple(where)])
        return found[0], found[1]

    def scale_extremes(self, box: Box) -> tuple[tuple[Scale, ...], int]:
        """Return the smallest and largest scale of a part, and how many scales are NaN."""
        scales = self._parts(box)[0]
        is_float = self._format.scale is ScaleKind.FLOAT32
        is_nan = np.isnan(scales) if is_float else scales == self._format.nan_scale
        numbers, count = scales[~is_nan], int(np.count_nonzero(is_nan))
        if numbers.size == 0:
            return (), count
        ends = np.stack([numbers.min(), numbers.max()])
        bits = ends.astype(np.float32).view(np.uint32) if is_float else ends
        return tuple(self._scale(int(each)) for each in bits), count
