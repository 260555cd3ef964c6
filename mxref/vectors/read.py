"""Read vector files back, trusting nothing: syntax, schema, widths, ids, canonical form."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mxref._policy_base import Choices
from mxref.clauses import CLAUSES
from mxref.vectors._families import FAMILIES, Family
from mxref.vectors.fit import check_exact, check_inputs, check_output
from mxref.vectors.lookup import AnyFormat, format_name, vector_format
from mxref.vectors.model import (
    ACCUMULATE,
    MX_SCHEMA_VERSION,
    SCHEMA_VERSION,
    Case,
    Covered,
    FileEntry,
    Inputs,
    Manifest,
    Member,
    Output,
    VectorError,
    VectorFile,
    Verdict,
    case_id,
    manifest_text,
    vector_file_text,
)
from mxref.vectors.operations import FAMILY, INPUT_DIGITS, inputs_from_json, output_from_json
from mxref.vectors.schema import MANIFEST, VECTOR_FILE, schema_problems

__all__ = ["iter_cases", "load", "load_manifest"]

_SHOWN_PROBLEMS = 3


def load(path: str | os.PathLike[str]) -> VectorFile:
    """Read and check one JSON vector file.

    Parameters
    ----------
    path : path
        A file such as ``spec_vectors/encode/e4m3.ocp.json``.

    Returns
    -------
    VectorFile
        The header and all cases.

    Raises
    ------
    VectorError
        If the file cannot be read, is damaged or truncated, is of a newer schema version, has an
        unknown or missing field, a number of the wrong width, a wrong id, or is not in canonical
        form. The message names the file and the place.
    """
    text = _read(Path(path))
    data = _parse(text, path)
    try:
        text = _modern(text, data)
        file = _vector_file(_checked(data, VECTOR_FILE))
        _same_text(text, vector_file_text(file))
    except ValueError as error:
        raise VectorError(f"{path}: {error}") from error
    return file


def load_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read and check ``manifest.json``.

    Raises
    ------
    VectorError
        As for `load`.
    """
    text = _read(Path(path))
    data = _parse(text, path)
    try:
        text = _modern(text, data)
        checked = _checked(data, MANIFEST)
        files = {name: FileEntry(**entry) for name, entry in checked["files"].items()}
        manifest = Manifest(checked["set_version"], checked["provenance"]["version"], files)
        _same_text(text, manifest_text(manifest))
    except ValueError as error:
        raise VectorError(f"{path}: {error}") from error
    return manifest


def iter_cases(
    source: str | os.PathLike[str],
    *,
    operation: str | None = None,
    format: str | None = None,  # noqa: A002  # the public word everywhere else
    policy: str | None = None,
) -> Iterator[tuple[VectorFile, Case]]:
    """Yield the cases of a file, or of every file of a set, with the file that holds them.

    Parameters
    ----------
    source : path
        A JSON vector file, or the directory of a set, whose manifest says what to read.
    operation, format, policy : str, optional
        Only files of this operation, format or policy.

    Raises
    ------
    VectorError
        As for `load`.
    """
    root = Path(source)
    if root.is_dir():
        names = load_manifest(root / "manifest.json").files
        listed = [n for n in names if n.endswith(".json") and names[n].cases]
        # The path says what a file is about (`verify` proves it): the others need no reading.
        folder = f"{operation}/" if operation else ""
        paths = [root / n for n in listed if n.startswith(folder) and f"/{format or ''}" in n]
    else:
        paths = [root]
    wanted = (operation, format, policy)
    for path in paths:
        file = load(path)
        found = (file.operation, file.format, file.policy.name)
        if all(value in (None, name) for value, name in zip(wanted, found, strict=True)):
            for case in file.cases:
                yield file, case


# --- text to JSON ----------------------------------------------------------------------------


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VectorError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data:
        raise VectorError(f"{path}: the file is empty; regenerate it with `mxref vectors generate`")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise VectorError(
            f"{path}: byte {error.start} is {data[error.start]:#04x}, but vector files are ASCII: "
            "the file is damaged"
        ) from error


def _parse(text: str, path: object) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        if text[0] not in "{[":
            raise VectorError(
                f"{path}: no JSON: give a .json vector file (a .hex twin has the same cases)"
            ) from error
        if not text.endswith("}\n"):
            raise VectorError(
                f"{path}: the file is truncated: it ends inside line {text.count(chr(10)) + 1} "
                "instead of with a closing brace"
            ) from error
        raise VectorError(
            f"{path}: damaged JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except RecursionError as error:
        raise VectorError(f"{path}: damaged JSON: nested too deeply") from error
    except ValueError as error:
        raise VectorError(f"{path}: damaged JSON: {error}") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"the field {twice[0]!r} appears twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _modern(text: str, data: Any) -> str:
    """Read version 1 as version 2, which only adds operations: old sets can be compared."""
    if isinstance(data, dict) and data.get("schema") is not True and data.get("schema") == 1:
        data["schema"] = MX_SCHEMA_VERSION
        return text.replace('"schema":1,', f'"schema":{MX_SCHEMA_VERSION},', 1)
    return text


def _checked(data: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Check the version first: a newer file may break the schema in every other place."""
    version = data.get("schema") if isinstance(data, dict) else None
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        raise VectorError(
            f"schema version {version} is newer than this mxref, which reads {SCHEMA_VERSION}: "
            "update mxref"
        )
    problems = list(schema_problems(data, schema))
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        rest = f"; and {more} more" if more > 0 else ""
        raise VectorError("; ".join(problems[:_SHOWN_PROBLEMS]) + rest)
    checked: dict[str, Any] = data
    return checked


def _same_text(text: str, canonical: str) -> None:
    if text == canonical:
        return
    ours, theirs = canonical.split("\n"), text.split("\n")
    same = (number for number, (a, b) in enumerate(zip(ours, theirs, strict=False), 1) if a != b)
    line = next(same, min(len(ours), len(theirs)) + 1)
    raise VectorError(
        f"line {line} is not in canonical form (key order, blanks, line ends): the file was edited "
        "or reformatted; regenerate it with `mxref vectors generate`"
    )


# --- JSON to objects -------------------------------------------------------------------------


def _vector_file(data: Mapping[str, Any]) -> VectorFile:
    operation, name = data["operation"], data["format"]
    fmt = vector_format(operation, name)
    family = FAMILIES[FAMILY[operation]]
    policy = _policy(family, **data["policy"])
    _known_fields(family, dict.fromkeys(data["assumes"], ""))
    cases: dict[str, Case] = {}
    for number, entry in enumerate(data["cases"], start=1):
        try:
            case = _case(operation, fmt, policy.name, entry)
        except ValueError as error:
            raise VectorError(f"case {number} ({entry['id']}): {error}") from error
        if case.id in cases:
            raise VectorError(f"case {number} has the id {case.id} of an earlier case")
        cases[case.id] = case
    groups = data["covergroups"].items()
    return VectorFile(
        operation=operation,
        format=name,
        policy=policy,
        set_version=data["set_version"],
        assumes=tuple(data["assumes"]),
        compare=tuple(data["compare"]),
        clauses=_known_clauses(data["clauses"]),
        covergroups=tuple(
            Covered(key, group["reason"], _known_clauses(group["clauses"])) for key, group in groups
        ),
        cases=tuple(cases.values()),
    )


def _policy(family: Family, name: str, choices: dict[str, str]) -> Choices:
    missing = sorted(family.open_points.keys() - choices.keys())
    if missing:
        raise VectorError(
            f"the policy says nothing about {', '.join(missing)}: the file was written by another "
            "version of mxref, or edited"
        )
    policy = family.kind().replace(**_known_fields(family, choices))
    if policy.name != name:
        raise VectorError(f"the policy is called {name!r}, but its choices are {policy.name!r}")
    return policy


def _known_fields(family: Family, choices: dict[str, str]) -> dict[str, str]:
    for field in choices:
        if field not in family.open_points:
            raise VectorError(f"unknown policy field {field!r}")
    return choices


def _known_clauses(ids: list[str]) -> tuple[str, ...]:
    for clause in ids:
        if clause not in CLAUSES:
            raise VectorError(f"unknown clause {clause!r}")
    return tuple(ids)


def _case(operation: str, fmt: AnyFormat, policy: str, entry: Mapping[str, Any]) -> Case:
    inputs = _inputs(operation, fmt, entry["in"])
    expected_id = case_id(operation, format_name(fmt), policy, inputs)
    if entry["id"] != expected_id:
        raise VectorError(
            f"wrong id: the hash of its operation, format, policy and inputs is {expected_id}; "
            "the id or the inputs were edited"
        )
    verdict = Verdict(entry["verdict"])
    if "out" in entry:
        members: tuple[Member, ...] = (
            Member(_output(operation, fmt, inputs, entry["out"]), ({},)),
        )
    else:
        members = tuple(
            Member(
                None if member["out"] is None else _output(operation, fmt, inputs, member["out"]),
                tuple(_labels(operation, condition) for condition in member["when"]),
            )
            for member in entry["one_of"]
        )
    expected_keys = {Verdict.MUST: "out", Verdict.ONE_OF: "one_of"}
    if expected_keys.get(verdict, "") not in entry and verdict is not Verdict.OPEN:
        raise VectorError(f"the verdict {verdict} needs the field {expected_keys[verdict]!r}")
    exact = tuple(entry.get("exact", ()))
    check_exact(operation, inputs, exact)
    return Case(
        id=entry["id"],
        inputs=inputs,
        members=members,
        verdict=verdict,
        clauses=_known_clauses(entry["clauses"]),
        flags=tuple(entry["flags"]),
        comment=entry["comment"],
        exact=exact,
    )


def _labels(operation: str, condition: dict[str, str]) -> dict[str, str]:
    """The choices of a label; those of a matrix product are names of accumulation models."""
    if operation != "matmul":
        return _known_fields(FAMILIES[FAMILY[operation]], condition)
    if condition.keys() - {ACCUMULATE}:
        raise VectorError(f"the labels of a matmul name {ACCUMULATE}, got {', '.join(condition)}")
    return condition


def _inputs(operation: str, fmt: AnyFormat, entry: Mapping[str, Any]) -> Inputs:
    if "type" in entry:
        digits = INPUT_DIGITS[entry["type"]]
        for number in [entry["x"]] if isinstance(entry["x"], str) else entry["x"]:
            if len(number) != digits:
                raise VectorError(f"{number!r} is no {entry['type']}: that takes {digits} digits")
    inputs = inputs_from_json(operation, entry)
    check_inputs(operation, fmt, inputs)
    return inputs


def _output(operation: str, fmt: AnyFormat, inputs: Inputs, entry: Mapping[str, Any]) -> Output:
    out = output_from_json(operation, entry)
    check_output(operation, fmt, inputs, out)
    return out
