"""Scale selection by search: the candidate that leaves the least error.

Errors are summed in float64 under a bound; where the bound can't tell two candidates apart, they
are summed again in integers. The result is therefore that of exact arithmetic. OP-SCALE-RULE.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._choices import ScaleRule
from mxref.formats import BlockFormat, ElementFormat, Kind
from mxref.kernels import block
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels.params import (
    block_parameters,
    encoder_parts,
    rounding_code,
    scale_is_tabled,
)
from mxref.kernels.places import SOURCES, Source
from mxref.kernels.programs import Part
from mxref.policy import Policy

__all__ = ["OPEN", "best", "clear_cases"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# A sum of k positive float64 terms, each rounded twice, is off by less than (k + 2) * 2**-53 of
# itself; this leaves room for a factor of two on each side of a comparison, and more.
_SLACK = 2.0**-50
# What flushed subnormals may cost, in units of the scale: 2**-62 each from scale code 64 on.
_TINY = 2.0**-50
OPEN = 0x200
"""In place of a scale code: `clear_cases` has not decided."""
_STEPS = (1, -1)  # beside FLOOR's own code, in the order in which equals are preferred


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Source values as integers: value = integer * 2**exponent; non-finite ones are absent."""

    integer: Ints
    exponent: Ints
    is_finite: NDArray[np.bool_]

    def take(self, where: Any) -> _Numbers:
        return _Numbers(self.integer[where], self.exponent[where], self.is_finite[where])


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What one scale code makes of each block, in steps of the least subnormal element."""

    code: Ints
    integer: Ints
    error: Floats  # in units of the scale of code 127, or its square
    is_valid: NDArray[np.bool_]


def clear_cases(
    bits: Any, fmt: BlockFormat, policy: Policy, source: str
) -> NDArray[np.int64] | None:
    """Return the scale code of each block that a compiled loop can settle, OPEN for the others.

    None where the loop has nothing to say: for rules that do not search, for float64 words, and
    for policies under which the scale of FLOOR, or a decoded element, is not the plain one.
    """
    kind = SOURCES[source]
    if INTERPRETED or kind.width != 32 or not _is_plain(fmt.element, policy):
        return None
    parts = encoder_parts(fmt.element, policy)[0]
    from mxref.kernels._search_loop import searcher

    k = fmt.block_size
    selected = np.empty(bits.size // k, np.uint16)
    slack = np.array([(k + 2) * _SLACK, 0.0, _TINY])
    variant = (source, rounding_code(policy), int(fmt.element.kind is Kind.FIXED), parts)
    is_squared = int(policy.scale_rule is ScaleRule.MSE)
    with parallel_slot(bits.size) as parallel:
        kernel = searcher(*variant, is_squared, parallel)
        kernel(bits, selected, k, block_parameters(kind, fmt, policy), slack)
    return selected.astype(np.int64)


@functools.lru_cache(maxsize=64)
def _is_plain(element: ElementFormat, policy: Policy) -> bool:
    """Whether the loop can search: by FLOOR's threshold, and without special elements."""
    parts = encoder_parts(element, policy)[0]
    return (
        policy.scale_rule in (ScaleRule.MSE, ScaleRule.MAE)
        and not scale_is_tabled(policy.replace(scale_rule=ScaleRule.FLOOR))
        and not parts & (Part.OVERFLOW | Part.SPECIALS)
    )


def best(
    words: Any,
    bits: Any,
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    codes: Ints,
    where: NDArray[np.bool_],
    least: int,
) -> Ints:
    """Return scale codes with the least error, where a search is due.

    Parameters
    ----------
    words : array of shape (n, k)
        Source words, 16-bit types widened.
    bits : array of shape (n * k,)
        The same as they came.
    codes : array of int64, shape (n,)
        FLOOR's codes.
    where : array of bool, shape (n,)
        Blocks that are searched; the others keep their code.
    least : int
        Source magnitudes below count as zero.
    """
    found = codes.copy()
    rows = np.flatnonzero(where)
    if not len(rows):
        return found
    kind = SOURCES[source]
    numbers = _numbers(words[rows], kind, least)
    flat = np.ascontiguousarray(bits.reshape(-1, fmt.block_size)[rows]).reshape(-1)
    is_squared = policy.scale_rule is ScaleRule.MSE

    def candidate(code: Ints) -> _Candidate:
        return _candidate(numbers, flat, fmt, policy, source, code, is_squared)

    chosen = candidate(codes[rows])
    for step in _STEPS:
        other = candidate(codes[rows] + step)
        better = _is_better(other, chosen, numbers, fmt, is_squared)
        chosen = _Candidate(
            np.where(better, other.code, chosen.code),
            np.where(better[:, None], other.integer, chosen.integer),
            np.where(better, other.error, chosen.error),
            np.where(better, other.is_valid, chosen.is_valid),
        )
    found[rows] = chosen.code
    return found


def _numbers(words: Any, kind: Source, least: int) -> _Numbers:
    size = (words & words.dtype.type((1 << (kind.width - 1)) - 1)).astype(np.int64)
    sign = 1 - 2 * (words >> words.dtype.type(kind.width - 1)).astype(np.int64)
    field = np.maximum(size >> kind.mantissa_bits, 1)
    integer = size - ((field - 1) << kind.mantissa_bits)
    integer = np.where(size < least, 0, integer)
    is_finite = size < kind.infinity
    return _Numbers(
        np.where(is_finite, sign * integer, 0), field - kind.bias - kind.mantissa_bits, is_finite
    )


@functools.cache
def _values(element: ElementFormat) -> Ints:
    """Each code in steps of the least subnormal; 2**40 where it is no number."""
    values = []
    for code in range(256):
        size = code & (element.sign_mask - 1)
        if element.kind is Kind.FIXED:
            values.append(code - 256 if code >= 128 else code)
        elif size > element.max_magnitude:
            values.append(1 << 40)
        else:
            exponent, mantissa = divmod(size, 1 << element.mantissa_bits)
            one = 1 << element.mantissa_bits
            integer = mantissa if exponent == 0 else (one + mantissa) << (exponent - 1)
            values.append(-integer if code & element.sign_mask else integer)
    return np.array(values, np.int64)


def _step(element: ElementFormat) -> int:
    """Exponent of the least subnormal."""
    least = element.min_subnormal  # a power of two
    return least.numerator.bit_length() - least.denominator.bit_length()


def _candidate(
    numbers: _Numbers,
    bits: Any,
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    code: Ints,
    is_squared: bool,
) -> _Candidate:
    """Encode the blocks under a scale code each, and sum up the errors."""
    in_range = (code >= 0) & (code <= fmt.scale.max_code)
    scales = np.where(in_range, code, 127).astype(np.uint8)
    codes = np.empty(bits.size, np.uint8)
    block.encode_with_scale(bits, fmt, policy, source, scales, codes)
    integer = _values(fmt.element)[codes].reshape(-1, fmt.block_size)
    is_number = integer < 1 << 40
    step = _step(fmt.element)
    # Relative to the scale: far inside float64, whatever the floating-point environment does.
    shift = numbers.exponent - (scales.astype(np.int64)[:, None] - fmt.scale.bias) - step
    with np.errstate(over="ignore"):  # an infinite error is settled in integers
        value = np.ldexp(numbers.integer.astype(np.float64), np.maximum(shift, -900))
        difference = np.abs(value - integer)
        difference = np.where(numbers.is_finite & is_number, difference, 0.0)
        error = (difference * difference if is_squared else difference).sum(axis=1)
    is_valid = in_range & (is_number | ~numbers.is_finite).all(axis=1)
    return _Candidate(scales.astype(np.int64), integer, error, is_valid)


def _is_better(
    a: _Candidate, b: _Candidate, numbers: _Numbers, fmt: BlockFormat, is_squared: bool
) -> NDArray[np.bool_]:
    """Whether `a` leaves less error than `b`, exactly."""
    gap = (a.code - b.code) * (2 if is_squared else 1)
    error_a, error_b = np.ldexp(a.error, gap), b.error
    slack = (fmt.block_size + 2) * _SLACK
    # Equal decoded values leave equal errors; the usual tie, since formats are floating-point.
    step = a.code - b.code
    scaled_a = a.integer << np.maximum(step, 0)[:, None]
    scaled_b = b.integer << np.maximum(-step, 0)[:, None]
    is_same = ((scaled_a == scaled_b) | ~numbers.is_finite).all(axis=1)
    both = a.is_valid & b.is_valid
    with np.errstate(invalid="ignore"):
        certain = np.abs(error_a - error_b) > slack * (error_a + error_b) + 2.0**-500
    better = error_a < error_b
    for row in np.flatnonzero(both & ~is_same & ~certain):
        some = numbers.take(row)
        sums = [_exact_error(c, row, some, fmt.element, is_squared) for c in (a, b)]
        better[row] = sums[0] < sums[1]
    return np.where(both, better & ~is_same, a.is_valid & ~b.is_valid)


def _exact_error(
    candidate: _Candidate, row: Any, numbers: _Numbers, element: ElementFormat, is_squared: bool
) -> Fraction:
    scale = Fraction(2) ** (int(candidate.code[row]) - 127 + _step(element))
    total = Fraction(0)
    for v, e, finite, p in zip(
        numbers.integer.tolist(),
        numbers.exponent.tolist(),
        numbers.is_finite.tolist(),
        candidate.integer[row].tolist(),
        strict=True,
    ):
        if finite:
            error = abs(v * Fraction(2) ** e - scale * p)
            total += error * error if is_squared else error
    return total
