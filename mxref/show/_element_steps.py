"""The steps from a number to its element code, in words.

The result itself always comes from `mxref.exact`; the words describe how it gets there, and tests
hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mxref._choices import FP8Overflow, Int8Min, Rounding
from mxref.exact import element as exact_element
from mxref.exact.number import Number, NumberClass, floor_log2, round_to_integer
from mxref.formats import ElementFormat, Kind
from mxref.policy import Policy
from mxref.show._facts import bit_fields, class_name
from mxref.show._text import binary, decimal

__all__ = [
    "Error",
    "Step",
    "element_error",
    "element_flags",
    "element_steps",
    "number_text",
    "packed",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a conversion: its name, what happens, the clauses or open points behind it."""

    name: str
    text: str
    clauses: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return the same as a dict."""
        return {"step": self.name, "text": self.text, "clauses": list(self.clauses)}


@dataclass(frozen=True, slots=True)
class Error:
    """How far the decoded value lies from the number given.

    Attributes
    ----------
    absolute : Fraction
        Decoded value minus number.
    ulp : Fraction
        The distance of neighbouring elements there, times the scale; beyond the largest value, that
        at the largest.
    relative : Fraction or None
        The error by the magnitude of the number; None for zero.
    """

    absolute: Fraction
    ulp: Fraction
    relative: Fraction | None

    @property
    def in_ulp(self) -> Fraction:
        """The error in units of `ulp`."""
        return self.absolute / self.ulp

    def __str__(self) -> str:
        if not self.absolute:
            return "none: the value is exact"
        share = "" if self.relative is None else f", {_signed(self.relative * 100, 3)} %"
        ulp = decimal(self.ulp, 9, 6)
        return f"{_signed(self.absolute)} = {_signed(self.in_ulp)} ulp of {ulp}{share}"

    def to_dict(self) -> dict[str, object]:
        """Return the exact numbers as ``p/q``."""
        return {
            "absolute": str(self.absolute),
            "ulp": str(self.ulp),
            "in_ulp": str(self.in_ulp),
            "relative": None if self.relative is None else str(self.relative),
        }


def _signed(value: Fraction, rounded: int = 6) -> str:
    text = decimal(abs(value), 9, rounded)
    mark, digits = ("~", text[1:]) if text.startswith("~") else ("", text)
    return f"{mark}{'-' if value < 0 else '+'}{digits}"


def number_text(number: Number) -> str:
    """Write a number as a decimal, or ``-0``, ``inf``, ``nan``."""
    return decimal(number.value) if number.cls is NumberClass.FINITE else str(number)


def packed(code: int, fmt: ElementFormat) -> str:
    """Write a code as its fields and in hexadecimal: ``0 | 01 | 1 = 0x3``."""
    fields = " | ".join(bits for _, bits in bit_fields(code, fmt))
    return f"{fields} = 0x{code:0{-(-fmt.bits // 4)}x}"


def element_error(number: Number, value: Number, fmt: ElementFormat, X: Fraction) -> Error | None:
    """Return the error of a decoded value; None where either is not a real number."""
    real = {NumberClass.ZERO, NumberClass.FINITE}
    if number.cls not in real or value.cls not in real:
        return None
    reach = min(number.magnitude / X, fmt.max)
    absolute = value.value - number.value
    relative = absolute / number.magnitude if number.magnitude else None
    return Error(absolute, exact_element.quantum(reach, fmt) * X, relative)


def element_steps(
    number: Number, fmt: ElementFormat, policy: Policy, X: Fraction, code: int
) -> tuple[Step, ...]:
    """Return the steps classify, scale, align, round, overflow and pack that lead to `code`."""
    result = exact_element.decode(code, fmt)
    pack = Step("pack", packed(code, fmt), (fmt.clause,))
    sign = f"sign {'-' if number.sign else '+'}"
    if number.cls is NumberClass.NAN:
        return Step("classify", f"NaN, {sign}"), _nan_step(fmt, policy, result), pack
    if number.cls is NumberClass.INF:
        return Step("classify", f"infinity, {sign}"), _inf_step(fmt, policy, result), pack
    scaled = number.value / X
    if number.cls is NumberClass.ZERO:
        steps = [Step("classify", f"zero, {sign}")]
    else:
        steps = [Step("classify", f"finite, {sign}"), _scale_step(scaled, X)]
        steps += _rounding_steps(scaled, fmt, policy, result)
    if number.sign and result.cls is NumberClass.ZERO and fmt.kind is Kind.FLOAT:
        kept = "keeps its sign" if result.sign else "loses its sign"
        choice = f"neg_zero={policy.neg_zero}"
        steps.append(Step("zero", f"negative zero {kept} ({choice})", ("OP-NEG-ZERO",)))
    return *steps, pack


def _nan_step(fmt: ElementFormat, policy: Policy, result: Number) -> Step:
    if fmt.has_nan:
        choice, clauses = f"nan_payload={policy.nan_payload}", ("OFP8-1.0/nan", "OP-NAN-PAYLOAD")
    else:
        choice = f"nan_element={policy.nan_element}"
        clauses = ("MX-1.0/5.3/nan-source", "OP-NAN-ELEMENT")
    return Step("special", f"NaN becomes {number_text(result)} ({choice})", clauses)


def _inf_step(fmt: ElementFormat, policy: Policy, result: Number) -> Step:
    if not fmt.is_fp8:
        text = f"infinity becomes {number_text(result)} (inf_element={policy.inf_element})"
        return Step("special", text, ("OP-INF-ELEMENT",))
    text = f"infinity becomes {number_text(result)} (fp8_overflow={policy.fp8_overflow})"
    rule = "sat" if policy.fp8_overflow is FP8Overflow.SATURATE else "ovf"
    return Step("special", text, (f"OFP8-1.0/inf-{rule}", "OP-FP8-OVERFLOW"))


def _scale_step(scaled: Fraction, X: Fraction) -> Step:
    if X == 1:
        return Step("scale", f"{decimal(scaled)}, not scaled")
    text = f"V / X = {decimal(scaled)}, with X = 2^{floor_log2(X)}"
    return Step("scale", text, ("MX-1.0/6.3/elements", "OP-SCALED-INTERMEDIATE"))


def _rounding_steps(
    scaled: Fraction, fmt: ElementFormat, policy: Policy, result: Number
) -> list[Step]:
    magnitude, sign = abs(scaled), int(scaled < 0)
    quantum = exact_element.quantum(magnitude, fmt)
    steps = magnitude / quantum
    whole = int(steps)
    rounded = round_to_integer(steps, sign, policy.rounding)
    direction = -1 if sign else 1

    def grid(count: int, at: Fraction) -> str:
        exponent = floor_log2(at) + fmt.mantissa_bits
        return binary(direction * count * at, fmt.mantissa_bits, exponent)

    kept, times, power = grid(whole, quantum).partition("*")
    guard, rest = divmod((steps - whole) * 2, 1)
    round_bit, sticky = divmod(rest * 2, 1)
    bits = f"{kept} | {guard} | {round_bit} | {int(sticky > 0)} {times}{power}".rstrip()
    align = Step("align", f"{bits}   kept | guard | round | sticky")

    value = rounded * quantum
    result_quantum = exact_element.quantum(value, fmt)
    target = f"{grid(int(value / result_quantum), result_quantum)} = {decimal(direction * value)}"
    carry = ", a carry into the next binade" if result_quantum != quantum else ""
    if fmt.min_normal is not None and magnitude < fmt.min_normal == value:
        carry = ", the smallest normal"
    if steps == whole:
        text = f"exact: {target}"
    else:
        way = "up" if rounded > whole else "down"
        text = f"{_beside_half(steps - whole)}: {policy.rounding} goes {way} to {target}{carry}"
    clauses = [_rounding_clause(fmt, policy), "OP-ELEM-ROUNDING"]
    if not rounded:
        text += ", underflow"
        clauses.insert(0, "OFP8-1.0/underflow" if fmt.is_fp8 else "MX-1.0/6.3/underflow")
    return [align, Step("round", text, tuple(clauses)), _overflow(value, sign, fmt, policy, result)]


def _beside_half(tail: Fraction) -> str:
    if tail * 2 == 1:
        return "a tie"
    return "above half" if tail * 2 > 1 else "below half"


def _rounding_clause(fmt: ElementFormat, policy: Policy) -> str:
    document = "OFP8-1.0/rounding" if fmt.is_fp8 else "MX-1.0/6.3/rounding"
    return document if policy.rounding is Rounding.NEAREST_EVEN else f"{document}-other"


def _overflow(
    value: Fraction, sign: int, fmt: ElementFormat, policy: Policy, result: Number
) -> Step:
    limit = fmt.max
    if fmt.kind is Kind.FIXED and sign and policy.int8_min is Int8Min.USED:
        limit = limit + fmt.min_subnormal
    what = f"magnitude {decimal(value)}"
    if value <= limit:
        clauses = ("OFP8-1.0/in-range",) if fmt.is_fp8 else ()
        return Step("overflow", f"no: {what} is at most {decimal(limit)}", clauses)
    becomes = f"yes: {what} is more than {decimal(limit)} and becomes {number_text(result)}"
    if not fmt.is_fp8:
        clause = "OP-INT8-MIN" if fmt.kind is Kind.FIXED else "MX-1.0/6.3/clamp-normal"
        return Step("overflow", becomes, ("MX-1.0/6.3/clamp", clause))
    rule = "sat" if policy.fp8_overflow is FP8Overflow.SATURATE else "ovf"
    text = f"{becomes} (fp8_overflow={policy.fp8_overflow})"
    return Step("overflow", text, (f"OFP8-1.0/overflow-{rule}", "OP-FP8-OVERFLOW"))


def element_flags(
    number: Number, fmt: ElementFormat, policy: Policy, X: Fraction, code: int
) -> tuple[str, ...]:
    """Return what is worth a second look: tie, overflow, to zero, subnormal, or the class."""
    if number.cls in {NumberClass.NAN, NumberClass.INF}:
        return (number.cls.value,)
    if number.cls is NumberClass.ZERO:
        return ()
    magnitude = number.magnitude / X
    quantum = exact_element.quantum(magnitude, fmt)
    steps = magnitude / quantum
    rounded = round_to_integer(steps, number.sign, policy.rounding) * quantum
    found = ["tie"] if steps.denominator == 2 else []
    if rounded > fmt.max:
        found.append("overflow")
    elif not rounded:
        found.append("to zero")
    elif class_name(code, fmt) == "subnormal":
        found.append("subnormal")
    return tuple(found)
