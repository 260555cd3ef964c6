"""The random Hadamard transform against its definition and against matrices."""

import ml_dtypes
import numpy as np
import pytest
from nvfp4_cases import KINDS, floats, number, tensors

from mxref.exact import ieee
from mxref.exact.nvfp4_hadamard import TE_SIGNS, entry, transform
from mxref.nvfp4 import hadamard


def matrix(d, signs=None):
    h = np.array([[entry(i, j) for j in range(d)] for i in range(d)], np.float64)
    return h if signs is None else np.array(signs, np.float64)[:, None] * h


@pytest.mark.parametrize("d", [1, 2, 4, 16, 64])
def test_the_matrix_is_sylvesters(d):
    h = np.ones((1, 1))
    while len(h) < d:
        h = np.block([[h, h], [h, -h]])
    np.testing.assert_array_equal(matrix(d), h)
    np.testing.assert_array_equal(h @ h.T, d * np.eye(d))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [2, 4, 8, 16])
@pytest.mark.parametrize("dest", ["float32", "bfloat16"])
@pytest.mark.parametrize("inverse", [False, True])
def test_exact_is_the_definition(kind, d, dest, inverse):
    rng = np.random.default_rng(7)
    x = tensors(rng, 6, kind).reshape(-1, d)
    signs = rng.choice([-1, 1], d)
    dtype = np.float32 if dest == "float32" else ml_dtypes.bfloat16
    found = hadamard(x, d=d, signs=signs, dtype=dtype, inverse=inverse)
    word = np.uint32 if dest == "float32" else np.uint16
    for row, values in zip(x, found, strict=True):
        numbers = transform([number(v) for v in row], list(signs), dest, inverse=inverse)
        expected = [ieee.to_bits(n, dest) for n in numbers]
        same = [
            e == b or (n.magnitude == 0 and b & ((1 << (8 * word().itemsize - 1)) - 1) == 0)
            for e, b, n in zip(expected, values.view(word).tolist(), numbers, strict=True)
        ]
        assert all(same), (row, values, numbers)


def test_float32_is_the_fast_transform_step_by_step():
    x = np.random.default_rng(3).standard_normal((5, 16)).astype(np.float32)
    work = x * np.float32(TE_SIGNS)
    for half in (1, 2, 4, 8):
        pairs = work.reshape(5, -1, 2, half)
        work = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], 2)
        work = work.reshape(5, 16)
    np.testing.assert_array_equal(hadamard(x, signs="te", order="float32"), work * np.float32(0.25))


def test_a_product_does_not_change():
    rng = np.random.default_rng(1)
    a, b = rng.integers(-8, 8, (2, 4, 32)).astype(np.float32)
    turned = [hadamard(m, signs="te").astype(np.float64) for m in (a, b)]
    np.testing.assert_allclose(turned[0] @ turned[1].T, a.astype(np.float64) @ b.T)
    np.testing.assert_array_equal(turned[0][:, :16], (a[:, :16] @ matrix(16, TE_SIGNS)) / 4)


def test_other_axes():
    x = np.random.default_rng(1).standard_normal((3, 32, 5)).astype(np.float32)
    there = hadamard(x, axis=1)
    np.testing.assert_array_equal(there, np.moveaxis(hadamard(np.moveaxis(x, 1, -1)), -1, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d": 3}, "power of two"),
        ({"d": 64}, "no multiple of d = 64"),
        ({"signs": "random"}, "unknown signs 'random'"),
        ({"signs": [1, 2] * 8}, "numbers, 1 or -1"),
        ({"signs": "te", "d": 8}, "signs='te' are 16"),
        ({"order": "fast"}, "unknown order 'fast'"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        hadamard(np.zeros((2, 16), np.float32), **options)


def test_floats_are_read_as_they_are():
    tiny = np.zeros(16, np.float32)
    tiny[0] = np.uint32(4).view(np.float32)
    np.testing.assert_array_equal(
        hadamard(tiny), floats([number(np.uint32(1).view(np.float32))] * 16)
    )
