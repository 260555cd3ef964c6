"""What a check of dot products says: witnesses, findings, and what the data cannot show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref.check._witness import bits_of, number
from mxref.check.dot._bounds import judge
from mxref.check.dot._fault import DotFault
from mxref.check.dot._models import Accumulator
from mxref.check.dot._problem import DotProblem
from mxref.check.dot._terms import Setup, products_of
from mxref.check.parts import Finding, Gap, Witness
from mxref.clauses import CLAUSES
from mxref.faults.catalogue import FAULTS
from mxref.faults.dot_variants import product_fault

__all__ = [
    "accumulator_finding",
    "bound_finding",
    "dot_finding",
    "dot_witness",
    "gaps_of",
    "narrow_notes",
]

_OPEN = "OP-DOT-PRECISION"
_OUTPUT = "OP-DOT-OUTPUT"
_NAN_SCALE = 0xFF
_MANY = 8  # of sums that have all bits of float32, so many are not short by chance


def dot_witness(problem: DotProblem, setup: Setup, which: int) -> Witness:
    """One output beside the exact sum."""
    rows = problem.take(np.array([which]))
    expected = judge(rows, products_of(setup, rows)).exact[0]
    return Witness(
        problem.index(which),
        "dot",
        None,
        f"the sum of {problem.k} products{'' if problem.c is None else ' and an addend'}",
        None,
        bits_of(_native(rows.got, problem.output)[0]),
        number(rows.got[0]),
        bits_of(_native(np.array([expected]), problem.output)[0]),
        number(expected),
    )


def _native(values: NDArray[Any], output: str) -> NDArray[Any]:
    """Results in the type that they came in."""
    return values.astype(ml_dtypes.bfloat16 if output == "bfloat16" else output)


def dot_finding(
    fault: DotFault, explains: float, residual: int, witness: Witness | None, *, is_legal: bool
) -> Finding:
    """A finding for a fault before the sum; OP-DOT-SCALE-PLACE leaves some of them open."""
    if fault.id == _OUTPUT:
        return _output_finding(fault, explains, residual, witness, is_legal=is_legal)
    entry = product_fault(fault.id)
    return Finding(
        fault.id,
        entry.title,
        explains,
        residual,
        witness,
        entry.seen_in,
        entry.effect,
        f"{'Say that it is intended. Otherwise: ' if is_legal else ''}{entry.repair}",
        is_legal,
        {},
        fault.detail,
        entry.stimulus,
    )


def _output_finding(
    fault: DotFault, explains: float, residual: int, witness: Witness | None, *, is_legal: bool
) -> Finding:
    """A finding for an output of another type or rounding, which the standard leaves open."""
    return Finding(
        _OUTPUT if is_legal else "G14",
        "The sum becomes the output in another way.",
        explains,
        residual,
        witness,
        (),
        f"The standard leaves it open: {CLAUSES[_OUTPUT].text}",
        "Say that it is intended. Otherwise convert the accumulator to the output's type once.",
        is_legal,
        {},
        fault.detail,
        product_fault("G14").stimulus,
    )


def accumulator_finding(
    model: Accumulator, explains: float, witness: Witness | None, *, is_legal: bool
) -> Finding:
    """A finding for an accumulator that is not exact and reproduces every bit."""
    fault = FAULTS[model.fault or "G5"]
    name, title, effect = fault.id, fault.title, fault.effect
    if is_legal and model.point == _OUTPUT:
        name, title = _OUTPUT, "The exact sum becomes the output in another way."
        effect = f"The standard leaves it open: {CLAUSES[_OUTPUT].text}"
    elif is_legal:
        title = "The sum is not exact: it has a width and an order of its own."
        effect = f"The standard leaves it open: {CLAUSES['MX-1.0/6.1/precision'].text}"
    return Finding(
        name,
        title,
        explains,
        0,
        witness,
        fault.seen_in,
        effect,
        f"Declare it as accumulate={model.name!r}. Otherwise: {fault.repair}",
        is_legal,
        {},
        f"summed {model.text}",
        fault.stimulus,
    )


def bound_finding(different: int, error: float, witness: Witness | None) -> Finding:
    """A finding for sums that no model reproduces, all of them inside the bound."""
    fault = FAULTS["G5"]
    return Finding(
        _OPEN,
        "The sum has an order or a width that no model here has.",
        1.0,
        0,
        witness,
        (),
        f"The standard leaves it open: {CLAUSES['MX-1.0/6.1/precision'].text}",
        "Nothing, unless an exact sum is meant; then widen the accumulator.",
        legal=True,
        detail=(
            f"{different:,} results are not the exact sum; the largest error is {error:.2g} of what"
            " a sum in float32 may have in the worst order"
        ),
        stimulus=fault.stimulus,
    )


def narrow_notes(problem: DotProblem) -> Iterator[str]:
    """Say so if the results are those of a narrower type (OP-DOT-OUTPUT)."""
    if problem.output != "float32":
        return
    bits = np.ascontiguousarray(problem.got.reshape(-1)).view(np.uint32)
    zeros = int(np.bitwise_or.reduce(bits))
    for name, places in (("bfloat16", 16), ("float16", 13)):
        if zeros & ((1 << places) - 1) == 0 and len(bits) > _MANY:
            yield (
                f"Every result is a {name} number, as though it had been rounded to that type and "
                "widened again (OP-DOT-OUTPUT). Check the float32 results."
            )
            return


def gaps_of(problem: DotProblem, n_open: int) -> Iterator[Gap]:
    """What these operands cannot show, with what would."""
    a, b, block = problem.a, problem.b, problem.a.fmt.block_size
    if not n_open:
        yield Gap(
            "the width of the accumulator",
            ("G5",),
            "one product of 2^24 and one of 1: scales 0x8b with elements 1, then 0x7f",
        )
    scales = np.concatenate([a.scales.reshape(-1), b.scales.reshape(-1)])
    if (scales == scales[0]).all():
        yield Gap(
            "which scale belongs to which block",
            ("G3", "L3", "L5", *(("G1",) if scales[0] == 0x7F else ())),
            "scales that differ from block to block and are not 1 (0x7f)",
        )
    if not (scales == _NAN_SCALE).any():
        yield Gap("the scale NaN", ("D10", "G3"), "one scale of 0xff, over zeros and over ones")
    if not (scales == 0).any():
        yield Gap("the least scale", ("D9",), "one scale of 0x00 against one of 0xfe")
    if problem.k <= block:
        yield Gap("sums across blocks", ("G3", "G4"), f"K of {2 * block} or more")
    if problem.k % block == 0 and a.codes.shape[1] == problem.k:
        yield Gap("a block that is not full", ("G4",), f"K of {block + 8}")
    if a.fmt.element.has_inf or b.fmt.element.has_inf:
        held = [
            (x.codes & (x.fmt.element.sign_mask - 1) == x.fmt.element.inf_magnitude).any()
            for x in (a, b)
            if x.fmt.element.has_inf
        ]
        if not any(held):
            yield Gap("infinities", ("D4", "G11"), "the code 0x7c against 0, and against 0xfc")
