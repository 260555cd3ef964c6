"""Gaps in words: what kind of input is missing, and numbers with their bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check.gaps._inputs import Input
from mxref.check.gaps._trials import Fmt
from mxref.faults.block import Quantizer
from mxref.faults.encoder import Encoder, Lanes, as_float64
from mxref.formats import BlockFormat, ElementFormat, Kind
from mxref.policy import Policy

__all__ = ["described", "needs_of"]

_NEAR = 2.0**-8  # a step of bfloat16, relative
_PLACES = "largest value at each place"


def described(fmt: Fmt, policy: Policy, one: Input) -> str:
    """Return what kind of input a number or a block is, in a few words."""
    x = as_float64(np.atleast_1d(one.values))
    if np.isnan(x).any():
        return "NaN"
    if np.isinf(x).any():
        return "an infinity"
    if isinstance(fmt, BlockFormat):
        return _block(fmt, policy, one, x)
    if isinstance(fmt, ElementFormat):
        return _number(_aligned(fmt, policy, one.values, 127), fmt)
    if x[0] <= 0:
        return "zero" if x[0] == 0 else "a negative number"
    is_end = not 2.0**-125 < x[0] < 2.0**126
    return "a number at an end of the range" if is_end else "an ordinary number"


def _block(fmt: BlockFormat, policy: Policy, one: Input, x: NDArray[np.float64]) -> str:
    if not x.any():
        return "a block of zeros"
    amax = float(np.abs(x).max())
    if one.group == _PLACES:
        first = int(np.abs(x).argmax())
        if x[first] < 0:
            return "a negative amax among smaller numbers"
        return "an amax at the first, the last or the middle place among smaller numbers"
    if amax < 2.0 ** (fmt.element.emax - 124):
        return "an amax at the lower end of the scale"
    if amax >= 2.0**125:
        return "an amax at the upper end of the scale"
    if np.count_nonzero(x) == 1:
        if np.signbit(x[x == 0]).any():
            return "-0"
        if amax < 2.0**-9 or amax > 2.0**9:
            return "an amax far from 1"
        return "an amax next to a threshold of the scale rules"
    scales, _ = Quantizer(fmt, policy).quantize(one.values[None])
    return _number(_aligned(fmt.element, policy, one.values[1:2], int(scales[0])), fmt.element)


def _aligned(fmt: ElementFormat, policy: Policy, x: NDArray[Any], scale_code: int) -> Lanes:
    encoder = Encoder(fmt, policy)
    lanes = encoder.classify(as_float64(np.atleast_1d(x)))
    encoder.scale(lanes, np.array([scale_code], np.int32))
    encoder.align(lanes)
    lanes.code = encoder.assemble(lanes, encoder.round(lanes))
    return lanes


def _number(lanes: Lanes, fmt: ElementFormat) -> str:
    rest, code = float(lanes.rest[0]), int(lanes.code[0])
    sign = "a negative number" if lanes.sign[0] else "a number"
    small = fmt.kind is Kind.FLOAT and code < 1 << fmt.mantissa_bits
    if lanes.magnitude[0] == 0:
        return "-0" if lanes.sign[0] else "zero"
    if code > fmt.max_magnitude:
        return f"{sign} beyond the largest"
    if rest == 0.5:
        return "a tie between subnormals" if small else "a tie"
    size = float(lanes.kept[0]) + rest
    if abs(rest - 0.5) < _NEAR * size:
        return f"{sign} next to a tie, nearer than a step of bfloat16"
    if code == 0:
        return f"{sign} that becomes zero"
    if small:
        return f"{sign} with a subnormal result"
    if code >> fmt.mantissa_bits == fmt.max_magnitude >> fmt.mantissa_bits:
        return f"{sign} in the top binade"
    return f"{sign} that is rounded" if rest else f"{sign} that needs no rounding"


def needs_of(inputs: Sequence[NDArray[Any]]) -> str:
    """Say which input to add, with bits.

    Examples
    --------
    >>> needs_of([np.array(0.25, np.float32)])
    'add 0.25 (0x3E800000)'
    >>> needs_of([np.array([6.0, 0.25, 0.0, 0.0], np.float32)])
    'add a block of 6 (0x40C00000), 0.25 (0x3E800000) and zeros'
    """
    return "add " + "; and ".join(_said(np.asarray(values)) for values in inputs)


def _said(values: NDArray[Any]) -> str:
    if values.ndim == 0:
        return _with_bits(values)
    bits = values.view(f"u{values.dtype.itemsize}")
    kinds, first, counts = np.unique(bits, return_index=True, return_counts=True)
    if len(kinds) == 1:
        return f"a block of {_with_bits(values[0])} in every place"
    if len(kinds) > 3 or (counts > 1).sum() > 1:
        at = _odd_one(values, bits)
        others = "smaller" if np.isfinite(as_float64(values)).all() else "ordinary"
        return f"a block with {_with_bits(values[at])} in place {at} among {others} numbers"
    filled = np.sort(first[kinds != 0]) if 0 in kinds else np.sort(first)
    if 0 in kinds and counts[kinds != 0].max() == 1:
        return f"a block of {', '.join(_with_bits(values[i]) for i in filled)} and zeros"
    most = int(counts.argmax())
    rare = [int(i) for i in first if bits[i] != kinds[most]]
    named = ", ".join(f"{_with_bits(values[i])} in place {i}" for i in rare)
    return f"a block of {_with_bits(values[first[most]])} with {named}"


def _odd_one(values: NDArray[Any], bits: NDArray[Any]) -> int:
    wide = as_float64(values)
    special = np.flatnonzero(~np.isfinite(wide))
    if len(special):
        return int(special[0])
    return int(np.abs(wide).argmax()) if bits.size else 0


def _with_bits(value: Any) -> str:
    one = np.asarray(value)
    digits = 2 * one.dtype.itemsize
    bits = int(one.reshape(1).view(f"u{one.dtype.itemsize}")[0])
    return f"{float(one):.9g} (0x{bits:0{digits}X})"
