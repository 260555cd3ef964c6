"""Check of a BDR quantizer's output: scales, sub-scales and codes for given values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from mxref import bdr
from mxref.check._compare import same_bits
from mxref.check._problem import spread
from mxref.check.bdr._data import Data
from mxref.check.bdr._infer import gaps_of, inferred_from
from mxref.check.bdr._search import is_deterministic, judge
from mxref.check.bdr._stages import (
    BDRStage,
    ElementStage,
    NeighbourStage,
    ScaleStage,
    SubscaleStage,
)
from mxref.check.parts import Finding, Verdict
from mxref.check.relatives import Answer, Hypothesis, Judged, alternatives, assemble, empty_report
from mxref.check.report import Report
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import BDR_PROFILES, get_bdr_policy

__all__ = ["quantize"]

_SAMPLE = 2048
_BY_CHANCE = (
    "Every element is one of the two neighbours of its value: a stochastic rounding? Name it "
    "(policy='bdr-paper:rounding=stochastic-a'), and what can be judged of it is judged."
)
_NOT_BY_CHANCE = (
    "Of the stochastic rounding it was judged whether every element is one of the two neighbours "
    "of its value; how often each comes out depends on the random bits. To judge every bit, "
    "quantize with the same bits (mxref.bdr.quantize, random=...) and compare."
)


def quantize(
    x: ArrayLike,
    codes: ArrayLike,
    scales: ArrayLike,
    format: str | BDRFormat,  # noqa: A002
    axis: int = -1,
    policy: BDRPolicy | str | None = None,
    *,
    subscales: ArrayLike | None = None,
) -> Report:
    """Judge what a quantizer made of an array in a BDR format, and name what is wrong.

    Each level is judged given those above it that were emitted: sub-scales (the microexponents of
    MX9, MX6 and MX4) given the scales, elements given both. So a wrong scale rule does not look
    like a wrong encoder.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16
        What was quantized. A length that is not a multiple of k1 is taken as padded with zeros.
    codes : array of uint8
        Element codes, one in each byte, in the shape of `x`. int8 is taken for two's complement.
    scales : array of uint8, or of float32
        One for each k1 elements along `axis`.
    format : str or BDRFormat
        Such as ``"mx9"``.
    axis : int
        Blocked axis.
    policy : BDRPolicy or str, optional
        What the quantizer claims; default: find out, starting from ``"bdr-paper"``.
    subscales : array of uint8, optional
        One for each k2 elements, where the format has a second level.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Notes
    -----
    OP-BDR-QUANTIZER. What differs without effect, such as the microexponent of two zeros, is noted
    and never counted. Under a stochastic rounding the scales are judged, and that every element is
    one of the two neighbours of its value.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref import bdr
    >>> x = np.array([1.0, 0.3] * 8, np.float32)
    >>> theirs = bdr.quantize(x, "mx6")
    >>> shifts = 1 - theirs.subscales  # stored the wrong way round
    >>> report = quantize(x, theirs.codes, theirs.scales, "mx6", subscales=shifts)
    >>> str(report.verdict), [finding.id for finding in report.findings]
    ('defect', ['S18', 'S19'])
    """
    fmt = bdr_format(format)
    data = Data(x, codes, scales, subscales, fmt, axis)
    asked = None if policy is None else get_bdr_policy(policy)
    if not data.size:
        return empty_report("quantize", fmt.name, asked)
    base = asked if asked is not None else get_bdr_policy(None)
    if is_deterministic(base) and _is_same(data, base):
        return _passed(data, base, asked)
    data.prepare(base if is_deterministic(base) else base.replace(rounding="toward-zero"))
    if not is_deterministic(base):
        return _by_chance(data, base, asked)
    return _judged(data, base, asked)


def _is_same(data: Data, policy: BDRPolicy) -> bool:
    """Whether every byte is what a policy gives."""
    made = bdr.quantize(data.x, data.fmt, data.axis, policy, pad=True)
    if not same_bits(made.codes, data.codes) or not same_bits(made.scales, data.scales):
        return False
    if made.subscales is None or data.subscales is None:
        return True
    return same_bits(made.subscales, data.subscales)


def _stages(data: Data) -> list[BDRStage]:
    stages: list[BDRStage] = [ScaleStage(data)]
    if data.fmt.has_subscales:
        stages.append(SubscaleStage(data))
    return [*stages, ElementStage(data)]


def _total(data: Data) -> int:
    return data.scales.size + (0 if data.subscales is None else data.subscales.size)


def _passed(data: Data, base: BDRPolicy, asked: BDRPolicy | None) -> Report:
    start = Hypothesis(base)
    none = np.zeros(0, np.intp)
    answers = [Answer(stage, start, start, [start], 0, 0, none) for stage in _stages(data)]
    return _assembled(data, base, asked, answers, [])


def _judged(data: Data, base: BDRPolicy, asked: BDRPolicy | None) -> Report:
    stages = _stages(data)
    # Elements first: they show the rounding, on which the levels above may depend.
    element = judge(stages[-1], base, "element")
    settled: dict[str, str] = {}
    company: tuple[str, ...] = element.best.ids if element.is_explained else ()
    if element.is_explained:
        settled["rounding"] = _choice(element, "rounding")
    hint = element.best.policy if element.is_explained else base
    answers = [judge(stages[0], base, "scale", settled, company, hint)]
    if len(stages) > 2:  # there are sub-scales
        if answers[0].is_explained and _pins(answers[0], "shared_exponent"):
            settled["shared_exponent"] = _choice(answers[0], "shared_exponent")
        company = (*company, *answers[0].best.ids)
        if answers[0].is_explained:
            changed = answers[0].best.policy.diff(base)
            hint = hint.replace(**{name: ours for name, (ours, _) in changed.items()})
        answers.append(judge(stages[1], base, "subscale", settled, company, hint))
    answers.append(element)
    return _assembled(data, base, asked, answers, _notes(data, answers))


def _choice(answer: Answer, name: str) -> str:
    return str(getattr(answer.best.policy, name))


def _pins(answer: Answer, name: str) -> bool:
    """Whether a stage does not fit with another choice."""
    stage, best = answer.stage, answer.best
    return name in stage.fields and all(
        any(stage.wrong(other, best.faults, p).any() for p in stage.blocks.pieces())
        for other in alternatives(best.policy, (name,))
    )


def _assembled(
    data: Data,
    base: BDRPolicy,
    asked: BDRPolicy | None,
    answers: Sequence[Answer],
    notes: Sequence[str],
) -> Report:
    judged = Judged("quantize", data.fmt.name, data.lanes, base, asked, _total(data))
    is_clean = not any(answer.mismatches for answer in answers)
    known = [] if is_clean else _known(data, base, [a.stage for a in answers])
    report = assemble(
        judged,
        answers,
        known=known,
        notes=notes,
        inferred=lambda: inferred_from(answers),
        gaps=lambda report: gaps_of(data, report, base),
    )
    return replace(report, findings=_merged(report.findings))


def _merged(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding for a fault that shows at several levels."""
    found: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = finding.id, finding.detail if not finding.legal else finding.title
        found.setdefault(key, finding)
    return tuple(found.values())


def _known(data: Data, base: BDRPolicy, stages: Sequence[object]) -> list[tuple[str, BDRPolicy]]:
    """The profiles that give every bit that has an effect."""
    found = []
    for name, profile in BDR_PROFILES.items():
        policy = profile.policy
        if data.fmt.name not in profile.formats or policy == base or not is_deterministic(policy):
            continue
        if all(_agrees(stage, policy) for stage in stages if isinstance(stage, BDRStage)):
            found.append((name, policy))
    return found


def _agrees(stage: BDRStage, policy: BDRPolicy) -> bool:
    rows = spread(np.arange(stage.blocks.n), _SAMPLE)
    if stage.wrong(policy, (), stage.blocks.take(rows)).any():
        return False
    return not any(stage.wrong(policy, (), piece).any() for piece in stage.blocks.pieces())


# --- what else there is to say -----------------------------------------------------------------


def _notes(data: Data, answers: Sequence[Answer]) -> list[str]:
    notes = []
    counts = [_silent(answer) for answer in answers]
    if counts[0]:
        notes.append(
            f"{counts[0]:,} scales of all-zero blocks differ: any number makes the same zeros."
        )
    if data.fmt.has_subscales and counts[1]:
        notes.append(
            f"{counts[1]:,} sub-scales of zeros, or under a NaN scale, differ without effect."
        )
    if counts[-1]:
        notes.append(f"{counts[-1]:,} codes under a NaN scale differ; they are NaN all the same.")
    element = answers[-1]
    if element.residual:
        stage = NeighbourStage(data)
        policy = element.best.policy
        if not any(stage.wrong(policy, (), piece).any() for piece in stage.blocks.pieces()):
            notes.append(_BY_CHANCE)
    return notes


def _silent(answer: Answer) -> int:
    """Differences from the best explanation that have no effect."""
    stage, best, count = answer.stage, answer.best, 0
    for piece in stage.blocks.pieces():
        due, given = stage.make(best.policy, best.faults, piece), stage.given(piece)
        with np.errstate(invalid="ignore"):
            differs = (due != given) & ~((due != due) & (given != given))  # noqa: PLR0124  # NaN
        if piece.used is not None and stage.is_of_elements:
            differs &= piece.used
        if differs.any():
            count += int((differs & ~stage.wrong(best.policy, best.faults, piece)).sum())
    return count


def _by_chance(data: Data, base: BDRPolicy, asked: BDRPolicy | None) -> Report:
    """Judge what no random bits decide."""
    settled = base.replace(rounding="toward-zero")
    stages = _stages(data)
    answers = []
    note = _NOT_BY_CHANCE
    if base.shared_exponent == "after-rounding":
        note += " Nor were scales judged, which depend on the rounding here."
    else:
        answers += [
            judge(stage, settled, level)
            for stage, level in zip(stages[:-1], ("scale", "subscale"), strict=False)
        ]
    answers.append(judge(NeighbourStage(data), settled, "element"))
    judged = Judged("quantize", data.fmt.name, data.lanes, settled, asked, _total(data))
    report = assemble(judged, answers, notes=[note], inferred=lambda: inferred_from(answers))
    if report.verdict is Verdict.CONFORMS:
        return replace(report, policy=base)
    if report.verdict is Verdict.CONFORMS_AS and report.policy is not None:
        return replace(report, policy=report.policy.replace(rounding=str(base.rounding)))
    return report
