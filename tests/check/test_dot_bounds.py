"""A right product in any order of float32 is never called a defect, and the bound is no wider."""

import json
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mxref
from mxref.check import matmul
from mxref.check.dot._outputs import OUTPUTS, preimage, rounded_to
from mxref.cli.main import main

FORMATS = ("mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8")


def operands(fmts, m, n, k, rng, spread):
    made = []
    for fmt, (rows, axis) in zip(fmts, ((m, 1), (n, 0)), strict=True):
        values = rng.standard_normal((rows, k)) * 2.0 ** rng.integers(
            -spread, spread + 1, (rows, k)
        )
        values = (values if axis else values.T).astype(np.float32)
        made.append(mxref.quantize(values, fmt, axis=axis, pad=True))
    return made


def tree_sum(terms, rng, *, toward_zero):
    """Add float32 terms in a random tree; sometimes each sum is rounded toward zero."""
    parts = list(terms)
    while len(parts) > 1:
        i, j = sorted(rng.permutation(len(parts))[:2])
        exact = parts[i].astype(np.float64) + parts[j]
        total = exact.astype(np.float32)
        if toward_zero:
            over = np.abs(total.astype(np.float64)) > np.abs(exact)
            total = np.where(over, np.nextafter(total, np.float32(0)), total)
        parts[i] = total
        del parts[j]
    return parts[0]


def fused_multiply_add(x, y, start):
    """One rounding for a product and a sum: products of MX are exact, so float64 is enough."""
    total = start.astype(np.float32)
    for k in range(x.shape[1]):
        exact = total.astype(np.float64) + x[:, k, None] * y[k]
        total = exact.astype(np.float32)
    return total


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.sampled_from(FORMATS), st.sampled_from(FORMATS)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 2, 8]),
    st.integers(1, 100),
    st.sampled_from(["tree", "zero", "fma", "blas", "blas32", "numpy"]),
    st.booleans(),
)
def test_any_order_is_right(fmts, seed, spread, k, how, with_addend):
    rng = np.random.default_rng(seed)
    a, b = operands(fmts, 6, 5, k, rng, spread)
    x, y = a.dequantize().astype(np.float64), b.dequantize().astype(np.float64)
    c = (rng.standard_normal((6, 5)) * 2.0**spread).astype(np.float32) if with_addend else None
    terms = [(x[:, i, None] * y[i]).astype(np.float32) for i in range(k)]
    terms += [] if c is None else [c]
    rng.shuffle(terms)
    zero = np.zeros((6, 5), np.float32)
    added = zero if c is None else c
    d = {
        "tree": lambda: tree_sum(terms, rng, toward_zero=False),
        "zero": lambda: tree_sum(terms, rng, toward_zero=True),
        "fma": lambda: fused_multiply_add(x, y, added),
        "blas": lambda: x.astype(np.float32) @ y.astype(np.float32) + added,
        "blas32": lambda: (x.astype(np.float32) @ y.astype(np.float32)) + added,
        "numpy": lambda: np.stack(terms).sum(0, dtype=np.float32),
    }[how]()
    report = matmul(a, b, d, c=c)
    assert report.verdict in {"conforms", "conforms-as"}, f"{how}\n{report}"
    assert report.ok
    assert report.distances.worst <= 1


@pytest.mark.parametrize("fmt", FORMATS)
def test_large_products_of_blas_are_right(fmt):
    """Enough products that all are judged by one float64 product with its error."""
    rng = np.random.default_rng(1)
    a, b = operands((fmt, fmt), 192, 192, 160, rng, 2)
    report = matmul(a, b, a.dequantize() @ b.dequantize())
    assert report.ok, str(report)
    assert report.distances.worst <= 1
    assert sum(count for _, count in report.distances.bins) == 192 * 192


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e5m2"])
def test_large_and_small_are_judged_alike(fmt):
    """The exact sums that a float64 product decides are those of integers."""
    rng = np.random.default_rng(2)
    a, b = operands((fmt, fmt), 192, 192, 160, rng, 6)
    x, y = a.dequantize().astype(np.float64), b.dequantize().astype(np.float64)
    d = (x @ y).astype(np.float32)
    for i, j in rng.integers(0, 192, (40, 2)):
        total = sum(
            Fraction(p) * Fraction(q) for p, q in zip(x[i].tolist(), y[:, j].tolist(), strict=True)
        )
        d[i, j] = np.float32(float(total))  # 53 bits are enough: ties are not met here
    assert matmul(a, b, d).verdict == "conforms"
    part = matmul(mxref.MXArray(a.codes[:8], a.scales[:8], fmt, axis=1), b, d[:8])
    assert part.verdict == "conforms"
    d[100, 7] = np.nextafter(d[100, 7], np.float32(np.inf))
    nudged = matmul(a, b, d)
    assert nudged.verdict != "conforms", str(nudged)


def test_an_error_beyond_the_bound_is_wrong():
    rng = np.random.default_rng(3)
    a, b = operands(("mxfp8_e4m3",) * 2, 16, 16, 64, rng, 12)
    x, y = a.dequantize().astype(np.float64), b.dequantize().astype(np.float64)
    d, sizes = x @ y, np.abs(x) @ np.abs(y)
    inside = d.astype(np.float32)
    inside[3, 4] = d[3, 4] + sizes[3, 4] * 2.0**-23 * 40
    assert matmul(a, b, inside).ok
    inside[3, 4] = d[3, 4] + sizes[3, 4] * 2.0**-23 * 100
    report = matmul(a, b, inside)
    assert not report.ok
    assert report.mismatches.elements == 1
    assert 1 < report.distances.worst < 3
    assert any("rows 3 to 3, columns 4 to 4" in place.what for place in report.places)


@pytest.mark.parametrize("output", [np.float16, ml_dtypes.bfloat16, np.float64, np.float32])
def test_output_types_and_addends(output):
    rng = np.random.default_rng(4)
    a, b = operands(("mxfp8_e4m3", "mxfp4"), 24, 16, 96, rng, 0)
    c = rng.standard_normal((24, 16)).astype(np.float32)
    x, y = a.dequantize().astype(np.float64), b.dequantize().astype(np.float64)
    exact = x @ y + c
    if output is ml_dtypes.bfloat16:
        due = rounded_to(np.stack([exact.reshape(-1), 0 * exact.reshape(-1)]), "bfloat16")
        due = due.reshape(exact.shape).astype(output)
    else:
        due = exact.astype(output)
    assert matmul(a, b, due, c=c).verdict == "conforms"
    wide = (x.astype(np.float32) @ y.astype(np.float32)) + c
    report = matmul(a, b, wide.astype(output), c=c)
    assert report.ok, str(report)
    wrong = due.copy()
    wrong[0, 0] = wrong[0, 0] * output(2) + output(1)
    assert not matmul(a, b, wrong, c=c).ok
    dropped = matmul(a, b, (x @ y).astype(output), c=c)
    assert (dropped.verdict, dropped.findings[0].id) == ("defect", "G12"), str(dropped)


@settings(max_examples=200, deadline=None)
@example(value=65504.0, output="float16", mode="nearest")  # the largest one, and infinity behind it
@example(value=-65519.0, output="float16", mode="nearest")
@example(value=65520.0, output="float16", mode="nearest")
@given(
    st.floats(-70000, 70000),
    st.sampled_from(sorted(OUTPUTS)),
    st.sampled_from(["nearest", "toward-zero"]),
)
def test_what_was_rounded_lies_in_its_preimage(value, output, mode):
    values = np.array([value])
    got = OUTPUTS[output].rounded(values, mode)
    if output == "float32":
        return
    for told in (mode, "any"):
        low, high = preimage(got, output, told)
        assert low[0] <= value <= high[0]
    beyond = OUTPUTS[output].rounded(values * 1.5 + 1, mode)
    if abs(beyond[0]) > abs(got[0]) > 0:
        low, high = preimage(beyond, output, mode)
        assert not low[0] <= value <= high[0]


def test_no_bound_where_scales_leave_the_range():
    a = mxref.MXArray(np.full((1, 32), 8, np.uint8), np.full((1, 1), 0, np.uint8), "mxfp8_e4m3", 1)
    b = mxref.MXArray(
        np.full((32, 1), 8, np.uint8), np.full((1, 1), 254, np.uint8), "mxfp8_e4m3", 0
    )
    assert matmul(a, b, np.zeros((1, 1), np.float32)).ok  # flushed on the way


def test_infinite_results_of_narrow_types():
    a = mxref.quantize(np.full((2, 32), 400, np.float32), "mxfp8_e4m3")
    b = mxref.quantize(np.full((32, 2), 400, np.float32), "mxfp8_e4m3", axis=0)
    assert matmul(a, b, np.full((2, 2), np.inf, np.float16)).verdict == "conforms"
    assert not matmul(a, b, np.full((2, 2), np.inf, np.float32)).ok
    assert not matmul(a, b, np.full((2, 2), np.nan, np.float16)).ok


def test_every_form_of_a_report_shows_distances_and_the_tree():
    def product(codes_a, scales_a, codes_b, scales_b):
        left = mxref.MXArray(codes_a, scales_a, "mxfp8_e4m3", axis=1).dequantize()
        return left @ mxref.MXArray(codes_b, scales_b, "mxfp8_e4m3", axis=0).dequantize()

    report = mxref.check.kernel(product, "mxfp8_e4m3", "matmul")
    assert report.ok, str(report)
    assert report.sum_tree
    document = json.loads(report.to_json())
    counted = sum(row["results"] for row in document["distances"]["bins"])
    assert counted == report.mismatches.total_elements
    assert tuple(document["sum_tree"]) == report.sum_tree
    for text in (str(report), report.to_html(), report.to_markdown()):
        assert "Order of the sum" in text
        assert "Errors, as shares of" in text
        assert report.sum_tree[0] in text


def test_an_addend_on_the_command_line(tmp_path):
    rng = np.random.default_rng(5)
    a, b = operands(("mxfp4", "mxfp4"), 4, 3, 64, rng, 1)
    c = rng.integers(-9, 9, (4, 3)).astype(np.float32)
    d = (a.dequantize().astype(float) @ b.dequantize() + c).astype(np.float32)
    command = ["check", "matmul", "--format", "mxfp4"]
    named = {"codes-a": a.codes, "scales-a": a.scales, "codes-b": b.codes, "scales-b": b.scales}
    for name, array in {**named, "output": d, "addend": c}.items():
        np.save(tmp_path / f"{name}.npy", array)
        command += [f"--{name}", str(tmp_path / f"{name}.npy")]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert CliRunner().invoke(main, command[:-2]).exit_code == 1
