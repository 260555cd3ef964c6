"""Elements as integers, how many digits they need, and which of two plans is the cheaper.

*Aligned*: every element of a row is moved up to the least scale of the row, and K is one run of
integers. *By block*: elements stay as they are, and the sum of each block is weighed by its scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import ElementFormat, Kind
from mxref.kernels.gemm.pack import digit_table

__all__ = ["MOST_DIGITS", "Integers", "Plan", "integers_from", "integers_of", "plan_of"]

_CODES = 256
MOST_DIGITS = 31  # what one level of an int32 tile has room for; see kernels.gemm.product
_SIDE = 32


@dataclass(frozen=True, slots=True, eq=False)
class Integers:
    """An element format as integers.

    Attributes
    ----------
    table : ndarray of int64, shape (256,)
        The element of each code in units of 2^unit; 0 for NaN, infinities and codes that are none.
    unit : int
    most, least : int
        The largest and the least integer.
    mask, excess : int
        For `kernels.gemm.survey`.
    digits : ndarray of int64
        How many digits an element needs when it is moved up by 0, 1, 2 ... bits.
    places : ndarray of int8
        The digits themselves: `kernels.gemm.pack.digit_table`.
    """

    table: NDArray[np.int64]
    unit: int
    most: int
    least: int
    mask: int
    excess: int
    digits: NDArray[np.int64]
    places: NDArray[np.int8]


@cache
def integers_of(fmt: ElementFormat) -> Integers:
    """Return the integers of an element format.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> found = integers_of(element_format("e2m1"))
    >>> found.table[:8].tolist(), found.unit
    ([0, 1, 2, 3, 4, 6, 8, 12], -1)
    """
    codes = np.arange(_CODES)
    special = 0x80
    if fmt.kind is Kind.FIXED:
        table = codes.astype(np.uint8).view(np.int8).astype(np.int64)
        unit, mask = -fmt.mantissa_bits, 0xFF
    else:
        mask = fmt.sign_mask - 1
        magnitude = codes & mask
        field, low = magnitude >> fmt.mantissa_bits, magnitude & ((1 << fmt.mantissa_bits) - 1)
        hidden = np.where(field > 0, 1 << fmt.mantissa_bits, 0)
        size = (low + hidden) << np.maximum(field - 1, 0)
        table = np.where(codes & fmt.sign_mask, -size, size)
        unit = fmt.emin - fmt.mantissa_bits
        specials = [*fmt.nan_magnitudes]
        specials += [] if fmt.inf_magnitude is None else [fmt.inf_magnitude]
        if specials:
            special = min(specials)
            table[magnitude >= special] = 0
        table[codes >= fmt.code_count] = 0
    return integers_from(table, unit, mask=mask, excess=0x80 - special)


def integers_from(table: NDArray[Any], unit: int, *, mask: int, excess: int = 0) -> Integers:
    """Return integers by their table.

    Parameters
    ----------
    table : ndarray of int, shape (256,)
        Below 2^33 in magnitude.
    unit, mask, excess : int
        As in `Integers`.
    """
    table = table.astype(np.int64)
    most, least = int(table.max()), int(table.min())
    digits = np.array([_digits_needed(most << up, least << up) for up in range(_CODES)])
    return Integers(table, unit, most, least, mask, excess, digits, digit_table(table))


def _digits_needed(most: int, least: int) -> int:
    count, ones = 1, 1
    while most > 127 * ones or least < -128 * ones:
        count, ones = count + 1, ones * 256 + 1
    return count


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How two operands are cut into digits.

    Attributes
    ----------
    is_aligned : bool
    a_planes, b_planes : ndarray of int64
        Digits of each panel of 32 rows.
    exact : ndarray of bool, shape (panels of a, panels of b)
        Where float64 holds every sum.
    reach : ndarray of float64, shape (panels of a, panels of b)
        A bound on all partial sums, in units of the least product of a result's row and column.
    is_joint : bool
        Whether float64 holds the sum of one block.
    terms : int
        How many terms a float64 sum has at most.
    """

    is_aligned: bool
    a_planes: NDArray[np.int64]
    b_planes: NDArray[np.int64]
    exact: NDArray[np.bool_]
    reach: NDArray[np.float64]
    is_joint: bool
    terms: int


# Nanoseconds on one core for a step of 64 (aligned), for one of a block of 32, and for weighing one
# tile (measured on a Sapphire Rapids; only their ratios count), in the order of the paths' names.
_COSTS = ((1000.0, 550.0, 150.0), (230.0, 125.0, 160.0), (50.0, 60.0, 140.0))


def plan_of(
    a: Integers,
    b: Integers,
    a_spread: NDArray[np.int64],
    b_spread: NDArray[np.int64],
    k: int,
    block: int,
    path: int,
    shares: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
) -> Plan:
    """Choose between the plans, by an estimate of their time.

    Parameters
    ----------
    a, b : Integers
    a_spread, b_spread : ndarray of int64
        The largest difference of two scale codes within a row, for each panel.
    k, block : int
        The length of the sum, and the block size.
    path : int
        Which instructions, as an index of `kernels.gemm.cpu.NAMES`.
    shares : (ndarray of float64, ndarray of float64) or None
        Of each plane of the aligned operands, the share of its steps that hold more than zeros;
        None where aligned operands would have too many planes.
    """
    step, single, weigh = _COSTS[path]
    still = [
        np.full(len(spread), side.digits[0]) for side, spread in ((a, a_spread), (b, b_spread))
    ]
    pairs, blocks = int(a.digits[0] * b.digits[0]), -(-k // block)
    levels = int(a.digits[0] + b.digits[0] - 1)
    by_block = blocks * (pairs * single * max(1, block / 32) + levels * weigh)
    if shares is not None:
        products = float(shares[0].sum() * shares[1].sum())
        levels = len(shares[0]) + len(shares[1]) - 1
        if products * step * (k / 64) + levels * weigh * (1 + k // 4096) <= by_block:
            moved = [side.digits[spread] for side, spread in ((a, a_spread), (b, b_spread))]
            return _plan(a, b, a_spread, b_spread, k, moved)
    return _plan(a, b, a_spread, b_spread, k, still, block, blocks)


def _plan(  # both sides of everything
    a: Integers,
    b: Integers,
    a_spread: NDArray[np.int64],
    b_spread: NDArray[np.int64],
    k: int,
    planes: list[NDArray[np.int64]],
    block: int = 0,
    blocks: int = 0,
) -> Plan:
    is_aligned, groups = not blocks, max(blocks, 1)
    lift = [np.exp2(spread.astype(np.float64)) for spread in (a_spread, b_spread)]
    most = [float(max(side.most, -side.least)) for side in (a, b)]
    # Partial sums come from the highest level down: they differ from the sum by the levels below.
    below = planes[0][:, None] + planes[1][None, :] - 3
    count = np.minimum(planes[0][:, None], planes[1][None, :])
    rest = np.where(below >= 0, np.exp2(8.0 * below + 14) * count * 1.01, 0.0)
    products = np.outer(most[0] * lift[0], most[1] * lift[1])
    of_block = float((most[0] * most[1] + rest.max(initial=0.0)) * min(k, block) * 1.01)
    rest = rest if is_aligned else rest * np.outer(lift[0], lift[1])
    reach = (products + rest) * (max(k, 1) * 1.01)
    per_group = max(1, -(-(k // groups) // 4096) + 1)
    levels = planes[0].max(initial=1) + planes[1].max(initial=1)
    terms = max(1, int(groups * per_group * levels))
    is_joint = not is_aligned and of_block < 2.0**53
    return Plan(is_aligned, planes[0], planes[1], reach < 2.0**53, reach, is_joint, terms)
