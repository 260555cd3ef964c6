"""What a stored tensor cannot show: orders under which its bytes read the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mxref.check.parts import Gap
from mxref.check.tensor._data import wrong_element_orders
from mxref.check.tensor._mistakes import wrong_scale_orders
from mxref.check.tensor._search import Reading, Trial

__all__ = ["order_gaps"]

_MOST = 1 << 18  # elements: a larger tensor has them all, unless it is constant
_LINES, _BLOCKS = 129, 5  # just beyond a tile of 128 x 4


def order_gaps(trials: Sequence[Trial], declared: Reading) -> tuple[Gap, ...]:
    """Faults of order of which no variant would have changed anything.

    Parameters
    ----------
    trials : sequence of Trial
        Tensors in which nothing is wrong.
    declared : Reading
    """
    if sum(t.numbers.size for t in trials) > _MOST:
        return ()
    gaps = []
    unseen = _unseen(_scales_shown(trials, declared))
    if unseen:
        needs = (
            f"A tensor of {_LINES} lines by {_BLOCKS} blocks, with another scale code in each of "
            "the blocks next to each other, such as amax 2^((line + 3 * block) % 16)."
        )
        gaps.append(Gap("the order of the scale codes", unseen, needs))
    unseen = _unseen(_codes_shown(trials, declared))
    if unseen:
        needs = (
            "A matrix that is not square, of more than one block each way, with codes that "
            "differ from their neighbours: random numbers will do."
        )
        gaps.append(Gap("the order of the element codes", unseen, needs))
    return tuple(gaps)


_Shown = Iterator[tuple[str, bool]]


def _unseen(shown: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    seen: dict[str, bool] = {}
    for fault, differs in shown:
        seen[fault] = seen.get(fault, False) or differs
    return tuple(sorted(fault for fault, differs in seen.items() if not differs))


def _scales_shown(trials: Sequence[Trial], declared: Reading) -> _Shown:
    for order in wrong_scale_orders(declared.scales):
        if order.turned or order.record:
            continue  # these change more than the scales
        pairs = ((t.stored.all_scales(order), t.stored.all_scales(declared.scales)) for t in trials)
        yield order.fault, any(not np.array_equal(a, b) for a, b in pairs)


def _codes_shown(trials: Sequence[Trial], declared: Reading) -> _Shown:
    stored = trials[0].stored
    orders = wrong_element_orders(declared.elements, has_nibbles=stored.has_nibbles, k=stored.k)
    for order in orders:
        if order.record:
            continue
        own = declared.elements
        pairs = ((t.stored.all_codes(order), t.stored.all_codes(own)) for t in trials)
        yield order.fault, any(not np.array_equal(a, b) for a, b in pairs)
