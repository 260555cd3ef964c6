"""Elements of NVFP4: every scale code with every bfloat16, and every pair of codes decoded."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from nvfp4_cases import floats, number

from mxref import nvfp4
from mxref.exact import nvfp4 as exact
from mxref.kernels import _nvfp4_numpy as plain
from mxref.kernels import nvfp4 as kernels

GLOBALS = (1.0, 0.0022321429569274187, 2.0**-140, 1.5 * 2.0**100, float(np.float32(3e-41)))
EVERY_BF16 = np.arange(1 << 16, dtype=np.uint32) << 16
POINTS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


@pytest.mark.parametrize("g", GLOBALS)
@pytest.mark.parametrize("order", ["exact", "scale-first"])
def test_all_pairs_of_codes_decode(g, order):
    """16 x 256 pairs: the loops, NumPy, the definition, and products of ml_dtypes' values."""
    codes = np.tile(np.arange(16, dtype=np.uint8), (256, 1))
    scales = np.arange(256, dtype=np.uint8)
    policy = nvfp4.get_policy(f"te-1d:decode_order={order},scale_sign=signed")
    found = nvfp4.dequantize(codes, scales[:, None], g, policy=policy)
    again = plain.decode(codes, scales, np.float32(g), policy)
    np.testing.assert_array_equal(found.view(np.uint32), again.view(np.uint32))
    e = codes.view(ml_dtypes.float4_e2m1fn).astype(np.float64)
    s = scales[:, None].view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    multiplier = number(g)
    for i in range(0, 256, 3):
        for k in range(16):
            expected = floats([exact.value(k, i, multiplier, policy)])[0]
            assert expected.view(np.uint32) == found[i, k].view(np.uint32) or (
                np.isnan(expected) and np.isnan(found[i, k])
            )
    if order == "exact":
        with np.errstate(over="ignore"):
            products = (e * s * np.float64(np.float32(g))).astype(np.float32)
        np.testing.assert_array_equal(found, products)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["te-1d", "torchao", "modelopt", "mlx", "te-fast-math", "nvfp4-exact"]
)
def test_every_bfloat16_under_every_scale_code(name):
    """Loops and NumPy on all 2^24; the nearest point where nothing else rounds; some exactly."""
    policy = nvfp4.get_policy(name)
    x = EVERY_BF16.view(np.float32).reshape(-1, 16)
    of = kernels.global_scales(np.float32(2688 if name == "nvfp4-exact" else 41.7), policy)
    scales_exact = exact.global_scales(number(2688 if name == "nvfp4-exact" else 41.7), policy)
    rng = np.random.default_rng(0)
    for code in range(128):
        scales = np.full(len(x), code, np.uint8)
        found = kernels.encode(x, scales, of, policy)
        np.testing.assert_array_equal(found, plain.encode(x, scales, of, policy))
        for place in rng.integers(0, 1 << 16, 12):
            bits = int(EVERY_BF16[place])
            value = np.uint32(bits).view(np.float32)
            expected = exact.encode_element(number(value), code, scales_exact, policy)
            assert found.reshape(-1)[place] == expected, (code, hex(bits))
        if name == "nvfp4-exact" and 0 < code < 127:
            _is_nearest(x.reshape(-1), found.reshape(-1), plain.SCALE_TABLE[code])


def _is_nearest(x, codes, unit):
    finite = np.isfinite(x)
    sizes = np.abs(x[finite].astype(np.float64)) / unit  # 4 bits into 8: seldom exact, so compare
    values = POINTS * unit
    distance = np.abs(values[:, None] - np.abs(x[finite].astype(np.float64))[None, :])
    chosen = codes[finite] & 7
    own = np.take_along_axis(distance, chosen[None, :].astype(np.int64), 0)[0]
    best = distance.min(axis=0)
    assert (own == best)[sizes <= 6].all()
    is_tie = ((distance == best).sum(axis=0) == 2) & (sizes <= 6)
    assert (chosen[is_tie] % 2 == 0).all()
    assert (chosen[sizes > 6] == 7).all()
    np.testing.assert_array_equal(codes[finite] >> 3, np.signbit(x[finite]))


@pytest.mark.parametrize("bits", ["8", "16"])
def test_stochastic_rounding_goes_up_as_often_as_the_rest_says(bits):
    """All R for one number between 2 and 3: floor(v 2^N) of them go up."""
    policy = f"nvfp4-exact:rounding=stochastic,stochastic_bits={bits}"
    n = 1 << int(bits)
    random = np.arange(n, dtype=np.uint32).reshape(-1, 16)
    for rest in (Fraction(1, 2), Fraction(1, 3), Fraction(5, 256), Fraction(1, 1 << 20)):
        x = np.full((n // 16, 16), np.float32(2 + rest))
        scales = np.full((n // 16, 1), 0x38, np.uint8)
        codes = nvfp4.encode_with_scales(x, scales, 1.0, policy=policy, random=random)
        v = Fraction(float(np.float32(2 + rest))) - 2
        assert int((codes == 5).sum()) == int(v * n)
        assert int((codes == 4).sum()) == n - int(v * n)


def test_torchao_multiplies_by_an_inexact_reciprocal_and_others_do_not():
    """0.75 under the scale 448 of amax 6: 0.5 for torchao, 1 for TE and ModelOpt."""
    x = np.zeros((16, 16), np.float32)
    x[0, :3] = 6, 0.75, 1.75
    found = {name: list(nvfp4.quantize(x, policy=name).codes[0, :3]) for name in nvfp4.PROFILES}
    assert found["torchao"] == [7, 1, 3]
    assert found["te-1d"] == found["modelopt"] == [7, 2, 4]
    # The multiplier 6 / 2688 is no float32: with it, 0.75 lies just below the tie.
    assert found["nvfp4-exact"] == [7, 1, 3]


def test_a_tiny_block_beside_a_large_one():
    x = np.full((16, 32), 1e-6, np.float32)
    x[0, 0] = 2688
    least = {name: nvfp4.quantize(x, policy=name).scales[0, 1] for name in nvfp4.PROFILES}
    expected = {"torchao": 0x08, "modelopt": 0x01, "te-1d": 0x00, "compressed-tensors": 0x20}
    assert {name: least[name] for name in expected} == expected
