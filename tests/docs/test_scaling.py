"""The simulation behind docs/scaling.md, against bounds, formulas and small cases by hand."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def page():
    sys.path.insert(0, str(DOCS))
    try:
        import scaling_page

        yield scaling_page
    finally:
        sys.path.remove(str(DOCS))


WORKS = st.lists(st.floats(0.01, 10), min_size=1, max_size=40)


@given(WORKS, st.integers(1, 12))
def test_between_the_bounds_of_list_scheduling(page, works, cores):
    found = page.makespan([(0, work) for work in works], cores)
    ideal = sum(works) / cores
    assert max(ideal, *works) <= found * (1 + 1e-9)
    assert found <= (ideal + (1 - 1 / cores) * max(works)) * (1 + 1e-9)  # Graham, 1966


@given(WORKS, st.floats(0.1, 10), st.floats(0.001, 1))
def test_one_core_adds_everything_up(page, works, storage, call):
    found = page.makespan([(3.0, work) for work in works], 1, storage=storage, call=call)
    assert found == pytest.approx(sum(works) + len(works) * (3.0 / storage + call))


def test_the_scheduler_and_the_storage_are_limits(page):
    calls = [(10.0, 1.0)] * 100
    assert page.makespan(calls, 1000, call=2.0) == pytest.approx(100 * 2.0 + 1.0)
    assert page.makespan(calls, 1000, storage=5.0) == pytest.approx(100 * 2.0 + 1.0)


def test_mishaps_by_hand(page):
    calls = [(0.0, 1.0)] * 4
    assert page.makespan(calls, 2) == 2
    assert page.makespan(calls, 2, slow=(3.0,)) == 3  # one of four is done by the slow core
    # Core 1 dies at 0.5 and is back at 1.5: its call is done again, last.
    assert page.makespan(calls, 2, deaths=((0.5, 1, 1.0),)) == 3
    assert page.makespan(calls, 2, deaths=((0.5, 1, 10.0),)) == 11.5


def test_what_is_simulated_is_what_run_units_does(page):
    assert page.together(0.027) == 18
    assert page.together(1e-9) == 64
    assert page.together(3.0) == 1
    calls = page.check_calls("float32")
    costs = page.NUMBERS["checkpoint"]["float32"]
    assert sum(work for _, work in calls) == pytest.approx(costs["seconds_per_GB"] * 1e3, rel=1e-3)
    size = sum(size for size, _ in calls)
    assert size == pytest.approx(costs["read_per_byte"] * 1e12, rel=1e-3)


def test_times_are_what_people_would_say(page):
    assert [page.period(s) for s in (0.35, 7, 95, 119, 121, 6000, 7200, 90000, 200000)] == [
        "0.3 s", "7.0 s", "95 s", "119 s", "2.0 min", "100 min", "2.0 h", "25 h", "2.3 d",
    ]  # fmt: skip
