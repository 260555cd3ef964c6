"""fmt restores the form of a file, and leaves alone whatever is more than form."""

import json

import pytest

from mxref.vectors import VectorError, load
from mxref.vectors.fmt import fmt

NAME = "decode/e2m1.ocp.json"


@pytest.fixture
def root(write_set, one_file, tmp_path):
    return write_set(tmp_path / "set", one_file())


def snapshot(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def reformat(path, **options):
    path.write_text(json.dumps(json.loads(path.read_text()), **options))


def test_a_canonical_set_stays_as_it_is(root):
    before = snapshot(root)
    result = fmt([root])
    assert result.ok
    assert result.files == 3  # the file, its twin, the manifest
    assert snapshot(root) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: reformat(path, indent=2),
        lambda path: reformat(path, sort_keys=True),
        lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n")),
    ],
)
def test_form_alone_is_restored_byte_for_byte(root, damage):
    before = snapshot(root)
    damage(root / NAME)
    changed = snapshot(root)
    checked = fmt([root], check=True)
    assert checked.changed == (str(root / NAME),)
    assert not checked.ok
    assert snapshot(root) == changed  # a check changes nothing
    assert fmt([root / NAME]).changed == (str(root / NAME),)
    assert snapshot(root) == before
    assert fmt([root]).ok


def test_the_manifest_and_the_twin_follow(root):
    before = snapshot(root)
    reformat(root / "manifest.json", indent=1)
    twin = (root / NAME).with_suffix(".hex")
    twin.write_text(
        twin.read_text().replace("// verdict", "//  verdict").replace(" 0 1 ", "  0 1 ")
    )
    result = fmt([root])
    assert set(result.changed) == {str(twin), str(root / "manifest.json")}
    assert snapshot(root) == before


def test_nested_sets_and_single_files_are_reached(root, write_set, one_file):
    write_set(root / "core", one_file())
    reformat(root / "core" / NAME, indent=2)
    assert fmt([root], check=True).changed == (str(root / "core" / NAME),)
    assert fmt([root / NAME], check=True).ok


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"cases":[', '"cases":[[', "damaged JSON at line"),
        ('{"code":"05"}', '{"code":"06"}', "wrong id"),
        ('"flags":[]', '"flags":[],"note":""', "unknown field 'note'"),
        ('"command":"mxref', '"command":"somebody', "says something else in provenance"),
        ('"schema":2', '"schema":4', "schema version 4 is newer"),
        ('"schema":2', '"schema":1', "of schema version 1, the canonical text is of version 2"),
    ],
)
def test_what_is_more_than_form_is_an_error_and_stays(root, old, new, message):
    path = root / NAME
    text = path.read_text()
    if old == '"flags":[]':  # the published cases may have flags
        text = text.replace(text[text.index('"flags":[') :].partition("]")[0] + "]", old, 1)
    assert old in text
    path.write_text(text.replace(old, new, 1))
    before = snapshot(root)
    result = fmt([root])
    assert len(result.errors) == 1
    assert message in result.errors[0]
    assert not result.ok
    assert snapshot(root) == before


def test_a_truncated_file_has_its_own_error(root):
    path = root / NAME
    path.write_bytes(path.read_bytes()[:-20])
    assert "truncated" in fmt([root]).errors[0]


def test_a_twin_with_other_cases_is_not_overwritten(root):
    path = (root / NAME).with_suffix(".hex")
    path.write_text(path.read_text().replace("3f800000", "3f800001"))
    before = snapshot(root)
    result = fmt([root])
    assert "case 3 is not that of its .json twin" in result.errors[0]
    assert snapshot(root) == before


def test_contents_survive(root):
    before = load(root / NAME)
    reformat(root / NAME, indent=4)
    fmt([root])
    assert load(root / NAME) == before


def test_nothing_to_format(tmp_path):
    with pytest.raises(VectorError, match="no such file or folder"):
        fmt([tmp_path / "absent"])
    with pytest.raises(VectorError, match="no vector file in this folder"):
        fmt([tmp_path])
