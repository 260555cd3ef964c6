import hashlib

import pytest

from mxref.sweep import CHUNKS, ChunkResult
from mxref.sweep import run as run_module


class Quick:
    """Sweeps that cast nothing: what they were asked for, and what they give."""

    def __init__(self):
        self.asked = []

    def digest(self, subject, chunk):
        return hashlib.sha256(f"{subject.name} {chunk}".encode()).hexdigest()

    def digests(self, subject):
        return tuple(self.digest(subject, chunk) for chunk in range(CHUNKS))

    def sweep_chunk(self, subject, chunk, *, oracle):  # noqa: ARG002
        self.asked.append((subject.name, chunk))
        return ChunkResult(chunk, self.digest(subject, chunk))


@pytest.fixture
def quick(monkeypatch):
    found = Quick()
    monkeypatch.setattr(run_module, "sweep_chunk", found.sweep_chunk)
    return found
