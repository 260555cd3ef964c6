"""A strength that is measured must be able to sink."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mxref.faults import FAULTS
from mxref.vectors import strength
from mxref.vectors.core import Shown, core_directory, core_of
from mxref.vectors.model import Verdict
from mxref.vectors.strength import Survey, strength_of

NAMES = ("encode/e2m1.ocp.json", "decode/e4m3.ocp.json", "quantize/mxfp4.ocp.json")


def without(file, unwanted):
    kept = tuple(case for case in file.cases if not unwanted(case))
    assert 0 < len(kept) < len(file.cases)
    return replace(file, cases=kept)


def status(file, fault, detail):
    (row,) = (r for r in strength_of(file) if (r.fault, r.detail) == (fault, detail))
    return row


def test_ties_are_needed_to_see_how_ties_are_rounded(every_file):
    file = every_file["encode/e2m1.ocp.json"]
    assert status(file, "E1", "ties away from zero").status == "killed"
    blunt = without(file, lambda case: "E1" in case.flags)
    row = status(blunt, "E1", "ties away from zero")
    assert (row.status, row.by, row.count) == ("unkilled", "", 0)
    assert not strength.Strength((row,)).ok


def test_the_case_that_kills_is_one_of_ties(every_file):
    file = every_file["encode/e2m1.ocp.json"]
    row = status(file, "E1", "ties away from zero")
    case = next(case for case in file.cases if case.id == row.by)
    assert "tie" in case.comment
    assert "E1" in case.flags
    assert case.verdict is Verdict.MUST


@pytest.mark.parametrize("path", NAMES)
def test_flags_are_those_of_a_fresh_survey(every_file, path):
    file = every_file[path]
    assert {case.id: case.flags for case in file.cases} == Survey(file).flags()
    assert set().union(*(case.flags for case in file.cases)) <= set(FAULTS)


@pytest.mark.parametrize("path", NAMES)
def test_the_core_shows_what_the_whole_shows(every_file, path):
    file = every_file[path]
    kills = Survey(file).kills()
    (few,) = core_of([Shown(file, kills)])
    assert Survey(few).kills().keys() == kills.keys()
    assert len(few.cases) < len(file.cases) / 10
    # Greedy is not the least there is, but no case of it can be spared.
    for case in few.cases:
        rest = {other.id for other in few.cases} - {case.id}
        assert not all(rest & set(ids) for ids in kills.values())


def test_layouts_are_probed_once_whatever_the_element(every_file):
    paths = [p for p in every_file if p.startswith("dequantize_tensor/")]
    shown = [Shown(every_file[p], Survey(every_file[p]).kills()) for p in paths]
    chosen = core_of(shown)
    found = {fault for file in chosen for fault in Survey(file).kills()}
    assert found == {fault for each in shown for fault in each.kills}
    assert len(chosen) < len(shown)


def test_products_of_matrices_are_in_the_core_for_their_places(every_file):
    paths = [p for p in every_file if p.startswith("matmul/mxfp6")]
    shown = [Shown(every_file[p], Survey(every_file[p]).kills()) for p in paths]
    (few,) = core_of(shown)
    assert {fault for fault in Survey(few).kills() if fault[0][0] == "L"} == {
        fault for each in shown for fault in each.kills if fault[0][0] == "L"
    }
    assert len(few.cases) <= 3


def test_a_choice_that_the_standard_leaves_is_no_defect(every_file):
    row = status(every_file["encode/e2m1.ocp.json"], "E19", "every -0")
    assert row.status == "legal"
    assert "neg_zero=drop" in row.reason
    row = status(every_file["encode/e4m3.ocp.json"], "E19", "every -0")
    assert row.status == "killed"  # OFP8-1.0/sign


def test_allowed_outputs_that_no_policy_gives_together(every_file):
    # The sign of an underflow is lost, that of a zero is kept: each is a member by itself.
    row = status(every_file["encode/e2m1.ocp.json"], "E19", "underflow only")
    assert row.status == "inconsistent"


def test_the_counts_add_up(every_file):
    found = strength.Strength(strength_of(every_file["decode/e2m1.ocp.json"]))
    assert sum(found.counts().values()) == len(found.rows) == len(found.as_json()["rows"])
    assert found.ok


def test_every_fault_runs_or_says_why_it_cannot(committed):
    page = (committed.parent / "docs" / "strength.md").read_text(encoding="utf-8")
    by_fault = page.split("## By fault")[1].split("## What no input")[0]
    run = set(re.findall(r"^\| ([A-Z]\d+) \|", by_fault, re.MULTILINE))
    for fault, reason in strength.without_model([SimpleNamespace(fault=f) for f in run]).items():
        assert reason, fault
    assert len(run) > 70


def test_the_core_set_is_found():
    assert (core_directory() / "manifest.json").is_file()
