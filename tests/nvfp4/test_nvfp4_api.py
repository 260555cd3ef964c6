"""mxref.nvfp4 as users call it: axes, tails, 16 x 16 blocks, given scales, errors."""

import re

import ml_dtypes
import numpy as np
import pytest
from nvfp4_cases import exact_quantize, number, tensors

from mxref import nvfp4
from mxref.exact import nvfp4 as exact

RNG = np.random.default_rng(11)
X = RNG.standard_normal((32, 48)).astype(np.float32)


def test_any_axis_and_layout_gives_the_same_blocks():
    q = nvfp4.quantize(X)
    across = nvfp4.quantize(X.T, axis=0)
    np.testing.assert_array_equal(across.codes, q.codes.T)
    np.testing.assert_array_equal(across.scales, q.scales.T)
    np.testing.assert_array_equal(across.dequantize(), q.dequantize().T)
    strided = np.zeros((64, 96), np.float32)[::2, ::2]
    strided[...] = X
    np.testing.assert_array_equal(nvfp4.quantize(strided).codes, q.codes)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64, ">f4"])
def test_other_types_are_widened_or_rounded(dtype):
    x = X.astype(dtype)
    q, same = nvfp4.quantize(x), nvfp4.quantize(x.astype(np.float32))
    np.testing.assert_array_equal(q.codes, same.codes)
    np.testing.assert_array_equal(q.scales, same.scales)
    if dtype is np.float64:
        with pytest.raises(TypeError, match="float64=refuse"):
            nvfp4.quantize(x, policy="te-1d:float64=refuse")


def test_a_tail_needs_pad_and_counts_as_zeros():
    with pytest.raises(ValueError, match=re.escape("pass pad=True")):
        nvfp4.quantize(X[:, :40])
    q = nvfp4.quantize(X[:, :40], pad=True)
    filled = X.copy()
    filled[:, 40:] = 0
    whole = nvfp4.quantize(filled)
    np.testing.assert_array_equal(q.codes, whole.codes[:, :40])
    np.testing.assert_array_equal(q.scales, whole.scales)
    assert q.dequantize().shape == (32, 40)


@pytest.mark.parametrize("name", ["te-2d", "te-2d-test", "nvfp4-exact:geometry=2d"])
def test_blocks_of_16_by_16(name):
    """Each row stores the scale of its block, and both axes give the same one."""
    q = nvfp4.quantize(X, policy=name)
    tiles = np.abs(X).reshape(2, 16, 3, 16).max(axis=(1, 3))
    expected = nvfp4.block_scales(tiles, policy=name, global_amax=float(np.abs(X).max()))
    np.testing.assert_array_equal(q.scales, np.repeat(expected, 16, axis=0))
    across = nvfp4.quantize(X, axis=0, policy=name)
    np.testing.assert_array_equal(across.codes, q.codes)
    np.testing.assert_array_equal(across.scales, np.repeat(expected, 16, axis=1))
    stacked = nvfp4.quantize(np.stack([X, X]), policy=name)
    np.testing.assert_array_equal(stacked.codes[1], q.codes)


@pytest.mark.parametrize("selection", ["mae", "mse", "abs-max"])
@pytest.mark.parametrize("order", ["exact", "float32"])
@pytest.mark.parametrize("kind", ["normal", "specials", "ties"])
def test_four_over_six_on_16_by_16_is_the_definition(selection, order, kind):
    policy = nvfp4.get_policy(
        f"te-four-over-six:geometry=2d,selection={selection},selection_order={order}"
    )
    x = tensors(np.random.default_rng(5), 32, kind).reshape(16, 32)
    q = nvfp4.quantize(x, policy=policy)
    numbers = [[number(v) for v in row] for row in x]
    scales = exact.global_scales(exact.block_amax([n for row in numbers for n in row]), policy)
    for block in range(2):
        tile = [n for row in numbers for n in row[block * 16 : block * 16 + 16]]
        found = exact.quantize_block(tile, scales, policy)
        assert set(q.scales[:, block]) == {found.scale}
        columns = slice(block * 16, block * 16 + 16)
        np.testing.assert_array_equal(q.codes[:, columns].reshape(-1), found.codes)


def test_four_over_six_loses_no_more_than_six():
    for name in ("te-four-over-six-mse:selection_order=exact", "te-four-over-six-mse"):
        q = nvfp4.quantize(X, policy=name)
        six = nvfp4.quantize(X, policy=f"{name.split(':')[0]}:target=six")
        lost = [((p.dequantize() - X) ** 2).reshape(-1, 16).sum(1) for p in (q, six)]
        assert (lost[0] <= lost[1] * (1 + 1e-5)).all()
        assert (lost[0] < lost[1]).mean() > 0.2


def test_each_step_alone_gives_what_quantize_gives():
    for name in nvfp4.PROFILES:
        policy = nvfp4.get_policy(name)
        if policy.target == "four-over-six":
            continue
        q = nvfp4.quantize(X, policy=policy)
        amax = np.abs(X).max()
        assert nvfp4.global_scale_of(amax, policy) == q.global_scale
        b = nvfp4.block_amax(X, policy=policy)
        np.testing.assert_array_equal(
            nvfp4.block_scales(b, policy=policy, global_amax=amax), q.scales
        )
        codes = nvfp4.encode_with_scales(X, q.scales, policy=policy, global_amax=amax)
        np.testing.assert_array_equal(codes, q.codes)
        given = nvfp4.quantize(X, policy=policy, global_amax=amax)
        np.testing.assert_array_equal(given.codes, q.codes)


def test_out_is_written_and_returned():
    q = nvfp4.quantize(X)
    out = nvfp4.NVFP4Array(np.zeros((32, 48), np.uint8), np.zeros((32, 3), np.uint8))
    assert nvfp4.quantize(X, out=out, policy="torchao") is out
    again = nvfp4.quantize(X, policy="torchao")
    np.testing.assert_array_equal(out.codes, again.codes)
    np.testing.assert_array_equal(out.scales, again.scales)
    assert (out.global_scale, out.policy) == (again.global_scale, again.policy)
    values = np.empty((32, 48), np.float32)
    assert q.dequantize(out=values) is values
    np.testing.assert_array_equal(values, np.asarray(q))


def test_random_bits_from_a_seed_a_generator_or_an_array():
    policy = "te-1d:rounding=stochastic"
    bits = np.random.default_rng(4).integers(0, 256, X.shape, np.uint32)
    by_hand = nvfp4.quantize(X, policy=policy, random=bits)
    for random in (4, np.random.default_rng(4)):
        np.testing.assert_array_equal(
            nvfp4.quantize(X, policy=policy, random=random).codes, by_hand.codes
        )
    codes, scales, _ = exact_quantize(X.reshape(-1, 16), policy, bits.reshape(-1, 16))
    np.testing.assert_array_equal(by_hand.codes.reshape(-1, 16), codes)
    np.testing.assert_array_equal(by_hand.scales.reshape(-1), scales)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nvfp4.quantize(X, policy="te1d"), ValueError, "did you mean 'te-1d'"),
        (lambda: nvfp4.quantize(X, policy="te-1d:target=five"), ValueError, "choice for target"),
        (lambda: nvfp4.quantize(X.astype(int)), TypeError, "has dtype int64"),
        (lambda: nvfp4.quantize(X, axis=2), ValueError, "axis 2 is out of range"),
        (lambda: nvfp4.quantize(X, random=1), ValueError, "leave it out"),
        (
            lambda: nvfp4.quantize(X, policy="te-1d:rounding=stochastic"),
            ValueError,
            "needs random",
        ),
        (
            lambda: nvfp4.quantize(X, policy="te-1d:rounding=stochastic", random=np.uint32([[1]])),
            ValueError,
            "expected that of x",
        ),
        (lambda: nvfp4.quantize(X, global_amax=1, global_scale=1), ValueError, "not both"),
        (lambda: nvfp4.quantize(X, global_scale=1e300), ValueError, "beyond float32"),
        (lambda: nvfp4.quantize(X, policy="mlx", global_scale=2), ValueError, "single-level"),
        (lambda: nvfp4.quantize(X[0], policy="te-2d"), ValueError, "geometry=2d"),
        (lambda: nvfp4.quantize(X[:20], policy="te-2d"), ValueError, "pad=True"),
        (lambda: nvfp4.dequantize([[16]], [[0]]), TypeError, "expected uint8"),
        (
            lambda: nvfp4.dequantize(np.full(16, 16, np.uint8), np.zeros(1, np.uint8)),
            ValueError,
            "out of range",
        ),
        (
            lambda: nvfp4.dequantize(np.zeros(32, np.uint8), np.zeros(1, np.uint8)),
            ValueError,
            "in blocks of 16",
        ),
        (lambda: nvfp4.block_scales(X, four=True), ValueError, "four=True needs"),
    ],
)
def test_what_does_not_fit_is_refused_with_help(call, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        call()


def test_nothing_at_all_is_an_array_too():
    q = nvfp4.quantize(np.zeros((0, 32), np.float32))
    assert (q.codes.shape, q.scales.shape, q.dequantize().shape) == ((0, 32), (0, 2), (0, 32))


def test_what_is_stored():
    q = nvfp4.quantize(X)
    assert q.nbytes == 32 * 48 // 2 + 32 * 3 + 4
    assert repr(q).startswith("NVFP4Array(shape=(32, 48), axis=1, global_scale=")
    assert float(nvfp4.FORMAT.bits_per_element) == 4.5


def test_profiles_have_names_sources_and_reasons():
    for name, profile in nvfp4.PROFILES.items():
        assert profile.policy.name == name == profile.name
        assert nvfp4.get_policy(name) is profile.policy
        assert set(profile.sources) == set(profile.policy.diff(nvfp4.NVFP4Policy()))
        assert all(url.startswith("https://") for url in profile.sources.values())
        assert profile.evidence
    assert nvfp4.get_policy("nvfp4") == nvfp4.get_policy(None) == nvfp4.get_policy("te-1d")
