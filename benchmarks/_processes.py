"""Whole processes: how long they take from start to end, and how much memory one needs."""

from __future__ import annotations

import subprocess
import sys

from benchmarks._page import mark, table
from benchmarks._timing import paired

__all__ = ["memory", "starts"]

IMPORT = "import numpy"
# What a shell runs when the key for completion is pressed.
COMPLETE = """
import os
words = "mxref explain 1 mxfp4 --policy t"
os.environ |= {"_MXREF_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "5"}
from mxref.cli.main import main
main(prog_name="mxref")
"""
STARTS = (
    ("`import mxref`", ("-c", "import mxref")),
    ("`mxref show e4m3 0x7e`", ("-m", "mxref", "show", "e4m3", "0x7e")),
    ("a key for completion, `mxref explain 1 mxfp4 --policy t`", ("-c", COMPLETE)),
    ("`mxref doctor`, with its self-test, cached kernels", ("-m", "mxref", "doctor")),
    (
        "first quantize of a process, cached kernels",
        ("-c", "import numpy, mxref; mxref.quantize(numpy.zeros(32, 'f4'), 'mxfp4')"),
    ),
)


def _process(*command):
    def call():
        subprocess.run([sys.executable, *command], check=True, capture_output=True)

    return call


def starts(rounds):
    """Yield the table of whole processes."""
    rows = []
    for what, command in STARTS:
        try:
            seconds, ratio = paired(_process(*command), _process("-c", IMPORT), rounds)
        except subprocess.CalledProcessError as error:
            last = (error.stderr.decode().strip().splitlines() or ["no message"])[-1]
            rows.append([what, f"failed: {last}", "-", "-"])
            continue
        times = 1 / ratio
        reached = "-"
        if "show" in what:
            reached = mark(-seconds, -0.4, -0.2)
        elif "doctor" in what:
            reached = mark(-seconds, -5.0, -2.0)
        elif "import mxref" in what:
            reached = mark(-times, -1.5, -1.1)
        rows.append([what, f"{seconds:.3f}", f"{times:.2f}", reached])
    yield from table(["whole process", "seconds", f"times `{IMPORT}`", "reached"], rows)


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
    """Yield what quantize needs beyond its input and output, at the peak; Linux alone can tell."""
    code = MEMORY.format(size=size)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        yield "What quantize needs beyond its input and output, this system cannot tell."
    else:
        mib = int(done.stdout) / 1024
        yield (
            f"At its peak, quantize takes {mib:.1f} MiB beyond its input and output "
            f"(must 64, aim 8; reached: {mark(-mib, -64.0, -8.0)})."
        )
    yield ""
