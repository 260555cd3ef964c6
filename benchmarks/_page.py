"""The parts of the page that are not measurements: tables, marks, and what the machine was."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numba
import numpy as np

import mxref

__all__ = ["AIM", "GIGA", "MUST", "installed_version", "machine", "mark", "table"]

MUST, AIM = 1.0, 1.5  # times as fast as a copy of the same float32 array
GIGA = 1e9


def table(head, rows):
    """Yield the lines of a table, the first column to the left and the others to the right."""
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "".join("---:|" for _ in head[1:])
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def mark(ratio, must=MUST, aim=AIM):
    """Say which of the two numbers to reach is reached; for times, pass both negated."""
    ratio = round(ratio, 2)  # as it is printed
    return "aim" if ratio >= aim else "must" if ratio >= must else "**no**"


def installed_version(distribution):
    """Return the version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def machine(arguments):
    """Yield what the figures were measured on, as a list."""
    flags = [a for a in arguments if a in {"--quick", "--no-peers"}]
    if "--only" in arguments[:-1]:
        flags += ["--only", arguments[arguments.index("--only") + 1]]
    now = dt.datetime.now(dt.UTC)
    features = numba.core.config.CPU_NAME or _cpu_name()
    yield f"* {now:%Y-%m-%d}, `{' '.join(['python -m benchmarks', *flags])}`"
    yield f"* {_processor()}, {_cores()} cores, {platform.system()}; compiled for {features}"
    if hasattr(os, "getloadavg"):
        yield f"* load average when it began: {os.getloadavg()[0]:.1f} (idle is best)"
    yield (
        f"* Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}, "
        f"mxref {mxref.__version__}"
    )


def _cpu_name():
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name()
