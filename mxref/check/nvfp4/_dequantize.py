"""Check of the values to which somebody decoded NVFP4."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.check._problem import spread
from mxref.check.dequantize import as_values
from mxref.check.nvfp4._data import Data, as_global_scale
from mxref.check.nvfp4._global import GlobalAnswer
from mxref.check.nvfp4._judge import Judgement
from mxref.check.nvfp4._order import order_of_read_scales
from mxref.check.nvfp4._policies import of_stage, profile_policies, single_changes
from mxref.check.nvfp4._stages import ValueStage
from mxref.check.parts import Gap, Inference, Verdict
from mxref.check.relatives import (
    Answer,
    Judged,
    assemble,
    composed,
    empty_report,
    explain,
    faulty,
)
from mxref.check.report import Report
from mxref.faults.nvfp4_elements import decode_faults
from mxref.faults.nvfp4_fault import NVFP4Fault, after, may_meet
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import PROFILES, get_policy

__all__ = ["dequantize", "judge_values", "report_of_values"]

_FEW = 512
_LEAST = 2.0**-126


def dequantize(
    codes: ArrayLike,
    scales: ArrayLike,
    y: ArrayLike,
    axis: int = -1,
    policy: NVFP4Policy | str | None = None,
    *,
    global_scale: Any = None,
) -> Report:
    """Judge the values to which somebody decoded NVFP4, and name what is wrong.

    Parameters
    ----------
    codes, scales, axis, global_scale
        As for `mxref.check.nvfp4.quantize`; scale codes are 0x00 to 0x7F.
    y : array of float32
        The decoded values, in the shape of `codes`.
    policy : NVFP4Policy or str, optional
        What the decoder claims; default: find out. Any NaN is as good as any other.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit, or `global_scale` is missing.

    Examples
    --------
    >>> codes, scales = np.full((1, 16), 2, np.uint8), np.array([[0x39]], np.uint8)
    >>> y = np.full((1, 16), 0.5, np.float32)  # 1 * 1.125 * 0.5, but for the mantissa of the scale
    >>> report = dequantize(codes, scales, y, global_scale=0.5)
    >>> str(report.verdict), report.findings[0].id
    ('defect', 'D15')
    """
    asked = None if policy is None else get_policy(policy)
    if global_scale is None and asked is not None and asked.levels == "single-level":
        global_scale = 1.0
    given = inputs.as_codes(codes, "e2m1")
    data = Data(as_values(y, given.shape), given, scales, axis, global_scale)
    data.check_codes()
    signed = np.argwhere(data.scales > 0x7F)
    if len(signed):
        at = tuple(int(i) for i in signed[0])
        raise ValueError(
            f"scales{list(at)} is 0x{int(data.scales[at]):02x}; expected 0x00 to 0x7f: a scale of "
            "NVFP4 is E4M3 without a sign. What such a code decodes to is not defined; clear bit 7"
        )
    if not data.x.size:
        return empty_report("dequantize", "nvfp4", asked)
    base = asked if asked is not None else get_policy(None)
    return report_of_values(data, judge_values(data, base), base, asked)


def judge_values(data: Data, base: NVFP4Policy) -> Judgement:
    """Say what made the values of one tensor; its multiplier is given, and not judged."""
    stage = ValueStage(data)
    known = profile_policies(base)
    extra = _read_off(data, stage, base)
    tiers = (
        lambda _: single_changes([base], stage.fields),
        lambda _: of_stage(known, stage.fields),
        lambda _: faulty([base, _other(base)], lambda _: (*decode_faults(), *extra)),
        composed(may_meet),
    )
    overall = GlobalAnswer([base], is_foreign=True)
    answer = explain(stage, base, tiers)
    if answer.residual:
        overall.findings += order_of_read_scales(data, base)
        if overall.findings:
            answer = explain(ValueStage(data), base, tiers)
    return Judgement(overall, [answer], ())


def report_of_values(
    data: Data, judged: Judgement, base: NVFP4Policy, asked: NVFP4Policy | None
) -> Report:
    """Put what was found of the values into a report."""
    answer = judged.answers[0]
    report = assemble(
        Judged("dequantize", "nvfp4", data.blocks, base, asked),
        [answer],
        extra=judged.overall.findings,
        inferred=lambda: _inferred(answer),
        gaps=lambda _: _gaps(data),
    )
    if report.verdict is not Verdict.CONFORMS_AS:
        return report
    return replace(report, profiles=tuple(_names(answer)))


def _other(base: NVFP4Policy) -> NVFP4Policy:
    return base.replace(decode_order="exact" if base.decode_order != "exact" else "scale-first")


def _read_off(data: Data, stage: ValueStage, base: NVFP4Policy) -> tuple[NVFP4Fault, ...]:
    """S16 with the constant that the values show, if they show one."""
    piece = data.blocks.take(spread(np.arange(data.blocks.n), _FEW))
    due: NDArray[Any] = stage.make(base, (), piece).astype(np.uint32).view(np.float32)
    usable = np.isfinite(due) & np.isfinite(piece.x) & (due != 0) & (piece.x != 0)
    if not usable.any():
        return ()
    ratio = piece.x[usable].astype(np.float64) / due[usable]
    middle = float(np.median(ratio))
    if middle in (0.0, 1.0) or np.mean(np.abs(ratio / middle - 1) < 1e-6) < 0.9:
        return ()
    if not _LEAST <= abs(middle) <= float(np.finfo(np.float32).max):
        return ()
    exact = float(np.float32(middle))
    change = after("decode_globals", lambda g, *_: as_global_scale(np.float64(g) * exact))
    return (NVFP4Fault("S16", f"{exact:.6g} times it", "decode", change),)


def _names(answer: Answer) -> Iterator[str]:
    """The profiles that decode in the order that was found."""
    order = getattr(answer.best.policy, "decode_order", None)
    yield from (n for n, p in PROFILES.items() if p.policy.decode_order == order)


def _inferred(answer: Answer) -> tuple[Inference, ...]:
    if answer.residual or answer.best.faults:
        return ()
    order = str(getattr(answer.best.policy, "decode_order", ""))
    orders = {order, "exact", "scale-first"}
    fits = [
        other
        for other in sorted(orders - {order})
        if not any(
            answer.stage.wrong(answer.best.policy.replace(decode_order=other), (), piece).any()
            for piece in answer.stage.blocks.pieces()
        )
    ]
    text = " or ".join([order, *fits])
    name = f"decode_order={order}"
    return (Inference("order of the two products", text, name, exact=not fits),)


def _gaps(data: Data) -> tuple[Gap, ...]:
    """What codes and scales do not occur."""
    gaps = []
    missing = sorted(set(range(16)) - set(np.unique(data.codes).tolist()))
    if missing:
        names = ", ".join(f"0x{code:x}" for code in missing)
        gaps.append(Gap(f"element codes {names}", ("D1", "D2", "D6", "D7"), "each code once"))
    scales = set(np.unique(data.scales).tolist())
    if not scales & set(range(1, 8)):
        gaps.append(Gap("a subnormal scale", ("D1", "D2", "D8"), "scale code 0x01, which is 2^-9"))
    if 0x7F not in scales:
        gaps.append(Gap("the scale NaN", ("D3",), "scale code 0x7f: everything under it is NaN"))
    if all(code & 7 == 0 for code in scales):
        gaps.append(Gap("a scale with a mantissa", ("D15",), "scale code 0x39, which is 1.125"))
    if data.g == 1:
        gaps.append(Gap("a scale of the tensor", ("S16",), "global_scale = 3"))
    return tuple(gaps)
