"""The search for the cause of wrong scale codes: which policy and which faults reproduce them.

A search runs on a sample and returns hypotheses, the simplest of those that fit best first. It
proves nothing: `mxref.check._scale_stage` verifies hypotheses on all data and feeds counterexamples
back into the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mxref.check._beam import MOST_FAULTS, beam_of
from mxref.check._descent import nearest_policy
from mxref.check._findings import SCALE_FIELDS
from mxref.check.infer import infer_scale_policy, scale_differences
from mxref.faults._stack import stack
from mxref.faults.block import scale_side
from mxref.faults.encoder import Bytes
from mxref.faults.legal import explanations
from mxref.faults.scale import ScaleModel, Selector
from mxref.faults.scale_models import scale_models
from mxref.faults.scale_variants import scale_faults_seen, scale_variants
from mxref.faults.stats import BlockStats
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["ScaleHypothesis", "search_scales"]


@dataclass(frozen=True, slots=True)
class ScaleHypothesis:
    """A policy and faults that are assumed of the scale selection."""

    policy: Policy
    models: tuple[ScaleModel, ...] = ()
    residual: int = 0
    rules: tuple[str, ...] = ()

    def select(self, stats: BlockStats, fmt: BlockFormat) -> Bytes:
        """Scale codes as the hypothesis has them."""
        selector = stack(Selector, (model.selector for model in self.models))
        return selector(fmt, self.policy).select(stats)


def search_scales(
    stats: BlockStats,
    given: Bytes,
    fmt: BlockFormat,
    base: Policy,
    extra: Sequence[ScaleModel] = (),
    *,
    only_faults: bool = False,
) -> list[ScaleHypothesis]:
    """Explain scale codes.

    Parameters
    ----------
    stats : BlockStats
        One-dimensional.
    given : ndarray of uint8
        Emitted scale codes.
    base : Policy
        Preferred where the data are silent.
    extra : sequence of ScaleModel
        Faults beyond those of the catalogue, with parameters read off the data.
    only_faults : bool
        Whether the policy is settled.

    Returns
    -------
    list of ScaleHypothesis
        Best first, with their residuals on these blocks.
    """
    inferred: Policy = base
    rules: tuple[str, ...] = (str(base.scale_rule),)
    if not only_faults:
        inferred, rules = infer_scale_policy(stats, given, fmt, base)

    def residual(policy: Policy, models: tuple[ScaleModel, ...] = ()) -> ScaleHypothesis:
        trial = ScaleHypothesis(policy, models, 0, rules)
        codes = trial.select(stats, fmt)
        missed = int(scale_differences(stats, codes, given).sum())
        return ScaleHypothesis(policy, models, missed, rules)

    plain = residual(inferred)
    if plain.residual and not only_faults:

        def missed(policy: Policy) -> int:
            return residual(policy).residual

        legal, left = nearest_policy(
            (base, inferred), SCALE_FIELDS, fmt.element, missed, few=max(16, len(given) // 32)
        )
        if left == 0:
            inferred, plain = legal, residual(legal)
    if plain.residual == 0:
        return [plain]
    policies = [inferred.replace(scale_rule=rule) for rule in _rules(base, inferred)]
    # A fault may have misled the inference of the other choices: of NaN, of zeros, of the ends.
    expected = {"scale_nan": base.scale_nan, "scale_inf": base.scale_inf}
    ends = (policies[0].replace(scale_above=c) for c in explanations(base, "scale_above"))
    policies = list(dict.fromkeys((*policies, policies[0].replace(**expected), *ends, base)))
    if only_faults:
        policies = [base]
    known = (*scale_models(fmt), *scale_side(base), *scale_variants())
    every = (*known, *scale_faults_seen(stats, given, fmt), *extra)
    models = [m for m in every if not m.legal_change]
    # A fault that brings its own rule asks for the other choices only.
    ruled = list(dict.fromkeys(p.replace(scale_rule=policies[0].scale_rule) for p in policies))
    found = [
        residual(policy, (model,))
        for model in models
        for policy in (policies if model.keeps_rule else ruled)
    ]
    found += [plain, *(residual(policy) for policy in policies)]
    found.sort(key=lambda h: _scale_rank(h, base))
    for _ in range(MOST_FAULTS - 1):
        if found[0].residual == 0:
            break
        more = [
            residual(first.policy, (*first.models, model))
            for first in beam_of(found)
            for model in models
            if first.models and model not in first.models
        ]
        found = sorted([*found, *more], key=lambda h: _scale_rank(h, base))
    return found


def _rules(base: Policy, inferred: Policy) -> list[str]:
    rules = explanations(base, "scale_rule")
    return list(dict.fromkeys((rules[0], str(inferred.scale_rule), *rules)))


def _scale_rank(hypothesis: ScaleHypothesis, base: Policy) -> tuple[int, int, int]:
    changes = len(hypothesis.policy.diff(base))
    return hypothesis.residual, len(hypothesis.models), changes
