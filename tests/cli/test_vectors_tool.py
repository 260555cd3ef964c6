"""`mxref vectors`: the commands that look at a set, compare it, mend it, or take it elsewhere."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

from mxref.vectors import load
from mxref.vectors.hexfile import hex_text
from mxref.vectors.model import FileEntry, Manifest, manifest_text, sha256, vector_file_text

ROOT = Path(__file__).resolve().parents[2]
WRITERS = ("generate", "verify", "fmt")
NAMES = ("decode/e2m1.ocp.json", "encode/e2m1.ocp.json")


@pytest.fixture
def vectors(tmp_path):
    """A set of two published files, rewritten in the present schema version."""
    root = tmp_path / "set"
    entries = {}
    for name in NAMES:
        file = load(ROOT / "spec_vectors" / name)
        version = file.set_version
        for path, text in ((file.path, vector_file_text(file)), (file.hex_path, hex_text(file))):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="ascii", newline="\n")
            entries[path] = FileEntry(sha256(text.encode()), len(text), len(file.cases))
    (root / "manifest.json").write_text(manifest_text(Manifest(version, "0", entries)))
    (root / "VERSION").write_text(version + "\n")
    return root


@pytest.fixture
def tool(invoke):
    def run(*args):
        result = invoke("vectors", *args)
        assert result.exit_code in (0, 1), result.output
        assert result.stderr == ""
        if "--json" not in args:
            assert all(len(line) <= 80 for line in result.stdout.splitlines()), result.stdout
        return result

    return run


def spoil(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_help_names_every_command(invoke):
    text = invoke("vectors", "--help").stdout
    for name in (*WRITERS, "lint", "diff", "export", "strength", "list", "explain"):
        assert f"\n  {name} " in text


# --- fmt -------------------------------------------------------------------------------------


def test_fmt_checks_then_mends(invoke, vectors):
    path = vectors / NAMES[0]
    before = path.read_bytes()
    assert invoke("vectors", "fmt", "--check", vectors).exit_code == 0
    path.write_text(json.dumps(json.loads(before)))
    checked = invoke("vectors", "fmt", "--check", vectors)
    assert checked.exit_code == 1
    assert f"{path}: not canonical" in checked.stdout
    mended = invoke("vectors", "fmt", vectors, "--json")
    assert mended.exit_code == 0
    assert json.loads(mended.stdout)["changed"] == [str(path)]
    assert path.read_bytes() == before


def test_fmt_leaves_damage_alone(invoke, vectors):
    path = vectors / NAMES[0]
    path.write_bytes(path.read_bytes()[:-30])
    before = path.read_bytes()
    result = invoke("vectors", "fmt", vectors)
    assert result.exit_code == 1
    assert "the file is truncated" in result.stdout
    assert "5 files" not in result.stdout
    assert "1 damaged" in result.stdout
    assert path.read_bytes() == before


def test_fmt_needs_files(fails, tmp_path):
    assert "no such file or folder" in fails("vectors", "fmt", tmp_path / "absent")


# --- lint ------------------------------------------------------------------------------------


def test_lint(tool, vectors):
    assert "no problems" in tool("lint", "--directory", vectors).stdout
    spoil(vectors / NAMES[1], '"comment":"specials', '"comment":"special')
    result = tool("lint", "--directory", vectors, "--json")
    assert result.exit_code == 1
    assert "begins with no covergroup" in json.loads(result.stdout)["problems"][0]


def test_lint_needs_a_set(fails, tmp_path):
    assert "mxref vectors generate" in fails("vectors", "lint", "--directory", tmp_path / "no")


# --- diff ------------------------------------------------------------------------------------


def test_diff_says_which_release(invoke, vectors, tmp_path):
    new = Path(shutil.copytree(vectors, tmp_path / "new"))
    assert invoke("vectors", "diff", vectors, new).exit_code == 0
    path = new / NAMES[0]
    spoil(path, '"3f800000"', '"3f800001"')
    result = invoke("vectors", "diff", vectors, new)
    assert result.exit_code == 1
    assert "expected bits: 1 (major)" in result.stdout
    assert "raise its version" in result.stdout
    found = json.loads(invoke("vectors", "diff", vectors / NAMES[0], path, "--json").stdout)
    assert (found["release"], found["ok"]) == ("major", False)


def test_diff_cannot_compare(fails, vectors, tmp_path):
    fails("vectors", "diff", vectors, vectors / NAMES[0])
    fails("vectors", "diff", vectors, tmp_path / "absent")
    spoil(vectors / NAMES[0], '"cases":[', '"cases":[[')
    assert "damaged JSON" in fails("vectors", "diff", vectors, vectors)


# --- list and explain ------------------------------------------------------------------------


def test_list_files_and_cases(tool, vectors):
    text = tool("list", "--directory", vectors).stdout
    assert "decode/e2m1.ocp.json: 16 cases (16 must)" in text
    assert "  every-code 16" in text
    assert text.splitlines()[-1].startswith("2 files, ")
    rows = json.loads(tool("list", "--directory", vectors, "--format", "e2m1", "--json").stdout)
    assert {row["path"] for row in rows} == set(NAMES)
    text = tool("list", "--directory", vectors, "--covergroup", "specials").stdout
    lines = text.splitlines()
    assert lines[-1] == f"{len(lines) - 1} cases"
    assert all("encode e2m1  specials" in line for line in lines[:-1])
    found = json.loads(tool("list", "--directory", vectors, "--verdict", "one_of", "--json").stdout)
    assert found
    assert {case["verdict"] for case in found} == {"one_of"}


def test_list_and_unknown_words(fails, vectors):
    where = ("vectors", "list", "--directory", vectors)
    assert "the nearest: OP-NEG-ZERO" in fails(*where, "--clause", "OP-NEG-ZER")
    assert "unknown fault 'E1000'" in fails(*where, "--flag", "E1000")
    assert "did you mean 'specials'" in fails(*where, "--covergroup", "special")
    assert "no file of format e4m9" in fails(*where, "--format", "e4m9")


def test_explain(tool, vectors):
    case = load(vectors / NAMES[0]).cases[7]
    text = tool("explain", case.id, "--directory", vectors).stdout
    assert text.startswith(f"case {case.id}\n")
    assert "MX-1.0/5.3/fp4" in text
    assert tool("explain", case.id[:9], "--directory", vectors).stdout == text
    document = json.loads(tool("explain", case.id, "--directory", vectors, "--json").stdout)
    assert document["case"]["id"] == case.id


def test_explain_fails_clearly(fails, vectors):
    assert "is no id of a case" in fails("vectors", "explain", "xyz", "--directory", vectors)
    message = fails("vectors", "explain", "0123456789ab", "--directory", vectors)
    assert "no case has an id that begins with" in message
    message = fails("vectors", "explain", "0", "--directory", vectors)
    assert "give more digits" in message


# --- export ----------------------------------------------------------------------------------


def test_export(tool, vectors, tmp_path):
    out = tmp_path / "out"
    text = tool("export", "--to", "csv", "--operation", "decode", "-o", out, vectors, "--json")
    files = json.loads(text.stdout)["files"]
    assert files
    assert all(Path(name).is_file() and "decode" in Path(name).name for name in files)


def test_export_fails_clearly(fails, vectors, tmp_path):
    message = fails("vectors", "export", "--to", "c", "-o", tmp_path / "out", tmp_path / "absent")
    assert "no such file or folder" in message
    fails("vectors", "export", "--to", "csv", "--format", "e9m9", "-o", tmp_path / "out", vectors)


# --- strength --------------------------------------------------------------------------------


def a_row(**changes):
    row = {
        "fault": "E1",
        "detail": "",
        "operation": "encode",
        "format": "e2m1",
        "policy": "ocp",
        "status": "killed",
        "by": "0123456789ab",
        "count": 7,
        "reason": "",
    }
    return module().Row(**{**row, **changes})


def module():
    return importlib.import_module("mxref.vectors.strength")


@pytest.fixture
def found(monkeypatch):
    """What the run of all faults comes to, without running them."""

    def give(*rows):
        monkeypatch.setattr(module(), "strength", lambda *_, **__: module().Strength(rows))

    return give


def test_strength_without_holes(tool, vectors, found):
    found(a_row(), a_row(fault="E2", detail="x", status="equivalent", by="", count=0, reason="r"))
    result = tool("strength", "--directory", vectors)
    assert result.exit_code == 0
    assert "encode e2m1 ocp: 1 killed, 1 equivalent" in result.stdout
    assert "no holes" in result.stdout.splitlines()[-1]
    detail = tool("strength", "--directory", vectors, "--fault", "E1").stdout
    assert "killed, shown by 7 cases, such as 0123456789ab" in detail
    assert "E2" not in detail


def test_strength_with_a_hole(tool, vectors, found):
    found(a_row(), a_row(fault="E2", detail="every tie", status="unkilled", by="", count=0))
    result = tool("strength", "--directory", vectors)
    assert result.exit_code == 1
    assert "UNKILLED E2 every tie: encode e2m1 ocp" in result.stdout
    assert "1 holes" not in result.stdout.splitlines()[-1]
    document = json.loads(tool("strength", "--directory", vectors, "--json").stdout)
    assert document["ok"] is False
    assert document["counts"] == {"killed": 1, "unkilled": 1}
    one = tool("strength", "--directory", vectors, "--fault", "E1", "--json")
    assert one.exit_code == 0  # the hole is another fault's
    assert [row["fault"] for row in json.loads(one.stdout)["rows"]] == ["E1"]


def test_strength_of_a_real_file(tool, vectors):
    result = tool("strength", "--directory", vectors, "--operation", "decode")
    assert result.exit_code == 0, result.stdout
    assert "decode e2m1 ocp: " in result.stdout


def test_strength_fails_clearly(fails, vectors, tmp_path):
    where = ("vectors", "strength", "--directory", vectors)
    assert "unknown fault 'E1000'" in fails(*where, "--fault", "E1000")
    assert "nothing to run for format e9m9" in fails(*where, "--format", "e9m9")
    assert "no such folder" in fails("vectors", "strength", "--directory", tmp_path / "no")


@pytest.mark.parametrize("command", [["list"], ["list", "--flag", "S7"], ["verify"]])
def test_without_a_set_the_core_of_the_package_is_read(shell, tmp_path, command):
    done = shell("vectors", *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no spec_vectors here: this is the core set of the package" in done.stderr
    assert "core set" not in done.stdout


def test_a_folder_that_was_asked_for_has_no_stand_in(shell, tmp_path):
    done = shell("vectors", "list", "--directory", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere: there is no such folder" in done.stderr


def test_an_id_outside_the_core_says_where_it_was_looked_for(shell, tmp_path):
    done = shell("vectors", "explain", "038bf2f5b7d8", cwd=tmp_path)
    assert done.returncode == 2
    assert "core" in done.stderr
    assert "Traceback" not in done.stderr
