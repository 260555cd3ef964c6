"""Exact products of NVFP4 and BDR operands: against fractions, the definition, and each other."""

from fractions import Fraction

import numpy as np
import pytest
from gemm_oracle import FLOATS, ROUNDINGS
from relatives_oracle import bits, values_of

import mxref
from mxref.bdr import BDRArray
from mxref.exact import dot_relatives, ieee
from mxref.exact.number import Number
from mxref.kernels.gemm import cpu
from mxref.nvfp4 import NVFP4Array
from mxref.relatives.bdr_formats import BDR_FORMATS, bdr_format

PATHS = [cpu.NAMES[path] for path in cpu.paths()]
BLOCKED = [name for name, fmt in BDR_FORMATS.items() if fmt.k1 != 1024]
FORMATS = [
    *BLOCKED,
    "vsq4:k1=64",
    "vsq6:k1=32",
    "vsq8:k1=64",
    "scaled_int8:k1=64",
    "scaled_int8:k1=16",
    "scaled_int4:k1=tensor",
    "bdr:m=2,k1=16,k2=4,d2=5",
    "bdr:m=7,k1=16,k2=4,d2=5",
    "bdr:m=5,k1=16,k2=4,d1=4,d2=2",
    "bdr:m=5,k1=16,k2=4,d2=2,scale=float32",
]


def nvfp4_of(rng, shape, axis, g=1.0, scales=(0x00, 0x7E)):
    """Random codes, with scales of the whole range unless a range is given."""
    across = tuple(-(-n // 16) if i == axis else n for i, n in enumerate(shape))
    codes = rng.integers(0, 16, shape, np.uint8)
    drawn = rng.integers(scales[0], scales[1] + 1, across, np.uint8)
    return NVFP4Array(codes, drawn, np.float32(g), axis)


def bdr_of(rng, name, shape, axis, spread=4):
    """Random codes, shifts and scales."""
    fmt = bdr_format(name)

    def each(size):
        return tuple(-(-n // size) if i == axis else n for i, n in enumerate(shape))

    codes = rng.integers(0, fmt.code_count, shape, np.uint8)
    if fmt.float_element is not None:
        codes[(codes & 0x7F) > fmt.max_magnitude] = 0x31
    if fmt.scale == "pow2":
        low, high = max(0, fmt.bias - spread), min(fmt.max_scale, fmt.bias + spread)
        scales = rng.integers(low, high + 1, each(fmt.k1), np.uint8)
    else:
        size = () if fmt.k1 is None else each(fmt.k1)
        scales = np.ldexp(np.abs(rng.normal(size=size)), rng.integers(-spread, spread + 1, size))
        scales = np.asarray(scales, np.float32)
    shared = None
    if fmt.has_subscales:
        shared = rng.integers(0, fmt.max_subscale + 1, each(fmt.k2), np.uint8)
    return BDRArray(codes, scales, shared, fmt, axis)


def check(a, b, c=None, dtype="float32", rounding="nearest-even", path=None):
    got = mxref.matmul(a, b, c, dtype=FLOATS[dtype][0], rounding=rounding, path=path)
    want = bits(values_of(a), values_of(b), c, dtype, rounding)
    assert (got.view(FLOATS[dtype][1]) == want).all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("g", [1.0, 0.0123, 3.3e-7, 2.0**-30, 0.0, 1e-40, 3e38])
def test_nvfp4_is_the_sum_of_fractions(path, g):
    rng = np.random.default_rng(1)
    a, b = nvfp4_of(rng, (3, 80), 1, g), nvfp4_of(rng, (80, 2), 0, 1.7)
    check(a, b, path=path)
    check(a, b, rng.normal(size=(3, 2)).astype(np.float32), path=path)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_rounding_of_nvfp4(dtype, rounding):
    rng = np.random.default_rng(2)
    a, b = nvfp4_of(rng, (3, 64), 1, 0.3), nvfp4_of(rng, (64, 3), 0, 1.7)
    check(a, b, None, dtype, rounding)
    nearly = -mxref.matmul(a, b, dtype=np.float64)
    check(a, b, nearly, dtype, rounding)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", FORMATS)
def test_bdr_is_the_sum_of_fractions(name, path):
    rng = np.random.default_rng(3)
    a, b = bdr_of(rng, name, (3, 64), 1), bdr_of(rng, name, (64, 2), 0)
    check(a, b, path=path)
    check(a, nvfp4_of(rng, (64, 2), 0, 0.3), rng.normal(size=(3, 2)), "float64", path=path)


@pytest.mark.parametrize("name", ["mx9", "bdr:m=2,k1=16,k2=4,d2=5", "bdr:m=7,k1=16,k2=4,d2=5"])
def test_scales_of_the_whole_range(name):
    rng = np.random.default_rng(4)
    a, b = bdr_of(rng, name, (2, 64), 1, 300), bdr_of(rng, "mx9", (64, 2), 0, 300)
    check(a, b, None, "float64", "toward-zero")


def test_cancellation_between_the_ends_of_e4m3():
    # 6 * 448 and 0.5 * 2^-9, squared: 2^36 apart, and the large ones cancel.
    codes, scales = np.full((1, 96), 0x0, np.uint8), np.full((1, 6), 0x7E, np.uint8)
    codes[0, [0, 16, 32]] = 0x7, 0xF, 0x1
    scales[0, 2] = 0x01
    a = NVFP4Array(codes, scales, np.float32(0.7), 1)
    other = codes.T.copy()
    other[16] = 0x7
    b = NVFP4Array(other, scales.T.copy(), np.float32(1.3), 0)
    exact = Fraction(float(np.float32(0.7))) * Fraction(float(np.float32(1.3))) / 2**20
    assert float(mxref.matmul(a, b, dtype=np.float64)[0, 0]) == float(exact)
    check(a, b)


def test_long_sums_that_need_more_than_a_float64():
    # 2^16 products of 6 * 448 and of others: 53 bits are not enough, and all paths agree.
    rng = np.random.default_rng(5)
    k = 1 << 16
    a, b = nvfp4_of(rng, (2, k), 1, 0.37), nvfp4_of(rng, (k, 2), 0, 1.9)
    got, info = mxref.matmul(a, b, full_output=True)
    assert info.exact == 0
    assert info.certified + info.fallbacks == 4
    values = [np.array([[int(v * 2**20) for v in row] for row in values_of(one)], object)
              for one in (nvfp4_at_one(a), nvfp4_at_one(b))]  # fmt: skip
    g = Fraction(float(a.global_scale)) * Fraction(float(b.global_scale))
    for i in range(2):
        for j in range(2):
            total = Fraction(int((values[0][i] * values[1][j]).sum()), 2**40) * g
            assert Fraction(float(got[i, j])) == Fraction(float(np.float32(float(total))))


def nvfp4_at_one(q):
    return NVFP4Array(q.codes, q.scales, 1.0, q.axis)


def test_many_results_on_every_path():
    rng = np.random.default_rng(6)
    a = nvfp4_of(rng, (70, 160), 1, 0.01, (0x20, 0x50))
    b = nvfp4_of(rng, (160, 45), 0, 0.02, (0x20, 0x50))
    # Integers below 2^53 in units of 2^-8 * 2^-2 ...: float64 sums them exactly.
    values = [nvfp4_at_one(q).dequantize().astype(np.float64) for q in (a, b)]
    sums = values[0] @ values[1]
    g = float(a.global_scale) * float(b.global_scale)
    rough = (sums * g).astype(np.float32)
    found = [mxref.matmul(a, b, path=path) for path in PATHS]
    for one in found:
        assert (one == found[0]).all()
        assert (np.abs(one - rough) <= np.spacing(np.abs(rough))).all()
    c = rng.normal(size=(70, 45)).astype(np.float32)
    with_addend = [mxref.matmul(a, b, c, path=path) for path in PATHS]
    assert all((one == with_addend[0]).all() for one in with_addend)
    some = NVFP4Array(a.codes[:2], a.scales[:2], a.global_scale, 1)
    assert (bits(values_of(some), values_of(b), None, "float32") == found[0][:2].view("u4")).all()


@pytest.mark.parametrize("path", PATHS)
def test_families_mix(path):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(3, 64)).astype(np.float32)
    a = mxref.quantize(x, "mxfp8_e5m2")
    for b in (nvfp4_of(rng, (64, 2), 0, 0.3), bdr_of(rng, "mx6", (64, 2), 0),
              bdr_of(rng, "scaled_int8:k1=16", (64, 2), 0)):  # fmt: skip
        values = [[Fraction(float(v)) for v in row] for row in a.dequantize()]
        got = mxref.matmul(a, b, path=path)
        assert (got.view("u4") == bits(values, values_of(b), None, "float32")).all()


# --- the definition --------------------------------------------------------------------------


def by_definition(a, b):
    """Each result as the definition has it, in bits of float32; a and b are lists of values."""
    return np.array(
        [[ieee.to_bits(dot_relatives.dot_values(x, y), "float32") for y in b] for x in a],
        np.uint32,
    )


def number(x):
    return Number.nan(0) if np.isnan(x) else (
        Number.inf(int(x < 0)) if np.isinf(x) else Number.finite(Fraction(float(x)))
    )  # fmt: skip


def nvfp4_values(q):
    codes, scales = (q.codes, q.scales) if q.axis else (q.codes.T, q.scales.T)
    g = number(q.global_scale)
    return [
        dot_relatives.nvfp4_values(c, s, g, q.policy)
        for c, s in zip(codes.tolist(), scales.tolist(), strict=True)
    ]


def bdr_values(q):
    def turned(array):
        return array if q.axis else array.T

    codes = turned(q.codes).tolist()
    raw = q.scales if q.format.scale == "pow2" else q.scales.view(np.uint32)
    scales = turned(raw).tolist() if raw.ndim else [[int(raw)]] * len(codes)
    shared = [()] * len(codes) if q.subscales is None else turned(q.subscales).tolist()
    return [
        dot_relatives.bdr_values(*row, q.format) for row in zip(codes, scales, shared, strict=True)
    ]


@pytest.mark.parametrize("g", [0.3, 0.0, np.inf, np.nan])
def test_nvfp4_is_its_definition_with_specials(g):
    rng = np.random.default_rng(8)
    a, b = nvfp4_of(rng, (4, 32), 1, g), nvfp4_of(rng, (32, 3), 0, 0.7)
    a.codes[0] = np.where(a.codes[0] & 7, a.codes[0], 0x2)
    b.codes[:, 0] = np.where(b.codes[:, 0] & 7, b.codes[:, 0], 0x9)
    a.scales[...] = np.maximum(a.scales, 1)
    b.scales[...] = np.maximum(b.scales, 1)
    a.scales[1, 1] = 0x7F
    a.scales[2, 0] = 0
    b.scales[0, 1] = 0xFF
    got = mxref.matmul(a, b)
    assert (got.view(np.uint32) == by_definition(nvfp4_values(a), nvfp4_values(b))).all()


def test_the_sign_of_a_scale_counts_where_the_policy_says_so():
    rng = np.random.default_rng(9)
    b = nvfp4_of(rng, (32, 3), 0, 0.7)
    for policy in ("te-1d", mxref.nvfp4.get_policy("te-1d").replace(scale_sign="signed")):
        codes, scales = rng.integers(0, 16, (2, 32), np.uint8), np.array([[0xB8, 0x38]] * 2, "u1")
        a = NVFP4Array(codes, scales, 1.0, 1, policy=policy)
        got = mxref.matmul(a, b)
        assert (got.view(np.uint32) == by_definition(nvfp4_values(a), nvfp4_values(b))).all()


@pytest.mark.parametrize(
    "name", ["mx9", "mx6", "scaled_int8:k1=16", "scaled_int8:k1=tensor", "scaled_fp8_e5m2",
             "scaled_fp8_e4m3"]
)  # fmt: skip
@pytest.mark.parametrize("special", ["nan", "inf", "-inf", "zero", "-one", "element"])
def test_bdr_is_its_definition_with_specials(name, special):
    rng = np.random.default_rng(10)
    a, b = bdr_of(rng, name, (3, 32), 1), bdr_of(rng, name, (32, 3), 0)
    a.codes[a.codes == 0] = 1
    b.codes[:, 0] = 1
    if special == "element":
        a.codes[0, 0], b.codes[1, 1] = a.format.code_count - 4, a.format.code_count - 1
    elif a.format.scale == "pow2":
        a.scales.reshape(-1)[0] = a.format.nan_scale if special == "nan" else 0
    else:
        words = {"zero": "0", "-one": "-1"}
        a.scales.reshape(-1)[0] = np.float32(words.get(special, special))
    got = mxref.matmul(a, b)
    assert (got.view(np.uint32) == by_definition(bdr_values(a), bdr_values(b))).all()


def test_an_addend_that_is_special():
    rng = np.random.default_rng(11)
    c = np.array([[np.inf, -np.inf, np.nan]], np.float32)
    for a, b in (
        (nvfp4_of(rng, (1, 32), 1), nvfp4_of(rng, (32, 3), 0, 0.3)),
        (bdr_of(rng, "scaled_int8:k1=16", (1, 32), 1), bdr_of(rng, "mx4", (32, 3), 0)),
    ):
        got = mxref.matmul(a, b, c)
        assert (got[0, :2] == [np.inf, -np.inf]).all()
        assert got.view(np.uint32)[0, 2] == 0x7FC00000


# --- input -----------------------------------------------------------------------------------


def test_operands_that_do_not_fit_are_refused():
    rng = np.random.default_rng(12)
    a, b = nvfp4_of(rng, (2, 32), 1), nvfp4_of(rng, (32, 3), 0)
    with pytest.raises(ValueError, match="blocked along axis 1; expected axis 0"):
        mxref.matmul(a, a)
    with pytest.raises(ValueError, match=r"expected \(M, K\) and \(K, N\)"):
        mxref.matmul(a, nvfp4_of(rng, (48, 3), 0))
    with pytest.raises(TypeError, match="a is a ndarray; expected"):
        mxref.matmul(a.dequantize(), b)
    with pytest.raises(ValueError, match="expected a matrix"):
        mxref.matmul(NVFP4Array(a.codes[0], a.scales[0], 1.0), b)
    with pytest.raises(TypeError, match=r"compare it with mxref\.matmul"):
        mxref.check.matmul(a, b, mxref.matmul(a, b))
    out = np.empty((2, 3), np.float32)
    assert mxref.matmul(a, b, out=out) is out


def test_nothing_to_sum():
    a = NVFP4Array(np.empty((2, 0), np.uint8), np.empty((2, 0), np.uint8), 0.5, 1)
    b = NVFP4Array(np.empty((0, 3), np.uint8), np.empty((0, 3), np.uint8), 0.5, 0)
    assert (mxref.matmul(a, b, np.float32(2.5)) == 2.5).all()
    empty = NVFP4Array(np.empty((0, 32), np.uint8), np.empty((0, 2), np.uint8), 0.5, 1)
    right = NVFP4Array(np.zeros((32, 3), np.uint8), np.zeros((2, 3), np.uint8), 0.5, 0)
    assert mxref.matmul(empty, right).shape == (0, 3)
