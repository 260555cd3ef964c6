"""Each kind of damage has an error of its own, which says what is wrong and where."""

import importlib
import json
import re

import pytest

from mxref.vectors import VectorError, load, load_manifest, verify
from mxref.vectors.model import SET_VERSION, FileEntry, Manifest, manifest_text, sha256

# Not `import ... as`: the package also has a function of that name.
generator = importlib.import_module("mxref.vectors.generate")
NAME = "decode/e4m3.ocp.json"


def edit(path, old, new, count=1):
    text = path.read_text(encoding="ascii")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="ascii", newline="\n")


def rehash(root):
    """What a forger does: bring the manifest in line with the edited files."""
    manifest = load_manifest(root / "manifest.json")
    files = {}
    for name, entry in manifest.files.items():
        data = (root / name).read_bytes()
        files[name] = FileEntry(sha256(data), len(data), entry.cases)
    text = manifest_text(Manifest(manifest.set_version, manifest.generator_version, files))
    (root / "manifest.json").write_text(text, encoding="ascii", newline="\n")


def test_an_intact_set_has_no_problems(small_set):
    result = verify(small_set)
    assert result.ok, str(result)
    assert (result.files, result.cases) == (12, 512)  # the core set has six files, too


def single(root, message):
    result = verify(root)
    assert not result.ok
    assert any(re.search(message, p) for p in result.problems), str(result)
    return result


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"cases":[', '"cases":[[', "damaged JSON at line"),
        ('"format":"e4m3"', '"format":e4m3', "damaged JSON at line 5"),
        ('"schema":2', '"schema":4', "schema version 4 is newer than this mxref"),
        ('"schema":2', '"schema":3', "schema: expected 2, got 3"),
        ('"schema":2', '"schema":0', "schema: 0 is none of 2, 3"),
        ('"schema":2', '"schema":true', "schema: True is none of 2, 3"),
        ('"format":"e4m3"', '"format":"e4m9"', "unknown element or scale format 'e4m9'"),
        ('"operation":"decode"', '"operation":"encode"', r"cases\[0\].*"),
        ('"operation":"decode"', '"operation":"deocde"', "'deocde' is none of encode, decode"),
        ('"flags":[', '"note":"x","flags":[', r"cases\[0\]: unknown field 'note'"),
        (',"comment":"every-code"', "", r"cases\[0\]: the field 'comment' is missing"),
        ('"flags":[', '"flags":[],"flags":[', "the field 'flags' appears twice"),
        ('"flags":[', '"flags":[1,', r"cases\[0\]\.flags\[0\]: expected a string, got 1"),
        (
            f'"set_version":"{SET_VERSION}"',
            '"set_version":"one"',
            "set_version: 'one' does not match",
        ),
        ('{"code":"00"}', '{"code":"0"}', r"cases\[0\]\.in\.code: '0' does not match"),
        (
            '{"code":"05"}',
            '{"code":"06"}',
            "wrong id: the hash .* the id or the inputs were edited",
        ),
        ('"verdict":"must"', '"verdict":"one_of"', "the verdict one_of needs the field 'one_of'"),
        ('"verdict":"must"', '"verdict":"maybe"', "'maybe' is none of must, one_of, open"),
        ('"out":{"value":"00000000"},', "", "exactly one of the fields out, one_of must be there"),
        ("OFP8-1.0/e4m3", "OFP8-1.0/e4m4", "unknown clause 'OFP8-1.0/e4m4'"),
        ('"rounding":"nearest-even"', '"rounding":"nearest-evn"', "unknown choice for rounding"),
        (
            '"rounding":"nearest-even"',
            '"rounding":"toward-zero"',
            "the policy is called 'ocp', but",
        ),
        ('"rounding":"nearest-even",', "", "the policy says nothing about rounding"),
        ('"any-nan"', '"any-inf"', "'any-inf' is none of any-nan"),
        ('"schema":2,', '"schema": 2,', "line 2 is not in canonical form"),
    ],
)
def test_an_edited_file(small_set, old, new, message):
    path = small_set / NAME
    edit(path, old, new)
    with pytest.raises(VectorError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    single(small_set, f"^{NAME}: .*{message}")


def test_a_truncated_file(small_set):
    path = small_set / NAME
    data = path.read_bytes()
    for keep in (len(data) // 2, len(data) - 4, 1):
        path.write_bytes(data[:keep])
        single(small_set, f"^{NAME}: the file is truncated: it ends inside line")


def test_an_empty_file(small_set):
    (small_set / NAME).write_bytes(b"")
    single(small_set, f"^{NAME}: the file is empty")


def test_a_binary_file(small_set):
    path = small_set / NAME
    data = bytearray(path.read_bytes())
    data[100] = 0xFF
    path.write_bytes(bytes(data))
    single(small_set, f"^{NAME}: byte 100 is 0xff")


def test_a_file_that_lost_a_line(small_set):
    path = small_set / NAME
    lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    path.write_text("".join(lines[:20] + lines[21:]), encoding="ascii", newline="\n")
    single(small_set, f"^{NAME}: SHA-256 is .* the manifest says")
    rehash(small_set)
    single(small_set, f"manifest.json: {NAME} has 25[0-9] cases, not 256")


def test_a_changed_expectation(small_set):
    path = small_set / NAME
    text = path.read_text(encoding="ascii")
    line = next(ln for ln in text.splitlines() if '"code":"38"' in ln)
    number = json.loads(line.rstrip(","))["id"]
    edit(path, line, line.replace("3f800000", "3f800001"))
    result = single(
        small_set, f"^{NAME}: case {number} .*the file expects 3f800001.*gives 3f800000"
    )
    assert any("SHA-256" in p for p in result.problems)
    rehash(small_set)  # even where the hash agrees
    result = single(small_set, f"^{NAME}: case {number} .*code 38.*the file expects 3f800001")
    assert not any("SHA-256" in p for p in result.problems)
    assert any("line 65 differs from its .json twin" in p for p in result.problems), str(result)


def test_a_mislabelled_member(small_set):
    edit(small_set / NAME, '[{"decode_nan":"signed"}]', '[{"decode_nan":"canonical"}]')
    single(small_set, "2 members are labelled with the policy ocp, expected one")


def test_an_edited_hex_file(small_set):
    path = small_set / "decode/e4m3.ocp.hex"
    edit(path, " 0 1 00 00000000", " 0 1 00 00000001")
    result = single(small_set, "^decode/e4m3.ocp.hex: SHA-256 is")
    assert any("decode/e4m3.ocp.hex: line 9 differs" in p for p in result.problems), str(result)


@pytest.mark.parametrize("name", [NAME, "decode/e4m3.ocp.hex", "schema.json", "VERSION"])
def test_a_missing_file(small_set, name):
    (small_set / name).unlink()
    single(small_set, f"^{name}: the manifest lists this file, but it is missing")


def test_a_file_too_many(small_set):
    (small_set / "decode/extra.json").write_text("{}")
    single(small_set, "^decode/extra.json: the manifest does not list this file")


def test_what_people_write_is_no_file_too_many(small_set):
    (small_set / "README.md").write_text("words")
    assert verify(small_set).ok


def test_a_renamed_file(small_set):
    """A copy under another name, hashes and all."""
    manifest = load_manifest(small_set / "manifest.json")
    for suffix in (".json", ".hex"):
        (small_set / f"decode/e4m3.ocp{suffix}").write_bytes(
            (small_set / f"decode/e5m2.ocp{suffix}").read_bytes()
        )
    rehash(small_set)
    assert manifest.files
    single(small_set, f"^{NAME}: its header says decode/e5m2.ocp.json")


def test_an_edited_schema(small_set):
    edit(small_set / "schema.json", '"additionalProperties": false', '"additionalProperties": true')
    single(small_set, "^schema.json: not the schema of version 3")


def test_another_version(small_set):
    (small_set / "VERSION").write_text("9.9.9\n")
    single(small_set, f"^VERSION: not {SET_VERSION}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (None, None, "cannot be read: No such file"),
        ('"files":{', '"files":{{', "damaged JSON at line"),
        ('"schema":2', '"schema":4', "schema version 4 is newer"),
        ('"cases":256', '"cases":"many"', "expected an integer, got 'many'"),
        ('"cases":256', '"cases":true', "expected an integer, got True"),
    ],
)
def test_a_damaged_manifest(small_set, old, new, message):
    path = small_set / "manifest.json"
    if old is None:
        path.unlink()
    else:
        edit(path, old, new)
    single(small_set, message)


def test_a_manifest_that_points_outside(small_set, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    edit(small_set / "manifest.json", '"VERSION"', '"../secret.json"')
    single(small_set, r"'\.\./secret.json' is no path inside the set")


def test_a_directory_that_is_not_there(tmp_path):
    single(tmp_path / "nowhere", "there is no such directory")


@pytest.mark.usefixtures("decode_jobs")
def test_regeneration_names_the_first_line(small_set, monkeypatch):
    assert verify(small_set, regenerate=True).ok
    edit(small_set / NAME, '"comment":"every-code"', '"comment":"every code"')
    rehash(small_set)
    assert verify(small_set).ok  # words are no concern of the values
    result = verify(small_set, regenerate=True)
    assert any(
        f"{NAME}: differs from what this mxref generates, first in line" in p
        for p in result.problems
    )
    fewer = generator.jobs()[:1]
    monkeypatch.setattr(generator, "jobs", lambda: fewer)
    result = verify(small_set, regenerate=True)
    assert any(
        "decode/e5m2.ocp.json: this mxref does not generate such a file" in p
        for p in result.problems
    )


def test_an_unreadable_file(small_set):
    path = small_set / NAME
    path.unlink()
    path.mkdir()
    result = verify(small_set)
    assert any("cannot be read" in p or "missing" in p for p in result.problems), str(result)


def test_deep_nesting_is_damage(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000 + "]" * 200_000 + "}\n")
    with pytest.raises(VectorError, match="damaged JSON"):
        load(path)


def test_damage_in_the_core_set(small_set):
    edit(small_set / "core" / NAME, '"verdict":"must"', '"verdict":"open"')
    single(small_set, f"^core/{NAME}: SHA-256 is")


def test_an_old_schema_is_read_as_what_it_is(small_set):
    path = small_set / NAME
    before = load(path)
    edit(path, '"schema":2,', '"schema":1,')
    assert load(path) == before
