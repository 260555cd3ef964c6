"""The numbers of a report against their definitions, computed naively."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from verify_files import gpt_oss, weights

import mxref
from mxref.check.checkpoint._stats import Stats, measured
from mxref.kernels.statistics import ExactSum


def naive(x, q):
    """Counts and sums element by element, in fractions."""
    element = q.format.element
    found = dict.fromkeys(("saturated", "flushed", "nonzero", "nonfinite"), 0)
    signal = noise = Fraction(0)
    top = float(element.max)
    y = q.dequantize().astype(np.float64)
    for index in np.ndindex(x.shape):
        v, w = float(x[index]), float(y[index])
        unit = 2.0 ** (int(q.scales[index[0], index[1] // 32]) - 127)
        found["nonfinite"] += not math.isfinite(v)
        found["nonzero"] += v != 0
        if math.isnan(w) or not math.isfinite(v):
            continue
        limit = -float(element.min) if hasattr(element, "min") else top
        found["saturated"] += v > top * unit or -v > max(limit, top) * unit
        found["flushed"] += v != 0 and w == 0
        signal += Fraction(v) ** 2
        noise += (Fraction(v) - Fraction(w)) ** 2
    return found, signal, noise


@pytest.mark.parametrize("name", ["mxfp4", "mxfp6_e2m3", "mxfp8_e4m3", "mxfp8_e5m2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_statistics_are_what_they_say(name, dtype):
    x = weights(11, (24, 96), dtype)
    x[2, 7] = np.nan
    q = mxref.quantize(x, name)
    stats = measured(x, q.codes, q.scales, name)
    found, signal, noise = naive(x, q)
    assert {n: stats.count(n) for n in found} == found
    assert stats.count("nan_scales") == (q.scales == 255).sum() == 1
    blocks = x.astype(np.float64).reshape(24, 3, 32)
    assert stats.count("zero_blocks") == (blocks == 0).all(2).sum()
    assert math.isclose(float(stats.signal.value), float(signal), rel_tol=1e-13)
    assert math.isclose(float(stats.noise.value), float(noise), rel_tol=1e-13)
    assert math.isclose(stats.qsnr, 10 * math.log10(signal / noise), abs_tol=1e-10)
    assert stats.first_nan == 6


def test_the_cut_does_not_show():
    x = weights(12, (64, 128))
    q = mxref.quantize(x, "mxfp4")
    whole = measured(x, q.codes, q.scales, "mxfp4")
    parts = Stats()
    for lo, hi in ((40, 64), (0, 1), (1, 40)):
        some = slice(lo, hi)
        parts.merge(measured(x[some], q.codes[some], q.scales[some], "mxfp4", start=lo * 4))
    assert parts.signal.value == whole.signal.value
    assert parts.noise.value == whole.noise.value
    assert parts.qsnr == whole.qsnr
    assert parts.counts == whole.counts


def test_no_error_and_no_signal():
    zeros = np.zeros((2, 32), np.float32)
    q = mxref.quantize(zeros, "mxfp4")
    assert measured(zeros, q.codes, q.scales, "mxfp4").qsnr is None
    ones = np.ones((2, 32), np.float32)
    q = mxref.quantize(ones, "mxfp4")
    assert measured(ones, q.codes, q.scales, "mxfp4").qsnr == math.inf


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)), st.integers(0, 10))
def test_exact_sums_are_exact(numbers, cut):
    total = ExactSum()
    for some in (numbers[cut:], numbers[:cut]):
        part = ExactSum()
        part.add(np.array(some, np.float64))
        total.merge(part)
    assert total.value == sum(map(Fraction, numbers), Fraction(0))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says what a process held")
def test_memory_is_bounded(tmp_path):
    """Six tensors of 64 MB take no more than one: nothing is held from one to the next."""
    rows, columns, count = 4096, 4096, 6
    x = weights(13, (rows, columns))
    files = [tmp_path / f"{kind}.safetensors" for kind in "sq"]
    q = mxref.quantize(x, "mxfp4")
    save_file({f"l{i}.weight": x for i in range(count)}, files[0])
    tensors = {}
    for i in range(count):
        tensors |= gpt_oss(f"l{i}", q.codes, q.scales)
    save_file(tensors, files[1])
    script = """
import sys
from pathlib import Path
from mxref.check.checkpoint import checkpoint
def peak():  # of this program: ru_maxrss begins with what the parent had
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
checkpoint(sys.argv[2], sys.argv[1], names="l0.weight", executor="threads:2")
before = peak()
report = checkpoint(sys.argv[2], sys.argv[1], executor="threads:2")
assert report.ok
print(before, peak())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    before, after = (int(n) for n in done.stdout.split())
    assert after < 400_000, "kB"
    assert after - before < 60_000, "kB: grows with the file"
