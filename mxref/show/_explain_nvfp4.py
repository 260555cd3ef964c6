"""How a number, a block or a place of a tensor becomes NVFP4, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mxref.exact import ieee, nvfp4
from mxref.exact.number import Number, NumberClass
from mxref.exact.nvfp4_arithmetic import fl, is_nan, times
from mxref.exact.nvfp4_scales import GlobalScales
from mxref.exact.nvfp4_selection import Block
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import get_policy
from mxref.show import _explain_nvfp4_steps as words
from mxref.show._element_steps import element_error, element_flags
from mxref.show._errors import ArgumentError
from mxref.show._explain_draws import refuse_idle
from mxref.show._explain_position import PositionExplanation
from mxref.show._explain_step import Step, class_text, counted, number_text
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

__all__ = ["explain_nvfp4", "explain_scale"]

_SIZE = NVFP4.block_size
_TILE = _SIZE * _SIZE


@dataclass(frozen=True, slots=True)
class _ScaleName:
    """UE4M3 by its name: E4M3 of which the codes without a sign are used."""

    name: str = "ue4m3"


@dataclass(frozen=True, slots=True)
class _Source:
    """What the elements of one block come from.

    Attributes
    ----------
    given : sequence of Given
        Those that are explained.
    before, after : sequence of Number
        The other lines of a block of 16 x 16, as float32.
    random : list of int or None
        R of the elements of all lines.
    """

    given: Sequence[Given]
    before: Sequence[Number] = ()
    after: Sequence[Number] = ()
    random: list[int] | None = None


def explain_scale(given: Given, policy: Any) -> Explanation:
    """Explain a cast of one number to UE4M3."""
    chosen, number = get_policy(policy), given.number
    if number.sign and number.cls in (NumberClass.FINITE, NumberClass.INF):
        raise ValueError(
            f"{given.brief} is negative, and UE4M3 has no sign: explain its magnitude, or 'e4m3' "
            "if the sign is meant"
        )
    code = nvfp4.encode_scale(number, chosen)
    value = nvfp4.decode_scale(code, chosen)
    bits = ieee.to_bits(value, "float32")
    steps = [Step("classify", class_text(number))]
    steps += words.scale_rounding_steps(number, code, chosen)
    steps.append(Step("pack", words.scale_text(code, chosen), (NVFP4.scale.clause,)))
    return Explanation(
        given=given,
        format=_ScaleName(),
        policy=chosen,
        steps=tuple(steps),
        code=code,
        value=value,
        decoding=Step("decoded", f"{number_text(value)}, float32 0x{bits:08x}"),
        float32=bits,
        scaled=number,
        error=element_error(number, value, NVFP4.scale, Fraction(1)),
    )


def explain_nvfp4(
    x: Any,
    policy: Any,
    wanted: Wanted,
    *,
    global_amax: Any = None,
    global_scale: Any = None,
) -> BlockExplanation | PositionExplanation:
    """Explain a number, a block of 16, or a place of a tensor."""
    chosen = get_policy(policy)
    refuse_idle(wanted.random, chosen)
    if wanted.at is not None:
        from mxref.show._explain_nvfp4_tensor import source_of

        found = source_of(x, chosen, wanted)
        source = _Source(
            found.given,
            [fl(number) for line in found.before for number in line],
            [fl(number) for line in found.after for number in line],
            found.random,
        )
        scales, step = _global(found.amax, "of the tensor", chosen, global_amax, global_scale)
        block = _explain(source, scales, step, chosen, alone=False)
        return PositionExplanation(found.place, block, block.elements[found.place.within])
    alone = not is_block(x)
    given = [read_number(x)] if alone else read_block(x)
    if not alone:
        refuse_length(len(given), _SIZE, "nvfp4", pad=wanted.pad)
    source = _Source(given, random=read_draws(wanted.random, len(given)))
    whence = f"of this {'number' if alone else 'block'}, taken for the whole tensor"
    numbers = [_as_float32(one, chosen) for one in given]
    amax = nvfp4.block_amax(numbers, chosen)
    scales, step = _global(amax, whence, chosen, global_amax, global_scale)
    return _explain(source, scales, step, chosen, alone=alone)


def _as_float32(given: Given, policy: NVFP4Policy) -> Number:
    if given.source == "float64" and policy.float64 is choice.Float64.REFUSE:
        raise ValueError(
            f"{given.brief} is a float64, which the policy refuses (float64=refuse); give a "
            "float32, such as text or numpy.float32"
        )
    return fl(given.number)


def _global(
    amax: Number, whence: str, policy: NVFP4Policy, given_amax: Any, given_scale: Any
) -> tuple[GlobalScales, list[Step]]:
    """S and g, from the amax of the tensor or from what was given in its place."""
    if given_scale is not None:
        if given_amax is not None:
            raise ArgumentError(
                "give either global_amax or global_scale, which follows from it, not both",
                "give either --global-amax or --global-scale, which follows from it, not both",
            )
        g = fl(read_number(given_scale).number)
        if g.sign or g.cls is not NumberClass.FINITE:
            what = f"is {g}; expected a positive, finite float32"
            raise ArgumentError(f"global_scale {what}", f"--global-scale {what}")
        if policy.levels is choice.Levels.ONE and g != Number.finite(1):
            what = (
                "is given, but the policy has levels=single-level, which has none; leave it out or "
                "choose levels=two-level"
            )
            raise ArgumentError(f"global_scale {what}", f"--global-scale {what}")
        scales = nvfp4.from_global_scale(g, policy)
        return scales, words.global_steps(scales, policy, is_given=True)
    if given_amax is not None:
        amax, whence = fl(read_number(given_amax).number), "of the tensor, given"
        if amax.sign and amax.cls in (NumberClass.FINITE, NumberClass.INF):
            what = f"is {amax}; expected the largest magnitude, 0 or more"
            raise ArgumentError(f"global_amax {what}", f"--global-amax {what}")
        amax = amax if is_nan(amax) else Number(0, amax.cls, amax.magnitude)
    scales = nvfp4.global_scales(amax, policy)
    step = Step("tensor", f"amax = {number_text(amax)}, {whence}", words.RECIPE)
    return scales, [step, *words.global_steps(scales, policy, is_given=False)]


def _explain(
    source: _Source,
    scales: GlobalScales,
    of_tensor: list[Step],
    policy: NVFP4Policy,
    *,
    alone: bool,
) -> BlockExplanation:
    own = [_as_float32(one, policy) for one in source.given]
    line = [*own, *[Number.zero(0)] * (_SIZE - len(own))]
    numbers = [*source.before, *line, *source.after]
    if policy.geometry is choice.Geometry.TWO_D:
        numbers += [Number.zero(0)] * (_TILE - len(numbers))
    random = source.random
    if random is not None:
        random = [*random, *[0] * (len(numbers) - len(random))]
    b = nvfp4.block_amax(numbers, policy)
    found = nvfp4.quantize_block(numbers, scales, policy, random)
    where = amax_index(own)
    if b.cls is not NumberClass.FINITE or where is None or own[where].magnitude != b.magnitude:
        where = None  # a NaN or an infinity decides, or another line of a block of 16 x 16
    steps = [Step("classify", counted(own)), *of_tensor, _amax_step(own, b, where, policy)]
    steps += _scale_steps(numbers, b, scales, policy, random, found)
    start = len(source.before)
    elements = tuple(
        _element(
            one,
            x,
            found.codes[start + i],
            found.scale,
            scales,
            policy,
            None if random is None else random[start + i],
        )
        for i, (one, x) in enumerate(zip(source.given, own, strict=True))
    )
    return BlockExplanation(
        format=NVFP4,
        policy=policy,
        steps=tuple(steps),
        scale_code=found.scale,
        elements=elements,
        amax=where,
        alone=alone,
        size=_SIZE,
        element=NVFP4.element,
        code_digits=1,
        global_scale=scales.decode,
        scaled_name="scaled",
    )


def _amax_step(own: Sequence[Number], b: Number, where: int | None, policy: NVFP4Policy) -> Step:
    place = "" if where is None else f" = |x[{where}]|"
    text = f"b{place} = {number_text(b)}"
    if policy.geometry is choice.Geometry.TWO_D:
        text += ", the largest of 16 x 16 (geometry=2d)"
    if any(map(is_nan, own)):
        text += f" (amax_nan={policy.amax_nan})"
    return Step("largest", text, words.RECIPE)


def _scale_steps(
    numbers: Sequence[Number],
    b: Number,
    scales: GlobalScales,
    policy: NVFP4Policy,
    random: list[int] | None,
    found: Block,
) -> list[Step]:
    """The steps to the scale code; of four over six those of both candidates."""
    is_four_over_six = policy.target is choice.Target.FOUR_OVER_SIX
    steps: list[Step] = []
    losses = []
    for is_four in (False, True) if is_four_over_six else (False,):
        own, number = words.wanted_steps(b, scales, policy, is_four=is_four)
        code = nvfp4.block_scale(b, scales, policy, is_four=is_four)
        rounded = nvfp4.encode_scale(number, policy)
        steps += own + words.scale_rounding_steps(number, rounded, policy)
        if rounded != code:
            text = "a code of zero becomes 0.125 (scale_zero=eighth)"
            steps.append(Step("zero", text, words.RECIPE))
        name = "scale" if not is_four_over_six else ("scale 4" if is_four else "scale 6")
        steps.append(Step(name, words.scale_text(code, policy), (NVFP4.scale.clause,)))
        if is_four_over_six:
            codes = nvfp4.encode_block(numbers, code, scales, policy, random)
            lost = nvfp4.selection_error(numbers, Block(code, codes), scales, policy)
            losses.append((code, number_text(lost)))
    if is_four_over_six:
        (six, lost_six), (four, lost_four) = losses
        # Where both give the same code, the first candidate stands.
        taken = "4" if found.scale == four != six else "6"
        text = (
            f"{policy.selection} in {policy.selection_order} arithmetic: 6 loses {lost_six}, "
            f"4 loses {lost_four}; {taken} is taken, 0x{found.scale:02x}"
        )
        steps.append(Step("select", text, words.RECIPE))
    return steps


def _element(
    given: Given,
    x: Number,
    code: int,
    scale: int,
    scales: GlobalScales,
    policy: NVFP4Policy,
    random: int | None,
) -> Explanation:
    steps = [Step("classify", class_text(given.number))]
    if x != given.number and not is_nan(x):
        steps.append(Step("read", f"as a float32: {number_text(x)}", words.RECIPE))
    own, scaled = words.scaled_steps(x, scale, scales, policy)
    rounded, passage = words.element_passage(scaled, code, policy, random)
    value = nvfp4.value(code, scale, scales.decode, policy)
    flags = element_flags(passage, code)
    if scaled.cls is NumberClass.INF and x.cls is NumberClass.FINITE:
        flags = ("overflow",)
    if scaled.cls is NumberClass.ZERO and x.cls is NumberClass.FINITE:
        flags = ("to zero",)
    unit = times(nvfp4.decode_scale(scale, policy), scales.decode)
    X = abs(unit.value) if unit.cls is NumberClass.FINITE else Fraction(0)
    bits = ieee.to_bits(value, "float32")
    return Explanation(
        given=given,
        format=NVFP4.element,
        policy=policy,
        steps=(*steps, *own, *rounded),
        code=code,
        value=value,
        decoding=_decoding(code, scale, scales, policy, value, bits),
        float32=bits,
        scaled=scaled,
        error=element_error(given.number, value, NVFP4.element, X),
        flags=flags,
        block=NVFP4,
        scale_code=scale,
    )


def _decoding(
    code: int, scale: int, scales: GlobalScales, policy: NVFP4Policy, value: Number, bits: int
) -> Step:
    P, s = nvfp4.decode_element(code), nvfp4.decode_scale(scale, policy)
    g = number_text(scales.decode)
    if policy.decode_order is choice.DecodeOrder.EXACT:
        how = f"fl(P * s * g) = fl({number_text(P)} * {number_text(s)} * {g})"
    else:
        unit = number_text(fl(times(s, scales.decode)))
        how = f"fl(s * g) = {unit}, fl(that * P) = fl({unit} * {number_text(P)})"
    text = f"{how} = {number_text(value)}, float32 0x{bits:08x}"
    return Step("decoded", text, words.RECIPE)
