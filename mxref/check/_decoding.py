"""The search for the cause of wrong decoded values, as `_element_search` does for codes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._problem import Piece
from mxref.faults._stack import stack
from mxref.faults.decode import (
    DecodeModel,
    Decoder,
    bias_models,
    decode_models,
    sentinel_model,
)
from mxref.faults.decode_variants import decode_variants
from mxref.faults.encoder import Bools, as_float64
from mxref.faults.layout import LayoutModel, layout_models
from mxref.faults.legal import explanations
from mxref.formats import BlockFormat, Kind
from mxref.policy import Policy

__all__ = ["DecodeHypothesis", "Target", "value_differences"]

Singles = NDArray[np.float32]
_ABSENT = {-127: "zero", -126: "one"}  # shift of all values, to the scale code assumed
_BEAM = 4
_MOST_FAULTS = 3


@dataclass(frozen=True, slots=True)
class Target:
    """What is decoded: blocks, lone elements (scale 1), or lone scale codes.

    Attributes
    ----------
    fmt : BlockFormat
    of_scales : bool
        Whether lone scale codes are decoded; they stand where scale codes of blocks stand.
    lone : bool
        Whether there are no blocks.
    nan_bits : bool
        Whether the bits of NaN are compared.
    """

    fmt: BlockFormat
    of_scales: bool = False
    lone: bool = False
    nan_bits: bool = False

    def decode(self, piece: Piece, policy: Policy) -> Singles:
        """Values as the kernels decode them."""
        if self.of_scales:
            return arrays.decode(piece.scales, "e8m0", policy).reshape(piece.codes.shape)
        if self.lone:
            return arrays.decode(piece.codes, self.fmt.element, policy)
        return arrays.dequantize(piece.codes, piece.scales[:, None], self.fmt, -1, policy)

    def models(self) -> tuple[DecodeModel, ...]:
        """Faults that can show."""
        element = None if self.of_scales else self.fmt.element
        models = (*decode_models(element), *decode_variants(element))
        if self.lone and not self.of_scales:  # no scale to be wrong
            scale_faults = {"D9", "D10", "D11", "D12", "D13"}
            return tuple(m for m in models if m.id not in scale_faults)
        return models


def value_differences(expected: Singles, piece: Piece, *, nan_bits: bool) -> Bools:
    """Where values differ in bits; NaN equals NaN unless its bits count."""
    given = piece.x
    differs: Bools = expected.view(np.uint32) != given.view(np.uint32)
    if not nan_bits and differs.any():
        differs &= ~(np.isnan(expected) & np.isnan(given))
    if piece.used is not None:
        differs &= piece.used
    return differs


@dataclass(frozen=True, slots=True)
class DecodeHypothesis:
    """A policy, faults and an order of the codes that are assumed of the decoder."""

    policy: Policy
    models: tuple[DecodeModel, ...] = ()
    layout: LayoutModel | None = None
    residual: int = 0

    def decode(self, piece: Piece, target: Target) -> Singles:
        """Values as the hypothesis has them."""
        decoder = stack(Decoder, (model.decoder for model in self.models))
        element = None if target.of_scales else target.fmt.element
        codes = piece.codes if self.layout is None else self.layout.apply(piece.codes)
        return decoder(element, self.policy).decode(codes, piece.scales[:, None])


def search_decoders(sample: Piece, target: Target, base: Policy) -> list[DecodeHypothesis]:
    """Explain decoded values; best first, with residuals on the sample."""

    def judged(
        policy: Policy, models: tuple[DecodeModel, ...] = (), layout: LayoutModel | None = None
    ) -> DecodeHypothesis:
        values = DecodeHypothesis(policy, models, layout).decode(sample, target)
        differs = value_differences(values, sample, nan_bits=target.nan_bits)
        return DecodeHypothesis(policy, models, layout, int(differs.sum()))

    def ranked(found: Iterable[DecodeHypothesis]) -> list[DecodeHypothesis]:
        def rank(h: DecodeHypothesis) -> tuple[int, int, int]:
            parts = len(h.models) + (h.layout is not None)
            return h.residual, parts, len(h.policy.diff(base))

        return sorted(found, key=rank)

    found = ranked(judged(policy) for policy in _policies(base))
    if found[0].residual == 0:
        return found
    # What looks like a flush may be a fault, so that the search goes on without it as well.
    expected = found[0].policy.replace(decode_subnormal=base.decode_subnormal)
    policies = dict.fromkeys((expected, found[0].policy))
    models = (*_read_off(sample, target, base), *target.models())
    orders = () if target.lone else layout_models(target.fmt)
    plain = found[0].residual
    found = ranked([*found, *(judged(p, (), order) for p in policies for order in orders)])
    # An order is worth pursuing where undoing it removes most of the mismatches.
    layout = found[0].layout if 2 * found[0].residual < plain else None
    found = ranked([*found, *(judged(p, (m,), layout) for p in policies for m in models)])
    for _ in range(_MOST_FAULTS - 1):
        if found[0].residual == 0:
            break
        beam = [h for h in found[:_BEAM] if h.models]
        more = (judged(h.policy, (*h.models, m), layout) for h in beam for m in models)
        found = ranked([*found, *more])
    return found


def _factors(target: Target, shift: int) -> Iterator[DecodeModel]:
    """A power of two, by the name of what usually leaves it behind."""
    element = target.fmt.element
    models = bias_models(None if target.of_scales else element, shift)
    if target.lone and not target.of_scales and shift in _ABSENT:
        detail = f"scale code {_ABSENT[shift]} in place of none"
        absent = tuple(replace(m, id="D14", detail=detail) for m in models[:1])
        # The bias of a wider format that was not taken off is by far the more usual.
        models = models + absent if shift == element.bias - 127 else absent + models
    if element.kind is Kind.FIXED and shift == element.mantissa_bits:
        return  # an integer without its scale is a code used as an integer: D6
    yield from models


def _policies(base: Policy) -> Iterator[Policy]:
    """The base first, then every other combination of choices."""
    fields = ("decode_subnormal", "decode_overflow", "decode_nan")
    for chosen in itertools.product(*(explanations(base, field) for field in fields)):
        yield base.replace(**dict(zip(fields, chosen, strict=True)))


def _read_off(sample: Piece, target: Target, base: Policy) -> Iterator[DecodeModel]:
    """Faults whose constant the data themselves show: a factor, a scale code taken for NaN."""
    expected = as_float64(DecodeHypothesis(base).decode(sample, target))
    given = as_float64(sample.x)
    usable = np.isfinite(expected) & np.isfinite(given) & (expected != 0) & (given != 0)
    usable &= expected != given
    if usable.any():
        shift = float(np.median(np.log2(np.abs(given[usable] / expected[usable]))))
        if shift == round(shift) and shift:
            yield from _factors(target, int(shift))
    lost = np.isnan(given) & ~np.isnan(expected)
    blocks = sample.scales[lost.any(-1)]
    if len(blocks) and (blocks == blocks[0]).all():
        yield sentinel_model(int(blocks[0]))
