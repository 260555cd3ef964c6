"""Machines and orders with NVFP4 and BDR operands, against fractions and float32 by hand."""

from fractions import Fraction
from math import floor, frexp

import numpy as np
import pytest
from relatives_oracle import E2M1, values_of
from test_relatives_exact import bdr_of, nvfp4_of

import mxref
from mxref.nvfp4 import NVFP4Array

NAME = "nv-blackwell-mxf4nvf4"


def parts(code):
    """Significand and exponent of a scale, as stored."""
    exponent, mantissa = divmod(code & 0x7F, 8)
    if code & 0x7F == 0:
        return Fraction(0), -126
    return (Fraction(8 + mantissa, 8), exponent - 7) if exponent else (Fraction(mantissa, 8), -6)


def element(code):
    return -E2M1[code & 7] if code & 8 else E2M1[code & 7]


def toward_zero(x):
    return floor(x) if x >= 0 else -floor(-x)


def to_float32(x):
    """Cut off to float32; +0 for zero."""
    if not x:
        return np.float32(0)
    exponent = max(frexp(float(abs(x)))[1] - 1, -126)
    if Fraction(2) ** exponent > abs(x):
        exponent -= exponent > -126
    unit = Fraction(2) ** (exponent - 23)
    return np.float32(float(toward_zero(x / unit) * unit))


def instruction(a, a_scales, b, b_scales, c):
    """One dot product, K in steps of 64, from its description."""
    running = np.float32(c)
    for start in range(0, len(a), 64):
        value = Fraction(float(running))
        terms = [(value, max(frexp(float(running))[1] - 1, -126))] if running else []
        for first in range(start, min(start + 64, len(a)), 16):
            (s, e), (t, f) = parts(a_scales[first // 16]), parts(b_scales[first // 16])
            here = range(first, min(first + 16, len(a)))
            total = sum((element(a[k]) * element(b[k]) for k in here), Fraction(0))
            terms.append((total * s * t * Fraction(2) ** (e + f), e + f))
        unit = Fraction(2) ** (max(-126, *(e for _, e in terms)) - 35)
        running = to_float32(sum(toward_zero(v / unit) for v, _ in terms) * unit)
    return running


@pytest.mark.parametrize("k", [16, 48, 64, 80, 192])
@pytest.mark.parametrize("scales", [(0x00, 0x7E), (0x00, 0x0F), (0x30, 0x40)])
@pytest.mark.parametrize("spread", [0, 20, 60])
def test_the_instruction_is_its_description(k, scales, spread):
    rng = np.random.default_rng(k + spread)
    a, b = nvfp4_of(rng, (4, k), 1, 1.0, scales), nvfp4_of(rng, (k, 3), 0, 1.0, scales)
    c = np.ldexp(rng.normal(size=(4, 3)), rng.integers(-spread, spread + 1, (4, 3)))
    c = c.astype(np.float32)
    got = mxref.matmul(a, b, c, NAME)
    rows, columns = (a.codes.tolist(), a.scales.tolist()), (b.codes.T.tolist(), b.scales.T.tolist())
    want = [
        [
            instruction(rows[0][i], rows[1][i], columns[0][j], columns[1][j], c[i, j])
            for j in range(3)
        ]
        for i in range(4)
    ]
    assert (got.view(np.uint32) == np.array(want, np.float32).view(np.uint32)).all()


def single(a_codes, a_scales, b_codes, b_scales, c=0.0, name=NAME, g=1.0):
    a = NVFP4Array(np.array([a_codes], "u1"), np.array([a_scales], "u1"), np.float32(g), 1)
    b = NVFP4Array(np.array([b_codes], "u1").T, np.array([b_scales], "u1").T, 1.0, 0)
    return mxref.matmul(a, b, np.float32(c), name)[0, 0]


def test_a_scale_of_zero_has_an_exponent_and_the_sign_bit_of_a_scale_none():
    ones = [0x2] * 16
    assert single(ones, [0x00], ones, [0x7E], 3.0) == 3
    assert single(ones, [0xB8], ones, [0x38]) == 16


def test_any_nan_gives_the_nan_of_the_hardware():
    ones = [0x2] * 32
    for scales, c in (([0x38, 0x7F], 0), ([0xFF, 0x38], 0), ([0x38, 0x38], np.nan)):
        assert single(ones, scales, ones, [0x38, 0x38], c).view(np.uint32) == 0x7FFFFFFF
    assert single(ones, [0x38, 0x38], ones, [0x38, 0x38], np.inf) == np.inf


def test_cut_off_35_bits_below_the_largest_exponent():
    # 448 * 448 has the exponent 16, so that 2^-19 is the last place. What cancels is 448 * 448; of
    # 2^-9 * 2^-9 a quarter is lost and a half is kept.
    a, b = [0x0] * 64, [0x0] * 64
    a[0], b[0], a[16], b[16] = 0x2, 0x2, 0xA, 0x2
    a[32], b[32] = 0x1, 0x1
    scales = [0x7E, 0x7E, 0x01, 0x01]
    assert single(a, scales, b, scales) == 0
    b[32] = 0x2
    assert single(a, scales, b, scales) == 2.0**-19


def test_global_scales_come_behind():
    rng = np.random.default_rng(1)
    a, b = nvfp4_of(rng, (5, 128), 1, 0.3, (0x30, 0x48)), nvfp4_of(rng, (128, 6), 0, 1.7)
    c = rng.normal(size=(5, 6)).astype(np.float32)
    one = [NVFP4Array(q.codes, q.scales, 1.0, q.axis) for q in (a, b)]
    sums, alpha = mxref.matmul(*one, accumulate=NAME), np.float32(0.3) * np.float32(1.7)
    assert (mxref.matmul(a, b, accumulate=NAME) == sums * alpha).all()
    assert (mxref.matmul(a, b, c, f"{NAME}-alpha-add") == sums * alpha + c).all()
    fused = mxref.matmul(a, b, c, f"{NAME}-alpha-fma")
    exact = sums.astype(np.longdouble) * alpha + c  # 48 bits and an addend near them: 64 hold it
    assert (fused == exact.astype(np.float32)).all()
    with pytest.raises(ValueError, match="alpha-add"):
        mxref.matmul(a, b, c, NAME)


ORDERS = ("float32-sequential", "float32-pairwise", "float32-fma-sequential", "float32-lanes-8")


@pytest.mark.parametrize("name", ORDERS)
def test_orders_of_dequantised_operands(name):
    rng = np.random.default_rng(2)
    for a, b in (
        (nvfp4_of(rng, (3, 64), 1, 1.0, (0x30, 0x48)), nvfp4_of(rng, (64, 4), 0, 1.0)),
        (bdr_of(rng, "mx6", (3, 64), 1), bdr_of(rng, "scaled_int8:k1=16", (64, 4), 0)),
    ):
        x, y = a.dequantize(), b.dequantize()
        want = np.zeros((3, 4), np.float32)
        if name == "float32-sequential":
            for k in range(64):
                want += x[:, k, None] * y[k]
            assert (mxref.matmul(a, b, accumulate=name) == want).all()
        exact = mxref.matmul(a, b, dtype=np.float64)
        size = np.abs(x).astype(np.float64) @ np.abs(y)
        assert (np.abs(mxref.matmul(a, b, accumulate=name) - exact) <= size * 2.0**-18).all()


@pytest.mark.parametrize("kind", ["nvfp4", "mx9", "mx6", "mx4", "msfp12"])
def test_exact_blocks_summed_in_float32(kind):
    rng = np.random.default_rng(3)
    shapes = ((3, 64), 1), ((64, 4), 0)
    a, b = (
        nvfp4_of(rng, *shape) if kind == "nvfp4" else bdr_of(rng, kind, *shape, 20)
        for shape in shapes
    )
    x, y = values_of(a), values_of(b)
    want = np.zeros((3, 4), np.float32)
    for start in range(0, 64, 16):
        for i in range(3):
            for j in range(4):
                here = slice(start, start + 16)
                block = sum(p * q for p, q in zip(x[i][here], y[j][here], strict=True))
                want[i, j] += np.float32(float(block))
    assert (mxref.matmul(a, b, accumulate="ocp-fp32") == want).all()
    if kind == "nvfp4":
        scaled = NVFP4Array(a.codes, a.scales, np.float32(0.3), 1)
        c = rng.normal(size=(3, 4)).astype(np.float32)
        got = mxref.matmul(scaled, b, c, "ocp-fp32")
        assert (got == want * np.float32(0.3) + c).all()


REFUSED = {
    "a hardware of MX": ("nv-hopper-fp8", "nvfp4", "nvfp4", "it takes MX operands"),
    "BDR to NVFP4's": (NAME, "mx9", "nvfp4", "and a is mx9"),
    "each product": ("float32-sequential-scaled-products", "nvfp4", "nvfp4", "powers of two"),
    "float32 scales": ("ocp-fp32", "scaled_int8:k1=16", "nvfp4", "float32 numbers"),
    "two sizes": ("ocp-fp32", "mx9:k1=32", "nvfp4", "blocks of 32 and b of 16"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_to_do(case):
    name, left, right, text = REFUSED[case]
    rng = np.random.default_rng(4)
    a, b = (
        nvfp4_of(rng, *shape) if kind == "nvfp4" else bdr_of(rng, kind, *shape)
        for kind, shape in ((left, ((2, 32), 1)), (right, ((32, 2), 0)))
    )
    with pytest.raises(ValueError, match=text):
        mxref.matmul(a, b, accumulate=name)


def test_mx_operands_are_sent_to_their_own_instruction():
    x = np.ones((2, 32), np.float32)
    a, b = mxref.quantize(x, "mxfp4"), mxref.quantize(x.T, "mxfp4", 0)
    with pytest.raises(ValueError, match="'nv-blackwell-mxf4' is the"):
        mxref.matmul(a, b, accumulate=NAME)
