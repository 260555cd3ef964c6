"""Formats as lists of codes: what each code stands for, and which numbers become it.

A `Book` is what a view asks. There is one for element formats, for E8M0, for the scales of NVFP4
and for the elements of BDR formats; `book_of` finds it. All of them ask the exact definition.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from mxref._choices import E8M0Negative, E8M0Subnormal, ScaledIntermediate
from mxref._policy_base import Choices
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass, power_of_two, quantum, round_to_integer
from mxref.formats import ElementFormat, ScaleFormat
from mxref.policy import Policy, get_policy
from mxref.show import _facts
from mxref.show._facts import Neighbour

__all__ = ["Book", "ElementBook", "ScaleBook"]

_STOCHASTIC = "stochastic"
_MODES = {
    "nearest-even": "to nearest, ties to even",
    "nearest-away": "to nearest, ties away from zero",
    "nearest-down": "to nearest, ties toward zero",
    "nearest-up": "to nearest, ties up",
    "half-up": "to nearest, ties up",
    "toward-zero": "toward zero",
    "up": "up, toward +inf",
    "down": "down, toward -inf",
    "to-odd": "the odd one of two neighbours",
}


class Book(ABC):
    """The codes of a format, each with its number.

    Attributes
    ----------
    name : str
        What it is called.
    bits : int
        Width of a code.
    code_count : int
        Number of codes; they begin at 0.
    clause : str
        Who defines them.
    format : object
        The format, an entry of a table.
    in_block : str
        What a value still is multiplied by; empty where that goes without saying.
    emin, bias : int
        Of a float format, the exponent of its subnormals, and what is subtracted from the field.
    """

    name: str
    bits: int
    code_count: int
    clause: str
    format: Any
    in_block: str = ""
    emin: int = 0
    bias: int = 0

    # --- codes ---

    @abstractmethod
    def number(self, code: int) -> Number:
        """Return what a code stands for."""

    @abstractmethod
    def fields(self, code: int) -> tuple[tuple[str, str], ...]:
        """Return the name and the bits of each field, the most significant first."""

    @abstractmethod
    def cls(self, code: int) -> str:
        """Return zero, subnormal, normal, fixed-point, Inf or NaN."""

    @abstractmethod
    def position(self, code: int) -> int:
        """Return the signed number of steps from zero; for E8M0, the unbiased exponent."""

    @abstractmethod
    def code_at(self, place: int) -> int | None:
        """Return the code of a finite value at a position, None where there is none."""

    def neighbours(self, code: int) -> tuple[Neighbour | None, Neighbour | None]:
        """Return the finite values next below and next above a finite one."""
        value, place = self.number(code).value, self.position(code)

        def at(other: int | None) -> Neighbour | None:
            if other is None:
                return None
            found = self.number(other).value
            return Neighbour(other, found, abs(found - value))

        return at(self.code_at(place - 1)), at(self.code_at(place + 1))

    def is_real(self, code: int) -> bool:
        """Whether a code is a number, neither NaN nor Inf."""
        return self.number(code).cls in (NumberClass.ZERO, NumberClass.FINITE)

    def reals(self) -> Iterator[tuple[Fraction, int]]:
        """Give each code that is a number, after its value."""
        for code in range(self.code_count):
            if self.is_real(code):
                yield self.number(code).value, code

    # --- conversions ---

    @abstractmethod
    def get_policy(self, policy: Choices | str | None) -> Choices:
        """Return a policy of the kind that goes with this format."""

    @abstractmethod
    def encode(self, number: Number, policy: Choices) -> int:
        """Return the code of a number.

        Raises
        ------
        ValueError
            If the policy refuses it.
        """

    @abstractmethod
    def points(self, policy: Choices) -> set[Fraction]:
        """Return all magnitudes at which the code of a number may change."""

    @abstractmethod
    def reason(self, number: Number, code: int, policy: Choices) -> str:
        """Say why a real number gets a code: rounding, overflow, underflow, flush, ..."""

    @abstractmethod
    def because(self, why: str, code: int, policy: Choices) -> tuple[str, str]:
        """Return a reason in words, and its clause."""

    def notes(self, code: int, policy: Choices) -> tuple[str, ...]:  # noqa: ARG002
        """Return what the numbers do not say about a code."""
        return ()

    def is_local(self, policy: Choices) -> bool:  # noqa: ARG002
        """Whether nothing beyond its neighbours becomes a number other than zero by rounding."""
        return True

    def is_random(self, policy: Choices) -> bool:
        """Whether random bits decide what a number becomes."""
        return str(getattr(policy, "rounding", "")).startswith(_STOCHASTIC)


def mode_text(mode: str) -> str:
    """Say a rounding mode in words.

    Examples
    --------
    >>> mode_text("nearest-even")
    'to nearest, ties to even'
    """
    return _MODES.get(mode, mode)


class ElementBook(Book):
    """The codes of an element format.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> book = ElementBook(ELEMENT_FORMATS["e2m1"])
    >>> str(book.number(7)), book.cls(1), book.fields(7)[1]
    ('6', 'subnormal', ('exponent', '11'))
    """

    def __init__(self, fmt: ElementFormat) -> None:
        """Take the format."""
        self.format = self._fmt = fmt
        self.name, self.bits, self.clause = fmt.name, fmt.bits, fmt.clause
        self.code_count, self.emin, self.bias = fmt.code_count, fmt.emin, fmt.bias

    def number(self, code: int) -> Number:
        return _facts.decoded(code, self._fmt)

    def fields(self, code: int) -> tuple[tuple[str, str], ...]:
        return _facts.bit_fields(code, self._fmt)

    def cls(self, code: int) -> str:
        return _facts.class_name(code, self._fmt)

    def position(self, code: int) -> int:
        return _facts.position(code, self._fmt)

    def code_at(self, place: int) -> int | None:
        return _facts.code_at(place, self._fmt)

    def get_policy(self, policy: Choices | str | None) -> Policy:
        return get_policy(policy)

    def encode(self, number: Number, policy: Choices) -> int:
        return exact_element.encode(number, self._fmt, get_policy(policy))

    def points(self, policy: Choices) -> set[Fraction]:
        chosen = get_policy(policy)
        points = float_points(self._fmt)
        if chosen.scaled_intermediate is not ScaledIntermediate.EXACT:
            points |= _double_rounding_points(points, chosen.scaled_intermediate)
        return points | {power_of_two(-126)}  # what float32 calls subnormal may be flushed

    def reason(self, number: Number, code: int, policy: Choices) -> str:
        chosen = get_policy(policy)
        magnitude = number.magnitude
        if chosen.scaled_intermediate is not ScaledIntermediate.EXACT:
            magnitude = ieee.round_magnitude(magnitude, chosen.scaled_intermediate)
        step = exact_element.quantum(magnitude, self._fmt)
        rounded = round_to_integer(magnitude / step, number.sign, chosen.rounding) * step
        found = self.number(code)
        if self.is_real(code) and abs(found.value) == rounded:
            return "rounding" if not rounded or found.sign == number.sign else "relu"
        if self.is_real(code) and found.value == 0:
            return "relu" if number.sign and chosen.relu.value == "on" else "flush"
        return "overflow"

    def because(self, why: str, code: int, policy: Choices) -> tuple[str, str]:
        match why:
            case "rounding":
                return mode_text(str(get_policy(policy).rounding)), "OP-ELEM-ROUNDING"
            case "overflow":
                clause = "OP-FP8-OVERFLOW" if self._fmt.is_fp8 else "MX-1.0/6.3/clamp"
                return ("by saturation" if self.is_real(code) else "by overflow"), clause
            case "relu":
                return "negative, by relu", "OP-ELEM-SUBNORMAL"
            case _:
                return "flushed", "OP-ELEM-SUBNORMAL"

    def notes(self, code: int, policy: Choices) -> tuple[str, ...]:
        return _facts.notes(code, self._fmt, get_policy(policy))


def float_points(fmt: ElementFormat) -> set[Fraction]:
    """Return the magnitudes of a format, two steps more, and all midpoints.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> [str(v) for v in sorted(float_points(ELEMENT_FORMATS["e2m1"]))[-5:]]
    ['6', '7', '8', '10', '12']
    """
    values = [_facts.decoded(code, fmt).value for code in range(fmt.max_magnitude + 1)]
    for _ in range(2):
        values.append(values[-1] + exact_element.quantum(values[-1], fmt))
    pairs = itertools.pairwise(values)
    return {value for value in values if value} | {(a + b) / 2 for a, b in pairs}


def _double_rounding_points(points: set[Fraction], name: ScaledIntermediate) -> set[Fraction]:
    """Return where a number begins to round to one of the points, in a type with more bits."""
    fmt = ieee.IEEE_FORMATS[name]
    found = {power_of_two(1 - fmt.bias - fmt.mantissa_bits - 1)}  # what does not round to zero
    for point in points:
        step = quantum(point, fmt.mantissa_bits, 1 - fmt.bias)
        found |= {point + step / 2, point - step / 2, point - step / 4}
    top = ieee.largest(name)
    return found | {top + quantum(top, fmt.mantissa_bits, 1 - fmt.bias) / 2}


class ScaleBook(Book):
    """The codes of E8M0.

    Examples
    --------
    >>> from mxref.formats import SCALE_FORMATS
    >>> str(ScaleBook(SCALE_FORMATS["e8m0"]).number(0x80))
    '2'
    """

    def __init__(self, fmt: ScaleFormat) -> None:
        """Take the format."""
        self.format = self._fmt = fmt
        self.name, self.bits, self.clause = fmt.name, fmt.bits, fmt.clause
        self.code_count = fmt.code_count

    def number(self, code: int) -> Number:
        return _facts.decoded(code, self._fmt)

    def fields(self, code: int) -> tuple[tuple[str, str], ...]:
        return _facts.bit_fields(code, self._fmt)

    def cls(self, code: int) -> str:
        return _facts.class_name(code, self._fmt)

    def position(self, code: int) -> int:
        return _facts.position(code, self._fmt)

    def code_at(self, place: int) -> int | None:
        return _facts.code_at(place, self._fmt)

    def get_policy(self, policy: Choices | str | None) -> Policy:
        return get_policy(policy)

    def is_local(self, policy: Choices) -> bool:
        return get_policy(policy).e8m0_negative is E8M0Negative.NAN

    def is_random(self, policy: Choices) -> bool:  # noqa: ARG002  # a cast of a scale never is
        return False

    def encode(self, number: Number, policy: Choices) -> int:
        return exact_scale.encode(number, self._fmt, get_policy(policy))

    def points(self, policy: Choices) -> set[Fraction]:  # noqa: ARG002
        # One binade more on either side: what rounds into the range comes from there.
        powers = [power_of_two(e) for e in range(self._fmt.emin - 2, self._fmt.emax + 3)]
        return {*powers, *(power * 3 / 2 for power in powers)}

    def reason(self, number: Number, code: int, policy: Choices) -> str:  # noqa: ARG002
        chosen = get_policy(policy)
        if number.sign or number.cls is NumberClass.ZERO:
            return "negative" if number.sign else "underflow"
        if chosen.e8m0_subnormal is E8M0Subnormal.BITS and number.magnitude < power_of_two(-126):
            return "rounding"  # what its bits say is in the range
        # Exponents without bounds: 64 is even, so that ties go where they went.
        shift = -64 if number.magnitude >= 1 else 64
        moved = Number.finite(number.magnitude * power_of_two(shift))
        unbounded = self.encode(moved, chosen) - shift
        if unbounded < 0:
            return "underflow"
        return "overflow" if unbounded > self._fmt.max_code else "rounding"

    def because(self, why: str, code: int, policy: Choices) -> tuple[str, str]:
        chosen, is_nan = get_policy(policy), code == self._fmt.nan_code
        words = {
            "rounding": {
                "down": "a cast rounds down",
                "up": "a cast rounds up",
                "nearest": "to nearest, ties up",
                "nearest-even": "to nearest, ties to even",
            }[chosen.e8m0_rounding.value],
            "overflow": "too large" if is_nan else "by saturation",
            "underflow": "too small, or zero",
            "negative": "negative" if is_nan else "the sign is dropped",
        }
        return words[why], "OP-E8M0-CAST"

    def notes(self, code: int, policy: Choices) -> tuple[str, ...]:
        return _facts.notes(code, self._fmt, get_policy(policy))
