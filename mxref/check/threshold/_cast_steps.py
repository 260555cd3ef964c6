"""Reads a cast to E8M0 off its codes: where it rounds up, and what it does to the rest."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref._choices import E8M0Rounding
from mxref.check._landmarks import INF, SIGN, as_float32, bits_of
from mxref.check.parts import Inference
from mxref.check.threshold._bisect import Span, courses
from mxref.check.threshold._scale_rules import ONE, Pattern, pattern_of
from mxref.check.threshold._scale_steps import Call, describe_step
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number
from mxref.formats import pow2
from mxref.policy import Policy

__all__ = ["cast_inferences"]

_BIAS = 127
_LAST = 0x3FFF_FFFF
_EXPONENTS = (0, 1, 4, -3, -60, 90)
_MARKS = (ONE + 1, 0x3FB5_04F3, 0x3FB5_04F4, 0x3FBF_FFFF, 0x3FC0_0000, 0x3FC0_0001)


def cast_inferences(call: Call) -> Iterator[Inference]:
    """Yield the rounding of a cast to E8M0, then what it does to each kind of special number."""
    exponents = np.array(_EXPONENTS)

    def answer(of: NDArray[np.intp], bits: NDArray[np.uint32]) -> NDArray[np.int64]:
        x = (bits.astype(np.int64) + (exponents[of] << 23)).astype(np.uint32)
        return np.asarray(call(as_float32(x))[0].astype(np.int64) - (_BIAS + exponents[of]))

    found = courses(answer, [Span(ONE, _LAST, _MARKS)] * len(_EXPONENTS))
    seen = [tuple(zip(c.starts, c.values, strict=True)) for c in found]
    fitting = [
        str(rounding)
        for rounding in E8M0Rounding
        if all(_pattern(rounding, e) == p for e, p in zip(_EXPONENTS, seen, strict=True))
    ]
    text = "; ".join(dict.fromkeys(_text(pattern) for pattern in seen))
    name = fitting[0] if fitting else ""
    is_exact = all(course.is_exact for course in found)
    yield Inference("rounding", f"{text}: {name or 'no published rounding'}", name, is_exact)
    yield from _specials(call, name)


@functools.cache
def _pattern(rounding: E8M0Rounding, exponent: int) -> Pattern:
    policy = Policy(e8m0_rounding=rounding)

    def offset(bits: int) -> int:
        value = Fraction(bits - ONE + (1 << 23), 1 << 23) * pow2(exponent)
        return exact_scale.encode(Number.finite(value), "e8m0", policy) - _BIAS - exponent

    return pattern_of(offset)


def _text(pattern: Pattern) -> str:
    if len(pattern) == 1:
        always = f", always {pattern[0][1]:+d}" if pattern[0][1] else ""
        return f"the code changes at powers of two only{always}"
    return ", ".join(describe_step(start) for start, _ in pattern[1:4])


def _specials(call: Call, rounding: str) -> Iterator[Inference]:
    largest = pow2(128) - pow2(104)
    low = [pow2(-149), pow2(-128), pow2(-127), pow2(-127) * Fraction(5, 4), pow2(-127) * 3 / 2]
    kinds: tuple[tuple[str, tuple[str, ...], NDArray[np.uint32]], ...] = (
        ("zero", ("e8m0_zero",), np.array([0, SIGN], np.uint32)),
        ("negative numbers", ("e8m0_negative",), bits_of([1, pow2(10)]) | SIGN),
        ("infinity", ("e8m0_inf",), np.array([INF], np.uint32)),
        ("overflow", ("e8m0_overflow",), bits_of([largest])),
        ("lowest scales", ("e8m0_subnormal", "e8m0_underflow"), bits_of([*low, pow2(-126)])),
    )
    inputs = as_float32(np.concatenate([bits for _, _, bits in kinds]))
    codes = call(inputs)[0]
    base = Policy().replace(e8m0_rounding=rounding or "down")
    start = 0
    for what, fields, bits in kinds:
        stop = start + len(bits)
        part, x = codes[start:stop], inputs[start:stop]
        said = " ".join(f"0x{code:02X}" for code in part.tolist())
        names = _fitting(base, fields, x, part) if rounding else []
        text = f"{said}: {' or '.join(names) or 'no published choice'}" if rounding else said
        yield Inference(what, text, names[0] if names else "")
        start = stop


def _fitting(
    base: Policy, fields: tuple[str, ...], x: NDArray[np.float32], codes: NDArray[np.uint8]
) -> list[str]:
    """Name the choices of some fields that give these codes."""
    choices = [[str(v) for v in type(getattr(base, field))] for field in fields]
    return [
        ",".join(values)
        for values in itertools.product(*choices)
        if np.array_equal(
            arrays.encode(x, "e8m0", base.replace(**dict(zip(fields, values, strict=True)))), codes
        )
    ]
