"""Runs an accumulator on the operands of some outputs, or of all, and compares every bit."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._models import Accumulator
from mxref.check.dot._outputs import same_number
from mxref.check.dot._problem import DotProblem, Rows
from mxref.check.dot._sums import sum_of, to_output
from mxref.check.dot._terms import Products, plain_setup, products_of
from mxref.matmul import Accumulator as Machine
from mxref.matmul import Operands, matmul
from mxref.mxarray import MXArray

__all__ = ["agrees", "exact_results", "machine_agrees", "operands_of_problem", "reproduces"]


def agrees(model: Accumulator, problem: DotProblem, rows: Rows | None, found: Products) -> bool:
    """Whether a model gives every bit of some outputs; of all where `rows` is None.

    Parameters
    ----------
    model : Accumulator
    problem : DotProblem
    rows : Rows or None
    found : Products
        What is summed of these outputs. A model of a machine takes the operands themselves.
    """
    if model.machine is not None:
        return machine_agrees(model.machine, problem, rows)
    if rows is None:
        raise TypeError("only a model of a machine sums all outputs at once")
    return bool(same_number(sum_of(model.total, found, rows), rows.got).all())


def machine_agrees(machine: Machine, problem: DotProblem, rows: Rows | None) -> bool:
    """Whether the model of a machine gives every bit of some outputs; of all for None."""
    operands = operands_of_problem(problem, rows)
    got = problem.got if rows is None else rows.got
    if machine.refuses(operands):
        return False
    with np.errstate(all="ignore"):
        total = machine.run(operands)
        if total.dtype == np.float32:
            total = np.asarray(to_output(total, problem.output))
    return bool(same_number(np.asarray(total, np.float64), got).all())


def reproduces(model: Accumulator, problem: DotProblem) -> bool:
    """Whether a model gives every bit of all outputs; of a sample where that would take minutes."""
    if model.machine is not None:
        return machine_agrees(model.machine, problem, None)
    setup = plain_setup(problem.a.fmt.element, problem.b.fmt.element)
    return all(agrees(model, problem, rows, products_of(setup, rows)) for rows in problem.pieces())


def exact_results(problem: DotProblem) -> NDArray[Any]:
    """The exact sums of all outputs, rounded once to the type of the output, and widened."""
    a, b = problem.a, problem.b
    k, blocks = problem.k, -(-problem.k // problem.a.fmt.block_size)
    left = MXArray(a.codes[:, :k], a.scales[:, :blocks], a.fmt, axis=1)
    right = MXArray(b.codes[:, :k].T, b.scales[:, :blocks].T, b.fmt, axis=0)
    dtype = ml_dtypes.bfloat16 if problem.output == "bfloat16" else problem.output
    found = matmul(left, right, problem.c, accumulate="exact", dtype=dtype)
    return np.asarray(found, problem.got.dtype)


def operands_of_problem(problem: DotProblem, rows: Rows | None) -> Operands:
    """The operands as `mxref.matmul` takes them, of all outputs or each of its own row."""
    a, b = (problem.a, problem.b) if rows is None else (rows.a, rows.b)
    k, blocks = problem.k, -(-problem.k // problem.a.fmt.block_size)
    c: NDArray[np.float64] | None = problem.c
    if rows is not None and c is not None:
        c = c.reshape(-1)[rows.numbers]
    return Operands(
        np.ascontiguousarray(a.codes[:, :k]),
        np.ascontiguousarray(a.scales[:, :blocks]),
        np.ascontiguousarray(b.codes[:, :k]),
        np.ascontiguousarray(b.scales[:, :blocks]),
        a.fmt,
        b.fmt,
        c,
        is_paired=rows is not None or not problem.is_matrix,
    )
