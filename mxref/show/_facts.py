"""Facts about one code: its fields, class, neighbours and the real numbers that become it.

They are read off the exact definition and the order of the codes: the magnitude codes of every
format count upward with the values, so that neighbours differ by one and a tie goes to the even.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from mxref._choices import FP8Overflow, Int8Min, NegZero, Rounding
from mxref.exact import element as exact_element
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import ElementFormat, Kind, ScaleFormat
from mxref.policy import Policy
from mxref.show._text import ratio, short

__all__ = [
    "Interval",
    "Neighbour",
    "ScalarFormat",
    "bit_fields",
    "class_name",
    "code_at",
    "decoded",
    "notes",
    "position",
    "rounding_interval",
]

ScalarFormat = ElementFormat | ScaleFormat


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


def code_at(place: int, fmt: ScalarFormat) -> int | None:
    """Return the code of a finite value at a position, None where there is none."""
    if isinstance(fmt, ScaleFormat):
        return place + fmt.bias if fmt.emin <= place <= fmt.emax else None
    if fmt.kind is Kind.FIXED:
        return place % fmt.code_count if -fmt.sign_mask <= place < fmt.sign_mask else None
    if abs(place) > fmt.max_magnitude:
        return None
    return -place | fmt.sign_mask if place < 0 else place


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


def notes(code: int, fmt: ScalarFormat, policy: Policy) -> tuple[str, ...]:
    """Return what the numbers do not say about a code."""
    found = [*_guests(code, fmt, policy)]
    if isinstance(fmt, ScaleFormat):
        if code == fmt.nan_code:
            found.append("every value of the block is NaN [MX-1.0/5.1/nan-scale]")
        return tuple(found)
    number = decoded(code, fmt)
    if number.cls in {NumberClass.INF, NumberClass.NAN}:
        found += _overflow_notes(code, fmt, policy)
    elif number.cls is NumberClass.ZERO and number.sign:
        text = "equal to +0; negative numbers that round to zero keep their sign [OP-NEG-ZERO]"
        found.append(text if policy.neg_zero is not NegZero.DROP else "equal to +0")
    elif fmt.kind is Kind.FIXED and code == fmt.sign_mask and policy.int8_min is Int8Min.UNUSED:
        found.append("left unused, so that the range is symmetric [MX-1.0/5.3.4/int8-min]")
    return tuple(found)


def _guests(code: int, fmt: ScalarFormat, policy: Policy) -> list[str]:
    """Say which of the infinities and NaNs become a code; of itself a code needs no mention."""
    guests = {
        "+Inf": Number.inf(0),
        "-Inf": Number.inf(1),
        "NaN": Number.nan(0),
        "NaN with a sign": Number.nan(1),
    }
    here = [name for name, guest in guests.items() if _encoded(guest, fmt, policy) == code]
    if "NaN" in here and "NaN with a sign" in here:
        here.remove("NaN with a sign")
    cls = decoded(code, fmt).cls
    if isinstance(fmt, ScaleFormat):
        point = {"Inf": "OP-E8M0-CAST", "NaN": "MX-1.0/5.4/e8m0"}
    elif fmt.is_fp8:
        point = {"Inf": "OP-FP8-OVERFLOW", "NaN": "OP-NAN-PAYLOAD"}
    else:
        point = {"Inf": "OP-INF-ELEMENT", "NaN": "OP-NAN-ELEMENT"}
    said = []
    for kind in ("Inf", "NaN"):
        names = [name for name in here if kind in name]
        if names and cls is NumberClass.NAN and kind == "NaN":
            sign = "" if names == ["NaN"] else " of this sign"
            said.append(f"the NaN that conversions give{sign} [{point[kind]}]")
        elif names:
            verb = "becomes" if len(names) == 1 else "become"
            said.append(f"{' and '.join(names)} {verb} this code [{point[kind]}]")
    is_nan_of_fp8 = cls is NumberClass.NAN and not isinstance(fmt, ScaleFormat)
    if is_nan_of_fp8 and not any("NaN" in name for name in here):
        given = _encoded(Number.nan(0), fmt, policy)
        said.append(f"conversions give 0x{given:02x} as NaN [OP-NAN-PAYLOAD]")
    return said


def _encoded(number: Number, fmt: ScalarFormat, policy: Policy) -> int | None:
    try:
        if isinstance(fmt, ScaleFormat):
            return exact_scale.encode(number, fmt, policy)
        return exact_element.encode(number, fmt, policy, random=0)
    except ValueError:
        return None  # the policy refuses it


def _overflow_notes(code: int, fmt: ElementFormat, policy: Policy) -> list[str]:
    """Say of NaN and Inf what the other way to overflow would do; ``ocp`` saturates."""
    number = decoded(code, fmt)
    over = replace(policy, fp8_overflow=FP8Overflow.OVERFLOW, rounding=Rounding.NEAREST_EVEN)
    given = _encoded(Number.finite(fmt.max * (-4 if number.sign else 4)), fmt, over)
    if given != code or policy.fp8_overflow is not FP8Overflow.SATURATE:
        return []
    middle = _upper_midpoint(fmt.max_magnitude, fmt)
    relation = ">" if fmt.max_magnitude % 2 == 0 else ">="
    name = "Inf" if number.cls is NumberClass.INF else "NaN"
    sign = "-x" if number.sign else "x"
    if number.cls is NumberClass.NAN:
        sign = "|x|"
    condition = f"{sign} {relation} {short(middle)}"
    return [f"with fp8_overflow=overflow, {condition} becomes {name} [OP-FP8-OVERFLOW]"]
