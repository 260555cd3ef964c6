"""Judgement of the scalar cast to E8M0."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._findings import choice_finding, fault_finding
from mxref.check._problem import spread
from mxref.check._witness import bits_of, number, scale_value
from mxref.check.gaps import cast_gaps
from mxref.check.maps import MapBuilder
from mxref.check.parts import Lazy
from mxref.check.report import Finding, Mismatches, Report, Verdict, Witness
from mxref.faults._stack import stack
from mxref.faults.e8m0 import (
    FULL_MASK,
    CastModel,
    E8M0Cast,
    cast_mask_model,
    cast_models,
    constant_model,
    end_models,
    masked_bits,
    special_values,
    tie_model,
)
from mxref.faults.encoder import Bools, Bytes, as_float64
from mxref.faults.legal import explanations
from mxref.faults.scale import split
from mxref.faults.scale_variants import minus_infinity_model
from mxref.policy import Policy, get_policy

__all__ = ["judge_casts"]

_FIELDS = (
    "e8m0_rounding",
    "e8m0_zero",
    "e8m0_negative",
    "e8m0_inf",
    "e8m0_overflow",
    "e8m0_subnormal",
    "e8m0_underflow",
)
_MEETING = (
    ("e8m0_rounding", "e8m0_subnormal", "e8m0_underflow"),
    ("e8m0_negative", "e8m0_inf", "e8m0_overflow"),
)
_CHUNK = 1 << 20
_SAMPLE = 1 << 12
_ROUNDS = 3
_BEAM = 4
_MOST_FAULTS = 3


def judge_casts(x: NDArray[Any], codes: Bytes, asked: Policy | None) -> Report:
    """Judge a cast of numbers to E8M0.

    Parameters
    ----------
    x : ndarray
        Values of any source type.
    codes : ndarray of uint8
        What came out, in the shape of `x`.
    asked : Policy or None
    """
    total = Mismatches(0, 0, 0, x.size)
    if x.size == 0:
        empty = ("The input is empty: there is nothing to judge.",)
        return Report("encode", "e8m0", Verdict.NOT_TESTABLE, None, asked, (), total, empty)
    base = asked if asked is not None else get_policy(None)
    casts = _Casts(x, codes)
    gaps = Lazy(partial(cast_gaps, x, base))
    wrong = casts.wrong(base)
    if not len(wrong):
        return Report("encode", "e8m0", Verdict.CONFORMS, base, asked, (), total, gaps=gaps)
    policy, models, residual = casts.explain(base, wrong)
    findings = casts.findings(base, policy, models, residual, wrong)
    findings.sort(key=lambda f: (f.residual > 0, f.legal, -f.explains))
    verdict = Verdict.UNEXPLAINED if residual else Verdict.DEFECT
    if not residual and not models:
        verdict = Verdict.UNEXPLAINED if len(casts.wrong(policy)) else Verdict.CONFORMS_AS
    one = int(wrong[0])
    first = casts.witness(one, int(arrays.encode(x.reshape(-1)[one : one + 1], "e8m0", base)[0]))
    picture = MapBuilder(x.shape, -1, None)
    picture.add_elements(wrong)
    return Report(
        "encode",
        "e8m0",
        verdict,
        policy if verdict is Verdict.CONFORMS_AS else None,
        asked,
        tuple(findings),
        Mismatches(0, len(wrong), 0, x.size, first, picture.finish()),
        gaps=gaps,
    )


class _Casts:
    """Values and their E8M0 codes, flat, with the classes that show each field."""

    def __init__(self, x: NDArray[Any], codes: Bytes) -> None:
        self.shape = x.shape
        self.x, self.codes = x.reshape(-1), codes.reshape(-1)

    def wrong(self, policy: Policy) -> NDArray[np.intp]:
        """Numbers of the codes that differ from what the kernels give."""
        return np.flatnonzero(arrays.encode(self.x, "e8m0", policy) != self.codes)

    def missed(self, cast: E8M0Cast, where: Bools | None = None) -> int:
        """How many codes of a class differ from a model of the cast."""
        if where is None:
            starts = range(0, self.x.size, _CHUNK)
            chunks = [(self.x[i : i + _CHUNK], self.codes[i : i + _CHUNK]) for i in starts]
        else:
            chunks = [(self.x[where], self.codes[where])]
        return sum(int((cast.encode(x) != codes).sum()) for x, codes in chunks)

    def classes(self, base: Policy) -> dict[str, Bools]:
        """Which values show which field."""
        x = as_float64(self.x)
        nan, inf, negative = np.isnan(x), np.isinf(x), x < 0
        beyond = (np.abs(x) > 2.0**127) & ~inf
        signed = negative & (base.e8m0_negative == "nan")
        ordinary = ~(nan | inf | beyond | signed) & (x != 0)
        is_low = np.abs(x) < 2.0**-126
        return {
            "e8m0_rounding": ordinary & ~is_low,
            "e8m0_subnormal": ordinary & is_low & (np.abs(x) >= 2.0**-127),
            "e8m0_underflow": ordinary & (np.abs(x) < 2.0**-127),
            "e8m0_zero": x == 0,
            "e8m0_negative": negative & ~inf,
            "e8m0_inf": x == np.inf,
            "e8m0_overflow": beyond & ~negative,
        }

    def explain(
        self, base: Policy, wrong: NDArray[np.intp]
    ) -> tuple[Policy, tuple[CastModel, ...], int]:
        """The policy and faults that leave the fewest mismatches, and how many they leave."""
        every = np.arange(self.x.size)
        chosen = np.union1d(spread(wrong, _SAMPLE), spread(every, _SAMPLE))
        for _ in range(_ROUNDS):
            sample = _Casts(self.x[chosen], self.codes[chosen])
            policy, models = sample.search(base)
            cast = stack(E8M0Cast, (m.cast for m in models))(policy)
            missed = self.missed_at(cast)
            if not len(missed) or sample.missed(cast):
                break
            chosen = np.union1d(chosen, spread(missed, 64))
        return policy, models, len(missed)

    def missed_at(self, cast: E8M0Cast) -> NDArray[np.intp]:
        """Which codes differ from a model of the cast."""
        parts = [
            np.flatnonzero(cast.encode(self.x[i : i + _CHUNK]) != self.codes[i : i + _CHUNK]) + i
            for i in range(0, self.x.size, _CHUNK)
        ]
        return np.concatenate(parts)

    def search(self, base: Policy) -> tuple[Policy, tuple[CastModel, ...]]:
        """The simplest policy and faults that fit best; for a sample."""
        policy, classes = base, self.classes(base.replace(e8m0_negative="nan"))
        for field in _FIELDS:
            trials = [policy.replace(**{field: c}) for c in explanations(base, field)]
            policy = min(trials, key=lambda p: self.missed(E8M0Cast(p), classes[field]))
        # Choices meet in one number: below the range, and in negative and infinite ones.
        for group in _MEETING:
            choices = itertools.product(*(explanations(base, name) for name in group))
            trials = [policy.replace(**dict(zip(group, c, strict=True))) for c in choices]
            policy = min((policy, *trials), key=lambda p: self.missed(E8M0Cast(p)))
        # A fault may have misled the inference: of the lowest binade, or of all choices.
        low = {f: str(getattr(base, f)) for f in ("e8m0_subnormal", "e8m0_underflow")}
        roundings = explanations(base, "e8m0_rounding")
        policies = [policy, *(policy.replace(e8m0_rounding=r, **low) for r in roundings), base]
        every = (*cast_models(), *end_models(), tie_model())
        models = [m for m in every if not m.legal_change]
        models += self.read_off()
        found = self.ranked([(p, ()) for p in dict.fromkeys(policies)], base)
        if found[0][0] == 0:
            return found[0][1:]
        beam: list[tuple[int, Policy, tuple[CastModel, ...]]] = found
        for _ in range(_MOST_FAULTS):
            more = [
                (p, (*held, m))
                for _, p, held in beam
                for m in models
                if (m.id, m.detail) not in {(h.id, h.detail) for h in held}
            ]
            found = self.ranked([*((q, held) for _, q, held in found), *more], base)
            if found[0][0] == 0:
                break
            beam = found[:_BEAM]
        return found[0][1:]

    def ranked(
        self, trials: list[tuple[Policy, tuple[CastModel, ...]]], base: Policy
    ) -> list[tuple[int, Policy, tuple[CastModel, ...]]]:
        """Put what fits best first, the simplest of equals."""
        judged = [
            (self.missed(stack(E8M0Cast, (m.cast for m in models))(p)), p, models)
            for p, models in trials
        ]
        return sorted(judged, key=lambda h: (h[0], len(h[2]), len(h[1].diff(base))))

    def read_off(self) -> Iterator[CastModel]:
        """Faults whose parameter the data themselves show."""
        x = as_float64(self.x)
        for what, where in special_values(x).items():
            given = np.unique(self.codes[where])
            if len(given) == 1:
                yield constant_model(what, int(given[0]))
        lowest = np.unique(self.codes[np.isneginf(x)])
        if len(lowest) == 1:
            yield minus_infinity_model(int(lowest[0]))
        ordinary = np.isfinite(x) & (x >= 2.0**-120) & (x < 2.0**120)
        if ordinary.any():
            m, exponent = split(x[ordinary])
            mask = masked_bits(m, self.codes[ordinary] > exponent + 127)
            if mask not in (0, FULL_MASK):
                yield cast_mask_model(mask)

    def findings(
        self,
        base: Policy,
        policy: Policy,
        models: tuple[CastModel, ...],
        residual: int,
        wrong: NDArray[np.intp],
    ) -> list[Finding]:
        """One finding for each changed field and each fault."""
        chosen = np.union1d(wrong, spread(np.arange(self.x.size), _CHUNK))
        x, codes = self.x[chosen], self.codes[chosen]
        is_wrong = np.isin(chosen, wrong)

        def encoded(policy: Policy, models: tuple[CastModel, ...]) -> Bytes:
            return stack(E8M0Cast, (m.cast for m in models))(policy).encode(x)

        explained = encoded(policy, models) == codes
        expected = encoded(base, ())

        def shown(without: Bytes) -> tuple[float, int, Witness | None] | None:
            """What rests on one part of the explanation; None if it changes nothing."""
            missed = explained & (without != codes)
            if not missed.any():
                return None
            # A part may mend what another part breaks, where nothing differs otherwise.
            needed = missed & is_wrong
            at, due = (needed, expected) if needed.any() else (missed, without)
            place = int(np.flatnonzero(at)[0])
            witness = self.witness(int(chosen[place]), int(due[place]))
            return float(missed.sum() / (missed | is_wrong).sum()), residual, witness

        found = []
        for field, (ours, theirs) in policy.diff(base).items():
            result = shown(encoded(policy.replace(**{field: theirs}), models))
            if result is not None:
                found.append(choice_finding((field, ours, theirs), None, *result))
        for model in models:
            others = tuple(m for m in models if m is not model)
            result = shown(encoded(policy, others))
            if result is not None:
                found.append(fault_finding(model.id, model.detail, *result))
        return found

    def witness(self, at: int, expected: int) -> Witness:
        """A code that differs."""
        got = int(self.codes[at])
        return Witness(
            tuple(int(i) for i in np.unravel_index(at, self.shape)),
            "element",
            bits_of(self.x[at]),
            number(self.x[at]),
            None,
            f"0x{got:02x}",
            scale_value(got),
            f"0x{expected:02x}",
            scale_value(expected),
        )
