"""The steps from a block to its scale code, in words.

The code always comes from `mxref.exact`; the words describe how it gets there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mxref._choices import ScaleAbove, ScaleInf, ScaleQuotient, ScaleRule, ScaleZeroBlock
from mxref.exact import element as exact_element
from mxref.exact import ieee, rules
from mxref.exact import scale as exact_scale
from mxref.exact.logarithm import log2_float32
from mxref.exact.number import Number, NumberClass, floor_log2, power_of_two
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy
from mxref.show._element_steps import stochastic_text
from mxref.show._explain_reach import reach, reach_step, searched_reach, threshold
from mxref.show._explain_step import Step, counted
from mxref.show._text import decimal

__all__ = ["amax_index", "scale_steps", "scale_text"]


def scale_text(scale_code: int, fmt: ScaleFormat) -> str:
    """Write a scale code with its value: ``0x7d = 2^-2 = 0.25``."""
    number = exact_scale.decode(scale_code, fmt)
    if number.cls is NumberClass.NAN:
        return f"0x{scale_code:02x} = NaN"
    return f"0x{scale_code:02x} = 2^{scale_code - fmt.bias} = {decimal(number.value)}"


def amax_index(numbers: Sequence[Number]) -> int | None:
    """Return the place of the first largest finite magnitude; None if there is none but zero."""
    places = [i for i, n in enumerate(numbers) if n.cls is NumberClass.FINITE]
    return max(places, key=lambda i: (numbers[i].magnitude, -i), default=None)


@dataclass(frozen=True, slots=True)
class _Block:
    """What the steps of one block share."""

    numbers: Sequence[Number]
    fmt: BlockFormat
    policy: Policy
    source: str
    random: int | None
    pack: Step

    @property
    def rule(self) -> ScaleRule:
        return self.policy.scale_rule


def scale_steps(
    numbers: Sequence[Number],
    fmt: BlockFormat,
    policy: Policy,
    scale_code: int,
    source: str = "float32",
    random: int | None = None,
) -> tuple[Step, ...]:
    """Return the steps classify, amax, rule, range and pack that lead to `scale_code`."""
    pack = Step("scale", scale_text(scale_code, fmt.scale), (fmt.scale.clause,))
    steps = [Step("classify", counted(numbers))]
    if policy.input_subnormal == "flush":
        read = [ieee.flushed(n, source) for n in numbers]
        if count := sum(a.cls is not b.cls for a, b in zip(numbers, read, strict=True)):
            text = f"{count} subnormal in {source}, zero here: input_subnormal=flush"
            steps.append(Step("read", text, ("OP-ELEM-SUBNORMAL",)))
        numbers = read
    block = _Block(numbers, fmt, policy, source, random, pack)
    special, strongest = _special(numbers, policy)
    steps += special
    if strongest in _DECIDING:
        return *steps, pack
    if strongest is ScaleInf.EXPONENT_FIELD:
        text = "the exponent field of NaN or infinity, read as a number's: amax = 2^128"
        steps.append(Step("amax", text, ("OP-SCALE-NONFINITE",)))
        return *steps, *_of_amax(power_of_two(128), None, block)
    place = amax_index(numbers)
    if place is None:
        return *steps, *_of_zeros("no finite number but zero", block)
    amax = numbers[place].magnitude
    return *steps, *_of_amax(amax, place, block)


def _of_zeros(what: str, block: _Block) -> list[Step]:
    text = f"{what}: scale_zero_block={block.policy.scale_zero_block}"
    clause = ("OP-SCALE-ZERO-BLOCK",)
    if block.policy.scale_zero_block is not ScaleZeroBlock.MIN_NORMAL:
        return [Step("amax", text, clause), block.pack]
    return [
        Step("amax", f"{text}, so 2^-126 stands for amax", clause),
        *_of_amax(rules.LEAST_NORMAL, None, block, stands_for_zeros=True),
    ]


def _of_amax(
    amax: Fraction, place: int | None, block: _Block, *, stands_for_zeros: bool = False
) -> list[Step]:
    """The steps from the largest magnitude on."""
    policy, rule = block.policy, block.rule
    steps = [_amax_step(amax, place)] if place is not None else []

    def zeros(what: str) -> list[Step]:
        if stands_for_zeros:
            return [*steps, Step("amax", f"{what} too, and the least scale is left"), block.pack]
        return [*steps, *_of_zeros(what, block)]

    held_in = rules.type_of_amax(rule, policy)
    if held_in is not None:
        held, amax = amax, ieee.round_magnitude(amax, held_in)
        is_for_log2 = policy.scale_amax == "source" and policy.scale_log2 == "float32"
        clause = "OP-SCALE-LOG2" if is_for_log2 else "OP-SCALE-QUOTIENT"
        note = "the same" if held == amax else decimal(amax)
        steps.append(Step("held", f"amax as a {held_in}: {note}", (clause,)))
        if amax > ieee.largest(held_in):
            text = f"beyond {held_in}, so that amax is an infinity: scale_inf={policy.scale_inf}"
            steps.append(Step("special", text, ("OP-SCALE-NONFINITE",)))
            if policy.scale_inf in _DECIDING:
                return [*steps, block.pack]
            if policy.scale_inf is ScaleInf.EXPONENT_FIELD:
                amax = power_of_two(128)
        if not amax:
            return zeros("amax rounds to zero")
    plain = policy.replace(scale_subnormal="true")
    divided = rules.operand(amax, block.fmt.element, rule, plain)
    exact = amax / block.fmt.element.max if rule is ScaleRule.RCEIL else amax
    is_divided = rule is ScaleRule.RCEIL and _divides_in_float32(policy)
    if is_divided:
        steps.append(_quotient_step(amax, divided, block))
        if not divided:
            return zeros("the quotient counts as zero")
    v = rules.operand(amax, block.fmt.element, rule, policy)
    if v != divided:
        reading = "its fields are read as a normal number's" if v else "it counts as zero"
        text = f"{decimal(divided)} is below 2^-126: {reading}"
        text += f" (scale_subnormal={policy.scale_subnormal})"
        steps.append(Step("subnormal", text, ("OP-SCALE-SUBNORMAL",)))
        if not v:
            return zeros("what the rule looks at counts as zero")
    # An exact quotient need not be formed: RCEIL then compares m with the largest element.
    looks_at_amax = rule is ScaleRule.RCEIL and v == exact
    exponent = rules.exponent(v, block.fmt.element, rule, policy, block.random)
    is_plain = v == (exact if rule is ScaleRule.RCEIL else amax)
    rule_step, range_step = _rule_steps(
        amax if looks_at_amax else v, exponent, block, divided=not looks_at_amax
    )
    steps += [rule_step, *_reach_steps(amax, exponent, block, is_plain=is_plain), range_step]
    steps += _search_steps(exponent, block)
    return [*steps, block.pack]


def _amax_step(amax: Fraction, place: int) -> Step:
    E = floor_log2(amax)
    m = amax / power_of_two(E)
    where = f"amax = |V[{place}]| = {decimal(amax)} = m * 2^E, m = {decimal(m)}, E = {E}"
    return Step("amax", where, ("MX-1.0/6.3/scale",))


def _divides_in_float32(policy: Policy) -> bool:
    return policy.scale_quotient is not ScaleQuotient.EXACT or policy.scale_log2 == "float32"


def _quotient_step(amax: Fraction, quotient: Fraction, block: _Block) -> Step:
    largest = block.fmt.element.max
    how = f"{decimal(amax)} / {decimal(largest)}"
    if block.policy.scale_quotient is ScaleQuotient.RECIPROCAL:
        inverse = ieee.round_magnitude(1 / largest, "float32")
        how = f"{decimal(amax)} * {decimal(inverse)}, the float32 nearest to 1 / {decimal(largest)}"
    text = f"amax / max = {how}, in float32: {decimal(quotient)}"
    return Step("quotient", text, ("OP-SCALE-QUOTIENT",))


def _rule_steps(v: Fraction, exponent: int, block: _Block, *, divided: bool) -> list[Step]:
    """The steps rule and exponent; `v` is the quotient where it was `divided`, else amax."""
    rule, policy, element = block.rule, block.policy, block.fmt.element
    E = floor_log2(v)
    m = v / power_of_two(E)
    has_emax = rule is not ScaleRule.P3109 and not (rule is ScaleRule.RCEIL and divided)
    emax = element.emax if has_emax else 0
    clause = "MX-1.0/6.3/scale" if rule is ScaleRule.FLOOR else "MX-1.0/6.3/other-recipes"
    clauses = [clause, "OP-SCALE-RULE"]
    adds = exponent - (E - emax)
    if policy.scale_log2 == "float32" and rule in _LOGARITHMS:
        text = f"{rule} of log2 in float32, {decimal(log2_float32(v))} (scale_log2=float32)"
        text += f", gives {E + adds}"
        clauses.append("OP-SCALE-LOG2")
    elif rule is ScaleRule.STOCHASTIC:
        bits = int(policy.stochastic_bits.value)
        text = f"{stochastic_text('A', m - 1, bits, block.random)}: {E + adds}"
    elif rule is ScaleRule.RCEIL and divided:
        text = f"rceil takes the least power of two from {decimal(m)} * 2^{E} up: 2^{exponent}"
    else:
        text = _rule_text(rule, element, m, adds)
    total = f"{E}{f' {adds:+d}'.replace('+', '+ ').replace('-', '- ') if adds else ''}"
    if has_emax:
        total += f" - emax {element.emax}"
    total += f" = {exponent}" if adds or has_emax else ""
    return [
        Step("rule", text, tuple(clauses)),
        _range_step(total, exponent, block.fmt.scale, policy),
    ]


def _reach_steps(amax: Fraction, exponent: int, block: _Block, *, is_plain: bool) -> list[Step]:
    """Where the rule steps next; not for rules that draw or search."""
    rule, policy, element = block.rule, block.policy, block.fmt.element
    if rule is ScaleRule.STOCHASTIC:
        limit = 1 << int(policy.stochastic_bits.value)
        E = floor_log2(amax)
        least = limit - int((amax / power_of_two(E) - 1) * limit)
        text = f"E + 1 from R = {least} on" if least < limit else "E whatever R is"
        return [Step("threshold", text, ("OP-SCALE-RULE",))]
    is_float32 = policy.scale_log2 == "float32" and rule in _LOGARITHMS
    if is_float32 or (rule is ScaleRule.RCEIL and policy.scale_quotient is not ScaleQuotient.EXACT):
        found = searched_reach(amax, element, policy)
    else:
        found = reach(rule, element, exponent) if is_plain else None
    return [] if found is None else [reach_step(amax, exponent, found, block.source)]


def _rule_text(rule: ScaleRule, fmt: ElementFormat, m: Fraction, adds: int) -> str:
    match rule:
        case ScaleRule.FLOOR:
            return "floor takes E, whatever m is"
        case ScaleRule.MSE | ScaleRule.MAE:
            return f"{rule} begins with floor: E, whatever m is"
        case ScaleRule.PLUS_ONE:
            return "plus-one takes E + 1, whatever m is"
        case ScaleRule.NEAREST_LOG:
            condition = "m > sqrt(2)"
        case ScaleRule.P3109:
            condition = "m > 1.5, or m = 1.5 and the code of E is odd"
        case _:
            step, inclusive = threshold(rule, fmt)
            assert step is not None  # noqa: S101 - the other rules step at a rational number
            condition = f"m {'>=' if inclusive else '>'} {decimal(step)}"
    verdict = "it is" if adds else "it is not"
    return f"{rule} takes E + 1 where {condition}; m = {decimal(m)}: {verdict}"


def _search_steps(exponent: int, block: _Block) -> list[Step]:
    """The candidates of a rule that searches, with their errors."""
    if block.rule not in rules.SEARCHES or not _is_in_range(exponent, block):
        return []
    scale = block.fmt.scale
    limit = 125 if block.policy.scale_above is ScaleAbove.CLAMP_125 else scale.emax
    code = min(max(exponent, scale.emin), limit) + scale.bias
    what = "sum of squared errors" if block.rule is ScaleRule.MSE else "sum of absolute errors"
    parts = []
    for candidate in (code, code + 1, code - 1):
        if 0 <= candidate <= scale.max_code:
            error = _error(candidate, block)
            shown = "unbounded" if error is None else decimal(error)
            parts.append(f"0x{candidate:02x}: {shown}")
    text = f"{what}, the first of the least: {', '.join(parts)}"
    return [Step("search", text, ("OP-SCALE-RULE",))]


def _is_in_range(exponent: int, block: _Block) -> bool:
    """Whether no choice at the ends of the range decides before a search."""
    scale, policy = block.fmt.scale, block.policy
    if exponent > scale.emax:
        return policy.scale_above in {ScaleAbove.CLAMP, ScaleAbove.CLAMP_125}
    return exponent >= scale.emin or policy.scale_below == "clamp"


def _error(scale_code: int, block: _Block) -> Fraction | None:
    element = block.fmt.element
    X = power_of_two(scale_code - block.fmt.scale.bias)
    total = Fraction(0)
    for number in block.numbers:
        if number.cls is not NumberClass.FINITE:
            continue
        code = exact_element.encode(number, element, block.policy, scale=X, source=block.source)
        P = exact_element.decode(code, element)
        if P.cls in {NumberClass.NAN, NumberClass.INF}:
            return None
        difference = abs(number.value - X * P.value)
        total += difference**2 if block.rule is ScaleRule.MSE else difference
    return total


_DECIDING = (ScaleInf.RAISE, ScaleInf.NAN_SCALE, ScaleInf.FLUSH_BLOCK, ScaleInf.SATURATE)
_STRONGEST_FIRST = (*_DECIDING, ScaleInf.EXPONENT_FIELD, ScaleInf.IGNORE)
_LOGARITHMS = {
    ScaleRule.FLOOR,
    ScaleRule.CEIL,
    ScaleRule.RCEIL,
    ScaleRule.NEAREST_LOG,
    ScaleRule.PLUS_ONE,
}


def _special(numbers: Sequence[Number], policy: Policy) -> tuple[list[Step], ScaleInf]:
    """Return a step for NaN and for infinity, and the choice that goes first."""
    steps, found = [], [ScaleInf.IGNORE]
    classes = {n.cls for n in numbers}
    for cls, what, field in (
        (NumberClass.NAN, "NaN", "scale_nan"),
        (NumberClass.INF, "infinity", "scale_inf"),
    ):
        if cls in classes:
            choice = getattr(policy, field).value
            zeros = ", every element is +0" if choice == "flush-block" else ""
            text = f"the block holds {what}: {field}={choice}{zeros}"
            steps.append(Step("special", text, ("OP-SCALE-NONFINITE",)))
            found.append(ScaleInf(choice))  # the names of both fields are the same
    return steps, min(found, key=_STRONGEST_FIRST.index)


def _range_step(total: str, exponent: int, fmt: ScaleFormat, policy: Policy) -> Step:
    if exponent < fmt.emin:
        zeros = ", every element is +0" if policy.scale_below == "flush-block" else ""
        text = f"{total}, below {fmt.emin}: scale_below={policy.scale_below}{zeros}"
    elif exponent > 125 and policy.scale_above is ScaleAbove.CLAMP_125:
        text = f"{total}, above 125: scale_above=clamp-125"
    elif exponent > fmt.emax:
        text = f"{total}, above {fmt.emax}: scale_above={policy.scale_above}"
    else:
        return Step("exponent", f"{total}, within {fmt.emin} to {fmt.emax}")
    return Step("exponent", text, ("OP-SCALE-RANGE",))
