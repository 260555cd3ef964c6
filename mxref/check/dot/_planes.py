"""Operands that are taken for something else as wholes: transposed, exchanged, in another order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._fault import DotFault
from mxref.check.dot._problem import Bytes, DotProblem, Operand
from mxref.check.dot._terms import Planes
from mxref.faults.decode import element_table, scale_table

__all__ = ["moved", "plane_faults"]

Numbers = NDArray[np.intp]

_ONE = 127
_SCALE_CODES = 256


def plane_faults(problem: DotProblem) -> Iterator[DotFault]:
    """Faults of the layout of operands, and of the order of their blocks."""
    yield from _of_blocks(problem)
    if problem.is_matrix:
        yield from _of_scales(problem)
        yield from _of_codes(problem)
        yield from _of_values(problem)


def moved(
    problem: DotProblem,
    name: str,
    detail: str,
    planes: Planes,
) -> DotFault:
    """The fault of a name (its id) that reads other planes."""
    columns = problem.got.shape[1] if problem.is_matrix else 0
    return DotFault(name, detail, {"planes": planes, "columns": columns})


# --- the order of blocks along K --------------------------------------------------------------


def _of_blocks(problem: DotProblem) -> Iterator[DotFault]:
    """One operand's blocks along K in another order than the other's."""
    right = Planes.of(problem)
    block = problem.a.fmt.block_size
    whole = problem.k // block
    for name, order in _orders(whole):
        blocks = np.concatenate([order, np.arange(whole, problem.a.scales.shape[1])])
        lanes = (blocks[:, None] * block + np.arange(block)).reshape(-1)
        for side, codes, scales in (
            ("a", right.codes_a, right.scales_a),
            ("b", right.codes_b, right.scales_b),
        ):
            planes = {f"codes_{side}": codes[:, lanes], f"scales_{side}": scales[:, blocks]}
            yield moved(problem, "L6", f"the blocks of {side} along K {name}", right.but(planes))
            if name != "in reverse":
                del planes[f"codes_{side}"]
                what = f"the scales of {side} along K {name}"
                yield moved(problem, "L5", what, right.but(planes))


def _orders(blocks: int) -> Iterator[tuple[str, Numbers]]:
    """The permutations that loops and layouts make by mistake."""
    every = np.arange(blocks)
    if blocks > 1:
        yield "in reverse", every[::-1]
    for step in (1, 2, 4, 8):
        if blocks > step and blocks % (2 * step) == 0:
            what = "neighbours" if step == 1 else f"neighbouring groups of {step}"
            yield f"with {what} exchanged", every ^ step
    if blocks > 3:
        yield "in rotation by one", np.roll(every, 1)
        yield "in rotation by minus one", np.roll(every, -1)
    for parts in (2, 4, 8):
        if blocks % parts == 0 and blocks > parts:
            interleaved = every.reshape(parts, -1).T.reshape(-1)
            yield f"interleaved from {parts} parts", interleaved
            if parts != blocks // parts:
                yield f"dealt out to {parts} parts", np.argsort(interleaved)


# --- scales -----------------------------------------------------------------------------------


def _of_scales(problem: DotProblem) -> Iterator[DotFault]:
    """Scales of a matrix that are read along the other axis, or with the other operand."""
    right = Planes.of(problem)
    if right.scales_a.shape == right.scales_b.shape:
        exchanged = replace(right, scales_a=right.scales_b, scales_b=right.scales_a)
        yield moved(problem, "G3", "the scales of a and b exchanged", exchanged)
    if right.scales_a.shape[1] > 1:
        for turn, how in (
            (_as_columns, "stored by row are read by column"),
            (_as_rows, "stored by column are read by row"),
        ):
            turned_a, turned_b = turn(right.scales_a), turn(right.scales_b)
            for planes, whose in (
                (replace(right, scales_a=turned_a), "a"),
                (replace(right, scales_b=turned_b), "b"),
                (replace(right, scales_a=turned_a, scales_b=turned_b), "both operands"),
            ):
                yield moved(problem, "L3", f"the scales of {whose} {how}", planes)
    for name, step in (("of the row before", 1), ("of the row behind", -1)):
        for side in ("a", "b"):
            plane = f"scales_{side}"
            rolled = np.roll(getattr(right, plane), step, axis=0)
            if len(rolled) > 1:
                made = right.but({plane: rolled})
                yield moved(problem, "L5", f"the scales of {side} are those {name}", made)


def _as_columns(plane: Bytes) -> Bytes:
    return np.ascontiguousarray(plane.T).reshape(plane.shape)


def _as_rows(plane: Bytes) -> Bytes:
    return np.ascontiguousarray(plane.reshape(plane.shape[::-1]).T)


# --- codes ------------------------------------------------------------------------------------


def _of_codes(problem: DotProblem) -> Iterator[DotFault]:
    """Operands that are read transposed, or a result that is written so."""
    right = Planes.of(problem)
    m, n = problem.got.shape
    if m == n > 1:

        def across(numbers: Numbers) -> Numbers:
            i, j = np.divmod(numbers, n)
            return np.asarray(j * n + i)

        fault = moved(problem, "L8", "the result is transposed", replace(right, source=across))
        if problem.c is not None:
            own = problem.c.reshape(-1).astype(np.float64)
            yield moved_with(fault, own)
            fault = moved_with(fault, own.reshape(m, n).T.reshape(-1), ", the addend not")
        yield fault
    turns: dict[str, tuple[Bytes, str]] = {}
    for side in ("a", "b"):
        codes = getattr(right, f"codes_{side}")
        if codes.shape[0] == codes.shape[1] > 1:
            turns[side] = codes.T, "are read transposed"
        elif min(codes.shape) > 1 and codes.shape[1] == problem.k:
            turns[side] = _as_columns(codes), "stored by row are read by column"
            by_row = right.but({f"codes_{side}": _as_rows(codes)})
            yield moved(
                problem, "L8", f"the codes of {side} stored by column are read by row", by_row
            )
    for side, (codes, how) in turns.items():
        turned = right.but({f"codes_{side}": codes})
        yield moved(problem, "L8", f"the codes of {side} {how}", turned)
    if len(turns) == 2:
        both = replace(right, codes_a=turns["a"][0], codes_b=turns["b"][0])
        yield moved(problem, "L8", "the codes of both operands are read transposed", both)


# --- values -----------------------------------------------------------------------------------


def _of_values(problem: DotProblem) -> Iterator[DotFault]:
    """Square operands that are multiplied transposed, each element under its own scale."""
    right = Planes.of(problem)
    changes: dict[str, dict[str, Bytes]] = {}
    for side, operand in (("a", problem.a), ("b", problem.b)):
        if len(operand.codes) == problem.k > 1:
            changes[side] = {
                f"codes_{side}": _turned(operand, problem.k),
                f"scales_{side}": np.full_like(operand.scales, _ONE),
            }
    tables = {
        f"table_{side}": np.multiply.outer(
            element_table(operand.fmt.element), scale_table()
        ).reshape(-1)
        for side, operand in (("a", problem.a), ("b", problem.b))
        if side in changes
    }
    for side, planes in changes.items():
        fault = moved(
            problem,
            "L8",
            f"the values of {side} are multiplied transposed",
            right.but(planes),
        )
        name = f"table_{side}"
        yield replace(fault, changes={**fault.changes, name: tables[name]})
    if len(changes) < len(("a", "b")):
        return
    n = problem.k
    both = right.but({**changes["a"], **changes["b"]})

    def across(numbers: Numbers) -> Numbers:
        i, j = np.divmod(numbers, n)
        return np.asarray(j * n + i)

    for planes_of, detail in (
        (both, "the values of both operands are multiplied transposed"),
        (replace(both, source=across), "the operands are exchanged: b times a"),
    ):
        fault = moved(problem, "L8", detail, planes_of)
        yield replace(fault, changes={**fault.changes, **tables})


def _turned(operand: Operand, k: int) -> Bytes:
    """The transposed elements of a square operand, each as one code of its element and its scale.

    After it a block has elements of many scales. A table of all pairs of codes has their values, so
    that the scales of blocks can be 1.
    """
    scales = np.repeat(operand.scales, operand.fmt.block_size, axis=1)
    pairs = operand.codes.astype(np.uint16) * np.uint16(_SCALE_CODES) + scales
    found = np.zeros_like(pairs)
    found[:, :k] = pairs[:, :k].T
    return cast("Bytes", found)  # codes of a larger table


def moved_with(fault: DotFault, addend: NDArray[np.float64], more: str = "") -> DotFault:
    """The same fault with an addend that comes from the same places."""
    return replace(fault, detail=fault.detail + more, changes={**fault.changes, "addend": addend})
