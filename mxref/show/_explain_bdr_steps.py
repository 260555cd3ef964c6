"""The steps of a BDR quantizer in words: shared exponents or float32 scales, shifts, integers.

The codes always come from `mxref.exact.bdr`; tests hold the words and the codes together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from mxref._choices import Rounding
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact.bdr_elements import limit_of, round_magnitude
from mxref.exact.number import Number, NumberClass, floor_log2, power_of_two
from mxref.policy import Policy
from mxref.relatives.bdr_choices import (
    BDRRounding,
    ElementDivisor,
    ElementQuotient,
    ScaleQuotient,
    Shift,
)
from mxref.relatives.bdr_format import BDRFormat, Element, ScaleKind, SubscaleKind
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.show._element_steps import (
    Passage,
    element_flags,
    packed,
    rounding_steps,
    stochastic_text,
)
from mxref.show._explain_reach import Reach
from mxref.show._explain_step import Step, number_text
from mxref.show._text import decimal, powers

__all__ = ["POINT", "Block", "element_steps", "exponent_steps", "float_scale_steps", "scaled_step"]

POINT = ("OP-BDR-QUANTIZER",)
_F32_MAX = ieee.largest("float32")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a BDR format with what it became.

    Attributes
    ----------
    numbers : sequence of Number
        As `mxref.exact.bdr_elements.read` returns them; the block in full.
    fmt, policy : BDRFormat, BDRPolicy
    scale : int
        The code of a power of two, or the bits of a float32.
    subscales : sequence of int
        The codes of the second level.
    random : sequence of int or None
        R of each number.
    """

    numbers: Sequence[Number]
    fmt: BDRFormat
    policy: BDRPolicy
    scale: int
    subscales: Sequence[int]
    random: Sequence[int | None]

    @property
    def amax(self) -> Fraction:
        """The largest finite magnitude."""
        return max((V.magnitude for V in self.numbers), default=Fraction(0))

    def sub(self, i: int) -> Sequence[Number]:
        """The sub-block of an element, or the block where there is no second level."""
        if not self.subscales:
            return self.numbers
        start = i // self.fmt.k2 * self.fmt.k2
        return self.numbers[start : start + self.fmt.k2]

    def overflows(self, unit: Fraction) -> bool:
        """Whether some number of the block rounds beyond the largest element."""
        return any(
            round_magnitude(V.magnitude / unit, V.sign, self.policy, R)
            > limit_of(V.sign, self.fmt, self.policy)
            for V, R in zip(self.numbers, self.random, strict=True)
            if V.cls is not NumberClass.INF
        )


def _step(name: str, text: str, **data: object) -> Step:
    return Step(name, text, POINT, data)


# --- scales that are powers of two ------------------------------------------------------------


def exponent_steps(block: Block) -> list[Step]:
    """Say how the shared exponent follows from the largest magnitude."""
    fmt, policy, amax = block.fmt, block.policy, block.amax
    if not amax:
        return [_step("exponent", f"nothing but zeros: zero_block={policy.zero_block}")]
    exponent = floor_log2(amax)
    E = exponent + fmt.bias
    text = f"amax = m * 2^e, e = {exponent}; E = e + {fmt.bias} = {E}"
    choice = f"shared_exponent={policy.shared_exponent}"
    if policy.shared_exponent == "after-rounding":
        if block.overflows(fmt.step * power_of_two(exponent)):
            E += 1
            text += f", and 1 more, as an element rounds beyond the largest: {E}"
        else:
            text += ", and no element rounds beyond the largest"
    steps = [_step("exponent", f"{text} ({choice})")]
    low, high = power_of_two(exponent), power_of_two(exponent + 1)
    near = min(amax - low, high - amax) / amax * 100
    where = f"the {'lower' if amax - low <= high - amax else 'upper'} end is"
    where = f"{where} {decimal(near, 6, 3)} % away" if near else "amax lies on the lower end"
    steps.append(_step("threshold", f"e = {exponent} for amax in {Reach(low, high)}; {where}"))
    if fmt.max_scale < E:
        steps.append(_step("range", f"above {fmt.max_scale}: scale_above={policy.scale_above}"))
    elif E < 0:
        zeros = ", every element is +0" if policy.scale_below == "flush" else ""
        steps.append(_step("range", f"below 0: scale_below={policy.scale_below}{zeros}"))
    return steps


def shift_text(block: Block, i: int) -> str:
    """Say how the shift of the sub-block of an element was chosen."""
    fmt, policy = block.fmt, block.policy
    D = block.subscales[i // fmt.k2]
    if policy.shift is Shift.OFF:
        return "D = 0 (shift=off)"
    amax = max(V.magnitude for V in block.sub(i))
    if not amax:
        return f"a sub-block of zeros: D = {D} (zero_subblock={policy.zero_subblock})"
    if fmt.scale is ScaleKind.FLOAT32:
        return f"D = {D}: as far as the largest of the sub-block stays in range"
    gap = max(block.scale - floor_log2(amax) - fmt.bias, 0)
    where = f"lies {gap} below E" if gap else "has the exponent of E"
    text = f"the largest of the sub-block {where}"
    text += f", at most {fmt.max_shift}" if gap > fmt.max_shift else ""
    if min(gap, fmt.max_shift) != D:
        text += f", less 1, as it would round beyond (shared_exponent={policy.shared_exponent})"
    return f"{text}: D = {D}"


# --- scales that are float32 numbers ----------------------------------------------------------


def _f32(value: Fraction) -> Fraction | None:
    rounded = ieee.round_magnitude(value, "float32")
    return rounded if rounded <= _F32_MAX else None


def _scale(amax: Fraction, largest: Fraction, policy: BDRPolicy) -> Fraction:
    if policy.scale_quotient is ScaleQuotient.RECIPROCAL:
        found = _f32(amax * (_f32(1 / largest) or Fraction(0)))
    else:
        found = _f32(amax / largest)
    return _F32_MAX if found is None else found


def wanted(block: Block, i: int) -> Fraction:
    """Return the float32 scale that the sub-block of an element asks for."""
    amax = max((V.magnitude for V in block.sub(i)), default=Fraction(0))
    return _scale(amax, block.fmt.largest, block.policy)


def float_scale_steps(block: Block) -> list[Step]:
    """Say how a float32 scale follows from the largest magnitude."""
    fmt, policy, amax = block.fmt, block.policy, block.amax
    if not amax:
        return [_step("scale by", f"nothing but zeros: zero_block={policy.zero_block}")]
    how = "fl(amax / {})"
    if policy.scale_quotient is ScaleQuotient.RECIPROCAL:
        how = "fl(amax * fl(1 / {}))"
    found = _scale(amax, fmt.largest, policy)
    largest = decimal(fmt.largest)
    choice = f"scale_quotient={policy.scale_quotient}"
    text = f"{how.format(largest)} = {decimal(found)} ({choice})"
    steps = [_step("scale by", text)]
    if fmt.subscale is SubscaleKind.INT:
        most = Fraction(fmt.max_subscale)
        found, inner = _scale(found, most, policy), decimal(found)
        text = how.format(decimal(most)).replace("amax", inner)
        steps.append(_step("", f"by the largest sub-scale: {text} = {decimal(found)}"))
    if not found:
        zeros = ", every element is +0" if policy.scale_below == "flush" else ", made 2^-149"
        steps.append(_step("range", f"it underflows: scale_below={policy.scale_below}{zeros}"))
    return steps


# --- elements ---------------------------------------------------------------------------------


def scaled_step(block: Block, i: int) -> tuple[list[Step], Number]:
    """Say by what an element is divided, and return what is rounded to an integer or OFP8."""
    fmt, V = block.fmt, block.numbers[i]
    if fmt.scale is ScaleKind.POW2:
        return _by_power(block, i)
    steps: list[Step] = []
    D = 0
    s = ieee.from_bits(block.scale, "float32").value
    divisor, named = s, "s"
    if fmt.subscale is SubscaleKind.INT:
        ss = block.subscales[i // fmt.k2]
        own = wanted(block, i)
        ratio = decimal(own / s) if s else "0"
        text = f"the sub-block asks for {decimal(own)} = s * {ratio}: ss = {ss} "
        steps.append(_step("sub-scale", f"{text}(subscale_rounding={_rounds(block)})"))
        is_rounded = block.policy.element_divisor is ElementDivisor.ROUNDED
        divisor, named = (ss * s, "ss * s") if is_rounded else (own, "the unrounded scale")
    elif fmt.subscale is SubscaleKind.POW2:
        D = block.subscales[i // fmt.k2]
        steps.append(_step("sub-scale", shift_text(block, i)))
    text, y = _quotient(V, divisor, block.policy, named)
    if D and y.cls is NumberClass.FINITE:
        y = Number.finite(y.value * power_of_two(D))
        text += f", times 2^{D} = {number_text(y)}"
    return [*steps, _step("scale", text)], y


def _rounds(block: Block) -> str:
    return block.policy.subscale_rounding.value


def _by_power(block: Block, i: int) -> tuple[list[Step], Number]:
    fmt, V = block.fmt, block.numbers[i]
    D = block.subscales[i // fmt.k2] if block.subscales else 0
    steps = [_step("sub-scale", shift_text(block, i))] if block.subscales else []
    unit = fmt.step * power_of_two(block.scale - fmt.bias - D)
    if V.cls is not NumberClass.FINITE:
        return steps, V
    y = Number.finite(V.value / unit)
    parts = f"2^({1 - fmt.m} {'- D ' if block.subscales else ''}+ E - {fmt.bias})"
    text = f"V / unit = {number_text(y)}, with unit = {parts} = {powers(unit).removeprefix('+')}"
    return [*steps, _step("scale", text)], y


def _quotient(V: Number, divisor: Fraction, policy: BDRPolicy, named: str) -> tuple[str, Number]:
    """The quotient in words, and itself; zero for a divisor of zero."""
    choice = f"(element_quotient={policy.element_quotient})"
    if V.cls is not NumberClass.FINITE:
        return f"{number_text(V)} is not divided", V
    if not divisor:
        return f"{named} is zero, and so is the element", Number.zero(V.sign)
    x, by = number_text(V), decimal(divisor)
    if policy.element_quotient is ElementQuotient.EXACT:
        y: Fraction | None = V.magnitude / divisor
        return _said(f"V / ({named}) = {x} / {by}, exactly,", V, y, choice)
    rounded = _f32(divisor)
    if rounded is None:
        return f"{named} is beyond float32, and the element zero {choice}", Number.zero(V.sign)
    if policy.element_quotient is ElementQuotient.DIVIDE:
        y = _f32(V.magnitude / rounded)
        return _said(f"fl(V / ({named})) = fl({x} / {decimal(rounded)})", V, y, choice)
    inverse = _f32(1 / rounded)
    y = None if inverse is None else _f32(V.magnitude * inverse)
    word = "inf" if inverse is None else decimal(inverse)
    text = f"r = fl(1 / ({named})) = fl(1 / {decimal(rounded)}) = {word}, fl(V * r)"
    return _said(text, V, y, choice)


def _said(text: str, V: Number, y: Fraction | None, choice: str) -> tuple[str, Number]:
    if y is None:
        number = Number.inf(V.sign)
    else:
        number = Number.finite(-y if V.sign else y, sign_of_zero=V.sign)
    return f"{text} = {number_text(number)} {choice}", number


def element_steps(
    y: Number, code: int, block: Block, random: int | None
) -> tuple[list[Step], tuple[str, ...]]:
    """Say how what was scaled is rounded and packed; return the steps and the flags."""
    fmt = block.fmt
    flags: tuple[str, ...] = ()
    steps: list[Step] = []
    if fmt.float_element is not None:
        steps, flags = _float_steps(y, code, block, random)
        return [*steps, Step("pack", packed(code, fmt.float_element), POINT)], flags
    limit = limit_of(y.sign, fmt, block.policy)
    if y.cls is NumberClass.INF:
        steps, flags = [_step("overflow", f"yes: infinity becomes M = {limit}")], ("overflow",)
    elif y.cls is NumberClass.FINITE:
        steps, flags = _integer_steps(y, limit, block, random)
    bits = f"{code:0{fmt.code_bits}b}"
    is_signed = fmt.element is Element.SIGN_MAGNITUDE
    fields = f"{bits[0]} | {bits[1:]}" if is_signed else bits
    digits = -(-fmt.code_bits // 4)
    return [*steps, _step("pack", f"{fields} = 0x{code:0{digits}x}")], flags


def _float_steps(
    y: Number, code: int, block: Block, random: int | None
) -> tuple[list[Step], tuple[str, ...]]:
    fmt = block.fmt.float_element
    assert fmt is not None  # noqa: S101  # for the type checker
    if y.cls is NumberClass.INF:
        return [_step("overflow", "yes: infinity becomes the largest")], ("overflow",)
    if y.cls is not NumberClass.FINITE:
        return [], ()
    rounding = _plain(block.policy.rounding, y.sign)
    policy = Policy(rounding=rounding, stochastic_bits=block.policy.stochastic_bits)
    passage = Passage(y, fmt, policy, random=random)
    found = rounding_steps(passage, exact_element.decode(code, fmt))
    own = [
        replace(step, clauses=() if step.name == "align" else POINT, text=_named(step, block))
        for step in found
    ]
    return own, element_flags(passage, code)


def _named(step: Step, block: Block) -> str:
    text = step.text.replace("fp8_overflow=saturate", "elements saturate")
    return text.replace(": nearest-down goes", ": half-up goes") if _is_half_up(block) else text


def _is_half_up(block: Block) -> bool:
    return block.policy.rounding is BDRRounding.HALF_UP


def _plain(mode: BDRRounding, sign: int) -> Rounding:
    if mode is BDRRounding.HALF_UP:
        return Rounding.NEAREST_DOWN if sign else Rounding.NEAREST_AWAY
    return Rounding(mode.value)


def _integer_steps(
    y: Number, limit: int, block: Block, random: int | None
) -> tuple[list[Step], tuple[str, ...]]:
    """Align and round to an integer M, and hold it to the largest."""
    policy, magnitude = block.policy, y.magnitude
    M = round_magnitude(magnitude, y.sign, policy, random)
    whole = int(magnitude)
    tail = magnitude - whole
    guard, rest = divmod(tail * 2, 1)
    round_bit, sticky = divmod(rest * 2, 1)
    sign = "-" if y.sign else "+"
    kept = f"{sign}0b{whole:b}" if whole < 1 << 16 else powers(Fraction(whole))
    bits = f"{kept} | {guard} | {round_bit} | {int(sticky > 0)}"
    facts = {"guard": int(guard), "round": int(round_bit), "sticky": int(sticky > 0)}
    align = Step(
        "align",
        f"{bits}   kept | guard | round | sticky",
        data={"kept": whole, "unit": "1", **facts},
    )
    if not tail:
        text = f"exact: M = {M}"
    else:
        why = "a tie" if tail * 2 == 1 else ("above half" if tail * 2 > 1 else "below half")
        if policy.rounding.value.startswith("stochastic"):
            mode, n = policy.rounding.value[-1].upper(), int(policy.stochastic_bits.value)
            why = stochastic_text(mode, tail, n, random)
        text = f"{why}: {policy.rounding} goes {'up' if whole < M else 'down'} to M = {M}"
    data = {"exact": not tail, "tie": tail * 2 == 1, "up": whole < M, "value": str(M)}
    flags = ["tie"] if tail * 2 == 1 else []
    over = f"no: {M} is at most {limit}"
    if limit < M:
        over = f"yes: {M} is more than {limit} and becomes {limit}"
        flags.append("overflow")
    elif not M:
        flags.append("to zero")
    return [align, Step("round", text, POINT, data), _step("overflow", over)], tuple(flags)
