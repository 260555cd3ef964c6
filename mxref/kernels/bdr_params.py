"""The parameters of BDR lane programs, from a format and a policy."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mxref.kernels.bdr_programs import LIFT, B, Part
from mxref.kernels.places import Source
from mxref.relatives import bdr_choices as choice
from mxref.relatives.bdr_format import BDRFormat, Element
from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["parameters", "parts_of", "rounding_code", "shift_size"]


def rounding_code(policy: BDRPolicy) -> int:
    """Return the mode as programs know it: the order of `BDRRounding`."""
    return list(choice.BDRRounding).index(policy.rounding)


def shift_size(fmt: BDRFormat, policy: BDRPolicy) -> int:
    """Return k2 as programs take it: 0 where nothing is shifted."""
    return fmt.k2 if policy.shift is choice.Shift.SUBBLOCK_MAX else 0


def parts_of(fmt: BDRFormat, policy: BDRPolicy) -> int:
    """Return the parts that a policy needs."""
    is_twos = fmt.element is Element.TWOS_COMPLEMENT
    wanted = (
        (policy.shared_exponent is choice.SharedExponent.AFTER_ROUNDING, Part.AFTER),
        (policy.input_subnormal is choice.InputSubnormal.FLUSH, Part.FLUSH_INPUT),
        (policy.neg_zero is choice.NegZero.DROP and not is_twos, Part.DROP_ZERO),
        (policy.zero_subblock is choice.ZeroSubblock.UNSHIFTED, Part.UNSHIFTED),
        (is_twos, Part.TWOS),
    )
    return int(functools.reduce(Part.__or__, (part for used, part in wanted if used), Part(0)))


@functools.lru_cache(maxsize=256)
def parameters(
    source: Source, fmt: BDRFormat, policy: BDRPolicy, *, input_min: int | None = None
) -> np.ndarray[Any, Any]:
    """Return the words that programs read.

    Parameters
    ----------
    input_min : int, optional
        Least magnitude that is no subnormal, as a word; default that of the words' own type.
    """
    mantissa = source.mantissa_bits
    rebias = source.bias - fmt.bias
    shift = mantissa - (fmt.m - 1)
    cap = fmt.max_shift
    is_after = policy.shared_exponent is choice.SharedExponent.AFTER_ROUNDING
    # The quick form takes fields whose shifted ones are normal, and whose scale needs no clamp.
    first = max(1 + cap, rebias + cap)
    last = min(rebias + fmt.max_scale - is_after, (1 << (source.width - 1 - mantissa)) - 2)
    values: dict[int, int] = {
        B.SHIFT: shift,
        B.DROP_LIMIT: source.width - 1 - shift,
        B.MAX_CODE: fmt.max_magnitude,
        B.MIN_EXTRA: int(policy.int_min is choice.IntMin.USED),
        B.SIGN_SHIFT: fmt.m,
        B.CODE_MASK: fmt.code_count - 1,
        B.INFINITY: source.infinity,
        B.INPUT_MIN: 1 << mantissa if input_min is None else input_min,
        B.BASE: rebias + LIFT,
        B.MAX_SCALE: fmt.max_scale,
        B.ZERO_CODE: fmt.bias if policy.zero_block is choice.ZeroBlock.ONE else 0,
        B.MAX_SHIFT: cap,
        B.FIRST: first << mantissa,
        B.LAST: ((last + 1) << mantissa) - 1,
        B.QUICK_BASE: rebias,
        B.NAN_POISONS: int(policy.nan is choice.BDRNan.NAN_SCALE),
        B.INF_POISONS: int(policy.inf is choice.BDRInf.NAN_SCALE),
        B.NAN_SATURATES: int(policy.nan is choice.BDRNan.MAX),
        B.INF_SATURATES: int(policy.inf is choice.BDRInf.CLAMP),
        B.RANDOM_BITS: int(policy.stochastic_bits.value),
        B.NAN_SCALE: fmt.nan_scale,
        B.ABOVE_POISONS: int(policy.scale_above is choice.ScaleAbove.NAN_SCALE),
        B.BELOW_FLUSHES: int(policy.scale_below is choice.ScaleBelow.FLUSH),
        B.DECODE_REBIAS: 127 - fmt.bias + 1 - fmt.m + LIFT,
    }
    words = np.zeros(int(B.COUNT), source.word)
    for place, value in values.items():
        words[place] = value
    words.flags.writeable = False
    return words
