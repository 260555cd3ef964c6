"""BDR conversion over arrays, where scales are float32: the twins of ``mxref.exact.bdr_scaled``.

Three steps: the largest magnitude of each group, scales from those, elements under them. Whoever
has a whole tensor in pieces runs each step over all of them.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import bdr_scale_loops as scale_loops
from mxref.kernels import bdr_scaled_loops as loops
from mxref.kernels import composed, element
from mxref.kernels._jit import parallel_slot
from mxref.kernels.bdr_params import rounding_code
from mxref.policy import Policy
from mxref.relatives import bdr_choices as choice
from mxref.relatives.bdr_format import BDRFormat, Element, SubscaleKind
from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["Scales", "decode", "encode", "find_amax", "narrow", "select"]

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

NAN_BITS = 0x7FC00000
LEAST = np.array([1], np.uint32).view(np.float32)[0]
"""The smallest float32 above zero."""
_NORMAL = {"float32": 1 << 23, "float64": 1 << 23, "bfloat16": 1 << 23, "float16": (127 - 14) << 23}
"""Least normal magnitude of each input type, as float32 bits."""
_B_ROUNDING = 8
_QUIET = np.errstate(all="ignore")
"""Overflow and the like are defined here; without a compiler NumPy would warn of them."""


@_QUIET
def narrow(x: NDArray[np.float64]) -> Floats:
    """Round flat float64 numbers to float32, whatever the floating-point mode."""
    out = np.empty(x.shape, np.float32)
    with parallel_slot(x.size) as parallel:
        scale_loops.narrower(parallel)(x, out)
    return out


def _input_min(policy: BDRPolicy, source: str) -> int:
    """Return the least magnitude that is not zero, as float32 bits."""
    return _NORMAL[source] if policy.input_subnormal is choice.InputSubnormal.FLUSH else 1


def find_amax(
    x: Floats, size: int, policy: BDRPolicy, source: str
) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Return the largest finite magnitude of each `size` numbers, as bits, and which are NaN."""
    n = -(-x.size // size)
    amax, poison = np.empty(n, np.uint32), np.empty(n, np.uint8)
    poisons = (policy.nan is choice.BDRNan.NAN_SCALE, policy.inf is choice.BDRInf.NAN_SCALE)
    with parallel_slot(x.size) as parallel:
        kernel = scale_loops.amax_finder(parallel)
        kernel(
            x.view(np.uint32), amax, poison, size, np.uint32(_input_min(policy, source)), *poisons
        )
    return amax, poison != 0


class Scales:
    """Scales of blocks, and what elements are divided by.

    Attributes
    ----------
    scales : array of float32, shape (blocks,)
    subscales : array of uint8, shape (groups,), or None
        Written here where they are integers, by `encode` where they are shifts.
    divisors : array of float64, shape (groups,)
        0 where every element is zero.
    cleared : array of bool, shape (blocks,)
        Blocks whose codes and sub-scales are all 0: NaN, or flushed.
    zero : array of bool, shape (blocks,)
        Blocks of zeros.
    """

    def __init__(self, scales: Floats, n_groups: int, fmt: BDRFormat) -> None:
        self.scales = scales
        self.subscales = np.zeros(n_groups, np.uint8) if fmt.has_subscales else None
        self.divisors = np.zeros(n_groups, np.float64)
        self.cleared = np.zeros(scales.size, np.bool_)
        self.zero = np.zeros(scales.size, np.bool_)


@_QUIET
def select(
    amax: NDArray[np.uint32], poison: NDArray[np.bool_], fmt: BDRFormat, policy: BDRPolicy, n: int
) -> Scales:
    """Select the scales of n blocks from the largest magnitudes of their groups."""
    each = amax.size // n if n else 1
    wanted = np.empty(amax.size, np.float32)
    is_reciprocal = policy.scale_quotient is choice.ScaleQuotient.RECIPROCAL
    scale_loops.scale_finder()(
        amax.view(np.float32), np.float32(fmt.largest), is_reciprocal, wanted
    )
    largest = amax.reshape(n, each).max(axis=1, initial=0)
    s: Floats = wanted.view(np.uint32).reshape(n, each).max(axis=1, initial=0).view(np.float32)
    if fmt.subscale is SubscaleKind.INT:
        coarse = np.empty_like(s)
        scale_loops.scale_finder()(s, np.float32(fmt.max_subscale), is_reciprocal, coarse)
        s = coarse
    is_zero, is_lost = largest == 0, (largest > 0) & (s.view(np.uint32) == 0)
    found = Scales(s, amax.size, fmt)
    found.zero = is_zero
    flushes = policy.scale_below is choice.ScaleBelow.FLUSH
    if not flushes:
        s[is_lost] = LEAST
    found.cleared = poison.reshape(n, each).any(axis=1) | (is_lost & flushes)
    if fmt.subscale is SubscaleKind.INT:
        assert found.subscales is not None  # noqa: S101  # for the type checker
        is_up = policy.subscale_rounding is choice.SubscaleRounding.UP
        is_rounded = policy.element_divisor is choice.ElementDivisor.ROUNDED
        rest = (is_up, is_rounded, found.subscales, found.divisors)
        scale_loops.divider()(wanted, s, each, fmt.max_subscale, *rest)
    else:
        found.divisors[...] = np.repeat(_widened(s), each)
    s[is_zero] = 1.0 if policy.zero_block is choice.ZeroBlock.ONE else 0.0
    s.view(np.uint32)[poison.reshape(n, each).any(axis=1)] = NAN_BITS
    found.divisors.reshape(n, each)[found.cleared | is_zero] = 0.0
    return found


def _widened(numbers: Floats) -> NDArray[np.float64]:
    """Widen to float64, subnormals included in whatever mode."""
    out = np.empty(numbers.size, np.float64)
    scale_loops.widener()(numbers.reshape(-1), out)
    return out


@_QUIET
def encode(
    x: Floats,
    size: int,
    divisors: NDArray[np.float64],
    fmt: BDRFormat,
    policy: BDRPolicy,
    source: str,
    codes: Bytes,
    subscales: Bytes | None,
    random: NDArray[np.uint32] | None,
) -> None:
    """Encode flat elements in groups of `size`, each under its divisor.

    Shifts are written to `subscales`. Blocks that `Scales.cleared` names, and the shifts of zero
    blocks, are the caller's to clear.
    """
    if fmt.float_element is not None:
        _encode_floats(x, size, divisors, fmt, policy, source, codes, random)
        return
    is_twos = fmt.element is Element.TWOS_COMPLEMENT
    shifts = fmt.subscale is SubscaleKind.POW2 and policy.shift is choice.Shift.SUBBLOCK_MAX
    rounding = rounding_code(policy)
    is_unshifted = policy.zero_subblock is choice.ZeroSubblock.UNSHIFTED
    options = np.array(
        [
            _bits_behind(policy, rounding, random),
            fmt.max_magnitude,
            int(is_twos and policy.int_min is choice.IntMin.USED),
            0 if is_twos else fmt.m,
            fmt.code_count - 1,
            int(policy.neg_zero is choice.NegZero.KEEP),
            _input_min(policy, source),
            int(policy.nan is choice.BDRNan.MAX),
            int(policy.inf is choice.BDRInf.CLAMP),
            fmt.max_shift,
            fmt.m,
            int(policy.shared_exponent is choice.SharedExponent.AFTER_ROUNDING),
            0 if is_unshifted else fmt.max_shift,
        ],
        np.int64,
    )
    nothing = np.zeros(0, np.uint8)
    drawn = np.zeros(0, np.uint32) if random is None else random
    with parallel_slot(x.size) as parallel:
        kernel = loops.encoder(rounding, _quotient(policy), int(shifts), parallel)
        words, shared = x.view(np.uint32), nothing if subscales is None else subscales
        kernel(x, words, divisors, codes, shared, drawn, size, options)


def _quotient(policy: BDRPolicy) -> int:
    return list(choice.ElementQuotient).index(policy.element_quotient)


def _bits_behind(policy: BDRPolicy, rounding: int, random: NDArray[np.uint32] | None) -> int:
    """Return how many bits behind the point decide on a rounding; a remainder lies below."""
    if random is None:
        return 1
    return int(policy.stochastic_bits.value) + (rounding == _B_ROUNDING)


def _encode_floats(
    x: Floats,
    size: int,
    divisors: NDArray[np.float64],
    fmt: BDRFormat,
    policy: BDRPolicy,
    source: str,
    codes: Bytes,
    random: NDArray[np.uint32] | None,
) -> None:
    assert fmt.float_element is not None  # noqa: S101  # for the type checker
    quotients = np.empty(x.size, np.float64)
    saturates = (policy.nan is choice.BDRNan.MAX, policy.inf is choice.BDRInf.CLAMP)
    options = np.array([_input_min(policy, source), *saturates], np.int64)
    with parallel_slot(x.size) as parallel:
        kernel = loops.quotient_finder(_quotient(policy), parallel)
        kernel(x, x.view(np.uint32), divisors, quotients, size, options)
    bits = quotients.view(np.uint64)
    if random is not None:
        composed.encode(bits, random, fmt.float_element, _cast(policy, 0), "float64", codes)
        return
    element.encode(bits, fmt.float_element, _cast(policy, 0), "float64", codes)
    if policy.rounding is choice.BDRRounding.HALF_UP:
        below = np.empty_like(codes)
        element.encode(bits, fmt.float_element, _cast(policy, 1), "float64", below)
        np.copyto(codes, below, where=bits >> np.uint64(63) != 0)


@functools.lru_cache(maxsize=256)
def _cast(policy: BDRPolicy, sign: int) -> Policy:
    """Return how numbers of one sign are cast: ties up are ties away or toward zero."""
    rounding = policy.rounding.value
    if policy.rounding is choice.BDRRounding.HALF_UP:
        rounding = "nearest-down" if sign else "nearest-away"
    bits, zero = policy.stochastic_bits, policy.neg_zero.value
    return Policy().replace(rounding=rounding, stochastic_bits=bits, neg_zero=zero)


@_QUIET
def decode(
    scales: Floats,
    subscales: Bytes | None,
    codes: Bytes,
    size: int,
    fmt: BDRFormat,
    out: Floats,
) -> None:
    """Decode flat codes in groups of `size`, each under its share of scale and sub-scale."""
    factors = _widened(scales)
    if subscales is not None:
        each = subscales.size // scales.size if scales.size else 1
        shared = subscales.astype(np.float64)
        if fmt.subscale is SubscaleKind.POW2:
            shared = np.ldexp(1.0, -subscales.astype(np.int32))
        with np.errstate(invalid="ignore"):  # an infinite scale times a sub-scale of 0 is NaN
            factors = np.repeat(factors, each) * shared
    table = _table(fmt)
    has_nan = not bool(np.isfinite(table).all())
    with parallel_slot(codes.size) as parallel:
        kernel = scale_loops.decoder(parallel)
        kernel(codes, table, factors, size, out, out.view(np.uint32), has_nan)


@functools.lru_cache(maxsize=64)
def _table(fmt: BDRFormat) -> NDArray[np.float64]:
    """Return what each code means, before scales."""
    codes = np.arange(fmt.code_count, dtype=np.uint8)
    if fmt.float_element is not None:
        bits = np.empty(codes.size, np.uint32)
        element.decode(codes, fmt.float_element, Policy(), bits)
        return _widened(bits.view(np.float32))
    size = codes.astype(np.int64)
    if fmt.element is Element.TWOS_COMPLEMENT:
        return (size - ((size & fmt.sign_mask) << 1)).astype(np.float64)
    values = (size & fmt.max_magnitude).astype(np.float64)
    return np.where(size & fmt.sign_mask, -values, values)
