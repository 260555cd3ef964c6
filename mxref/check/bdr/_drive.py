"""Drives a black-box kernel of a BDR format with designed inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._foreign import as_numpy
from mxref._suggest import unknown_name
from mxref.check._call import Caller, RefusalError
from mxref.check._drive import INPUT_DTYPES
from mxref.check.bdr._dequantize import dequantize
from mxref.check.bdr._quantize import quantize
from mxref.check.bdr.stimuli import dequantize_stimuli, quantize_stimuli
from mxref.check.parts import Mismatches, Trouble, Verdict
from mxref.check.report import Report
from mxref.check.stimuli import Stimuli
from mxref.check.target import TargetError
from mxref.faults.encoder import as_float64
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import get_bdr_policy

__all__ = ["OPS", "drive"]

OPS = ("quantize", "dequantize")
_GOOD = (Verdict.CONFORMS, Verdict.CONFORMS_AS)
_EASY = 8  # blocks that are run twice
_RANDOM = 1 << 18  # elements of a further call at the highest levels
_CALLS = {"full": 8, "exhaustive": 64}

_Parts = tuple[NDArray[Any], NDArray[Any], "NDArray[np.uint8] | None"]


def drive(
    fn: Callable[..., Any],
    format: str | BDRFormat,  # noqa: A002
    op: str = "quantize",
    policy: BDRPolicy | str | None = None,
    level: str = "core",
    *,
    input_dtype: str = "float32",
    timeout: float | None = 120.0,
) -> Report:
    """Check a function that quantizes to a BDR format, or decodes from it.

    Parameters
    ----------
    fn : callable
        ``quantize``: blocks (n, k1) to codes (n, k1), scales (n,) or (n, 1), and with a second
        level sub-scales (n, k1 / k2); an object with ``codes``, ``scales`` and ``subscales`` will
        do. ``dequantize``: codes, scales (n, 1) and sub-scales to float32 (n, k1). A format with
        one scale for a whole tensor is called once for each block of stimuli, (64,) to codes (64,)
        and a scale.
    format : str or BDRFormat
    op : str
        ``"quantize"`` or ``"dequantize"``.
    policy : BDRPolicy or str, optional
        What `fn` claims; default: find out.
    level : str
        ``"smoke"``: a few blocks. ``"core"``: everything designed. ``"full"`` and
        ``"exhaustive"``: 8 and 64 calls of 2^18 random numbers more.
    input_dtype : str
        What `fn` takes: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    timeout : float or None
        Seconds that one call may take.

    Returns
    -------
    Report
        Coordinates count along the designed inputs. A target that raises, hangs, is not
        deterministic or returns something else gives a report with ``trouble`` set.

    Raises
    ------
    TypeError, ValueError
        If `fn` is no function, or a name does not exist.

    Examples
    --------
    >>> from mxref import bdr
    >>> report = drive(lambda x: bdr.quantize(x, "mx9"), "mx9")
    >>> str(report.verdict)
    'conforms'
    """
    fmt = bdr_format(format)
    asked = None if policy is None else get_bdr_policy(policy)
    if op not in OPS:
        raise ValueError(unknown_name("operation", op, OPS))
    levels = ("smoke", "core", *_CALLS)
    if level not in levels:
        raise ValueError(unknown_name("level", level, levels))
    if input_dtype not in INPUT_DTYPES:
        raise ValueError(unknown_name("input type", input_dtype, INPUT_DTYPES))
    if not callable(fn):
        raise TypeError(f"fn must be a function, got {type(fn).__name__}")
    caller = Caller(fn, _signature(op, fmt, input_dtype), timeout)
    driven = _Driven(caller, fmt, op, asked, INPUT_DTYPES[input_dtype])
    try:
        return driven.run(level)
    except TargetError as error:
        trouble = Trouble(error.kind, f"{error}.")
        verdict = Verdict.UNEXPLAINED if error.kind == "nondeterministic" else Verdict.NOT_TESTABLE
        nothing = Mismatches(0, 0, 0, 0)
        return Report(op, fmt.name, verdict, None, asked, (), nothing, trouble=trouble)


def _signature(op: str, fmt: BDRFormat, dtype: str) -> str:
    second = ", subscales" if fmt.has_subscales else ""
    if op == "quantize":
        return f"fn(x: {dtype} (n, {fmt.k1 or 64})) -> (codes, scales{second})"
    return f"fn(codes, scales{second}) -> float32 (n, {fmt.k1 or 64})"


class _Driven:
    """A target with its format, on its way through the stages."""

    def __init__(
        self, call: Caller, fmt: BDRFormat, op: str, asked: BDRPolicy | None, dtype: np.dtype[Any]
    ) -> None:
        self.call, self.fmt, self.op, self.asked, self.dtype = call, fmt, op, asked, dtype

    def run(self, level: str) -> Report:
        """Go through the stages up to a level."""
        design = quantize_stimuli(self.fmt) if self.op == "quantize" else None
        design = design or dequantize_stimuli(self.fmt)
        if self.op == "quantize":
            with np.errstate(all="ignore"):
                design = Stimuli((design.inputs[0].astype(self.dtype),), design.groups)
        easy = tuple(array[:_EASY] for array in design.inputs)
        self._require_repeatable(easy)
        if level == "smoke":
            return self._judged(easy, design, "a few blocks")
        report = self._core(design)
        for number in range(_CALLS.get(level, 0) if report.verdict in _GOOD else 0):
            more = self._judged(self._random(number), design, "random numbers")
            if more.verdict not in _GOOD or more.policy != report.policy:
                return more
        return report

    def _core(self, design: Stimuli) -> Report:
        names = ", ".join(group.name for group in design.groups)
        try:
            return self._judged(design.inputs, design, names)
        except RefusalError as refusal:
            if self.op != "quantize":
                raise
            x = design.inputs[0]
            keep = np.isfinite(as_float64(x)).all(1)
            report = self._judged((x[keep],), design, f"{names}, all finite")
            text = f"{refusal}. All finite inputs were judged, without NaN and infinity."
            verdict = report.verdict
            if verdict in _GOOD:
                verdict = Verdict.UNEXPLAINED
            return replace(report, verdict=verdict, trouble=Trouble("raised", text))

    def _random(self, number: int) -> tuple[NDArray[Any], ...]:
        rng = np.random.default_rng([number, 8])
        k = min(self.fmt.k1 or 64, 1 << 12)
        if self.op == "quantize":
            x = rng.standard_normal((_RANDOM // k, k)) * np.exp2(
                rng.integers(-20, 21, (_RANDOM // k, 1))
            )
            return (x.astype(self.dtype),)
        inputs = dequantize_stimuli(self.fmt).inputs
        return tuple(rng.permutation(array) for array in inputs)

    # --- calls ----------------------------------------------------------------------------

    def _require_repeatable(self, easy: tuple[NDArray[Any], ...]) -> None:
        first, second = self._outputs(easy), self._outputs(easy)
        for one, other in zip(first, second, strict=True):
            if one is not None and other is not None and one.tobytes() != other.tobytes():
                raise TargetError(
                    "two calls on the same input gave different outputs. Fix the seed, or switch "
                    "stochastic rounding off; if there is none, look for a race",
                    "nondeterministic",
                )

    def _outputs(self, inputs: tuple[NDArray[Any], ...]) -> _Parts:
        if self.fmt.k1 is not None:
            return self._one(inputs)
        made = [self._one(tuple(array[i] for array in inputs)) for i in range(len(inputs[0]))]
        scales = np.stack([part[1].reshape(()) for part in made]) if self.op == "quantize" else None
        values = np.stack([part[0] for part in made])
        return values, scales if scales is not None else made[0][1], None

    def _one(self, inputs: tuple[NDArray[Any], ...]) -> _Parts:
        result = self.call(*inputs)
        if self.op == "dequantize":
            values = as_numpy(result, "values")
            self._require(values.shape == inputs[0].shape, "values", values, inputs[0].shape)
            return values, inputs[1], None
        codes, scales, subscales = self._split(result)
        shape = inputs[0].shape
        self._require(codes.shape == shape, "codes", codes, shape)
        rows = shape[0] if self.fmt.k1 is not None else 1
        self._require(scales.size == rows, "scales", scales, (rows, 1))
        if self.fmt.k1 is not None:
            scales = scales.reshape(rows, 1)
        if subscales is not None:
            wanted = (rows, shape[1] // self.fmt.k2)
            self._require(subscales.shape == wanted, "subscales", subscales, wanted)
        return codes, scales, subscales

    def _split(self, result: Any) -> _Parts:
        wanted = 3 if self.fmt.has_subscales else 2
        names = ("codes", "scales", "subscales")[:wanted]
        if hasattr(result, "codes") and hasattr(result, "scales"):
            parts = [getattr(result, name, None) for name in names]
        elif isinstance(result, tuple | list) and len(result) in (wanted, 3):
            parts = list(result[:wanted])
        else:
            kind = type(result).__name__
            if isinstance(result, tuple | list):
                kind += f" of {len(result)}"
            raise TargetError(f"harness mis-wired: got {kind}, expected ({', '.join(names)})")
        if any(part is None for part in parts):
            raise TargetError(f"harness mis-wired: expected ({', '.join(names)}), got None in it")
        arrays = [as_numpy(part, name) for part, name in zip(parts, names, strict=True)]
        for array, name in zip(arrays, names, strict=True):
            is_float = name == "scales" and self.fmt.scale is ScaleKind.FLOAT32
            wanted_type = np.float32 if is_float else np.uint8
            if array.dtype != wanted_type and not (name == "codes" and array.dtype.itemsize == 1):
                raise TargetError(
                    f"harness mis-wired: the {name} have dtype {array.dtype}, expected "
                    f"{np.dtype(wanted_type).name}"
                )
        return arrays[0], arrays[1], arrays[2] if len(arrays) > 2 else None

    @staticmethod
    def _require(holds: bool, what: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:  # noqa: FBT001
        if not holds:
            raise TargetError(
                f"harness mis-wired: the {what} have shape {array.shape}, expected {shape}"
            )

    # --- judgement ------------------------------------------------------------------------

    def _judged(self, inputs: tuple[NDArray[Any], ...], design: Stimuli, names: str) -> Report:
        outputs = self._outputs(inputs)
        # A scale for a whole tensor: the blocks are judged as though each were one.
        fmt = self.fmt if self.fmt.k1 is not None else self.fmt.with_k1(inputs[0].shape[1])
        try:
            report = self._report(inputs, outputs, fmt)
        except (TypeError, ValueError) as error:
            raise TargetError(f"harness mis-wired: {error}") from error
        notes = [*report.notes]
        first = report.mismatches.first
        if first is not None and inputs is design.inputs:
            notes.append(f"The first mismatch is among: {design.group_of(first.index[0])}.")
        blocks = f"{len(inputs[0]):,} designed blocks in {self.call.calls} calls"
        notes.append(f"Driven with {blocks}: {names}.")
        return replace(report, format=self.fmt.name, notes=tuple(notes))

    def _report(self, inputs: tuple[NDArray[Any], ...], outputs: _Parts, fmt: BDRFormat) -> Report:
        if self.op == "quantize":
            codes, scales, subscales = outputs
            scales = scales.reshape(len(codes), 1)
            return quantize(inputs[0], codes, scales, fmt, -1, self.asked, subscales=subscales)
        codes, scales, *second = inputs
        shared = second[0] if second else None
        return dequantize(codes, scales, outputs[0], fmt, -1, self.asked, subscales=shared)
