"""The steps from a block to its scale code, and from one number to E8M0, in words."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mxref._choices import E8M0Negative, E8M0Rounding, ScaleInf, ScaleNan, ScaleRule
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass, floor_log2, power_of_two
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy
from mxref.show._element_steps import Step
from mxref.show._facts import rounding_interval
from mxref.show._text import decimal

__all__ = ["amax_index", "cast_steps", "scale_steps", "scale_text", "threshold"]


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


def threshold(rule: ScaleRule, fmt: ElementFormat) -> tuple[Fraction | None, bool]:
    """Return where a rule steps: the significand of amax, and whether that one itself is beyond.

    None where the step is no rational number (the square root of two) or there is none. Beyond it
    the exponent of the scale is one larger than the recipe's, E - emax.
    """
    full = power_of_two(fmt.emax)
    match rule:
        case ScaleRule.CEIL:
            return Fraction(1), False
        case ScaleRule.RCEIL:
            return fmt.max / full, False
        case ScaleRule.EVEN | ScaleRule.EVEN_DOWN:
            return 2 - power_of_two(-fmt.mantissa_bits - 1), rule is ScaleRule.EVEN
        case ScaleRule.TOSA:
            largest = rounding_interval(fmt.max_magnitude, fmt)
            assert largest is not None  # noqa: S101 - the largest finite value has an interval
            assert largest.high is not None  # noqa: S101 - and it ends before overflow
            return largest.high / full, not largest.high_closed
        case _:
            return None, False


def _rule_text(rule: ScaleRule, fmt: ElementFormat, m: Fraction, adds: int) -> str:
    match rule:
        case ScaleRule.FLOOR:
            return "floor takes E, whatever m is"
        case ScaleRule.PLUS_ONE:
            return "plus-one takes E + 1, whatever m is"
        case ScaleRule.NEAREST_LOG:
            condition = "m > sqrt(2)"
        case _:
            step, inclusive = threshold(rule, fmt)
            assert step is not None  # noqa: S101 - the other rules step at a rational number
            condition = f"m {'>=' if inclusive else '>'} {decimal(step)}"
    verdict = "it is" if adds else "it is not"
    return f"{rule} takes E + 1 where {condition}; m = {decimal(m)}: {verdict}"


def scale_steps(
    numbers: Sequence[Number], fmt: BlockFormat, policy: Policy, scale_code: int
) -> tuple[Step, ...]:
    """Return the steps classify, amax, rule, range and pack that lead to `scale_code`."""
    steps = [_classify(numbers)]
    pack = Step("scale", scale_text(scale_code, fmt.scale), (fmt.scale.clause,))
    special, decides = _special(numbers, policy)
    steps += special
    place = amax_index(numbers)
    if decides:
        return *steps, pack
    if place is None:
        text = f"no finite number but zero: scale_zero_block={policy.scale_zero_block}"
        return *steps, Step("amax", text, ("OP-SCALE-ZERO-BLOCK",)), pack
    amax, element = numbers[place].magnitude, fmt.element
    E = floor_log2(amax)
    m = amax / power_of_two(E)
    exponent = exact_scale.rule_exponent(amax, element, policy.scale_rule)
    adds = exponent - (E - element.emax)
    where = f"amax = |V[{place}]| = {decimal(amax)} = m * 2^E, m = {decimal(m)}, E = {E}"
    steps.append(Step("amax", where, ("MX-1.0/6.3/scale",)))
    rule = (
        "MX-1.0/6.3/scale" if policy.scale_rule is ScaleRule.FLOOR else "MX-1.0/6.3/other-recipes"
    )
    text = _rule_text(policy.scale_rule, element, m, adds)
    steps.append(Step("rule", text, (rule, "OP-SCALE-RULE")))
    total = f"{E}{' + 1' if adds else ''} - emax {element.emax} = {exponent}"
    steps.append(_range_step(total, exponent, fmt.scale, policy))
    return *steps, pack


def _classify(numbers: Sequence[Number]) -> Step:
    names = {"FINITE": "finite", "ZERO": "zero", "INF": "infinite", "NAN": "NaN"}
    counts = {cls.name: sum(n.cls is cls for n in numbers) for cls in NumberClass}
    parts = [f"{counts[name]} {word}" for name, word in names.items() if counts[name]]
    plural = "s" if len(numbers) > 1 else ""
    return Step("classify", f"{len(numbers)} number{plural}: {', '.join(parts)}")


def _special(numbers: Sequence[Number], policy: Policy) -> tuple[list[Step], bool]:
    """Return a step for NaN and for infinity, and whether they decide the scale."""
    steps, decides = [], False
    classes = {n.cls for n in numbers}
    if NumberClass.NAN in classes:
        text = f"the block holds NaN: scale_nan={policy.scale_nan}"
        steps.append(Step("special", text, ("OP-SCALE-NONFINITE",)))
        decides = policy.scale_nan is ScaleNan.NAN_SCALE
    if NumberClass.INF in classes:
        text = f"the block holds infinity: scale_inf={policy.scale_inf}"
        steps.append(Step("special", text, ("OP-SCALE-NONFINITE",)))
        decides = decides or policy.scale_inf in {ScaleInf.NAN_SCALE, ScaleInf.SATURATE}
    return steps, decides


def _range_step(total: str, exponent: int, fmt: ScaleFormat, policy: Policy) -> Step:
    if exponent < fmt.emin:
        text = f"{total}, below {fmt.emin}: scale_below={policy.scale_below}"
    elif exponent > fmt.emax:
        text = f"{total}, above {fmt.emax}: scale_above={policy.scale_above}"
    else:
        return Step("exponent", f"{total}, within {fmt.emin} to {fmt.emax}")
    return Step("exponent", text, ("OP-SCALE-RANGE",))


def cast_steps(
    number: Number, fmt: ScaleFormat, policy: Policy, scale_code: int
) -> tuple[Step, ...]:
    """Return the steps from one number to E8M0, as a scalar cast."""
    clause = ("OP-E8M0-CAST",)
    pack = Step("pack", scale_text(scale_code, fmt), (fmt.clause,))
    sign = f"sign {'-' if number.sign else '+'}"
    names = {"FINITE": "finite", "ZERO": "zero", "INF": "infinity", "NAN": "NaN"}
    steps = [Step("classify", f"{names[number.cls.name]}, {sign}")]
    choices = {
        NumberClass.ZERO: f"E8M0 has no zero: e8m0_zero={policy.e8m0_zero}",
        NumberClass.INF: f"E8M0 has no infinity: e8m0_inf={policy.e8m0_inf}",
        NumberClass.NAN: "NaN stays NaN",
    }
    is_signed = number.sign and number.cls in {NumberClass.FINITE, NumberClass.INF}
    if is_signed:
        text = f"E8M0 has no sign: e8m0_negative={policy.e8m0_negative}"
        steps.append(Step("sign", text, clause))
        if policy.e8m0_negative is E8M0Negative.NAN:
            return *steps, pack
    if number.cls is not NumberClass.FINITE:
        return *steps, Step("special", choices[number.cls], clause), pack
    E = floor_log2(number.magnitude)
    m = number.magnitude / power_of_two(E)
    up = {
        E8M0Rounding.DOWN: False,
        E8M0Rounding.UP: m > 1,
        E8M0Rounding.NEAREST: m >= Fraction(3, 2),
    }[policy.e8m0_rounding]
    exponent = E + up
    steps.append(Step("align", f"m * 2^E, m = {decimal(m)}, E = {E}"))
    text = f"e8m0_rounding={policy.e8m0_rounding} gives 2^{exponent}"
    steps.append(Step("round", text, clause))
    if exponent < fmt.emin:
        steps.append(Step("underflow", f"below 2^{fmt.emin}, the smallest scale", clause))
    if exponent > fmt.emax:
        text = f"above 2^{fmt.emax}: e8m0_overflow={policy.e8m0_overflow}"
        steps.append(Step("overflow", text, clause))
    return *steps, pack
