"""How a number becomes a code: every step, with the clause or the open point behind it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mxref.exact import block as exact_block
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy, get_policy
from mxref.show._cast_steps import cast_steps
from mxref.show._element_steps import (
    Error,
    Passage,
    Step,
    element_error,
    element_flags,
    element_steps,
    number_text,
    packed,
)
from mxref.show._input import Given, brief, is_block, read_block, read_draws, read_number
from mxref.show._scale_steps import amax_index, scale_steps
from mxref.show._text import WIDTH, View, decimal, field
from mxref.show.codes import any_format

__all__ = ["BlockExplanation", "Explanation", "explain"]

_REAL = {NumberClass.ZERO, NumberClass.FINITE}


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(View):
    """How one number becomes one code.

    Attributes
    ----------
    given : Given
        The number, with the bits that it came in.
    format : ElementFormat or ScaleFormat
        The format of the code.
    policy : Policy
        What answers the open points.
    steps : tuple of Step
        The steps from number to code.
    code : int
        The result.
    value : Number
        What the result stands for, times the scale of its block.
    error : Error or None
        How far that is from the number; None where either is no real number.
    flags : tuple of str
        ``tie``, ``overflow``, ``to zero``, ``subnormal``, ``nan``, ``inf``: a reason to look.
    block : BlockFormat or None
        The format of the block; None for a cast without one.
    scale_code : int or None
        The scale code of the block.
    """

    given: Given
    format: ElementFormat | ScaleFormat
    policy: Policy
    steps: tuple[Step, ...]
    code: int
    value: Number
    error: Error | None
    flags: tuple[str, ...] = ()
    block: BlockFormat | None = None
    scale_code: int | None = None

    def _lines(self) -> list[str]:
        return [*_heading(self.given.brief, self.format.name, self.policy), *self.body()]

    def body(self) -> list[str]:
        """Return the lines without the heading."""
        lines = field("given", str(self.given))
        for step in self.steps:
            lines += field(step.name, step.text, step.clauses)
        lines += field("decoded", self._decoded(), self._decode_clauses())
        return lines + (field("error", str(self.error)) if self.error is not None else [])

    @property
    def float32(self) -> int:
        """The bits of the value as a float32, under ``decode_overflow`` and ``decode_nan``."""
        return ieee.to_bits(self.value, "float32", self.policy)

    def _decoded(self) -> str:
        text = f"{number_text(self.value)}, float32 0x{self.float32:08x}"
        if self.value.cls is not NumberClass.FINITE:
            return text
        if self.block is not None and self.scale_code is not None:
            P = exact_element.decode(self.code, self.block.element).value
            text = f"X * P = 2^{self.scale_code - self.block.scale.bias} * {decimal(P)} = {text}"
        if self.value.magnitude > ieee.IEEE_FORMATS["float32"].max:
            return f"{text} (decode_overflow={self.policy.decode_overflow})"
        is_flushed = self.float32 & 0x7FFF_FFFF == 0
        return f"{text} (decode_subnormal={self.policy.decode_subnormal})" if is_flushed else text

    def _decode_clauses(self) -> tuple[str, ...]:
        if self.block is None:
            return ()
        if self.scale_code == self.block.scale.nan_code:
            return ("MX-1.0/5.1/nan-scale",)
        return ("MX-1.0/5.1/value" if self.value.cls in _REAL else "MX-1.0/5.1/special-elements",)

    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""
        return {
            "format": self.format.name,
            "policy": self.policy.name,
            "given": {
                "value": str(self.given.number),
                "source": self.given.source,
                "bits": self.given.pattern.rpartition(" ")[2] or None,
                "text": self.given.text,
            },
            "block": self.block and self.block.name,
            "scale_code": self.scale_code,
            "steps": [step.to_dict() for step in self.steps],
            "code": self.code,
            "value": str(self.value),
            "float32": f"0x{self.float32:08x}",
            "error": self.error and self.error.to_dict(),
            "flags": list(self.flags),
        }


@dataclass(frozen=True, slots=True, repr=False)
class BlockExplanation(View):
    """How a block of numbers becomes a scale code and element codes.

    Attributes
    ----------
    format : BlockFormat
        The block format.
    policy : Policy
        What answers the open points.
    steps : tuple of Step
        The steps from the block to its scale code.
    scale_code : int
        The scale code.
    elements : tuple of Explanation
        The way of each element.
    amax : int or None
        Which element decided the scale; None if none did.
    alone : bool
        Whether one number was given for a whole block: the others are taken to be zero.
    """

    format: BlockFormat
    policy: Policy
    steps: tuple[Step, ...]
    scale_code: int
    elements: tuple[Explanation, ...]
    amax: int | None
    alone: bool

    @property
    def codes(self) -> tuple[int, ...]:
        """The element codes."""
        return tuple(element.code for element in self.elements)

    def _lines(self) -> list[str]:
        what = self.elements[0].given.brief if self.alone else f"{len(self.elements)} numbers"
        lines = _heading(what, self.format.name, self.policy)
        others = self.format.block_size - 1
        if self.alone and others:
            lines += field("block", f"the other {others} elements are taken to be zero")
        for step in self.steps:
            lines += field(step.name, step.text, step.clauses)
        if self.alone:
            return [
                *lines,
                "",
                *_heading("element", self.format.element.name),
                *self.elements[0].body(),
            ]
        return [*lines, "", *self._table()]

    def _table(self) -> list[str]:
        width = -(-self.format.element.bits // 4)
        rows = [("i", "given", "V / X", "code", "decoded", "error/ulp", "")]
        X = exact_scale.decode(self.scale_code, self.format.scale)
        for i, one in enumerate(self.elements):
            number = one.given.number
            is_real = X.cls is NumberClass.FINITE and number.cls is NumberClass.FINITE
            scaled = Number.finite(number.value / X.value) if is_real else number
            flags = ("amax", *one.flags) if i == self.amax else one.flags
            ulps = "" if one.error is None else decimal(one.error.in_ulp, 6, 3)
            code = f"0x{one.code:0{width}x}"
            cells = (brief(number), brief(scaled), code, brief(one.value), ulps, ", ".join(flags))
            rows.append((str(i), *cells))
        widths = [max(len(row[c]) for row in rows) for c in range(6)]
        gap = "  " if sum(widths) + 12 + max(len(row[6]) for row in rows) <= WIDTH else " "
        return [
            gap.join([*(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=False)), row[6]])
            for row in rows
        ]

    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""
        return {
            "format": self.format.name,
            "policy": self.policy.name,
            "alone": self.alone,
            "steps": [step.to_dict() for step in self.steps],
            "scale_code": self.scale_code,
            "amax": self.amax,
            "elements": [element.to_dict() for element in self.elements],
        }


def _heading(what: str, name: str, policy: Policy | None = None) -> list[str]:
    if policy is None:
        return [f"{what}, {name}"]
    # A policy without a name is written as its changes, a long word that must be able to break.
    return textwrap.wrap(f"{what} to {name}, policy {policy.name.replace(',', ', ')}", WIDTH)


def explain(
    x: object,
    format: str | ElementFormat | ScaleFormat | BlockFormat,  # noqa: A002 - the public name
    policy: Policy | str = "ocp",
    *,
    random: int | Sequence[int] | None = None,
    scale_random: int | None = None,
) -> Explanation | BlockExplanation:
    """Explain how a number, or a block of numbers, is converted: each step with its clause.

    Parameters
    ----------
    x : number, str, or a sequence of them
        A float (float64), a numpy or ml_dtypes scalar, an int or a Fraction; text such as
        ``"1.3"`` is the nearest float32, ``"0x3fa66666"`` its bits, ``"bfloat16:0x3fa6"`` those of
        another format. For a block format also a flat sequence of as many numbers as the block
        has; one number is explained as a block whose other elements are zero.
    format : str or a format
        An element (``"e4m3"``), scale (``"e8m0"``) or block format (``"mxfp4"``, ``"mxfp4/4"``).
    policy : Policy or str
        The policy, default ``ocp``.
    random : int or sequence of int, optional
        R, the random number of each element, for a stochastic rounding: of as many bits as
        `mxref.exact.random_bits.count` says.
    scale_random : int, optional
        R of the block, for ``scale_rule=stochastic``.

    Returns
    -------
    Explanation or BlockExplanation
        ``str()`` gives the text, ``to_dict()`` the same facts as data; the elements of a block
        are explained one by one in ``.elements``.

    Raises
    ------
    ValueError
        If the format or the policy is unknown, `x` cannot be read, a block has another length, or
        the policy refuses a NaN or an infinity, or needs random bits that are not given.
    TypeError
        If `x` is no number.

    Examples
    --------
    >>> explain("1.3", "e2m1")
    1.3 to e2m1, policy ocp
      given      float32 0x3fa66666 = 5452595/4194304 = +5452595*2^-22 = ~1.29999995
      classify   finite, sign +
      scale      ~1.29999995, not scaled
      align      +0b1.0 | 1 | 0 | 1 *2^0   kept | guard | round | sticky
      round      above half: nearest-even goes up to +0b1.1*2^0 = 1.5
                 [MX-1.0/6.3/rounding]  [OP-ELEM-ROUNDING]
      overflow   no: magnitude 1.5 is at most 6
      pack       0 | 01 | 1 = 0x3  [MX-1.0/5.3/fp4]
      decoded    1.5, float32 0x3fc00000
      error      ~+0.2 = ~+0.4 ulp of 0.5, ~+15.4 %
    """
    fmt, chosen = any_format(format), get_policy(policy)
    if isinstance(fmt, BlockFormat):
        return _explain_block(x, fmt, chosen, random, scale_random)
    if is_block(x):
        raise ValueError(
            f"{fmt.name!r} takes one number; a block of numbers needs a block format such as "
            "'mxfp4' or 'mxfp8_e4m3/4'"
        )
    given = read_number(x)
    if isinstance(fmt, ScaleFormat):
        return _explain_cast(given, fmt, chosen)
    source = given.source or "float32"
    draws = read_draws(random, 1)
    draw = None if draws is None else draws[0]
    code = exact_element.encode(given.number, fmt, chosen, source=source, random=draw)
    passage = Passage(given.number, fmt, chosen, source=source, random=draw)
    return _explain_element(passage, given, code)


def _explain_cast(given: Given, fmt: ScaleFormat, policy: Policy) -> Explanation:
    code = exact_scale.encode(given.number, fmt, policy)
    return Explanation(
        given=given,
        format=fmt,
        policy=policy,
        steps=cast_steps(given.number, fmt, policy, code),
        code=code,
        value=exact_scale.decode(code, fmt),
        error=None,
    )


def _explain_element(
    passage: Passage,
    given: Given,
    code: int,
    block: tuple[BlockFormat, exact_scale.Selection] | None = None,
) -> Explanation:
    fmt, policy, X = passage.fmt, passage.policy, passage.X
    value = exact_element.decode(code, fmt, policy)
    steps: tuple[Step, ...] = ()
    flags: tuple[str, ...] = ()
    if block is not None:
        scale_code = block[1].code
        value = exact_block.dequantize(scale_code, [code], block[0], policy)[0]
        if scale_code == block[0].scale.nan_code:
            text = "the scale is NaN, so V / X is NaN and the code does not matter"
            clauses = ("MX-1.0/5.1/nan-scale", "MX-1.0/4/scope")
            steps = (Step("scale", text, clauses), Step("pack", packed(code, fmt)))
        elif block[1].flushes:
            text = "the block is flushed: every element is +0, whatever it was"
            clauses = ("OP-SCALE-RANGE", "OP-SCALE-NONFINITE")
            steps = (Step("scale", text, clauses), Step("pack", packed(code, fmt), (fmt.clause,)))
            flags = ("to zero",) if passage.number.cls is NumberClass.FINITE else ()
    if not steps:
        steps, flags = element_steps(passage, code), element_flags(passage, code)
    return Explanation(
        given=given,
        format=fmt,
        policy=policy,
        steps=steps,
        code=code,
        value=value,
        error=element_error(passage.number, value, fmt, X),
        flags=flags,
        block=block and block[0],
        scale_code=block and block[1].code,
    )


def _explain_block(
    x: object,
    fmt: BlockFormat,
    policy: Policy,
    random: int | Sequence[int] | None,
    scale_random: int | None,
) -> BlockExplanation:
    alone = not is_block(x)
    given = [read_number(x)] if alone else read_block(x)
    numbers = [one.number for one in given]
    if alone:
        numbers += [Number.zero(0)] * (fmt.block_size - 1)
    elif len(numbers) != fmt.block_size and policy.block_tail == "forbid":
        raise ValueError(
            f"a block of {fmt.name} has {fmt.block_size} elements, got {len(numbers)}; append "
            f"zeros, or explain a block of this length: '{fmt.base}/{max(len(numbers), 1)}'"
        )
    source = next((one.source for one in given if one.source is not None), "float32")
    draws = read_draws(random, len(numbers))
    found = exact_scale.selection(numbers, fmt, policy, source=source, random=scale_random)
    _, codes = exact_block.quantize(
        numbers, fmt, policy, source=source, random=draws, scale_random=scale_random
    )
    scale = exact_scale.decode(found.code, fmt.scale)
    X = scale.value if scale.cls is NumberClass.FINITE else Fraction(1)
    passages = [
        Passage(n, fmt.element, policy, X, source, None if draws is None else draws[i])
        for i, n in enumerate(numbers)
    ]
    steps = scale_steps(
        numbers[: len(given)], fmt, policy, found.code, source=source, random=scale_random
    )
    return BlockExplanation(
        format=fmt,
        policy=policy,
        steps=steps,
        scale_code=found.code,
        elements=tuple(
            _explain_element(passage, one, code, (fmt, found))
            for passage, one, code in zip(passages, given, codes, strict=False)
        ),
        amax=amax_index(numbers),
        alone=alone,
    )
