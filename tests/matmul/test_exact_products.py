"""Exact products are the integers' ones, bit for bit: every pair of formats, type and rounding."""

import numpy as np
import pytest
from gemm_operands import BLOCKS, PAIRS, addends, array_of, operands, random_operands
from gemm_oracle import FLOATS, FORMATS, ROUNDINGS, Exact, integers
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref


def assert_exact(a, b, c=None, dtypes=FLOATS, roundings=ROUNDINGS):
    """Hold `mxref.matmul` to the oracle in each type and rounding; return what was expected."""
    exact = Exact(a, b, c)
    for dtype in dtypes:
        for rounding in roundings:
            found = mxref.matmul(a, b, c, dtype=FLOATS[dtype][0], rounding=rounding)
            expected = exact.bits(dtype, rounding)
            assert found.dtype == FLOATS[dtype][0]
            assert found.shape == expected.shape
            wrong = np.argwhere(found.view(expected.dtype) != expected)
            assert not len(wrong), _difference(dtype, rounding, found, exact, wrong)
    return exact


def _difference(dtype, rounding, found, exact, wrong):
    where = tuple(wrong[0])
    value, exponent = exact.terms[np.ravel_multi_index(where, exact.shape)]
    return (
        f"{len(wrong)} of {found.size} wrong, first at {where}: {dtype} {rounding} gave "
        f"{found[where]!r}, expected {exact.array(dtype, rounding)[where]!r}, of {value} * "
        f"2^{exponent}"
    )


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_drawn_operands(pair, data):
    a, b = data.draw(operands(pair, data.draw(st.sampled_from(BLOCKS))))
    c = data.draw(addends(Exact(a, b)))
    roundings = data.draw(st.lists(st.sampled_from(ROUNDINGS), min_size=2, max_size=2))
    assert_exact(a, b, c, roundings=roundings)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_whole_range_of_scales_with_specials(pair):
    rng = np.random.default_rng(list(map(ord, "-".join(pair))))
    a, b = random_operands(rng, pair, (43, 300, 41), spread=128, middle=127, specials=True)
    found = assert_exact(a, b, dtypes=["float32", "float64"], roundings=["up"])
    assert (found.special != 0).any()
    assert (found.special == 0).any()


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("spread", [0, 14, 50])
def test_every_type_and_rounding(pair, spread):
    """Sums that float64 holds, that two of them hold, and that need a bound or integers."""
    rng = np.random.default_rng([spread, *map(ord, "-".join(pair))])
    a, b = random_operands(rng, pair, (36, 288, 33), spread=spread)
    assert_exact(a, b)


SHAPES = [
    (1, 1, 1),
    (1, 300, 1),
    (5, 7, 3),
    (2, 33, 130),
    (67, 130, 35),
    (130, 64, 17),
    (16, 96, 64),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("block", BLOCKS)
def test_shapes_that_fill_no_tile(shape, block):
    rng = np.random.default_rng(shape)
    names = list(FORMATS)
    for i, name in enumerate(names):
        a, b = random_operands(rng, (name, names[i - 1]), shape, block, spread=12)
        assert_exact(a, b, dtypes=["float32"], roundings=["nearest-even"])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("which", ["largest", "least digit"])
def test_long_sums_of_one_sign(name, which):
    """More than 32 bits hold, of largest products, or of digits in base 256 that are all -128."""
    k = (1 << 17) + 64
    magnitudes = np.abs(integers(name))
    largest = int(magnitudes.max())
    if which == "least digit":  # 128 is -128 and 1 * 256
        largest = min(128, 1 << largest.bit_length() - 1)
    up = 7 - (largest.bit_length() - 1) if which == "least digit" else 0
    code = int(np.flatnonzero(magnitudes == largest)[-1])
    codes, scales = np.full((2, k), code), np.full((2, k // 32), 127)
    codes[1, -1] = int(np.flatnonzero(magnitudes == 1)[0])
    scales[:, -1] -= up  # all others are that much above it
    a = array_of(codes, scales, name, 1)
    b = array_of(codes.T, scales.T, name, 0)
    assert_exact(a, b, dtypes=["float32", "float64"], roundings=["nearest-even", "toward-zero"])


@pytest.mark.parametrize("name", FLOATS)
def test_each_type_of_addend(name):
    dtype, storage, exponent_bits, mantissa_bits = FLOATS[name]
    rng = np.random.default_rng(mantissa_bits)
    a, b = random_operands(rng, ("mxfp8_e4m3", "mxfp4"), (24, 96, 31), spread=6)
    exact = Exact(a, b)
    every = rng.integers(0, 1 << 8 * dtype.itemsize, exact.shape, storage, endpoint=False)
    near = -exact.array(name)  # cancels all but what this type could not hold
    infinity = ((1 << exponent_bits) - 1) << mantissa_bits
    rare = np.array([0, 1, infinity - 1, infinity, infinity + 1], storage)
    signed = np.concatenate([rare, rare | storage.type(1 << (8 * dtype.itemsize - 1))])
    for c in (every.view(dtype), near, rng.choice(signed, exact.shape).view(dtype)):
        assert_exact(a, b, c, roundings=["nearest-even", "down"])
    assert_exact(a, b, near[:1], dtypes=["float32"], roundings=["nearest-even"])  # broadcast
    assert_exact(a, b, near[0, 0], dtypes=["float32"], roundings=["nearest-even"])


def test_an_addend_alone_is_rounded_once():
    """Without a product, the result is the addend, and a zero is +0."""
    a = array_of(np.zeros((2, 0)), np.zeros((2, 0)), "mxfp4", 1)
    b = array_of(np.zeros((0, 3)), np.zeros((0, 3)), "mxfp4", 0)
    c = np.array([[-0.0, 1 + 2.0**-24, 2.0**-1074], [-(2.0**-150), np.inf, np.nan]])
    assert_exact(a, b, c)
    assert not np.signbit(mxref.matmul(a, b, c))[0, 0]
    assert mxref.matmul(a, b).tobytes() == bytes(24)


@pytest.mark.parametrize("shape", [(0, 5, 3), (3, 5, 0), (3, 0, 4), (0, 0, 0)], ids=str)
def test_an_empty_operand(shape):
    a, b = random_operands(np.random.default_rng(0), ("mxfp4", "mxint8"), shape)
    for c in (None, np.full((shape[0], shape[2]), -1.5, np.float16)):
        assert_exact(a, b, c, roundings=["nearest-even"])


def test_zeros_are_positive_and_what_underflows_keeps_its_sign():
    codes = np.array([[0x2, 0xA], [0x8, 0x8], [0x9, 0x0]])
    a = array_of(codes, [[127], [127], [0]], "mxfp4", 1)
    b = array_of([[0x2], [0x2]], [[0]], "mxfp4", 0)
    found = mxref.matmul(a, b)[:, 0]
    assert found.tolist() == [0.0, 0.0, 0.0]
    assert np.signbit(found).tolist() == [False, False, True]  # -2^-255 is not zero
    assert_exact(a, b)


@pytest.mark.slow
def test_a_million_random_dots():
    """Against the integers, with everything that can vary varied from pair to pair."""
    rng = np.random.default_rng(2026)
    dtypes, seen = list(FLOATS), 0
    for i, pair in enumerate(PAIRS):
        block = BLOCKS[i % len(BLOCKS)]
        k = (96, 32, 100, 64, 160, 7)[i % 6]
        spread, middle = ((2, 127), (12, 127), (0, 130), (40, 90), (127, 127))[i // 3 % 5]
        a, b = random_operands(rng, pair, (168, k, 168), block, spread=spread, middle=middle)
        dtype, rounding = dtypes[i // 2 % 4], ROUNDINGS[i % len(ROUNDINGS)]
        c = None if i % 3 else rng.standard_normal((168, 168)).astype(FLOATS[dtypes[i % 4]][0])
        seen += assert_exact(a, b, c, [dtype], [rounding]).values.size
    assert seen >= 10**6
