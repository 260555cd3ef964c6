"""Each rule of lint fires on a set that breaks it, and the published set breaks none."""

from dataclasses import replace

import pytest

from mxref.vectors import VectorError, Verdict
from mxref.vectors.lint import MAX_BYTES, lint
from mxref.vectors.model import Covered

IDLE = Covered("idle", "a reason", ("OP-PACKING",))


@pytest.mark.slow
def test_the_published_set_breaks_no_rule(committed):
    assert lint(committed) == []


@pytest.fixture
def broken(write_set, one_file, tmp_path):
    """Lint a set of one file, changed by a function; return what is said."""

    def run(change, name="decode/e2m1.ocp.json"):
        return lint(write_set(tmp_path / "set", change(one_file(name))))

    return run


def first_case(**changes):
    def change(file):
        return replace(file, cases=(replace(file.cases[0], **changes), *file.cases[1:]))

    return change


def test_an_unbroken_file_is_silent(broken):
    assert broken(lambda file: file) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first_case(comment="no-such-group: x"), "begins with no covergroup of the header"),
        (first_case(comment="every-code: " + "x" * 100), "the comment has 112 characters"),
        (first_case(comment="every-code: as in the previous case"), "says 'previous'"),
        (first_case(comment="every-code: case 7"), "says 'case 7'"),
        (first_case(comment="every-code: see the next vector"), "says 'next vector'"),
        (first_case(clauses=("OFP8-1.0/zero",)), "the header does not list OFP8-1.0/zero"),
        (first_case(flags=("E2", "D2")), "flags are not in order"),
        (first_case(flags=("D2", "D2")), "flags are not in order, or twice"),
        (first_case(flags=("D12", "D2")), "flags are not in order"),
        (first_case(flags=("X99",)), "no known fault has the id X99"),
        (first_case(verdict=Verdict.OPEN), "open, but no open point"),
        (
            lambda f: replace(
                f, covergroups=(*f.covergroups, Covered("idle", "r", ("OP-PACKING",)))
            ),
            "no case is of the covergroup idle",
        ),
        (
            lambda f: replace(f, covergroups=(replace(f.covergroups[0], reason=" "),)),
            "the covergroup every-code has no reason",
        ),
        (
            lambda f: replace(f, covergroups=(replace(f.covergroups[0], clauses=()),)),
            "the covergroup every-code is about no clause",
        ),
    ],
)
def test_a_breach_is_named_once(broken, change, message):
    problems = broken(change)
    assert len(problems) == 1, problems
    assert message in problems[0]
    assert problems[0].startswith("decode/e2m1.ocp.json: ")


@pytest.mark.parametrize(
    "words", ["-0 last", "next power of two", "just above 2^5", "line 95", "-Inf, then NaN"]
)
def test_places_inside_an_input_are_no_positions(broken, words):
    assert broken(first_case(comment=f"every-code: {words}")) == []


def test_one_of_needs_two_outputs_or_a_refusal(broken):
    def lone(file):
        member = replace(file.cases[0].members[0], when=({"relu": "off"},))
        return first_case(verdict=Verdict.ONE_OF, members=(member,))(file)

    assert "one_of, with one output" in broken(lone)[0]

    def refused(file):
        member = replace(file.cases[0].members[0], out=None, when=({"scale_inf": "raise"},))
        return first_case(verdict=Verdict.ONE_OF, members=(member,))(file)

    assert broken(refused) == []


def test_an_output_appears_once(broken):
    def twice(file):
        member = file.cases[0].members[0]
        return first_case(verdict=Verdict.ONE_OF, members=(member, member))(file)

    assert "listed twice" in broken(twice)[0]


def test_many_breaches_of_one_file_are_cut_short(broken):
    def every(file):
        return replace(file, cases=tuple(replace(c, comment="x") for c in file.cases))

    problems = [p for p in broken(every) if "case" in p]
    assert len([p for p in problems if "begins with no covergroup" in p]) == 10
    assert "and 6 more problems of cases" in problems[-1]


def test_blocks_must_say_what_they_are_about(broken):
    def alike(file):
        group = file.covergroups[0].name
        return replace(file, cases=tuple(replace(c, comment=group) for c in file.cases))

    problems = broken(alike, "quantize/mxfp4.ocp.json")
    assert any("cases have the comment" in p and "at most 256" in p for p in problems)


def test_an_id_belongs_to_one_file(write_set, one_file, tmp_path):
    root = write_set(tmp_path / "set", one_file())
    (root / "decode" / "copy.json").write_bytes((root / "decode/e2m1.ocp.json").read_bytes())
    problems = "\n".join(lint(root))
    assert "its header says that it is decode/e2m1.ocp.json" in problems or (
        "decode/e2m1.ocp.json: its header says" in problems
    )
    assert "as well" in problems
    assert "decode/copy.json is not listed with its cases" in problems
    assert "decode/copy.hex is not listed with its cases" in problems


def test_a_file_must_stay_small(broken, monkeypatch):
    monkeypatch.setattr("mxref.vectors.lint.MAX_BYTES", 1000)
    assert "bytes; a file has at most 1,000" in broken(lambda file: file)[0]
    assert MAX_BYTES == 1_100_000


def test_the_manifest_must_be_complete(write_set, one_file, tmp_path):
    root = write_set(tmp_path / "set", one_file())
    (root / "decode/e2m1.ocp.hex").unlink()
    assert "decode/e2m1.ocp.hex is listed, but it is missing" in lint(root)[0]
    (root / "manifest.json").unlink()
    assert "manifest.json: cannot be read" in lint(root)[0]


def test_a_damaged_file_is_a_problem_among_others(write_set, one_file, tmp_path):
    root = write_set(tmp_path / "set", one_file(), one_file("decode/e4m3.ocp.json"))
    path = root / "decode/e4m3.ocp.json"
    path.write_bytes(path.read_bytes()[:-30])
    problems = lint(root)
    assert len(problems) == 1
    assert problems[0].startswith("decode/e4m3.ocp.json: the file is truncated")


def test_a_core_set_inside_is_a_set_of_its_own(write_set, one_file, tmp_path):
    root = write_set(tmp_path / "set", one_file())
    write_set(root / "core", one_file())
    assert lint(root) == []


def test_no_set(tmp_path):
    with pytest.raises(VectorError, match="no such folder"):
        lint(tmp_path / "absent")
    with pytest.raises(VectorError, match="no vector file in this folder"):
        lint(tmp_path)
