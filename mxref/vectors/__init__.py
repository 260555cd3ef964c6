"""Conformance vectors: generate, read and verify the set that lies in ``spec_vectors/``.

A set is plain text: for each operation, format and policy a JSON file and a ``.hex`` twin, with a
manifest of hashes. ``spec_vectors/INTERPRETING.md`` is the contract for those who read it without
mxref.
"""

from __future__ import annotations

from mxref.vectors.compare import accepts
from mxref.vectors.core import core_directory
from mxref.vectors.generate import generate
from mxref.vectors.model import (
    Case,
    Inputs,
    Manifest,
    Member,
    Output,
    VectorError,
    VectorFile,
    Verdict,
)
from mxref.vectors.read import iter_cases, load, load_manifest
from mxref.vectors.verify import VerifyResult, verify

__all__ = [
    "Case",
    "Inputs",
    "Manifest",
    "Member",
    "Output",
    "VectorError",
    "VectorFile",
    "Verdict",
    "VerifyResult",
    "accepts",
    "core_directory",
    "generate",
    "iter_cases",
    "load",
    "load_manifest",
    "verify",
]
