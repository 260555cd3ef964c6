"""How a number, a block or a place of a tensor becomes a BDR format."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from mxref.exact import bdr, ieee
from mxref.exact import element as exact_element
from mxref.exact.bdr_elements import decode, read, takes_nan_scale
from mxref.exact.bdr_scaled import as_float32
from mxref.exact.number import Number, NumberClass
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import get_bdr_policy
from mxref.show import _explain_bdr_steps as words
from mxref.show._explain_bdr_whole import Whole
from mxref.show._explain_draws import refuse_idle
from mxref.show._explain_position import PositionExplanation
from mxref.show._explain_step import REAL, Error, Step, class_text, counted, kinds_text, number_text
from mxref.show._explain_views import BlockExplanation, Explanation
from mxref.show._input import (
    Given,
    Wanted,
    is_block,
    read_block,
    read_draws,
    read_number,
    refuse_length,
)
from mxref.show._scale_steps import amax_index
from mxref.show._text import decimal, powers

__all__ = ["explain_bdr"]


class _ElementName:
    """What an element is, by name."""

    def __init__(self, fmt: BDRFormat) -> None:
        self.name = (
            fmt.element.value if fmt.float_element else f"{fmt.element.value}, {fmt.code_bits} bits"
        )


def explain_bdr(
    x: Any, name: Any, policy: Any, wanted: Wanted
) -> BlockExplanation | PositionExplanation:
    """Explain a number, a block of k1, or a place of a tensor."""
    fmt, chosen = bdr_format(name), get_bdr_policy(policy)
    refuse_idle(wanted.random, chosen)
    if wanted.at is not None:
        from mxref.show._explain_bdr_tensor import source_of

        found = source_of(x, fmt, wanted)
        block = _explain(found.given, fmt, chosen, found.random, alone=False, whole=found.whole)
        element = block.elements[found.own]
        index = None if found.whole is None or block.amax is None else found.whole.amax
        return PositionExplanation(found.place, block, element, index)
    alone = not is_block(x)
    given = [read_number(x)] if alone else read_block(x)
    if fmt.k1 is not None and not alone:
        refuse_length(len(given), fmt.k1, fmt.name, pad=wanted.pad)
    draws = read_draws(wanted.random, len(given))
    return _explain(given, fmt, chosen, draws, alone=alone)


def _explain(
    given: Sequence[Given],
    fmt: BDRFormat,
    policy: BDRPolicy,
    draws: Sequence[int] | None,
    *,
    alone: bool,
    whole: Whole | None = None,
) -> BlockExplanation:
    source = next((one.source for one in given if one.source is not None), "float32")
    numbers = [one.number for one in given]
    size = fmt.k1 or len(numbers)
    scale, subscales, codes = bdr.quantize(numbers, fmt, policy, source=source, random=draws)
    values = bdr.dequantize(scale, subscales, codes, fmt)
    if fmt.scale is ScaleKind.FLOAT32 and source == "float64":
        numbers, source = [as_float32(V) for V in numbers], "float32"
    is_nan = takes_nan_scale(numbers, policy)
    taken = [read(V, policy, source) for V in numbers]
    missing = size - len(taken)
    drawn: Sequence[int | None] = [None] * len(taken) if draws is None else draws
    full = [*drawn, *[0] * missing]
    padded = [*taken, *[Number.zero(0)] * missing]
    block = words.Block(padded, fmt, policy, scale, subscales, full)
    formula = f"of an element: {fmt.formula.replace('**', '^')}"
    steps = [
        Step("value", formula, words.POINT),
        Step("classify", counted(numbers) if whole is None else kinds_text(whole.kinds)),
    ]
    steps += _special_steps(numbers, policy, "block" if whole is None else "tensor")
    if not is_nan:
        steps += _scale_steps(block, taken, whole)
    lost = "nan" if is_nan else ("flushed" if _is_flushed(block) else "")
    steps.append(Step("scale", _scale_text(scale, fmt), words.POINT))
    return BlockExplanation(
        format=fmt,
        policy=policy,
        steps=tuple(steps),
        scale_code=scale,
        elements=tuple(
            _element(one, numbers[i], block, i, code, value, lost)
            for i, (one, code, value) in enumerate(zip(given, codes, values, strict=True))
        ),
        amax=None if is_nan else amax_index(taken),
        alone=alone,
        size=size,
        element=_ElementName(fmt),
        code_digits=-(-fmt.code_bits // 4),
        subscales=subscales,
        sub_size=fmt.k2 if fmt.has_subscales else 0,
        scaled_name="scaled",
    )


def _special_steps(numbers: Sequence[Number], policy: BDRPolicy, where: str) -> list[Step]:
    classes = {V.cls for V in numbers}
    found = []
    for cls, what, name in (
        (NumberClass.NAN, "NaN", "nan"),
        (NumberClass.INF, "infinity", "inf"),
    ):
        if cls in classes:
            text = f"the {where} holds {what}: {name}={getattr(policy, name)}"
            found.append(Step("special", text, words.POINT))
    return found


def _scale_steps(block: words.Block, taken: Sequence[Number], whole: Whole | None) -> list[Step]:
    place = amax_index(taken)
    steps = []
    if place is not None:
        name = f"V[{place}]" if whole is None else whole.amax_name
        text = f"amax = |{name}| = {decimal(block.amax)}"
        steps.append(Step("amax", text, words.POINT))
    if block.fmt.scale is ScaleKind.POW2:
        return steps + words.exponent_steps(block)
    return steps + words.float_scale_steps(block)


def _scale_text(scale: int, fmt: BDRFormat) -> str:
    number = bdr.decode_scale(scale, fmt)
    if fmt.scale is ScaleKind.FLOAT32:
        return f"float32 0x{scale:08x} = {number_text(number)}"
    if number.cls is NumberClass.NAN:
        return f"0x{scale:02x} = NaN"
    return f"0x{scale:02x} = 2^{scale - fmt.bias} = {number_text(number)}"


def _element(
    given: Given,
    number: Number,
    block: words.Block,
    i: int,
    code: int,
    value: Number,
    lost: str,
) -> Explanation:
    fmt, V = block.fmt, block.numbers[i]
    steps = [Step("classify", class_text(given.number))]
    flags: tuple[str, ...] = ()
    if number != given.number and number.cls is not NumberClass.NAN:
        steps.append(Step("read", f"as a float32: {number_text(number)}", words.POINT))
    scaled = V
    if lost == "nan":
        steps.append(Step("scale", "the scale is NaN, and so is every element", words.POINT))
        scaled, flags = Number.nan(0), ("nan",)
    elif lost:
        steps.append(Step("scale", "the block is given up: every element is +0", words.POINT))
        flags = ("to zero",) if V.cls is NumberClass.FINITE else ()
    else:
        if V.cls is not number.cls:
            text = f"{number_text(number)} counts as {number_text(V)}"
            steps.append(Step("read", text, words.POINT))
        own, scaled = words.scaled_step(block, i)
        if V.cls is not NumberClass.ZERO:
            steps += own
        R = block.random[i]
        rounded, flags = words.element_steps(scaled, code, block, R)
        steps += rounded
        if scaled.cls is NumberClass.ZERO and V.cls is NumberClass.FINITE:
            flags = ("to zero",)
    if given.number.cls not in REAL:
        flags = (given.number.cls.value,)
    bits = ieee.to_bits(value, "float32")
    unit = _unit(block, i)
    return Explanation(
        given=given,
        format=_ElementName(fmt),
        policy=block.policy,
        steps=tuple(steps),
        code=code,
        value=value,
        decoding=_decoding(code, value, bits, block, i),
        float32=bits,
        scaled=scaled,
        error=_error(given.number, value, unit, fmt),
        flags=flags,
        block=fmt,
        scale_code=block.scale,
    )


def _is_flushed(block: words.Block) -> bool:
    """Whether the policy gave the block up, or made its scale NaN, though it has numbers."""
    fmt, policy, amax = block.fmt, block.policy, block.amax
    if not amax:
        return False
    if fmt.scale is ScaleKind.FLOAT32:
        return block.scale == 0
    if block.scale == fmt.nan_scale:
        return True
    names = {step.name: step.text for step in words.exponent_steps(block)}
    return policy.scale_below == "flush" and names.get("range", "").startswith("below")


def _unit(block: words.Block, i: int) -> Fraction:
    """The value of M = 1, or of 1.0 in OFP8, under the scales that are stored."""
    fmt = block.fmt
    X = bdr.decode_scale(block.scale, fmt)
    if X.cls is not NumberClass.FINITE:
        return Fraction(0)
    unit = X.value * (fmt.step if fmt.scale is ScaleKind.POW2 else 1)
    if block.subscales:
        shared = block.subscales[i // fmt.k2]
        unit *= Fraction(1, 1 << shared) if fmt.subscale == "pow2" else shared
    return unit


def _error(number: Number, value: Number, unit: Fraction, fmt: BDRFormat) -> Error | None:
    if number.cls not in REAL or value.cls not in REAL:
        return None
    absolute = value.value - number.value
    relative = absolute / number.magnitude if number.magnitude else None
    ulp = unit
    if fmt.float_element is not None and unit:
        reach = min(number.magnitude / unit, fmt.float_element.max)
        ulp = exact_element.quantum(reach, fmt.float_element) * unit
    return Error(absolute, ulp, relative)


def _decoding(code: int, value: Number, bits: int, block: words.Block, i: int) -> Step:
    fmt = block.fmt
    text = f"{number_text(value)}, float32 0x{bits:08x}"
    unit = _unit(block, i)
    if value.cls is NumberClass.FINITE and unit:
        M = number_text(decode(code, fmt))
        pow2 = fmt.scale is ScaleKind.POW2
        text = f"{M} * {powers(unit).removeprefix('+') if pow2 else decimal(unit)} = {text}"
    return Step("decoded", text, words.POINT)
