"""Stochastic rounding with its random bits: every code follows, and faults are named by bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import casts, randomness
from mxref._choices import Stochastic
from mxref.check._problem import spread
from mxref.exact.random_bits import count as random_bits
from mxref.faults.element import ElementModel, compose
from mxref.faults.legal import explanations
from mxref.faults.stochastic import StochasticEncoder, stochastic_models
from mxref.formats import ElementFormat
from mxref.policy import Policy

__all__ = ["Explanation", "expected_codes", "explain"]

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

_MODES = ("stochastic-a", "stochastic-b", "stochastic-c")
_FIELDS = (
    "fp8_overflow",
    "nan_element",
    "nan_payload",
    "neg_zero",
    "int8_min",
    "input_subnormal",
    "relu",
)
_BEAM = 6
_SAMPLE = 1 << 13


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What may have been done.

    Attributes
    ----------
    codes : ndarray of uint8
        What comes out then.
    policy : Policy
        The policy that is followed.
    faults : tuple of (str, str)
        Id and variant of each fault.
    """

    codes: Bytes
    policy: Policy
    faults: tuple[tuple[str, str], ...] = ()


def expected_codes(
    x: NDArray[Any], random: NDArray[Any], fmt: ElementFormat, policy: Policy
) -> Bytes:
    """Codes as the policy has them."""
    return casts.encode(x, fmt, policy, random=random)


def explain(
    x: NDArray[Any], random: NDArray[Any], codes: Bytes, fmt: ElementFormat, policy: Policy
) -> list[Explanation]:
    """Return what may have been done instead of the policy, the best first."""
    legal = list(_policies(x, random, fmt, policy))
    legal.sort(key=lambda e: (_left(e, codes), len(e.policy.diff(policy))))
    if legal and _left(legal[0], codes) == 0:
        return legal
    drawn = randomness.for_elements(random, x.shape, fmt, policy)
    if drawn is None:
        raise ValueError(f"rounding={policy.rounding} draws nothing: use mxref.check.encode")
    bits = random_bits(fmt, policy)
    lone = policy.replace(stochastic="per-element", stochastic_bits=str(bits))
    models = stochastic_models(fmt, lone)

    flat, bits_of = x.reshape(-1), drawn.reshape(-1)

    def run(faults: tuple[ElementModel, ...], at: NDArray[np.intp]) -> Bytes:
        encoder = compose(faults)(fmt, lone)
        if not isinstance(encoder, StochasticEncoder):
            raise TypeError(f"{encoder} takes no random numbers")
        return encoder.encode_randomly(flat[at], bits_of[at])

    every = np.arange(flat.size)
    ranked = _ranked(run, models, codes.reshape(-1), _sample(legal[0].codes != codes, every))
    found = list(legal)
    for faults in ranked[:_BEAM]:
        made = run(faults, every).reshape(x.shape)
        found.append(Explanation(made, policy, tuple((m.id, m.detail) for m in faults)))
    found += _other_bits(x, drawn, bits, fmt, policy)
    found.sort(key=lambda e: (_left(e, codes), len(e.faults)))
    return found


def _sample(wrong: Bools, every: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.union1d(spread(np.flatnonzero(wrong), _SAMPLE), spread(every, _SAMPLE))


def _ranked(
    run: Callable[[tuple[ElementModel, ...], NDArray[np.intp]], Bytes],
    models: tuple[ElementModel, ...],
    codes: Bytes,
    at: NDArray[np.intp],
) -> list[tuple[ElementModel, ...]]:
    """One or two faults, those that leave least of a sample first."""

    def left(faults: tuple[ElementModel, ...]) -> int:
        return int((run(faults, at) != codes[at]).sum())

    wrong = [model for model in models if not model.legal_change]
    singles = sorted((((model,), left((model,))) for model in wrong), key=lambda pair: pair[1])
    if not singles or singles[0][1] == 0:
        return [faults for faults, _ in singles]
    both = [
        ((*faults, model), left((*faults, model)))
        for faults, _ in singles[:_BEAM]
        for model in wrong
        if model.id != faults[0].id
    ]
    return [faults for faults, _ in sorted([*singles, *both], key=lambda pair: pair[1])]


def _left(explanation: Explanation, codes: Bytes) -> int:
    return int((explanation.codes != codes).sum())


# --- legal choices ---------------------------------------------------------------------------


def _policies(
    x: NDArray[Any], random: NDArray[Any], fmt: ElementFormat, policy: Policy
) -> Iterator[Explanation]:
    """Other modes, other ways to share the same words, and one other choice at a time."""
    for base in _modes(policy):
        for changed in (base, *_one_choice(base)):
            try:
                codes = expected_codes(x, random, fmt, changed)
            except ValueError:  # these random bits or numbers do not fit the choice
                continue
            yield Explanation(codes, changed)


def _modes(policy: Policy) -> Iterator[Policy]:
    shared = policy.stochastic is not Stochastic.PER_ELEMENT
    ways = ("ptx-x4", "te-x4") if shared else ("per-element",)
    for mode in _MODES:
        for way in ways:
            yield policy.replace(rounding=mode, stochastic=way)


def _one_choice(policy: Policy) -> Iterator[Policy]:
    for name in _FIELDS:
        for choice in explanations(policy, name)[1:]:
            yield policy.replace(**{name: choice})


# --- wrong bits ------------------------------------------------------------------------------


def _other_bits(
    x: NDArray[Any], drawn: NDArray[np.uint32], bits: int, fmt: ElementFormat, policy: Policy
) -> Iterator[Explanation]:
    """The right rounding with random bits that are not those of the element."""
    lone = policy.replace(stochastic="per-element", stochastic_bits=str(bits))
    mask = np.uint32((1 << bits) - 1)
    flat = drawn.reshape(-1)
    ways: dict[tuple[str, str], Callable[[], NDArray[np.uint32]]] = {
        ("R2", "all random bits zeros"): lambda: np.zeros_like(flat),
        ("R2", "all random bits ones"): lambda: np.full_like(flat, mask),
        ("R2", "the random number of the first element for all"): lambda: np.full_like(
            flat, flat[0]
        ),
        ("R2", "the random number of the element before"): lambda: np.roll(flat, 1),
        ("R2", "the random number of the element behind"): lambda: np.roll(flat, -1),
        ("R1", "random bits in reverse"): lambda: _reversed(flat, bits),
        ("R1", "random bits complemented"): lambda: flat ^ mask,
    }
    if drawn.ndim > 1:
        row = np.broadcast_to(drawn[:1], drawn.shape).reshape(-1)
        column = np.broadcast_to(drawn[..., :1], drawn.shape).reshape(-1)
        ways["R2", "the random numbers of the first row in every row"] = lambda: row
        ways["R2", "one random number for each row"] = lambda: column
    for fault, other in ways.items():
        codes = expected_codes(x, other().reshape(x.shape), fmt, lone)
        yield Explanation(codes, policy, (fault,))


def _reversed(words: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    found = np.zeros_like(words)
    for place in range(bits):
        found |= ((words >> np.uint32(place)) & np.uint32(1)) << np.uint32(bits - 1 - place)
    return found
