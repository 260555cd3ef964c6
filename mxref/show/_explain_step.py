"""What an explanation is made of: steps with their clauses, and the error at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from mxref.exact.number import Number, NumberClass
from mxref.show._text import decimal

__all__ = [
    "REAL",
    "Error",
    "Step",
    "class_text",
    "counted",
    "kinds_text",
    "number_text",
    "relabelled",
    "signed",
]

REAL = frozenset((NumberClass.ZERO, NumberClass.FINITE))

_ONE = {"FINITE": "finite", "ZERO": "zero", "INF": "infinity", "NAN": "NaN"}
_MANY = {"FINITE": "finite", "ZERO": "zero", "INF": "infinite", "NAN": "NaN"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a conversion: its name, what happens, the clauses or open points behind it.

    `data` holds the same facts for programs, in types that JSON knows.
    """

    name: str
    text: str
    clauses: tuple[str, ...] = ()
    data: Mapping[str, object] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the same as a dict."""
        found: dict[str, object] = {
            "step": self.name,
            "text": self.text,
            "clauses": list(self.clauses),
        }
        return {**found, "data": dict(self.data)} if self.data else found


@dataclass(frozen=True, slots=True)
class Error:
    """How far the decoded value lies from the number given.

    Attributes
    ----------
    absolute : Fraction
        Decoded value minus number.
    ulp : Fraction
        The distance of neighbouring elements there, times the scale; beyond the largest value, that
        at the largest. Zero under a scale of zero.
    relative : Fraction or None
        The error by the magnitude of the number; None for zero.
    """

    absolute: Fraction
    ulp: Fraction
    relative: Fraction | None

    @property
    def in_ulp(self) -> Fraction | None:
        """The error in units of `ulp`; None where that is zero."""
        return self.absolute / self.ulp if self.ulp else None

    def __str__(self) -> str:
        if not self.absolute:
            return "none: the value is exact"
        share = "" if self.relative is None else f", {signed(self.relative * 100, 3)} %"
        if self.in_ulp is None:
            return f"{signed(self.absolute)}{share}"
        ulp = decimal(self.ulp, 9, 6)
        return f"{signed(self.absolute)} = {signed(self.in_ulp)} ulp of {ulp}{share}"

    def to_dict(self) -> dict[str, object]:
        """Return the exact numbers as ``p/q``."""
        return {
            "absolute": str(self.absolute),
            "ulp": str(self.ulp),
            "in_ulp": None if self.in_ulp is None else str(self.in_ulp),
            "relative": None if self.relative is None else str(self.relative),
        }


def signed(value: Fraction, rounded: int = 6) -> str:
    """Write a number with its sign, in at most nine digits.

    Examples
    --------
    >>> signed(Fraction(1, 3)), signed(Fraction(-1, 2))
    ('~+0.333333', '-0.5')
    """
    text = decimal(abs(value), 9, rounded)
    mark, digits = ("~", text[1:]) if text.startswith("~") else ("", text)
    return f"{mark}{'-' if value < 0 else '+'}{digits}"


def number_text(number: Number) -> str:
    """Write a number as a decimal, or ``-0``, ``inf``, ``nan``."""
    return decimal(number.value) if number.cls is NumberClass.FINITE else str(number)


def class_text(number: Number) -> str:
    """Say what kind of number this is.

    Examples
    --------
    >>> class_text(Number.inf(1))
    'infinity, sign -'
    """
    return f"{_ONE[number.cls.name]}, sign {'-' if number.sign else '+'}"


def counted(numbers: Iterable[Number]) -> str:
    """Say how many numbers there are, and of which kinds.

    Examples
    --------
    >>> counted([Number.finite(1), Number.zero(0), Number.finite(2)])
    '3 numbers: 2 finite, 1 zero'
    """
    return kinds_text(Counter(number.cls.name for number in numbers))


def kinds_text(counts: Mapping[str, int]) -> str:
    """Say the same where the numbers have been counted already.

    Examples
    --------
    >>> kinds_text({"ZERO": 1, "FINITE": 2, "NAN": 0})
    '3 numbers: 2 finite, 1 zero'
    """
    total = sum(counts.values())
    parts = [f"{counts[name]} {word}" for name, word in _MANY.items() if counts.get(name)]
    return f"{total} number{'s' if total != 1 else ''}: {', '.join(parts)}"


def relabelled(steps: Iterable[Step], *clauses: str) -> list[Step]:
    """Return steps that rest on other clauses: those of a format that borrows the arithmetic."""
    return [replace(step, clauses=clauses) for step in steps]
