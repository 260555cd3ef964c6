"""Two passes over whole tensors against one step after the other, as NumPy does them."""

import ml_dtypes
import numpy as np
import pytest
from nvfp4_cases import KINDS, tensors

from mxref import nvfp4
from mxref.kernels import _nvfp4_numpy as plain
from mxref.kernels import nvfp4 as kernels
from mxref.kernels import nvfp4_whole as whole
from mxref.kernels._jit import INTERPRETED

WHOLE = [name for name in nvfp4.PROFILES if INTERPRETED or whole.is_whole(nvfp4.get_policy(name))]
# A full tile of 16 blocks, more than one and a part, and more than a thread takes at a time.
SIZES = (16, 37, 1043)


def step_by_step(x, policy, amax=None):
    b = plain.amax(x, policy)
    of = kernels.global_scales(b.max() if amax is None else np.float32(amax), policy)
    scales = plain.scale_codes(b, of, policy)
    return plain.encode(x, scales, of, policy), scales, of.decode


def assert_same(q, expected):
    codes, scales, g = expected
    np.testing.assert_array_equal(q.global_scale, g)
    np.testing.assert_array_equal(q.scales.reshape(-1), scales)
    np.testing.assert_array_equal(q.codes.reshape(-1, 16), codes)


def test_the_usual_recipes_take_two_passes():
    if not INTERPRETED:
        assert {"te-1d", "torchao", "modelopt", "compressed-tensors", "mlx"} <= set(WHOLE)
        assert not {"te-2d", "te-four-over-six", "nvfp4-exact"} & set(WHOLE)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("n_blocks", SIZES)
def test_two_passes_give_what_steps_give(name, n_blocks):
    policy = nvfp4.get_policy(name).replace(geometry="1d")
    for kind in KINDS:
        x = tensors(np.random.default_rng(n_blocks), n_blocks, kind)
        if policy.target == "four-over-six":
            continue
        assert_same(nvfp4.quantize(x, policy=policy), step_by_step(x, policy))


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("kind", ["normal", "tiny", "range", "specials"])
def test_narrow_types_are_read_where_they_lie(dtype, kind):
    with np.errstate(all="ignore"):
        x = tensors(np.random.default_rng(2), 53, kind).astype(dtype)
    policy = nvfp4.get_policy("te-1d")
    assert_same(nvfp4.quantize(x), step_by_step(x.astype(np.float32), policy))


def test_a_nan_anywhere_is_seen_whoever_gives_the_amax():
    """In the first pass, and in the second where there is no first one."""
    for place in (0, 16 * 16 + 3, 37 * 16 - 1):
        for name in ("te-1d", "torchao"):
            policy = nvfp4.get_policy(name)
            x = tensors(np.random.default_rng(4), 37, "normal")
            x.reshape(-1)[place] = np.nan
            assert_same(nvfp4.quantize(x, policy=policy), step_by_step(x, policy))
            q = nvfp4.quantize(x, policy=policy, global_amax=3.0)
            assert_same(q, step_by_step(x, policy, 3.0))


def test_a_largest_magnitude_is_found_in_every_lane_of_every_block():
    """One element larger than all others at each place of a tile, and of a part of one."""
    for n_blocks in (16, 18):
        for place in range(16 * n_blocks):
            x = np.ones((n_blocks, 16), np.float32)
            x.reshape(-1)[place] = -3.0
            q = nvfp4.quantize(x)
            expected = np.where(np.arange(n_blocks) == place // 16, 0x7E, 0x71)
            np.testing.assert_array_equal(q.scales.reshape(-1), expected)


def test_out_of_any_layout_is_written():
    x = tensors(np.random.default_rng(6), 40, "normal").reshape(8, 80)
    q = nvfp4.quantize(x)
    codes, scales = np.zeros((16, 160), np.uint8)[::2, ::2], np.zeros((16, 5), np.uint8)[::2]
    out = nvfp4.NVFP4Array(codes, scales)
    assert nvfp4.quantize(x, out=out) is out
    np.testing.assert_array_equal(codes, q.codes)
    np.testing.assert_array_equal(scales, q.scales)


def test_sums_with_powers_of_two_round_as_e2m1_does():
    """Around every point and every tie, and far beyond: the definition, under a scale of one."""
    points = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    marks = np.concatenate([points, (points[1:] + points[:-1]) / 2, [7, 8, 16, 2.0**22, 2.0**24]])
    marks = np.append(marks, [2.0**25, 2.0**127, np.inf]).astype(np.float32)
    with np.errstate(over="ignore"):
        above, below = np.nextafter(marks, np.float32(np.inf)), np.nextafter(marks, np.float32(0))
    sizes = np.concatenate([marks, above, below, np.float32([1e-45, 1e-38, 0.1, 0.24])])
    x = np.concatenate([sizes, -sizes])
    x = np.append(x, np.zeros(-x.size % 16, np.float32))
    found = nvfp4.encode_with_scales(x, np.full(x.size // 16, 0x38, np.uint8))
    expected = [nearest(float(v), points) for v in x]
    np.testing.assert_array_equal(found, expected)


def nearest(v, points):
    """The nearest point, of two as near as each other the one with an even code."""
    size = abs(v)
    code = min(range(8), key=lambda k: (abs(min(size, 100.0) - points[k]), k % 2))
    return code | (8 if np.signbit(np.float32(v)) else 0)
