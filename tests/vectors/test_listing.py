"""Files with their counts, and cases by what they are about."""

from dataclasses import replace

import pytest

from mxref.vectors import VectorError
from mxref.vectors.listing import Wanted, find_cases, list_files


@pytest.fixture
def root(write_set, one_file, tmp_path):
    flagged = one_file()
    flagged = replace(flagged, cases=(replace(flagged.cases[0], flags=("D1",)), *flagged.cases[1:]))
    flagged = replace(flagged, cases=tuple(replace(c, flags=c.flags[:1]) for c in flagged.cases))
    names = ("encode/e2m1.ocp.json", "quantize/mxfp4.ocp.json")
    return write_set(tmp_path / "set", flagged, *map(one_file, names))


def test_every_file_with_its_counts(root):
    rows = list_files(root)
    assert sorted(r.path for r in rows) == [
        "decode/e2m1.ocp.json",
        "encode/e2m1.ocp.json",
        "quantize/mxfp4.ocp.json",
    ]
    by_path = {row.path: row for row in rows}
    decode = by_path["decode/e2m1.ocp.json"]
    assert decode.cases == 16
    assert decode.verdicts == {"must": 16, "one_of": 0, "open": 0}
    assert decode.covergroups == {"every-code": 16}
    encode = by_path["encode/e2m1.ocp.json"]
    assert sum(encode.covergroups.values()) == sum(encode.verdicts.values()) == encode.cases
    assert encode.as_json()["cases"] == encode.cases


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (Wanted(operation="encode"), lambda f, _: f.operation == "encode"),
        (Wanted(format="mxfp4"), lambda f, _: f.format == "mxfp4"),
        (Wanted(policy="ocp"), lambda f, _: f.policy.name == "ocp"),
        (Wanted(covergroup="midpoints"), lambda _, c: c.comment.startswith("midpoints")),
        (Wanted(clause="OP-NEG-ZERO"), lambda _, c: "OP-NEG-ZERO" in c.clauses),
        (Wanted(flag="D1"), lambda _, c: "D1" in c.flags),
        (Wanted(verdict="one_of"), lambda _, c: c.verdict == "one_of"),
        (
            Wanted(format="e2m1", covergroup="specials", verdict="must"),
            lambda f, c: (
                f.format == "e2m1" and c.comment.startswith("specials") and c.verdict == "must"
            ),
        ),
    ],
)
def test_exactly_the_cases_looked_for(root, wanted, holds):
    every = [(f.path, c.id) for f, c in find_cases(root) if holds(f, c)]
    found = [(f.path, c.id) for f, c in find_cases(root, wanted)]
    assert found == every
    assert found


def test_counts_follow_what_is_asked(root):
    (row,) = list_files(root, Wanted(operation="encode", covergroup="midpoints"))
    assert row.covergroups["midpoints"] == row.cases
    assert row.covergroups["specials"] == 0


def test_one_file_is_enough(root):
    assert [row.cases for row in list_files(root / "decode/e2m1.ocp.json")] == [16]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(clause="OP-NEG-ZER"), "no clause 'OP-NEG-ZER'; the nearest: OP-NEG-ZERO"),
        (Wanted(flag="E1000"), "unknown fault 'E1000'"),
        (Wanted(verdict="may"), "unknown verdict 'may'"),
        (Wanted(covergroup="midpoint"), "unknown covergroup 'midpoint': did you mean 'midpoints'"),
        (Wanted(format="e9m9"), "no file of format e9m9"),
        (Wanted(operation="encode", policy="cuda"), "no file of operation encode, policy cuda"),
    ],
)
def test_unknown_words(root, wanted, message):
    with pytest.raises(VectorError, match=message.replace("(", r"\(")):
        list(find_cases(root, wanted))


def test_a_known_word_without_cases_gives_nothing(root):
    assert list(find_cases(root, Wanted(operation="decode", clause="OP-SCALE-RULE"))) == []


def test_no_set(tmp_path):
    with pytest.raises(VectorError, match="no such file or folder"):
        list(find_cases(tmp_path / "absent"))


def test_progress_names_each_file_once(root):
    calls = []
    list_files(root, progress=lambda *call: calls.append(call))
    assert [(done, total) for _, done, total in calls] == [(1, 3), (2, 3), (3, 3)]
    assert {name for name, _, _ in calls} == {row.path for row in list_files(root)}
