"""What a view of an array consists of, and what each family of formats has to say for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.exact.number import Number
from mxref.formats import ElementFormat, Kind

__all__ = ["Block", "Cell", "Counts", "Family", "Scale", "fields_of", "part_of"]

Index = tuple[int, ...]
Box = tuple[slice, ...]


class Scale(NamedTuple):
    """The scale of a block as text: its code, and its value; empty where there is no code."""

    code: str
    value: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One element.

    Attributes
    ----------
    index : tuple of int
        In the array.
    code : int
    element, value : Number
        What the code stands for, and that times the scales.
    is_amax, is_top, is_saturated, is_flushed : bool
        The largest magnitude of its block; the largest magnitude that the format has; the same,
        and the number that it was made of is beyond; zero, made of a number that is not.
    given : float or None
        The number that it was made of, where that is known.
    """

    index: Index
    code: int
    element: Number
    value: Number
    is_amax: bool
    is_top: bool
    is_saturated: bool
    is_flushed: bool
    given: float | None


@dataclass(frozen=True, slots=True)
class Block:
    """One block: all of it, or as many elements from its beginning as a view shows.

    Attributes
    ----------
    label : str
        Its elements, as an index: ``[0, 32:64]``.
    scale : Scale
    subscales : tuple of int
        Of a BDR format with two levels; otherwise empty.
    cells : tuple of Cell
    length : int
        Elements of the block.
    amax_at : int or None
        Place of the largest magnitude in the block; None where all is zero or NaN.
    amax : str
        That magnitude; of the numbers that the block was made of, where they are known.
    """

    label: str
    scale: Scale
    subscales: tuple[int, ...]
    cells: tuple[Cell, ...]
    length: int
    amax_at: int | None
    amax: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted, in all of the array or in a part that is said.

    Attributes
    ----------
    where : str
        The part as an index, ``[0:64, 0:4096]``; empty where all was counted.
    elements, zeros, top, nan, inf : int
        Elements; those that decode to zero, NaN and Inf, in float32; those whose code is the
        largest magnitude of the format.
    zero_blocks, nan_blocks : int
        Blocks of zeros only, and blocks with a NaN scale.
    scales : tuple of Scale
        The smallest and the largest that are no NaN; empty where there is none.
    saturated, flushed : int or None
        Compared with the numbers that the array was made of; None where they are not known.
    """

    where: str
    elements: int
    zeros: int
    top: int
    nan: int
    inf: int
    zero_blocks: int
    nan_blocks: int
    scales: tuple[Scale, ...]
    saturated: int | None
    flushed: int | None


class Family(ABC):
    """What a family of formats says of one of its arrays.

    Attributes
    ----------
    head : str
        The first line: what it is.
    facts : tuple of (str, str)
        Labels and texts of lines that only this family has, such as the scale of the tensor.
    storage : str
        What the array takes, packed.
    codes : array of uint8
    axis : int
    block_size : int
    element_name : str
    code_bits : int
    largest : Fraction
        The largest magnitude of an element, before scales.
    """

    head: str
    facts: tuple[tuple[str, str], ...] = ()
    storage: str
    codes: NDArray[np.uint8]
    axis: int
    block_size: int
    element_name: str
    code_bits: int
    largest: Fraction

    @property
    def block_shape(self) -> tuple[int, ...]:
        """How many blocks lie along each axis."""
        shape = self.codes.shape
        if not shape:
            return ()
        n_blocks = -(-shape[self.axis] // self.block_size)
        return (*shape[: self.axis], n_blocks, *shape[self.axis + 1 :])

    def extent(self, block: Index) -> Box:
        """Return where the elements of a block lie, as slices of every axis."""
        size, axis = self.block_size, self.axis
        stop = min((block[axis] + 1) * size, self.codes.shape[axis])
        return tuple(
            slice(at * size, stop) if i == axis else slice(at, at + 1) for i, at in enumerate(block)
        )

    @abstractmethod
    def element(self, code: int) -> Number:
        """Return what a code stands for, before scales."""

    @abstractmethod
    def values(self, block: Index, codes: Sequence[int]) -> Sequence[Number]:
        """Return the values of elements from the beginning of a block, in C order."""

    @abstractmethod
    def scale(self, block: Index) -> Scale:
        """Return the scale of a block."""

    def subscales(self, block: Index, length: int) -> tuple[int, ...]:  # noqa: ARG002
        """Return the sub-scales of the first elements of a block; few families have them."""
        return ()

    @abstractmethod
    def split(self, code: int) -> str:
        """Return the bits of a code, fields separated by ``|``."""

    def factor(self, block: Block, cell: Cell) -> str:  # noqa: ARG002
        """Return what an element is multiplied by, as text."""
        return block.scale.value

    @property
    @abstractmethod
    def field_names(self) -> str:
        """What the fields of `split` are."""

    @abstractmethod
    def decoded(self, box: Box) -> NDArray[np.float32]:
        """Return the values of a part that begins at the first element and cuts no block."""

    @abstractmethod
    def scale_extremes(self, box: Box) -> tuple[tuple[Scale, ...], int]:
        """Return the smallest and largest scale of a part, and how many scales are NaN."""


def part_of(array: NDArray[Any], box: Box) -> NDArray[Any]:
    """Return a part of an array; an array even where nothing is left to select.

    Examples
    --------
    >>> part_of(np.array(3), ()).shape
    ()
    """
    where: Any = (*box, ...)
    part: NDArray[Any] = array[where]
    return part


def fields_of(code: int, fmt: ElementFormat) -> str:
    """Return the bits of an element's code, fields separated by ``|``.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> fields_of(0x7E, ELEMENT_FORMATS["e4m3"]), fields_of(0xC0, ELEMENT_FORMATS["int8"])
    ('0|1111|110', '1|1|000000')
    """
    digits = f"{code:0{fmt.bits}b}"
    middle = 1 if fmt.kind is Kind.FIXED else fmt.exponent_bits
    return f"{digits[0]}|{digits[1 : 1 + middle]}|{digits[1 + middle :]}"
