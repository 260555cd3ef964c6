"""What kind of release a change needs, one change at a time."""

import json
from dataclasses import replace

import pytest

from mxref.vectors import Member, Output, VectorError, Verdict
from mxref.vectors.diff import Release, diff


@pytest.fixture
def compare(write_set, one_file, tmp_path):
    """Compare a set with the same set changed by a function; the new one has this version."""

    def run(change, version="1.0.0", name="decode/e2m1.ocp.json"):
        file = one_file(name)
        old = write_set(tmp_path / "old", file)
        changed = replace(change(file), set_version=version)
        return diff(old, write_set(tmp_path / "new", changed, version=version))

    return run


def first_case(**changes):
    def change(file):
        return replace(file, cases=(replace(file.cases[0], **changes), *file.cases[1:]))

    return change


def other_member(*members, verdict=Verdict.ONE_OF):
    return first_case(members=members, verdict=verdict)


ZERO = Member(Output((0,)), ({},))
NEGATIVE = Member(Output((0x80000000,)), ({},))
TWO = (Member(ZERO.out, ({"neg_zero": "keep"},)), Member(NEGATIVE.out, ({"neg_zero": "drop"},)))


def test_nothing_changed(compare):
    found = compare(lambda file: file)
    assert found.changes == ()
    assert (found.release, found.needed, found.ok) == (Release.NONE, "1.0.0", True)


@pytest.mark.parametrize(
    ("change", "kind", "release"),
    [
        (first_case(members=(NEGATIVE,)), "expected bits", Release.MAJOR),
        (lambda f: replace(f, cases=f.cases[1:]), "case removed", Release.MAJOR),
        (first_case(comment="every-code: zero"), "words", Release.PATCH),
        (first_case(flags=("D1", "D77")), "words", Release.PATCH),
        (first_case(clauses=("MX-1.0/5.3/fp4", "OP-NEG-ZERO")), "words", Release.PATCH),
        (lambda f: replace(f, compare=("any-nan",)), "header", Release.MINOR),
        (lambda f: replace(f, assumes=("rounding",)), "header", Release.MINOR),
        (lambda f: replace(f, clauses=()), "header", Release.PATCH),
        (lambda f: replace(f, covergroups=()), "header", Release.PATCH),
    ],
)
def test_one_change_has_one_kind_and_needs_one_release(compare, change, kind, release):
    found = compare(change)
    assert [c.kind for c in found.changes] == [kind]
    assert found.release is release
    assert not found.ok


def test_a_case_is_added(write_set, one_file, tmp_path):
    file = one_file()
    old = write_set(tmp_path / "old", replace(file, cases=file.cases[:-1]))
    found = diff(old, write_set(tmp_path / "new", file))
    (change,) = found.changes
    assert (change.kind, change.id) == ("case added", file.cases[-1].id)
    assert found.needed == "1.1.0"


def test_allowed_outputs_and_verdicts(write_set, one_file, tmp_path):
    file = one_file()
    narrow = write_set(tmp_path / "narrow", file)
    wide = write_set(tmp_path / "wide", other_member(*TWO)(file))
    added = {c.kind: c.release for c in diff(narrow, wide).changes}
    assert added["output added"] is Release.MINOR
    assert added["verdict"] is Release.MINOR
    assert diff(narrow, wide).release is Release.MINOR
    removed = {c.kind: c.release for c in diff(wide, narrow).changes}
    assert removed["output removed"] is Release.MAJOR
    assert removed["verdict"] is Release.MAJOR  # from a choice to a must


def test_open_may_become_nothing_stricter(write_set, one_file, tmp_path):
    file = one_file()
    must = write_set(tmp_path / "must", file)
    free = write_set(tmp_path / "free", first_case(verdict=Verdict.OPEN)(file))
    assert diff(must, free).release is Release.MINOR
    assert diff(free, must).release is Release.MAJOR


def test_the_other_member_is_expected_now(write_set, one_file, tmp_path):
    file = one_file()
    old = write_set(tmp_path / "old", other_member(*TWO)(file))
    new = write_set(tmp_path / "new", other_member(*reversed(TWO))(file))
    found = diff(old, new)
    assert found.release is Release.MAJOR
    assert "expected bits" in [c.kind for c in found.changes]
    assert not any(c.kind.startswith("output") for c in found.changes)


def test_labels_alone_are_minor(write_set, one_file, tmp_path):
    file = one_file()
    old = write_set(tmp_path / "old", other_member(*TWO)(file))
    other = (TWO[0], Member(NEGATIVE.out, ({"neg_zero": "drop-input"},)))
    found = diff(old, write_set(tmp_path / "new", other_member(*other)(file)))
    assert [(c.kind, c.release) for c in found.changes] == [("labels", Release.MINOR)]


def test_a_narrower_excuse_is_major(write_set, one_file, tmp_path):
    file = one_file()
    old = write_set(tmp_path / "old", replace(file, compare=("any-nan",), assumes=("relu",)))
    found = diff(old, write_set(tmp_path / "new", file))
    assert {c.release for c in found.changes} == {Release.MAJOR}
    assert [c.detail for c in found.changes] == [
        "assumes no longer relu",
        "compare no longer any-nan",
    ]


@pytest.mark.parametrize(
    ("version", "ok"), [("1.0.0", False), ("1.0.9", False), ("1.9.9", False), ("2.0.0", True)]
)
def test_the_version_must_say_so(compare, version, ok):
    found = compare(first_case(members=(NEGATIVE,)), version)
    assert found.ok is ok
    assert found.needed == "2.0.0"
    assert ("raise its version" in str(found)) is not ok


def test_versions_compare_as_numbers(compare):
    assert compare(first_case(comment="every-code: zero"), "1.0.10").ok
    older = compare(lambda file: file, "0.9.0")
    assert not older.ok
    assert "is older than" in str(older)


def test_files_may_be_renamed_and_cases_sorted(write_set, one_file, tmp_path):
    file = one_file()
    old = write_set(tmp_path / "old", file)
    new = write_set(tmp_path / "new", replace(file, cases=file.cases[::-1]))
    (new / "decode/e2m1.ocp.json").rename(new / "decode/other.json")
    assert diff(old, new).changes == ()
    assert diff(old / "decode/e2m1.ocp.json", new / "decode/other.json").changes == ()


def edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_an_old_schema_and_other_policy_fields_are_bridged(write_set, one_file, tmp_path):
    file = one_file()
    old = write_set(tmp_path / "old", file)
    new = write_set(tmp_path / "new", file)

    def older(data):
        data["schema"] = 1
        del data["policy"]["choices"]["relu"]
        data["policy"]["choices"]["forgotten"] = "once"

    edit(old / "decode/e2m1.ocp.json", older)
    found = diff(old, new)
    assert [c.detail for c in found.changes] == [
        "schema version 1 is 2",
        "policy field forgotten is gone",
        "policy field relu is new: off",
    ]
    assert found.release is Release.MAJOR


def test_a_changed_choice_is_major(write_set, one_file, tmp_path):
    old = write_set(tmp_path / "old", one_file())
    new = write_set(tmp_path / "new", one_file())
    edit(new / "decode/e2m1.ocp.json", lambda d: d["policy"]["choices"].update(relu="on"))
    (change,) = diff(old, new).changes
    assert (change.detail, change.release) == ("policy field relu was off, is on", Release.MAJOR)


def test_text_and_json_say_the_same(compare):
    found = compare(first_case(members=(NEGATIVE,)))
    text, document = str(found), found.as_json()
    identity = found.changes[0].id
    assert text.startswith("expected bits: 1 (major)")
    assert f"{identity} {{value:00000000}} is {{value:80000000}}" in text
    assert document["changes"][0]["id"] == identity
    assert document["needed_version"] == "2.0.0"
    assert document["counts"] == {"expected bits": 1}
    assert json.loads(json.dumps(document)) == document


def test_a_long_list_is_cut_short_in_text_only(compare):
    found = compare(lambda file: replace(file, cases=file.cases[:1]))
    assert "and 5 more; --json has them all" in str(found)
    assert len(found.as_json()["changes"]) == 15


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "VERSION").write_text("1.0\n"), "no version of three numbers"),
        (lambda root: (root / "VERSION").write_text("1.2.3\n"), "the rest of the set is 1.2.3"),
        (
            lambda root: edit(root / "decode/e2m1.ocp.json", lambda d: d.pop("cases")),
            "the field 'cases' is missing",
        ),
        (
            lambda root: edit(root / "decode/e2m1.ocp.json", lambda d: d.update(schema=99)),
            "schema version 99 is newer",
        ),
        (
            lambda root: edit(
                root / "decode/e2m1.ocp.json", lambda d: d["cases"].append(d["cases"][0])
            ),
            "is in decode e2m1 ocp as well",
        ),
    ],
)
def test_a_damaged_side_is_an_error(write_set, one_file, tmp_path, spoil, message):
    old, new = (write_set(tmp_path / name, one_file()) for name in ("old", "new"))
    spoil(new)
    with pytest.raises(VectorError, match=message):
        diff(old, new)


def test_a_folder_and_a_file_cannot_be_compared(write_set, one_file, tmp_path):
    root = write_set(tmp_path / "old", one_file())
    with pytest.raises(VectorError, match="compare two folders, or two files"):
        diff(root, root / "decode/e2m1.ocp.json")
    with pytest.raises(VectorError, match="no such file or folder"):
        diff(root, tmp_path / "absent")
