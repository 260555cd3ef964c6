"""Bounds for a scale rule from data that somebody else chose: where it may step, and what fits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mxref.check._problem import Problem, spread
from mxref.check.parts import Inference
from mxref.check.threshold._scale_rules import ONE, Pattern, Rule, plain_rules, variant_rules
from mxref.check.threshold._scale_steps import decimal, describe_moves, describe_step
from mxref.faults.scale import split
from mxref.faults.stats import block_stats
from mxref.formats import ElementFormat

__all__ = ["given_scale_rule"]

_ELEMENTS = 1 << 18
_BIAS = 127
_WHAT = "scale rule"
_FEW = 32  # exponents for which rules with rounding inside are worked out exactly


@dataclass(frozen=True, slots=True)
class _Seen:
    """Blocks whose scale a rule alone decides: bits of significands, exponents, steps above."""

    bits: NDArray[np.int64]
    exponents: NDArray[np.int64]
    steps: NDArray[np.int64]


def given_scale_rule(problem: Problem) -> Inference:
    """Say which scale rules the emitted scales allow, and what more would decide."""
    element = problem.fmt.element
    seen = _seen(problem)
    if not len(seen.bits):
        text = "no block of ordinary numbers whose scale lies inside the range"
        return Inference(_WHAT, f"{text}; {_ask(element, list(plain_rules()))}", exact=False)
    fitting = [rule for rule in plain_rules() if _explains(rule, seen, element)]
    bounds, is_exact = _bounds(seen)
    if not fitting and (variants := _variants(seen, element)):
        names = " or ".join(rule.text for rule in variants)
        text = f"the step depends on the exponent of amax, or on its last bits: {names}"
        return Inference(_WHAT, text, variants[0].name, exact=False)
    if not fitting:
        return Inference(_WHAT, f"{bounds}: no published rule", "", is_exact)
    names = ", ".join(rule.name for rule in fitting)
    kinds = {_both(rule, element) for rule in fitting}
    if len(kinds) > 1:
        text = f"{bounds}: consistent with {names}; {_ask(element, fitting)}"
        return Inference(_WHAT, text, "", exact=False)
    text = f"{bounds}: {'' if is_exact else 'consistent with '}{names}"
    if not is_exact:
        text += f"; {_pin(fitting[0], element)}"
    return Inference(_WHAT, text, fitting[0].name, is_exact)


def _seen(problem: Problem) -> _Seen:
    limit = max(1, _ELEMENTS // problem.fmt.block_size)
    piece = problem.take(spread(np.arange(problem.n_blocks), limit))
    stats = block_stats(piece.x)
    significand, exponent = split(np.where(stats.amax > 0, stats.amax, 1.0))
    floor = exponent - problem.fmt.element.emax + _BIAS
    single = significand.astype(np.float32)
    # Subnormals, clamps and NaN are affairs of their own; a float64 significand fits no grid.
    plain = stats.is_normal & (single == significand) & (single < 2) & (exponent >= -126)
    plain &= (floor > 3) & (floor < 250) & (piece.scales < 254) & (piece.scales > 0)
    bits = single[plain].view(np.uint32).astype(np.int64)
    steps = piece.scales[plain].astype(np.int64) - floor[plain]
    return _Seen(bits, exponent[plain], steps)


def _explains(rule: Rule, seen: _Seen, element: ElementFormat) -> bool:
    # No plain rule sees more of the exponent than its last bit.
    parities = seen.exponents % 2
    return all(_agrees(rule.pattern(element, p), seen, parities == p) for p in (0, 1))


def _variants(seen: _Seen, element: ElementFormat) -> list[Rule]:
    """The rules in narrower arithmetic that explain all blocks, unless that would take too long."""
    exponents = np.unique(seen.exponents)
    if len(exponents) > _FEW:
        return []
    return [
        rule
        for rule in variant_rules()
        if all(_agrees(rule.pattern(element, int(e)), seen, seen.exponents == e) for e in exponents)
    ]


def _agrees(pattern: Pattern, seen: _Seen, where: NDArray[np.bool_]) -> bool:
    if not pattern:
        return False
    starts, steps = zip(*pattern, strict=True)
    at = np.searchsorted(starts, seen.bits[where], side="right") - 1
    return bool(np.all(np.array(steps)[at] == seen.steps[where]))


def _both(rule: Rule, element: ElementFormat) -> tuple[object, ...]:
    return rule.pattern(element, 0), rule.pattern(element, 1)


def _bounds(seen: _Seen) -> tuple[str, bool]:
    """Between which significands the byte steps; whether nothing lies between them."""
    levels = np.unique(seen.steps)
    ranges = [(seen.bits[seen.steps == level], int(level)) for level in levels]
    if len(ranges) == 1:
        bits, level = ranges[0]
        least, most = decimal(int(bits.min())), decimal(int(bits.max()))
        text = f"no step seen: always {level:+d} against floor, amax {least} to {most} times 2^e"
        # Every significand of a binade would have to be there.
        return text, False
    for (lower, _), (upper, _) in pairwise(ranges):
        if lower.max() >= upper.min():
            text = (
                f"no single threshold: amax {decimal(int(upper.min()))} and "
                f"{decimal(int(lower.max()))} times 2^e step the other way round"
            )
            return text, True
    parts, is_exact = [], True
    for (lower, below), (upper, above) in pairwise(ranges):
        low, high = int(lower.max()), int(upper.min())
        moves = describe_moves(below, above)
        if high == low + 1:
            parts.append(describe_step(high) + moves)
        else:
            is_exact = False
            parts.append(f"theta in ({decimal(low)}, {decimal(high)}]{moves}")
    # This step is pinned then; that there is no other one can only be shown by driving.
    return "; ".join(parts), is_exact


def _ask(element: ElementFormat, fitting: list[Rule]) -> str:
    """Name a block that would tell the rules apart."""
    first = fitting[0]
    other = next(rule for rule in fitting if _both(rule, element) != _both(first, element))
    for parity in (0, 1):
        a, b = first.pattern(element, parity), other.pattern(element, parity)
        if a == b:
            continue
        starts = sorted({start for start, _ in (*a, *b)})
        bits = next(s for s in starts if _at(a, s) != _at(b, s))
        amax = bits + (parity << 23)
        return (
            f"1 block with amax {decimal(amax)} (0x{amax:08X}) would tell {first.name} from "
            f"{other.name}"
        )
    raise AssertionError("rules that differ do so under some parity")


def _at(pattern: tuple[tuple[int, int], ...], bits: int) -> int:
    return [steps for start, steps in pattern if start <= bits][-1]


def _pin(rule: Rule, element: ElementFormat) -> str:
    """Name the blocks that would show the last bit of a step."""
    pattern = rule.pattern(element, 0)
    last = 0x3FFF_FFFF
    ends = (ONE, last) if len(pattern) == 1 else (pattern[1][0] - 1, pattern[1][0])
    said = " and ".join(f"{decimal(bits)} (0x{bits:08X})" for bits in ends)
    return f"2 blocks with amax {said} would show it to the bit"
