import json

import pytest

from mxref.vectors import VectorError, iter_cases, load
from mxref.vectors.model import vector_file_text
from mxref.vectors.schema import MANIFEST, SCHEMA, VECTOR_FILE, schema_problems


def test_what_is_written_is_read_back(files, committed):
    for built in files.values():
        read = load(committed / built.path)
        assert read == built
        assert vector_file_text(read) == (committed / built.path).read_text(encoding="ascii")


def test_iterating_a_set(committed):
    found = list(iter_cases(committed, operation="decode", format="e2m1"))
    assert len(found) == 16
    assert {file.path for file, _ in found} == {"decode/e2m1.ocp.json"}
    assert not list(iter_cases(committed, operation="decode", policy="ml_dtypes"))
    assert len(list(iter_cases(committed / "decode" / "e2m1.ocp.json"))) == 16


def test_iterating_what_is_not_there(tmp_path):
    with pytest.raises(VectorError, match="cannot be read: No such file"):
        list(iter_cases(tmp_path))


def test_every_object_of_the_schema_is_closed():
    def walk(part):
        if isinstance(part, dict):
            if part.get("type") == "object" and "properties" in part:
                assert part["additionalProperties"] is False
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(SCHEMA)


def test_the_committed_schema_is_the_enforced_one(committed):
    assert json.loads((committed / "schema.json").read_text(encoding="ascii")) == SCHEMA
    for path in committed.rglob("*.json"):
        if path.name != "schema.json" and path.parent.name != "digests":
            data = json.loads(path.read_text(encoding="ascii"))
            schema = MANIFEST if path.name == "manifest.json" else VECTOR_FILE
            assert list(schema_problems(data, schema)) == []


def test_others_read_the_schema_alike(committed):
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(SCHEMA)
    data = json.loads((committed / "decode" / "e2m1.ocp.json").read_text(encoding="ascii"))
    validator.validate(data)
    data["cases"][0]["note"] = "x"
    assert not validator.is_valid(data)


def test_what_is_no_json_is_not_called_truncated(committed, tmp_path):
    with pytest.raises(VectorError, match=r"no JSON: give a \.json vector file"):
        load(committed / "decode" / "e2m1.ocp.hex")
    (tmp_path / "notes.json").write_text("my notes\n")
    with pytest.raises(VectorError, match="no JSON"):
        load(tmp_path / "notes.json")
