"""Which scale an element has, and what its code and scales together are worth."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.formats import SCALE_FORMATS, BlockFormat
from mxref.relatives.bdr_format import BDRFormat, ScaleKind, SubscaleKind
from mxref.show.diff._lines import element_line, float_line
from mxref.show.diff._operands import Pair

__all__ = ["Grouping", "Scaling", "scale_values"]


class Grouping(NamedTuple):
    """Elements of an array in C order, and the groups of `size` along an axis that they form."""

    shape: tuple[int, ...]
    axis: int
    size: int
    groups: int

    def of(self, flat: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the group of elements, as a number in the C order of the array of groups.

        Examples
        --------
        >>> Grouping((2, 64), 1, 32, 2).of(np.array([0, 31, 32, 64])).tolist()
        [0, 0, 1, 2]
        >>> Grouping((64, 3), 0, 32, 2).of(np.array([0, 5, 96])).tolist()
        [0, 2, 3]
        """
        inner = math.prod(self.shape[self.axis + 1 :])
        length = self.shape[self.axis]
        line, after = np.divmod(flat, inner)
        outer, along = np.divmod(line, length)
        found: NDArray[np.intp] = (outer * self.groups + along // self.size) * inner + after
        return found

    def spread(self, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Give each element what its group has."""
        wide = np.repeat(marked, self.size, self.axis)
        return wide[(slice(None),) * self.axis + (slice(0, self.shape[self.axis]),)]


def scale_values(codes: NDArray[Any], fmt: Any) -> NDArray[np.float64]:
    """Return what scale codes, or bits of float32 scales, of a block format mean."""
    if isinstance(fmt, BlockFormat):
        return element_line(fmt.scale).values(codes)
    if not isinstance(fmt, BDRFormat):
        return element_line(fmt.scale).values(codes & np.uint8(0x7F))  # UE4M3 has no sign
    if fmt.scale is ScaleKind.FLOAT32:
        return float_line(np.dtype(np.float32)).values(codes)
    if fmt.d1 == SCALE_FORMATS["e8m0"].bits:
        return element_line(SCALE_FORMATS["e8m0"]).values(codes)
    values = np.ldexp(1.0, codes.astype(np.int32) - fmt.bias)
    return np.where(codes == fmt.nan_scale, np.nan, values)


def _subscale_values(codes: NDArray[Any], fmt: BDRFormat) -> NDArray[np.float64]:
    if fmt.subscale is SubscaleKind.POW2:
        return np.ldexp(1.0, -codes.astype(np.int32))
    return codes.astype(np.float64)


class Scaling:
    """The scales of both arrays of a pair of blocks.

    Parameters
    ----------
    pair : Pair
        Of kind ``"blocks"``.
    """

    def __init__(self, pair: Pair) -> None:
        assert pair.a_scales is not None  # noqa: S101  # blocks have scales
        assert pair.b_scales is not None  # noqa: S101
        self._pair = pair
        self.parts = [(pair.a_scales, pair.b_scales)]
        self.groupings: list[Grouping | None] = [_grouping(pair, pair.a_scales, pair.block_size)]
        if pair.a_subscales is not None and pair.b_subscales is not None:
            self.parts.append((pair.a_subscales, pair.b_subscales))
            size = pair.format.k2 if isinstance(pair.format, BDRFormat) else None
            self.groupings.append(_grouping(pair, pair.a_subscales, size))
        self.differing = [a != b for a, b in self.parts]

    @cached_property
    def _flat(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        return [(a.reshape(-1), b.reshape(-1)) for a, b in self.parts]

    @property
    def format(self) -> Any:
        """The block format of both."""
        return self._pair.format

    @property
    def is_equal(self) -> bool:
        """Whether all scale codes and sub-scales agree."""
        return not any(each.any() for each in self.differing)

    def mask(self) -> NDArray[np.bool_] | None:
        """Return which elements have scales that differ; None if none has."""
        found: NDArray[np.bool_] | None = None
        for differs, grouping in zip(self.differing, self.groupings, strict=True):
            if not differs.any():
                continue
            part = (
                np.ones(self._pair.shape, np.bool_)
                if grouping is None
                else grouping.spread(differs)
            )
            found = part if found is None else found | part
        return found

    def groups(self, flat: NDArray[np.intp], part: int = 0) -> NDArray[np.intp]:
        """Return the number of the scale (part 0) or sub-scale (part 1) of elements."""
        grouping = self.groupings[part]
        return np.zeros(len(flat), np.intp) if grouping is None else grouping.of(flat)

    def other(self, flat: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which of some elements have scales that differ."""
        found = np.zeros(len(flat), np.bool_)
        for part, differs in enumerate(self.differing):
            if differs.any():
                found |= differs.reshape(-1)[self.groups(flat, part)]
        return found

    def factors(self, flat: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the elements of a and of b are multiplied by, NVFP4's global scale aside."""
        fmt = self._pair.format
        places = self.groups(flat)
        a, b = (scale_values(codes[places], fmt) for codes in self._flat[0])
        if len(self.parts) > 1 and isinstance(fmt, BDRFormat):
            places = self.groups(flat, 1)
            x, y = (_subscale_values(codes[places], fmt) for codes in self._flat[1])
            a, b = a * x, b * y
        return a, b

    def is_plain(self) -> bool:
        """Whether all scales are positive numbers, so that codes decide what an element is."""
        fmt = self._pair.format
        values = [scale_values(codes, fmt) for codes in self.parts[0]]
        if len(self.parts) > 1 and isinstance(fmt, BDRFormat):
            values += [_subscale_values(codes, fmt) for codes in self.parts[1]]
        return all(bool((np.isfinite(each) & (each > 0)).all()) for each in values)


def _grouping(pair: Pair, scales: NDArray[Any], size: int | None) -> Grouping | None:
    if size is None or pair.axis is None:
        return None
    return Grouping(pair.shape, pair.axis, size, scales.shape[pair.axis])
