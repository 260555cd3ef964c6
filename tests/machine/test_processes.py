"""Bits are the same for any number of threads, and without a compiler.

``tests/kernels/test_jit.py`` runs without AVX too; here are all policies' paths and thread counts.
"""

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest
import workload

WORKLOAD = Path(workload.__file__)


@pytest.fixture(scope="module")
def expected():
    return workload.results() | workload.threaded_results()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [("NUMBA_NUM_THREADS", "1"), ("NUMBA_NUM_THREADS", "3"), ("NUMBA_DISABLE_JIT", "1")],
)
def test_another_process_gives_the_same_bits(name, value, expected):
    """The 8-bit and 16-bit domains in full, under policies for each path of the code."""
    done = subprocess.run(
        [sys.executable, str(WORKLOAD)],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == workload.digest(expected)


def test_any_number_of_threads_gives_the_same_bits(expected):
    available = numba.config.NUMBA_NUM_THREADS
    before = numba.get_num_threads()
    try:
        for threads in sorted({1, min(2, available), available}):
            numba.set_num_threads(threads)
            found = workload.threaded_results()
            different = [key for key, data in found.items() if expected[key] != data]
            assert not different, f"{threads} threads"
    finally:
        numba.set_num_threads(before)
