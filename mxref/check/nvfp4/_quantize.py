"""Check of an NVFP4 quantizer's output: both levels of scales and the elements, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mxref.check.nvfp4._data import Data
from mxref.check.nvfp4._infer import gaps_of, inferred_from
from mxref.check.nvfp4._judge import Judgement, judge, judge_random
from mxref.check.relatives import Answer, Judged, assemble, empty_report
from mxref.check.report import Report
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import get_policy

__all__ = ["quantize", "report_of"]


def quantize(
    x: ArrayLike,
    codes: ArrayLike,
    scales: ArrayLike,
    axis: int = -1,
    policy: NVFP4Policy | str | None = None,
    *,
    global_scale: Any = None,
    global_amax: Any = None,
    random: Any = None,
) -> Report:
    """Judge what an NVFP4 quantizer made of an array, and name what is wrong.

    The scale of the tensor is judged first, then block scales given it, then elements given both.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16
        What was quantized. A length that is no multiple of 16 is taken as padded with zeros.
    codes : array of uint8 (or float4_e2m1fn)
        Element codes, one in each byte, in the shape of `x`.
    scales : array of uint8 (or float8_e4m3fn)
        Block scale codes: the shape of `x` with the length of `axis` divided by 16.
    axis : int
        Blocked axis.
    policy : NVFP4Policy or str, optional
        What the quantizer claims; default: find out, starting from ``"te-1d"``.
    global_scale : float
        The decode multiplier: an element is ``e2m1 * e4m3 * global_scale``. 1.0 where block
        scales are all there is.
    global_amax : float, optional
        The amax that the scale of the tensor was computed from; default: that of `x`.
    random : optional
        With a stochastic `policy`: the random numbers, as `mxref.nvfp4.quantize` takes them.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit, or `global_scale` is missing.

    Notes
    -----
    Open point OP-NVFP4-RECIPE: no standard says how the scales are chosen, so that every published
    order of operations conforms, as itself. What differs without effect, such as the scale of an
    all-zero block, is never counted.

    Examples
    --------
    >>> x = np.array([[6.0, 2.5] + [0.0] * 14], np.float32)
    >>> codes = np.zeros((1, 16), np.uint8)
    >>> codes[0, :2] = 7, 5  # 2.5 is a tie of 2 and 3: rounded away from zero
    >>> report = quantize(x, codes, np.array([[0x7E]], np.uint8), global_scale=1 / 448)
    >>> str(report.verdict), report.findings[0].id
    ('conforms-as', 'E1')
    """
    asked = None if policy is None else get_policy(policy)
    if global_scale is None and asked is not None and asked.levels == "single-level":
        global_scale = 1.0
    data = Data(x, codes, scales, axis, global_scale, global_amax)
    if not data.x.size:
        return empty_report("quantize", "nvfp4", asked)
    base = asked if asked is not None else get_policy(None)
    if base.rounding == "stochastic":
        return report_of(data, judge_random(data, base, random), base, asked)
    return report_of(data, judge(data, base), base, asked)


def report_of(
    data: Data, judged: Judgement, base: NVFP4Policy, asked: NVFP4Policy | None
) -> Report:
    """Put what was found into a report."""
    overall, answers = judged.overall, judged.answers
    return assemble(
        Judged("quantize", "nvfp4", data.blocks, base, asked),
        answers,
        known=judged.known,
        extra=overall.findings,
        notes=(*overall.notes, *_notes(data, answers)),
        inferred=lambda: inferred_from(data, answers, overall),
        gaps=lambda _: gaps_of(data, judged.policy, asked),
    )


def _notes(data: Data, answers: Sequence[Answer]) -> list[str]:
    """What differs without effect, or hides what is under it."""
    notes = []
    scales = data.scales & 0x7F
    hidden = int((scales == 0).sum())
    if hidden:
        notes.append(
            f"{hidden:,} block scales are zero: whatever the elements under them say, they decode "
            "to zero, so that their codes were not judged."
        )
    nan = int((scales == 0x7F).sum())
    if nan:
        notes.append(f"{nan:,} block scales are NaN: all their elements decode to NaN.")
    silent = (
        0
        if data.is_bitwise
        else sum(_silent(answer) for answer in answers if answer.stage.what == "scale")
    )
    if silent:
        notes.append(
            f"{silent:,} scale codes of all-zero blocks differ; every finite scale decodes to the "
            "same zeros there."
        )
    return notes


def _silent(answer: Answer) -> int:
    """Scale codes that differ without effect from what explains the others."""
    stage, best = answer.stage, answer.best
    count = 0
    for piece in stage.blocks.pieces():
        zero = np.flatnonzero((piece.x == 0).all(1))
        if len(zero):
            rows = stage.blocks.take(piece.rows[zero])
            due = stage.make(best.policy, best.faults, rows)
            count += int((due != stage.given(rows)).sum())
    return count
