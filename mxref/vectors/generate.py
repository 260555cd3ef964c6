"""Build the set: every operation x format under a policy, its files, and their manifest.

The same sources give the same bytes on every machine: nothing here reads a clock, a locale, a
random number or the file system's order.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mxref import __version__
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS, ElementFormat
from mxref.policy import OPEN_POINT_OF, Policy, get_policy
from mxref.vectors.blocks import QUANTIZE
from mxref.vectors.covergroups import DECODE, ENCODE_ELEMENT, ENCODE_SCALE, Covergroup
from mxref.vectors.expect import AnyFormat, assumed_fields, compare_rules, expect
from mxref.vectors.hexfile import hex_text
from mxref.vectors.model import (
    GENERATOR,
    SET_VERSION,
    Case,
    Covered,
    FileEntry,
    Inputs,
    Manifest,
    Progress,
    VectorError,
    VectorFile,
    case_id,
    manifest_text,
    sha256,
    vector_file_text,
)
from mxref.vectors.schema import schema_text

__all__ = ["MANIFEST_NAME", "build", "generate", "jobs"]

MANIFEST_NAME = "manifest.json"
_POLICIES = ("ocp",)


@dataclass(frozen=True, slots=True)
class _Job:
    """One vector file to be built."""

    operation: str
    format: AnyFormat
    policy: Policy

    @property
    def covergroups(self) -> tuple[Covergroup, ...]:
        if self.operation == "quantize":
            return QUANTIZE
        if self.operation == "decode":
            return DECODE
        return ENCODE_ELEMENT if isinstance(self.format, ElementFormat) else ENCODE_SCALE


def jobs() -> tuple[_Job, ...]:
    """Return what `generate` builds, in order.

    Examples
    --------
    >>> [(job.operation, job.format.name) for job in jobs()][-1]
    ('quantize', 'mxint8')
    """
    scalars: tuple[AnyFormat, ...] = (*ELEMENT_FORMATS.values(), *SCALE_FORMATS.values())
    table: tuple[tuple[str, tuple[AnyFormat, ...]], ...] = (
        ("encode", scalars),
        ("decode", scalars),
        ("quantize", tuple(BLOCK_FORMATS.values())),
    )
    return tuple(
        _Job(operation, fmt, get_policy(policy))
        for operation, formats in table
        for fmt in formats
        for policy in _POLICIES
    )


def build(job: _Job) -> VectorFile:
    """Build one vector file: run its covergroups through the exact definition.

    An input that several groups produce becomes one case, of the first group that has it.
    """
    cases: dict[str, Case] = {}
    for group in job.covergroups:
        found: dict[str, Case] = {}
        for inputs, detail in group.stimuli(job.format):
            comment = f"{group.name}: {detail}" if detail else group.name
            case = _case(job, inputs, comment, known=cases)
            if case is not None:
                found.setdefault(case.id, case)
        cases |= dict(sorted(found.items(), key=lambda item: _order(item[1])))
    assumes = assumed_fields(job.operation, job.format)
    named = {clause for case in cases.values() for clause in case.clauses}
    return VectorFile(
        operation=job.operation,
        format=job.format.name,
        policy=job.policy,
        set_version=SET_VERSION,
        assumes=assumes,
        compare=compare_rules(job.operation, job.format),
        clauses=tuple(sorted(named | {OPEN_POINT_OF[field] for field in assumes})),
        covergroups=tuple(Covered(g.name, g.reason, g.clauses) for g in job.covergroups),
        cases=tuple(cases.values()),
    )


def _case(job: _Job, inputs: Inputs, comment: str, known: dict[str, Case]) -> Case | None:
    """One case, or None where an earlier group has it."""
    identity = case_id(job.operation, job.format.name, job.policy.name, inputs)
    if identity in known:
        if known[identity].inputs != inputs:
            raise AssertionError(f"two cases share the id {identity}: lengthen the ids")
        return None
    expectation = expect(job.operation, job.format, job.policy, inputs)
    return Case(
        id=identity,
        inputs=inputs,
        members=expectation.members,
        verdict=expectation.verdict,
        clauses=expectation.clauses,
        flags=(),
        comment=comment,
    )


def _order(case: Case) -> tuple[str, tuple[int, ...]]:
    return case.inputs.type or "", case.inputs.bits


# --- writing ---------------------------------------------------------------------------------


def generate(directory: str | os.PathLike[str], *, progress: Progress | None = None) -> Manifest:
    """Write the whole set into a directory.

    Parameters
    ----------
    directory : path
        Created where it does not exist. Files that `generate` did not make are never overwritten
        or deleted; each file appears complete or not at all, the manifest last.
    progress : callable, optional
        Called as ``progress(path, done, total)`` after each file.

    Returns
    -------
    Manifest
        What was written.

    Raises
    ------
    VectorError
        If the directory cannot be written, or a file stands in the way that is not of the set.
    """
    root = Path(directory)
    work = jobs()
    _check_writable(root, [*_paths(work), "VERSION", "schema.json", MANIFEST_NAME])
    entries = {
        "VERSION": _write(root, "VERSION", SET_VERSION + "\n"),
        "schema.json": _write(root, "schema.json", schema_text()),
    }
    for done, job in enumerate(work, start=1):
        file = build(job)
        count = len(file.cases)
        entries[file.path] = _write(root, file.path, vector_file_text(file), count)
        entries[file.hex_path] = _write(root, file.hex_path, hex_text(file), count)
        if progress is not None:
            progress(file.path, done, len(work))
    manifest = Manifest(SET_VERSION, __version__, entries)
    _write(root, MANIFEST_NAME, manifest_text(manifest))
    return manifest


def _paths(work: tuple[_Job, ...]) -> Iterator[str]:
    for job in work:
        stem = f"{job.operation}/{job.format.name}.{job.policy.name}"
        yield f"{stem}.json"
        yield f"{stem}.hex"


def _check_writable(root: Path, paths: list[str]) -> None:
    """Refuse, before anything is written, to replace a file that is not of the set."""
    if root.exists() and not root.is_dir():
        raise VectorError(f"{root} is no directory: give a directory for the vector set")
    for path in paths:
        target = root / path
        if target.exists() and not _is_ours(target):
            raise VectorError(
                f"{target} was not written by {GENERATOR} and will not be replaced: "
                "move it away, or give another directory"
            )


def _is_ours(target: Path) -> bool:
    if not target.is_file():
        return False
    start = target.read_bytes()[:4096]
    if target.name == "VERSION":
        return start.strip().replace(b".", b"").isdigit()
    return any(
        mark in start
        for mark in (GENERATOR.encode(), b"// mxref vectors ", b"mxref conformance vectors")
    )


def _write(root: Path, path: str, text: str, cases: int = 0) -> FileEntry:
    """Write one file in one step, so that an interruption leaves the old file or the new one."""
    data = text.encode("ascii")
    target = root / path
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        temporary.replace(target)
    except OSError as error:
        raise VectorError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return FileEntry(sha256(data), len(data), cases)
