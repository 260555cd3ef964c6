"""Holds what was written against every known layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.check.layout._elements import Elements, element_candidates
from mxref.check.tensor._dictionary import SCALE_ORDERS, Plane, ScaleOrder, places
from mxref.check.tensor._mistakes import wrong_scale_orders
from mxref.formats import BlockFormat
from mxref.layouts import scale_orders
from mxref.layouts.packings import Packing
from mxref.layouts.records import RECORDS, pack_records

__all__ = ["Fit", "Match", "Written", "match_elements", "match_records", "match_scales"]

Bytes = NDArray[np.uint8]
_MOST_LOST = 4
"""Bytes that a mistake may leave open at one end, and lose at the other."""
SCALE_PADS = {name: order.pad for name, order in scale_orders.SCALE_ORDERS.items()}


class Written(NamedTuple):
    """One probe, and what was written for it.

    Attributes
    ----------
    codes : ndarray of uint8, shape (rows, columns)
    scales : ndarray of uint8
        In the shape that the tensor gives them.
    stored : ndarray of uint8
        Bytes of the part in question.
    """

    codes: Bytes
    scales: Bytes
    stored: Bytes


class Fit(NamedTuple):
    """A layout that gives all bytes.

    Attributes
    ----------
    name, fault, source : str
    spare : int
        Bytes behind its end.
    padding : str
        What the bytes hold in which nothing lies.
    is_padded : bool
        Whether that is what its writers put there.
    """

    name: str
    fault: str
    source: str
    spare: int
    padding: str
    is_padded: bool


@dataclass(slots=True)
class Match:
    """What a part was found to be.

    Attributes
    ----------
    fits : list of Fit
        Every layout that gives all bytes, in the order in which they were tried.
    added : int
        What was added to every scale code, modulo 256.
    nearest, wrong, total : str, int, int
        Without a match: the nearest, and how many of its bytes differ.
    """

    fits: list[Fit] = field(default_factory=list)
    added: int = 0
    nearest: str = ""
    wrong: int = 0
    total: int = 0

    @property
    def is_in_use(self) -> bool:
        """Whether a layout in use fits: then mistakes that give the same bytes do not matter."""
        return any(not fit.fault for fit in self.fits)

    def best(self, claimed: str) -> Fit:
        """What was claimed if it fits; else what fits to the last byte, padding included."""
        return min(self.fits, key=lambda fit: (fit.name != claimed, fit.spare, not fit.is_padded))

    def miss(self, name: str, wrong: int, total: int) -> None:
        """Note one that does not fit."""
        if not self.nearest or wrong < self.wrong:
            self.nearest, self.wrong, self.total = name, wrong, total


# --- elements ---------------------------------------------------------------------------------


def match_elements(rounds: Sequence[Written], fmt: BlockFormat, claimed: Packing | None) -> Match:
    """Find the packing of element codes."""
    result = Match()
    for candidate in element_candidates(fmt, claimed):
        if candidate.fault and result.is_in_use:
            break
        _try_elements(result, candidate, rounds, fmt)
    return result


def _try_elements(
    result: Match, candidate: Elements, rounds: Sequence[Written], fmt: BlockFormat
) -> None:
    mask = candidate.mask(rounds[0].codes.shape, fmt.element.bits)
    wrong = 0
    for one in rounds:
        if one.stored.size < mask.size:
            return
        differs = (one.stored[: mask.size] ^ candidate.written(one.codes)) & mask
        wrong = max(wrong, int(np.count_nonzero(differs)))
    if wrong:
        result.miss(candidate.name, wrong, int(np.count_nonzero(mask)))
        return
    spare = rounds[0].stored.size - mask.size
    free = np.concatenate([mask == 0, np.ones(spare, np.bool_)])
    held = _padding(rounds, free)
    if candidate.fault and "different" in held and np.count_nonzero(free) > _MOST_LOST:
        return  # there are codes in what it takes for padding
    fit = Fit(candidate.name, candidate.fault, candidate.source, spare, held, held in ("", "0x00"))
    result.fits.append(fit)


def _padding(rounds: Sequence[Written], free: NDArray[np.bool_]) -> str:
    """What bytes hold in which nothing lies."""
    if not free.any():
        return ""
    held = np.unique(np.concatenate([one.stored[free] for one in rounds]))
    return f"{held[0]:#04x}" if held.size == 1 else f"{held.size} different bytes"


# --- scales -----------------------------------------------------------------------------------


def scale_candidates(claimed: str | None) -> Iterable[ScaleOrder]:
    """What was claimed, what is in use, and what mistakes make of it."""
    if claimed is not None:
        declared = SCALE_ORDERS[claimed]
        yield _in_use(declared)
        known = {order.name: order for order in wrong_scale_orders(declared)}
        yield from (_in_use(order) for order in SCALE_ORDERS.values() if order is not declared)
        yield from (order for name, order in known.items() if name not in SCALE_ORDERS)
        return
    yield from (_in_use(order) for order in SCALE_ORDERS.values())
    seen = set(SCALE_ORDERS)
    for declared in SCALE_ORDERS.values():
        for order in wrong_scale_orders(declared):
            name = order.name
            if not any(known in name for known in SCALE_ORDERS):
                name = f"{name}, for {declared.name}"
            if name not in seen:
                seen.add(name)
                yield ScaleOrder(
                    *(name, order.address, order.size, "", order.fault, order.turned, order.record)
                )


def _in_use(order: ScaleOrder) -> ScaleOrder:
    return ScaleOrder(order.name, order.address, order.size, order.source, "", tile=order.tile)


def match_scales(rounds: Sequence[Written], axis: int, claimed: str | None) -> Match:
    """Find the order of the scale codes."""
    result = Match()
    rows, columns = rounds[0].scales.shape
    plane = Plane(rows, columns, 1) if axis == 1 else Plane(columns, rows, 0)
    for order in scale_candidates(claimed):
        if order.fault and result.is_in_use:
            break
        if not (order.turned or order.record):
            _try_scales(result, order, rounds, plane)
    return result


def _try_scales(result: Match, order: ScaleOrder, rounds: Sequence[Written], plane: Plane) -> None:
    at = places(order, plane)
    size = rounds[0].stored.size
    inside = (at >= 0) & (at < size)
    if not inside.any() or not (order.fault or inside.all()):
        return
    added, wrong = set(), 0
    for one in rounds:
        held = one.stored[np.where(inside, at, 0)]
        own = one.scales if plane.axis == 1 else one.scales.T
        offset = int(np.subtract(held[inside][0], own[inside][0], dtype=np.uint8))
        differs = (held != own + np.uint8(offset)) & inside
        added.add(offset)
        wrong = max(wrong, int(np.count_nonzero(differs | ~inside)))
    lost = int(np.count_nonzero(~inside))
    if wrong > lost or len(added) > 1 or lost > _MOST_LOST:
        result.miss(order.name, max(wrong, 1), at.size)
        return
    free = np.ones(size, np.bool_)
    free[at[inside]] = False
    padding = _padding(rounds, free)
    spare = max(0, size - int(order.size(plane)))
    usual = SCALE_PADS.get(order.name, 0)
    is_padded = padding in ("", f"{usual:#04x}")
    if order.fault and "different" in padding and np.count_nonzero(free) > _MOST_LOST:
        return  # there are scales in what it takes for padding
    result.fits.append(Fit(order.name, order.fault, order.source, spare, padding, is_padded))
    result.added = added.pop()


# --- records ----------------------------------------------------------------------------------


def match_records(rounds: Sequence[Written], fmt: BlockFormat, axis: int) -> Match:
    """Find the record that holds codes and scale codes together."""
    result = Match()
    for record in RECORDS.values():
        if (record.format, record.block_size) != (fmt.name.split("/")[0], fmt.block_size):
            continue
        wrong = total = 0
        for one in rounds:
            codes, scales = (a if axis == 1 else a.T for a in (one.codes, one.scales))
            if codes.shape[1] % record.elements:
                break
            packed = pack_records(scales, codes, record).reshape(-1)
            total = packed.size
            if one.stored.size != total:
                break
            wrong = max(wrong, int(np.count_nonzero(packed != one.stored)))
        else:
            if wrong:
                result.miss(record.name, wrong, total)
            else:
                result.fits.append(Fit(record.name, "", record.used_by, 0, "", is_padded=True))
    return result
