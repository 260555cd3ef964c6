"""Reads an encoder's rounding off its codes: where each pair of neighbouring values is divided."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mxref.check._landmarks import SIGN, as_float32, bits_of, magnitudes
from mxref.check.threshold._bisect import BUDGET, Course, Span, courses
from mxref.check.threshold._scale_steps import decimal
from mxref.formats import ElementFormat, Kind

__all__ = [
    "ROUNDINGS",
    "UNPUBLISHED",
    "Encode",
    "Gap",
    "Steps",
    "code_magnitudes",
    "element_steps",
    "fitting_roundings",
    "gaps_of",
    "magnitude_text",
    "steps_at",
]

Encode = Callable[[NDArray[np.float32]], NDArray[np.uint8]]
"""Numbers of the element's own range to codes; a guarded kernel, or a `TargetError`."""

_LARGEST = 0x7F7F_FFFF
_STRANGE = 1 << 12  # added to the magnitude of a code whose sign is not that of the number


@dataclass(frozen=True, slots=True)
class Gap:
    """Two neighbouring values of an element format, on one side of zero.

    Attributes
    ----------
    negative : bool
    low : int
        Magnitude code of the smaller value; the other one is the next.
    kind : str
        ``"zero"``, ``"subnormal"``, ``"boundary"``, ``"normal"``: where it lies.
    ends : tuple of int
        Bits of the two values as float32.
    middle : int
        Bits of the number halfway.
    """

    negative: bool
    low: int
    kind: str
    ends: tuple[int, int]
    middle: int

    def __str__(self) -> str:
        """Return the two values."""
        sign = "-" if self.negative else ""
        low, high = (decimal(bits) for bits in self.ends)
        return f"{sign if low != '0' else ''}{low} and {sign}{high}"


@dataclass(frozen=True, slots=True)
class Steps:
    """What an encoder does along its whole range.

    Attributes
    ----------
    gaps : tuple of Gap
    inside : tuple of Course
        One for each gap: magnitudes of codes over bits of magnitudes.
    beyond : tuple of Course
        From the largest value on, positive and then negative; empty if those numbers were out of
        reach.
    last : int
        Bits of the largest number that was looked at.
    """

    gaps: tuple[Gap, ...]
    inside: tuple[Course, ...]
    beyond: tuple[Course, ...]
    last: int


def gaps_of(element: ElementFormat, limit: Fraction | None = None) -> tuple[Gap, ...]:
    """List the pairs of neighbouring values up to a limit, both signs.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> [str(gap) for gap in gaps_of(element_format("e2m1"))][5:8]
    ['3 and 4', '4 and 6', '0 and -0.5']
    """
    values = [v for v in magnitudes(element) if limit is None or v <= limit]
    bits = [int(b) for b in bits_of(values)]
    middles = [int(b) for b in bits_of([(a + b) / 2 for a, b in pairwise(values)])]
    return tuple(
        Gap(negative, low, _kind(low, element), ends, middle)
        for negative in (False, True)
        for low, (ends, middle) in enumerate(zip(pairwise(bits), middles, strict=True))
    )


def _kind(low: int, element: ElementFormat) -> str:
    if low == 0:
        return "zero"
    least_normal = 1 << element.mantissa_bits
    if element.kind is Kind.FIXED or low >= least_normal:
        return "normal"
    return "boundary" if low == least_normal - 1 else "subnormal"


def element_steps(
    encode: Encode, element: ElementFormat, limit: Fraction | None = None, budget: int = BUDGET
) -> Steps:
    """Find where an encoder steps between all neighbouring values, and beyond the largest.

    Parameters
    ----------
    encode : callable
    element : ElementFormat
    limit : Fraction, optional
        Only magnitudes up to this one; default: all of float32.
    budget : int
        Numbers in a call.
    """
    gaps = gaps_of(element, limit)
    # Where the roundings that have a name step: most encoders are pinned by the first call.
    spans = [
        Span(low, high, (low + 1, gap.middle - 1, gap.middle, gap.middle + 1, high - 1))
        for gap in gaps
        for low, high in (gap.ends,)
    ]
    negative = [gap.negative for gap in gaps]
    top = int(bits_of([element.max])[0])
    last = _LARGEST if limit is None else int(bits_of([limit])[0])
    if last > top:
        step = element.max - magnitudes(element)[-2]
        marks = [int(b) for b in bits_of([element.max + step / 2, element.max + step])]
        near = tuple(b + i for b in marks for i in (-1, 0, 1) if top < b + i < last)
        spans += [Span(top, last, near)] * 2
        negative += [False, True]
    is_negative = np.array(negative)

    def answer(of: NDArray[np.intp], bits: NDArray[np.uint32]) -> NDArray[np.int64]:
        signs = np.where(is_negative[of], SIGN, np.uint32(0)).astype(np.uint32)
        return code_magnitudes(encode(as_float32(bits | signs)), is_negative[of], element)

    found = courses(answer, spans, budget)
    return Steps(gaps, tuple(found[: len(gaps)]), tuple(found[len(gaps) :]), last)


def code_magnitudes(
    codes: NDArray[np.uint8], negative: NDArray[np.bool_], element: ElementFormat
) -> NDArray[np.int64]:
    """Magnitudes of codes; what has the wrong sign is not taken for the right thing."""
    if element.kind is Kind.FIXED:
        value = codes.view(np.int8).astype(np.int64)
        size = np.where(negative, -value, value)
        return np.where(size < 0, _STRANGE - size, size)
    size = (codes & np.uint8(element.sign_mask - 1)).astype(np.int64)
    has_sign = codes & np.uint8(element.sign_mask) != 0
    # The sign of zero and of NaN are choices of their own.
    free = (size == 0) | (size > element.max_magnitude)
    return np.where((has_sign != negative) & ~free, _STRANGE + size, size)


# --- roundings ----------------------------------------------------------------------------------

_Threshold = Callable[[Gap], int]


def _tie_down(gap: Gap) -> int:
    return gap.middle + 1


def _tie_up(gap: Gap) -> int:
    return gap.middle


def _cut(gap: Gap) -> int:
    return gap.ends[1]


def _raised(gap: Gap) -> int:
    return gap.ends[0] + 1


ROUNDINGS: dict[str, _Threshold] = {
    "nearest-even": lambda gap: _tie_up(gap) if gap.low & 1 else _tie_down(gap),
    "nearest-away": _tie_up,
    "nearest-down": _tie_down,
    "toward-zero": _cut,
    "up": lambda gap: _cut(gap) if gap.negative else _raised(gap),
    "down": lambda gap: _raised(gap) if gap.negative else _cut(gap),
    "to-odd": lambda gap: _cut(gap) if gap.low & 1 else _raised(gap),
}
"""The first float32 of a gap, by magnitude, that becomes its larger value under each rounding."""

UNPUBLISHED: dict[str, _Threshold] = {
    "ties toward +infinity": lambda gap: _tie_down(gap) if gap.negative else _tie_up(gap),
    "ties toward -infinity": lambda gap: _tie_up(gap) if gap.negative else _tie_down(gap),
    "ties to odd": lambda gap: _tie_down(gap) if gap.low & 1 else _tie_up(gap),
    "away from zero": _raised,
}
"""Likewise, for roundings that no policy has."""


def fitting_roundings(gaps: Iterable[Gap], found: Iterable[Course]) -> list[str]:
    """Name the roundings that divide all these gaps as they are divided, choices first."""
    pairs = list(zip(gaps, found, strict=True))
    return [
        name
        for name, threshold in (ROUNDINGS | UNPUBLISHED).items()
        if all(steps_at(course, gap, threshold(gap)) for gap, course in pairs)
    ]


def steps_at(course: Course, gap: Gap, threshold: int) -> bool:
    """Whether a gap is divided in two, and there."""
    return course.values == (gap.low, gap.low + 1) and course.step == threshold


def magnitude_text(magnitude: int) -> str:
    """A magnitude code as this package keeps it, in words.

    Examples
    --------
    >>> magnitude_text(5), magnitude_text(5 | 1 << 12)
    ('0x05', '0x05 of the other sign')
    """
    other = " of the other sign" if magnitude & _STRANGE else ""
    return f"0x{magnitude & ~_STRANGE:02X}{other}"
