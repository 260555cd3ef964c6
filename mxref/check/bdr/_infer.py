"""What the data say of each choice of a BDR quantizer, and what they cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mxref.check._problem import spread
from mxref.check.bdr._search import is_deterministic
from mxref.check.gaps._words import needs_of
from mxref.check.parts import Gap, Inference
from mxref.check.relatives import Answer, alternatives
from mxref.faults._bdr_variant import compose
from mxref.faults.bdr import EQUIVALENT, faults_of
from mxref.faults.bdr_scaled import model_of
from mxref.faults.catalogue import FAULTS

if TYPE_CHECKING:
    from mxref.check.bdr._data import Data
    from mxref.check.report import Report
    from mxref.faults.bdr_model import Model
    from mxref.relatives.bdr_format import BDRFormat
    from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["gaps_of", "inferred_from"]

_SAMPLE = 1 << 14  # elements
_MOST = 8
_SHOWN = 3
_TOLD = {
    "shared_exponent": "shared exponent",
    "rounding": "rounding",
    "input_subnormal": "subnormal inputs",
    "nan": "NaN",
    "inf": "infinity",
    "scale_above": "scales above the range",
    "scale_below": "scales below the range",
    "shift": "microexponents",
    "zero_block": "scale of zeros",
    "zero_subblock": "microexponent of zeros",
    "neg_zero": "sign of zeros",
    "int_min": "most negative code",
    "scale_quotient": "computation of the scale",
    "element_quotient": "computation of the elements",
    "subscale_rounding": "rounding of the sub-scales",
    "element_divisor": "divisor of the elements",
}


def inferred_from(answers: Sequence[Answer]) -> tuple[Inference, ...]:
    """Say for each choice whether the data pin it, or what else would fit."""
    fits: dict[str, set[str]] = {}
    ours: dict[str, str] = {}
    for answer in answers:
        if answer.residual or answer.best.faults:
            continue
        stage, policy = answer.stage, answer.best.policy
        limit = max(16, _SAMPLE // max(1, stage.blocks.size))
        rows = np.union1d(spread(answer.bad, limit), spread(np.arange(stage.blocks.n), limit))
        piece = stage.blocks.take(rows)
        for name in stage.fields:
            others = {
                str(getattr(other, name))
                for other in alternatives(policy, (name,))
                if is_deterministic(other) and not stage.wrong(other, (), piece).any()
            }
            fits[name] = others & fits[name] if name in fits else others
            if name not in ours or str(getattr(answer.base.policy, name)) == ours[name]:
                ours[name] = str(getattr(policy, name))
    found = []
    for name, what in _TOLD.items():
        if name in ours:
            rest = sorted(fits[name] - {ours[name]})
            text = f"{ours[name]}, or {', '.join(rest)}" if rest else ours[name]
            found.append(Inference(what, text, f"{name}={ours[name]}", exact=not rest))
    return tuple(found)


def gaps_of(data: Data, report: Report, base: BDRPolicy) -> tuple[Gap, ...]:
    """Say which faults would not have shown in these values, and which input shows them."""
    from mxref.check.bdr.stimuli import quantize_stimuli

    policy = cast("BDRPolicy", report.policy or base)
    if not is_deterministic(policy):
        return ()
    fmt = data.fmt
    small = fmt if fmt.k1 is not None and fmt.k1 <= 64 else fmt.with_k1(64)
    found = {finding.id for finding in report.findings}
    blocks = data.blocks if small is fmt else data.lanes
    rows = spread(np.arange(blocks.n), max(8, _SAMPLE // blocks.size))
    if small.k1 != blocks.size:
        return ()
    sample = blocks.take(rows).x
    unseen = [f for f in faults_of(small, policy) if f.id not in found and not _is_equal(f, small)]
    seen = _shown(unseen, small, policy, sample)
    unseen = [fault for fault, shown in zip(unseen, seen, strict=True) if not len(shown)]
    design = quantize_stimuli(small)
    x = design.inputs[0].astype(sample.dtype)
    rows_of: dict[str, tuple[set[str], list[Any]]] = {}
    for fault, shown in zip(unseen, _shown(unseen, small, policy, x), strict=True):
        if len(shown):
            first = int(shown[0])
            ids, inputs = rows_of.setdefault(design.group_of(first), (set(), []))
            if fault.id not in ids and len(inputs) < _SHOWN:
                inputs.append(x[first])
            ids.add(fault.id)
    gaps = [
        Gap(f"what the {name} show", tuple(i for i in FAULTS if i in ids), needs_of(inputs))
        for name, (ids, inputs) in rows_of.items()
    ]
    return tuple(sorted(gaps, key=lambda gap: -len(gap.faults))[:_MOST])


def _is_equal(fault: Any, fmt: BDRFormat) -> bool:
    return any(
        key[:2] in ((fault.id, fault.detail), (fault.id, "*")) and key[3] in ("*", fmt.name)
        for key in EQUIVALENT
    )


def _shown(
    faults: Sequence[Any], fmt: BDRFormat, policy: BDRPolicy, x: np.ndarray[Any, Any]
) -> list[np.ndarray[Any, Any]]:
    """For each fault the blocks that show it."""
    right = model_of(fmt)(fmt, policy).quantize(x)
    return [_different(compose(fmt, (fault,))(fmt, policy), right, x) for fault in faults]


def _different(
    model: Model, right: tuple[Any, ...], x: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    scales, subscales, codes = model.quantize(x)
    differs = (codes != right[2]).any(1) | ((scales != right[0]) & (scales == scales))  # noqa: PLR0124
    if subscales is not None:
        differs |= (subscales != right[1]).any(1)
    return np.flatnonzero(differs & (x != 0).any(1))
