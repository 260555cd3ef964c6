"""Covergroups of the matrix product, and the pairs of formats that have a file.

Nothing here is random, and nothing here knows an expected output. The groups of `settled` have
results that float32 gives in any order; those of `probes` need more, and there each way to add has
results of its own.
"""

from __future__ import annotations

from mxref.formats import block_format
from mxref.vectors.covergroups import Covergroup
from mxref.vectors.dot_terms import Pair
from mxref.vectors.gemm import probes, settled

__all__ = ["MATMUL", "MATMUL_PAIRS"]

MATMUL_PAIRS: tuple[Pair, ...] = tuple(
    (block_format(a), block_format(b))
    for a, b in (
        ("mxfp4", "mxfp4"),
        ("mxfp6_e2m3", "mxfp6_e2m3"),
        ("mxfp6_e3m2", "mxfp6_e3m2"),
        ("mxfp8_e4m3", "mxfp8_e4m3"),
        ("mxfp8_e5m2", "mxfp8_e5m2"),
        ("mxfp8_e4m3", "mxfp8_e5m2"),
        ("mxfp8_e4m3", "mxfp4"),
        ("mxint8", "mxint8"),
    )
)
"""The pairs of formats of which the set has a file of matrix products."""

_PRECISION = ("MX-1.0/6.1/precision", "MX-1.0/6.2/precision", "OP-DOT-PRECISION", "OP-DOT-GROUPING")

MATMUL: tuple[Covergroup, ...] = (
    Covergroup(
        "integers",
        "sums of small integers, exact in any order: rows, columns, tiles and their edges, lanes",
        ("MX-1.0/6.2/dot-general", "MX-1.0/6.1/mixed-types"),
        settled.integers,
    ),
    Covergroup(
        "scaled",
        "small integers, each block under another scale: the scale of another block, row or column",
        ("MX-1.0/6.2/dot-general",),
        settled.scaled,
    ),
    Covergroup(
        "places",
        "each result is one product of its own: operands or scales transposed, a wrong stride",
        ("MX-1.0/6.2/dot-general", "MX-1.0/6.1/dot"),
        settled.places,
    ),
    Covergroup(
        "ragged",
        "sums whose length is no multiple of the block: a tail left out, or read too far",
        ("MX-1.0/6.2/padding", "OP-BLOCK-TAIL"),
        settled.ragged,
    ),
    Covergroup(
        "subnormals",
        "each result is the product of two codes around the least normal number",
        ("MX-1.0/5.3/subnormals", "MX-1.0/6.1/dot"),
        settled.subnormals,
    ),
    Covergroup(
        "specials",
        "NaN scales, NaN and infinite elements: each spoils its own row or column alone",
        ("MX-1.0/5.1/nan-scale", "MX-1.0/5.1/special-elements", "OP-DOT-NAN"),
        settled.specials,
    ),
    Covergroup(
        "cancelling",
        "large terms that cancel and a small rest that 24 bits hold in any order",
        ("MX-1.0/6.2/float32", *_PRECISION),
        probes.cancelling,
    ),
    Covergroup(
        "widths",
        "a large term, a small one and the large one taken away, in different blocks: what is left"
        " is the width of the accumulator, and in which rows it is left the order",
        _PRECISION,
        probes.widths,
    ),
    Covergroup(
        "unscaled",
        "the same with every scale 1, as far apart as the elements reach: the width to which the"
        " products of one step are aligned, of machines without scales too",
        _PRECISION,
        probes.unscaled,
    ),
    Covergroup(
        "orders",
        "ones that a term of 2^26 swallows until its negative takes it away: the tree of the sum",
        _PRECISION,
        probes.orders,
    ),
    Covergroup(
        "spread",
        "every code under scales of 16 binades: each order of the sum rounds in its own way",
        _PRECISION,
        probes.spread,
    ),
    Covergroup(
        "ties",
        "sums at and beside the middle of two float32, with what decides far below it",
        ("MX-1.0/6.2/float32", "OP-DOT-OUTPUT", "OP-DOT-PRECISION"),
        probes.ties,
    ),
    Covergroup(
        "range",
        "terms beyond float32 whose sum is not, overflow, subnormal results",
        ("MX-1.0/6.2/float32", "OP-DOT-SCALE-PLACE", "OP-DOT-OUTPUT"),
        probes.range_ends,
    ),
)
"""Covergroups of matmul; their stimuli take a pair of block formats."""
