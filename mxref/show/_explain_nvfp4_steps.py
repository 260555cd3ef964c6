"""The steps of an NVFP4 recipe in words: each float32 operation in the order of the policy.

The codes always come from `mxref.exact.nvfp4`; tests hold the words and the codes together. The
names are those of ``mxref.relatives.nvfp4_choices``: b and amax, T and M, S and g, s and r.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from fractions import Fraction
from typing import assert_never

from mxref.exact.ieee import largest
from mxref.exact.number import Number, NumberClass
from mxref.exact.nvfp4_arithmetic import ONE, fl, from_code, is_nan, least_of, over, real, times
from mxref.exact.nvfp4_scales import GlobalScales, decode_element, decode_scale, target, top
from mxref.formats import ElementFormat
from mxref.policy import Policy
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.show._element_steps import Passage, packed, rounding_steps
from mxref.show._explain_step import Step, number_text

__all__ = [
    "RECIPE",
    "element_passage",
    "global_steps",
    "scale_rounding_steps",
    "scale_text",
    "scaled_steps",
    "wanted_steps",
]

RECIPE = ("OP-NVFP4-RECIPE",)
_SCALE_MODES = {"nearest-even": "nearest-even", "nearest-up": "nearest-away"}


def _step(name: str, text: str) -> Step:
    return Step(name, text, RECIPE)


def scale_text(code: int, policy: NVFP4Policy) -> str:
    """Write a scale code with its fields and its value.

    Examples
    --------
    >>> scale_text(0x7E, NVFP4Policy())
    '1111 | 110 = 0x7e = 448'
    """
    bits = f"{code:08b}"
    sign = f"{bits[0]} | " if code & 0x80 else ""
    value = number_text(decode_scale(code, policy))
    return f"{sign}{bits[1:5]} | {bits[5:]} = 0x{code:02x} = {value}"


# --- the tensor -------------------------------------------------------------------------------


def global_steps(scales: GlobalScales, policy: NVFP4Policy, *, is_given: bool) -> list[Step]:
    """Say how S and g follow from the largest magnitude of the tensor, or from g."""
    S, g = number_text(scales.encode), number_text(scales.decode)
    if policy.levels is choice.Levels.ONE:
        return [_step("global", "S = g = 1 (levels=single-level)")]
    if is_given:
        return [_step("global", f"g = {g} is given; S = fl(1 / g) = {S}")]
    product = real(target(policy) * top(policy))
    sums = _Sums({"A": scales.amax, "P": product})
    zero, cap = f"global_zero={policy.global_zero}", f"global_cap={policy.global_cap}"
    match policy.global_order:
        case choice.GlobalOrder.RECIPROCAL:
            plain = sums.add("S = fl(T*M / amax) = fl({P} / {A})", S=fl(over(product, scales.amax)))
        case choice.GlobalOrder.INVERTED:
            u = sums.add("u = fl(1 / amax) = fl(1 / {A})", u=fl(over(ONE, scales.amax)))
            plain = sums.add("S = fl(u * T*M) = fl({u} * {P})", S=fl(times(u, product)))
        case choice.GlobalOrder.QUOTIENT:
            found = sums.add(
                "g = fl(amax / (T*M)) = fl({A} / {P})", g=fl(over(scales.amax, product))
            )
            if found != scales.decode:
                sums.add(f"by {zero}: g", g=scales.decode)
            plain = sums.add("S = fl(1 / g) = fl(1 / {g})", S=fl(over(ONE, scales.decode)))
        case _:
            assert_never(policy.global_order)
    if plain != scales.encode:
        sums.add(f"by {zero} and {cap}: S", S=scales.encode)
    if policy.global_order is not choice.GlobalOrder.QUOTIENT:
        sums.add("g = fl(1 / S) = fl(1 / {S})", g=scales.decode)
    text = (
        f"T*M = {target(policy)} * {top(policy)}; fl() is one rounding to float32 "
        f"(global_order={policy.global_order})"
    )
    return [_step("global", text), *sums.steps]


# --- the scale of a block ---------------------------------------------------------------------


def wanted_steps(
    b: Number, scales: GlobalScales, policy: NVFP4Policy, *, is_four: bool = False
) -> tuple[list[Step], Number]:
    """Say how the number that becomes the scale is computed from b, and return it."""
    T, S, g = real(target(policy)), scales.encode, scales.decode
    sums = _Sums({"b": b, "T": T, "S": S, "g": g})
    match policy.scale_order:
        case choice.ScaleOrder.FOLDED:
            u = sums.add("u = fl(1 / {T})", u=fl(over(ONE, T)))
            v = sums.add("v = fl(S * u) = fl({S} * {u})", v=fl(times(S, u)))
            found = sums.add("fl(b * v) = fl({b} * {v})", w=fl(times(b, v)))
        case choice.ScaleOrder.DIVIDED:
            u = sums.add("u = fl(b / T) = fl({b} / {T})", u=fl(over(b, T)))
            found = sums.add("fl(u * S) = fl({u} * {S})", w=fl(times(u, S)))
        case choice.ScaleOrder.QUOTIENT:
            u = sums.add("u = fl(b / T) = fl({b} / {T})", u=fl(over(b, T)))
            found = sums.add("fl(u / g) = fl({u} / {g})", w=fl(over(u, g)))
        case choice.ScaleOrder.PRODUCT:
            u = sums.add("u = fl(T * g) = fl({T} * {g})", u=fl(times(T, g)))
            found = sums.add("fl(b / u) = fl({b} / {u})", w=fl(over(b, u)))
        case choice.ScaleOrder.EXACT:
            found = sums.add("b / (T * g) = {b} / ({T} * {g})", w=over(b, times(T, g)))
        case _:
            assert_never(policy.scale_order)
    steps = [_step("wanted", _formula(policy)), *sums.steps]
    if is_four:
        grown = times(found, real(Fraction(3, 2)))
        found = grown if policy.scale_order is choice.ScaleOrder.EXACT else fl(grown)
        steps.append(_step("", f"half as large again for 4: {number_text(found)}"))
    if policy.scale_zero is choice.ScaleZero.ONE and found.cls is NumberClass.ZERO:
        found = ONE
        steps.append(_step("zero", "a scale of zero becomes 1 (scale_zero=one)"))
    least = {"0": Fraction(0), "2^-9": Fraction(1, 512), "2^-6": Fraction(1, 64)}
    bound = least[policy.scale_least.value]
    is_real = found.cls in (NumberClass.ZERO, NumberClass.FINITE)
    if is_real and found.magnitude < bound:
        found = real(bound)
        text = f"less than {policy.scale_least}, and made that (scale_least)"
        steps.append(_step("least", text))
    return steps, found


def _formula(policy: NVFP4Policy) -> str:
    formulas = {
        choice.ScaleOrder.FOLDED: "fl(b * fl(S * fl(1 / T)))",
        choice.ScaleOrder.DIVIDED: "fl(fl(b / T) * S)",
        choice.ScaleOrder.QUOTIENT: "fl(fl(b / T) / g)",
        choice.ScaleOrder.PRODUCT: "fl(b / fl(T * g))",
        choice.ScaleOrder.EXACT: "b / (T * g)",
    }
    return f"{formulas[policy.scale_order]} (scale_order={policy.scale_order})"


def scale_rounding_steps(number: Number, code: int, policy: NVFP4Policy) -> list[Step]:
    """Say how a number is rounded to UE4M3; `code` is the result, before `scale_zero`."""
    overflow = f"scale_overflow={policy.scale_overflow}"
    if number.cls is NumberClass.NAN:
        return [_step("special", "NaN stays NaN")]
    if number.cls is NumberClass.INF:
        value = number_text(decode_scale(code, policy))
        return [_step("special", f"infinity becomes {value} ({overflow})")]
    if number.cls is NumberClass.ZERO:
        return []
    passage = Passage(number, NVFP4.scale, _scale_policy(policy))
    mode = str(passage.policy.rounding)
    found = []
    for step in rounding_steps(passage, decode_scale(code)):
        text = step.text.replace(f"fp8_overflow={passage.policy.fp8_overflow}", overflow)
        text = text.replace(mode, policy.scale_rounding.value)
        found.append(replace(step, text=text, clauses=() if step.name == "align" else RECIPE))
    return found


@functools.lru_cache(maxsize=64)
def _scale_policy(policy: NVFP4Policy) -> Policy:
    """The policy under which a cast to E4M3 rounds as the scale is rounded."""
    rounding = _SCALE_MODES.get(policy.scale_rounding.value, policy.scale_rounding.value)
    is_nan = policy.scale_overflow is choice.ScaleOverflow.NAN
    return Policy(
        rounding=rounding,  # type: ignore[arg-type]
        fp8_overflow="overflow" if is_nan else "saturate",  # type: ignore[arg-type]
    )


# --- an element -------------------------------------------------------------------------------


def scaled_steps(
    x: Number, scale: int, scales: GlobalScales, policy: NVFP4Policy
) -> tuple[list[Step], Number]:
    """Say how an element is brought into the range of E2M1, and return what is rounded."""
    s, S, g = decode_scale(scale, policy), scales.encode, scales.decode
    if policy.zero_scale is choice.ZeroScale.ZERO and s.cls is NumberClass.ZERO:
        if is_nan(x):
            return [_step("scale", "s is zero, and NaN stays NaN (zero_scale=zero)")], x
        zero = from_code(x.sign ^ s.sign, Fraction(0))
        return [_step("scale", "s is zero, and so is the element (zero_scale=zero)")], zero
    sums = _Sums({"x": x, "s": s, "S": S, "g": g})
    r = _factor(sums, policy)
    if r is None:
        found = _divided(sums, policy)
    else:
        kind = policy.factor_type.value
        capped = r
        if policy.factor_cap is choice.FactorCap.CLAMP:
            capped = least_of(r, largest(kind))
            if capped != r:
                sums.add("by factor_cap=clamp: r", r=capped)
        held = fl(capped, kind)
        if policy.factor_type is choice.FactorType.BFLOAT16:
            sums.add("by factor_type=bfloat16: r", r=held)
        found = sums.add("fl(x * r) = fl({x} * {r})", y=fl(times(x, held)))
    return [_step("scale", f"element_order={policy.element_order}"), *sums.steps], found


class _Sums:
    """Operations one after the other, each in words with the numbers so far."""

    def __init__(self, numbers: dict[str, Number]) -> None:
        self.numbers = numbers
        self.steps: list[Step] = []

    def add(self, formula: str, **named: Number) -> Number:
        """Note an operation and its result, which later formulas may call by its name."""
        words = {name: number_text(number) for name, number in self.numbers.items()}
        ((name, number),) = named.items()
        self.numbers[name] = number
        self.steps.append(Step("", f"{formula.format(**words)} = {number_text(number)}"))
        return number


def _factor(sums: _Sums, policy: NVFP4Policy) -> Number | None:
    """The factor r on an element, where the recipe multiplies."""
    s, S, g = (sums.numbers[name] for name in "sSg")
    match policy.element_order:
        case choice.ElementOrder.RECIPROCAL:
            u = sums.add("u = fl(s * g) = fl({s} * {g})", u=fl(times(s, g)))
            return sums.add("r = fl(1 / u) = fl(1 / {u})", r=fl(over(ONE, u)))
        case choice.ElementOrder.QUOTIENT:
            u = sums.add("u = fl(1 / g) = fl(1 / {g})", u=fl(over(ONE, g)))
            return sums.add("r = fl(u / s) = fl({u} / {s})", r=fl(over(u, s)))
        case choice.ElementOrder.ENCODE:
            return sums.add("r = fl(S / s) = fl({S} / {s})", r=fl(over(S, s)))
        case _:
            return None


def _divided(sums: _Sums, policy: NVFP4Policy) -> Number:
    """The quotient, where the recipe divides."""
    x, s, S, g = (sums.numbers[name] for name in "xsSg")
    match policy.element_order:
        case choice.ElementOrder.DIVIDE:
            u = sums.add("u = fl(s * g) = fl({s} * {g})", u=fl(times(s, g)))
            return sums.add("fl(x / u) = fl({x} / {u})", y=fl(over(x, u)))
        case choice.ElementOrder.DIVIDE_ENCODE:
            u = sums.add("u = fl(s / S) = fl({s} / {S})", u=fl(over(s, S)))
            return sums.add("fl(x / u) = fl({x} / {u})", y=fl(over(x, u)))
        case _:
            unit = times(s, g)
            is_zero = unit.cls is NumberClass.ZERO and x.cls is NumberClass.ZERO
            found = Number.zero(x.sign ^ unit.sign) if is_zero else over(x, unit)
            return sums.add("x / (s * g) = {x} / ({s} * {g})", y=found)


@functools.lru_cache(maxsize=64)
def _element_policy(policy: NVFP4Policy) -> Policy:
    """The policy under which a cast to E2M1 rounds as the recipe does."""
    is_drawn = policy.rounding is choice.Rounding.STOCHASTIC
    return Policy(
        rounding="stochastic-a" if is_drawn else policy.rounding.value,  # type: ignore[arg-type]
        stochastic_bits=policy.stochastic_bits.value,  # type: ignore[arg-type]
    )


def element_passage(
    scaled: Number, code: int, policy: NVFP4Policy, random: int | None
) -> tuple[list[Step], Passage]:
    """Say how what was scaled is rounded to E2M1; `code` is the result."""
    fmt: ElementFormat = NVFP4.element
    passage = Passage(scaled, fmt, _element_policy(policy), random=random)
    value = decode_element(code)
    steps: list[Step] = []
    if scaled.cls is NumberClass.NAN:
        text = f"NaN becomes {number_text(value)} (nan_element={policy.nan_element})"
        steps = [_step("special", text)]
    elif scaled.cls is NumberClass.INF:
        steps = [_step("overflow", f"yes: infinity becomes {number_text(value)}")]
    elif scaled.cls is NumberClass.FINITE:
        for step in rounding_steps(passage, value):
            text = step.text.replace("stochastic-a", "stochastic")
            steps.append(replace(step, text=text, clauses=() if step.name == "align" else RECIPE))
    if scaled.sign and value.cls is NumberClass.ZERO and not is_nan(scaled):
        kept = "keeps its sign" if value.sign else "loses its sign"
        steps.append(_step("zero", f"negative zero {kept} (neg_zero={policy.neg_zero})"))
    return [*steps, Step("pack", packed(code, fmt), (fmt.clause,))], passage
