import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from mxref.sweep import (
    DigestError,
    DigestFile,
    Subject,
    digests,
    load,
    load_roots,
    published,
    write,
)
from mxref.sweep.oracle import expected_runs
from mxref.vectors.read import load_manifest
from mxref.vectors.verify import _listing_problems

PUBLISHED = Path(__file__).resolve().parents[2] / "spec_vectors" / "digests"
SUBJECT = Subject.of("e2m1")


@pytest.fixture
def folder(tmp_path):
    for subject in (SUBJECT, Subject.of("e2m1", "ocp:rounding=up")):
        write(tmp_path / "set", DigestFile(subject, tuple(f"{n:064x}" for n in range(256))))
    return tmp_path / "set"


def test_a_set_reads_back(folder):
    file = load(folder, SUBJECT)
    assert file.digests[255] == f"{255:064x}"
    assert load_roots(folder) == {"e2m1.nearest-even": file.root, "e2m1.up": file.root}
    assert sorted(p.name for p in folder.iterdir()) == [
        "e2m1.nearest-even.json",
        "e2m1.up.json",
        "roots.json",
        "schema.json",
    ]
    assert all(p.stat().st_mode & 0o777 == 0o644 for p in folder.iterdir())


def test_writing_again_gives_the_same_bytes(folder):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    write(folder, load(folder, SUBJECT))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_files_follow_the_schema(folder):
    schema = json.loads((folder / "schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    for name in ("e2m1.nearest-even.json", "roots.json"):
        data = json.loads((folder / name).read_text())
        validator.validate(data)
        assert not validator.is_valid({**data, "more": 1})
        assert not validator.is_valid({k: v for k, v in data.items() if k != "license"})
    data = json.loads((folder / "e2m1.nearest-even.json").read_text())
    assert not validator.is_valid({**data, "chunks": data["chunks"][:-1]})
    assert not validator.is_valid({**data, "root": data["root"].upper()})


def damaged(folder, change):
    path = folder / "e2m1.nearest-even.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(DigestError) as caught:
        load(folder, SUBJECT)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "", "damaged JSON"),
        (lambda t: t[:-200], "damaged JSON"),
        (lambda _: "[" * 100_000, "damaged JSON"),
        (lambda _: "[]", "schema 1"),
        (lambda t: t.replace('"schema":1', '"schema":2'), "schema 1"),
        (lambda t: t.replace(f"{3:064x}", f"{4:064x}", 1), "not the hash of the chunks"),
        (lambda t: t.replace(f"{3:064x}", "xyz"), "256 SHA-256"),
        (lambda t: t.replace(f'"{3:064x}",\n', ""), "256 SHA-256"),
        (lambda t: t.replace('"chunks"', '"pieces"'), "'chunks'"),
        (lambda t: t.replace('"format":"e2m1"', '"format":"e2m3"'), "another cast"),
        (lambda t: t.replace("nearest-even", "nearest-away"), "another cast"),
        (lambda t: t.replace('"license"', '"licence"'), "not as mxref writes it"),
        (lambda t: t.replace(":16777216", ":16777215"), "not as mxref writes it"),
        (lambda t: t + "\n", "not as mxref writes it"),
        (lambda t: t.replace("CC0", "CC\N{DIGIT ZERO}\N{DEGREE SIGN}"), "no ASCII"),
    ],
)
def test_damage_is_named(folder, change, message):
    assert message in damaged(folder, change)


def test_the_file_of_another_subject_under_this_name(folder):
    (folder / "e2m1.up.json").replace(folder / "e2m1.nearest-even.json")
    with pytest.raises(DigestError, match="of another cast"):
        load(folder, SUBJECT)


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(DigestError, match="no such file"):
        load(folder, Subject.of("e4m3"))
    with pytest.raises(DigestError, match="no such folder"):
        load_roots(tmp_path / "nowhere")
    (folder / "e2m1.up.json").rename(folder / "e2m1.down.json")
    with pytest.raises(DigestError, match=r"e2m1\.down\.json is not listed"):
        load_roots(folder)
    (folder / "e2m1.down.json").unlink()
    with pytest.raises(DigestError, match=r"e2m1\.up\.json is listed, but the file is missing"):
        load_roots(folder)
    (folder / "roots.json").unlink()
    with pytest.raises(DigestError, match=r"roots\.json: there is no such file"):
        load_roots(folder)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"schema":1,"roots":[]}', '{"schema":1,"license":"x","roots":{"a":"b"}}']
)
def test_damaged_roots(folder, text):
    (folder / "roots.json").write_text(text)
    with pytest.raises(DigestError):
        load_roots(folder)


def test_writing_over_damaged_roots_is_refused(folder):
    file = load(folder, SUBJECT)
    (folder / "roots.json").write_text("{")
    with pytest.raises(DigestError, match="remove it"):
        write(folder, file)


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DigestError, match="file"):
        write(tmp_path / "file", DigestFile(SUBJECT, ("00" * 32,) * 256))
    (tmp_path / "set" / "e2m1.nearest-even.json").mkdir(parents=True)
    with pytest.raises(DigestError, match="cannot be read"):
        load(tmp_path / "set", SUBJECT)


# --- the published set -----------------------------------------------------------------------

present = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no spec_vectors beside the tests")


@present
def test_the_published_set_is_whole_and_of_this_mxref():
    roots = load_roots(PUBLISHED)
    wanted = {subject.name for subject in published()}
    assert set(roots) == wanted, "write the new ones with `mxref sweep --write`, remove the others"
    for subject in published():
        assert load(PUBLISHED, subject).root == roots[subject.name]
    assert (PUBLISHED / "schema.json").read_text() == digests.SCHEMA_TEXT
    validator = jsonschema.Draft202012Validator(json.loads(digests.SCHEMA_TEXT))
    for path in PUBLISHED.glob("*.json"):
        if path.name != "schema.json":
            validator.validate(json.loads(path.read_text()))


@present
def test_the_vectors_beside_it_do_not_miss_it_in_their_manifest():
    root = PUBLISHED.parent
    problems = list(_listing_problems(root, load_manifest(root / "manifest.json")))
    assert not [problem for problem in problems if "digests" in problem]


@present
@pytest.mark.parametrize("subject", published()[::9], ids=lambda s: s.name)
def test_published_digests_follow_from_the_oracle_alone(subject):
    """Chunks that hold one code throughout need no kernel, and no cast at all."""
    runs = expected_runs(subject.format, subject.policy)
    file = load(PUBLISHED, subject)
    plain = {}
    for chunk, digest in enumerate(file.digests):
        pieces = runs.within(chunk << 24, 1 << 24)
        if len(pieces) == 1:
            plain.setdefault(pieces[0][2], set()).add(digest)
    assert plain
    for code, found in plain.items():
        assert found == {hashlib.sha256(bytes([code]) * (1 << 24)).hexdigest()}
