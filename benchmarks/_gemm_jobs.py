"""Runs the jobs of `_gemm_process` in processes that have the wanted number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks._timing import thread_counts

__all__ = ["CUBE", "Bench", "good_rows"]

CUBE = (1024, 1024, 1024)
TIMEOUT = 3600  # seconds for the jobs of one process


class Bench:
    """Runs jobs in processes of their own, and remembers what was measured."""

    def __init__(self, rounds, quick):
        self.rounds, self.quick = rounds, quick
        self.threads = thread_counts()

    def run(self, jobs, threads, **variables):
        """Return the rows of the jobs, each with ``error`` if it raised."""
        environment = os.environ | {
            "NUMBA_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            "OPENBLAS_THREAD_TIMEOUT": "4",  # 2^4 cycles of spinning instead of 2^26
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks._gemm_process"],
            input=json.dumps(jobs),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            env=environment | variables,
            timeout=TIMEOUT,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        rows = [json.loads(line) for line in lines]
        lost = {"error": f"the process ended with status {done.returncode}"}
        return rows + [job | lost for job in jobs[len(rows) :]]

    def exact(self, formats, shape=CUBE, data="normal", **more):
        """Return a job."""
        if self.quick:
            shape = tuple(min(n, 64) for n in shape)
        return {
            "kind": "exact",
            "formats": formats,
            "shape": shape,
            "data": data,
            "rounds": self.rounds,
            "seconds": 0.2 if self.quick else 3.0,
        } | more


def good_rows(rows):
    """Yield a line for each row that failed; return the others."""
    good = [row for row in rows if "error" not in row]
    for row in rows:
        if "error" in row:
            what = row.get("name") or row.get("case") or f"{row['formats']} {row['shape']}"
            yield f"* {what}: {row['error']}"
    if len(good) < len(rows):
        yield ""
    return good
