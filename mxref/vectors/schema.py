"""The JSON Schema of the vector files, and a validator for the part of JSON Schema that it uses.

``spec_vectors/schema.json`` is this dictionary, so that what others validate against is what
`mxref` itself enforces, without a further dependency.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mxref.vectors.model import COMPARE_RULES, MX_SCHEMA_VERSION, Verdict, schema_of
from mxref.vectors.operations import (
    IN_FIELDS,
    INPUT_DIGITS,
    OPERATIONS,
    OUT_FIELDS,
    PACKINGS,
    PARTS,
    SCALE_LAYOUTS,
    Field,
)

__all__ = ["MANIFEST", "SCHEMA", "VECTOR_FILE", "schema_problems", "schema_text"]

_Schema = dict[str, Any]


def _object(properties: _Schema, optional: tuple[str, ...] = (), **more: Any) -> _Schema:
    """Declare an object with exactly these keys."""
    required = [key for key in properties if key not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


def _list_of(items: _Schema, **more: Any) -> _Schema:
    return {"type": "array", "items": items, **more}


def _text(pattern: str | None = None) -> _Schema:
    return {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}


def _map_of(values: _Schema) -> _Schema:
    return {"type": "object", "additionalProperties": values}


def _hex(*digits: int) -> _Schema:
    return _text("^(" + "|".join(f"[0-9a-f]{{{n}}}" for n in digits) + ")$")


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/$defs/{name}"}


_LAYOUTS = {"packing": PACKINGS, "scale_layout": SCALE_LAYOUTS}


def _field(field: Field) -> _Schema:
    match field.kind:
        case "type":
            return {"enum": list(INPUT_DIGITS)}
        case "layout":
            return {"enum": list(_LAYOUTS[field.key])}
        case kind if kind in PARTS:
            return _fields(PARTS[kind])
        case "size":
            one: _Schema = {"type": "integer"}
        case "number":
            one = _hex(*sorted(set(INPUT_DIGITS.values())))
        case "code":
            one = _hex(2)
        case "value" | "random":
            one = _hex(8)
    return _list_of(one, minItems=1) if field.many else one


def _fields(fields: tuple[Field, ...]) -> _Schema:
    optional = tuple(field.key for field in fields if field.optional)
    return _object({field.key: _field(field) for field in fields}, optional=optional)


_IN: dict[str, _Schema] = {operation: _fields(IN_FIELDS[operation]) for operation in OPERATIONS}
_OUT: dict[str, _Schema] = {operation: _fields(OUT_FIELDS[operation]) for operation in OPERATIONS}


# An integer times a power of two, or what is no number.
_EXACT = "^(-?0x(0|[1-9a-f][0-9a-f]*)p[+-][0-9]+|-?inf|nan)$"


def _case(operation: str) -> _Schema:
    refused = {"anyOf": [_OUT[operation], {"type": "null"}]}
    member = _object({"out": refused, "when": _list_of(_map_of(_text()))})
    exact = _list_of(_text(_EXACT), minItems=1)
    return _object(
        {
            "id": _hex(12),
            "in": _IN[operation],
            "out": _OUT[operation],
            "one_of": _list_of(member, minItems=1),
            **({"exact": exact} if operation == "matmul" else {}),
            "verdict": {"enum": [str(v) for v in Verdict]},
            "clauses": _list_of(_ref("clause"), minItems=1),
            "flags": _list_of(_text("^[A-Z][0-9]+$")),
            "comment": _text("^[ -~]+$"),
        },
        optional=("out", "one_of"),
        oneOf=[{"required": ["out"]}, {"required": ["one_of"]}],
    )


def _vector_file() -> _Schema:
    return _object(
        {
            "schema": {"enum": sorted({schema_of(operation) for operation in OPERATIONS})},
            "set_version": _ref("version"),
            "operation": {"enum": list(OPERATIONS)},
            "format": _text("^[a-z0-9_/-]+$"),
            "policy": _object({"name": _text(), "choices": _map_of(_text())}),
            "assumes": _list_of(_text()),
            "compare": _list_of({"enum": list(COMPARE_RULES)}),
            "clauses": _list_of(_ref("clause")),
            "provenance": _object({"generator": _text(), "command": _text()}),
            "covergroups": _map_of(
                _object({"reason": _text(), "clauses": _list_of(_ref("clause"))})
            ),
            "cases": _list_of({"type": "object"}, minItems=1),
        },
        allOf=[
            {
                "if": {"properties": {"operation": {"const": operation}}},
                "then": {
                    "properties": {
                        "schema": {"const": schema_of(operation)},
                        "cases": _list_of(_ref(f"{operation}_case")),
                    }
                },
            }
            for operation in OPERATIONS
        ],
    )


_ENTRY = _object({"sha256": _hex(64), "size": {"type": "integer"}, "cases": {"type": "integer"}})

SCHEMA: _Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "mxref conformance vectors: a vector file, or the manifest of a set",
    "anyOf": [_ref("vector_file"), _ref("manifest")],
    "$defs": {
        "version": _text(r"^[0-9]+\.[0-9]+\.[0-9]+$"),
        "clause": _text("^(MX-1\\.0/|OFP8-1\\.0/|OP-)[A-Za-z0-9./-]+$"),
        "vector_file": _vector_file(),
        **{f"{operation}_case": _case(operation) for operation in OPERATIONS},
        "manifest": _object(
            {
                "schema": {"const": MX_SCHEMA_VERSION},
                "set_version": _ref("version"),
                "license": _text(),
                "provenance": _object(
                    {"generator": _text(), "version": _text(), "command": _text()}
                ),
                "files": _map_of(_ENTRY),
            }
        ),
    },
}
"""JSON Schema, draft 2020-12, of vector files and manifests."""

VECTOR_FILE = _ref("vector_file")
MANIFEST = _ref("manifest")


def schema_text() -> str:
    """Return the text of ``schema.json``.

    Examples
    --------
    >>> schema_text().splitlines()[1]
    '  "$schema": "https://json-schema.org/draft/2020-12/schema",'
    """
    return json.dumps(SCHEMA, indent=2, ensure_ascii=True) + "\n"


# --- the validator ---------------------------------------------------------------------------

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "null": type(None),
}


def schema_problems(value: object, schema: _Schema, where: str = "") -> Iterator[str]:
    """Yield a sentence for each place in which a JSON value breaks the schema.

    Parameters
    ----------
    value : object
        What ``json.loads`` gave.
    schema : dict
        `VECTOR_FILE`, `MANIFEST`, or a part of `SCHEMA`.
    where : str
        Path to `value` for the messages.

    Examples
    --------
    >>> list(schema_problems({"code": "7E"}, _IN["decode"]))
    ["code: '7E' does not match ^([0-9a-f]{2})$"]
    """
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    place = f"{where}: " if where else ""
    kind = schema.get("type")
    if kind is not None and not _has_type(value, kind):
        yield f"{place}expected {_article(kind)}, got {_shown(value)}"
        return
    if "const" in schema and not _equal(value, schema["const"]):
        yield f"{place}expected {schema['const']!r}, got {_shown(value)}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}{_shown(value)} is none of {', '.join(map(str, schema['enum']))}"
    if "pattern" in schema and isinstance(value, str) and not _matches(schema["pattern"], value):
        yield f"{place}{_shown(value)} does not match {schema['pattern']}"
    if isinstance(value, dict):
        yield from _object_problems(value, schema, where)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{place}expected at least {schema['minItems']} item, got none"
        for index, item in enumerate(value):
            yield from schema_problems(item, schema.get("items", {}), f"{where}[{index}]")
    yield from _combined_problems(value, schema, where)


def _object_problems(value: dict[str, Any], schema: _Schema, where: str) -> Iterator[str]:
    place = f"{where}: " if where else ""
    properties = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{place}the field {key!r} is missing"
    others = schema.get("additionalProperties", True)
    for key, item in value.items():
        path = f"{where}.{key}" if where else key
        if key in properties:
            yield from schema_problems(item, properties[key], path)
        elif others is False:
            yield f"{place}unknown field {key!r}; known: {', '.join(properties)}"
        elif isinstance(others, dict):
            yield from schema_problems(item, others, path)


def _combined_problems(value: object, schema: _Schema, where: str) -> Iterator[str]:
    place = f"{where}: " if where else ""
    branches = schema.get("oneOf", [])
    if branches and sum(not any(schema_problems(value, b, where)) for b in branches) != 1:
        names = ", ".join(key for b in branches for key in b["required"])
        yield f"{place}exactly one of the fields {names} must be there"
    choices = [list(schema_problems(value, b, where)) for b in schema.get("anyOf", [])]
    if choices and all(choices):
        yield from choices[0]
    for rule in schema.get("allOf", []):
        if not any(schema_problems(value, rule["if"], where)):
            yield from schema_problems(value, rule["then"], where)


def _equal(value: object, constant: object) -> bool:
    return value == constant and isinstance(value, bool) == isinstance(constant, bool)


def _has_type(value: object, kind: str) -> bool:
    # bool is an int in Python, but `true` is no integer in JSON.
    return isinstance(value, _TYPES[kind]) and not (kind == "integer" and isinstance(value, bool))


def _matches(pattern: str, text: str) -> bool:
    # `$` would also match before a final line feed.
    return re.search(pattern.removesuffix("$") + r"\Z", text) is not None


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else ("null" if kind == "null" else f"a {kind}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
