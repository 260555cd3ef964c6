"""Drives a black-box kernel with designed inputs: the strongest form of a check.

The kernel is called a few times on arrays, never element by element: twice on easy inputs (is the
harness wired, is the kernel deterministic), then once on everything. All outputs are judged in one
call of the check for that operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref._suggest import unknown_name
from mxref.check import stimuli
from mxref.check._guard import GuardedKernel, RefusalError
from mxref.check._smoke import require_deterministic, require_wired
from mxref.check.target import OPS
from mxref.faults.legal import require_judgeable
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat, block_format, scalar_format
from mxref.policy import Policy, get_policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.check.report import Report

__all__ = ["LEVELS", "kernel"]

LEVELS = ("smoke", "core")
"""How much is tried: about ten easy cases, or everything that is designed for the format."""

Fmt = BlockFormat | ElementFormat | ScaleFormat


def kernel(
    fn: Callable[..., Any],
    format: str | Fmt,  # noqa: A002
    op: str = "quantize",
    policy: Policy | str | None = None,
    level: str = "core",
) -> Report:
    """Check a function that implements one operation on one format.

    Parameters
    ----------
    fn : callable
        The kernel. It is called on fresh, contiguous arrays:

        - ``quantize``: float32 (n, k) to codes (n, k) and scale codes (n, 1) or (n,)
        - ``dequantize``: codes (n, k) and scale codes (n, 1) to float32 (n, k)
        - ``encode``: float32 (n,) to codes (n,)
        - ``decode``: codes (n,) to float32 (n,)

        Codes and scale codes are uint8, one a byte; one-byte types of ml_dtypes and an object
        with ``codes`` and ``scales`` are accepted from `fn` as well.
    format : str or format
        A block format for ``quantize`` and ``dequantize``, else an element format or ``"e8m0"``.
    op : str
        ``"quantize"``, ``"dequantize"``, ``"encode"`` or ``"decode"``.
    policy : Policy or str, optional
        The policy that `fn` claims to follow. Without one the check finds out which it follows.
    level : str
        ``"core"``, or ``"smoke"`` for the easy cases alone.

    Returns
    -------
    Report
        Its coordinates count along the designed inputs, ``mxref.check.stimuli``.

    Raises
    ------
    TargetError
        If `fn` raises, returns something else than the above, writes into its input, is not
        deterministic, or is wired wrongly: values instead of codes, exchanged nibbles, ....
    ValueError
        If the format, the operation, the policy or the level does not exist, or the policy is
        stochastic or searches for scales.

    Examples
    --------
    >>> import mxref
    >>> report = mxref.check.kernel(lambda x: mxref.quantize(x, "mxfp4"), "mxfp4")
    >>> report.ok
    True
    """
    if op not in OPS:
        raise ValueError(unknown_name("operation", op, OPS))
    if level not in LEVELS:
        raise ValueError(unknown_name("level", level, LEVELS))
    if not callable(fn):
        raise TypeError(f"fn must be a function, got {type(fn).__name__}")
    asked = None if policy is None else get_policy(policy)
    if asked is not None and op in ("quantize", "encode"):
        require_judgeable(asked)
    fmt: Fmt = (
        block_format(format)  # type: ignore[arg-type]  # a scalar format raises there
        if op in ("quantize", "dequantize")
        else scalar_format(format)  # type: ignore[arg-type]  # likewise
    )
    run = _Run(GuardedKernel(fn, op, fmt), fmt, op)
    smoke = run.smoke()
    if level == "smoke":
        return run.judge(smoke, asked)
    return run.judge(run.core(smoke), asked)


@dataclass(frozen=True, slots=True)
class _Trial:
    """Inputs with the outputs they got, and what was learnt on the way."""

    inputs: tuple[NDArray[Any], ...]
    outputs: tuple[NDArray[Any], ...]
    design: stimuli.Stimuli
    refused: tuple[tuple[str, str], ...] = ()  # policy fields, with what the kernel said


@dataclass(slots=True)
class _Run:
    """One kernel on its way through the stages."""

    call: GuardedKernel
    fmt: Fmt
    op: str

    def smoke(self) -> _Trial:
        """Run the easy cases twice, and stop if they show a broken harness."""
        easy = stimuli.smoke_stimuli(self.fmt, self.op)
        outputs = self.call(*easy.inputs)
        require_wired(self.op, self.fmt, easy.inputs, outputs)
        require_deterministic(outputs, self.call(*easy.inputs))
        return _Trial(easy.inputs, outputs, easy)

    def core(self, smoke: _Trial) -> _Trial:
        """Run everything, the easy cases once more among it."""
        if self.op == "decode":
            return smoke  # these were all codes
        design = _design(self.op, self.fmt)
        inputs = _joined(design.inputs, smoke.inputs)
        try:
            trial = _Trial(inputs, self.call(*inputs), design)
        except RefusalError as refusal:
            trial = self._without_specials(inputs, design, refusal)
        # Both outputs of the easy cases are judged: if they depend on their neighbours, one of
        # them is wrong.
        return replace(
            trial,
            inputs=_joined(trial.inputs, smoke.inputs),
            outputs=_joined(trial.outputs, smoke.outputs),
        )

    def _without_specials(
        self, inputs: tuple[NDArray[Any], ...], design: stimuli.Stimuli, refusal: RefusalError
    ) -> _Trial:
        """Find out whether the kernel refuses NaN or infinity only: a legal choice for some."""
        fields = self._refusable()
        if not fields:
            raise refusal
        x = inputs[0]
        within = tuple(range(1, x.ndim))
        has_nan, has_inf = np.isnan(x).any(axis=within), np.isinf(x).any(axis=within)
        part = (x[~has_nan & ~has_inf],)
        try:
            trial = _Trial(part, self.call(*part), design)
        except RefusalError:
            raise refusal from None  # ordinary numbers are refused too
        for field, is_held in (
            (fields.get("nan"), has_nan & ~has_inf),
            (fields.get("inf"), has_inf & ~has_nan),
        ):
            part = (x[is_held],)
            try:
                outputs = self.call(*part)
            except RefusalError as special:
                if field is None:
                    raise special from None
                trial = replace(trial, refused=(*trial.refused, (field, str(special))))
            else:
                trial = replace(
                    trial,
                    inputs=_joined(trial.inputs, part),
                    outputs=_joined(trial.outputs, outputs),
                )
        if not trial.refused:  # each kind alone is taken, so it is the mixture or the size
            raise refusal
        return trial

    def _refusable(self) -> dict[str, str]:
        """Policy fields that allow refusing a special value, by the kind of value."""
        if self.op == "quantize":
            return {"nan": "scale_nan", "inf": "scale_inf"}
        if self.op == "encode" and isinstance(self.fmt, ElementFormat) and not self.fmt.has_nan:
            return {"nan": "nan_element", "inf": "inf_element"}
        return {}

    def judge(self, trial: _Trial, asked: Policy | None) -> Report:
        """Compare all outputs with the definition, and say what was tried."""
        from mxref import check

        judge: Callable[..., Report] = getattr(check, self.op)
        report = judge(*trial.inputs, *trial.outputs, self.fmt, policy=asked)
        notes = [*report.notes, self._coverage(trial)]
        first = report.mismatches.first
        designed = trial.design.groups[-1].stop
        # Where inputs were refused and left out, positions have moved.
        if first is not None and first.index[0] < designed and not trial.refused:
            where = trial.design.group_of(first.index[0])
            notes.append(f"The first mismatch is among: {where}.")
        report = replace(report, notes=tuple(notes))
        return _with_refusals(report, trial.refused, asked)

    def _coverage(self, trial: _Trial) -> str:
        n, unit = len(trial.inputs[0]), "blocks" if isinstance(self.fmt, BlockFormat) else "inputs"
        groups = ", ".join(g.name for g in trial.design.groups)
        return f"Driven with {n:,} designed {unit} in {self.call.calls} calls: {groups}."


def _design(op: str, fmt: Fmt) -> stimuli.Stimuli:
    if isinstance(fmt, BlockFormat):
        make = stimuli.quantize_stimuli if op == "quantize" else stimuli.dequantize_stimuli
        return make(fmt)
    return stimuli.encode_stimuli(fmt) if op == "encode" else stimuli.decode_stimuli(fmt)


def _joined(first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> Any:
    return tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))


def _with_refusals(
    report: Report, refused: tuple[tuple[str, str], ...], asked: Policy | None
) -> Report:
    """Count a refusal of special values as the policy choice that it is."""
    if not refused:
        return report
    from mxref.check.report import Verdict

    notes = (*report.notes, *(f"{field}=raise: {said}." for field, said in refused))
    report = replace(report, notes=notes)
    if report.verdict not in (Verdict.CONFORMS, Verdict.CONFORMS_AS):
        return report
    base = report.policy or asked or get_policy(None)
    policy = base.replace(**{field: "raise" for field, _ in refused})
    verdict = Verdict.CONFORMS if policy == asked else Verdict.CONFORMS_AS
    return replace(report, verdict=verdict, policy=policy)
