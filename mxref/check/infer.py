"""Which policy do given codes follow? Each field is inferred on the data that can show it.

A policy has seven choices of rounding and several of everything else; searching the product would
be slow and would let one deviation hide behind another. Instead every field is decided on its own
class of blocks or elements, with the choices that were asked for preferred where the data are
silent. The composed policy is a hypothesis: the caller verifies it on all data.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.faults.encoder import Bools, Bytes, Encoder, as_float64, least_normal
from mxref.faults.legal import explanations
from mxref.faults.scale import Selector
from mxref.faults.stats import BlockStats
from mxref.formats import BlockFormat, ElementFormat, Kind
from mxref.policy import Policy

__all__ = ["infer_element_policy", "infer_scale_policy", "scale_differences"]

_NAN = 0xFF
_LEAST_LIMIT = 125  # some clamp there already: exponents beyond show scale_above, no rule


# --- scale ------------------------------------------------------------------------------------


def scale_differences(stats: BlockStats, expected: Bytes, given: Bytes) -> Bools:
    """Where scale codes differ with an effect: those of all-zero blocks have none, NaN aside."""
    zero = (stats.amax == 0) & ~stats.has_nan & ~stats.has_inf
    silent = zero & (expected != _NAN) & (given != _NAN)
    return np.asarray((expected != given) & ~silent)


def infer_scale_policy(
    stats: BlockStats, given: Bytes, fmt: BlockFormat, base: Policy
) -> tuple[Policy, tuple[str, ...]]:
    """Infer the scale fields of a policy.

    Parameters
    ----------
    stats : BlockStats
        One-dimensional.
    given : ndarray of uint8
        Emitted scale codes.
    base : Policy
        Preferred where the data are silent.

    Returns
    -------
    policy : Policy
    rules : tuple of str
        All scale rules that explain the ordinary blocks equally well.
    """
    normal = np.flatnonzero(stats.is_normal)
    policy, rules = _infer_rule(stats.take(normal), given[normal], fmt, base)
    zero = np.flatnonzero((stats.amax == 0) & ~stats.has_nan & ~stats.has_inf)

    def zeros_missed(candidate: Policy) -> int:
        return int(np.count_nonzero(given[zero] != Selector(fmt, candidate).zero_code()))

    policy = _best(policy, "scale_zero_block", zeros_missed)
    odd = np.flatnonzero(stats.has_nan | stats.has_inf)
    if len(odd):
        # Where NaN is ignored, these blocks show the rule as well.
        found = [
            _infer_nonfinite(stats.take(odd), given[odd], fmt, policy.replace(scale_rule=rule))
            for rule in rules
        ]
        fewest = min(missed for missed, _ in found)
        fitting = [candidate for missed, candidate in found if missed == fewest]
        policy, rules = fitting[0], tuple(str(candidate.scale_rule) for candidate in fitting)
    return policy, rules


def _infer_rule(
    stats: BlockStats, given: Bytes, fmt: BlockFormat, base: Policy
) -> tuple[Policy, tuple[str, ...]]:
    if not len(given):
        return base, (str(base.scale_rule),)

    def differing(policy: Policy) -> Bools:
        """Misses, those aside that the choice at the upper end decides."""
        selector = Selector(fmt, policy)
        is_high = selector.exponent(stats.amax) > _LEAST_LIMIT
        return np.asarray((selector.select(stats) != given) & ~is_high)

    missed = {
        rule: int(differing(base.replace(scale_rule=rule)).sum())
        for rule in explanations(base, "scale_rule")
    }
    best = min(missed, key=lambda rule: missed[rule])  # the first of equals, hence the base's
    policy, fewest = base.replace(scale_rule=best), missed[best]
    for field in ("scale_quotient", "scale_amax", "scale_subnormal", "input_subnormal"):
        if fewest == 0:
            break
        policy = _best(policy, field, lambda p: int(differing(p).sum()))
        fewest = int(differing(policy).sum())
    high = np.flatnonzero(Selector(fmt, policy).exponent(stats.amax) > _LEAST_LIMIT)
    top = stats.take(high)

    def above_missed(candidate: Policy) -> int:
        return int((Selector(fmt, candidate).select(top) != given[high]).sum())

    policy = _best(policy, "scale_above", above_missed)
    return policy, tuple(rule for rule in missed if missed[rule] == missed[best])


def _infer_nonfinite(
    stats: BlockStats, given: Bytes, fmt: BlockFormat, base: Policy
) -> tuple[int, Policy]:
    """Try every pair of choices for NaN and infinity: they meet in the same blocks."""
    pairs = itertools.product(explanations(base, "scale_nan"), explanations(base, "scale_inf"))
    best, fewest = base, (len(given) + 1, 0)
    for on_nan, on_inf in pairs:
        if "raise" in (on_nan, on_inf):
            continue
        policy = base.replace(scale_nan=on_nan, scale_inf=on_inf)
        codes = Selector(fmt, policy).select(stats)
        missed = int(scale_differences(stats, codes, given).sum())
        changed = len(policy.diff(base))
        if (missed, changed) < fewest:
            best, fewest = policy, (missed, changed)
    return fewest[0], best


def _best(base: Policy, field: str, missed: Callable[[Policy], int]) -> Policy:
    """The choice with the fewest misses; the base's own among equals."""
    best, fewest = base, None
    for value in explanations(base, field):
        if value == "raise":
            continue
        policy = base.replace(**{field: value})
        count = missed(policy)
        if fewest is None or count < fewest:
            best, fewest = policy, count
        if fewest == 0:
            break
    return best


# --- element ----------------------------------------------------------------------------------


def infer_element_policy(
    x: NDArray[Any],
    scale_codes: NDArray[np.integer],
    given: Bytes,
    fmt: ElementFormat,
    base: Policy,
) -> Policy:
    """Infer the element fields of a policy.

    Parameters
    ----------
    x : ndarray, one-dimensional
        Values of any source type.
    scale_codes : ndarray
        Emitted scale code of each, none of them 0xFF.
    given : ndarray of uint8
        Emitted element codes.
    base : Policy
        Preferred where the data are silent.
    """
    inference = _Elements(x, scale_codes, given, fmt)
    base = inference.infer_relu(base)
    best, fewest = base, len(given) + 1
    lowest = inference.int8_minima(base)
    for rounding, int8_min in itertools.product(inference.roundings(base), lowest):
        policy = base.replace(rounding=rounding, int8_min=int8_min)
        if fmt.is_fp8:
            policy = inference.infer_overflow(policy)
        if fmt.kind is Kind.FLOAT:
            policy = inference.infer_negative_zero(policy)
        policy = inference.infer_nan(policy)
        policy = inference.infer_input_subnormal(policy)
        missed = int((Encoder(fmt, policy).encode(x, scale_codes) != given).sum())
        if missed < fewest:
            best, fewest = policy, missed
        if fewest == 0:
            break
    return best


class _Elements:
    """The elements of one inference, with the classes that show a field."""

    def __init__(
        self, x: NDArray[Any], scale_codes: NDArray[np.integer], given: Bytes, fmt: ElementFormat
    ) -> None:
        self.x, self.scale_codes, self.given, self.fmt = x, scale_codes, given, fmt
        encoder = Encoder(fmt, Policy())
        values = as_float64(x)
        lanes = encoder.classify(values)
        encoder.scale(lanes, np.asarray(scale_codes).astype(np.int32))
        encoder.align(lanes)
        self.beyond = lanes.magnitude > float(fmt.max)
        self.inexact = lanes.rest != 0
        self.nan, self.inf, self.sign = lanes.nan, lanes.inf, lanes.sign
        self.large = lanes.kept >= 1 << fmt.mantissa_bits  # a normal result of its sign
        self.small = (np.abs(values) < least_normal(x.dtype)) & (values != 0)

    def _best(
        self,
        base: Policy,
        field: str,
        where: Bools,
        alike: Callable[[Bytes], Bytes] = lambda codes: codes,
    ) -> Policy:
        """The choice with the fewest misses on a class; `alike` maps codes that count as equal."""
        lanes = np.flatnonzero(where)
        if not len(lanes):
            return base
        x, scale_codes, given = self.x[lanes], self.scale_codes[lanes], alike(self.given[lanes])

        def missed(policy: Policy) -> int:
            codes = Encoder(self.fmt, policy).encode(x, scale_codes)
            return int((alike(codes) != given).sum())

        return _best(base, field, missed)

    def roundings(self, base: Policy) -> list[str]:
        """The roundings that fit best within the range, the base's first among equals."""
        lanes = np.flatnonzero(self.inexact & ~self.beyond & ~self.nan & ~self.inf)
        x, scale_codes = self.x[lanes], self.scale_codes[lanes]
        given = self._unsigned_zero(self.given[lanes])
        missed: dict[str, int] = {}
        for rounding in explanations(base, "rounding"):
            codes = Encoder(self.fmt, base.replace(rounding=rounding)).encode(x, scale_codes)
            missed[rounding] = int((self._unsigned_zero(codes) != given).sum())
        fewest = min(missed.values())
        return [rounding for rounding, count in missed.items() if count == fewest]

    def infer_overflow(self, base: Policy) -> Policy:
        where = (self.beyond | self.inf) & ~self.nan
        return self._best(base, "fp8_overflow", where, self._one_nan)

    def infer_nan(self, base: Policy) -> Policy:
        if not self.fmt.has_nan:
            return self._best(base, "nan_element", self.nan)
        where = self.nan | self.beyond | self.inf
        where[where] = self._is_nan(self.given[where])
        return self._best(base, "nan_payload", where)

    def infer_negative_zero(self, base: Policy) -> Policy:
        kept = base.replace(neg_zero="keep")
        candidates = np.flatnonzero(self.sign & ~self.beyond & ~self.inf & ~self.nan)
        where = np.zeros(self.sign.shape, np.bool_)
        codes = Encoder(self.fmt, kept).encode(self.x[candidates], self.scale_codes[candidates])
        where[candidates] = codes == self.fmt.sign_mask
        return self._best(base, "neg_zero", where)

    def int8_minima(self, base: Policy) -> list[str]:
        """Both choices for INT8, the base's first: NaN may show which one as overflow does."""
        if self.fmt.kind is Kind.FLOAT:
            return [base.int8_min]
        return explanations(base, "int8_min")

    def infer_relu(self, base: Policy) -> Policy:
        """A rectifier shows in every negative number; nothing else makes them all +0."""
        off = base.replace(relu="off", neg_zero="keep")
        where = np.flatnonzero(self.sign & ~self.nan & ~self.inf)
        codes = Encoder(self.fmt, off).encode(self.x[where], self.scale_codes[where])
        # FP8 must keep the sign of zero (OFP8-1.0/sign), so that a lost one shows it there too.
        kept = codes if self.fmt.is_fp8 else codes & (self.fmt.sign_mask - 1)
        shown = where[kept != 0]
        if not len(shown):
            return base
        positive = ~self.sign & ~self.nan & ~self.inf & self.large
        alive = not positive.any() or bool(self.given[positive].any())
        return base.replace(relu="off" if self.given[shown].any() or not alive else "on")

    def infer_input_subnormal(self, base: Policy) -> Policy:
        return self._best(base, "input_subnormal", self.small)

    def _is_nan(self, codes: Bytes) -> Bools:
        return np.isin(codes & 0x7F, sorted(self.fmt.nan_magnitudes))

    def _one_nan(self, codes: Bytes) -> Bytes:
        return np.where(self._is_nan(codes), 0x7F, codes).astype(np.uint8)

    def _unsigned_zero(self, codes: Bytes) -> Bytes:
        if self.fmt.kind is Kind.FIXED:
            return codes
        return np.where(codes == self.fmt.sign_mask, 0, codes).astype(np.uint8)
