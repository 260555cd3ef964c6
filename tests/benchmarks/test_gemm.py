"""The benchmarks of matrix products measure what they say. No speed is tested."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mxref
from mxref.formats import BLOCK_FORMATS
from mxref.matmul import accumulators

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a module of the folder benchmarks."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_operands_are_those_of_the_heading(load):
    calls = load("_gemm_calls")
    pair = ("mxfp4", "mxint8")
    normal, spread, unscaled = (
        calls.operands(pair, (40, 96, 24), data) for data in ("normal", "spread", "unscaled")
    )
    for a, b in (normal, spread, unscaled):
        assert (a.shape, b.shape) == ((40, 96), (96, 24))
        assert (a.format.name, b.format.name) == pair
        assert np.array_equal(a.codes, normal[0].codes)
        mxref.matmul(a, b)
    moved = spread[0].scales.astype(int) - normal[0].scales
    assert (moved.min(), moved.max()) == (-calls.SPREAD, calls.SPREAD)
    assert (unscaled[1].scales == 127).all()


def test_quick_calls_are_repeated_and_slow_ones_too(load, monkeypatch):
    calls = load("_gemm_calls")
    monkeypatch.setattr(calls, "PAUSE", 0)
    monkeypatch.setattr(calls, "LEAST", 1e-4)
    count = [0, 0]

    def call(i):
        count[i] += 1

    times = calls.timed([lambda: call(0), lambda: call(1)], 5, 0)
    assert [len(series) for series in times] == [3, 3]
    assert min(count) > 3


def test_integers_of_flint_are_the_values(load):
    process, calls = load("_gemm_process"), load("_gemm_calls")
    for name in BLOCK_FORMATS:
        a, _ = calls.operands((name, name), (3, 64, 2), "spread")
        found = np.array(process._as_integers(a), object)
        least = float(a.format.element.min_subnormal) * 2.0 ** (int(a.scales.min()) - 127)
        assert np.array_equal(found.astype(np.float64) * least, a.dequantize())


def test_what_the_tables_name_exists(load):
    tables, models = load("_gemm_model_tables"), load("_gemm_models")
    assert set(tables.ORDERS) <= set(accumulators())
    assert {case[0] for case in models.MMA_SIM} <= set(accumulators())
    gemm = load("_gemm")
    assert {name for pair in gemm.MIXED for name in pair} | set(gemm.TARGETS) <= set(BLOCK_FORMATS)


def test_a_job_that_fails_and_a_process_that_ends_are_rows(load):
    jobs = load("_gemm_jobs")
    bench = jobs.Bench(3, quick=True)
    good = bench.exact(("mxfp4", "mxfp4"), (8, 32, 8))
    rows = bench.run([{"kind": "none"}, good], 1)
    assert rows[0]["error"] == "KeyError: 'none'"
    assert rows[1]["ratios"]["sgemm"] > 0
    assert rows[1]["exact"] == 64
    lost = bench.run([good], 1, PYTHONHOME="nowhere")  # no interpreter starts there
    assert "ended with status" in lost[0]["error"]


def test_one_section_takes_the_place_of_its_own(load):
    replaced = load("__main__").replaced
    page = "# Speed\n\nIntro.\n\n## A\n\nold\n\n### A1\n\nold\n\n## B\n\nkept\n"
    assert (
        replaced(page, "A", "## A\n\nnew\n") == "# Speed\n\nIntro.\n\n## A\n\nnew\n\n## B\n\nkept\n"
    )
    assert replaced(page, "C", "## C\n\nnew\n") == page + "\n## C\n\nnew\n"


def test_a_section_that_nobody_knows():
    command = [sys.executable, "-m", "benchmarks", "--only", "gem"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no section 'gem'" in done.stderr
    assert "gemm" in done.stderr
