"""A black box of NVFP4, driven with designed tensors and judged over all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._suggest import unknown_name
from mxref.check._call import RefusalError
from mxref.check._drive import INPUT_DTYPES
from mxref.check.nvfp4._data import Data
from mxref.check.nvfp4._dequantize import judge_values, report_of_values
from mxref.check.nvfp4._judge import judge
from mxref.check.nvfp4._quantize import report_of
from mxref.check.nvfp4._target import OPS, Guarded
from mxref.check.nvfp4._together import Run, as_one, hints
from mxref.check.nvfp4.stimuli import encoded, stimuli
from mxref.check.parts import Mismatches, Trouble, Verdict
from mxref.check.report import Report
from mxref.check.target import TargetError
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import get_policy

__all__ = ["drive"]

_LEVELS = ("smoke", "core", "full", "exhaustive")
_Progress = Callable[[int, int], None]


def drive(  # options of a test bench, by keyword
    fn: Callable[..., Any],
    op: str = "quantize",
    policy: NVFP4Policy | str | None = None,
    level: str = "core",
    *,
    input_dtype: str = "float32",
    timeout: float | None = 120.0,
    progress: _Progress | None = None,
) -> Report:
    """Check a function that quantizes to NVFP4, or decodes from it.

    Parameters
    ----------
    fn : callable
        ``quantize``: takes an array (n, 64), a tensor a call, and returns codes (n, 64), scale
        codes (n, 4) and the decode multiplier of the tensor; without the third it counts as 1. An
        object with ``codes``, ``scales`` and ``global_scale`` will do. ``dequantize``: takes
        codes, scale codes and the multiplier, and returns float32 (n, 64).
    op : str
        ``"quantize"`` or ``"dequantize"``.
    policy : NVFP4Policy or str, optional
        What it claims; default: find out, starting from ``"te-1d"``.
    level : str
        ``"smoke"``: easy tensors. ``"core"``: all that are designed. ``"full"`` and
        ``"exhaustive"``: with more numbers in them.
    input_dtype : str
        What a quantizer takes: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    timeout : float or None
        Seconds that one call may take.
    progress : callable, optional
        Called with how many tensors are done, and of how many.

    Returns
    -------
    Report
        Indices of witnesses start with the number of the tensor; a note names it. A target that
        raises, hangs, is not deterministic, writes into its input or returns something else gives
        a report with ``trouble`` set. One that raises on NaN or infinity alone is judged on the
        rest, with a note: no standard says that it must take them.

    Raises
    ------
    TypeError, ValueError
        If `fn` is no function, a name does not exist, or the policy is stochastic.

    Examples
    --------
    >>> from mxref import nvfp4
    >>> report = drive(lambda x: nvfp4.quantize(x, policy="modelopt"))
    >>> report.verdict, report.policy.name
    (<Verdict.CONFORMS_AS: 'conforms-as'>, 'modelopt')
    >>> drive(lambda x: None).trouble.kind
    'mis-wired'
    """
    if op not in OPS:
        raise ValueError(unknown_name("operation", op, OPS))
    if level not in _LEVELS:
        raise ValueError(unknown_name("level", level, _LEVELS))
    if input_dtype not in INPUT_DTYPES:
        raise ValueError(unknown_name("input type", input_dtype, INPUT_DTYPES))
    if not callable(fn):
        raise TypeError(f"fn must be a function, got {type(fn).__name__}")
    asked = None if policy is None else get_policy(policy)
    if op == "quantize" and asked is not None and asked.rounding == "stochastic":
        raise ValueError(
            "rounding=stochastic cannot be judged by codes alone: give mxref.check.quantize a "
            "tensor with its codes and the random numbers, random="
        )
    target = Guarded(fn, op, input_dtype, timeout)
    try:
        if op == "dequantize":
            return _decoder(target, asked, level, progress)
        return _quantizer(target, asked, level, INPUT_DTYPES[input_dtype], progress)
    except TargetError as error:
        trouble = Trouble(error.kind, f"{error}.")
        verdict = Verdict.UNEXPLAINED if error.kind == "nondeterministic" else Verdict.NOT_TESTABLE
        nothing = Mismatches(0, 0, 0, 0)
        return Report(op, "nvfp4", verdict, None, asked, (), nothing, trouble=trouble)


def _quantizer(
    target: Guarded,
    asked: NVFP4Policy | None,
    level: str,
    dtype: np.dtype[Any],
    progress: _Progress | None,
) -> Report:
    base = asked if asked is not None else get_policy(None)
    runs: list[Run] = []
    notes: list[str] = []
    todo = stimuli(level)
    target.require_repeatable(_typed(todo[0].x, dtype))
    for i, stimulus in enumerate(todo):
        x = _typed(stimulus.x, dtype)
        try:
            codes, scales, g = target(x)
        except RefusalError as refusal:
            if not stimulus.special:
                raise
            notes.append(f"The target refuses {stimulus.special}: {refusal}.")
            continue
        data = Data(x, codes, scales, -1, g)
        runs.append(Run(stimulus.name, data, judge(data, base, hints(runs))))
        if progress is not None:
            progress(i + 1, len(todo))
    return as_one(runs, base, lambda run: report_of(run.data, run.judged, base, asked), notes)


def _decoder(
    target: Guarded, asked: NVFP4Policy | None, level: str, progress: _Progress | None
) -> Report:
    base = asked if asked is not None else get_policy(None)
    runs: list[Run] = []
    todo = encoded(level)
    target.require_repeatable(todo[0].codes, todo[0].scales, todo[0].global_scale)
    for i, stimulus in enumerate(todo):
        given = stimulus.codes, stimulus.scales, stimulus.global_scale
        (values,) = target(*given)
        data = Data(values, *given[:2], -1, given[2])
        runs.append(Run(stimulus.name, data, judge_values(data, base)))
        if progress is not None:
            progress(i + 1, len(todo))
    return as_one(runs, base, lambda run: report_of_values(run.data, run.judged, base, asked), ())


def _typed(x: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(x.astype(dtype))
