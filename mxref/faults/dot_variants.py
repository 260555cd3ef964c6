"""Faults of whole matrix products that one dot product of the vector set cannot show.

They are named by checks only: of an addend, of tiles of the output, of parts of K. The vector set
and its strength rest on `mxref.faults.dots`, which knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mxref.faults.catalogue import FAULTS, Fault

__all__ = ["PRODUCT_FAULTS", "product_fault"]

PRODUCT_FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        fault.id: fault
        for fault in (
            Fault(
                "G12",
                "The addend is left out, added more than once, or read wrongly.",
                "Each result is off by a multiple of its addend.",
                "An addend that differs from output to output, of both signs.",
                "Start the accumulator from the addend, or add it once at the end: in one of the "
                "parts of K only.",
                (),
                "gemm",
            ),
            Fault(
                "G13",
                "Part of the output is not written, or holds what belongs elsewhere.",
                "Tiles, rows or columns are zero, stale or exchanged, the others right.",
                "Two products of one shape after another, M and N one above a multiple of the "
                "tile.",
                "Compare the numbers of tiles where they are computed and where they are written.",
                (),
                "gemm",
            ),
            Fault(
                "G14",
                "The output loses bits that its type has.",
                "Results are of the right size, and wrong in the last half of their bits.",
                "Sums of more significant bits than bfloat16 has.",
                "Convert the accumulator to the type of the output once, to nearest.",
                (),
                "gemm",
            ),
            Fault(
                "G15",
                "Parts of K are left out, or counted more than once.",
                "Results lack the products of some elements along K, or have them twice.",
                "One block that is not zero, at each place along K in turn; a K that the step of "
                "the loop does not divide.",
                "Compare the bounds of each part of K with those of its neighbours; clear the "
                "accumulator between products.",
                (),
                "gemm",
            ),
        )
    }
)
"""The faults that the catalogue does not have, by id."""


def product_fault(name: str) -> Fault:
    """Return a fault of the catalogue or of products.

    Examples
    --------
    >>> product_fault("G12").stage, product_fault("G1").stage
    ('gemm', 'gemm')
    """
    return PRODUCT_FAULTS[name] if name in PRODUCT_FAULTS else FAULTS[name]
