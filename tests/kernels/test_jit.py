"""Compiling and caching never become the reason for an error, and threads never for a crash."""

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import mxref

CONVERT = """
    import numpy as np, mxref
    x = np.linspace(-8, 8, 64, dtype=np.float32)
    q = mxref.quantize(x, "mxfp4")
    assert (np.abs(q.dequantize() - x) <= 1).all()
    print(q.codes.tobytes().hex(), q.scales.tobytes().hex())
"""


def run(code, **environment):
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def expected():
    q = mxref.quantize(np.linspace(-8, 8, 64, dtype=np.float32), "mxfp4")
    return f"{q.codes.tobytes().hex()} {q.scales.tobytes().hex()}"


def test_cache_is_filled_and_then_read(tmp_path):
    for _ in range(2):
        done = run(CONVERT, MXREF_CACHE_DIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == expected()
    assert list(tmp_path.rglob("*.nbc"))


def test_a_damaged_cache_is_ignored(tmp_path):
    run(CONVERT, MXREF_CACHE_DIR=str(tmp_path))
    for path in tmp_path.rglob("*.nb*"):
        path.write_bytes(b"damaged")
    done = run(CONVERT, MXREF_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected()


def test_no_writable_folder_is_no_error(tmp_path):
    """A file where the folder should be cannot be written to, not even by root."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = run(
        CONVERT,
        HOME=str(blocked),
        XDG_CACHE_HOME=str(blocked),
        MXREF_CACHE_DIR="",
        NUMBA_CACHE_DIR="",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected()


DIGEST = """
    import hashlib, ml_dtypes, numpy as np, mxref
    digest = hashlib.sha256()
    x = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)
    h = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    rng = np.random.default_rng(5)
    wide = rng.integers(0, 1 << 64, (64, 96), np.uint64, endpoint=False)
    for policy in ("ocp", "ml_dtypes", "ocp:rounding=to-odd,int8_min=used,scale_nan=ignore"):
        for name in ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8"):
            digest.update(mxref.encode(x, name, policy).tobytes())
            digest.update(mxref.encode(h, name, policy).tobytes())
            count = 16 if name == "e2m1" else 64 if name[1] in "23" else 256
            codes = np.arange(count, dtype=np.uint8)
            digest.update(mxref.decode(codes, name, policy).tobytes())
        for name in ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8"):
            for array in (wide.view(np.float64), wide.view(np.float32), x.reshape(-1, 64)):
                q = mxref.quantize(array, name, policy=policy)
                digest.update(q.codes.tobytes() + q.scales.tobytes())
                digest.update(q.dequantize().view(np.uint32).tobytes())
        digest.update(mxref.encode(x, "e8m0", policy).tobytes())
    print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def digest():
    """Digest of every code and all 16-bit inputs of each format, and of wide blocks."""
    done = run(DIGEST)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "environment",
    [
        {"NUMBA_DISABLE_JIT": "1"},  # the lane programs on NumPy arrays
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},  # no AVX
        {"NUMBA_NUM_THREADS": "1"},
    ],
    ids=lambda e: next(iter(e)),
)
def test_bits_depend_neither_on_the_compiler_nor_on_the_processor(environment, digest):
    done = run(DIGEST, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == digest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_a_forked_child_can_convert():
    done = run(
        """
        import os, warnings, numpy as np, mxref
        warnings.simplefilter("ignore")
        x = np.ones(1 << 18, np.float32)
        mxref.quantize(x, "mxfp4")
        pid = os.fork()
        if pid == 0:
            mxref.quantize(x, "mxfp4")
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert done.stdout.strip() == "7", done.stderr


def test_threads_may_convert_at_once():
    x = np.random.default_rng(3).standard_normal(1 << 18).astype(np.float32)
    expected = mxref.quantize(x, "mxfp8_e4m3").codes.tobytes()
    right = []

    def work():
        right.extend(mxref.quantize(x, "mxfp8_e4m3").codes.tobytes() == expected for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 120
