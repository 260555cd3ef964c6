"""What work runs on: any `concurrent.futures.Executor`, and the names that commands have for some.

No scheduler of our own: threads and processes are the standard library's, clusters are Dask's.
`open_executor` opens what a name stands for, `run_units` hands out the work and gives back results
as they are done. What a cluster needs beyond that is here too: a killed worker costs time but no
result, and a worker with another mxref is refused before it can answer.
"""

from __future__ import annotations

from mxref.executors._errors import ExecutorError
from mxref.executors._open import check_name, open_executor
from mxref.executors._units import is_elsewhere, run_units
from mxref.executors._worker import cores, one_kernel_thread

__all__ = [
    "ExecutorError",
    "check_name",
    "cores",
    "is_elsewhere",
    "one_kernel_thread",
    "open_executor",
    "run_units",
]
