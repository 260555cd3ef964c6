"""What all exports share: descriptions, repeatability, and what they refuse to do."""

import json
import shutil
import subprocess
import sys

import pytest

from mxref.vectors import VectorError, Verdict
from mxref.vectors.export import EXPORTS, export, export_files
from mxref.vectors.model import sha256, vector_file_text
from mxref.vectors.operations import Inputs, Output

every_form = pytest.mark.parametrize("to", EXPORTS)


@every_form
def test_the_description_names_its_files_and_their_hashes(file, to):
    if to == "safetensors":
        pytest.importorskip("safetensors", reason="needs the extra `safetensors`")
    *files, (own, text) = export_files(file, to=to).items()
    description = json.loads(text)
    assert own.endswith(f".{to}.json")
    assert description["files"] == {
        name: {"sha256": sha256(data), "size": len(data)} for name, data in files
    }
    assert description["set_version"] == "1.2.3"
    assert description["source_sha256"] == sha256(vector_file_text(file).encode())
    assert description["compare"] == list(file.compare)
    assert (description["cases"], description["operation"]) == (len(file.cases), file.operation)


@every_form
def test_exports_do_not_depend_on_the_run(to):
    """In another process, with another hash seed: sets and dicts must not order anything."""
    if to == "safetensors":
        pytest.importorskip("safetensors", reason="needs the extra `safetensors`")
    program = (
        "import hashlib; from mxref.vectors.export import export_files;"
        "from mxref.vectors.generate import build, jobs;"
        "job = next(j for j in jobs() if j.operation == 'decode');"
        f"files = export_files(build(job), to={to!r});"
        "print(hashlib.sha256(repr(files).encode()).hexdigest())"
    )
    python = sys.executable
    digests = {
        subprocess.run(
            [python, "-c", program],
            env={"PYTHONHASHSEED": seed, "LC_ALL": "C"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.fixture
def source(pristine):
    return pristine / "decode" / "e4m3.ocp.json"


def test_a_set_gives_the_files_of_its_vector_files(pristine, tmp_path):
    seen = []
    written = export(pristine, tmp_path / "new", to="c", progress=lambda *a: seen.append(a))
    names = ["decode_e4m3_ocp.h", "decode_e5m2_ocp.h"]
    assert [path.name for path in written if path.suffix == ".h"] == names
    assert seen == [("decode/e4m3.ocp.json", 1, 2), ("decode/e5m2.ocp.json", 2, 2)]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(p.name for p in written)


def test_operation_and_format_choose(pristine, tmp_path):
    written = export(pristine, tmp_path, to="csv", operation="decode", format="e5m2")
    assert [path.name for path in written] == ["decode_e5m2_ocp.csv", "decode_e5m2_ocp.csv.json"]
    with pytest.raises(VectorError, match="no vector file for encode"):
        export(pristine, tmp_path, to="csv", operation="encode")


def test_an_unknown_form_is_refused(source, tmp_path):
    with pytest.raises(VectorError, match="'vhdl' is no export; known: sv, c, bin"):
        export(source, tmp_path, to="vhdl")


def test_an_export_can_be_repeated(source, tmp_path):
    first = {path: path.read_bytes() for path in export(source, tmp_path, to="sv")}
    assert {path: path.read_bytes() for path in export(source, tmp_path, to="sv")} == first


def test_an_older_export_is_replaced(source, tmp_path):
    target, own = export(source, tmp_path, to="c")
    old = b"/* of an older set */\n"
    description = json.loads(own.read_bytes())
    description["files"][target.name]["sha256"] = sha256(old)
    own.write_text(json.dumps(description), "ascii")
    target.write_bytes(old)
    export(source, tmp_path, to="c")
    assert target.read_bytes() != old


@pytest.mark.parametrize("index", [0, 1], ids=["file", "description"])
def test_files_of_others_stay(source, tmp_path, index):
    target = export(source, tmp_path, to="c")[index]
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    target.write_text("mine", "ascii")
    with pytest.raises(VectorError, match="was not written by mxref"):
        export(source, tmp_path, to="c")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_text("ascii") == "mine"


def test_an_exported_file_that_was_edited_stays(source, tmp_path):
    target, _ = export(source, tmp_path, to="c")
    target.write_bytes(target.read_bytes() + b"/* a note */\n")
    with pytest.raises(VectorError, match="changed since"):
        export(source, tmp_path, to="c")
    assert target.read_bytes().endswith(b"/* a note */\n")


def test_a_target_that_is_a_file_is_refused(source, tmp_path):
    target = tmp_path / "file"
    target.write_text("mine", "ascii")
    with pytest.raises(VectorError, match="is no directory"):
        export(source, target, to="csv")


def test_a_set_whose_file_was_changed_is_refused(small_set, tmp_path):
    path = small_set / "decode" / "e5m2.ocp.json"
    path.write_bytes(path.read_bytes().replace(b"7f800000", b"7f800001"))
    with pytest.raises(VectorError, match=r"e5m2\.ocp\.json: SHA-256 .* the file was changed"):
        export(small_set, tmp_path / "new", to="csv")


def test_a_missing_number_is_noticed(make_file):
    numbers = tuple(0x3F800000 + n for n in range(31))
    file = make_file(
        "quantize", "mxfp4", (Inputs("float32", numbers), [Output((1,) * 32, 1)], Verdict.MUST)
    )
    with pytest.raises(VectorError, match="row 1 has 31 numbers in 'x', not 32"):
        export_files(file, to="bin")
