"""Sums at which fast arithmetic goes wrong: ties, one unit beside them, cancellation, the ends."""

from fractions import Fraction

import numpy as np
import pytest
from gemm_operands import ONES, array_of, planted, random_operands
from gemm_oracle import FLOATS, FORMATS, ROUNDINGS, Exact, integers, rounded, unit

import mxref

PAIRS = [(name, name) for name in FORMATS] + [
    ("mxfp8_e4m3", "mxfp4"),
    ("mxfp8_e5m2", "mxint8"),
    ("mxfp6_e2m3", "mxfp8_e5m2"),
]


def assert_bits(a, b, c=None, dtypes=FLOATS, roundings=ROUNDINGS):
    exact = Exact(a, b, c)
    for dtype in dtypes:
        for rounding in roundings:
            found = mxref.matmul(a, b, c, dtype=FLOATS[dtype][0], rounding=rounding)
            expected = exact.array(dtype, rounding)
            same = found.view(FLOATS[dtype][1]) == expected.view(FLOATS[dtype][1])
            where = np.argwhere(~same)
            assert same.all(), (dtype, rounding, where[0], found[~same][0], expected[~same][0])
    return exact


def beside(rows, pair, columns, rng, block=32):
    """Planted rows among ordinary ones, as both would lie in one tile; rows come first."""
    a, b = planted(rows, pair, columns, rng, block=block)
    k = a.shape[1]
    other_a, other_b = random_operands(rng, pair, (13, k, 6), block)
    return (
        array_of(
            np.concatenate([a.codes, other_a.codes]),
            np.concatenate([a.scales, other_a.scales]),
            pair[0],
            1,
            block,
        ),
        array_of(
            np.concatenate([b.codes, other_b.codes], axis=1),
            np.concatenate([b.scales, other_b.scales], axis=1),
            pair[1],
            0,
            block,
        ),
    )


def terms_of(value, exponent, rng):
    """A number as powers of two with signs; some are split into two halves, or into 2x - x."""
    found = []
    sign = -1 if value < 0 else 1
    for i in range(abs(value).bit_length()):
        if abs(value) >> i & 1:
            kind, e = rng.integers(0, 5), exponent + i
            found += {0: [(sign, e - 1)] * 2, 1: [(sign, e + 1), (-sign, e)]}.get(kind, [(sign, e)])
    return found


def at_a_boundary(dtype, rng, at):
    """A value of the type or a middle of two, or beside it; `at` is where its leading bit is."""
    _, _, exponent_bits, mantissa_bits = FLOATS[dtype]
    least = 2 - (1 << (exponent_bits - 1))
    bits = mantissa_bits + 1 - max(0, least - at)  # fewer among the subnormals
    steps = (
        (1 << max(bits, 1)) - 1 - int(rng.choice([0, 0, rng.integers(0, 1 << max(bits - 1, 0))]))
    )
    middle = int(rng.integers(0, 2))
    quantum = max(at, least) - mantissa_bits
    sign = int(rng.choice([-1, 1]))
    row = terms_of(sign * (2 * steps + middle), quantum - 1, rng)
    far = quantum - 1 - int(rng.integers(1, 90))
    if far >= -245 and rng.integers(0, 3):
        row += terms_of(int(rng.choice([-1, 1])), far, rng)
    return row


# Exponents of the leading bit: ordinary, the least normal and the subnormals, the largest.
PLACES = {
    "float32": (0, 3, -126, -127, -140, -149, 127),
    "bfloat16": (0, 3, -126, -127, -131, -133, 127),
    "float16": (0, 3, -14, -15, -20, -24, 15),
    "float64": (0, 3, 60, -60, 127, -150, 20),
}


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("dtype", FLOATS)
def test_ties_and_one_unit_beside(dtype, pair):
    rng = np.random.default_rng([len(dtype), *map(ord, "".join(pair))])
    for at in PLACES[dtype]:
        rows = [at_a_boundary(dtype, rng, at) for _ in range(8)]
        a, b = beside(rows, pair, (0, 1), rng)
        exact = assert_bits(a, b, dtypes=[dtype])
        value, exponent = exact.terms[0]
        first = sum(sign * Fraction(2) ** e for sign, e in rows[0])
        assert value * Fraction(2) ** exponent == first  # the rows are what they are meant to be


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_what_float64_gets_wrong(pair):
    """1 + 2^-24 + 2^-60 is above a tie by less than float64 can see."""
    rows = [
        [(1, 0), (1, -24), (1, -60)],
        [(1, 0), (1, -24), (-1, -60)],
        [(1, 0), (1, -24)],
        [(1, 0), (1, -23), (1, -24)],
        [(-1, 0), (-1, -24), (-1, -140)],
        [(1, 100), (1, 0), (-1, 100), (1, -24), (1, -120)],  # cancels, and then the same
    ]
    a, b = beside(rows, pair, (0,), np.random.default_rng(1))
    assert_bits(a, b)
    ulp = np.float32(2.0**-23)
    assert mxref.matmul(a, b)[:6, 0].tolist() == [1 + ulp, 1, 1, 1 + 2 * ulp, -1 - ulp, 1 + ulp]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_threshold_of_overflow(dtype, sign):
    """The largest value, half a step above it, one unit beside, and the next power of two."""
    _, _, exponent_bits, mantissa_bits = FLOATS[dtype]
    top = 1 << (exponent_bits - 1)
    half = top - mantissa_bits - 2
    beyond = [
        [(1, top), (-1, half + 1)],
        [(1, top), (-1, half + 1), (1, -60)],
        [(1, top), (-1, half), (-1, -60)],
        [(1, top), (-1, half)],
        [(1, top), (-1, half), (1, -60)],
        [(1, top), (-1, -60)],
        [(1, top)],
        [(1, top + 60)],
    ]
    rows = [[(sign * s, e) for s, e in row] for row in beyond]
    for pair in PAIRS:
        a, b = beside(rows, pair, (0,), np.random.default_rng(2))
        assert_bits(a, b, dtypes=[dtype])
    found = mxref.matmul(a, b, dtype=FLOATS[dtype][0])[:8, 0].astype(np.float64) * sign
    assert np.isinf(found).tolist() == [False] * 3 + [True] * 5


def test_the_threshold_of_overflow_of_float64():
    """Products end far below it; an addend comes close, and 2^970 is half a step."""
    a = array_of([[0x2]], [[127]], "mxfp4", 1)
    b = array_of([[0x2]], [[127]], "mxfp4", 0)
    largest = np.finfo(np.float64).max
    for c in (largest, -largest, 2.0**-1074, -(2.0**-1074), 2.0**53, -(2.0**53), 2.0**60):
        assert_bits(a, b, np.array([[c]]))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_blocks_that_cancel(pair):
    """The second half of K is the first with its signs turned, except for one bit somewhere."""
    rng = np.random.default_rng(list(map(ord, "".join(pair))))
    a, b = random_operands(rng, pair, (40, 512, 24), spread=12)
    values = integers(pair[0])
    opposite = {int(v): code for code, v in enumerate(values.tolist())}
    negated = np.array([opposite.get(-int(v), code) for code, v in enumerate(values.tolist())])
    order = rng.permutation(16)
    codes = negated[a.codes].reshape(40, 16, 32)[:, order].reshape(40, 512)
    at = rng.integers(0, 512, 40)
    codes[np.arange(40), at] ^= 1
    a = array_of(
        np.concatenate([a.codes, codes], axis=1),
        np.concatenate([a.scales, a.scales[:, order]], axis=1),
        pair[0],
        1,
    )
    b = array_of(
        np.concatenate([b.codes, b.codes.reshape(16, 32, 24)[order].reshape(512, 24)]),
        np.concatenate([b.scales, b.scales[order]]),
        pair[1],
        0,
    )
    assert_bits(a, b, roundings=["nearest-even", "toward-zero", "up"])


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_least_product_survives_the_largest(pair):
    """Within one block: max * max + min * min - max * max, in every order."""
    codes = []
    for name in pair:
        values = integers(name)
        codes.append([int(values.argmax()), int(np.flatnonzero(values == 1)[0]), ONES[name]])
    minus = int(np.flatnonzero(integers(pair[0]) == -integers(pair[0]).max())[0])
    large, small = (codes[0][0], codes[1][0]), (codes[0][1], codes[1][1])
    terms = [large, small, (minus, codes[1][0])]
    for order in ((0, 1, 2), (1, 0, 2), (0, 2, 1)):
        block = [terms[i] for i in order]
        a = array_of([[x for x, _ in block]] * 9, [[127]] * 9, pair[0], 1)
        b = array_of([[y] * 9 for _, y in block], [[127] * 9], pair[1], 0)
        assert_bits(a, b, roundings=["nearest-even"])
        assert mxref.matmul(a, b)[0, 0] == 2.0 ** (unit(pair[0]) + unit(pair[1]))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_scale_sums_at_both_ends(pair):
    """Sums of scale exponents from -254 to 254, with blocks of both ends in one dot product."""
    rng = np.random.default_rng(4)
    a, b = random_operands(rng, pair, (20, 128, 20))
    ends = np.array([0, 1, 126, 127, 128, 253, 254])
    a = array_of(a.codes, rng.choice(ends, (20, 4)), pair[0], 1)
    b = array_of(b.codes, rng.choice(ends, (4, 20)), pair[1], 0)
    assert_bits(a, b)
    for low in (0, 254):
        same = (np.full((20, 4), low), np.full((4, 20), low))
        assert_bits(array_of(a.codes, same[0], pair[0], 1), array_of(b.codes, same[1], pair[1], 0))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_results_among_the_subnormals(pair):
    rng = np.random.default_rng(5)
    largest = sum(int(integers(name).max()).bit_length() + unit(name) for name in pair)
    for dtype, at in {"float32": -140, "bfloat16": -130, "float16": -18}.items():
        for spread in (1, 6):
            middle = 127 + (at - largest) // 2
            a, b = random_operands(rng, pair, (24, 96, 24), spread=spread, middle=middle)
            found = assert_bits(a, b, dtypes=[dtype]).array(dtype).astype(np.float64)
            least = 2.0 ** (2 - (1 << (FLOATS[dtype][2] - 1)))
            assert ((np.abs(found) < least) & (found != 0)).any()


def test_an_addend_that_makes_a_tie():
    """The product is a tie's half step, or one unit beside; the addend is what it is added to."""
    for dtype, (numpy_type, _, _, mantissa_bits) in FLOATS.items():
        one = numpy_type.type(1)
        for scale, code in ((127 - mantissa_bits - 1, 0x2), (127 - mantissa_bits - 2, 0x3)):
            a = array_of([[code, 0], [code, 0]], [[max(scale, 0)]] * 2, "mxfp4", 1, 1 << 5)
            b = array_of([[0x2], [0x2]], [[127]], "mxfp4", 0)
            for c in (one, -one, one + np.finfo(np.float32).eps.astype(numpy_type)):
                assert_bits(a, b, np.full((2, 1), c, numpy_type), dtypes=[dtype])


@pytest.mark.parametrize("far", [*range(-88, -121, -4), -140])
@pytest.mark.parametrize("block", [1, 32])
def test_what_two_float64_lose(far, block):
    """A tie, one unit far beside it, and a pair between them that cancels; in many orders.

    While one of the pair is in the sum, float64 and an error term of 53 bits cannot hold the unit.
    Nothing else is in the product, since the bound on its sums is to be as tight as it can be.
    """
    rng = np.random.default_rng(-far)
    for middles in ((-53, -55, -56), (-60,), (20, 40)):
        rows = [
            [(1, 0), (1, -24), (1, middle), (-1, middle), (sign, far)]
            for middle in middles
            for sign in (1, -1)
            for _ in range(16)
        ]
        a, b = planted(rows, ("mxfp4", "mxfp4"), (0,), rng, block=block)
        assert_bits(a, b, dtypes=["float32"], roundings=["nearest-even", "up", "to-odd"])


@pytest.mark.parametrize("dtype", FLOATS)
def test_three_parts_and_an_addend(dtype):
    """Addend, half a step of it, and what lies too far below for two float64 to hold all three.

    A last term spreads the scales so widely that no float64 sum is known to be exact.
    """
    mantissa_bits = FLOATS[dtype][3]
    rng = np.random.default_rng(mantissa_bits)
    for addend in (0, 9, -14) if dtype == "float16" else (0, 60, -14):
        tie = addend - mantissa_bits - 1
        for far in (tie - 40, tie - 60, tie - 100):
            rows = [
                [(1, tie), *sign_of_far, (1, max(-245, tie - 180) + i)]
                for i in range(3)
                for sign_of_far in ([(1, far)], [(-1, far)], [], [(1, far), (-1, far - 20)])
            ]
            rows += [[(-s, e) for s, e in row] for row in rows]
            a, b = beside(rows, ("mxfp4", "mxfp6_e2m3"), (0,), rng)
            for c in (2.0**addend, -(2.0**addend), 2.0**addend * (1 + 2.0**-mantissa_bits)):
                given = np.full((a.shape[0], 1), c).astype(FLOATS[dtype][0])
                assert_bits(a, b, given, dtypes=[dtype, "float64"])


def test_an_addend_alone_against_the_least_product():
    """2^53 ulps below the addend lies a product of 2^-254: only the directed modes see it."""
    a = array_of([[0x1], [0x9]], [[0], [0]], "mxfp4", 1)
    b = array_of([[0x1]], [[0]], "mxfp4", 0)
    c = np.array([[1.0], [1.0]])
    assert_bits(a, b, c)
    assert mxref.matmul(a, b, c, dtype=np.float64, rounding="up")[0, 0] == 1 + 2.0**-52
    assert mxref.matmul(a, b, c, dtype=np.float64, rounding="down")[1, 0] == 1 - 2.0**-53


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_flint_finds_the_same_sums(pair):
    """python-flint's product of matrices of integers, the fastest exact one there was."""
    flint = pytest.importorskip("flint", reason="pip install python-flint")
    rng = np.random.default_rng(6)
    a, b = random_operands(rng, pair, (32, 256, 32), spread=40)
    left = _as_integers(a.codes, np.repeat(a.scales, 32, 1), pair[0])
    right = _as_integers(b.codes, np.repeat(b.scales, 32, 0), pair[1])
    product = flint.fmpz_mat(left) * flint.fmpz_mat(right)
    exponent = unit(pair[0]) + unit(pair[1]) - 2 * 127
    for dtype in FLOATS:
        found = mxref.matmul(a, b, dtype=FLOATS[dtype][0]).view(FLOATS[dtype][1])
        for i, j in np.ndindex(32, 32):
            assert found[i, j] == rounded(int(product[i, j]), exponent, dtype, "nearest-even")


def _as_integers(codes, scales, name):
    values = integers(name)[codes]
    return [
        [int(v) << int(s) for v, s in zip(row, shifts, strict=True)]
        for row, shifts in zip(values, scales, strict=True)
    ]
