"""What each accumulation model gives for a matrix product, as labelled members.

The models are those of `mxref.matmul`, by name. A model says itself of which operands it has
nothing to say; those with a result of 16 bits, and those that no standard allows, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mxref.formats import BlockFormat
from mxref.vectors.driver import planes
from mxref.vectors.model import ACCUMULATE, Member
from mxref.vectors.operations import Inputs, Output

if TYPE_CHECKING:
    from mxref.matmul import Accumulator

__all__ = ["EXACT", "labelled", "outcomes"]

EXACT = "exact"
"""The name of the infinitely precise sum, rounded once."""

# Orders have a hundred names; these few differ most. Machines and libraries are all taken.
_ORDERS = frozenset(
    (
        "ocp-fp32",
        "ocp-fp32-pairwise",
        "float32-sequential",
        "float32-reversed",
        "float32-pairwise",
        "float32-fma-sequential",
        "float32-sequential-scaled-products",
        "float32-lanes-8",
        "float32-lanes-32",
        "float32-chunks-128",
        "float32-split-2",
        "float64-sequential",
    )
)
_OF_ORDERS = ("ocp-", "float64-", "float32-", "bfloat16-", "float16-")

_NAN = 0x7FC00000

Pair = tuple[BlockFormat, BlockFormat]


def labelled(fmts: Pair, inputs: Inputs, exact: Output) -> tuple[Member, ...]:
    """Return the exact result and those of all models, each with the names that give it.

    Parameters
    ----------
    fmts : pair of BlockFormat
        The formats of the operands.
    inputs : Inputs
        The case.
    exact : Output
        The infinitely precise result, rounded once: the first member.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> b = Inputs(None, (0x2,) * 32, scales=(0x7F,))
    >>> case = Inputs(None, (0x2,) * 32, scales=(0x7F,), other=b, shape=(1, 1, 32))
    >>> members = labelled((block_format("mxfp4"),) * 2, case, Output((0x42000000,)))
    >>> members[0].when[0]
    {'accumulate': 'exact'}
    """
    found: dict[Output, list[str]] = {exact: [EXACT]}
    for name, out in outcomes(fmts, inputs):
        found.setdefault(out, []).append(name)
    return tuple(
        Member(out, tuple({ACCUMULATE: name} for name in names)) for out, names in found.items()
    )


def outcomes(fmts: Pair, inputs: Inputs) -> Iterator[tuple[str, Output]]:
    """Yield the name and the result of each model that has one in float32 for these operands.

    Every NaN is written as the quiet one without a sign: its pattern is not what a model is about.
    """
    from mxref.matmul import Operands, accumulators

    scales_a, codes_a, scales_b, codes_b = planes(inputs)
    asked = Operands(codes_a, scales_a, codes_b, scales_b, *fmts)
    for model in accumulators().values():
        if not _is_taken(model) or model.refuses(asked):
            continue
        values = np.ascontiguousarray(model.run(asked), np.float32)
        bits = np.where(np.isnan(values), np.uint32(_NAN), values.view(np.uint32))
        yield model.name, Output(tuple(bits.ravel().tolist()))


def _is_taken(model: Accumulator) -> bool:
    is_order = model.name.startswith(_OF_ORDERS)
    return model.dtype == "float32" and model.is_legal and (not is_order or model.name in _ORDERS)
