"""The search for the order in which codes and scale codes lie: what the bytes are read as.

A search ranks orders by what survives other defects. Scale codes may be off by one everywhere and
elements rounded wrongly: an order is judged by how much of the disorder it removes. What it leaves
is the business of the checks of blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check.tensor._data import ElementOrder, Stored, Where, wrong_element_orders
from mxref.check.tensor._dictionary import Indices, ScaleOrder
from mxref.check.tensor._mistakes import wrong_scale_orders
from mxref.faults.decode import element_table
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["Reading", "Trial", "read_quantized", "read_resized", "read_values"]

_SAMPLE = 1 << 14
_VALUES = 1 << 12  # of all, and as many of those that are wrong
_FAR = 4  # scale codes that differ by more are simply wrong
_BETTER = 0.5  # an order must remove at least this share of the disorder
_FINALISTS = 6
_NAN_SCALE = 0xFF
_LEAST_NORMAL = 2.0**-126

_Order = TypeVar("_Order", ElementOrder, ScaleOrder)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The orders that are assumed of a stored tensor."""

    elements: ElementOrder
    scales: ScaleOrder


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A stored tensor, and its numbers: what was quantized, or what was decoded."""

    stored: Stored
    numbers: NDArray[Any]

    def axis(self, reading: Reading) -> int:
        """Along which blocks lie under a reading."""
        axis = self.stored.axis
        return 1 - axis if reading.scales.turned else axis

    def taken(self, reading: Reading) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Codes and scale plane under a reading."""
        return self.stored.all_codes(reading.elements), self.stored.all_scales(reading.scales)


# --- decoded values ---------------------------------------------------------------------------


def read_values(
    trials: Sequence[Trial], fmt: BlockFormat, declared: Reading, policy: Policy
) -> list[Reading]:
    """Find how a reader took the bytes from which it decoded values.

    Returns
    -------
    list of Reading
        The best first; behind it those that fit as well.
    """
    samples = [_sample(t, _wrong_values(t, fmt, declared, policy)) for t in trials]

    def disorder_of_codes(order: ElementOrder) -> float:
        return _total(_code_cost(t, order, w, fmt) for t, w in samples)

    def wrong(reading: Reading) -> int:
        return sum(int(_wrong_values(t, fmt, reading, policy).sum()) for t in trials)

    stored = trials[0].stored
    wrong_orders = wrong_element_orders(
        declared.elements, has_nibbles=stored.has_nibbles, k=stored.k
    )
    orders = list(wrong_orders)
    found = []
    for elements in _best(declared.elements, orders, disorder_of_codes):

        def disorder_of_scales(order: ScaleOrder, elements: ElementOrder = elements) -> float:
            return _total(_value_cost(t, elements, order, w, fmt) for t, w in samples)

        scales = _scale_orders(declared.scales, elements)
        first = scales[0] if elements.record else declared.scales
        found += [Reading(elements, s) for s in _best(first, scales, disorder_of_scales)]
    return _least(found, declared, wrong)


def _wrong_values(
    trial: Trial, fmt: BlockFormat, reading: Reading, policy: Policy
) -> NDArray[np.bool_]:
    codes, scales = trial.taken(reading)
    codes &= np.uint8(fmt.element.code_count - 1)
    expected = arrays.dequantize(codes, scales, fmt, trial.axis(reading), policy)
    differs = expected.view(np.uint32) != trial.numbers.view(np.uint32)
    return np.asarray(differs & ~(np.isnan(expected) & np.isnan(trial.numbers)))


def _sample(trial: Trial, wrong: NDArray[np.bool_]) -> tuple[Trial, Where]:
    """Some elements: of all, and of those that are wrong as declared."""
    rng = np.random.default_rng(0)
    every, bad = np.arange(wrong.size), np.flatnonzero(wrong)
    parts = [p if len(p) <= _VALUES else rng.choice(p, _VALUES) for p in (every, bad)]
    row, column = np.unravel_index(np.unique(np.concatenate(parts)), wrong.shape)
    return trial, (row, column)


def _total(costs: Iterable[tuple[float, int]]) -> float:
    """The mean cost over all trials."""
    pairs = list(costs)
    return sum(cost for cost, _ in pairs) / max(1, sum(count for _, count in pairs))


def _code_cost(
    trial: Trial, order: ElementOrder, where: Where, fmt: BlockFormat
) -> tuple[float, int]:
    """Where sign and significand of a value are not those of its code, whatever the scale is."""
    value = _elements(trial, order, where, fmt)
    given = trial.numbers[where].astype(np.float64)
    fine = np.isfinite(given) & np.isfinite(value) & ~_is_tiny(given)
    got, expected = np.frexp(given)[0], np.frexp(value)[0]
    differs = (got != expected) | (np.signbit(given) != np.signbit(value))
    # A zero that fits because nothing was there says little: an order must not win by such.
    blank = trial.stored.lost(order, where) & ~differs
    return float((differs & fine).sum() + 0.5 * (blank & fine).sum()), int(fine.sum())


def _elements(
    trial: Trial, order: ElementOrder, where: Where, fmt: BlockFormat
) -> NDArray[np.float64]:
    codes = trial.stored.take_codes(order, where) & np.uint8(fmt.element.code_count - 1)
    return np.asarray(element_table(fmt.element)[codes], np.float64)


def _is_tiny(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Subnormal results lose bits of their significand."""
    return np.asarray((values != 0) & (np.abs(values) < _LEAST_NORMAL))


def _value_cost(
    trial: Trial, elements: ElementOrder, order: ScaleOrder, where: Where, fmt: BlockFormat
) -> tuple[float, int]:
    """How far the exponents of values are from those that their scales ask for."""
    value = _elements(trial, elements, where, fmt)
    given = trial.numbers[where].astype(np.float64)
    taken = _scales_at(trial, order, where).astype(np.int64)
    fine = np.isfinite(value) & (value != 0) & (given != 0) & ~np.isinf(given) & ~_is_tiny(given)
    lost = np.isnan(given)
    own = np.where(lost, 0, np.frexp(given)[1] - np.frexp(value)[1] + 127)
    off = own - taken
    return _cost(off, fine, lost != (taken == _NAN_SCALE), lost | (taken == _NAN_SCALE))


def _cost(
    off: Indices, fine: NDArray[np.bool_], odd: NDArray[np.bool_], special: NDArray[np.bool_]
) -> tuple[float, int]:
    """Distances of scale codes, a constant distance forgiven: that is another defect."""
    plain = fine & ~special
    usual = int(np.median(off[plain])) if plain.any() else 0
    far = np.minimum(np.abs(off - usual), _FAR)
    cost = np.where(special, _FAR * odd, far)
    return float(cost[fine].sum()), int(fine.sum())


def _scales_at(trial: Trial, order: ScaleOrder, where: Where) -> NDArray[np.uint8]:
    row, column = where
    k = trial.stored.k
    if trial.stored.plane(turned=order.turned).axis == 1:
        return trial.stored.take_scales(order, row, column // k)
    return trial.stored.take_scales(order, column, row // k)


def _scale_orders(declared: ScaleOrder, elements: ElementOrder) -> list[ScaleOrder]:
    """Those that go with an order of the elements: records hold both."""
    return [o for o in wrong_scale_orders(declared) if o.record == elements.record]


def _best(
    declared: _Order, others: Sequence[_Order], disorder: Callable[[_Order], float]
) -> list[_Order]:
    """The orders that remove the disorder, the best first; as declared where none is better."""
    asked = disorder(declared)
    if asked == 0:
        return [declared]
    ranked = sorted(((disorder(order), i) for i, order in enumerate(others)))
    limit = max(1.1 * ranked[0][0], ranked[0][0] + 0.01) if ranked else 0
    fits = [others[i] for cost, i in ranked if cost <= min(limit, _BETTER * asked)]
    return fits[:_FINALISTS] or [declared]


def _least(
    found: list[Reading], declared: Reading, wrong: Callable[[Reading], int]
) -> list[Reading]:
    """The readings with the fewest mismatches on all data.

    Where none has clearly fewer, something else is wrong everywhere: then the declared one comes
    first, and those that bring order behind it.
    """
    if len(found) == 1 and _is(found[0], declared):
        return found
    counts = [wrong(reading) for reading in found]
    least = [r for r, count in zip(found, counts, strict=True) if count == min(counts)]
    if min(counts) > _BETTER * wrong(declared):
        return [declared, *(r for r in least if not _is(r, declared))]
    return least


def _is(reading: Reading, declared: Reading) -> bool:
    return reading.elements is declared.elements and reading.scales is declared.scales


# --- quantized codes --------------------------------------------------------------------------


def read_quantized(
    trials: Sequence[Trial], fmt: BlockFormat, declared: Reading, policy: Policy
) -> list[Reading]:
    """Find the order in which a quantizer wrote its bytes; as `read_values`."""
    expected = [_expected_planes(t, fmt, policy) for t in trials]
    places = [_spread(t.stored.shape) for t in trials]

    def disorder_of_scales(order: ScaleOrder) -> float:
        return _total(_plane_cost(t, order, e) for t, e in zip(trials, expected, strict=True))

    found = []
    others = list(wrong_scale_orders(declared.scales))
    for scales in _best(declared.scales, others, disorder_of_scales):
        ours = [_expected_codes(t, scales, fmt, policy) for t in trials]

        def disorder_of_codes(order: ElementOrder, ours: list[_Codes] = ours) -> float:
            each = zip(trials, ours, places, strict=True)
            return _total(_codes_cost(t, order, o, w) for t, o, w in each)

        orders = _element_orders(declared.elements, scales, trials[0].stored)
        first = orders[0] if scales.record else declared.elements
        found += [Reading(e, scales) for e in _best(first, orders, disorder_of_codes)]

    def wrong(reading: Reading) -> int:
        return sum(wrong_codes(t, fmt, reading, policy) for t in trials)

    return _least(found, declared, wrong)


def read_resized(
    trials: Sequence[Trial], fmt: BlockFormat, declared: Reading, policy: Policy
) -> list[Reading]:
    """Orders that take as many bytes for the scales as there are; the likeliest first."""

    def fits(order: ScaleOrder) -> bool:
        planes = ((t, t.stored.plane(turned=order.turned)) for t in trials)
        return not order.record and all(order.size(p) == t.stored.scales.size for t, p in planes)

    orders = [o for o in wrong_scale_orders(declared.scales) if fits(o)]
    expected = [_expected_planes(t, fmt, policy) for t in trials]
    costs = []
    for place, order in enumerate(orders):
        pairs = zip(trials, expected, strict=True)
        costs.append((_total(_plane_cost(t, order, e) for t, e in pairs), place))
    return [Reading(declared.elements, orders[place]) for _, place in sorted(costs)]


_Codes = tuple[NDArray[np.uint8], NDArray[np.bool_]]


def _expected_planes(
    trial: Trial, fmt: BlockFormat, policy: Policy
) -> dict[int, tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Scale codes for either axis, lines first, and which of them say something."""
    result = {}
    lax = policy.replace(block_tail="zero-pad")
    for axis in (0, 1):
        scales = arrays.quantize(trial.numbers, fmt, axis, lax).scales
        lines = scales if axis == 1 else scales.T
        result[axis] = lines, lines != _silent(policy)
    return result


def _silent(policy: Policy) -> int:
    """A code that many blocks have for reasons of their own: that of a block of zeros."""
    return 127 if policy.scale_zero_block == "one" else 0


def _plane_cost(
    trial: Trial, order: ScaleOrder, expected: dict[int, tuple[NDArray[np.uint8], Any]]
) -> tuple[float, int]:
    plane = trial.stored.plane(turned=order.turned)
    right, telling = expected[plane.axis]
    line, block = np.indices((plane.lines, plane.blocks))
    taken = trial.stored.take_scales(order, line, block).astype(np.int64)
    special = (taken == _NAN_SCALE) | (right == _NAN_SCALE)
    odd = (taken == _NAN_SCALE) != (right == _NAN_SCALE)
    return _cost(taken - right, telling, odd, special)


def _expected_codes(trial: Trial, order: ScaleOrder, fmt: BlockFormat, policy: Policy) -> _Codes:
    """Element codes for the scales under an order, and which of them mean something."""
    stored = trial.stored
    plane = stored.all_scales(order)
    axis = stored.plane(turned=order.turned).axis
    codes = arrays.encode_with_scale(trial.numbers, plane, fmt, axis, policy)
    is_number = np.repeat(plane != _NAN_SCALE, stored.k, axis)
    return codes, is_number[: stored.shape[0], : stored.shape[1]]


def _spread(shape: tuple[int, int]) -> Where:
    count = shape[0] * shape[1]
    every = np.arange(count)
    chosen = every if count <= _SAMPLE else np.random.default_rng(0).choice(every, _SAMPLE)
    row, column = np.unravel_index(chosen, shape)
    return row, column


def _codes_cost(trial: Trial, order: ElementOrder, ours: _Codes, where: Where) -> tuple[float, int]:
    codes, telling = ours[0][where], ours[1][where]
    differs = (trial.stored.take_codes(order, where) != codes) & telling
    return float(differs.sum()), int(telling.sum())


def _element_orders(
    declared: ElementOrder, scales: ScaleOrder, stored: Stored
) -> list[ElementOrder]:
    orders = wrong_element_orders(declared, has_nibbles=stored.has_nibbles, k=stored.k)
    return [o for o in orders if o.record == scales.record]


def wrong_codes(trial: Trial, fmt: BlockFormat, reading: Reading, policy: Policy) -> int:
    """How many scale and element codes differ, elements under the scales that were emitted."""
    expected, _ = _expected_planes(trial, fmt, policy)[trial.axis(reading)]
    _, scales = trial.taken(reading)
    lines = scales if trial.axis(reading) == 1 else scales.T
    # Under a NaN scale no code can be wrong: an order must not win by reading one.
    lost = (lines == _NAN_SCALE) & (expected != _NAN_SCALE)
    bad = int((lines != expected).sum()) + fmt.block_size * int(lost.sum())
    codes, telling = _expected_codes(trial, reading.scales, fmt, policy)
    return bad + int(((trial.stored.all_codes(reading.elements) != codes) & telling).sum())
