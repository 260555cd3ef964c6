"""How a number or a block becomes a code of an MX format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mxref.exact import block as exact_block
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy
from mxref.show._cast_steps import cast_steps
from mxref.show._element_steps import (
    Passage,
    element_error,
    element_flags,
    element_steps,
    packed,
)
from mxref.show._errors import ArgumentError
from mxref.show._explain_step import REAL, Step, number_text
from mxref.show._explain_views import BlockExplanation, Explanation
from mxref.show._input import Given
from mxref.show._scale_steps import amax_index, scale_steps
from mxref.show._text import decimal

__all__ = ["Draws", "explain_block", "explain_cast", "explain_element"]


@dataclass(frozen=True, slots=True)
class Draws:
    """The random bits that a conversion is given.

    Attributes
    ----------
    elements : sequence of int or None
        R of each element.
    scale : int or None
        R of the block.
    """

    elements: Sequence[int] | None = None
    scale: int | None = None


def explain_cast(given: Given, fmt: ScaleFormat, policy: Policy) -> Explanation:
    """Explain a cast of one number to a scale format."""
    code = exact_scale.encode(given.number, fmt, policy)
    value = exact_scale.decode(code, fmt)
    float32 = ieee.to_bits(value, "float32", policy)
    return Explanation(
        given=given,
        format=fmt,
        policy=policy,
        steps=cast_steps(given.number, fmt, policy, code),
        code=code,
        value=value,
        decoding=_decoding(value, float32, policy),
        float32=float32,
        scaled=given.number,
    )


def explain_element(
    given: Given, fmt: ElementFormat, policy: Policy, random: int | None
) -> Explanation:
    """Explain a cast of one number to an element format."""
    source = given.source or "float32"
    code = exact_element.encode(given.number, fmt, policy, source=source, random=random)
    return _element(Passage(given.number, fmt, policy, source=source, random=random), given, code)


def _decoding(value: Number, float32: int, policy: Policy, product: str = "") -> Step:
    """The step back, to a float32."""
    text = f"{product}{number_text(value)}, float32 0x{float32:08x}"
    if value.cls is NumberClass.FINITE:
        if value.magnitude > ieee.IEEE_FORMATS["float32"].max:
            text += f" (decode_overflow={policy.decode_overflow})"
        elif float32 & 0x7FFF_FFFF == 0:
            text += f" (decode_subnormal={policy.decode_subnormal})"
    return Step("decoded", text)


def _element(
    passage: Passage,
    given: Given,
    code: int,
    block: tuple[BlockFormat, exact_scale.Selection] | None = None,
) -> Explanation:
    fmt, policy, X = passage.fmt, passage.policy, passage.X
    value = exact_element.decode(code, fmt, policy)
    steps: tuple[Step, ...] = ()
    flags: tuple[str, ...] = ()
    product = ""
    clauses: tuple[str, ...] = ()
    is_real = passage.number.cls is NumberClass.FINITE
    scaled = Number.finite(passage.number.value / X) if is_real else passage.number
    if block is not None:
        block_format, found = block
        value = exact_block.dequantize(found.code, [code], block_format, policy)[0]
        product, clauses = _product(code, value, found.code, block_format)
        if found.code == block_format.scale.nan_code:
            text = "the scale is NaN, so V / X is NaN and the code does not matter"
            because = ("MX-1.0/5.1/nan-scale", "MX-1.0/4/scope")
            steps = (Step("scale", text, because), Step("pack", packed(code, fmt)))
            scaled, flags = Number.nan(0), ("nan",)
        elif found.flushes:
            text = "the block is flushed: every element is +0, whatever it was"
            because = ("OP-SCALE-RANGE", "OP-SCALE-NONFINITE")
            steps = (Step("scale", text, because), Step("pack", packed(code, fmt), (fmt.clause,)))
            flags = ("to zero",) if is_real else ()
    if not steps:
        steps, flags = element_steps(passage, code), element_flags(passage, code)
    float32 = ieee.to_bits(value, "float32", policy)
    back = _decoding(value, float32, policy, product)
    return Explanation(
        given=given,
        format=fmt,
        policy=policy,
        steps=steps,
        code=code,
        value=value,
        decoding=Step(back.name, back.text, clauses),
        float32=float32,
        scaled=scaled,
        error=element_error(passage.number, value, fmt, X),
        flags=flags,
        block=block and block[0],
        scale_code=block and block[1].code,
    )


def _product(
    code: int, value: Number, scale_code: int, fmt: BlockFormat
) -> tuple[str, tuple[str, ...]]:
    """The product of scale and element in words, and its clause."""
    if scale_code == fmt.scale.nan_code:
        return "", ("MX-1.0/5.1/nan-scale",)
    if value.cls not in REAL:
        return "", ("MX-1.0/5.1/special-elements",)
    clauses = ("MX-1.0/5.1/value",)
    if value.cls is not NumberClass.FINITE:
        return "", clauses
    P = exact_element.decode(code, fmt.element).value
    return f"X * P = 2^{scale_code - fmt.scale.bias} * {decimal(P)} = ", clauses


def explain_block(
    given: Sequence[Given],
    fmt: BlockFormat,
    policy: Policy,
    draws: Draws,
    *,
    alone: bool = False,
    pad: bool = False,
) -> BlockExplanation:
    """Explain a block; one number that is `alone`, and one to `pad`, is completed with zeros."""
    numbers = [one.number for one in given]
    missing = fmt.block_size - len(numbers)
    random = None if draws.elements is None else list(draws.elements)
    if alone or (pad and missing > 0):
        numbers += [Number.zero(0)] * missing
        random = None if random is None else random + [0] * missing
    elif not numbers:
        raise ValueError(f"a block of {fmt.name} has {fmt.block_size} elements, got 0")
    elif missing and policy.block_tail == "forbid":
        what = f"a block of {fmt.name} has {fmt.block_size} elements, got {len(numbers)}; "
        short = f"explain a block of this length: '{fmt.base}/{len(numbers)}'"
        raise ArgumentError(
            f"{what}pass pad=True to complete it with zeros, or {short}",
            f"{what}add --pad to complete it with zeros, or {short}",
        )
    source = next((one.source for one in given if one.source is not None), "float32")
    found = exact_scale.selection(numbers, fmt, policy, source=source, random=draws.scale)
    _, codes = exact_block.quantize(
        numbers, fmt, policy, source=source, random=random, scale_random=draws.scale
    )
    scale = exact_scale.decode(found.code, fmt.scale)
    X = scale.value if scale.cls is NumberClass.FINITE else Fraction(1)
    passages = [
        Passage(
            n,
            fmt.element,
            policy,
            X,
            source,
            None if random is None else random[i],
            in_block=True,
        )
        for i, n in enumerate(numbers)
    ]
    steps = scale_steps(
        numbers[: len(given)], fmt, policy, found.code, source=source, random=draws.scale
    )
    # Not where a NaN or an infinity decides.
    is_decided = any(step.name == "amax" and "|V[" in step.text for step in steps)
    return BlockExplanation(
        format=fmt,
        policy=policy,
        steps=steps,
        scale_code=found.code,
        elements=tuple(
            _element(passage, one, code, (fmt, found))
            for passage, one, code in zip(passages, given, codes, strict=False)
        ),
        amax=amax_index(numbers) if is_decided else None,
        alone=alone,
        size=fmt.block_size,
        element=fmt.element,
        code_digits=-(-fmt.element.bits // 4),
    )
