"""What goes wrong behind the products: addends, output types, and parts of K."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mxref.check.dot._exact import Floats
from mxref.check.dot._fault import DotFault
from mxref.check.dot._problem import DotProblem

__all__ = ["kept_counts", "result_faults"]

_PARTS = (2, 3, 4, 6, 8, 16)
_SHORT = (1, 2, 3, 4, 8, 16)  # elements that a loop ends too early by
_GROUPS = (1, 2, 4, 8)  # blocks of a step along K
_WORDS = {"nearest": "rounded to", "toward-zero": "cut to"}


def result_faults(problem: DotProblem) -> Iterator[DotFault]:
    """Faults of the addend and of what becomes of the sum."""
    yield from _of_addend(problem)
    yield from _of_output(problem)
    for count, why in kept_counts(problem).items():
        changes = {"count": lambda *_, count=count: count}
        last = problem.k - 1
        which = f"elements {count} to {last} along K{why} are"
        if count == last:
            which = f"the last element along K, {last}, is"
        yield DotFault("G15", f"{which} left out", changes)
    blocks = -(-problem.k // problem.a.fmt.block_size)
    for parts in _PARTS:
        if parts <= blocks:
            detail = f"K is split into {parts} parts, whose sums are rounded to bfloat16"
            yield DotFault("G5", detail, {"partials": parts})


def kept_counts(problem: DotProblem) -> dict[int, str]:
    """How many elements may count where the end of K is dropped, and what that leaves out.

    Examples
    --------
    >>> from mxref.check.dot._problem import Operand
    >>> from mxref.formats import block_format
    >>> side = Operand(np.zeros((1, 64), "u1"), np.zeros((1, 2), "u1"), block_format("mxfp4"))
    >>> problem = DotProblem(side, side, 40, np.zeros((1, 1), np.float32))
    >>> kept_counts(problem)[32]
    ', behind the last whole 32,'
    """
    block, k = problem.a.fmt.block_size, problem.k
    found: dict[int, str] = {}
    for size in (blocks * block for blocks in _GROUPS):
        if k % size and k > size:
            found.setdefault(k // size * size, f", behind the last whole {size},")
    if k % block == 0:
        found.setdefault(k - block, "")
    found.setdefault(block, ", all but the first block,")
    for short in _SHORT:
        found.setdefault(k - short, "")
    return {count: why for count, why in found.items() if 0 < count < k}


def _of_addend(problem: DotProblem) -> Iterator[DotFault]:
    if problem.c is None:
        return
    c = problem.c.astype(np.float64)

    def fault(detail: str, addend: Floats) -> DotFault:
        return DotFault("G12", detail, {"addend": np.ascontiguousarray(addend).reshape(-1)})

    yield fault("the addend is left out", np.zeros_like(c))
    yield fault("the addend is added twice", 2 * c)
    yield fault("the addend is subtracted", -c)
    blocks = -(-problem.k // problem.a.fmt.block_size)
    for times in {3, 4, 8, blocks} - {1, 2}:
        yield fault(f"the addend is added {times} times, as once for each part of K", times * c)
    if c.ndim != 2:
        return
    if c.shape[0] == c.shape[1]:
        yield fault("the addend is read transposed", c.T)
    yield fault("the first row of the addend for all", np.broadcast_to(c[:1], c.shape))
    yield fault("the first column of the addend for all", np.broadcast_to(c[:, :1], c.shape))


def _of_output(problem: DotProblem) -> Iterator[DotFault]:
    """A narrower type on the way to the output; the standard leaves the type open, not losses."""
    for name in ("bfloat16", "float16"):
        if problem.output != name:
            for mode, is_legal in (("nearest", True), ("toward-zero", False)):
                id_ = "OP-DOT-OUTPUT" if is_legal else "G14"
                detail = f"results are {_WORDS[mode]} {name} and widened again"
                yield DotFault(id_, detail, {"output": (name, mode)}, is_legal)
        else:
            detail = f"results are cut to {name}, toward zero"
            yield DotFault(
                "OP-DOT-OUTPUT", detail, {"output": (name, "toward-zero")}, is_legal=True
            )
