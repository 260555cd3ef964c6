"""Bits do not depend on the instructions, threads, memory layouts or the floating-point mode."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gemm_workload as workload
import ml_dtypes
import numba
import numpy as np
import pytest
from gemm_operands import random_operands
from gemm_oracle import Exact

import mxref

PATHS = ("portable", "avx512-vnni", "amx-int8")
WORKLOAD = Path(workload.__file__)
MODE = WORKLOAD.parents[1] / "machine" / "float_mode.c"


def by_integers(a, b, c, dtype, rounding):
    return Exact(a, b, c).array(np.dtype(dtype).name, rounding)


@pytest.fixture(scope="module")
def expected():
    """What the oracle says."""
    return workload.results(by_integers)


def test_here_and_now(expected):
    assert not workload.differing(workload.results(), expected)


def path_of(a, b, **options):
    return mxref.matmul(a, b, full_output=True, **options)[1].path


@pytest.mark.parametrize("path", PATHS)
def test_each_kind_of_instruction_gives_the_same_bits(path, expected, monkeypatch):
    monkeypatch.setenv("MXREF_GEMM", path)
    a, b = random_operands(np.random.default_rng(0), ("mxfp4", "mxfp4"), (2, 32, 2))
    try:
        found = path_of(a, b)
    except ValueError as refused:
        pytest.skip(str(refused))
    assert found == path
    assert not workload.differing(workload.results(), expected)


def test_a_path_that_nobody_knows_is_refused(monkeypatch):
    monkeypatch.setenv("MXREF_GEMM", "mmx")
    a, b = random_operands(np.random.default_rng(0), ("mxfp4", "mxfp4"), (2, 32, 2))
    with pytest.raises(ValueError, match=r"'mmx'.*portable"):
        mxref.matmul(a, b)


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_gives_the_same_bits(threads, expected):
    if threads > numba.config.NUMBA_NUM_THREADS:
        pytest.skip(f"this process has {numba.config.NUMBA_NUM_THREADS} threads")
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(threads)
        assert not workload.differing(workload.results(), expected)
    finally:
        numba.set_num_threads(before)


ELSEWHERE = {
    "no compiler": ({"NUMBA_DISABLE_JIT": "1"}, ["small"]),
    "no AVX": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, []),
    "AVX2": ({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+sse4.2"}, []),
    "three threads": ({"NUMBA_NUM_THREADS": "3"}, []),
}


@pytest.mark.slow
@pytest.mark.parametrize("where", ELSEWHERE)
def test_another_process_gives_the_same_bits(where, expected):
    variables, arguments = ELSEWHERE[where]
    done = subprocess.run(
        [sys.executable, str(WORKLOAD), *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    here = workload.results(by_integers, small=True) if arguments else expected
    assert done.stdout.strip() == workload.digest(here)


def _offset(x):
    """One byte into a buffer: not aligned."""
    buffer = np.zeros(x.nbytes + 1, np.uint8)
    view = buffer[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def _read_only(x):
    locked = x.copy()
    locked.flags.writeable = False
    return locked


LAYOUTS = {
    "fortran": np.asfortranarray,
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "every third row": lambda x: np.repeat(x, 3, axis=0)[1::3],
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "unaligned": _offset,
    "read-only": _read_only,
}


def _laid_out(array, change):
    return mxref.MXArray(change(array.codes), change(array.scales), array.format, axis=array.axis)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pair", [("mxfp8_e4m3", "mxfp6_e2m3"), ("mxfp8_e5m2", "mxfp4")], ids=str)
def test_any_memory_layout_gives_the_same_bits(layout, pair):
    change = LAYOUTS[layout]
    rng = np.random.default_rng(9)
    a, b = random_operands(rng, pair, (70, 200, 45), spread=20, specials=True)
    c = rng.standard_normal((70, 45)).astype(np.float32)
    expected = mxref.matmul(a, b, c)
    # Not assert_array_equal: NaN bits count.
    found = mxref.matmul(_laid_out(a, change), _laid_out(b, change), change(c))
    assert found.tobytes() == expected.tobytes()
    assert mxref.matmul(_laid_out(a, change), b, c.astype(">f4")).tobytes() == expected.tobytes()


def test_the_same_bytes_transposed_give_the_transposed_result():
    a, b = random_operands(np.random.default_rng(10), ("mxfp4", "mxint8"), (50, 96, 33), spread=9)
    swapped = mxref.matmul(
        mxref.MXArray(b.codes.T, b.scales.T, b.format, axis=1),
        mxref.MXArray(a.codes.T, a.scales.T, a.format, axis=0),
    )
    assert np.array_equal(swapped.T, mxref.matmul(a, b))


@pytest.mark.parametrize("layout", ["plain", "fortran", "every second column", "unaligned"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_results_go_into_out(dtype, layout):
    a, b = random_operands(np.random.default_rng(11), ("mxfp4", "mxfp8_e4m3"), (37, 64, 70))
    expected = mxref.matmul(a, b, dtype=dtype)
    out = LAYOUTS.get(layout, np.copy)(np.full((37, 70), 7, dtype))
    assert mxref.matmul(a, b, dtype=dtype, out=out) is out
    assert out.tobytes() == expected.tobytes()


def test_only_out_is_written():
    a, b = random_operands(np.random.default_rng(12), ("mxfp4", "mxfp4"), (33, 64, 31))
    whole = np.full((40, 40), 7, np.float32)
    mxref.matmul(a, b, out=whole[3:36, 4:35])
    assert np.array_equal(whole[3:36, 4:35], mxref.matmul(a, b))
    whole[3:36, 4:35] = 7
    assert (whole == 7).all()


def test_how_each_output_was_found_is_counted():
    """Ordinary data needs no exact integers; ties beside which something tiny lies do."""
    rng = np.random.default_rng(13)
    a, b = random_operands(rng, ("mxfp8_e4m3", "mxfp8_e4m3"), (64, 512, 48), specials=True)
    found, info = mxref.matmul(a, b, full_output=True)
    assert info.fallbacks + info.certified + info.exact == np.isfinite(found).sum()
    assert info.special == (~np.isfinite(found)).sum()
    assert info.path in PATHS
    one = mxref.MXArray(
        np.full((1, 3), 2, np.uint8), np.uint8([[127, 103, 1]]), "mxfp4", block_size=1
    )
    ones = mxref.MXArray(
        np.full((3, 1), 2, np.uint8), np.uint8([[127], [127], [0]]), "mxfp4", 0, block_size=1
    )
    found, info = mxref.matmul(one, ones, full_output=True)
    assert found[0, 0] == 1 + 2.0**-23  # 1 + 2^-24 + 2^-253
    assert info.fallbacks + info.certified + info.exact == 1


@pytest.fixture(scope="module")
def modes(tmp_path_factory):
    """The C library that sets the floating-point mode, of tests/machine."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc) to set the floating-point mode with")
    library = tmp_path_factory.mktemp("mode") / "float_mode.so"
    command = [compiler, "-O1", "-shared", "-fPIC", str(MODE), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "no floating-point mode is known" in done.stderr:
        pytest.skip("neither x86 nor aarch64")
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(library))
    for name in ("get_mode", "flush_bits", "down_bits", "up_bits"):
        getattr(loaded, name).restype = ctypes.c_ulong
        getattr(loaded, name).argtypes = []
    loaded.set_mode.argtypes, loaded.set_mode.restype = [ctypes.c_ulong], None
    return loaded


@pytest.mark.parametrize("bits", ["flush_bits", "down_bits", "up_bits"])
def test_any_floating_point_mode_gives_the_same_bits(bits, modes, expected):
    """In the calling thread and in those that loops run on; the mode is left as it was."""
    set_mode, get_mode = modes.set_mode, modes.get_mode
    rows = 64 * numba.get_num_threads()

    @numba.njit(parallel=True)
    def set_everywhere(mode):
        for _ in numba.prange(rows):
            set_mode(mode)

    before = get_mode()
    changed = before | getattr(modes, bits)()
    try:
        set_everywhere(np.uint64(changed))
        set_mode(changed)
        found = workload.results()
        after = get_mode()
    finally:
        set_everywhere(np.uint64(before))
        set_mode(before)
    assert after & 0xFFC0 == changed & 0xFFC0
    assert not workload.differing(found, expected)
