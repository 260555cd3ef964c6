"""A check of a matrix product names each planted mistake, given its data or driven."""

import ml_dtypes
import numpy as np
import products
import pytest

import mxref
from mxref import check

PAIRS = (("mxfp8_e4m3", "mxfp8_e4m3"), ("mxfp4", "mxfp4"), ("mxint8", "mxfp6_e3m2"))


def judged(given, d, **options):
    a = mxref.MXArray(given.a, given.sa, given.formats[0], axis=1)
    b = mxref.MXArray(given.b, given.sb, given.formats[1], axis=0)
    return check.matmul(a, b, d, c=given.c, **options)


def shape_for(name):
    if name in products.RAGGED:
        return 40, 56, 136
    if name == "codes_of_b_transposed":
        return 48, 128, 128
    return (64, 64, 256) if name in products.SQUARE else (48, 80, 256)


@pytest.mark.parametrize("pair", PAIRS[::2], ids="-".join)
@pytest.mark.parametrize("name", products.PLANTS)
def test_each_is_named(name, pair):
    given = products.operands(pair, shape_for(name), addend=name in products.WITH_ADDEND)
    report = judged(given, getattr(products, name)(given))
    assert report.verdict == "defect", str(report)
    assert (report.findings[0].id, report.findings[0].residual) == (products.PLANTS[name], 0), (
        report
    )
    assert report.findings[0].witness is not None


@pytest.mark.parametrize(
    "name", ["addend_twice", "tiles_exchanged", "scales_of_the_block_before", "split_lost"]
)
@pytest.mark.parametrize("output", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_in_other_output_types(name, output):
    given = products.operands(PAIRS[0], shape_for(name), spread=2, addend=True)
    given.sa -= 8  # sums fit float16
    with np.errstate(over="ignore"):
        d = getattr(products, name)(given).astype(output)
    report = judged(given, d)
    assert report.verdict == "defect", str(report)
    assert report.findings[0].id == products.PLANTS[name], report


@pytest.mark.parametrize("name", ["no_scales", "scales_of_a_one_block_off", "tile_never_written"])
def test_in_a_large_product(name):
    """2^24 products: judged by a float64 product with its error, not one by one."""
    given = products.operands(PAIRS[0], (256, 256, 256), seed=3)
    report = judged(given, getattr(products, name)(given))
    assert (report.verdict, report.findings[0].id) == ("defect", products.PLANTS[name]), report
    assert report.findings[0].residual == 0


def kernel(name, pair):
    """The planted product as a function that is driven."""
    plant = getattr(products, name)

    def fn(codes_a, scales_a, codes_b, scales_b):
        return plant(products.Given(codes_a, scales_a, codes_b, scales_b, pair))

    return fn


DRIVEN = {
    name
    for name in products.PLANTS
    if name not in products.WITH_ADDEND | {"codes_of_b_transposed", "scales_exchanged"}
}


@pytest.mark.parametrize("name", sorted(DRIVEN - {"result_transposed", "tiles_exchanged"}))
def test_each_is_named_when_driven(name):
    pair = ("mxfp8_e4m3", "mxfp4")
    report = check.kernel(kernel(name, pair), "-".join(pair), "matmul")
    assert not report.ok, str(report)
    expected = products.PLANTS[name]
    assert report.verdict == "defect", str(report)
    assert report.findings[0].id == expected, str(report)


def test_a_transposed_result_is_miswired():
    pair = PAIRS[1]
    report = check.kernel(kernel("result_transposed", pair), "mxfp4", "matmul")
    assert report.trouble.kind == "mis-wired"
    assert "transposed" in report.trouble.text


class Workspace:
    """A kernel that keeps its output, and writes only part of it on the second call."""

    def __init__(self, how):
        self.how, self.kept = how, {}

    def __call__(self, codes_a, scales_a, codes_b, scales_b):
        d = products.right(products.Given(codes_a, scales_a, codes_b, scales_b, PAIRS[1]))
        old = self.kept.get(d.shape)
        if old is not None and not np.array_equal(old[1], codes_a):
            if self.how == "stale":
                d[16:32, :16] = old[0][16:32, :16]
            else:
                d = d + old[0]
        self.kept[d.shape] = d.copy(), codes_a.copy()
        return d


@pytest.mark.parametrize("how", ["stale", "added"])
def test_what_the_call_before_left_is_named(how):
    report = check.kernel(Workspace(how), "mxfp4", "matmul")
    assert (report.verdict, report.findings[0].id) == ("defect", "G13"), str(report)
    assert "the call before" in report.findings[0].detail


def test_poison_of_another_call_shows():
    """A workspace in whole tiles that is not cleared: NaN of the call before is read."""
    space = np.zeros((256, 4096))

    def fn(codes_a, scales_a, codes_b, scales_b):
        g = products.Given(codes_a, scales_a, codes_b, scales_b, PAIRS[1])
        (m, k), whole = g.a.shape, -(-g.k // 64) * 64
        space[:m, :k] = g.left()
        y = np.zeros((whole, g.b.shape[1]))
        y[:k] = g.right()
        with np.errstate(all="ignore"):
            return (space[:m, :whole] @ y).astype(np.float32)

    report = check.kernel(fn, "mxfp4", "matmul")
    assert not report.ok, str(report)
    assert report.findings, str(report)


def test_edges_of_a_tile():
    def fn(codes_a, scales_a, codes_b, scales_b):
        d = products.right(products.Given(codes_a, scales_a, codes_b, scales_b, PAIRS[1]))
        if len(d) % 128 == 127:
            d[-1] = d[-2]
        return d

    report = check.kernel(fn, "mxfp4", "matmul")
    assert not report.ok, str(report)
    assert any("M = 127" in note for note in report.notes), str(report)
