"""Measure mxref as ratios within one run: ``python -m benchmarks [--quick] [--write PAGE]``.

Like with like: results written into reused memory (``out=``) are compared with ``numpy.copyto``,
fresh ones with ``x.copy()``, both over the same float32 array. A ratio is the median of paired
rounds, subject and baseline in turn, so that it holds while the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numba
import numpy as np

import mxref
from mxref.formats import BLOCK_FORMATS

ML_DTYPES = {
    "mxfp8_e4m3": (ml_dtypes.float8_e4m3fn, 8, 448.0),
    "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 15, 57344.0),
    "mxfp6_e3m2": (ml_dtypes.float6_e3m2fn, 4, 28.0),
    "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 2, 7.5),
    "mxfp4": (ml_dtypes.float4_e2m1fn, 2, 6.0),
}


def paired(subject, baseline, rounds):
    """Median seconds of the subject, and the median of baseline / subject over paired rounds."""
    subject()
    baseline()
    times, ratios = [], []
    for _ in range(rounds):
        seconds = []
        for call in (subject, baseline):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        times.append(seconds[0])
        ratios.append(seconds[1] / seconds[0])
    return statistics.median(times), statistics.median(ratios)


def composed_quantizer(name):
    """The usual NumPy and ml_dtypes recipe for a block quantizer: the peer."""
    dtype, emax, largest = ML_DTYPES[name]

    def quantize(x):
        blocks = x.reshape(-1, 32)
        exponents = np.frexp(np.abs(blocks).max(axis=1, keepdims=True))[1] - 1 - emax
        scaled = np.ldexp(blocks, -exponents)
        return np.clip(scaled, -largest, largest).astype(dtype), exponents

    return quantize


def conversions(size, rounds):
    x = np.random.default_rng(1).standard_normal(size).astype(np.float32)
    copied = np.empty_like(x)

    def baseline():
        np.copyto(copied, x)

    for name in BLOCK_FORMATS:
        q = mxref.quantize(x, name)
        values = np.empty_like(x)
        quantize = paired(lambda n=name, q=q: mxref.quantize(x, n, out=q), baseline, rounds)
        fresh = paired(lambda n=name: mxref.quantize(x, n), x.copy, rounds)
        dequantize = paired(lambda q=q, v=values: q.dequantize(out=v), baseline, rounds)
        fresh_values = paired(q.dequantize, x.copy, rounds)
        check = paired(
            lambda n=name, q=q: mxref.check.quantize(x, q.codes, q.scales, n),
            lambda n=name, q=q: mxref.quantize(x, n, out=q),
            max(3, rounds // 4),
        )
        peer = "-"
        if name in ML_DTYPES:
            recipe = composed_quantizer(name)
            part = x[: size >> 3]
            faster = paired(
                lambda n=name, p=part: mxref.quantize(p, n), lambda r=recipe, p=part: r(p), 3
            )
            peer = f"{faster[1]:.0f}x"
        yield [
            name,
            f"{size / quantize[0] / 1e9:.2f}",
            f"{quantize[1]:.2f}",
            f"{fresh[1]:.2f}",
            f"{size / dequantize[0] / 1e9:.2f}",
            f"{dequantize[1]:.2f}",
            f"{fresh_values[1]:.2f}",
            f"{1 / check[1]:.2f}",
            peer,
        ]


def process(*command):
    def call():
        subprocess.run([sys.executable, *command], check=True, capture_output=True)

    return call


def starts(rounds):
    numpy_import = process("-c", "import numpy")
    for what, command in (
        ("import mxref", ("-c", "import mxref")),
        ("mxref show e4m3 0x7e", ("-m", "mxref", "show", "e4m3", "0x7e")),
        (
            "first quantize of a process, cached kernels",
            ("-c", "import numpy, mxref; mxref.quantize(numpy.zeros(32, 'f4'), 'mxfp4')"),
        ),
    ):
        seconds, ratio = paired(process(*command), numpy_import, rounds)
        yield [what, f"{seconds:.3f} s", f"{1 / ratio:.2f}"]


def latency(rounds):
    block = np.random.default_rng(2).standard_normal(32).astype(np.float32)
    calls = 200

    def many():
        for _ in range(calls):
            mxref.quantize(block, "mxfp4")

    many()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        many()
        times.append((time.perf_counter() - start) / calls)
    return statistics.median(times) * 1e6


MEMORY = """
import re, numpy as np, mxref
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
x = np.ones({size}, np.float32)
mxref.quantize(x[:1 << 18], "mxfp4")  # compiles, and starts the threads
q = mxref.MXArray(np.ones({size}, np.uint8), np.ones({size} // 32, np.uint8), "mxfp4")
open("/proc/self/clear_refs", "w").write("5")  # the peak is now what is in use
before = peak()
mxref.quantize(x, "mxfp4", out=q)
print(peak() - before)
"""


def memory(size):
    """KiB that quantize needs beyond its input and output, at the peak; Linux alone can tell."""
    code = MEMORY.format(size=size)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return f"{int(done.stdout)} KiB" if done.returncode == 0 else "an unknown amount"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("---" for _ in head) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def report(size, rounds):
    yield "# Speed"
    yield ""
    yield "Written by `make bench`; do not edit. Medians of paired rounds within one run."
    yield ""
    yield (
        f"{size} float32, {numba.get_num_threads()} threads, {platform.machine()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}."
    )
    yield ""
    yield (
        "`copyto`: times as fast as `numpy.copyto` of the same array, results into reused memory. "
        "`copy`: times as fast as `x.copy()`, results into fresh memory. `check`: a passing "
        "`check.quantize`, in units of quantizing. `recipe`: times as fast as the NumPy and "
        "ml_dtypes recipe."
    )
    yield ""
    head = [
        "format",
        "quantize, G/s",
        "copyto",
        "copy",
        "dequantize, G/s",
        "copyto",
        "copy",
        "check",
        "recipe",
    ]
    yield from table(head, conversions(size, rounds))
    yield ""
    head = ["whole process", "median", "times `import numpy`"]
    yield from table(head, starts(max(5, rounds // 3)))
    yield ""
    yield f"At its peak, quantize takes {memory(size)} beyond its input and output."
    yield ""
    yield f"Quantizing one block of 32 takes {latency(rounds):.1f} microseconds."


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2^20 elements, few rounds")
    parser.add_argument("--write", type=Path, help="also write the page to this file")
    options = parser.parse_args()
    size, rounds = (1 << 20, 5) if options.quick else (1 << 24, 21)
    lines = []
    for line in report(size, rounds):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        options.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
