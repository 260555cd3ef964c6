import importlib
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from mxref.vectors import VectorError, generate, load, load_manifest, plan, verify
from mxref.vectors.model import case_id, sha256
from mxref.vectors.operations import FAMILY

# Not `import ... as`: the package also has a function of that name.
generator = importlib.import_module("mxref.vectors.generate")


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("few_jobs")
def test_files_of_the_committed_set_are_byte_identical(committed, tmp_path):
    """`mxref vectors verify --regenerate`, in `make test`, does it for all of them."""
    generate(tmp_path)
    # What is in the core, and the manifests, depends on all files.
    apart = ("core/", "manifest.json")
    found = contents(tmp_path)
    fresh = {name: data for name, data in found.items() if not name.startswith(apart)}
    assert len(fresh) == 2 + 2 * 4
    assert [name for name, data in fresh.items() if (committed / name).read_bytes() != data] == []


@pytest.mark.usefixtures("few_jobs")
def test_processes_give_the_same_bytes(tmp_path):
    generate(tmp_path / "one")
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        # The patched list of jobs is the parent's; each job goes to a process by itself.
        generate(tmp_path / "two", executor=executor)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_committed_set_verifies(committed):
    result = verify(committed)
    assert result.ok, str(result)
    assert result.cases == load_manifest(committed / "manifest.json").case_count > 10_000


def sizes(manifest, family):
    """Bytes of the files of all operations of a family."""
    operations = {path: path.split("/")[0] for path in manifest.files}
    return sum(
        entry.size
        for path, entry in manifest.files.items()
        if FAMILY.get(operations[path]) == family
    )


def test_files_are_of_a_size_that_people_read(committed):
    manifest = load_manifest(committed / "manifest.json")
    assert max(entry.size for entry in manifest.files.values()) < 1.1e6
    assert sizes(manifest, "mx") < 61e6
    assert sizes(manifest, "nvfp4") + sizes(manifest, "bdr") < 14.2e6


def test_the_core_set_is_small_and_part_of_the_whole(committed, every_file):
    core = load_manifest(committed / "core" / "manifest.json")
    assert sizes(core, "mx") < 0.96e6
    assert sizes(core, "nvfp4") + sizes(core, "bdr") < 0.11e6
    assert core.size < 1.16e6  # with the schema
    paths = [p for p, entry in core.files.items() if entry.cases and p.endswith(".json")]
    assert {file.operation for file in every_file.values()} == {p.split("/")[0] for p in paths}
    for path in paths:
        few = load(committed / "core" / path)
        whole = {case.id: case for case in every_file[path].cases}
        assert few.cases
        assert all(whole[case.id] == case for case in few.cases)


def test_nothing_depends_on_the_machine_or_the_day(committed):
    for path in committed.rglob("*"):
        if path.suffix in {".json", ".hex"}:
            text = path.read_text(encoding="ascii")
            assert "\r" not in text
            assert not re.search(r"20\d\d-\d\d-\d\d|/(home|tmp|work|usr)/", text), path


@pytest.mark.usefixtures("decode_jobs")
def test_regenerating_over_a_set_changes_nothing(small_set):
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


@pytest.mark.usefixtures("decode_jobs")
def test_files_that_are_no_longer_made_are_removed(small_set, monkeypatch):
    fewer = generator.jobs()[:1]
    (small_set / "decode" / "notes.txt").write_text("mine")
    monkeypatch.setattr(generator, "jobs", lambda: fewer)
    generate(small_set)
    assert not (small_set / "decode" / "e5m2.ocp.hex").exists()
    assert not (small_set / "core" / "decode" / "e5m2.ocp.json").exists()
    assert (small_set / "decode" / "notes.txt").read_text() == "mine"
    (small_set / "decode" / "notes.txt").unlink()
    assert verify(small_set).ok


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


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VectorError, match="cannot make the folder"):
        generate(tmp_path / "file" / "set")  # all jobs: minutes, if it began


@pytest.mark.usefixtures("few_jobs")
def test_a_failed_write_leaves_the_old_file(small_set, monkeypatch):
    before = contents(small_set)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(VectorError, match="No space left"):
        generate(small_set)
    assert contents(small_set) == before


def test_ids_say_what_is_asked_and_nothing_else(every_file):
    seen = {}
    for file in every_file.values():
        for case in reversed(file.cases):  # the order plays no part
            assert case.id == case_id(file.operation, file.format, file.policy.name, case.inputs)
            assert seen.setdefault(case.id, case) is case, "two cases share an id"


def test_ids_survive_reordered_covergroups(files, monkeypatch):
    monkeypatch.setattr(plan, "ENCODE_ELEMENT", plan.ENCODE_ELEMENT[::-1])
    job = next(j for j in plan.jobs() if j.path == "encode/e2m3.ocp.json")
    reordered = plan.build(job)
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
