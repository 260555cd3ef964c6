"""Block scales in the wrong order (L3): that of tensor cores taken for row by row, or undone twice.

Every scale is right, and belongs to another block: what follows is judged in the right order.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mxref.check._problem import spread
from mxref.check.nvfp4._data import Data
from mxref.check.nvfp4._policies import profile_policies, static
from mxref.check.nvfp4._stages import ScaleStage, ValueStage
from mxref.check.parts import Finding
from mxref.check.relatives import Stage, fault_finding
from mxref.layouts import pack_scales, unpack_scales
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["order_of_read_scales", "order_of_scales"]

_FEW = 512
_TILE = (128, 4)
_HANDED_ON = ("not undone", "undone where there is none", "applied twice", "undone twice")
_READ = (_HANDED_ON[1], "applied where there is none", "undone twice", "applied twice")
_Codes = NDArray[np.uint8]


def order_of_scales(data: Data, base: NVFP4Policy) -> list[Finding]:
    """Say that scales were handed on in another order; `Data.reorder` is called then."""
    recipes = static((base, *profile_policies(base)))
    return _found(data, recipes, ScaleStage, _HANDED_ON)


def order_of_read_scales(data: Data, base: NVFP4Policy) -> list[Finding]:
    """Say that a decoder took scales in another order, likewise."""
    recipes = [base.replace(decode_order=order) for order in ("exact", "scale-first")]
    return _found(data, recipes, ValueStage, _READ)


def _found(
    data: Data,
    recipes: list[NVFP4Policy],
    kind: type[ScaleStage | ValueStage],
    names: tuple[str, ...],
) -> list[Finding]:
    given = data.scales
    orders = [] if not _is_tiled(data) else list(_orders(given, names))
    if not orders or any(_fits(kind(data), policy, every=False) for policy in recipes):
        return []
    for detail, scales in orders:
        data.reorder(scales)
        for policy in recipes:
            # A few blocks first: most orders and recipes fail there.
            if _fits(kind(data), policy, every=False) and _fits(kind(data), policy, every=True):
                data.reorder(given)
                found = _finding(kind(data), policy, detail)
                data.reorder(scales)
                return [found]
    data.reorder(given)
    return []


def _is_tiled(data: Data) -> bool:
    """Whether scales fill whole tiles, so that their order cannot be seen from their number."""
    rows, columns = int(np.prod(data.scales.shape[:-1])), data.scales.shape[-1]
    is_last = data.axis == len(data.shape) - 1
    return bool(is_last and data.scales.size and not rows % _TILE[0] and not columns % _TILE[1])


def _orders(given: _Codes, names: tuple[str, ...]) -> Iterator[tuple[str, _Codes]]:
    """The order in which scales should have been, by what may have happened to them."""
    plane = given.reshape(-1, given.shape[-1])
    undone, packed = _undone(plane), _packed(plane)
    found = undone, packed, _undone(undone), _packed(packed)
    for name, scales in zip(names, found, strict=True):
        ordered = scales.reshape(given.shape)
        if not np.array_equal(ordered, given):
            yield f"128x4, {name}", ordered


def _packed(plane: _Codes) -> _Codes:
    return pack_scales(plane, "128x4").reshape(plane.shape)


def _undone(plane: _Codes) -> _Codes:
    rows, columns = plane.shape
    found = unpack_scales(np.ascontiguousarray(plane).reshape(-1), "128x4", (rows, columns))
    return np.ascontiguousarray(found)


def _fits(stage: Stage, policy: NVFP4Policy, *, every: bool) -> bool:
    blocks = stage.blocks
    if every:
        return not any(stage.wrong(policy, (), piece).any() for piece in blocks.pieces())
    few = blocks.take(spread(np.arange(blocks.n), _FEW))
    return not stage.wrong(policy, (), few).any()


def _finding(stage: Stage, policy: NVFP4Policy, detail: str) -> Finding:
    """Show the first code, as it was given, that is not what the policy asks for."""
    for piece in stage.blocks.pieces():
        due = stage.make(policy, (), piece)
        wrong = stage.differs(due, piece)
        if wrong.any():
            at, lane = (int(i) for i in np.argwhere(wrong)[0])
            shown = stage.witness(int(piece.rows[at]), lane, due[at, lane])
            return fault_finding("L3", detail, 1.0, 0, shown)
    return fault_finding("L3", detail, 1.0, 0, None)
