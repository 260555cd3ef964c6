"""Sums of products in floating point, in any order: programs, run over whole matrix products.

A program has one row for each step, ``(step, into, fresh, start, count, stride)``, over numbered
sums, each of which is one for every output:

* ``PRODUCTS``: to sum `into` add `count` products from K index `start` on, `stride` apart;
* ``SUM``: to sum `into` add sum `start`;
* ``SCALED``: to sum `into` add sum `count` times both scales of block `start`;
* ``BLOCKS``: to sum `into` add `count` blocks from `start` on, `stride` apart, each the exact
  sum of its products, scaled and rounded once.

Where `fresh` is ``ZERO`` the sum starts at +0, where it is ``ADDEND`` at the addend. Sum 0 is the
result. Every addition rounds to the accumulator's type, to nearest even.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels._sum_lanes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Product, has_fma

__all__ = ["KINDS", "Fresh", "Product", "Sides", "Step", "run"]

KINDS = {"float32": FLOAT32, "float64": FLOAT64, "bfloat16": BFLOAT16, "float16": FLOAT16}
"""The types of accumulators."""

_WORK_PER_ELEMENT = 64  # products as costly as what `parallel_slot` counts


class Step(enum.IntEnum):
    """What a row of a program does."""

    PRODUCTS = 0
    SUM = 1
    SCALED = 2
    BLOCKS = 3


class Fresh(enum.IntEnum):
    """What a sum was before a row of a program."""

    KEPT = 0
    ZERO = 1
    ADDEND = 2


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The operands of a product, decoded.

    Attributes
    ----------
    a, b : ndarray of float32 or float64, shape (parts, M, K) and (parts, N, K)
        The elements, scaled or not. For exact blocks float64, with more than one part where the
        elements are split by magnitude, the small ones first; with `has_special` one part more,
        whose products show what NaN and infinities do.
    scales_a, scales_b : ndarray of float64, shape (M, blocks) and (N, blocks)
    block : int
    is_paired : bool
        Whether row i meets row i alone.
    has_special : bool
    has_short_products : bool
        Whether float32 holds every product exactly.
    """

    a: NDArray[Any]
    b: NDArray[Any]
    scales_a: NDArray[np.float64]
    scales_b: NDArray[np.float64]
    block: int
    is_paired: bool
    has_special: bool = False
    has_short_products: bool = False


def run(
    program: NDArray[np.int64],
    sides: Sides,
    kind: int,
    product: Product,
    addend: NDArray[Any] | None,
    *,
    is_addend_last: bool,
) -> NDArray[np.float32]:
    """Run a program, and return the sums as float32, rounded from float64 where that was summed in.

    Parameters
    ----------
    program : ndarray of int64, shape (steps, 6)
    sides : Sides
    kind : int
        One of `KINDS`.
    product : Product
        ``FMA`` is chosen in place of ``FUSED`` where the processor has it.
    addend : ndarray of float32 or float64, or None
        In the shape of the result. Rounded to the accumulator's type; added to the finished sum, or
        taken where a step starts at ``ADDEND``.

    Raises
    ------
    FloatingPointError
        If there is no compiler and this thread flushes subnormals or does not round to nearest:
        numpy's arithmetic would give other bits.
    """
    n_rows, n_columns = sides.a.shape[1], sides.b.shape[1]
    shape = (n_rows,) if sides.is_paired else (n_rows, n_columns)
    if not all(shape):
        return np.zeros(shape, np.float32)
    if INTERPRETED:
        from mxref.kernels._orders_interpreted import run_program

        found = run_program(program, sides, kind, product, addend, is_last=is_addend_last)
        return np.asarray(found, np.float32)
    return _compiled(program, sides, kind, product, addend, 2 if is_addend_last else 1)


def _compiled(
    program: NDArray[np.int64],
    sides: Sides,
    kind: int,
    product: Product,
    addend: NDArray[Any] | None,
    addend_place: int,
) -> NDArray[np.float32]:
    from mxref.kernels._order_loops import program_runner

    _, m, k = sides.a.shape
    n = sides.b.shape[1]
    is_short = kind in (BFLOAT16, FLOAT16) and (
        product is Product.SINGLE or sides.has_short_products
    )
    is_single = (kind == FLOAT32 or is_short) and sides.a.dtype == sides.b.dtype == np.float32
    lanes = 32 if is_single else 16
    rows = 1 if sides.is_paired or m == 1 else 4
    n_panels = -(-n // lanes)
    n_tiles = 1 if sides.is_paired else -(-m // rows)

    a = _panels(sides.a, lanes) if sides.is_paired else _rows(sides.a, n_tiles * rows)
    b = _panels(sides.b, lanes)
    scales_a, scales_b = sides.scales_a[None], sides.scales_b[None]
    fa = _panels(scales_a, lanes) if sides.is_paired else _rows(scales_a, n_tiles * rows)
    fb = _panels(scales_b, lanes)
    c = np.zeros(1) if addend is None else np.ascontiguousarray(addend).reshape(-1)
    out = np.empty(n_panels * n_tiles * rows * lanes, np.float32)
    zero = np.zeros(1, np.float32 if is_single or kind == FLOAT32 else np.float64)

    has_special = int(sides.has_special)
    parts = (sides.a.shape[0] - has_special, sides.b.shape[0] - has_special)
    if not (program[:, 0] == Step.BLOCKS).any():
        parts = (0, 0)
    if product is Product.FUSED and kind == FLOAT32 and is_single and has_fma():
        product = Product.FMA
    # Exact sums are the same either way: take the faster.
    exact = Product.FMA if has_fma() else Product.ROUNDED
    sums = int(program[:, 1].max(initial=0)) + 2
    place = 0 if addend is None else addend_place
    width = 1 if sides.is_paired else n
    shape = (1, n) if sides.is_paired else (m, n)
    size_a, size_b = a.size // sides.a.shape[0], b.size // sides.b.shape[0]
    sizes = [*shape, k, sides.block, sides.scales_a.shape[1], sums, place, n_tiles, n_panels]
    with parallel_slot(m * width * max(k, 1) // _WORK_PER_ELEMENT) as parallel:
        variant = (kind, int(product), int(exact), parts, has_special, int(sides.is_paired))
        kernel = program_runner(*variant, rows, lanes, parallel)
        kernel(program, a, b, fa, fb, c, out, zero, np.array([*sizes, size_a, size_b]))
    if sides.is_paired:
        return out[:n]
    tiles = out.reshape(n_panels, n_tiles * rows, lanes).transpose(1, 0, 2)
    return np.ascontiguousarray(tiles.reshape(n_tiles * rows, -1)[:m, :n])


def _rows(values: NDArray[Any], count: int) -> NDArray[Any]:
    """All parts, with rows of zeros up to `count`; flat."""
    parts, m, k = values.shape
    if m == count:
        return np.ascontiguousarray(values).reshape(-1)
    padded = np.zeros((parts, count, k), values.dtype)
    padded[:, :m] = values
    return padded.reshape(-1)


def _panels(values: NDArray[Any], lanes: int) -> NDArray[Any]:
    """All parts as panels of so many rows, transposed: a vector of rows for each k; flat."""
    parts, n, k = values.shape
    panels = -(-n // lanes)
    padded = _rows(values, panels * lanes).reshape(parts, panels, lanes, k)
    return np.ascontiguousarray(padded.transpose(0, 1, 3, 2)).reshape(-1)
