"""What trials of products found: claims that cannot apply, small products, unsteady kernels."""

import numpy as np
import pytest

import mxref
from mxref import check
from mxref.check.dot import dot


def product(codes_a, scales_a, codes_b, scales_b):
    a = mxref.MXArray(codes_a, scales_a, "mxfp4", axis=1).dequantize()
    b = mxref.MXArray(codes_b, scales_b, "mxfp4", axis=0).dequantize()
    with np.errstate(all="ignore"):
        return a @ b


def test_a_claim_that_the_model_refuses_is_no_verdict():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 32, 32)).astype(np.float32)
    a, b = mxref.quantize(x, "mxfp8_e5m2"), mxref.quantize(y, "mxfp8_e5m2", axis=0)
    with pytest.raises(ValueError, match="cannot be applied") as refused:
        mxref.matmul(a, b, accumulate="nv-hopper-fp8")
    d = a.dequantize() @ b.dequantize()
    with pytest.raises(ValueError, match="cannot be applied") as given:
        check.matmul(a, b, d, "nv-hopper-fp8")
    assert str(given.value) == str(refused.value)
    with pytest.raises(ValueError, match="cannot be applied"):
        dot(
            a.codes, a.scales, b.codes.T, b.scales.T, np.diagonal(d), "mxfp8_e5m2",
            accumulate="nv-hopper-fp8",
        )  # fmt: skip


def test_a_claim_that_the_model_takes_is_judged():
    codes = np.full((4, 32), 0x3C, np.uint8)
    scales = np.full((4, 1), 127, np.uint8)
    a = mxref.MXArray(codes, scales, "mxfp8_e5m2", axis=1)
    b = mxref.MXArray(codes.T, scales.T, "mxfp8_e5m2", axis=0)
    d = mxref.matmul(a, b, accumulate="nv-hopper-fp8")
    assert check.matmul(a, b, d, "nv-hopper-fp8").verdict == "conforms"


def test_the_smallest_product_does_not_decide():
    """The last tile of rows is never written: of 1 x 1, that is every result."""

    def fn(*operands):
        d = product(*operands)
        d[len(d) // 16 * 16 :] = 0
        return d

    report = check.kernel(fn, "mxfp4", "matmul")
    assert (report.verdict, report.findings[0].id) == ("defect", "G13"), str(report)


def test_faults_that_contradict_each_other_are_not_named():
    """Three too much in the smallest product, zeros in the largest: no one cause."""

    def fn(*operands):
        d = product(*operands)
        if d.shape == (1, 1):
            return d + np.float32(3)
        if d.shape == (129, 127):
            d[128:] = 0
        return d

    report = check.kernel(fn, "mxfp4", "matmul")
    assert (report.verdict, report.findings) == ("unexplained", ()), str(report)
    assert any("not all others" in note for note in report.notes)


class Counting:
    """A kernel whose results depend on how often it was called."""

    def __init__(self, shown):
        self.calls, self.shown = 0, shown

    def __call__(self, *operands):
        self.calls += 1
        d = product(*operands)
        return d + np.float32(self.calls) if self.shown(d, operands) else d


@pytest.mark.parametrize(
    "shown",
    [lambda *_: True, lambda d, _: len(d) == 127, lambda _, o: o[0].shape[1] == 256],
    ids=["always", "one shape", "designed"],
)
def test_a_kernel_that_counts_is_nondeterministic(shown):
    report = check.kernel(Counting(shown), "mxfp4", "matmul")
    assert report.verdict == "unexplained"
    assert report.trouble.kind == "nondeterministic", str(report)
    assert (report.findings, report.mismatches.total_elements) == ((), 0)


def test_nan_behind_the_end_of_k_is_padding():
    """A workspace in chunks of 64 along K, of which only what is due is overwritten."""
    space = np.zeros((256, 4096), np.float32)

    def fn(codes_a, scales_a, codes_b, scales_b):
        a = mxref.MXArray(codes_a, scales_a, "mxfp4", axis=1).dequantize()
        b = mxref.MXArray(codes_b, scales_b, "mxfp4", axis=0).dequantize()
        (m, k), whole = a.shape, -(-a.shape[1] // 64) * 64
        space[:m, :k] = a
        with np.errstate(all="ignore"):
            return space[:m, :whole] @ np.pad(b, ((0, whole - k), (0, 0)))

    report = check.kernel(fn, "mxfp4", "matmul")
    assert (report.verdict, report.findings[0].id) == ("defect", "G4"), str(report)


def test_nan_of_an_output_that_is_scaled_by_zero():
    """The sum starts from 0 times what the output held."""
    held = np.zeros((256, 256), np.float32)

    def fn(*operands):
        d = product(*operands)
        m, n = d.shape
        with np.errstate(all="ignore"):
            held[:m, :n] = d + np.float32(0) * (held[:m, :n] if d.size == 127 * 129 else 0)
        return held[:m, :n].copy()

    report = check.kernel(fn, "mxfp4", "matmul")
    assert (report.verdict, report.findings[0].id) == ("defect", "G13"), str(report)


def test_a_constant_that_padding_adds_points_to_padding():
    def fn(*operands):
        return product(*operands) + np.float32(operands[0].shape[1] % 32 > 0)

    report = check.kernel(fn, "mxfp4", "matmul")
    assert report.verdict == "unexplained", str(report)
    assert "last block is not full" in report.places[0].what
