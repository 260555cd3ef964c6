"""The table of clauses is complete, well formed, and says what the code relies on."""

from __future__ import annotations

import dataclasses
import re
from types import MappingProxyType

import pytest

from mxref import clauses
from mxref.clauses import CLAUSES, ID_PATTERN, Evidence, Force

# The list of open points that the project works from, in order; ids never change.
OPEN_POINT_IDS = [
    "OP-SCALE-RULE",
    "OP-SCALE-LOG2",
    "OP-SCALE-QUOTIENT",
    "OP-SCALE-ZERO-BLOCK",
    "OP-SCALE-NONFINITE",
    "OP-SCALE-RANGE",
    "OP-SCALE-SUBNORMAL",
    "OP-E8M0-CAST",
    "OP-SCALE-FP32-OPERAND",
    "OP-ELEM-ROUNDING",
    "OP-ELEM-STOCHASTIC",
    "OP-FP8-OVERFLOW",
    "OP-NAN-ELEMENT",
    "OP-INF-ELEMENT",
    "OP-NAN-PAYLOAD",
    "OP-NEG-ZERO",
    "OP-INT8-MIN",
    "OP-SCALED-INTERMEDIATE",
    "OP-ELEM-SUBNORMAL",
    "OP-DECODE-OVERFLOW",
    "OP-DECODE-NAN",
    "OP-BLOCK-GEOMETRY",
    "OP-BLOCK-TAIL",
    "OP-PACKING",
    "OP-SCALE-LAYOUT",
    "OP-TRANSPOSE",
    "OP-DOT-PRECISION",
    "OP-DOT-GROUPING",
    "OP-DOT-SCALE-PLACE",
    "OP-DOT-OUTPUT",
    "OP-DOT-NAN",
    "OP-DOT-MIXED-TYPES",
    "OP-NVFP4-RECIPE",
    "OP-BDR-QUANTIZER",
    "OP-CONFORMANCE-CLAIM",
]

# The anchors that other modules may cite, with the force that the standards give them.
ANCHORS = {
    "MX-1.0/4.2/keywords": Force.DEFINITION,
    "MX-1.0/5.1/block": Force.DEFINITION,
    "MX-1.0/5.1/value": Force.DEFINITION,
    "MX-1.0/5.1/layout": Force.MAY,
    "MX-1.0/5.1/nan-scale": Force.DEFINITION,
    "MX-1.0/5.1/special-elements": Force.DEFINITION,
    "MX-1.0/5.1/overflow": Force.MAY,
    "MX-1.0/5.2/formats": Force.MUST,
    "MX-1.0/5.3/fp8": Force.MUST,
    "MX-1.0/5.3/fp6": Force.MUST,
    "MX-1.0/5.3/fp4": Force.MUST,
    "MX-1.0/5.3/int8": Force.MUST,
    "MX-1.0/5.3/subset": Force.MAY,
    "MX-1.0/5.3.4/int8-min": Force.MAY,
    "MX-1.0/5.4/e8m0": Force.MUST,
    "MX-1.0/6.1/dot": Force.MUST,
    "MX-1.0/6.1/precision": Force.MAY,
    "MX-1.0/6.2/dot-general": Force.DEFINITION,
    "MX-1.0/6.2/float32": Force.SHOULD,
    "MX-1.0/6.3/exists": Force.MUST,
    "MX-1.0/6.3/scale": Force.SHOULD,
    "MX-1.0/6.3/elements": Force.SHOULD,
    "MX-1.0/6.3/fp8-overflow": Force.MUST,
    "MX-1.0/6.3/rounding": Force.MUST,
    "MX-1.0/6.3/clamp": Force.MUST,
    "MX-1.0/6.3/underflow": Force.MUST,
    "MX-1.0/6.3/clamp-normal": Force.SHOULD,
    "OFP8-1.0/e4m3": Force.DEFINITION,
    "OFP8-1.0/e5m2": Force.DEFINITION,
    "OFP8-1.0/rounding": Force.MUST,
    "OFP8-1.0/nan": Force.MUST,
    "OFP8-1.0/inf-sat": Force.MUST,
    "OFP8-1.0/inf-ovf": Force.MUST,
    "OFP8-1.0/overflow-sat": Force.MUST,
    "OFP8-1.0/overflow-ovf": Force.MUST,
}

every_clause = pytest.mark.parametrize("clause", CLAUSES.values(), ids=lambda clause: clause.id)


# --- the table -------------------------------------------------------------------------------


def test_ids_are_unique():
    # CLAUSES is a mapping, so a second clause with an id would silently replace the first.
    assert len(CLAUSES) == len(clauses.normative()) + len(clauses.open_points())


def test_keys_are_the_ids_in_reading_order():
    assert list(CLAUSES) == [c.id for c in (*clauses.normative(), *clauses.open_points())]


@pytest.mark.parametrize(("clause_id", "force"), ANCHORS.items())
def test_anchors_exist_with_their_force(clause_id, force):
    assert CLAUSES[clause_id].force is force


def test_the_standards_come_in_the_order_of_their_sections():
    sections = [c.id.split("/")[1] for c in clauses.normative() if c.id.startswith("MX-1.0/")]
    assert sections == sorted(sections, key=lambda section: [*map(int, section.split("."))])


@every_clause
def test_ids_match_the_pattern_fully(clause):
    assert ID_PATTERN.fullmatch(clause.id)


@every_clause
def test_texts_are_one_short_sentence_line(clause):
    assert clause.text == clause.text.strip()
    assert "\n" not in clause.text
    assert "  " not in clause.text
    assert clause.text.endswith(".")
    assert len(clause.text) <= 240


@every_clause
def test_every_clause_names_a_source(clause):
    assert clause.source
    assert "\n" not in clause.source


@every_clause
def test_exactly_the_open_points_are_open(clause):
    is_open_point = clause.id.startswith("OP-")
    assert (clause.force is Force.OPEN) == is_open_point
    assert (clause.number is not None) == is_open_point
    assert bool(clause.choices) == is_open_point


@every_clause
def test_ids_cited_in_texts_exist(clause):
    cited = ID_PATTERN.findall(" ".join((clause.text, clause.source, *clause.choices)))
    assert set(cited) <= CLAUSES.keys()


@every_clause
def test_a_must_is_worded_as_something_required_or_stated(clause):
    # "should" or "may" in a must (or the reverse) would misquote the force of the standard.
    words = set(re.findall(r"[a-z]+", clause.text.casefold()))
    if clause.force is Force.MUST:
        assert not words & {"should", "may", "can"}
    if clause.force is Force.SHOULD:
        assert "should" in words
        assert "must" not in words


# --- open points -----------------------------------------------------------------------------


def test_all_open_points_are_present_in_order():
    points = clauses.open_points()
    assert [point.id for point in points] == OPEN_POINT_IDS
    assert [point.number for point in points] == list(range(1, 36))


@pytest.mark.parametrize("point", clauses.open_points(), ids=lambda point: point.id)
def test_open_points_have_distinct_alternatives(point):
    assert len(set(point.choices)) == len(point.choices) >= 2
    assert all(choice and len(choice) <= 120 for choice in point.choices)
    assert all(choice.count("(") == choice.count(")") for choice in point.choices)
    # An open point that nobody is known to decide either way would be speculation.
    assert any(choice.endswith(")") for choice in point.choices)


# --- evidence --------------------------------------------------------------------------------


def test_the_whole_of_ofp8_was_read_in_the_document_itself():
    ofp8 = [c for c in clauses.normative() if c.id.startswith("OFP8-1.0/")]
    unread = [c.id for c in ofp8 if c.evidence is not Evidence.PRIMARY]
    assert unread == ["OFP8-1.0/thresholds"]
    assert CLAUSES["OFP8-1.0/thresholds"].evidence is Evidence.COMPUTED


def test_primary_evidence_names_where_it_was_read():
    primary = [c for c in clauses.normative() if c.evidence is Evidence.PRIMARY]
    assert primary
    assert all("https://" in c.source for c in primary)


# --- access ----------------------------------------------------------------------------------


def test_get_returns_the_entry():
    assert clauses.get("OP-SCALE-RULE") is CLAUSES["OP-SCALE-RULE"]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("OP-SCALE-ZERO-BLOK", "OP-SCALE-ZERO-BLOCK"),
        ("op-dot-nan", "OP-DOT-NAN"),
        ("MX-1.0/6.3/clamps", "MX-1.0/6.3/clamp"),
        ("OFP8-1.0/overflow-saturate", "OFP8-1.0/overflow-sat"),
    ],
)
def test_get_suggests_the_nearest_id(typo, meant):
    with pytest.raises(KeyError) as caught:
        clauses.get(typo)
    assert type(caught.value) is KeyError
    (message,) = caught.value.args
    nearest = re.search(r"the nearest: ([^,]+)", message)
    assert repr(typo) in message
    assert nearest
    assert nearest[1] == meant


def test_get_of_something_unlike_any_id_says_so():
    with pytest.raises(KeyError, match="none"):
        clauses.get("?")


def test_the_table_cannot_be_changed():
    assert isinstance(CLAUSES, MappingProxyType)
    with pytest.raises(dataclasses.FrozenInstanceError):
        CLAUSES["OP-SCALE-RULE"].text = "Anything goes."


# --- the pattern -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("# MX-1.0/6.3/clamp: saturate", ["MX-1.0/6.3/clamp"]),
        ("(MX-1.0/5.3.4/int8-min, OP-INT8-MIN).", ["MX-1.0/5.3.4/int8-min", "OP-INT8-MIN"]),
        ('"""Overflow (OFP8-1.0/overflow-ovf)."""', ["OFP8-1.0/overflow-ovf"]),
        ("OP-E8M0-CAST's rounding", ["OP-E8M0-CAST"]),
        ("OP-SCALE-RUEL", ["OP-SCALE-RUEL"]),  # a misspelt id must be seen to be reported
    ],
)
def test_the_pattern_finds_ids_in_source_text(source, found):
    assert ID_PATTERN.findall(source) == found


@pytest.mark.parametrize(
    "source",
    ["the OP-DOT-* family", "MX-1.0/6.3", "OP-", "a DROP-IN part", "STOP-GAP", "OP-SCALE-{rule}"],
)
def test_the_pattern_passes_over_what_is_no_id(source):
    assert ID_PATTERN.findall(source) == []
