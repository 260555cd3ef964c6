"""Functions of shared libraries: right ones conform, and what they do to memory is noticed."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mxref.check.kernel import kernel as check_kernel
from mxref.check.target import TargetError, TargetOptions, load_target
from mxref.check.targets._library import Library

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "c-target" / "mxfp4.c"
PATIENT = 120.0

SOURCE = """
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUANTIZER(name) \\
    int name(const float *x, size_t n, size_t k, uint8_t *codes, uint8_t *scales)
int mxref_quantize_mxfp4(const float *, size_t, size_t, uint8_t *, uint8_t *);
#define RIGHT() mxref_quantize_mxfp4(x, n, k, codes, scales)

QUANTIZER(segfault) { RIGHT(); *(volatile int *)0 = 1; return 0; }
QUANTIZER(aborts) { abort(); }
QUANTIZER(leaves) { exit(0); }
QUANTIZER(hangs) { for (;;) pause(); }
QUANTIZER(fails) { RIGHT(); return 5; }
QUANTIZER(writes_behind) { int s = RIGHT(); codes[n * k] = 1; return s; }
QUANTIZER(writes_before) { int s = RIGHT(); scales[-3] = 0; return s; }
QUANTIZER(writes_far) { int s = RIGHT(); memset(codes, 0, n * k * 64 + (1 << 26)); return s; }
QUANTIZER(forgets_the_tail) { return mxref_quantize_mxfp4(x, n - 1, k, codes, scales); }
QUANTIZER(forgets_scales) { uint8_t *s = malloc(n); int r = mxref_quantize_mxfp4(x, n, k, codes, s);
    free(s); return r; }
QUANTIZER(does_nothing) { return 0; }
QUANTIZER(changes_input) { int s = RIGHT(); ((float *)x)[2] = 0; return s; }
QUANTIZER(reads_behind) { int s = RIGHT(); codes[5] = ((uint8_t *)x)[4 * n * k] & 7; return s; }
QUANTIZER(rolls_dice) { int s = RIGHT(); static int calls; codes[5] = calls++ & 7; return s; }
QUANTIZER(nan_scales) { int s = RIGHT(); memset(scales, 0xff, n); return s; }
QUANTIZER(zeros) { memset(codes, 0, n * k); memset(scales, 0, n); return 0; }
QUANTIZER(packed) { int s = RIGHT(); codes[1] |= 0x70; return s; }

int mxref_decode_e8m0(const uint8_t *codes, size_t n, float *values)
{
    for (size_t i = 0; i < n; i++) values[i] = codes[i] == 255 ? NAN : ldexpf(1, codes[i] - 127);
    return 0;
}
int sign_of_bfloat16(const uint16_t *x, size_t n, uint8_t *codes)
{
    for (size_t i = 0; i < n; i++) codes[i] = x[i] >> 15 << 3;
    return 0;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("so")
    (folder / "more.c").write_text(SOURCE)
    built = folder / "lib.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-w", "-o", built, EXAMPLE, folder / "more.c"]
    subprocess.run([*command, "-lm"], check=True)
    return str(built)


def judged(name, fmt="mxfp4", op=None, **options):
    with load_target(name, fmt, op, TargetOptions(**{"timeout": PATIENT, **options})) as target:
        (kernel,) = target.kernels
        return check_kernel(kernel.fn, kernel.format, kernel.op, timeout=None)


def test_a_right_library_conforms(library):
    with load_target(f"so:{library}", options=TargetOptions(PATIENT)) as target:
        claims = {(k.op, k.format): k.fn for k in target.kernels}
        assert set(claims) == {("quantize", "mxfp4"), ("decode", "e8m0")}
        for (op, fmt), fn in claims.items():
            assert check_kernel(fn, fmt, op, timeout=None).verdict == "conforms"


def test_one_symbol(library, monkeypatch):
    monkeypatch.chdir(Path(library).parent)  # without a slash it is still this file
    assert judged("so:lib.so:mxref_quantize_mxfp4").verdict == "conforms"
    assert judged("so:lib.so:mxref_decode_e8m0", "e8m0", "decode").verdict == "conforms"


TROUBLE = {
    "segfault": ("crashed", "SIGSEGV during the call"),
    "aborts": ("crashed", "SIGABRT"),
    "leaves": ("crashed", "ended with exit code 0"),
    "fails": ("raised", "returned 5"),
    "writes_behind": (
        "garbage",
        "outside of the codes: 1 bytes changed, the nearest 1 bytes behind",
    ),
    "writes_before": (
        "garbage",
        "outside of the scale codes: 1 bytes changed, the nearest 3 bytes",
    ),
    "writes_far": ("crashed", "SIG"),
    "forgets_the_tail": ("garbage", "never wrote 32 of"),
    "forgets_scales": ("garbage", "scale codes, first at [0, 0]"),
    "does_nothing": ("garbage", "never wrote"),
    "changes_input": ("changed-input", "argument 1"),
    "packed": ("mis-wired", "a code of e2m1 is 0 to 15"),
}


@pytest.mark.parametrize("symbol", TROUBLE)
def test_broken_functions_are_trouble(library, symbol):
    report = judged(f"so:{library}:{symbol}")
    kind, said = TROUBLE[symbol]
    assert not report.ok
    assert report.verdict == "not-testable"
    assert (report.trouble.kind, said in report.trouble.text) == (kind, True), report.trouble.text


@pytest.mark.parametrize("symbol", ["reads_behind", "rolls_dice"])
def test_chance_is_no_conformance(library, symbol):
    report = judged(f"so:{library}:{symbol}")
    assert not report.ok
    assert report.trouble.kind == "nondeterministic"


@pytest.mark.parametrize("symbol", ["nan_scales", "zeros"])
def test_wrong_functions_are_judged(library, symbol):
    assert judged(f"so:{library}:{symbol}").verdict in ("defect", "unexplained")


def test_a_hanging_function_is_stopped(library):
    assert judged(f"so:{library}:hangs", timeout=1.0).trouble.kind == "timed-out"


def test_what_is_not_there(library):
    with pytest.raises(TargetError, match="has no symbol 'nosuch'"):
        load_target(f"so:{library}:nosuch", "mxfp4")
    with pytest.raises(TargetError, match="not claimed") as caught:
        load_target(f"so:{library}", "mxint8")
    assert caught.value.kind == "not-claimed"
    with pytest.raises(TargetError, match="no library"):
        load_target(f"{library}.none".join(("so:", ":f")), "mxfp4")


def test_a_file_that_is_no_library(tmp_path):
    path = tmp_path / "lib.so"
    path.write_text("hello")
    with pytest.raises(TargetError, match="cannot be loaded"):
        load_target(f"so:{path}:f", "mxfp4")


def test_sixteen_bits_are_handed_over_as_they_are(library):
    x = np.array([0x8000, 0x3F80], np.uint16)
    codes = Library(library).call({"symbol": "sign_of_bfloat16", "op": "encode"}, (x,))
    assert codes.tolist() == [8, 0]


def test_memory_is_aligned_and_empty_input_is_taken(library):
    call = Library(library).call
    what = {"symbol": "mxref_quantize_mxfp4", "op": "quantize"}
    codes, scales = call(what, (np.zeros((0, 32), np.float32),))
    assert (codes.shape, scales.shape) == ((0, 32), (0, 1))
    codes, _ = call(what, (np.ones((3, 32), np.float32),))
    assert codes.ctypes.data % 64 == 0
