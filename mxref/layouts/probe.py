"""Probes: arrays whose packed bytes tell where every bit of every code and scale code went.

A *source* is a bit of an element code or of a scale code. Every source has a number. The first
rounds hold bits that look random, so that one packed output tells all known layouts apart; the
others spell the number of each source, one digit in base 2 a round. Whatever a packer does with
bits that it does not change, the bits of its outputs spell the sources that they came from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.formats import BlockFormat, block_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from mxref.mxarray import MXArray

__all__ = ["FIXED", "MIXED", "BitSources", "bit_sources", "probe", "probe_count", "probes"]

PROOFS = 8
"""Rounds of random bits. A bit that spells a number by accident agrees with all of them in one of
256 cases, and there are more rounds to betray it."""

FIXED, MIXED = -1, -2
"""What `BitSources` has for a bit that is the same in each round, and for one that depends on more
than one source, or on something else."""

_LIMIT = 1 << 24


def probe(
    format: str | BlockFormat,  # noqa: A002  # the field's word
    shape: tuple[int, ...],
    axis: int = -1,
    *,
    number: int = 0,
) -> MXArray:
    """Make an array for a packer, such that its bytes can be recognised.

    Parameters
    ----------
    format : str or BlockFormat
    shape : tuple of int
        Logical shape. What differs only beyond one tile or row needs more than one.
    axis : int
        Blocked axis.
    number : int
        Which of `probes`. The first is enough to tell known layouts apart.

    Returns
    -------
    MXArray
        Its codes and scale codes are bit patterns for packers, not numbers to calculate with: NaN
        is among them.

    Raises
    ------
    ValueError
        If there is no such format or axis, or more than 2**24 elements are asked for.

    Examples
    --------
    >>> q = probe("mxfp4", (2, 64))
    >>> q.codes.shape, q.scales.shape, bool(q.codes.max() < 16)
    ((2, 64), (2, 2), True)
    """
    fmt, where, plane = _checked(format, shape, axis)
    if not 0 <= number < probe_count(fmt, shape, axis):
        raise ValueError(
            f"number is {number}; there are {probe_count(fmt, shape, axis)} probes of this shape, "
            f"counted from 0"
        )
    return _probe(fmt, shape, where, plane, number)


def probes(
    format: str | BlockFormat,  # noqa: A002
    shape: tuple[int, ...],
    axis: int = -1,
) -> Iterator[MXArray]:
    """Make all arrays that are needed to find where every bit went; see `probe`.

    Examples
    --------
    >>> len(list(probes("mxfp4", (2, 64))))
    19
    """
    for number in range(probe_count(format, shape, axis)):
        yield probe(format, shape, axis, number=number)


def probe_count(
    format: str | BlockFormat,  # noqa: A002
    shape: tuple[int, ...],
    axis: int = -1,
) -> int:
    """How many probes spell every source: twice as many numbers, for bits that are inverted.

    Examples
    --------
    >>> probe_count("mxfp4", (2, 64)), probe_count("mxfp4", (128, 512))
    (19, 28)
    """
    fmt, _, plane = _checked(format, shape, axis)
    return PROOFS + _digits(_source_count(fmt, shape, plane))


def _checked(
    format: str | BlockFormat,  # noqa: A002
    shape: tuple[int, ...],
    axis: int,
) -> tuple[BlockFormat, int, tuple[int, ...]]:
    fmt = block_format(format)
    where = inputs.normal_axis(axis, tuple(shape))
    if any(n < 0 for n in shape):
        raise ValueError(f"shape is {shape}; expected sizes of 0 and more")
    if math.prod(shape) > _LIMIT:
        raise ValueError(
            f"shape {shape} has {math.prod(shape)} elements; a probe has at most {_LIMIT}: layouts "
            f"repeat, so a few tiles are enough"
        )
    return fmt, where, inputs.scale_shape(tuple(shape), where, fmt.block_size, pad=True)


def _source_count(fmt: BlockFormat, shape: tuple[int, ...], plane: tuple[int, ...]) -> int:
    return math.prod(shape) * fmt.element.bits + math.prod(plane) * 8


def _digits(sources: int) -> int:
    """Digits for the words of all sources, counted from 1, and for those words inverted."""
    return (2 * (sources + 1)).bit_length()


def _probe(
    fmt: BlockFormat, shape: tuple[int, ...], axis: int, plane: tuple[int, ...], number: int
) -> MXArray:
    from mxref.mxarray import MXArray

    bits, count = fmt.element.bits, math.prod(shape)
    codes = _codes(np.arange(count), bits, 0, number).reshape(shape)
    scales = _codes(np.arange(math.prod(plane)), 8, count * bits, number).reshape(plane)
    return MXArray.trusted(codes, scales, fmt, axis, get_policy(None))


def _codes(index: NDArray[np.int64], bits: int, first: int, number: int) -> NDArray[np.uint8]:
    codes = np.zeros(index.shape, np.uint8)
    for bit in range(bits):
        codes |= _bit(first + index * bits + bit, number) << np.uint8(bit)
    return codes


def _bit(source: NDArray[np.int64], number: int) -> NDArray[np.uint8]:
    if number >= PROOFS:
        return ((source + 1) >> (number - PROOFS) & 1).astype(np.uint8)
    word = source.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    word += np.uint64(0xD1B54A32D192ED03 * (number + 1) % (1 << 64))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = (word ^ word >> np.uint64(shift)) * np.uint64(factor)
    return (word >> np.uint64(40) & np.uint64(1)).astype(np.uint8)


# --- reading them -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class BitSources:
    """Where the bits of a packed output came from.

    Attributes
    ----------
    sources : ndarray of int64
        For each bit, bit 0 of byte 0 first, the number of its source; `FIXED`, or `MIXED`.
    inverted : ndarray of bool
        Bits that are the opposite of their source.
    values : ndarray of uint8
        The bits of the first output: what fixed ones are.
    bits, count : int
        Bits of an element code, and number of elements: source ``e * bits + b`` is bit b of element
        e in C order, and ``count * bits + s * 8 + b`` bit b of scale code s.
    """

    sources: NDArray[np.int64]
    inverted: NDArray[np.bool_]
    values: NDArray[np.uint8]
    bits: int
    count: int

    def places(self, total: int) -> NDArray[np.int64]:
        """For each of the first `total` sources, the first bit that shows it; -1 for none."""
        result = np.full(total, -1, np.int64)
        at = np.flatnonzero((self.sources >= 0) & (self.sources < total))[::-1]
        result[self.sources[at]] = at
        return result


def bit_sources(
    outputs: Sequence[NDArray[np.uint8]],
    format: str | BlockFormat,  # noqa: A002
    shape: tuple[int, ...],
    axis: int = -1,
) -> BitSources:
    """Find the source of each bit of what a packer wrote for all `probes`.

    Parameters
    ----------
    outputs : sequence of uint8 arrays
        What it wrote for each probe, in their order: bytes, of one size.
    format, shape, axis
        Those of the probes.

    Raises
    ------
    ValueError
        If there are not as many outputs as probes, or they differ in size.

    Examples
    --------
    >>> from mxref.layouts.packings import pack_codes
    >>> written = [pack_codes(q.codes.ravel(), "fp6-dense") for q in probes("mxfp6_e2m3", (1, 32))]
    >>> found = bit_sources(written, "mxfp6_e2m3", (1, 32))
    >>> [divmod(int(s), 6) for s in found.sources[5:8]]
    [(0, 5), (1, 0), (1, 1)]
    """
    fmt, where, plane = _checked(format, shape, axis)
    wanted = probe_count(fmt, shape, where)
    if len(outputs) != wanted:
        raise ValueError(
            f"{len(outputs)} outputs for the {wanted} probes of {fmt.name} in the shape {shape}"
        )
    sizes = {array.size for array in outputs}
    if len(sizes) > 1:
        raise ValueError(
            f"outputs have {', '.join(map(str, sorted(sizes)))} bytes; all probes have one shape, "
            f"so their outputs must have one size"
        )
    rounds = [np.unpackbits(_flat(array), bitorder="little") for array in outputs]
    total = _source_count(fmt, shape, plane)
    digits = _digits(total)
    word = np.zeros(rounds[0].size, np.int64)
    for digit, seen in enumerate(rounds[PROOFS:]):
        word |= seen.astype(np.int64) << digit
    opposite = (1 << digits) - 1 - word
    inverted = (opposite >= 1) & (opposite <= total)
    sources = np.where(inverted, opposite, word) - 1
    is_source = (sources >= 0) & (sources < total)
    fixed = np.logical_and.reduce([seen == rounds[0] for seen in rounds])
    asked = np.where(is_source, sources, 0)
    for number in range(PROOFS):
        is_source &= _bit(asked, number) ^ inverted == rounds[number]
    sources = np.where(is_source, sources, np.where(fixed, FIXED, MIXED))
    inverted &= is_source
    return BitSources(sources, inverted, rounds[0], fmt.element.bits, math.prod(shape))


def _flat(array: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
