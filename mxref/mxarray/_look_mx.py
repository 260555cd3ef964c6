"""What a view of an `MXArray` has to know of MX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mxref.exact import element, scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import Kind
from mxref.mxarray._look_numbers import power_text
from mxref.mxarray._look_parts import Box, Family, Index, Scale, fields_of

if TYPE_CHECKING:
    from mxref.mxarray._array import MXArray

__all__ = ["MXFamily"]


class MXFamily(Family):
    """An `MXArray`, for its view."""

    def __init__(self, q: MXArray) -> None:
        fmt = q.format
        self._q = q
        self.head = f"MXArray({fmt.name}, shape={q.shape}, axis={q.axis}, policy='{q.policy}')"
        self.codes, self.axis, self.block_size = q.codes, q.axis, fmt.block_size
        self.element_name, self.code_bits = fmt.element.name, fmt.element.bits
        self.largest = fmt.element.max
        bits = q.scales.size * fmt.scale.bits + q.size * fmt.element.bits
        self.storage = (
            f"{-(-bits // 8):,} bytes packed, {fmt.block_bits / fmt.block_size:g} bits per element"
        )

    def element(self, code: int) -> Number:
        """Return what a code stands for, before scales."""
        return element.decode(code, self._q.format.element, self._q.policy)

    def values(self, block: Index, codes: Sequence[int]) -> Sequence[Number]:
        """Return the values of elements from the beginning of a block, in C order."""
        from mxref.exact import block as exact

        scale_code, fmt, policy = int(self._q.scales[block]), self._q.format, self._q.policy
        distinct = sorted(set(codes))
        found = {code: exact.dequantize(scale_code, (code,), fmt, policy)[0] for code in distinct}
        return [found[code] for code in codes]

    def scale(self, block: Index) -> Scale:
        """Return the scale of a block."""
        return self._scale(int(self._q.scales[block]))

    def _scale(self, scale_code: int) -> Scale:
        number = scale.decode(scale_code, self._q.format.scale)
        is_nan = number.cls is NumberClass.NAN
        return Scale(f"0x{scale_code:02x}", "NaN" if is_nan else power_text(number.value))

    def split(self, code: int) -> str:
        """Return the bits of a code, fields separated by ``|``."""
        return fields_of(code, self._q.format.element)

    @property
    def field_names(self) -> str:
        """What the fields of `split` are."""
        if self._q.format.element.kind is Kind.FIXED:
            return "sign|integer|fraction"
        return "sign|exponent|mantissa"

    def decoded(self, box: Box) -> NDArray[np.float32]:
        """Return the values of a part that begins at the first element and cuts no block."""
        return self._q[box].dequantize()

    def scale_extremes(self, box: Box) -> tuple[tuple[Scale, ...], int]:
        """Return the smallest and largest scale of a part, and how many scales are NaN."""
        scales = self._q[box].scales
        is_nan = scales == self._q.format.scale.nan_code
        numbers = scales[~is_nan]
        count = int(np.count_nonzero(is_nan))
        if numbers.size == 0:
            return (), count
        return (self._scale(int(numbers.min())), self._scale(int(numbers.max()))), count
