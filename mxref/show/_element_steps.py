"""The steps from a number to its element code, in words.

The result itself always comes from `mxref.exact`; the words describe how it gets there, and tests
hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mxref._choices import Int8Min, Rounding, ScaledIntermediate
from mxref.exact import codes, ieee, random_bits
from mxref.exact import element as exact_element
from mxref.exact.number import Number, NumberClass, floor_log2, round_to_integer
from mxref.formats import ElementFormat, Kind
from mxref.policy import Policy
from mxref.show._explain_step import REAL, Error, Step, class_text, number_text
from mxref.show._facts import bit_fields, class_name
from mxref.show._text import binary, decimal

__all__ = [
    "Passage",
    "element_error",
    "element_flags",
    "element_steps",
    "packed",
    "rounding_steps",
    "stochastic_text",
]


def packed(code: int, fmt: ElementFormat) -> str:
    """Write a code as its fields and in hexadecimal: ``0 | 01 | 1 = 0x3``."""
    fields = " | ".join(bits for _, bits in bit_fields(code, fmt))
    return f"{fields} = 0x{code:0{-(-fmt.bits // 4)}x}"


def element_error(number: Number, value: Number, fmt: ElementFormat, X: Fraction) -> Error | None:
    """Return the error of a decoded value; None where either is not a real number."""
    if number.cls not in REAL or value.cls not in REAL:
        return None
    reach = min(number.magnitude / X, fmt.max) if X else fmt.max
    absolute = value.value - number.value
    relative = absolute / number.magnitude if number.magnitude else None
    return Error(absolute, exact_element.quantum(reach, fmt) * X, relative)


@dataclass(frozen=True, slots=True)
class Passage:
    """A number on its way into an element.

    Attributes
    ----------
    number : Number
        As given.
    fmt : ElementFormat
    policy : Policy
    X : Fraction
        The scale.
    source : str
        The float format of the number.
    random : int or None
        R, for a stochastic rounding.
    in_block : bool
        Whether X is the scale of a block, though it may be 1.
    """

    number: Number
    fmt: ElementFormat
    policy: Policy
    X: Fraction = Fraction(1)
    source: str = "float32"
    random: int | None = None
    in_block: bool = False

    @property
    def read(self) -> Number:
        """What the encoder takes the number for."""
        return codes.read(self.number, self.fmt, self.policy, self.source)

    @property
    def quotient(self) -> Fraction:
        """The magnitude of V / X in the type of the intermediate, without an upper end."""
        scaled = self.read.magnitude / self.X
        name = self.policy.scaled_intermediate
        if name is ScaledIntermediate.EXACT:
            return scaled
        return ieee.round_magnitude(scaled, name.value)

    @property
    def is_beyond(self) -> bool:
        """Whether the intermediate is an infinity."""
        name = self.policy.scaled_intermediate
        return name is not ScaledIntermediate.EXACT and self.quotient > ieee.largest(name.value)

    def rounded(self, steps: Fraction) -> int:
        """Round a number of steps as the policy says."""
        return round_to_integer(steps, self.read.sign, self.policy.rounding, self.draw)

    @property
    def draw(self) -> random_bits.Draw | None:
        """The random bits, where the rounding takes some."""
        if self.policy.rounding not in random_bits.STOCHASTIC or self.random is None:
            return None
        return random_bits.Draw(self.random, random_bits.count(self.fmt, self.policy))


def element_steps(passage: Passage, code: int) -> tuple[Step, ...]:
    """Return the steps classify, scale, align, round, overflow and pack that lead to `code`."""
    fmt, policy = passage.fmt, passage.policy
    result = exact_element.decode(code, fmt)
    pack = Step("pack", packed(code, fmt), (fmt.clause,))
    number = passage.read
    steps = [Step("classify", class_text(passage.number)), *_read_steps(passage)]
    if number.cls is NumberClass.NAN:
        return *steps, _nan_step(fmt, policy, result), pack
    if number.cls is NumberClass.INF:
        return *steps, _inf_step(fmt, policy, result), pack
    if number.cls is NumberClass.FINITE:
        steps.append(_scale_step(number.value / passage.X, passage))
        if policy.scaled_intermediate is not ScaledIntermediate.EXACT:
            steps.append(_narrow_step(passage))
        if passage.is_beyond:
            return *steps, _inf_step(fmt, policy, result), pack
        if passage.quotient:
            steps += rounding_steps(passage, result)
    if number.sign and result.cls is NumberClass.ZERO and fmt.kind is Kind.FLOAT:
        kept = "keeps its sign" if result.sign else "loses its sign"
        choice = f"neg_zero={policy.neg_zero}"
        steps.append(Step("zero", f"negative zero {kept} ({choice})", ("OP-NEG-ZERO",)))
    return *steps, pack


def _read_steps(passage: Passage) -> list[Step]:
    """What an encoder changes in its input before it looks at it."""
    given, policy, steps = passage.number, passage.policy, []
    subnormal = ("OP-ELEM-SUBNORMAL",)
    if policy.input_subnormal == "flush":
        flushed = ieee.flushed(given, passage.source)
        if flushed.cls is not given.cls:
            text = f"subnormal in {passage.source}, zero here: input_subnormal=flush"
            steps.append(Step("read", text, subnormal))
            given = flushed
    if policy.relu == "on" and given.sign:
        is_nan = given.cls is NumberClass.NAN
        text = "a NaN loses its sign" if is_nan else "what is negative becomes +0"
        steps.append(Step("relu", f"{text}: relu=on", subnormal))
    elif policy.neg_zero == "drop-input" and given.cls is NumberClass.ZERO and given.sign:
        text = "a zero that comes in loses its sign (neg_zero=drop-input)"
        steps.append(Step("zero", text, ("OP-NEG-ZERO",)))
    return steps


def _narrow_step(passage: Passage) -> Step:
    name, exact = passage.policy.scaled_intermediate, passage.read.magnitude / passage.X
    value = passage.quotient * (-1 if passage.read.sign else 1)
    how = "exact" if passage.quotient == exact else f"rounded once already, to {decimal(value)}"
    if passage.is_beyond:
        how = "beyond its range, an infinity"
    text = f"V / X as a {name}: {how}"
    return Step("narrow", text, ("MX-1.0/6.3/elements", "OP-SCALED-INTERMEDIATE"))


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
    rule = "sat" if result.cls is NumberClass.FINITE else "ovf"
    return Step("special", text, (f"OFP8-1.0/inf-{rule}", "OP-FP8-OVERFLOW"))


def _scale_step(scaled: Fraction, passage: Passage) -> Step:
    if not passage.in_block:
        return Step("scale", f"{decimal(scaled)}, not scaled")
    text = f"V / X = {decimal(scaled)}, with X = 2^{floor_log2(passage.X)}"
    return Step("scale", text, ("MX-1.0/6.3/elements", "OP-SCALED-INTERMEDIATE"))


def rounding_steps(passage: Passage, result: Number) -> list[Step]:
    """Return the steps align, round and overflow (or flush) of a finite number that is not zero."""
    fmt, policy = passage.fmt, passage.policy
    magnitude, sign = passage.quotient, passage.read.sign
    quantum = exact_element.quantum(magnitude, fmt)
    steps = magnitude / quantum
    whole = int(steps)
    rounded = passage.rounded(steps)
    direction = -1 if sign else 1

    def grid(count: int, at: Fraction) -> str:
        exponent = floor_log2(at) + fmt.mantissa_bits
        return binary(direction * count * at, fmt.mantissa_bits, exponent)

    kept, times, power = grid(whole, quantum).partition("*")
    guard, rest = divmod((steps - whole) * 2, 1)
    round_bit, sticky = divmod(rest * 2, 1)
    bits = f"{kept} | {guard} | {round_bit} | {int(sticky > 0)} {times}{power}".rstrip()
    tail = {"guard": int(guard), "round": int(round_bit), "sticky": int(sticky > 0)}
    align = Step(
        "align",
        f"{bits}   kept | guard | round | sticky",
        data={"kept": whole, "unit": str(quantum), **tail},
    )

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
        why = _beside_half(steps - whole)
        if passage.draw is not None:
            mode = policy.rounding.value[-1].upper()
            why = stochastic_text(mode, steps - whole, passage.draw.bits, passage.draw.value)
        text = f"{why}: {policy.rounding} goes {way} to {target}{carry}"
    clauses = [_rounding_clause(fmt, policy), "OP-ELEM-ROUNDING"]
    if passage.draw is not None:
        clauses.append("OP-ELEM-STOCHASTIC")
    if not rounded:
        text += ", underflow"
        clauses.insert(0, "OFP8-1.0/underflow" if fmt.is_fp8 else "MX-1.0/6.3/underflow")
    facts = {
        "exact": steps == whole,
        "tie": (steps - whole) * 2 == 1,
        "up": rounded > whole,
        "value": str(direction * value),
    }
    found = [align, Step("round", text, tuple(clauses), facts)]
    is_subnormal = fmt.min_normal is not None and 0 < value < fmt.min_normal
    if is_subnormal and policy.element_subnormal == "flush":
        text = f"{decimal(value)} is subnormal, and zero here: element_subnormal=flush"
        return [*found, Step("flush", text, ("MX-1.0/5.3/subnormals", "OP-ELEM-SUBNORMAL"))]
    return [*found, _overflow(value, sign, fmt, policy, result)]


def stochastic_text(
    mode: str, fraction: Fraction, bits: int, random: int | None, *, goes: str = ""
) -> str:
    """Say how random bits decide a rounding by the share that lies beyond the lower neighbour."""
    if mode == "A":
        kept, limit = int(fraction * 2**bits), 2**bits
        sum_text = f"floor(v * 2^{bits}) + R = {kept} + {random}"
    elif mode == "B":
        kept, limit = int(fraction * 2 ** (bits + 1)), 2 ** (bits + 1)
        sum_text = f"floor(v * 2^{bits + 1}) + (2 R + 1) = {kept} + {2 * (random or 0) + 1}"
    else:
        kept, limit = round(fraction * 2**bits), 2**bits
        sum_text = f"v * 2^{bits} to nearest, + R = {kept} + {random}"
    total = kept + (2 * (random or 0) + 1 if mode == "B" else random or 0)
    sign = ">=" if total >= limit else "<"
    return f"v = {decimal(fraction)} of a step, N = {bits}: {sum_text} {sign} {limit}{goes}"


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
    rule = "sat" if result.cls is NumberClass.FINITE else "ovf"
    text = f"{becomes} (fp8_overflow={policy.fp8_overflow})"
    return Step("overflow", text, (f"OFP8-1.0/overflow-{rule}", "OP-FP8-OVERFLOW"))


def element_flags(passage: Passage, code: int) -> tuple[str, ...]:
    """Return what is worth a second look: tie, overflow, to zero, subnormal, or the class."""
    number, fmt = passage.read, passage.fmt
    if number.cls in {NumberClass.NAN, NumberClass.INF}:
        return (number.cls.value,)
    if number.cls is NumberClass.ZERO:
        return ("to zero",) if passage.number.cls is NumberClass.FINITE else ()
    if passage.is_beyond:
        return ("overflow",)
    magnitude = passage.quotient
    if not magnitude:
        return ("to zero",)
    quantum = exact_element.quantum(magnitude, fmt)
    steps = magnitude / quantum
    rounded = passage.rounded(steps) * quantum
    found = ["tie"] if steps.denominator == 2 else []
    if rounded > fmt.max:
        found.append("overflow")
    elif exact_element.decode(code, fmt).cls is NumberClass.ZERO:
        found.append("to zero")
    elif class_name(code, fmt) == "subnormal":
        found.append("subnormal")
    return tuple(found)
