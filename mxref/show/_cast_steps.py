"""The steps from one number to E8M0, as a scalar cast, in words."""

from __future__ import annotations

from fractions import Fraction

from mxref._choices import E8M0Negative, E8M0Rounding, E8M0Subnormal
from mxref.exact.number import Number, NumberClass, floor_log2, power_of_two
from mxref.exact.rules import LEAST_NORMAL, as_float32_bits, nearest_even_exponent
from mxref.formats import ScaleFormat
from mxref.policy import Policy
from mxref.show._explain_step import Step, class_text
from mxref.show._scale_steps import scale_text
from mxref.show._text import decimal

__all__ = ["cast_steps"]


def cast_steps(
    number: Number, fmt: ScaleFormat, policy: Policy, scale_code: int
) -> tuple[Step, ...]:
    """Return the steps from one number to E8M0, as a scalar cast."""
    clause = ("OP-E8M0-CAST",)
    pack = Step("pack", scale_text(scale_code, fmt), (fmt.clause,))
    steps = [Step("classify", class_text(number))]
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
    magnitude = number.magnitude
    if magnitude < LEAST_NORMAL and policy.e8m0_subnormal is E8M0Subnormal.BITS:
        magnitude = as_float32_bits(magnitude)
        text = "a float32 subnormal, its fields read as a normal number's: e8m0_subnormal=bits"
        steps.append(Step("subnormal", text, clause))
    E = floor_log2(magnitude)
    m = magnitude / power_of_two(E)
    up = {
        E8M0Rounding.DOWN: False,
        E8M0Rounding.UP: m > 1,
        E8M0Rounding.NEAREST: m >= Fraction(3, 2),
        E8M0Rounding.NEAREST_EVEN: nearest_even_exponent(magnitude, fmt.bias) > E,
    }[policy.e8m0_rounding]
    exponent = E + up
    steps.append(Step("align", f"m * 2^E, m = {decimal(m)}, E = {E}"))
    where = {
        E8M0Rounding.DOWN: "takes E, whatever m is",
        E8M0Rounding.UP: "takes E + 1 where m > 1",
        E8M0Rounding.NEAREST: "takes E + 1 where m >= 1.5",
        E8M0Rounding.NEAREST_EVEN: "takes E + 1 where m > 1.5, or m = 1.5 and the code of E is odd",
    }[policy.e8m0_rounding]
    text = f"e8m0_rounding={policy.e8m0_rounding} {where}: 2^{exponent}"
    steps.append(Step("round", text, clause))
    if exponent < fmt.emin:
        text = f"below 2^{fmt.emin}, the smallest scale: e8m0_underflow={policy.e8m0_underflow}"
        steps.append(Step("underflow", text, clause))
    if exponent > fmt.emax:
        text = f"above 2^{fmt.emax}: e8m0_overflow={policy.e8m0_overflow}"
        steps.append(Step("overflow", text, clause))
    return *steps, pack
