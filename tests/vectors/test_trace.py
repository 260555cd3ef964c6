"""Every clause has a vector or a reason why not, and never both."""

from dataclasses import replace

import pytest

from mxref.clauses import CLAUSES
from mxref.vectors.trace import UNCOVERED, TraceRow, trace, trace_problems


@pytest.fixture(scope="module")
def rows():
    from pathlib import Path

    return trace(Path(__file__).resolve().parents[2] / "spec_vectors")


def by_clause(rows):
    return {row.clause: row for row in rows}


def test_each_clause_has_a_row_in_order(rows):
    assert [row.clause for row in rows] == list(CLAUSES)


def test_every_clause_has_a_vector_or_a_reason(rows):
    assert trace_problems(rows) == []


def test_reasons_are_sentences():
    for clause, reason in UNCOVERED.items():
        assert clause in CLAUSES
        assert reason.endswith(".")
        assert 20 < len(reason) <= 100, clause


def test_cases_are_counted_by_operation(rows):
    found = by_clause(rows)
    assert found["OFP8-1.0/e4m3"].cases["decode"] == 256
    assert found["MX-1.0/6.3/scale"].cases["quantize"] > 100
    assert found["MX-1.0/6.3/scale"].grouped == {}
    # Built for the clause, which no case cites: it follows from another one.
    assert found["OP-SCALE-LOG2"].grouped["quantize"] > 100


def test_sources_are_found_with_their_twins(rows):
    found = by_clause(rows)
    rounding = found["MX-1.0/6.3/rounding"]
    assert "element.encode" in rounding.exact
    assert "element.encode" in rounding.kernels
    assert "dot" in found["MX-1.0/6.1/dot"].exact  # the head of the module
    assert "dot.dot" in found["MX-1.0/6.1/dot"].exact
    assert found["MX-1.0/6.1/dot"].kernels == ()
    tests = found["OP-SCALE-RULE"].tests
    assert any(name.startswith("vectors.test_trace.") for name in tests)


def test_a_file_is_traced_alone(committed):
    found = by_clause(trace(committed / "decode/e2m1.ocp.json"))
    assert found["MX-1.0/5.3/fp4"].cases == {"decode": 16}
    assert not found["OFP8-1.0/e4m3"].is_covered


def test_a_case_of_a_clause_counts_once(write_set, one_file, tmp_path):
    file = one_file()
    group = replace(file.covergroups[0], clauses=("MX-1.0/5.3/fp4", "OP-NEG-ZERO"))
    found = by_clause(trace(write_set(tmp_path, replace(file, covergroups=(group,)))))
    assert found["MX-1.0/5.3/fp4"].cases == {"decode": 16}
    assert found["MX-1.0/5.3/fp4"].grouped == {}
    assert found["OP-NEG-ZERO"].grouped == {"decode": 16}


def test_a_clause_without_a_vector_fails():
    (problem,) = trace_problems((TraceRow("OP-PACKING", {}, {}),))
    assert problem.startswith("OP-PACKING: no case is about it")


def test_a_reason_too_many_fails():
    for row in (
        TraceRow("OFP8-1.0/flags", {"encode": 1}, {}, reason="r"),
        TraceRow("OFP8-1.0/flags", {}, {"encode": 1}, reason="r"),
    ):
        (problem,) = trace_problems((row,))
        assert "remove its reason" in problem


def test_a_reason_for_no_clause_fails(monkeypatch):
    monkeypatch.setattr("mxref.vectors.trace.UNCOVERED", {"OFP8-1.0/none": "r"})
    assert "no such clause" in trace_problems(())[0]
