"""The fused sum of single pairs of rows, on NumPy arrays: no compiler, and the kernel's twin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import _fused_programs as programs
from mxref.kernels._fused_loops import Variant
from mxref.kernels._fused_programs import LIFT
from mxref.kernels.lanes import NumpyMachine

__all__ = ["sum_pairs"]

_MACHINE = NumpyMachine(64)


def sum_pairs(
    a: tuple[NDArray[Any], ...],
    b: tuple[NDArray[Any], ...],
    running: NDArray[np.uint32],
    variant: Variant,
    marks: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """Add the products of row i of a with row i of b to running sum i.

    Parameters
    ----------
    a, b : tuple of arrays
        Significands and classes, shape (n, K), and lifted exponents of the same shape, or one for
        each exact group; in the order significands, exponents, classes.
    running : uint32 array, shape (n,)
        The addend.
    """
    outer = running
    restart = variant.restart
    if restart:
        running = np.zeros_like(running)
    n_blocks = a[0].shape[1] // variant.terms
    for block in range(n_blocks):
        running = _one(a, b, running, variant, marks, block)
        if restart and ((block + 1) % restart == 0 or block + 1 == n_blocks):
            o = _MACHINE
            total = programs.add(o, o.word(outer), o.word(running), variant.output)
            outer, running = total.value.astype(np.uint32), np.zeros_like(running)
    return outer if restart else running


def _one(
    a: tuple[NDArray[Any], ...],
    b: tuple[NDArray[Any], ...],
    running: NDArray[np.uint32],
    variant: Variant,
    marks: NDArray[np.uint32],
    block: int,
) -> NDArray[np.uint32]:
    """One fused sum for each pair."""
    o, output = _MACHINE, variant.output
    here = slice(block * variant.terms, (block + 1) * variant.terms)
    n_groups = variant.terms // variant.exact
    groups = slice(block * n_groups, (block + 1) * n_groups)
    products = a[0][:, here].astype(np.int64) * b[0][:, here]
    products = products.reshape(len(running), n_groups, variant.exact).sum(-1) << variant.left
    exponents = a[1][:, groups].astype(np.int64) + b[1][:, groups]
    old = o.word(running)
    significand, exponent, sign = (
        word.value.astype(np.int64) for word in programs.take_apart(o, old, output)
    )
    top = np.maximum(exponent, variant.floor + LIFT)
    top = np.maximum(top, exponents.max(axis=1))
    shift = np.minimum(top[:, None] - exponents, 63)
    total = (np.sign(products) * (np.abs(products) >> shift)).sum(axis=1)
    shift = np.minimum(top - exponent + (output.stored - 1), 63)
    total += (((significand << variant.fraction) >> shift) ^ sign) - sign
    unit = (top - variant.fraction).astype(np.uint64)
    bits = programs.round_total(o, o.word(total), o.word(unit), old, output).value
    if not variant.has_specials:
        return np.asarray(bits.astype(np.uint32))
    mark = np.bitwise_or.reduce(marks[a[2][:, here], b[2][:, here]], axis=1)
    size = running & np.uint32(output.sign - 1)
    mark[size > output.infinity] |= 1
    is_infinite = size == output.infinity
    is_negative = running > output.sign
    mark[is_infinite & ~is_negative] |= 2
    mark[is_infinite & is_negative] |= 4
    special = np.where(mark == 2, output.infinity, output.nan)
    special = np.where(mark == 4, output.sign | output.infinity, special)
    return np.where(mark > 0, special, bits).astype(np.uint32)
