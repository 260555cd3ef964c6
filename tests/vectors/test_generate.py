import importlib
import re

import pytest

from mxref.vectors import VectorError, generate, load_manifest, verify
from mxref.vectors.model import case_id, sha256

# Not `import ... as`: the package also has a function of that name.
generator = importlib.import_module("mxref.vectors.generate")


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_committed_set_is_byte_identical(committed, tmp_path):
    generate(tmp_path)
    fresh, kept = contents(tmp_path), contents(committed)
    by_hand = {"README.md", "CHANGELOG.md", "LICENSE"}
    assert {p for p in kept if not p.startswith("digests/")} - by_hand == set(fresh)
    assert [name for name in fresh if fresh[name] != kept[name]] == []


def test_the_committed_set_verifies(committed):
    result = verify(committed)
    assert result.ok, str(result)
    assert result.cases == load_manifest(committed / "manifest.json").case_count > 10_000


def test_files_are_of_a_size_that_people_read(committed):
    manifest = load_manifest(committed / "manifest.json")
    assert max(entry.size for entry in manifest.files.values()) < 1_000_000
    assert manifest.size < 7e6


def test_nothing_depends_on_the_machine_or_the_day(committed):
    for path in committed.rglob("*"):
        if path.suffix in {".json", ".hex"}:
            text = path.read_text(encoding="ascii")
            assert "\r" not in text
            assert not re.search(r"20\d\d-\d\d-\d\d|/(home|tmp|work|usr)/", text), path


def test_regenerating_over_a_set_changes_nothing(small_set, monkeypatch):
    small = tuple(
        j for j in generator.jobs() if j.operation == "decode" and j.format.name in {"e4m3", "e5m2"}
    )
    monkeypatch.setattr(generator, "jobs", lambda: small)
    before = contents(small_set)
    generate(small_set)
    assert contents(small_set) == before


@pytest.mark.usefixtures("few_jobs")
def test_progress_is_reported(tmp_path):
    seen = []
    generate(tmp_path, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("quantize/mxfp8_e4m3.ocp.json", 4, 4)


@pytest.mark.usefixtures("few_jobs")
@pytest.mark.parametrize(
    "name", ["decode/e4m3.ocp.json", "manifest.json", "VERSION", "schema.json"]
)
def test_a_file_of_somebody_else_is_never_replaced(tmp_path, name):
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("my notes\n")
    with pytest.raises(VectorError, match=r"will not be replaced.*move it away"):
        generate(tmp_path)
    assert contents(tmp_path) == {name: b"my notes\n"}  # and nothing else was written


@pytest.mark.usefixtures("few_jobs")
def test_other_files_stay(tmp_path):
    (tmp_path / "encode").mkdir()
    (tmp_path / "encode" / "notes.txt").write_text("mine")
    generate(tmp_path)
    assert (tmp_path / "encode" / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("few_jobs")
def test_a_target_that_is_a_file(tmp_path):
    (tmp_path / "here").write_text("")
    with pytest.raises(VectorError, match="is no directory"):
        generate(tmp_path / "here")


@pytest.mark.usefixtures("few_jobs")
def test_a_failed_write_leaves_the_old_file(small_set, monkeypatch):
    before = contents(small_set)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(VectorError, match="No space left"):
        generate(small_set)
    assert contents(small_set) == before


def test_ids_say_what_is_asked_and_nothing_else(files):
    seen = {}
    for file in files.values():
        for case in reversed(file.cases):  # the order plays no part
            assert case.id == case_id(file.operation, file.format, "ocp", case.inputs)
            assert seen.setdefault(case.id, case) is case, "two cases share an id"


def test_ids_survive_reordered_covergroups(files, monkeypatch):
    monkeypatch.setattr(generator, "ENCODE_ELEMENT", generator.ENCODE_ELEMENT[::-1])
    job = next(j for j in generator.jobs() if (j.operation, j.format.name) == ("encode", "e2m3"))
    reordered = generator.build(job)
    old = {case.id: case.members for case in files["encode", "e2m3"].cases}
    assert {case.id: case.members for case in reordered.cases} == old
    assert [case.id for case in reordered.cases] != list(old)


def test_the_manifest_tells_the_truth(committed):
    manifest = load_manifest(committed / "manifest.json")
    for name, entry in manifest.files.items():
        data = (committed / name).read_bytes()
        assert (sha256(data), len(data)) == (entry.sha256, entry.size)
        if name.endswith(".hex"):
            assert sum(not line.startswith(b"//") for line in data.splitlines()) == entry.cases
