"""What a view of an `NVFP4Array` has to know of NVFP4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mxref.exact import ieee
from mxref.exact import nvfp4 as exact
from mxref.exact.number import Number, NumberClass
from mxref.exact.nvfp4_scales import decode_element, decode_scale
from mxref.mxarray._look_numbers import brief, full
from mxref.mxarray._look_parts import Block, Box, Cell, Family, Index, Scale, fields_of
from mxref.relatives.nvfp4_format import NVFP4

if TYPE_CHECKING:
    from mxref.nvfp4._array import NVFP4Array

__all__ = ["NVFP4Family"]


class NVFP4Family(Family):
    """An `NVFP4Array`, for its view."""

    def __init__(self, q: NVFP4Array) -> None:
        self._q = q
        word = int(np.float32(q.global_scale).view(np.uint32))
        self._multiplier = ieee.from_bits(word, "float32")
        self.head = (
            f"NVFP4Array(shape={q.shape}, axis={q.axis}, "
            f"global_scale={float(q.global_scale):g}, policy='{q.policy.name}')"
        )
        self.facts = (("tensor", f"global scale {full(self._multiplier)} (float32 0x{word:08x})"),)
        self.codes, self.axis, self.block_size = q.codes, q.axis, NVFP4.block_size
        self.element_name, self.code_bits = NVFP4.element.name, NVFP4.element.bits
        self.largest = NVFP4.element_max
        self.storage = (
            f"{q.nbytes:,} bytes packed, {float(NVFP4.bits_per_element):g} bits per element"
        )

    def element(self, code: int) -> Number:
        """Return what a code stands for, before scales."""
        return decode_element(code)

    def values(self, block: Index, codes: Sequence[int]) -> Sequence[Number]:
        """Return the values of elements from the beginning of a block, in C order."""
        scale_code, g, policy = int(self._q.scales[block]), self._multiplier, self._q.policy
        found = {code: exact.value(code, scale_code, g, policy) for code in set(codes)}
        return [found[code] for code in codes]

    def scale(self, block: Index) -> Scale:
        """Return the scale of a block."""
        return self._scale(int(self._q.scales[block]))

    def _scale(self, scale_code: int) -> Scale:
        return Scale(f"0x{scale_code:02x}", brief(decode_scale(scale_code, self._q.policy)))

    def factor(self, block: Block, cell: Cell) -> str:  # noqa: ARG002
        """Return what an element is multiplied by, as text."""
        return f"{block.scale.value} × {full(self._multiplier)}"

    def split(self, code: int) -> str:
        """Return the bits of a code, fields separated by ``|``."""
        return fields_of(code, NVFP4.element)

    @property
    def field_names(self) -> str:
        """What the fields of `split` are."""
        return "sign|exponent|mantissa"

    def decoded(self, box: Box) -> NDArray[np.float32]:
        """Return the values of a part that begins at the first element and cuts no block."""
        q = self._q
        parts = q.codes[box], self._part(box), q.global_scale
        return type(q).trusted(*parts, q.axis, q.policy).dequantize()

    def _part(self, box: Box) -> NDArray[np.uint8]:
        """Return the scales of a part."""
        where = list(box)
        where[self.axis] = slice(0, -(-box[self.axis].stop // self.block_size))
        return self._q.scales[tuple(where)]

    def scale_extremes(self, box: Box) -> tuple[tuple[Scale, ...], int]:
        """Return the smallest and largest scale of a part, and how many scales are NaN."""
        codes = np.unique(self._part(box))
        numbers = {int(code): decode_scale(int(code), self._q.policy) for code in codes}
        is_nan = [code for code, number in numbers.items() if number.cls is NumberClass.NAN]
        count = int(np.isin(self._part(box), is_nan).sum())
        real = sorted(set(numbers) - set(is_nan), key=lambda code: numbers[code].value)
        return ((self._scale(real[0]), self._scale(real[-1])) if real else ()), count
