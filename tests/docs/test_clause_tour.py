"""The tour of the standards leaves nothing out."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from mxref import clauses

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clause_tour_page.py"


@pytest.fixture(scope="module")
def tour():
    spec = importlib.util.spec_from_file_location("clause_tour_page", PAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_clause_stands_in_one_chapter(tour):
    named = Counter(id_ for _, _, ids, _ in tour.CHAPTERS for id_ in ids)
    assert named == Counter(c.id for c in clauses.normative())


def test_each_open_point_stands_in_one_chapter(tour):
    named = Counter(id_ for *_, ids in tour.CHAPTERS for id_ in ids)
    assert named == Counter(p.id for p in clauses.open_points())


def test_a_field_that_profiles_disagree_on_is_counted(tour):
    text = tour._choices("OP-SCALE-RULE")
    assert text.startswith("`scale_rule`: floor ")
    assert "rceil" in text
    assert "same" in tour._choices("OP-CONFORMANCE-CLAIM")
