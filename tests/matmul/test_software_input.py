"""Models of whole programs: what they refuse, any shape, and what no recording reaches."""

from fractions import Fraction

import numpy as np
import pytest
from recordings import stimuli

import mxref
from mxref.formats import block_format
from mxref.matmul import Operands, accumulators, software
from mxref.matmul import _software_sums as sums


def _array(rows, k, fmt="mxfp8_e4m3", axis=1, code=0x38, scale=127, block=None):
    block = block or 32
    codes, scales = (
        np.full((rows, k), code, np.uint8),
        np.full((rows, -(-k // block)), scale, np.uint8),
    )
    if axis == 0:
        codes, scales = codes.T, scales.T
    return mxref.MXArray(codes, scales, fmt, axis=axis, block_size=block)


@pytest.mark.parametrize("name", [one.name for one in software.ACCUMULATORS])
def test_every_model_sums_ones(name):
    block = 128 if "128" in name else 32
    a, b = (_array(n, 256, axis=axis, block=block) for n, axis in ((3, 1), (5, 0)))
    result = mxref.matmul(a, b, accumulate=name)
    assert result.shape == (3, 5)
    assert str(result.dtype) == accumulators()[name].dtype
    assert (result.astype(float) == 256).all()


@pytest.mark.parametrize("name", [one.name for one in software.ACCUMULATORS])
@pytest.mark.parametrize("shape", [(0, 32, 2), (2, 0, 3), (2, 32, 0), (3, 40, 2)])
def test_every_model_takes_any_shape(name, shape):
    m, k, n = shape
    block = 128 if "128" in name else 32
    a, b = _array(m, k, block=block), _array(n, k, axis=0, block=block)
    result = mxref.matmul(a, b, accumulate=name)
    assert result.shape == (m, n)
    assert (result.astype(float) == k).all()
    assert not np.signbit(result.astype(float)).any()


@pytest.mark.parametrize("name", [one.name for one in software.ACCUMULATORS])
def test_paired_rows_are_the_diagonal(name):
    fmt = block_format("mxfp8_e4m3", 128 if "128x" in name or "x128" in name else 32)
    codes, _ = stimuli.operand("e4m3", 12, 256, 7)
    scales = np.full((12, 256 // fmt.block_size), 127, np.uint8)
    model = accumulators()[name]
    whole = model.run(Operands(codes, scales, codes[::-1], scales, fmt, fmt))
    pairs = model.run(Operands(codes, scales, codes[::-1], scales, fmt, fmt, is_paired=True))
    assert np.array_equal(np.diagonal(whole).astype(float), pairs.astype(float))


def _refusal(name, a, b, c=None):
    fmt = (a.format, b.format)
    return accumulators()[name].refuses(Operands(a.codes, a.scales, b.codes, b.scales, *fmt, c))


@pytest.mark.parametrize(
    ("name", "a", "b", "c", "words"),
    [
        (
            "torch-scaled-mm-hopper",
            {"fmt": "mxfp4", "code": 1},
            {},
            None,
            "takes E4M3 and E5M2, and a is mxfp4",
        ),
        (
            "torch-scaled-mm-hopper",
            {"fmt": "mxfp8_e5m2"},
            {"fmt": "mxfp8_e5m2"},
            None,
            "no two E5M2",
        ),
        (
            "torch-scaled-mm-hopper",
            {},
            {},
            np.ones((4, 4), np.float32),
            "no bias where the output is float32",
        ),
        (
            "torch-scaled-mm-hopper-bf16",
            {},
            {},
            np.arange(16.0).reshape(4, 4),
            "one number for each column",
        ),
        (
            "torch-scaled-mm-hopper-bf16",
            {},
            {},
            np.full((4, 4), 1.001),
            "expected c to hold bfloat16",
        ),
        ("torch-scaled-mm-hopper-128x128", {}, {}, np.ones((4, 4)), "takes no addend"),
        ("triton-dot-fp8-hopper", {"scale": 128}, {}, None, "takes no block scales"),
        (
            "triton-dot-scaled-hopper",
            {"fmt": "mxint8"},
            {},
            None,
            "takes E4M3, E5M2 and E2M1, and a is mxint8",
        ),
        ("triton-dot-scaled-hopper", {"block": 64}, {"block": 64}, None, "takes blocks of 32"),
        ("torch-mm-fp32-hopper", {}, {}, np.ones((4, 4)), "takes no addend"),
        ("torch-mm-fp16-hopper", {"scale": 250}, {}, None, "float16"),
    ],
)
def test_refusals_say_what_is_wrong(name, a, b, c, words):
    assert words in _refusal(name, _array(4, 64, **a), _array(4, 64, **b), c)


def test_scales_that_differ_along_k_are_refused():
    a = _array(4, 128)
    a.scales[2, 1] = 130
    assert "row 2 has several: 127, 130" in _refusal("torch-scaled-mm-hopper", a, _array(4, 128))
    assert "column 2" in _refusal("torch-scaled-mm-hopper", _array(4, 128), a)
    assert "blocks of 128" in _refusal("torch-scaled-mm-hopper-1x128", a, _array(4, 128))
    rows = _array(200, 128, block=128)
    rows.scales[130, 0] = 126
    assert "those of both operands differ" in _refusal("torch-scaled-mm-hopper-128x128", rows, rows)
    assert _refusal("torch-scaled-mm-hopper-128x128", rows, _array(4, 128, block=128)) == ""
    assert _refusal("torch-scaled-mm-hopper-1x128", rows, rows) == ""


def test_scales_of_rows_multiply_the_result():
    a, b = _array(3, 64), _array(2, 64)
    a.scales[:] = np.array([[127], [130], [0]])
    b.scales[:] = np.array([[126], [200]])
    fmt = (a.format, b.format)
    o = Operands(a.codes, a.scales, b.codes, b.scales, *fmt)
    result = software.torch_scaled_mm().run(o)
    exact = 64 * 2.0 ** (a.scales[:, :1] - 127.0) * 2.0 ** (b.scales[:, 0] - 127.0)
    assert np.array_equal(result.astype(float), exact)
    a.scales[1] = 255
    assert np.isnan(software.torch_scaled_mm().run(o)[1]).all()


def test_a_sum_that_overflows_before_the_second_factor():
    a, b = _array(2, 128), _array(2, 128)
    a.scales[:], b.scales[:] = [[20], [21]], [[254], [250]]  # 2^7 * 2^127 is infinite
    o = Operands(a.codes, a.scales, b.codes, b.scales, a.format, b.format)
    assert software.torch_scaled_mm().run(o)[0, 0] == np.inf
    a.scales[:], b.scales[:] = 20, 254  # one factor for each tensor: their product is 2^20
    assert software.torch_scaled_mm().run(o)[0, 0] == 2.0**27


@pytest.mark.parametrize("splits", [1, 2, 3, 7])
def test_split_k_adds_the_parts_in_order(splits):
    codes, scales = stimuli.operand("e4m3", 6, 1000, 5)
    fmt = block_format("mxfp8_e4m3")
    o = Operands(codes, scales, codes, scales, fmt, fmt)
    part = {1: 1024, 2: 512, 3: 384, 7: 256}[splits]  # a multiple of 128
    expected = np.zeros((6, 6), np.float32)
    for start in range(0, 1000, part):
        at, blocks = slice(start, start + part), slice(start // 32, (start + part) // 32)
        cut = Operands(codes[:, at], scales[:, blocks], codes[:, at], scales[:, blocks], fmt, fmt)
        expected = expected + software.torch_scaled_mm(fast=True).run(cut)
    model = software.torch_scaled_mm(fast=True, splits=splits)
    assert np.array_equal(model.run(o), expected)
    assert model.name.endswith(f"-split-{splits}") == (splits > 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: software.torch_scaled_mm(output="float64"),
        lambda: software.torch_scaled_mm(splits=0),
        lambda: software.torch_scaled_mm_blocks(shape="128"),
        lambda: software.torch_mm("fp8"),
        lambda: software.torch_mm("bf16", output="float16"),
        lambda: software.triton_dot("fp8", imprecise=48),
        lambda: software.triton_dot("bf16", imprecise=32),
        lambda: software.triton_dot("bf16", output="float16"),
        lambda: software.triton_dot_scaled(instruction="imma"),
    ],
)
def test_arguments_are_checked(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_fused_multiply_add_rounds_once():
    words = stimuli.random_words(9, 3, 4000)
    exponent = np.uint64(100) + (words >> np.uint64(40)) % np.uint64(50)
    bits = exponent << np.uint64(23) | words & np.uint64(0x807FFFFF)
    x, y, z = bits.astype(np.uint32).view(np.float32)
    found = sums.fused_multiply_add(x, y, z)
    for a, b, c, d in zip(x[:500], y[:500], z[:500], found[:500], strict=True):
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        below, above = (np.nextafter(d, np.float32(end)) for end in (-np.inf, np.inf))
        error = abs(exact - Fraction(float(d)))
        assert error <= min(abs(exact - Fraction(float(n))) for n in (below, above))
    assert sums.fused_multiply_add(x[:1], y[:1], -x[:1] * 0)[0] == x[0] * y[0]
