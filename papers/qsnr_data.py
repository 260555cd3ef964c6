"""Numbers to measure formats on: the distributions of the papers, and tensors of a real model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["DISTRIBUTIONS", "LENGTH", "SEED", "activation_tensors", "drawn", "weight_tensors"]

LENGTH = 1024
SEED = 8
_Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]


def _variable(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    deviations = np.abs(rng.standard_normal((shape[0], 1)))
    return rng.standard_normal(shape) * deviations


DISTRIBUTIONS: dict[str, tuple[str, _Draw]] = {
    "variable-gaussian": (
        "Gaussian, deviation |N(0, 1)| drawn for each vector: arXiv 2302.08007 [unverified]",
        _variable,
    ),
    "gaussian": ("Gaussian", lambda rng, shape: rng.standard_normal(shape)),
    "laplace": ("Laplace", lambda rng, shape: rng.laplace(size=shape)),
    "student-5": ("Student's t, 5 degrees", lambda rng, shape: rng.standard_t(5, shape)),
    "student-3": ("Student's t, 3 degrees", lambda rng, shape: rng.standard_t(3, shape)),
}
"""Name -> what it is, and how it is drawn."""


def drawn(name: str, vectors: int) -> NDArray[np.float32]:
    """Draw vectors of 1024 numbers; the same each time."""
    seeds = np.random.SeedSequence([SEED, sorted(DISTRIBUTIONS).index(name)])
    rng = np.random.default_rng(seeds)
    out = np.empty((vectors, LENGTH), np.float32)
    for start in range(0, vectors, 1024):
        part = out[start : start + 1024]
        part[:] = DISTRIBUTIONS[name][1](rng, (len(part), LENGTH))
    return out


def weight_tensors(*, quick: bool) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Weights of the linear layers of MiniLM; blocks lie along the axis that is summed over."""
    from papers.minilm import LINEAR_LAYERS, weights

    for name in _every(LINEAR_LAYERS, quick=quick):
        yield name, weights()[f"{name}.weight"]


def activation_tensors(*, quick: bool) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Inputs of the linear layers of MiniLM; those that share one input count once."""
    from papers.minilm import LINEAR_LAYERS, activations
    from papers.sentences import SENTENCES

    found = activations(SENTENCES[: 10 if quick else 75])
    names = [n for n in LINEAR_LAYERS if not n.endswith(("self.key", "self.value"))]
    for name in _every(names, quick=quick):
        yield name, found[name]


def _every(names: tuple[str, ...] | list[str], *, quick: bool) -> list[str]:
    return list(names)[::20] if quick else list(names)
