"""What a vector file is made of: cases, members, headers, the manifest, and their canonical text.

The text of a set is a function of its content alone: fixed key order, one case a line, LF, ASCII.
The id of a case is a hash of what is asked (operation, format, policy, inputs), never of a position
or of the answer, so that ids survive reordering, regeneration and a corrected expectation.

A *code* is a bit pattern, a *value* is a real number, a *scale code* is the E8M0 byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from mxref._policy_base import Choices
from mxref.vectors.operations import (
    INPUT_DIGITS,
    OPERATIONS,
    RELATIVES,
    Inputs,
    Output,
    input_digits,
    inputs_as_json,
    output_as_json,
    output_digits,
)

__all__ = [
    "ACCUMULATE",
    "COMPARE_RULES",
    "GENERATOR",
    "INPUT_DIGITS",
    "MX_SCHEMA_VERSION",
    "OPERATIONS",
    "SCHEMA_VERSION",
    "SET_VERSION",
    "Case",
    "Covered",
    "FileEntry",
    "Inputs",
    "Manifest",
    "Member",
    "Output",
    "Progress",
    "VectorError",
    "VectorFile",
    "Verdict",
    "case_as_json",
    "case_id",
    "input_digits",
    "manifest_text",
    "output_digits",
    "policy_slug",
    "schema_of",
    "sha256",
    "vector_file_text",
]

SCHEMA_VERSION = 3
"""Newest version of the file format; a reader refuses what is newer than itself."""

MX_SCHEMA_VERSION = 2
"""Version of manifests and of all files about MX formats, which the next one did not change."""

SET_VERSION = "1.2.0"
"""Version of the set: major when an expected bit changes, minor for new cases, patch for words."""

ACCUMULATE = "accumulate"
"""The key of the labels of matrix products: how the products are added, by the name of a model."""

GENERATOR = "mxref.vectors"
COMMAND = "mxref vectors generate"
LICENSE = "CC0-1.0"

COMPARE_RULES: Mapping[str, str] = MappingProxyType(
    {
        "any-nan": "two NaN patterns of one type are equal, whatever their sign and payload",
        "nan-scale-hides-codes": "under the scale code ff the element codes are not compared",
        "zero-block-any-scale": "a block of zeros may have any scale code except ff",
        "ue4m3-nan-hides-codes": "under the scale code 7f the element codes are not compared",
    }
)
"""Ways in which a comparison may be weaker than equality of bits; a file names those it uses."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)`` while a long job runs."""


class VectorError(ValueError):
    """A vector file, or a set of them, is not what it should be; the message says where and why.

    Examples
    --------
    >>> issubclass(VectorError, ValueError)
    True
    """


class Verdict(StrEnum):
    """What a case obliges an implementation to do.

    Examples
    --------
    >>> Verdict("must").name
    'MUST'
    """

    MUST = "must"
    """Exactly this output, given the choices that the file assumes."""
    ONE_OF = "one_of"
    """One of these outputs; each is labelled with the policy choices that yield it."""
    OPEN = "open"
    """The standards are silent and the known alternatives incomplete: recorded, never failed."""


@dataclass(frozen=True, slots=True)
class Member:
    """One allowed outcome, and the policy choices under which it is the outcome.

    Attributes
    ----------
    out : Output or None
        The output; None where the input is refused.
    when : tuple of mappings
        Alternatives, each a mapping ``{policy field: choice}``; an empty mapping always holds. No
        alternative at all means: the standard allows this outcome, no named choice yields it.
        Of matrix products the one field is `ACCUMULATE`, and the choice the name of a model.
    """

    out: Output | None
    when: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One vector. The first member is the outcome under the policy of the file.

    ``exact`` has the exact value behind each number of a matrix product, as `mxref.vectors.gemm`
    writes it; it is empty for other operations.
    """

    id: str
    inputs: Inputs
    members: tuple[Member, ...]
    verdict: Verdict
    clauses: tuple[str, ...]
    flags: tuple[str, ...]
    comment: str
    exact: tuple[str, ...] = ()

    @property
    def expected(self) -> Output | None:
        """The outcome under the policy of the file; None where that policy refuses the input."""
        return self.members[0].out


@dataclass(frozen=True, slots=True)
class Covered:
    """A covergroup as a file names it: why its cases exist, and the clauses it is about."""

    name: str
    reason: str
    clauses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VectorFile:
    """One file: an operation, a format and a policy, with their cases.

    Attributes
    ----------
    assumes : tuple of str
        Policy fields whose choice a ``must`` takes for granted, such as ``rounding``.
    compare : tuple of str
        Names out of `COMPARE_RULES`; without any, outputs are equal when their bits are.
    """

    operation: str
    format: str
    policy: Choices
    set_version: str
    assumes: tuple[str, ...]
    compare: tuple[str, ...]
    clauses: tuple[str, ...]
    covergroups: tuple[Covered, ...]
    cases: tuple[Case, ...]

    @property
    def path(self) -> str:
        """Path of the JSON file inside the set."""
        return f"{self.operation}/{self.format}.{policy_slug(self.policy)}.json"

    @property
    def hex_path(self) -> str:
        """Path of the twin for readers without JSON."""
        return self.path.removesuffix(".json") + ".hex"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One line of the manifest; ``cases`` is 0 for files that hold none."""

    sha256: str
    size: int
    cases: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The list of all generated files of a set, by path.

    Examples
    --------
    >>> Manifest("0.1.0", "0.1.0", {"encode/e4m3.ocp.json": FileEntry("00", 10, 3)}).case_count
    3
    """

    set_version: str
    generator_version: str
    files: Mapping[str, FileEntry]

    @property
    def case_count(self) -> int:
        """Number of cases in the set; a ``.hex`` twin holds the same cases, counted once."""
        return sum(e.cases for path, e in self.files.items() if not path.endswith(".hex"))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())


def policy_slug(policy: Choices) -> str:
    """Return what stands for a policy in a file name: ``ocp``, or the choices that differ from it.

    The policies of NVFP4 and BDR are known by the name of their profile.

    Examples
    --------
    >>> from mxref.policy import Policy
    >>> policy_slug(Policy()), policy_slug(Policy(scale_rule="rceil", relu="on"))
    ('ocp', 'rceil.relu')
    """
    kind = type(policy)
    if kind.BASE != "ocp" and ":" not in policy.name:
        return policy.name
    changes = policy.diff(kind()).items()
    return ".".join(f if ours == "on" else ours for f, (ours, _) in changes) or kind.BASE


def schema_of(operation: str) -> int:
    """Return the version of the file format that files of an operation declare.

    It is the oldest that has the operation, so that older readers go on reading what they know.

    Examples
    --------
    >>> schema_of("quantize"), schema_of("nvfp4_quantize")
    (2, 3)
    """
    return SCHEMA_VERSION if operation in RELATIVES else MX_SCHEMA_VERSION


# --- ids and canonical text ------------------------------------------------------------------


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in lower-case hexadecimal.

    Examples
    --------
    >>> sha256(b"")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(data).hexdigest()


def compact(value: object) -> str:
    """Return JSON without blanks, keys in the order given, ASCII only."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def case_id(operation: str, format_name: str, policy: str, inputs: Inputs) -> str:
    """Return the id of a case: 12 hexadecimal digits of the SHA-256 of what it asks.

    Parameters
    ----------
    operation, format_name, policy : str
        As in the header of the file; `policy` is the name.
    inputs : Inputs
        What the case feeds in.

    Examples
    --------
    >>> case_id("decode", "e4m3", "ocp", Inputs(None, (0x7E,)))
    'fb5b6912dacf'
    """
    asked = {
        "operation": operation,
        "format": format_name,
        "policy": policy,
        "in": inputs_as_json(operation, inputs),
    }
    return sha256(compact(asked).encode("ascii"))[:12]


def case_as_json(operation: str, case: Case) -> dict[str, Any]:
    """Return a case as the object that stands in a file."""
    first = case.members[0]
    always = len(case.members) == 1 and first.when == ({},)
    outcome: dict[str, Any]
    if always and first.out is not None:
        outcome = {"out": output_as_json(operation, first.out)}
    else:
        members = [
            {"out": output_as_json(operation, m.out), "when": [dict(w) for w in m.when]}
            for m in case.members
        ]
        outcome = {"one_of": members}
    return {
        "id": case.id,
        "in": inputs_as_json(operation, case.inputs),
        **outcome,
        **({"exact": list(case.exact)} if case.exact else {}),
        "verdict": str(case.verdict),
        "clauses": list(case.clauses),
        "flags": list(case.flags),
        "comment": case.comment,
    }


def _lines(items: Iterable[str]) -> str:
    """Items one a line, for the inside of a JSON array or object."""
    return ",\n".join(items)


def vector_file_text(file: VectorFile) -> str:
    """Return the canonical text of a vector file."""
    policy = {"name": file.policy.name, "choices": file.policy.as_dict()}
    header = {
        "schema": schema_of(file.operation),
        "set_version": file.set_version,
        "operation": file.operation,
        "format": file.format,
        "policy": policy,
        "assumes": list(file.assumes),
        "compare": list(file.compare),
        "clauses": list(file.clauses),
        "provenance": {"generator": GENERATOR, "command": COMMAND},
    }
    lines = [f'"{key}":{compact(value)},\n' for key, value in header.items()]
    groups = _lines(
        f'"{g.name}":{compact({"reason": g.reason, "clauses": list(g.clauses)})}'
        for g in file.covergroups
    )
    cases = _lines(compact(case_as_json(file.operation, case)) for case in file.cases)
    return "{\n" + "".join(lines) + f'"covergroups":{{\n{groups}\n}},\n"cases":[\n{cases}\n]}}\n'


def manifest_text(manifest: Manifest) -> str:
    """Return the canonical text of ``manifest.json``."""
    header = {
        "schema": MX_SCHEMA_VERSION,
        "set_version": manifest.set_version,
        "license": LICENSE,
        "provenance": {
            "generator": GENERATOR,
            "version": manifest.generator_version,
            "command": COMMAND,
        },
    }
    lines = [f'"{key}":{compact(value)},\n' for key, value in header.items()]
    files = _lines(
        f'"{path}":{compact({"sha256": e.sha256, "size": e.size, "cases": e.cases})}'
        for path, e in sorted(manifest.files.items())
    )
    return "{\n" + "".join(lines) + f'"files":{{\n{files}\n}}}}\n'
