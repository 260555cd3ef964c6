"""Judgement of the scalar cast to E8M0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._findings import choice_finding, fault_finding
from mxref.check._witness import bits_of, number, scale_value
from mxref.check.report import Finding, Mismatches, Report, Verdict, Witness
from mxref.faults._stack import stack
from mxref.faults.e8m0 import CastModel, E8M0Cast, cast_models
from mxref.faults.encoder import Bools, Bytes, as_float64
from mxref.faults.legal import explanations
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
_CHUNK = 1 << 20


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
    notes = tuple(casts.notes())
    wrong = casts.wrong(base)
    if not len(wrong):
        return Report("encode", "e8m0", Verdict.CONFORMS, base, asked, (), total, notes)
    policy, models, residual = casts.explain(base)
    findings = casts.findings(base, policy, models, residual, wrong)
    findings.sort(key=lambda f: (f.residual > 0, f.legal, -f.explains))
    verdict = Verdict.UNEXPLAINED if residual else Verdict.DEFECT
    if not residual and not models:
        verdict = Verdict.UNEXPLAINED if len(casts.wrong(policy)) else Verdict.CONFORMS_AS
    first = casts.witness(int(wrong[0]), base)
    return Report(
        "encode",
        "e8m0",
        verdict,
        policy if verdict is Verdict.CONFORMS_AS else None,
        asked,
        tuple(findings),
        Mismatches(0, len(wrong), 0, x.size, first),
        notes,
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

    def explain(self, base: Policy) -> tuple[Policy, tuple[CastModel, ...], int]:
        """The policy and faults that leave the fewest mismatches, and how many they leave."""
        policy, classes = base, self.classes(base.replace(e8m0_negative="nan"))
        for field in _FIELDS:
            trials = [policy.replace(**{field: c}) for c in explanations(base, field)]
            policy = min(trials, key=lambda p: self.missed(E8M0Cast(p), classes[field]))
        best: tuple[Policy, tuple[CastModel, ...], int]
        best = (policy, (), self.missed(E8M0Cast(policy)))
        roundings = explanations(base, "e8m0_rounding")
        # A fault in the lowest binade may have misled the inference of that choice.
        low = {f: str(getattr(base, f)) for f in ("e8m0_subnormal", "e8m0_underflow")}
        trials = [policy, *(policy.replace(e8m0_rounding=r, **low) for r in roundings)]
        for trial in dict.fromkeys(trials):
            for models in self._combinations():
                if best[2] == 0:
                    return best
                left = self.missed(stack(E8M0Cast, (m.cast for m in models))(trial))
                if left < best[2]:
                    best = trial, models, left
        return best

    def _combinations(self) -> Iterator[tuple[CastModel, ...]]:
        models = [m for m in cast_models() if not m.legal_change]
        yield from ((m,) for m in models)
        yield from ((a, b) for i, a in enumerate(models) for b in models[i + 1 :] if a.id != b.id)

    def findings(
        self,
        base: Policy,
        policy: Policy,
        models: tuple[CastModel, ...],
        residual: int,
        wrong: NDArray[np.intp],
    ) -> list[Finding]:
        """One finding for each changed field and each fault."""
        x, codes = self.x[wrong], self.codes[wrong]

        def differs(policy: Policy, models: tuple[CastModel, ...]) -> Bools:
            cast = stack(E8M0Cast, (m.cast for m in models))(policy)
            return np.asarray(cast.encode(x) != codes)

        explained = ~differs(policy, models)

        def shown(without: Bools) -> tuple[float, int, Witness | None]:
            needed = wrong[explained & without]
            witness = self.witness(int(needed[0]), base) if len(needed) else None
            return len(needed) / len(wrong), residual, witness

        found = []
        for field, (ours, theirs) in policy.diff(base).items():
            result = shown(differs(policy.replace(**{field: theirs}), models))
            found.append(choice_finding((field, ours, theirs), None, *result))
        for model in models:
            others = tuple(m for m in models if m is not model)
            result = shown(differs(policy, others))
            found.append(fault_finding(model.id, model.detail, *result))
        return found

    def witness(self, at: int, policy: Policy) -> Witness:
        """A code that differs."""
        expected = int(arrays.encode(self.x[at : at + 1], "e8m0", policy)[0])
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

    def notes(self) -> list[str]:
        """Say which cases do not occur; large data are not searched for them."""
        if self.x.size > _CHUNK:
            return []
        classes = self.classes(Policy().replace(e8m0_negative="magnitude"))
        names = {
            "e8m0_zero": "zero",
            "e8m0_negative": "negative number",
            "e8m0_inf": "infinity",
            "e8m0_overflow": "number beyond 2^127",
            "e8m0_underflow": "number below 2^-127",
        }
        missing = [name for field, name in names.items() if not classes[field].any()]
        if not missing:
            return []
        return [f"These data hold no {', no '.join(missing)}: what happens there was not judged."]
