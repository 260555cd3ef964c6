"""Checks of whole tensors in bytes: packing, order of the scale codes, and the blocked axis.

The checks of blocks take codes and scales as arrays, and cannot see that two codes of a byte were
exchanged or that a tile was not undone. Here the bytes are given as they are stored. What was found
wrong with their order is undone, and the checks of blocks have the last word on what remains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.check.dequantize import as_values
from mxref.check.dequantize import dequantize as judge_values
from mxref.check.parts import Verdict
from mxref.check.quantize import quantize as judge_codes
from mxref.check.report import Report
from mxref.check.tensor import _quantizers as quantizers
from mxref.check.tensor._data import MisfitError, Stored, declared_elements, flat_bytes
from mxref.check.tensor._dictionary import scale_order
from mxref.check.tensor._drive import TensorDrive, layout_of
from mxref.check.tensor._passed import passed
from mxref.check.tensor._passing import Outcome, look
from mxref.check.tensor._report import (
    Task,
    constant_report,
    empty_report,
    is_declared,
    judged,
    with_constant_scales,
)
from mxref.check.tensor._search import Reading, Trial, read_quantized, read_values
from mxref.faults.legal import require_judgeable
from mxref.formats import BlockFormat, block_format
from mxref.policy import Policy, get_policy

__all__ = ["dequantize_tensor", "drive_tensor", "quantize_tensor"]

_FEW = 256  # blocks
_OF_SCALES = {"S14", "S15"}


def quantize_tensor(
    x: ArrayLike,
    elements: ArrayLike,
    scales: ArrayLike,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    policy: Policy | str | None = None,
    *,
    packing: str = "bytes",
    scale_layout: str = "row-major",
) -> Report:
    """Judge the bytes that a quantizer stored for a matrix, and name what is wrong.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16, shape (rows, columns)
        What was quantized.
    elements, scales : array of uint8
        The bytes as they are stored, of any shape; padding included.
    format : str or BlockFormat
    axis : int
        Blocked axis.
    policy : Policy or str, optional
        What the quantizer claims; default: find out.
    packing : str
        ``"bytes"``: a code a byte; ``"nibbles-low-first"`` or ``"nibbles-high-first"``: two
        neighbours a byte, row-major.
    scale_layout : str
        ``"row-major"``, ``"128x4"`` (cuBLAS), ``"8x4"``, ``"column-major"``, ``"gfx950-32x8"``,
        ``"gfx1250-32x4"`` or ``"mn-major-words"``.

    Returns
    -------
    Report
        Coordinates are those of `x`; of a scale, those of its plane.

    Raises
    ------
    TypeError, ValueError
        If dtypes, sizes or names do not fit.

    Notes
    -----
    OP-PACKING and OP-SCALE-LAYOUT; what padding holds is not judged.

    Examples
    --------
    >>> import numpy as np, mxref
    >>> x = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    >>> q = mxref.quantize(x, "mxfp4")
    >>> swapped = q.codes[:, ::2] << 4 | q.codes[:, 1::2]
    >>> report = quantize_tensor(x, swapped, q.scales, "mxfp4", packing="nibbles-low-first")
    >>> report.verdict, report.findings[0].id, report.findings[0].residual
    (<Verdict.DEFECT: 'defect'>, 'L1', 0)
    """
    fmt = block_format(format)
    asked = None if policy is None else get_policy(policy)
    if asked is not None:
        require_judgeable(asked)
    values, _ = inputs.as_float(x)
    shape = _matrix(values.shape, "x")
    declared = _declared(packing, scale_layout, fmt)
    data = flat_bytes(elements, "elements"), flat_bytes(scales, "scales")
    where = inputs.normal_axis(axis, shape)
    stored = Stored(*data, shape, where, fmt.block_size, packing != "bytes")
    return judge_written([Trial(stored, values)], fmt, declared, asked)


def dequantize_tensor(  # noqa: PLR0913  # what a stored tensor is, and what was made of it
    elements: ArrayLike,
    scales: ArrayLike,
    y: ArrayLike,
    format: str | BlockFormat,  # noqa: A002
    shape: tuple[int, int] | None = None,
    axis: int = -1,
    policy: Policy | str | None = None,
    *,
    packing: str = "bytes",
    scale_layout: str = "row-major",
) -> Report:
    """Judge the matrix that somebody decoded from stored bytes, and name what is wrong.

    Parameters
    ----------
    elements, scales, format, axis, policy, packing, scale_layout
        As for `quantize_tensor`.
    y : array of float32, shape (rows, columns)
        The decoded values.
    shape : (int, int), optional
        Rows and columns; default: those of `y`.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, sizes or names do not fit.

    Examples
    --------
    >>> import numpy as np, mxref
    >>> rng = np.random.default_rng(0)
    >>> codes, scales = rng.integers(0, 8, (4, 96)), rng.integers(120, 130, (4, 3))
    >>> codes, scales = codes.astype(np.uint8), scales.astype(np.uint8)
    >>> y = mxref.dequantize(codes, scales.reshape(3, 4).T, "mxfp8_e4m3")
    >>> report = dequantize_tensor(codes, scales, y, "mxfp8_e4m3")
    >>> report.findings[0].id, report.findings[0].detail
    ('L8', 'scale codes read as: column-major; declared: row-major')
    """
    fmt = block_format(format)
    asked = None if policy is None else get_policy(policy)
    values = np.asarray(y)
    wanted = _matrix(tuple(values.shape if shape is None else shape), "shape")
    values = as_values(y, wanted)
    stored = stored_tensor(elements, scales, fmt, wanted, axis, packing, scale_layout)
    declared = _declared(packing, scale_layout, fmt)
    return judge_read([Trial(stored, values)], fmt, declared, asked)


def drive_tensor(
    call: Callable[..., Any],
    fmt: BlockFormat,
    op: str,
    asked: Policy | None,
    *,
    axis: int = -1,
    packing: str = "bytes",
    scale_layout: str = "row-major",
    level: str = "core",
) -> Report:
    """Drive a function on stored tensors; `mxref.check.kernel` calls it.

    Parameters
    ----------
    call : callable
        The function, guarded: it raises `TargetError` or returns what the target returned.
    fmt : BlockFormat
    op : str
        ``"quantize_tensor"``: float32 (rows, columns) to the bytes of elements and scales;
        ``"dequantize_tensor"``: elements, scales and shape to float32 (rows, columns).
    asked : Policy or None
    axis, packing, scale_layout
        As for `quantize_tensor`.
    level : str
        ``"smoke"``, ``"core"``, ``"full"`` or ``"exhaustive"``.

    Raises
    ------
    TargetError
        If the function cannot be run, or what it returns cannot be read.
    ValueError
        If a name does not exist.

    Examples
    --------
    >>> import mxref
    >>> from mxref.formats import block_format
    >>> def quantizer(x):
    ...     q = mxref.quantize(x, "mxfp8_e5m2", pad=True)
    ...     return q.codes, q.scales
    >>> drive_tensor(quantizer, block_format("mxfp8_e5m2"), "quantize_tensor", None).ok
    True
    """
    layout = layout_of(axis, packing, scale_layout, fmt)
    judge = judge_read if op == "dequantize_tensor" else judge_written
    return TensorDrive(call, fmt, op, asked, layout, judge).run(level)


def _matrix(shape: tuple[int, ...], what: str) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(
            f"{what} has {len(shape)} dimensions; expected rows and columns: reshape it, or use "
            "the checks of blocks"
        )
    return int(shape[0]), int(shape[1])


def _declared(packing: str, scale_layout: str, fmt: BlockFormat) -> Reading:
    return Reading(declared_elements(packing, fmt), scale_order(scale_layout))


def stored_tensor(
    elements: ArrayLike,
    scales: ArrayLike,
    fmt: BlockFormat,
    shape: tuple[int, int],
    axis: int,
    packing: str,
    scale_layout: str,
) -> Stored:
    """A stored tensor, checked.

    Raises
    ------
    TypeError, ValueError
        If dtypes, sizes, names or codes do not fit.
    """
    declared = _declared(packing, scale_layout, fmt)
    data = flat_bytes(elements, "elements"), flat_bytes(scales, "scales")
    where = inputs.normal_axis(axis, shape)
    stored = Stored(*data, shape, where, fmt.block_size, packing != "bytes")
    require_sizes(stored, declared, packing)
    if not stored.has_nibbles:
        inputs.check_range(stored.elements, fmt.element.code_count, fmt.element.name)
    return stored


def require_sizes(stored: Stored, declared: Reading, packing: str) -> None:
    """Refuse buffers that do not hold what was declared.

    Raises
    ------
    MisfitError
        With the sizes that were expected.
    """
    count = stored.shape[0] * stored.shape[1]
    expected = -(-count // 2) if stored.has_nibbles else count
    if stored.elements.size != expected:
        raise MisfitError(
            f"elements hold {stored.elements.size} bytes; expected {expected} for "
            f"{stored.shape[0]} x {stored.shape[1]} codes with packing={packing!r}"
        )
    plane = stored.plane()
    size = declared.scales.size(plane)
    if stored.scales.size != size:
        raise MisfitError(
            f"scales hold {stored.scales.size} bytes; expected {size} for a plane of "
            f"{plane.shape[0]} x {plane.shape[1]} with scale_layout={declared.scales.name!r}"
        )


def judge_read(
    trials: Sequence[Trial], fmt: BlockFormat, declared: Reading, asked: Policy | None
) -> Report:
    """Judge what a reader made of stored tensors, all of them in one way."""

    def judge(trial: Trial, codes: NDArray[Any], scales: NDArray[Any], axis: int) -> Report:
        codes &= np.uint8(fmt.element.code_count - 1)
        return judge_values(codes, scales, trial.numbers, fmt, axis, asked)

    task = Task("dequantize_tensor", fmt, declared, asked, judge)
    if not any(t.numbers.size for t in trials):
        return empty_report(task)
    seen = look(task, trials)
    if seen.outcome is not Outcome.DIFFERENT:
        return passed(task, trials, seen)
    same = constant_report(task, trials)
    if same is not None:
        return same
    return _explained(task, trials, read_values(trials, fmt, declared, task.base))


def judge_written(
    trials: Sequence[Trial], fmt: BlockFormat, declared: Reading, asked: Policy | None
) -> Report:
    """Judge what a quantizer stored, all tensors in one way."""

    def judge(trial: Trial, codes: NDArray[Any], scales: NDArray[Any], axis: int) -> Report:
        try:
            inputs.check_range(codes, fmt.element.code_count, fmt.element.name)
        except ValueError as error:
            raise MisfitError(str(error)) from None
        return judge_codes(trial.numbers, codes, scales, fmt, axis, asked)

    task = Task("quantize_tensor", fmt, declared, asked, judge)
    if not any(t.numbers.size for t in trials):
        return empty_report(task)
    misfit = quantizers.of_other_sizes(task, trials)
    if misfit is not None:
        return misfit
    packing = "nibbles" if trials[0].stored.has_nibbles else "bytes"
    for trial in trials:
        require_sizes(trial.stored, declared, packing)
    seen = look(task, trials)
    if seen.outcome is not Outcome.DIFFERENT:
        return passed(task, trials, seen)
    same = constant_report(task, trials)
    if same is not None:
        return same
    readings = read_quantized(trials, fmt, declared, task.base)
    # Few blocks can be what many models give: there the checks of blocks speak first.
    is_small = sum(t.numbers.size for t in trials) < _FEW * fmt.block_size
    is_first = is_declared(readings[0], declared) and not is_small
    if is_first:
        report = quantizers.of_other_sets(task, trials)
        if report is not None:
            return report
    report = _explained(task, trials, readings)
    if is_first or not (report.verdict is Verdict.UNEXPLAINED or _mixes(report)):
        sets = None
    else:  # scales of which only some were kept look like another order of theirs, at first
        sets = quantizers.of_other_sets(task, trials)
    if report.verdict is Verdict.UNEXPLAINED:
        other = sets or quantizers.of_other_cuts(task, trials)
        return other or with_constant_scales(report, trials)
    return sets or report


def _mixes(report: Report) -> bool:
    """Whether a report needs an order and, beside it, scales of other elements."""
    found = {finding.id for finding in report.findings}
    return bool(found & _OF_SCALES) and any(name.startswith("L") for name in found)


def _explained(task: Task, trials: Sequence[Trial], readings: Sequence[Reading]) -> Report:
    """The report under the first reading that leaves nothing over, else under the best."""
    first = judged(task, trials, readings[0])
    if first.verdict is not Verdict.UNEXPLAINED:
        also = [] if is_declared(readings[0], task.declared) else _also(first, readings)
        return replace(first, notes=(*also, *first.notes))
    # A search that ends without a cause is slow: the likeliest others, and no more.
    for reading in (*readings[1:2], task.declared):
        if reading is not readings[0] and not is_declared(readings[0], reading):
            report = judged(task, trials, reading, is_last=False)
            if report.verdict is not Verdict.UNEXPLAINED:
                return report
    return first


def _also(report: Report, readings: Sequence[Reading]) -> list[str]:
    """Say which other faults fit as well, where nothing but an order is wrong."""
    if len(report.findings) != 1:
        return []
    own = report.findings[0].id
    rest = [order for r in readings[1:] for order in (r.elements, r.scales)]
    others = {order.fault: order.name for order in reversed(rest) if order.fault != own}
    first = readings[0]
    used = {first.elements.name, first.scales.name}
    return [
        f"{fault} ({name}) fits as well: these data cannot tell them apart."
        for fault, name in others.items()
        if fault and name not in used
    ]
