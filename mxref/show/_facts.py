"""Facts about one code: its fields, class, neighbours and the real numbers that become it.

They are read off the exact definition and the order of the codes: the magnitude codes of every
format count upward with the values, so that neighbours differ by one and a tie goes to the even.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mxref.exact import element as exact_element
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import ElementFormat, Kind, ScaleFormat
from mxref.show._text import ratio, short

__all__ = [
    "Interval",
    "Neighbour",
    "ScalarFormat",
    "bit_fields",
    "class_name",
    "decoded",
    "neighbours",
    "notes",
    "position",
    "rounding_interval",
    "saturated_interval",
]

ScalarFormat = ElementFormat | ScaleFormat

_CANONICAL_NAN = 0x7F  # NanPayload.CANONICAL, in both FP8 formats


@dataclass(frozen=True, slots=True)
class Interval:
    """A set of consecutive real numbers; an end that is None lies at infinity.

    Examples
    --------
    >>> tie = Interval(Fraction(432), Fraction(464), low_closed=False, high_closed=True)
    >>> str(tie), Fraction(432) in tie, Fraction(464) in tie
    ('(432, 464]', False, True)
    """

    low: Fraction | None
    high: Fraction | None
    low_closed: bool = False
    high_closed: bool = False

    def __contains__(self, value: Fraction) -> bool:
        above = self.low is None or value > self.low or (self.low_closed and value == self.low)
        below = self.high is None or value < self.high or (self.high_closed and value == self.high)
        return above and below

    def __str__(self) -> str:
        low = "-inf" if self.low is None else short(self.low)
        high = "+inf" if self.high is None else short(self.high)
        return f"{'[' if self.low_closed else '('}{low}, {high}{']' if self.high_closed else ')'}"

    def mirrored(self) -> Interval:
        """Return the same set with all signs changed."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return Interval(low, high, self.high_closed, self.low_closed)

    def to_dict(self) -> dict[str, object]:
        """Return the ends as ``p/q`` or None, and whether they belong to the interval."""
        return {
            "low": None if self.low is None else ratio(self.low),
            "low_closed": self.low_closed,
            "high": None if self.high is None else ratio(self.high),
            "high_closed": self.high_closed,
        }


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The next smaller or larger finite value of a format, its code and its distance."""

    code: int
    value: Fraction
    gap: Fraction


def decoded(code: int, fmt: ScalarFormat) -> Number:
    """Return what a code stands for, by the exact definition."""
    if isinstance(fmt, ScaleFormat):
        return exact_scale.decode(code, fmt)
    return exact_element.decode(code, fmt)


def bit_fields(code: int, fmt: ScalarFormat) -> tuple[tuple[str, str], ...]:
    """Return the name and the bits of each field, the most significant first."""
    if isinstance(fmt, ScaleFormat):
        widths = [("exponent", fmt.bits)]
    elif fmt.kind is Kind.FIXED:
        widths = [("sign", 1), ("integer", 1), ("fraction", fmt.mantissa_bits)]
    else:
        widths = [("sign", 1), ("exponent", fmt.exponent_bits), ("mantissa", fmt.mantissa_bits)]
    text, fields, start = f"{code:0{fmt.bits}b}", [], 0
    for name, width in widths:
        fields.append((name, text[start : start + width]))
        start += width
    return tuple(fields)


def class_name(code: int, fmt: ScalarFormat) -> str:
    """Return zero, subnormal, normal, fixed-point, Inf or NaN."""
    number = decoded(code, fmt)
    if number.cls is not NumberClass.FINITE:
        names = {NumberClass.ZERO: "zero", NumberClass.INF: "Inf", NumberClass.NAN: "NaN"}
        return names[number.cls]
    if isinstance(fmt, ScaleFormat):
        return "normal"  # 2**-127 is no subnormal: E8M0 has no mantissa to lose
    if fmt.min_normal is None:
        return "fixed-point"
    return "normal" if number.magnitude >= fmt.min_normal else "subnormal"


def position(code: int, fmt: ScalarFormat) -> int:
    """Return the signed number of steps from zero; for a scale, the unbiased exponent."""
    if isinstance(fmt, ScaleFormat):
        return code - fmt.bias
    if fmt.kind is Kind.FIXED:
        return code - fmt.code_count if code & fmt.sign_mask else code
    magnitude = code & ~fmt.sign_mask
    return -magnitude if code & fmt.sign_mask else magnitude


def _code_at(place: int, fmt: ScalarFormat) -> int | None:
    """Return the code of a finite value at a position, None where there is none."""
    if isinstance(fmt, ScaleFormat):
        return place + fmt.bias if fmt.emin <= place <= fmt.emax else None
    if fmt.kind is Kind.FIXED:
        return place % fmt.code_count if -fmt.sign_mask <= place < fmt.sign_mask else None
    if abs(place) > fmt.max_magnitude:
        return None
    return -place | fmt.sign_mask if place < 0 else place


def neighbours(code: int, fmt: ScalarFormat) -> tuple[Neighbour | None, Neighbour | None]:
    """Return the finite values next below and next above a finite one."""
    value, place = decoded(code, fmt).value, position(code, fmt)

    def at(other: int | None) -> Neighbour | None:
        if other is None:
            return None
        next_value = decoded(other, fmt).value
        return Neighbour(other, next_value, abs(next_value - value))

    return at(_code_at(place - 1, fmt)), at(_code_at(place + 1, fmt))


def _upper_midpoint(magnitude: int, fmt: ElementFormat) -> Fraction:
    """Return the midpoint between a magnitude and the next, where the exponent is unbounded."""
    here = decoded(magnitude, fmt).value
    if magnitude < fmt.max_magnitude:
        return (here + decoded(magnitude + 1, fmt).value) / 2
    below = decoded(magnitude - 1, fmt).value
    # The mantissa of the largest value is not zero, so the step above it is the step below it.
    return here + (here - below) / 2


def rounding_interval(code: int, fmt: ScalarFormat) -> Interval | None:
    """Return the real numbers that round to a code, before overflow is dealt with.

    Elements round to nearest, ties to even; an E8M0 cast rounds down, as ``ocp`` does.
    """
    number = decoded(code, fmt)
    if number.cls in {NumberClass.INF, NumberClass.NAN}:
        return None
    if isinstance(fmt, ScaleFormat):
        low = Fraction(0) if code == 0 else number.value  # e8m0_zero = min: zero takes code 0 too
        return Interval(low, number.value * 2, low_closed=True)
    place = position(code, fmt)
    if abs(place) > fmt.max_magnitude:
        return None  # INT8 0x80, which ocp leaves unused
    magnitude = abs(place)
    is_even = magnitude % 2 == 0
    high = _upper_midpoint(magnitude, fmt)
    if magnitude:
        interval = Interval(_upper_midpoint(magnitude - 1, fmt), high, is_even, is_even)
    elif fmt.kind is Kind.FIXED:
        return Interval(-high, high, low_closed=True, high_closed=True)
    else:
        # Zero keeps the sign of what it came from; the real number 0 itself has none, so it is +0.
        is_positive = not code & fmt.sign_mask
        interval = Interval(Fraction(0), high, is_positive, high_closed=True)
    return interval.mirrored() if place < 0 or code == fmt.sign_mask else interval


def saturated_interval(code: int, fmt: ScalarFormat) -> Interval | None:
    """Return the real numbers that become a code because they overflow, as ``ocp`` has it."""
    place = position(code, fmt)
    is_largest = (
        place == fmt.emax if isinstance(fmt, ScaleFormat) else (abs(place) == fmt.max_magnitude)
    )
    inner = rounding_interval(code, fmt) if is_largest else None
    if inner is None:
        return None
    if place > 0:
        return Interval(inner.high, None, low_closed=not inner.high_closed)
    return Interval(None, inner.low, high_closed=not inner.low_closed)


def notes(code: int, fmt: ScalarFormat) -> tuple[str, ...]:
    """Return what the numbers do not say about a code."""
    if isinstance(fmt, ScaleFormat):
        if code == fmt.nan_code:
            return ("every value of the block is NaN [MX-1.0/5.1/nan-scale]",)
        return ("zero becomes this code too [OP-E8M0-CAST]",) if code == 0 else ()
    number = decoded(code, fmt)
    if number.cls in {NumberClass.INF, NumberClass.NAN}:
        return _special_notes(code, fmt, number.cls)
    if number.cls is NumberClass.ZERO and number.sign:
        return ("equal to +0; negative numbers that round to zero keep their sign [OP-NEG-ZERO]",)
    if fmt.kind is Kind.FIXED and code == fmt.sign_mask:
        return ("left unused, so that the range is symmetric [MX-1.0/5.3.4/int8-min]",)
    return ()


def _special_notes(code: int, fmt: ElementFormat, cls: NumberClass) -> tuple[str, ...]:
    over = _upper_midpoint(fmt.max_magnitude, fmt)
    relation = ">" if fmt.max_magnitude % 2 == 0 else ">="
    overflow = (
        f"with fp8_overflow=overflow, |x| {relation} {short(over)} becomes {cls.name.capitalize()} "
        f"[OP-FP8-OVERFLOW]"
    )
    if cls is NumberClass.INF:
        return (overflow,)
    if code != _CANONICAL_NAN:
        return (f"conversions give 0x{_CANONICAL_NAN:02x} as NaN [OP-NAN-PAYLOAD]",)
    first = "the NaN that conversions give [OP-NAN-PAYLOAD]"
    return (first,) if fmt.has_inf else (first, overflow.replace("Nan", "NaN"))
