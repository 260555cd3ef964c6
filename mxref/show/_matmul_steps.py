"""The way from two matrices of blocks to the numbers of their product, as lines."""

from __future__ import annotations

from collections.abc import Iterator

from mxref.exact import ieee
from mxref.exact.number import NumberClass
from mxref.formats import block_format
from mxref.show._input import brief
from mxref.show._text import field
from mxref.vectors import Inputs, VectorFile
from mxref.vectors.expect_dot import dot_facts
from mxref.vectors.gemm.expect import dots, exact_text

__all__ = ["matmul_steps"]

_SHOWN = 64  # numbers of a product


def matmul_steps(file: VectorFile, inputs: Inputs) -> Iterator[str]:
    """Yield the shape, and the exact sum behind each number of the result.

    Examples
    --------
    >>> from mxref.policy import Policy
    >>> b = Inputs(None, (2, 3), scales=(0x7F,))
    >>> case = Inputs(None, (2, 2), scales=(0x80,), other=b, shape=(1, 1, 2))
    >>> file = VectorFile("matmul", "mxfp4-mxfp4", Policy(), "1.1.0", (), (), (), (), ())
    >>> for line in matmul_steps(file, case):
    ...     print(line)
      shape      1 x 1, each number a sum of k = 2 products: 1 block of 32 in a row
      (i, j)     exact sum                  float32
      (0, 0)     5                          0x40a00000
    """
    first, second = (block_format(name) for name in file.format.split("-"))
    rows, columns, k = inputs.shape
    blocks = -(-k // first.block_size)
    yield from field(
        "shape",
        f"{rows} x {columns}, each number a sum of k = {k} products: {blocks} "
        f"{'block' if blocks == 1 else 'blocks'} of {first.block_size} in a row",
    )
    yield from field("(i, j)", f"{'exact sum':<26} float32")
    for place, dot in enumerate(dots((first, second), inputs)):
        if place == _SHOWN:
            yield f"  and {rows * columns - _SHOWN} more"
            return
        facts = dot_facts((first, second), dot)
        rounded = ieee.from_bits(facts.bits, "float32")
        is_exact = rounded == facts.total or facts.total.cls is NumberClass.NAN
        note = "" if is_exact else "  rounded once"
        short = brief(facts.total)
        exact = exact_text(facts.total) if short.startswith("~") else short
        where = f"({place // columns}, {place % columns})"
        yield from field(where, f"{exact:<26} 0x{facts.bits:08x}{note}")
