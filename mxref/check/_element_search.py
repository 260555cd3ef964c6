"""The search for the cause of wrong element codes, the emitted scale codes given.

A search runs on a sample and returns hypotheses, the simplest of those that fit best first. It
proves nothing: `mxref.check._element_stage` verifies hypotheses on all data and feeds
counterexamples back into the sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._beam import MOST_FAULTS, beam_of
from mxref.check._descent import nearest_policy
from mxref.check._elements import encode_given, with_flushed_blocks
from mxref.check._findings import ELEMENT_FIELDS
from mxref.check._problem import spread
from mxref.check._read_off import block_faults_seen, element_faults_seen
from mxref.check.infer import infer_element_policy
from mxref.faults.alignment import alignment_models
from mxref.faults.block import BlockModel, element_side
from mxref.faults.block_variants import block_variants
from mxref.faults.element import ElementModel, compose, element_models
from mxref.faults.element_variants import element_variants
from mxref.faults.encoder import Bools, Bytes, Encoder
from mxref.faults.layout import LayoutModel, layout_models
from mxref.faults.legal import explanations
from mxref.faults.scale import Selector
from mxref.faults.stats import block_stats
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["CodeModel", "ElementHypothesis", "ElementSearch"]

_NAN_SCALE = 0xFF
_FEW_LANES = 1 << 11  # for searches of many policies
_ROUNDS = 3

CodeModel = ElementModel | BlockModel
"""What may be wrong with element codes, the scale codes given."""


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
        right = codes = encoder(fmt.element, self.policy).encode(x, scales[:, None])
        for block in (m for m in self.models if isinstance(m, BlockModel)):
            quantizer = block.quantizer(fmt, self.policy, encoder=encoder)
            wrong = quantizer.elements(x, scales, block_stats(x))
            codes = np.where(wrong == right, codes, wrong).astype(np.uint8)
        return codes


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
        for _ in range(MOST_FAULTS - 1):
            if found[0].residual == 0:
                break
            found = self._ranked([*found, *self._extended(beam_of(found))])
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
        found = self._judged(policy, (), layout)
        if found.residual and layout is None:
            legal = self._nearest_legal(policy)
            if legal is not None:
                return self._judged(legal, (), layout)
        return found

    def _nearest_legal(self, inferred: Policy) -> Policy | None:
        """A legal policy that reproduces every code, if there is one."""
        every = np.arange(len(self.given))
        limit = max(16, _FEW_LANES // self.fmt.block_size)
        chosen, policy = spread(every, limit), inferred
        for _ in range(_ROUNDS):
            codes = self._modelled(policy, every)
            bad = np.flatnonzero((codes != self.given).any(1))
            if not len(bad):
                return policy
            chosen = np.union1d(chosen, spread(bad, limit))
            given = self.given[chosen]

            def missed(policy: Policy, chosen: Any = chosen, given: Any = given) -> int:
                return int((self._modelled(policy, chosen) != given).sum())

            starts = self.base, policy
            policy, left = nearest_policy(
                starts, ELEMENT_FIELDS, self.fmt.element, missed, few=max(64, given.size // 8)
            )
            if left:
                return None
        return None

    def _modelled(self, policy: Policy, blocks: NDArray[np.intp]) -> Bytes:
        """Codes by the model: a kernel would be compiled for each policy, which takes seconds."""
        x, scales = self.x[blocks], self.scales[blocks]
        codes = Encoder(self.fmt.element, policy).encode(x, scales[:, None])
        return with_flushed_blocks(codes, x, scales, self.fmt, policy)

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
            if len(h.models) < MOST_FAULTS and model not in h.models
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
