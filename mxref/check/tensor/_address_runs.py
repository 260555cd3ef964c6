"""The runs of an address probe: digits of numbers go in, and what comes out spells them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check.target import TargetError
from mxref.check.tensor._call import bytes_pair, matrix
from mxref.check.tensor._data import Stored
from mxref.check.tensor._dictionary import Indices, places, scale_order
from mxref.faults.decode import element_table
from mxref.formats import BlockFormat

__all__ = ["UNKNOWN", "Probes"]

UNKNOWN = -1
"""The address of what no one place decides."""

_READ_BASE, _READ_LOWEST = 250, 3  # scale codes 3 to 252, all of them normal float32 numbers
_WRITE_BASE, _WRITE_LOWEST = 200, -100  # exponents of amax
_SHIFTS = sorted(range(-20, 21), key=abs)  # a wrong bias moves all scale codes alike
_UNIT_SCALE = 127
_INVALID = -1000
_LOOKED_AT = 1 << 12  # of all places, to find by how much scale codes are moved
_ROW_MAJOR = scale_order("row-major")


@dataclass(slots=True)
class Probes:
    """Runs of a function with one digit of every address each."""

    call: Callable[..., Any]
    fmt: BlockFormat
    blank: Stored
    runs: int = 0

    def read_scales(self) -> Indices:
        """For each element, the byte in which its scale was read."""
        one = int(arrays.encode(np.array([1.0], np.float32), self.fmt.element)[0])
        elements = np.full_like(self.blank.elements, one * 17 if self.blank.has_nibbles else one)

        def run(digits: Indices) -> Indices:
            scales = (digits + _READ_LOWEST).astype(np.uint8)
            values = self._values(elements, scales).astype(np.float64)
            significand, exponent = np.frexp(values)
            digit = exponent.astype(np.int64) - 1 + 127 - _READ_LOWEST
            return np.where(significand == 0.5, digit, _INVALID)

        return _recovered(self.blank.scales.size, _READ_BASE, run)

    def read_codes(self) -> Indices:
        """For each element, the place from which its code was taken."""
        codes, values = _alphabet(self.fmt, top_only=False)
        scales = np.full_like(self.blank.scales, _UNIT_SCALE)

        def run(digits: Indices) -> Indices:
            got = self._values(self._packed(codes[digits]), scales).astype(np.float64)
            at = np.clip(np.searchsorted(values, got), 0, len(values) - 1)
            return np.where(values[at] == got, at, _INVALID)

        return _recovered(self._places(), len(codes), run, shifts=(0,))

    def written_scales(self) -> Indices:
        """For each block, lines first, the byte in which its scale was written."""
        plane, k = self.blank.plane(), self.blank.k

        def run(digits: Indices) -> Indices:
            power = np.ldexp(np.float32(1), digits.reshape(plane.lines, -1) + _WRITE_LOWEST)
            lines = np.repeat(power.astype(np.float32), k, 1)[:, : self.blank.shape[plane.axis]]
            _, scales = self._written(lines if plane.axis == 1 else lines.T)
            expected = 127 - self.fmt.element.emax + _WRITE_LOWEST
            return scales.astype(np.int64) - expected

        count = plane.lines * plane.blocks
        held = _recovered(count, _WRITE_BASE, run)
        own = places(_ROW_MAJOR, plane).ravel()
        return _inverted(held, count, own).reshape(plane.lines, plane.blocks)

    def written_codes(self) -> Indices:
        """For each element, the place in which its code was written."""
        codes, values = _alphabet(self.fmt, top_only=True)
        back = np.full(256, _INVALID, np.int64)
        back[codes] = np.arange(len(codes))
        count = self.blank.shape[0] * self.blank.shape[1]

        def run(digits: Indices) -> Indices:
            elements, _ = self._written(values[digits].reshape(self.blank.shape))
            if not self.blank.has_nibbles:
                return np.asarray(back[elements])
            return np.asarray(back[np.stack([elements & 0xF, elements >> 4], -1).ravel()])

        held = _recovered(count, len(codes), run, shifts=(0,))
        return _inverted(held, count, np.arange(count)).reshape(self.blank.shape)

    def _places(self) -> int:
        return self.blank.elements.size * (2 if self.blank.has_nibbles else 1)

    def _packed(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self.blank.has_nibbles:
            return codes
        return (codes[::2] | codes[1::2] << 4).astype(np.uint8)

    def _values(
        self, elements: NDArray[np.uint8], scales: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        self.runs += 1
        return matrix(self.call(elements, scales, self.blank.shape), self.blank.shape)

    def _written(self, x: NDArray[np.floating[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        self.runs += 1
        return bytes_pair(self.call(np.ascontiguousarray(x, np.float32)))


def _alphabet(fmt: BlockFormat, *, top_only: bool) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Codes with different values that are finite and not zero, in the order of their values.

    Those of the top binade alone leave the scale of a block at 1 whatever the others are.
    """
    table = np.asarray(element_table(fmt.element), np.float64)
    fine = np.isfinite(table) & (table != 0)
    if top_only:
        fine &= np.abs(table) >= 2.0**fmt.element.emax
        fine &= np.abs(table) < 2.0 ** (fmt.element.emax + 1)
    codes = np.flatnonzero(fine)
    codes = codes[np.argsort(table[codes], kind="stable")]
    return codes.astype(np.uint8), table[codes]


def _recovered(
    count: int, base: int, run: Callable[[Indices], Indices], shifts: Any = None
) -> Indices:
    """The numbers below `count` that were seen; -1 where what was seen is none of them."""
    number = np.arange(count)
    seen, power = [run(number % base)], base
    while power < count:
        seen.append(run(number // power % base))
        power *= base
    # Digits that have nothing to do with those before: a number that they confirm is no accident.
    proof = (number * 2654435761 % (1 << 32) >> 7) % base
    shown = run(proof)
    if any(each.shape != shown.shape for each in seen):
        raise TargetError("the target returned buffers of different sizes for inputs of one shape")

    def spelt(shift: int, take: slice) -> Indices:
        found = np.zeros(shown.reshape(-1)[take].shape, np.int64)
        is_number = np.ones(found.shape, np.bool_)
        for place, digits in enumerate(seen):
            digit = digits.reshape(-1)[take] - shift
            is_number &= (digit >= 0) & (digit < base)
            found += digit * base**place
        is_number &= (found >= 0) & (found < count)
        is_number &= proof[np.where(is_number, found, 0)] + shift == shown.reshape(-1)[take]
        return np.where(is_number, found, UNKNOWN)

    some = slice(None, None, max(1, shown.size // _LOOKED_AT))
    shift = min(_SHIFTS if shifts is None else shifts, key=lambda s: _missing(spelt(s, some)))
    return spelt(shift, slice(None)).reshape(shown.shape)


def _missing(found: Indices) -> int:
    return int((found == UNKNOWN).sum())


def _inverted(held: Indices, count: int, preferred: Indices) -> Indices:
    """The first place that holds each number, or the preferred one if it does; -1 for none."""
    result = np.full(count, UNKNOWN)
    at = np.flatnonzero(held >= 0)[::-1]
    result[held[at]] = at
    inside = preferred < held.size
    number = np.arange(count)
    same = inside & (held[np.where(inside, preferred, 0)] == number)
    return np.where(same, preferred, result)
