"""NVFP4 and BDR formats: bits depend on no thread count, float mode, memory layout or compiler."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import ml_dtypes
import numba
import numpy as np
import pytest
import test_float_mode
import workload_relatives as workload
from test_float_mode import flushes, mode_set
from test_layouts import INPUT_ONLY, LAYOUTS

from mxref import bdr, nvfp4
from mxref.kernels import _nvfp4_tables

modes = test_float_mode.modes  # the fixture: a C library that sets the mode


@pytest.fixture(scope="module")
def expected():
    return workload.results()


def forget():
    """Tables are computed anew, in whatever mode is set then."""
    for part in vars(_nvfp4_tables).values():
        if hasattr(part, "cache_clear"):
            part.cache_clear()


def differing(found, expected):
    assert found.keys() == expected.keys()
    return [key for key, data in expected.items() if found[key] != data]


# --- the floating-point mode -----------------------------------------------------------------


@pytest.mark.parametrize("names", test_float_mode.MODES, ids="+".join)
def test_every_conversion_and_product_gives_the_same_bits(names, modes, expected):
    forget()
    try:
        with mode_set(modes, *names):
            found = workload.results()
            assert flushes() == ["flush" in names] * 2  # nobody has cleared it meanwhile
    finally:
        forget()
    assert not differing(found, expected)


def test_the_workload_depends_on_the_mode_if_it_is_computed_plainly(modes):
    """What alpha makes of sums is subnormal: the test above would see it flushed."""
    sums, alpha = np.float32([2.0**-100]), np.float32(2.0**-40)
    with mode_set(modes, "flush"):
        assert not (sums * alpha).view(np.uint32)[0]
    subnormal = np.frombuffer(workload.products()["subnormal", workload.MODELS[0]], np.float32)
    words = subnormal.view(np.uint32) & 0x7FFFFFFF
    assert ((words > 0) & (words < 1 << 23)).any()


def test_in_a_thread_of_its_own(modes, expected):
    found = {}

    def work():
        with mode_set(modes, "flush", "up"):
            found.update(workload.results())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not differing(found, expected)


def test_in_the_worker_threads_of_numba(modes):
    """The mode is set by a parallel loop, in the very threads that kernels then run on."""
    set_mode, get_mode = modes.set_mode, modes.get_mode
    rows = 64 * numba.get_num_threads()

    @numba.njit(parallel=True)
    def set_everywhere(mode):
        for _ in numba.prange(rows):
            set_mode(mode)

    wanted = workload.threaded_results()
    before = get_mode()
    try:
        set_everywhere(np.uint64(before | modes.flush_bits() | modes.up_bits()))
        found = workload.threaded_results()
    finally:
        set_everywhere(np.uint64(before))
        modes.set_mode(before)
    assert not differing(found, wanted)


# --- threads and the compiler ----------------------------------------------------------------


def test_any_number_of_threads_gives_the_same_bits():
    available = numba.config.NUMBA_NUM_THREADS
    before = numba.get_num_threads()
    wanted = workload.threaded_results()
    try:
        for threads in sorted({1, min(2, available), min(3, available)}):
            numba.set_num_threads(threads)
            different = differing(workload.threaded_results(), wanted)
            assert not different, f"{threads} threads"
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("NUMBA_NUM_THREADS", "3", "threaded_results"),
        ("NUMBA_DISABLE_JIT", "1", "interpreted_results"),
    ],
)
def test_another_process_gives_the_same_bits(name, value, part):
    done = subprocess.run(
        [sys.executable, str(Path(workload.__file__)), part],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == workload.digest(getattr(workload, part)())


# --- memory layouts --------------------------------------------------------------------------

SHAPE = (32, 32, 32)
BLOCK_FORMATS = ["mx9", "mx6", "msfp12", "scaled_int8:k1=32", "vsq4:k1=32", "scaled_fp8_e4m3"]


def sample(dtype):
    rng = np.random.default_rng(8)
    values = rng.standard_normal(SHAPE) * 2.0 ** rng.integers(-12, 12, SHAPE)
    return values.astype(dtype)


def bits(values):
    return np.ascontiguousarray(values).view(np.uint32)


def same(found, plain):
    """Whether two arrays of a format hold the same, their values too."""
    for part in ("codes", "scales", "subscales"):
        ours, theirs = getattr(found, part, None), getattr(plain, part, None)
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(bits(found.dequantize()), bits(plain.dequantize()))


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("layout", LAYOUTS | INPUT_ONLY)
def test_inputs(layout, axis, tmp_path):
    place = (LAYOUTS | INPUT_ONLY)[layout]
    for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16):
        if layout == "big-endian" and dtype is ml_dtypes.bfloat16:
            continue  # numpy has no byte order for it
        x = sample(dtype)
        there = place(x, tmp_path)
        is_single = dtype is np.float32  # each format compiles kernels for each type
        for recipe in workload.RECIPES[: 4 if is_single else 1]:
            random = {"random": workload.draws(SHAPE)} if "stochastic" in recipe else {}
            q = nvfp4.quantize(there, axis, recipe, **random)
            plain = nvfp4.quantize(x, axis, recipe, **random)
            same(q, plain)
            assert q.global_scale == plain.global_scale
        codes, scales = place(plain.codes, tmp_path), place(plain.scales, tmp_path)
        values = nvfp4.dequantize(codes, scales, plain.global_scale, axis)
        np.testing.assert_array_equal(bits(values), bits(plain.dequantize()))
        for name in BLOCK_FORMATS[: None if is_single else 1]:
            same(bdr.quantize(there, name, axis), bdr.quantize(x, name, axis))
    plain = bdr.quantize(x, "mx9", axis)
    parts = [place(part, tmp_path) for part in (plain.codes, plain.scales, plain.subscales)]
    values = bdr.dequantize(parts[0], parts[1], "mx9", axis, subscales=parts[2])
    np.testing.assert_array_equal(bits(values), bits(plain.dequantize()))


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_outputs(layout, axis, tmp_path):
    place, x = LAYOUTS[layout], sample(np.float32)

    def empty(like):
        return None if like is None else place(np.zeros(like.shape, like.dtype), tmp_path)

    for recipe in ("te-1d", "te-four-over-six"):
        plain = nvfp4.quantize(x, axis, recipe)
        out = nvfp4.NVFP4Array(empty(plain.codes), empty(plain.scales), 1.0, axis)
        assert nvfp4.quantize(x, axis, recipe, out) is out
        same(out, plain)
        assert out.global_scale == plain.global_scale
        values = place(np.zeros(SHAPE, np.float32), tmp_path)
        assert out.dequantize(values) is values
        np.testing.assert_array_equal(bits(values), bits(plain.dequantize()))
    for name in BLOCK_FORMATS[:5]:
        plain = bdr.quantize(x, name, axis)
        parts = [empty(part) for part in (plain.codes, plain.scales, plain.subscales)]
        out = bdr.BDRArray(*parts, name, axis)
        assert bdr.quantize(x, name, axis, out=out) is out
        same(out, plain)
        values = place(np.zeros(SHAPE, np.float32), tmp_path)
        assert out.dequantize(values) is values
        np.testing.assert_array_equal(bits(values), bits(plain.dequantize()))
