"""The operators make what they say, and the vectors tell a mutant from the source."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import mutator
import pytest
import report

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "mxref" / "kernels"


def changes(source, operator):
    found, _ = mutator.mutants("m.py", textwrap.dedent(source))
    return [mutant.after for mutant in found if mutant.operator == operator]


def in_function(line):
    return f"def f(a, b, c, o):\n    {line}\n"


@pytest.mark.parametrize(
    ("operator", "line", "expected"),
    [
        ("arithmetic", "return a + b", ["return a - b"]),
        ("arithmetic", "return (a) - (b + c)", ["return (a) + (b + c)", "return (a) - (b - c)"]),
        ("arithmetic", "return a // b", ["return a * b"]),
        ("shift", "return (a << b) >> c", ["return (a << b) << c", "return (a >> b) >> c"]),
        ("bits", "return a & b", ["return a | b"]),
        ("bits", "return a | b", ["return a & b"]),
        ("bits", "return a ^ b", ["return a | b", "return a & b"]),
        ("boundary", "return a < b", ["return a <= b"]),
        ("boundary", "return a <= b < c", ["return a < b < c", "return a <= b <= c"]),
        ("boundary", "return o.where_above(a, b, c, 0)", ["return o.where_above(b, a, 0, c)"]),
        ("branches", "return o.where_above(a, b, c, 0)", ["return o.where_above(a, b, 0, c)"]),
        ("branches", "return np.where(a, b, c)", ["return np.where(a, c, b)"]),
        ("branches", "return np.where(a)", []),
        ("equality", "return a == b", ["return a != b"]),
        ("equality", "return a is not b", ["return a is b"]),
        ("equality", "return a in b", ["return a not in b"]),
        ("constant", "return a + 1", ["return a + 2", "return a + 0"]),
        ("constant", "return 0xFF", ["return 0x100", "return 0xFE"]),
        ("constant", "return True", ["return False"]),
        ("constant", 'return "1"', []),
        ("extreme", "return o.minimum(a, b)", ["return o.maximum(a, b)"]),
        ("extreme", "return max(a, b)", ["return min(a, b)"]),
        ("condition", "return a if b else c", ["return a if not (b) else c"]),
        ("logic", "return a and b and c", ["return a or b or c"]),
        ("unary", "return -a", ["return a"]),
        ("unary", "return not a", ["return a"]),
        ("unary", "return ~(a)", ["return (a)"]),
        ("removal", "a = b", ["pass"]),
        ("removal", "d = b", []),  # nothing would be bound
        ("removal", "a[0] = b", ["pass"]),
        ("removal", "f(a)", ["pass"]),
        ("removal", '"""Text."""', []),
    ],
)
def test_an_operator_makes(operator, line, expected):
    assert changes(in_function(line), operator) == expected


def test_a_condition_is_negated_and_a_case_renumbered():
    source = """
        def f(a):
            match a:
                case 3:
                    return 0
            if a < 2:
                return a
    """
    assert changes(source, "condition") == ["if not (a < 2):"]
    assert changes(source, "constant")[:2] == ["case 4:", "case 2:"]


def test_what_one_branch_binds_another_cannot_lose():
    source = """
        def f(a):
            if a:
                b = 1
            else:
                b = 2
            b = b + a
            return b
    """
    assert changes(source, "removal") == ["pass"]


def test_tables_and_what_runs_compiled_only_are_counted_and_left_alone():
    source = """
        TABLE = {"a": 1, "b": 2}
        STEP = 1
        class P(enum.IntEnum):
            FIRST = 0
        def f(a):
            if INTERPRETED:
                return a + a
            return a - a
        def g(a):
            return a * a
    """
    text = textwrap.dedent(source)
    found, left_out = mutator.mutants("m.py", text, frozenset({"g"}))
    assert [m.after for m in found] == [
        "STEP = 2",
        "STEP = 0",
        "if not (INTERPRETED):",
        "return a - a",
    ]
    assert left_out == {"constant table": 6, "runs compiled only": 1, "excluded by name": 1}


def test_a_key_outlives_lines_above_it_and_tells_two_equal_lines_apart():
    twice = "def f(a):\n    a = a + 2\n    a = a + 2\n    return a\n"
    one, other = (m for m in mutator.mutants("m.py", twice)[0] if m.operator == "arithmetic")
    assert one.key != other.key
    moved = mutator.mutants("m.py", "# more\n\n" + twice)[0]
    assert one.key == next(m.key for m in moved if m.operator == "arithmetic")
    assert {m.line for m in moved} == {4, 5}


@pytest.mark.parametrize("name", ["rounding.py", "_integers.py", "element.py"])
def test_every_mutant_of_a_kernel_has_its_own_key(name):
    source = (KERNELS / name).read_text(encoding="utf-8")
    found, _ = mutator.mutants(name, source)
    assert len({m.key for m in found}) == len(found)
    assert all(m.text != source for m in found)
    assert all(m.before != m.after for m in found)


def row(**changed):
    given = {"module": "m.py", "function": "f", "line": 1, "operator": "bits", "key": "k"}
    return {
        **given,
        "before": "a | b",
        "after": "a & b",
        "outcome": "killed",
        "file": "",
        **changed,
    }


def test_a_survivor_without_a_note_is_unexamined():
    rows = [row(), row(key="other", outcome="survived")]
    assert [r["key"] for r in report.unexamined(rows)] == ["other"]
    assert "### Unexamined: 1" in report.page(rows, 2, {})


def test_a_note_about_a_function_is_of_idle_lines_unless_it_says_whole(monkeypatch):
    given = [
        {"class": "unreachable", "why": "a", "functions": ["m.py:f"]},
        {"class": "equivalent", "why": "b", "whole": ["m.py:g"]},
        {"class": "missing", "why": "c", "keys": ["own"]},
    ]
    monkeypatch.setattr(report, "groups", lambda: given)
    report._notes.cache_clear()
    assert report.note_of(row(outcome="not reached"))[0] == "unreachable"
    assert report.note_of(row(outcome="survived"))[0] == "unexamined"
    assert report.note_of(row(outcome="survived", function="A.g"))[0] == "equivalent"
    assert report.note_of(row(outcome="survived", function="g", key="own"))[0] == "missing"
    report._notes.cache_clear()


def test_the_notes_name_known_classes_and_no_mutant_twice():
    groups = report.groups()
    assert {group["class"] for group in groups} <= set(report.CLASSES)
    assert all(group["why"].strip() for group in groups)
    places = [
        place
        for g in groups
        for kind in ("keys", "functions", "whole")
        for place in g.get(kind, ())
    ]
    assert len(places) == len(set(places))


def test_the_notes_name_functions_that_exist():
    groups = report.groups()
    places = {place for g in groups for kind in ("functions", "whole") for place in g.get(kind, ())}
    for place in places:
        module, name = place.split(":")
        assert f"def {name}(" in (KERNELS / module).read_text(encoding="utf-8"), place


JUDGE = """
import json, sys
import score
from types import SimpleNamespace
steps = score.load_set()
steps = [s for s in steps if s.name in sys.argv[1:]]
path = score.KERNELS / "rounding.py"
source = path.read_text(encoding="utf-8")
even = "increment = (below >> 1) + ((significand >> shift) & 1)"
texts = [source, source.replace(even, "increment = (below >> 1) + 1"),
         source.replace(even, "increment = unknown")]
assert source.count(even) == 1
place = {"module": "rounding.py", "function": "round_by", "lines": (1, 99)}
mutants = [SimpleNamespace(**place, text=text) for text in texts]
lines = score.coverage(steps, 2)
recorder = score.record(steps)
found = {id(m): v for m, v in score.judge_all(mutants, steps, lines, 2, recorder)}
print(json.dumps([found[id(m)] for m in mutants]))
"""


ENDLESS = """
import score
for index, result, _ in score._run_all([lambda: sum(iter(lambda: 0, 1)), lambda: "ended"], 1, 1):
    print(index, result)
"""


def test_what_does_not_end_is_a_timeout():
    run = [sys.executable, "-c", ENDLESS]
    done = subprocess.run(run, cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "timeout", "1", "ended"]


@pytest.mark.slow
def test_vectors_pass_the_source_and_kill_a_tie_that_rounds_away():
    done = subprocess.run(
        [sys.executable, "-c", JUDGE, "encode/e4m3.ocp.json", "quantize/mxfp4.ocp.json"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    source, away, unknown = json.loads(done.stdout)
    assert source[0] == "survived"
    assert away[0] == "killed"
    assert "tie" in away[2]
    assert unknown[0] == "error"
    assert "NameError" in unknown[2]
