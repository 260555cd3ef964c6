"""The exact dot product: by hand, with special values, and against plain arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref.exact import block, element, ieee
from mxref.exact.dot import dot, dot_general
from mxref.exact.number import Number, NumberClass
from mxref.formats import BLOCK_FORMATS, block_format, pow2

FP4 = (0, Fraction(1, 2), 1, Fraction(3, 2), 2, 3, 4, 6)
PLUS_ZERO, NAN = Number.zero(0), Number.nan(0)


def test_mxfp4_by_hand():
    # X_A = 4, X_B = 1/2; 6 * 1.5 - 0.5 * 4 + 3 * -6 + 2 * 0 = -11; times 2.
    a, b = (0x7, 0x9, 0x5, 0x4), (0x3, 0x6, 0xF, 0x0)
    got = dot(129, a, "mxfp4/4", 126, b, "mxfp4/4")
    assert got == Number.finite(-22)


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=32))
def test_mxfp4_against_the_table(pairs):
    a, b = zip(*pairs, strict=True)
    value = sum((-1) ** (x // 8 + y // 8) * FP4[x % 8] * FP4[y % 8] for x, y in pairs)
    assert dot(127, a, "mxfp4", 127, b, "mxfp4").value == value


@given(st.data())
def test_any_two_formats_against_the_decoded_values(data):
    names = st.sampled_from(list(BLOCK_FORMATS))
    operands = []
    for name in (data.draw(names), data.draw(names)):
        fmt = block_format(name, 8)
        code = st.integers(0, fmt.element.code_count - 1)
        finite = code.filter(
            lambda c, e=fmt.element: (
                element.decode(c, e).cls in (NumberClass.ZERO, NumberClass.FINITE)
            )
        )
        codes = data.draw(st.lists(finite, min_size=8, max_size=8))
        operands.append((data.draw(st.integers(0, 254)), codes, fmt))
    (xa, pa, fa), (xb, pb, fb) = operands
    values = zip(block.dequantize(xa, pa, fa), block.dequantize(xb, pb, fb), strict=True)
    assert dot(xa, pa, fa, xb, pb, fb).value == sum(a.value * b.value for a, b in values)


def test_float64_agrees_where_it_is_exact():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 16, (2, 32))
    table = np.array([float(v) for v in FP4] + [-float(v) for v in FP4])
    expected = float(table[a] @ table[b])  # integers below 2^53, times 1/4
    assert dot(127, a.tolist(), "mxfp4", 127, b.tolist(), "mxfp4").value == Fraction(expected)


def test_scales_of_the_largest_exponents():
    one = (0x2,)
    for xa, xb, exponent in ((254, 254, 254), (0, 0, -254), (254, 0, 0)):
        assert dot(xa, one, "mxfp4", xb, one, "mxfp4").value == pow2(exponent)
    beyond = dot(254, one, "mxfp4", 254, one, "mxfp4")
    assert ieee.to_bits(beyond, "float32") == 0x7F800000
    below = dot(0, one, "mxfp4", 0, (0xA,), "mxfp4")
    assert ieee.to_bits(below, "float32") == 0x80000000


def test_mixed_formats():
    # E4M3 448 and E2M1 -6; INT8 -2 and E5M2 2^-16.
    assert dot(127, (0x7E,), "mxfp8_e4m3", 127, (0xF,), "mxfp4").value == -448 * 6
    assert dot(127, (0x80,), "mxint8", 127, (0x01,), "mxfp8_e5m2").value == Fraction(-1, 2**15)


# --- special values --------------------------------------------------------------------------

INF, MINUS_INF, E5M2_NAN, ZERO, ONE = 0x7C, 0xFC, 0x7D, 0x00, 0x3C


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((INF, ONE), (ONE, ONE), Number.inf(0)),
        ((INF, ONE), (0xBC, ONE), Number.inf(1)),
        ((INF, INF), (ONE, ONE), Number.inf(0)),
        ((INF, MINUS_INF), (ONE, ONE), NAN),
        ((INF, INF), (ONE, 0xBC), NAN),
        ((INF, ONE), (ZERO, ONE), NAN),
        ((INF, ONE), (MINUS_INF, ONE), Number.inf(1)),
        ((E5M2_NAN, ONE), (ZERO, ONE), NAN),
        ((0xFE, ONE), (ONE, ONE), NAN),
    ],
)
def test_infinities_and_nans(a, b, expected):
    fmt = "mxfp8_e5m2"
    for scales in ((127, 127), (0, 254), (254, 254)):
        assert dot(scales[0], a, fmt, scales[1], b, fmt) == expected
        assert dot(scales[1], b, fmt, scales[0], a, fmt) == expected


@pytest.mark.parametrize("codes", [(0, 0), (2, 5)])
def test_a_nan_scale_beats_zeros(codes):
    assert dot(0xFF, codes, "mxfp4", 127, (0, 0), "mxfp4") == NAN
    assert dot(127, (0, 0), "mxfp4", 0xFF, codes, "mxfp4") == NAN
    assert dot(0xFF, codes, "mxfp4", 0xFF, codes, "mxfp4") == NAN


@pytest.mark.parametrize(
    ("a", "b"), [((0, 0), (2, 2)), ((0x8, 0x8), (2, 2)), ((2, 0xA), (3, 3)), ((), ())]
)
def test_a_sum_of_zero_is_plus_zero(a, b):
    assert dot(127, a, "mxfp4", 127, b, "mxfp4") == PLUS_ZERO


# --- vectors of blocks -----------------------------------------------------------------------


def test_sum_over_blocks_is_exact():
    # 2^100 + 2^-100 - 2^100: any float sum in order would lose the middle one.
    one = (0x2,)
    a = [(227, one), (27, one), (227, (0xA,))]
    b = [(127, one)] * 3
    assert dot_general(a, "mxfp4", b, "mxfp4").value == pow2(-100)
    assert dot_general([], "mxfp4", [], "mxfp4") == PLUS_ZERO


def test_special_values_across_blocks():
    fmt = "mxfp8_e5m2"
    plus, minus, one, nan = (127, (INF,)), (127, (MINUS_INF,)), (127, (ONE,)), (255, (ZERO,))
    assert dot_general([plus, one], fmt, [one, one], fmt) == Number.inf(0)
    assert dot_general([plus, minus], fmt, [one, one], fmt) == NAN
    assert dot_general([nan, plus], fmt, [one, one], fmt) == NAN


# --- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "fmt_a", "b", "fmt_b"),
    [
        ((0, 0), "mxfp4", (0,), "mxfp4"),
        ((0,), "mxfp4", (0,), "mxfp4/16"),
        ((0,) * 3, "mxfp4/2", (0,) * 3, "mxfp4/2"),
    ],
)
def test_operands_that_do_not_fit(a, fmt_a, b, fmt_b):
    with pytest.raises(ValueError, match="two blocks of one size"):
        dot(127, a, fmt_a, 127, b, fmt_b)


def test_vectors_that_do_not_fit():
    with pytest.raises(ValueError, match="as many blocks, got 1 and 0"):
        dot_general([(127, (0,))], "mxfp4", [], "mxfp4")
