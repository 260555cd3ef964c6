"""Reads a quantizer's scale rule off the bytes that it emits: where they step as amax grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._landmarks import SIGN, as_float32, thresholds
from mxref.check.parts import Inference
from mxref.check.threshold._bisect import BUDGET, Course, Span, courses
from mxref.check.threshold._scale_rules import (
    ONE,
    Pattern,
    Rule,
    plain_rules,
    profiles_with,
    variant_rules,
)
from mxref.formats import BlockFormat, ElementFormat

__all__ = [
    "Call",
    "amax_blocks",
    "decimal",
    "describe_moves",
    "describe_step",
    "rule_inference",
    "rules_with",
]

Call = Callable[..., tuple[NDArray[Any], ...]]
"""A guarded kernel: arrays to arrays, or a `TargetError`."""

_BIAS = 127
_LAST = 0x4000_0000 - 1
_ROUND = 1 << 8  # bits of a significand with 15 places after the point, or fewer
_OCTAVE = np.uint32(1 << 23)

# Exponent of amax; whether it is negative; its place in the block, in 31sts. A rule must not
# depend on any of them, but for the two whose ties go by the exponent's last bit.
_SETTINGS = ((0, 0, 0), (1, 1, 2), (4, 0, 31), (-3, 1, 17), (-60, 0, 9), (90, 1, 24))


def rule_inference(call: Call, fmt: BlockFormat) -> tuple[Inference, Rule | None]:
    """Find the scale rule of a quantizer, in about three calls.

    Returns
    -------
    Inference
    Rule or None
        The rule, if it is a choice of ``scale_rule``.
    """
    element = fmt.element
    marks = tuple(int(b) for b in thresholds(element))
    spans = [Span(ONE, _LAST, marks)] * len(_SETTINGS)

    def answer(of: NDArray[np.intp], bits: NDArray[np.uint32]) -> NDArray[np.int64]:
        settings = np.array(_SETTINGS)[of]
        exponent, negative = settings[:, 0], settings[:, 1].astype(np.uint32)
        lanes = settings[:, 2] * (fmt.block_size - 1) // 31
        amax = (bits.astype(np.int64) + (exponent << 23)).astype(np.uint32)
        x = amax_blocks(amax | (negative * SIGN), lanes, fmt.block_size)
        scales = call(as_float32(x))[1].reshape(-1).astype(np.int64)
        return np.asarray(scales - (_BIAS + exponent - element.emax))

    found = courses(answer, spans, max(BUDGET // fmt.block_size, 256))
    return _named(found, element)


def amax_blocks(
    amax: NDArray[np.uint32], lanes: NDArray[np.int64], width: int
) -> NDArray[np.uint32]:
    """Blocks with a largest magnitude in a lane each, and half of it in the next lane."""
    block = np.zeros((len(amax), width), np.uint32)
    rows = np.arange(len(amax))
    if width > 1:
        block[rows, (lanes + 1) % width] = np.where(amax & ~SIGN >= 2 * _OCTAVE, amax - _OCTAVE, 0)
    block[rows, lanes] = amax
    return block


# --- naming -----------------------------------------------------------------------------------


def rules_with(
    patterns: list[Pattern], exponents: list[int], element: ElementFormat
) -> tuple[list[Rule], int]:
    """Return the rules that step as was seen, and by how much all their bytes are shifted."""
    for rules in (plain_rules(), variant_rules()):
        for shift in (0, 1, -1, 2, -2, 3, -3):
            fitting = [
                rule
                for rule in rules
                # A shifted fault is a coincidence of thresholds: a choice off by one is likelier.
                if (rule.changes or not shift)
                and all(
                    _shifted(rule.pattern(element, e), shift) in (seen, ())
                    for seen, e in zip(patterns, exponents, strict=True)
                )
            ]
            if fitting:
                return fitting, shift
    return [], 0


def _shifted(pattern: Pattern, shift: int) -> Pattern:
    return tuple((start, steps + shift) for start, steps in pattern)


def _named(found: list[Course], element: ElementFormat) -> tuple[Inference, Rule | None]:
    patterns: list[Pattern] = [
        tuple(zip(course.starts, course.values, strict=True)) for course in found
    ]
    exponents = [exponent for exponent, _, _ in _SETTINGS]
    what = "scale rule"
    if not all(course.is_exact for course in found):
        said = "no single threshold: the scale code changes too often as amax goes through a binade"
        return Inference(what, said, exact=False), None
    rules, shift = rules_with(patterns, exponents, element)
    common, count = Counter(patterns).most_common(1)[0]
    text = _pattern_text(common)
    if count < len(patterns) and not rules:
        # Named by what it does at most exponents, so that the exceptions stand out.
        chosen = [e for e, p in zip(exponents, patterns, strict=True) if p == common]
        rules, shift = rules_with([common] * len(chosen), chosen, element)
        text = f"{text}, but {_exceptions(patterns, common)}"
        return Inference(what, f"{text}: {_name_text(rules, shift, element, partly=True)}"), None
    if count < len(patterns):
        text = "the step depends on the exponent of amax"
    name = _name(rules, shift)
    legal = rules[0] if rules and not shift and rules[0].changes else None
    return Inference(what, f"{text}: {_name_text(rules, shift, element)}", name), legal


def _name(rules: list[Rule], shift: int) -> str:
    if not rules:
        return ""
    return "S6" if shift else rules[0].name


def _name_text(
    rules: list[Rule], shift: int, element: ElementFormat, *, partly: bool = False
) -> str:
    if not rules:
        return "no published rule"
    first = rules[0]
    text = first.name if first.name == first.text else f"{first.name}, {first.text}"
    if shift:
        text += f" with every scale code {shift:+d} (S6)"
    users = profiles_with(first, element)
    if users and not shift and not partly:
        text += f" (as in {', '.join(users)})"
    if len(rules) > 1:
        text += f"; in this format the same as {', '.join(rule.name for rule in rules[1:])}"
    return f"elsewhere {text}" if partly else text


def _pattern_text(pattern: Pattern) -> str:
    first = pattern[0][1]
    if len(pattern) == 1:
        text = "the code changes at powers of two only"
        return text if first == 0 else f"{text}, always {first:+d} against floor"
    if len(pattern) == 2:
        start, steps = pattern[1]
        return describe_step(start) + describe_moves(first, steps)
    parts = [f"{steps:+d} from {decimal(start)}" for start, steps in pattern]
    return f"no single threshold: against floor {', '.join(parts)}"


def _exceptions(patterns: list[Pattern], common: Pattern) -> str:
    parts = []
    for (exponent, negative, _), pattern in zip(_SETTINGS, patterns, strict=True):
        if pattern != common:
            sign = "negative amax near " if negative else "amax near "
            has_said = [n for _, n in pattern] == [n for _, n in common] and len(pattern) == 2
            text = describe_step(pattern[1][0]) if has_said else _pattern_text(pattern)
            parts.append(f"for {sign}2^{exponent} {text}")
    return "; ".join(parts)


# --- numbers ----------------------------------------------------------------------------------


def describe_step(bits: int, what: str = "theta") -> str:
    """Say where a step lies, given the first float32 beyond it.

    No float32 input can tell "above a" from "from the next number on"; the rounder of the two is
    what somebody wrote.

    Examples
    --------
    >>> describe_step(0x3FA80000), describe_step(0x3FA80001)
    ('theta = 1.3125 exactly (0x3FA80000), inclusive', 'theta = 1.3125 exactly (0x3FA80000), \
exclusive')
    >>> describe_step(0x3FB504F4)
    'theta between 1.4142135 (0x3FB504F3) and 1.4142137 (0x3FB504F4)'
    """
    for number, side in ((bits, "inclusive"), (bits - 1, "exclusive")):
        other = 2 * bits - 1 - number
        is_binary = number % _ROUND == 0
        if is_binary or (other % _ROUND and len(decimal(number)) < len(decimal(other)) - 1):
            return f"{what} = {decimal(number)} exactly (0x{number:08X}), {side}"
    return (
        f"{what} between {decimal(bits - 1)} (0x{bits - 1:08X}) and {decimal(bits)} (0x{bits:08X})"
    )


def describe_moves(before: int, after: int) -> str:
    """Say which codes a step lies between; nothing where they are floor and the next one.

    Examples
    --------
    >>> describe_moves(-1, 0), describe_moves(0, 1)
    (' (codes: floor - 1 before it, floor after)', '')
    """
    if (before, after) == (0, 1):
        return ""
    names = [f"floor {n:+d}".replace("+", "+ ").replace("-", "- ") for n in (before, after)]
    said = ["floor" if not n else name for n, name in zip((before, after), names, strict=True)]
    return f" (codes: {said[0]} before it, {said[1]} after)"


def decimal(bits: int) -> str:
    """Write a float32: exactly if its significand is short, else in as few digits as tell it.

    Examples
    --------
    >>> decimal(0x3FFF8000), decimal(0x3FB33333)
    ('1.99609375', '1.4')
    """
    number = np.array([bits], np.uint32).view(np.float32)[0]
    text = repr(float(number)) if bits % _ROUND == 0 else str(number)
    return text.removesuffix(".0")
