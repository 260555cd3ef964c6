"""Bits do not depend on the floating-point mode that some library left behind.

A small C library sets FTZ, DAZ and directed rounding, as `-ffast-math` start-up code does. That it
works is proven first, in each thread; then every conversion must give the bits it gives without.
"""

import ctypes
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import numba
import numpy as np
import pytest
import workload

from mxref.kernels import params

SOURCE = Path(__file__).with_name("float_mode.c")


@pytest.fixture(scope="session")
def modes(tmp_path_factory):
    """The C library; skipped where it cannot be had."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc) to set the floating-point mode with")
    library = tmp_path_factory.mktemp("mode") / "float_mode.so"
    command = [compiler, "-O1", "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
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


@contextmanager
def mode_set(modes, *names):
    """Set bits of the mode in this thread, and take them back."""
    before = modes.get_mode()
    bits = [getattr(modes, f"{name}_bits")() for name in names]
    try:
        modes.set_mode(before | sum(bits))
        yield
    finally:
        modes.set_mode(before)


def flushes():
    """Whether subnormal results and inputs of float32 arithmetic are lost, here and now."""
    least = np.array([2.0**-126], np.float32)
    halved = (least * np.float32(0.5)).view(np.uint32)[0]
    subnormal = np.array([1 << 22], np.uint32).view(np.float32)
    doubled = (subnormal * np.float32(2)).view(np.uint32)[0]
    return [int(halved) == 0, int(doubled) == 0]


def rounds():
    """The float32 neighbours to which 1 + 2^-30 and -1 - 2^-30 round."""
    one, tiny = np.float32([1, -1]), np.float32([2**-30, -(2**-30)])
    return (one + tiny).view(np.uint32).tolist()


@pytest.fixture(scope="module")
def expected():
    return workload.results()


def test_the_library_works(modes):
    one, minus_one = 0x3F800000, 0xBF800000
    assert flushes() == [False, False]
    assert rounds() == [one, minus_one]
    with mode_set(modes, "flush"):
        assert flushes() == [True, True]
    with mode_set(modes, "up"):
        assert rounds() == [one + 1, minus_one]
    with mode_set(modes, "down"):
        assert rounds() == [one, minus_one + 1]
    assert flushes() == [False, False]


MODES = [("flush",), ("up",), ("flush", "down")]


@pytest.mark.parametrize("names", MODES, ids="+".join)
def test_every_conversion_gives_the_same_bits(names, modes, expected):
    """Parameters and tables are computed anew in that mode as well."""
    forget()
    try:
        with mode_set(modes, *names):
            found = workload.results()
    finally:
        forget()
    different = workload.differing(found, expected)
    assert not different


def forget():
    for cached in (params.block_parameters, params.element_parameters, params.scale_parameters):
        cached.cache_clear()


def test_in_a_thread_of_its_own(modes, expected):
    found, flushed = {}, []

    def work():
        with mode_set(modes, "flush", "up"):
            flushed.extend(flushes())
            found.update(workload.results())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert flushed == [True, True]
    different = workload.differing(found, expected)
    assert not different


def test_in_the_worker_threads_of_numba(modes):
    """The mode is set by a parallel loop, in the very threads that kernels then run on."""
    set_mode, get_mode = modes.set_mode, modes.get_mode
    threads = numba.get_num_threads()
    rows = 64 * threads

    @numba.njit(parallel=True)
    def set_everywhere(mode, seen):
        for i in numba.prange(rows):
            seen[i] = get_mode()
            set_mode(mode)

    @numba.njit(parallel=True)
    def halve_everywhere(numbers):
        for i in numba.prange(rows):
            numbers[i] *= np.float32(0.5)

    expected = workload.threaded_results()
    before = modes.get_mode()
    seen = np.zeros(rows, np.uint64)
    numbers = np.full(rows, 2.0**-126, np.float32)
    try:
        set_everywhere(np.uint64(before | modes.flush_bits()), seen)
        halve_everywhere(numbers)
        found = workload.threaded_results()
    finally:
        set_everywhere(np.uint64(before), seen)
        modes.set_mode(before)
    assert not numbers.view(np.uint32).any()  # every thread flushed
    assert ((seen & modes.flush_bits()) == modes.flush_bits()).any()
    different = workload.differing(found, expected)
    assert not different
    assert flushes() == [False, False]
