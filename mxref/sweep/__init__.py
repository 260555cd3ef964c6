"""All 2^32 float32 inputs of a cast: proven against an oracle, and published as digests.

`sweep` runs the kernels over every input and yields, for each subject (a format and a policy), the
SHA-256 of its codes by chunks of 2^24 and the root over them, and the first input on which an
oracle disagrees that knows neither the kernels nor the definition. ``spec_vectors/digests`` holds
the digests of the `published` subjects: a GPU can be swept and compared by 32 bytes, and a
compiler that begins to translate the kernels otherwise shows itself.

Examples
--------
>>> from mxref.sweep import Subject, sweep_chunk
>>> sweep_chunk(Subject.of("e4m3"), chunk=0x3F).wrong  # 0.5 to below 2
0
"""

from __future__ import annotations

from mxref.sweep.chunk import CHUNK, CHUNKS, ChunkResult, Difference, sweep_chunk
from mxref.sweep.digests import DigestError, DigestFile, load, load_roots, write
from mxref.sweep.journal import Journal, JournalError
from mxref.sweep.oracle import Runs, expected_runs
from mxref.sweep.run import Outcome, cores, root_of, sweep
from mxref.sweep.subject import DETERMINISTIC, Subject, published, relevant_fields

__all__ = [
    "CHUNK",
    "CHUNKS",
    "DETERMINISTIC",
    "ChunkResult",
    "Difference",
    "DigestError",
    "DigestFile",
    "Journal",
    "JournalError",
    "Outcome",
    "Runs",
    "Subject",
    "cores",
    "expected_runs",
    "load",
    "load_roots",
    "published",
    "relevant_fields",
    "root_of",
    "sweep",
    "sweep_chunk",
    "write",
]
