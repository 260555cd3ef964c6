"""What the loops of NVFP4 look up: for each scale code its factor, its bounds and its values.

A table is made once for a tensor. Every entry is made by the float32 steps of the recipe, in the
default floating-point mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.exact import ieee
from mxref.exact.number import Number
from mxref.exact.nvfp4_arithmetic import ONE, fl, over, real, times
from mxref.kernels import _nvfp4_numpy as plain
from mxref.kernels._jit import float_kernel
from mxref.kernels.float_mode import restore_floats, steady_floats
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["Encoder", "encoder", "key_of", "scale_bounds", "scale_parameters", "values"]

f32, f64 = np.float32, np.float64
Bits = NDArray[np.uint32]

_ALL = np.arange(256, dtype=np.uint8)
_INFINITY = np.uint32(0x7F800000)
_LARGEST, _LARGEST_BF16 = np.uint32(0x7F7FFFFF), np.uint32(0x7F7F0000)
_MIDDLES = (plain.ELEMENTS[1:] + plain.ELEMENTS[:-1]) / 2
_ORDERS = {order: place for place, order in enumerate(choice.ElementOrder)}


class Encoder(NamedTuple):
    """What turns an element into its code, by scale code.

    Attributes
    ----------
    factors, flips : uint32 array of 256
        The bits of what the element is multiplied with or divided by, and the sign of the scale.
    units : float64 array of 256
        What E2M1 values are multiplied with before they are compared with the result: 1, unless the
        order is exact.
    below : uint32 array of 256 * 8
        For each code from 1 to 7 the largest magnitude below it.
    is_by_code : bool
        Whether `below` differs from scale code to scale code.
    """

    factors: Bits
    flips: Bits
    units: NDArray[np.float64]
    below: Bits
    is_by_code: bool


def number_of(x: np.float32) -> Number:
    """Return a float32 as an exact number."""
    return ieee.from_bits(int(np.float32(x).view(np.uint32)), "float32")


def bits_of(number: Number) -> int:
    """Return the bits of an exact number, rounded to float32."""
    return ieee.to_bits(number, "float32")


# --- scales -------------------------------------------------------------------------------------


def scale_parameters(of: plain.Globals, policy: NVFP4Policy, *, is_four: bool = False) -> Bits:
    """Return what `nvfp4_scales` reads, as bits.

    The divisor of b, the factor or divisor of the result, what is multiplied to that, the least
    scale, what becomes of a wanted 0, the code for what lies beyond 448, and what becomes of the
    code 0. For the order exact, whose scales are searched for, the steps make a guess.
    """
    T, S, g = real(plain.target(policy)), number_of(of.encode), number_of(of.decode)
    divisor = ONE
    match policy.scale_order:
        case choice.ScaleOrder.FOLDED:
            factor = times(S, fl(over(ONE, T)))
        case choice.ScaleOrder.DIVIDED:
            divisor, factor = T, S
        case choice.ScaleOrder.QUOTIENT:
            divisor, factor = T, g
        case _:
            factor = times(T, g)
    guesses = policy.scale_order is choice.ScaleOrder.EXACT
    is_one = policy.scale_zero is choice.ScaleZero.ONE and not guesses
    is_eighth = policy.scale_zero is choice.ScaleZero.EIGHTH and not guesses
    least = {"0": 0.0, "2^-9": 2.0**-9, "2^-6": 2.0**-6}[policy.scale_least.value]
    last = np.array([1.5 if is_four else 1.0, least, 1.0 if is_one else 0.0], np.float32)
    over_code = 0x7F if policy.scale_overflow is choice.ScaleOverflow.NAN else 0x7E
    codes = [over_code, 0x20 if is_eighth else 0]
    found = [bits_of(divisor), bits_of(factor), *last.view(np.uint32).tolist(), *codes]
    return np.array(found, np.uint32)


def scale_bounds(unit: np.float64, policy: NVFP4Policy) -> NDArray[np.float64]:
    """Return the least number, times `unit`, that reaches each code from 1 to 0x7F."""
    grid = np.append(plain.SCALE_TABLE[:127], 480.0)
    middles = (grid[1:] + grid[:-1]) / 2 * unit  # exact: at most 32 bits
    match policy.scale_rounding:
        case choice.ScaleRounding.TOWARD_ZERO:
            return np.asarray(grid[1:] * unit, np.float64)
        case choice.ScaleRounding.NEAREST_UP:
            return np.asarray(middles, np.float64)
        case _:
            is_even_below = np.arange(127) % 2 == 0  # a tie stays there
            return np.asarray(np.where(is_even_below, np.nextafter(middles, np.inf), middles))


# --- elements -----------------------------------------------------------------------------------


def key_of(of: plain.Globals) -> tuple[int, int]:
    """Return the bits of S and g."""
    return int(of.encode.view(np.uint32)), int(of.decode.view(np.uint32))


@functools.lru_cache(maxsize=64)
def encoder(of: tuple[int, int], policy: NVFP4Policy) -> Encoder:
    """Return what turns elements into codes; `of` are the bits of S and g."""
    S, g = np.array(of, np.uint32).view(np.float32)
    s = plain.scale_values(_ALL, policy)
    flips = np.where(np.signbit(s), np.uint32(1 << 31), np.uint32(0)).astype(np.uint32)
    is_exact = policy.element_order is choice.ElementOrder.EXACT
    units = np.ones(256)
    factors = np.empty(256, np.float32)
    if is_exact:
        units = np.abs(s) * np.float64(g)
        factors[:] = np.where(np.isnan(s), np.float32(np.nan), np.float32(1))
    else:
        _factor_loop(_ORDERS[policy.element_order])(s.astype(np.float32), S, g, factors)
    bits = factors.view(np.uint32)
    if not is_exact and policy.element_order not in (
        choice.ElementOrder.DIVIDE,
        choice.ElementOrder.DIVIDE_ENCODE,
    ):
        bits = _finished(bits, policy)
    bounds = np.where(np.isnan(units), 1.0, units)[:, None] * _grid(policy)
    below = np.zeros((256, 8), np.float32)
    _bound_loop()(bounds, _inclusive(policy), below)
    below_bits = below.view(np.uint32)
    no_scale = s == 0
    is_by_code = is_exact
    if policy.zero_scale is choice.ZeroScale.ZERO:
        # Nothing but a NaN is above infinity.
        below_bits[no_scale] = _INFINITY
        bits[no_scale] = np.float32(1).view(np.uint32)
        units = np.where(no_scale, np.inf, units)
        is_by_code = True
    return Encoder(bits, flips, units, below_bits.reshape(-1), is_by_code)


def _grid(policy: NVFP4Policy) -> NDArray[np.float64]:
    """The number at which each code from 1 to 7 begins."""
    truncates = policy.rounding in (choice.Rounding.TOWARD_ZERO, choice.Rounding.STOCHASTIC)
    return plain.ELEMENTS[1:] if truncates else _MIDDLES


def _inclusive(policy: NVFP4Policy) -> NDArray[np.bool_]:
    """Whether the number at which a code begins belongs to it."""
    if policy.rounding is choice.Rounding.NEAREST_EVEN:
        return np.asarray(np.arange(7) % 2 == 1)
    return np.full(7, policy.rounding is not choice.Rounding.NEAREST_DOWN)


def _finished(bits: Bits, policy: NVFP4Policy) -> Bits:
    """Factors within the bound of the policy, and in its type."""
    is_narrow = policy.factor_type is choice.FactorType.BFLOAT16
    largest = _LARGEST_BF16 if is_narrow else _LARGEST
    if policy.factor_cap is choice.FactorCap.CLAMP:
        is_nan = (bits & np.uint32(0x7FFFFFFF)) > _INFINITY
        is_above = (bits > largest) & (bits < np.uint32(1 << 31))
        bits = np.where(is_nan | is_above, largest, bits)
    if is_narrow:
        is_nan = (bits & np.uint32(0x7FFFFFFF)) > _INFINITY
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        rounded = (bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)
        bits = np.where(is_nan, bits, rounded)
    return np.ascontiguousarray(bits, np.uint32)


@functools.cache
def _factor_loop(order: int) -> Callable[..., None]:
    ORDER = order
    RECIPROCAL, QUOTIENT, ENCODE = (
        int(_ORDERS[choice.ElementOrder.RECIPROCAL]),
        int(_ORDERS[choice.ElementOrder.QUOTIENT]),
        int(_ORDERS[choice.ElementOrder.ENCODE]),
    )
    DIVIDE = int(_ORDERS[choice.ElementOrder.DIVIDE])

    @float_kernel(key=f"nvfp4-factors-{order}", parallel=False)
    def fill(s, S, g, factors):  # type: ignore[no-untyped-def]
        mode = steady_floats()
        for i in range(256):
            if ORDER == RECIPROCAL:
                product = f32(s[i] * g)
                factors[i] = f32(1) / product
            elif ORDER == QUOTIENT:
                reciprocal = f32(f32(1) / g)
                factors[i] = reciprocal / s[i]
            elif ORDER == ENCODE:
                factors[i] = S / s[i]
            elif ORDER == DIVIDE:
                factors[i] = s[i] * g
            else:
                factors[i] = s[i] / S
        restore_floats(mode)

    return fill


@functools.cache
def _bound_loop() -> Callable[..., None]:
    """The largest float32 below each bound, or at it where it does not belong to the code."""

    @float_kernel(key="nvfp4-bounds", parallel=False)
    def fill(bounds, is_inclusive, below):  # type: ignore[no-untyped-def]
        mode = steady_floats()
        for i in range(bounds.shape[0]):
            for k in range(7):
                bound = bounds[i, k]
                nearest = f32(bound)
                if bound == f64(0):
                    nearest = f32(0)
                elif f64(nearest) > bound or (f64(nearest) == bound and is_inclusive[k]):
                    nearest = np.nextafter(nearest, f32(0))
                below[i, k] = nearest
        restore_floats(mode)

    return fill


# --- values -------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def values(g_bits: int, policy: NVFP4Policy) -> Bits:
    """Return the bits of the values of codes 0 to 7 under each scale code."""
    g = np.uint32(g_bits).view(np.float32)
    s = plain.scale_values(_ALL, policy)
    found = np.empty(256 * 8, np.float32)
    is_exact = policy.decode_order is choice.DecodeOrder.EXACT
    _value_loop(int(is_exact))(s, plain.ELEMENTS, g, found)
    return found.view(np.uint32)


@functools.cache
def _value_loop(is_exact: int) -> Callable[..., None]:
    IS_EXACT = is_exact

    @float_kernel(key=f"nvfp4-values-{is_exact}", parallel=False)
    def fill(s, e, g, found):  # type: ignore[no-untyped-def]
        mode = steady_floats()
        for i in range(256):
            for k in range(8):
                if IS_EXACT:
                    found[i * 8 + k] = f32(e[k] * s[i] * f64(g))
                else:
                    unit = f32(f32(s[i]) * g)
                    found[i * 8 + k] = unit * f32(e[k])
        restore_floats(mode)

    return fill


def words(table: Any) -> Bits:
    """Return float32 numbers as words."""
    return np.ascontiguousarray(table, np.float32).view(np.uint32)
