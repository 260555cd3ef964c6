"""Checks of products: dot products of blocks, and matrix products along blocked axes.

Every result is compared with the exact sum. MX-1.0/6.1/precision leaves order and precision open,
so that a difference is a mistake only where no sum in float32 or wider can give it; a report then
says which accumulator or which fault reproduces all bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.check.dot._judge import judge_dots
from mxref.check.dot._problem import DotProblem, Operand
from mxref.check.report import Report
from mxref.formats import BlockFormat, block_format
from mxref.matmul._operands import addend_of, operands_of
from mxref.mxarray import MXArray

__all__ = ["dot", "matmul"]


def dot(  # noqa: PLR0913  # two operands of two parts each
    codes_a: ArrayLike,
    scales_a: ArrayLike,
    codes_b: ArrayLike,
    scales_b: ArrayLike,
    d: ArrayLike,
    format_a: str | BlockFormat,
    format_b: str | BlockFormat | None = None,
    *,
    k: int | None = None,
    accumulate: str | None = None,
    c: ArrayLike | None = None,
) -> Report:
    """Judge dot products that somebody computed, and name what is wrong.

    Parameters
    ----------
    codes_a, codes_b : array of uint8, shape (n, size)
        Element codes, one a byte.
    scales_a, scales_b : array of uint8, shape (n, blocks)
        A scale code for each block.
    d : array of float32, float64, float16 or bfloat16, shape (n,)
        The results. Their type is that of the output: the sum, rounded once to it.
    format_a, format_b : str or BlockFormat
        The formats, such as ``"mxfp4"``; that of b is that of a unless it is given.
    k : int, optional
        How many elements count; those behind are padding. Default: all of them.
    accumulate : str, optional
        What the sum claims: ``"exact"``, ``"ocp-fp32"`` or another name of an accumulator that a
        report gave. Default: find out.
    c : array of float64, float32, float16 or bfloat16, optional
        What was added to each result.

    Returns
    -------
    Report
        ``conforms`` if every result is the exact sum, rounded once (or what `accumulate` claims);
        ``conforms-as`` if an accumulator reproduces every bit, or if every result lies inside the
        bound of a sum in float32 in any order; ``defect`` if a fault explains every result.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit, or if the accumulator that is claimed has
        nothing to say of these operands.

    Notes
    -----
    MX-1.0/6.1/dot, MX-1.0/6.2/dot-general, MX-1.0/6.1/precision; OP-DOT-PRECISION, OP-DOT-GROUPING,
    OP-DOT-SCALE-PLACE, OP-DOT-OUTPUT. A NaN counts as NaN whatever its bits are (OP-DOT-NAN).

    Examples
    --------
    >>> import numpy as np
    >>> codes, scales = np.full((1, 32), 0x2, np.uint8), np.full((1, 1), 0x80, np.uint8)
    >>> dot(codes, scales, codes, scales, np.float32([128]), "mxfp4").verdict
    <Verdict.CONFORMS: 'conforms'>
    >>> dot(codes, scales, codes, scales, np.float32([32]), "mxfp4").findings[0].id
    'G1'
    """
    fmt_a = block_format(format_a)
    fmt_b = fmt_a if format_b is None else block_format(format_b)
    _require_one_block_size(fmt_a, fmt_b)
    a = _rows_of(codes_a, scales_a, fmt_a, "a")
    b = _rows_of(codes_b, scales_b, fmt_b, "b")
    if a.codes.shape != b.codes.shape:
        raise ValueError(
            f"codes_a have shape {a.codes.shape} and codes_b {b.codes.shape}; expected the same: "
            "one row of each operand makes one result"
        )
    size = np.asarray(codes_a).shape[1]
    count = size if k is None else k
    if not 0 <= count <= size:
        raise ValueError(f"k is {k}; expected 0 to {size}, the length of a row")
    values, output = _results(d, (len(a.codes),))
    addend = addend_of(c, values.shape)
    return judge_dots("dot", DotProblem(a, b, count, values, addend, output), accumulate)


def matmul(
    a: MXArray,
    b: MXArray,
    d: ArrayLike,
    accumulate: str | None = None,
    *,
    c: ArrayLike | None = None,
) -> Report:
    """Judge a matrix product that somebody computed, and name what is wrong.

    Parameters
    ----------
    a, b : MXArray
        Operands of shape (M, K) and (K, N), both blocked along K.
    d : array of float32, float64, float16 or bfloat16, shape (M, N)
        The result. Its type is that of the output: the sum, rounded once to it.
    accumulate : str, optional
        As for `dot`.
    c : array of float64, float32, float16 or bfloat16, optional
        What was added to the product; it is broadcast to (M, N).

    Returns
    -------
    Report
        As `dot` gives it.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, axes or names do not fit, or if the accumulator that is claimed has
        nothing to say of these operands: a hardware instruction takes certain formats and scales.

    Notes
    -----
    MX-1.0/6.2/dot-general; the open points are those of `dot`.

    Examples
    --------
    >>> import numpy as np, mxref
    >>> x = np.arange(64, dtype=np.float32).reshape(2, 32)
    >>> a, b = mxref.quantize(x, "mxfp8_e4m3"), mxref.quantize(x.T, "mxfp8_e4m3", axis=0)
    >>> matmul(a, b, a.dequantize() @ b.dequantize()).ok
    True
    """
    operands_of(a, b)  # says what does not fit
    left = _rows_of(a.codes, a.scales, a.format, "a")
    right = _rows_of(b.codes.T, b.scales.T, b.format, "b")
    values, output = _results(d, (a.shape[0], b.shape[1]))
    addend = addend_of(c, values.shape)
    problem = DotProblem(left, right, a.shape[1], values, addend, output)
    return judge_dots("matmul", problem, accumulate)


# --- input -----------------------------------------------------------------------------------


def _require_one_block_size(a: BlockFormat, b: BlockFormat) -> None:
    if a.block_size != b.block_size:
        raise ValueError(
            f"{a.name} has blocks of {a.block_size} and {b.name} of {b.block_size}; expected one "
            "size, since a dot product takes block by block"
        )


def _rows_of(codes: ArrayLike, scales: ArrayLike, fmt: BlockFormat, name: str) -> Operand:
    """An operand in whole blocks, filled up with zeros under a scale of 1."""
    given = inputs.as_codes(codes, fmt.element.name).view(np.uint8)
    shared = inputs.as_codes(scales, fmt.scale.name, "scales").view(np.uint8)
    if given.ndim != 2:
        raise ValueError(f"codes_{name} have shape {given.shape}; expected (n, K)")
    expected = _needs(given, fmt)
    if shared.shape != expected:
        is_swapped = _needs(shared, fmt) == given.shape
        hint = f": codes_{name} and scales_{name} exchanged?" if is_swapped else ""
        raise ValueError(
            f"scales_{name} have shape {shared.shape}; codes of shape {given.shape} in blocks of "
            f"{fmt.block_size} need {expected}{hint}"
        )
    # After the shapes: scale codes in place of codes are out of range too, and that says less.
    inputs.check_range(given, fmt.element.code_count, fmt.element.name)
    missing = expected[1] * fmt.block_size - given.shape[1]
    whole = np.pad(given, ((0, 0), (0, missing))) if missing else given
    return Operand(np.ascontiguousarray(whole), np.ascontiguousarray(shared), fmt)


def _needs(codes: NDArray[np.uint8], fmt: BlockFormat) -> tuple[int, ...]:
    """The shape of the scale codes that belong to codes."""
    return (*codes.shape[:-1], -(-codes.shape[-1] // fmt.block_size)) if codes.ndim else ()


def _results(d: ArrayLike, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], str]:
    """The results, widened to float32 where they are narrower, and the type that they came in."""
    values, output = inputs.as_float(d, "d")
    if values.shape != shape:
        hint = ": transposed?" if values.shape == shape[::-1] else ""
        raise ValueError(f"d has shape {values.shape}; expected {shape}{hint}")
    wide = np.float64 if output == "float64" else np.float32
    return np.ascontiguousarray(values.astype(wide, copy=False)), output
