"""The search for the cause: which policy and which faults reproduce given codes.

A search runs on a sample and returns hypotheses, the simplest of those that fit best first. It
proves nothing: `mxref.check.quantize` verifies hypotheses on all data and feeds counterexamples
back into the sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mxref.check._elements import encode_given, with_flushed_blocks
from mxref.check._read_off import block_faults_seen, element_faults_seen
from mxref.check.infer import infer_element_policy, infer_scale_policy, scale_differences
from mxref.faults._stack import stack
from mxref.faults.alignment import alignment_models
from mxref.faults.block import BlockModel, element_side, scale_side
from mxref.faults.block_variants import block_variants
from mxref.faults.element import ElementModel, compose, element_models
from mxref.faults.element_variants import element_variants
from mxref.faults.encoder import Bools, Bytes
from mxref.faults.layout import LayoutModel, layout_models
from mxref.faults.legal import explanations
from mxref.faults.scale import ScaleModel, Selector
from mxref.faults.scale_models import scale_models
from mxref.faults.scale_variants import scale_faults_seen, scale_variants
from mxref.faults.stats import BlockStats, block_stats
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["ElementHypothesis", "ElementSearch", "ScaleHypothesis", "search_scales"]

_NAN_SCALE = 0xFF
_BEAM = 5  # hypotheses that are carried on when a single fault does not suffice
_MOST_FAULTS = 3

CodeModel = ElementModel | BlockModel
"""What may be wrong with element codes, the scale codes given."""


# --- scale ------------------------------------------------------------------------------------


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
        plain = min((plain, *map(residual, _at_zero(inferred))), key=lambda h: h.residual)
        inferred = plain.policy
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
    for _ in range(_MOST_FAULTS - 1):
        if found[0].residual == 0:
            break
        more = [
            residual(first.policy, (*first.models, model))
            for first in _beam(found)
            for model in models
            if first.models and model not in first.models
        ]
        found = sorted([*found, *more], key=lambda h: _scale_rank(h, base))
    return found


def _at_zero(policy: Policy) -> Iterator[Policy]:
    """Choices that meet in blocks of zeros and of subnormal numbers, so that none shows alone."""
    fields = ("input_subnormal", "scale_subnormal", "scale_zero_block")
    for chosen in itertools.product(*(explanations(policy, name) for name in fields)):
        yield policy.replace(**dict(zip(fields, chosen, strict=True)))


_Hypothesis = TypeVar("_Hypothesis", "ScaleHypothesis", "ElementHypothesis")


def _beam(found: Iterable[_Hypothesis]) -> list[_Hypothesis]:
    """The best hypotheses of different faults; under which policy, the rank has decided."""
    best: dict[tuple[object, ...], _Hypothesis] = {}
    for hypothesis in found:
        if len(best) == _BEAM:
            break
        best.setdefault(hypothesis.models, hypothesis)
    return list(best.values())


def _rules(base: Policy, inferred: Policy) -> list[str]:
    rules = explanations(base, "scale_rule")
    return list(dict.fromkeys((rules[0], str(inferred.scale_rule), *rules)))


def _scale_rank(hypothesis: ScaleHypothesis, base: Policy) -> tuple[int, int, int]:
    changes = len(hypothesis.policy.diff(base))
    return hypothesis.residual, len(hypothesis.models), changes


# --- element ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ElementHypothesis:
    """A policy, faults and an order of the codes that are assumed of the element encoder."""

    policy: Policy
    models: tuple[CodeModel, ...] = ()
    layout: LayoutModel | None = None
    residual: int = field(default=0, compare=False)

    def encode(self, x: NDArray[np.generic], scales: NDArray[np.uint8], fmt: BlockFormat) -> Bytes:
        """Element codes as the hypothesis has them, for blocks (n, k) and scale codes (n,)."""
        if self.models:
            codes = with_flushed_blocks(self._faulty(x, scales, fmt), x, scales, fmt, self.policy)
        else:
            codes = encode_given(x, scales, fmt, self.policy)
        return codes if self.layout is None else self.layout.apply(codes)

    def _faulty(self, x: NDArray[np.generic], scales: Bytes, fmt: BlockFormat) -> Bytes:
        encoder = compose(m for m in self.models if isinstance(m, ElementModel))
        for block in self.models:
            if isinstance(block, BlockModel):  # there is one at most
                quantizer = block.quantizer(fmt, self.policy, encoder=encoder)
                return quantizer.elements(x, scales, block_stats(x))
        return encoder(fmt.element, self.policy).encode(x, scales[:, None])


class ElementSearch:
    """A search for what reproduces element codes, given the emitted scale codes.

    Parameters
    ----------
    x : ndarray, shape (n, k)
        Blocks of values of any source type.
    scales : ndarray of uint8, shape (n,)
        Emitted scale codes. Blocks with the scale NaN are left out.
    given : ndarray of uint8, shape (n, k)
        Emitted element codes.
    fmt : BlockFormat
    base : Policy
        Preferred where the data are silent.
    has_layout : bool
        Whether there are blocks: then the order of the codes in one may be wrong, and a block
        may be flushed.
    """

    def __init__(
        self,
        x: NDArray[Any],
        scales: Bytes,
        given: Bytes,
        fmt: BlockFormat,
        base: Policy,
        *,
        has_layout: bool = True,
    ) -> None:
        keep = scales != _NAN_SCALE
        self.x, self.scales, self.given = x[keep], scales[keep], given[keep]
        self.fmt, self.base = fmt, base
        self.lone = not has_layout
        self.layouts = layout_models(fmt) if has_layout else ()
        element = fmt.element
        models: list[CodeModel] = [*element_models(element), *alignment_models(element)]
        models += element_variants(element)
        if has_layout:
            models += (*element_side(base), *block_variants(base))
            models += block_faults_seen(self.x, self.scales, self.given, element)
        models += element_faults_seen(self.x, self.scales, self.given, element, base)
        self.models = [m for m in models if not m.legal_change]

    def run(self) -> list[ElementHypothesis]:
        """Return hypotheses, the simplest of those that fit best first."""
        plain = [self._plain(layout) for layout in (None, *self.layouts)]
        ranked = self._ranked(plain)
        if ranked[0].residual == 0:
            return ranked
        # An order is worth pursuing where undoing it removes most of the mismatches.
        start = plain[0]
        if ranked[0].layout is not None and 2 * ranked[0].residual < start.residual:
            start = ranked[0]
        found = self._singles(start, (start.policy, self._merged(start.policy)))
        if found[0].residual:
            found = self._ranked([*found, *self._singles(start, self._other_roundings(start))])
        found = self._ranked([*found, *plain])
        for _ in range(_MOST_FAULTS - 1):
            if found[0].residual == 0:
                break
            found = self._ranked([*found, *self._extended(_beam(found))])
        return found

    def _plain(self, layout: LayoutModel | None) -> ElementHypothesis:
        given = self.given if layout is None else layout.undo(self.given)
        base, left = self.base, np.ones(len(given), np.bool_)
        if self.has_flushed_blocks(given):
            base = base.replace(scale_below="flush-block")
        if base.scale_below == "flush-block":  # those blocks show nothing else
            left = ~self._flushed(base)
        scales = np.broadcast_to(self.scales[:, None], given.shape)[left]
        policy = infer_element_policy(
            self.x[left].ravel(), scales.ravel(), given[left].ravel(), self.fmt.element, base
        )
        return self._judged(policy, (), layout)

    def has_flushed_blocks(self, given: Bytes) -> bool:
        """Whether all blocks whose scale lies below the range are zeros, and should not be."""
        if self.lone or not (self.scales == 0).any():
            return False
        flushed = self._flushed(self.base.replace(scale_below="flush-block"))
        if given[flushed].any():
            return False
        return bool(encode_given(self.x[flushed], self.scales[flushed], self.fmt, self.base).any())

    def _flushed(self, policy: Policy) -> Bools:
        flushed = Selector(self.fmt, policy).flushed(block_stats(self.x))
        return np.asarray(flushed & (self.scales == 0))

    def _judged(
        self, policy: Policy, models: tuple[CodeModel, ...], layout: LayoutModel | None
    ) -> ElementHypothesis:
        codes = ElementHypothesis(policy, models, layout).encode(self.x, self.scales, self.fmt)
        return ElementHypothesis(policy, models, layout, int((codes != self.given).sum()))

    def _singles(
        self, start: ElementHypothesis, policies: Iterable[Policy]
    ) -> list[ElementHypothesis]:
        return self._ranked(
            self._judged(policy, (model,), start.layout)
            for policy in dict.fromkeys(policies)
            for model in self.models
        )

    def _extended(self, beam: Sequence[ElementHypothesis]) -> list[ElementHypothesis]:
        return [
            self._judged(h.policy, (*h.models, model), h.layout)
            for h in beam
            for model in self.models
            if len(h.models) < _MOST_FAULTS and _goes_with(model, h.models)
        ]

    def _merged(self, inferred: Policy) -> Policy:
        """The base, with the choices for NaN only: a fault may have misled the others."""
        return self.base.replace(nan_element=inferred.nan_element, nan_payload=inferred.nan_payload)

    def _other_roundings(self, start: ElementHypothesis) -> Iterable[Policy]:
        rules = explanations(start.policy, "rounding")
        return (start.policy.replace(rounding=r) for r in rules)

    def _ranked(self, found: Iterable[ElementHypothesis]) -> list[ElementHypothesis]:
        def rank(h: ElementHypothesis) -> tuple[int, int, int]:
            parts = len(h.models) + (h.layout is not None)
            return h.residual, parts, len(h.policy.diff(self.base))

        return sorted(dict.fromkeys(found), key=rank)


def _goes_with(model: CodeModel, others: Sequence[CodeModel]) -> bool:
    """Whether a fault can be assumed beside others: no two of whole blocks."""
    if isinstance(model, BlockModel) and any(isinstance(other, BlockModel) for other in others):
        return False
    return model not in others
