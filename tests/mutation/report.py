"""The page about the mutants, and what people wrote about those that survived."""

from __future__ import annotations

import functools
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mutator import OPERATORS

__all__ = ["CLASSES", "PAGE", "page", "survivors", "unexamined"]

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "mutation.md"
NOTES = HERE / "survivors.toml"

CLASSES = {
    "equivalent": "no input of any policy shows a difference",
    "unreachable": "only inputs or policies that the vectors cannot express show a difference",
    "missing": "a vector is missing",
}
"""What a survivor can be; what nobody has looked at is `unexamined`."""

Row = dict[str, Any]
_ALIVE = ("survived", "not reached")


Note = tuple[str, str]
_UNEXAMINED: Note = ("unexamined", "Nobody has looked at these.")


def groups() -> list[dict[str, Any]]:
    """What was written about survivors: `class`, `why`, and the `keys`, `functions`, `whole`."""
    with NOTES.open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)["group"]
    return found


@functools.cache
def _notes(*kinds: str) -> dict[str, Note]:
    """The same, by each place that such lists name."""
    return {
        place: (group["class"], " ".join(group["why"].split()))
        for group in groups()
        for kind in kinds
        for place in group.get(kind, ())
    }


def note_of(row: Row) -> Note:
    """Class and reason of a survivor: what its key says, else its function, as ``tables.py:steps``.

    A note about `functions` is of their lines that no file executes, one about `whole` of all.
    """
    name = row["function"].rsplit(".", maxsplit=1)[-1]
    kinds = ("whole", "functions") if row["outcome"] == "not reached" else ("whole",)
    of_function = _notes(*kinds).get(f"{row['module']}:{name}", _UNEXAMINED)
    return _notes("keys").get(row["key"], of_function)


def survivors(rows: list[Row]) -> list[Row]:
    """The rows of mutants that live, in the order of the sources."""
    alive = [row for row in rows if row["outcome"] in _ALIVE]
    return sorted(alive, key=lambda row: (row["module"], row["line"], row["operator"], row["key"]))


def unexamined(rows: list[Row]) -> list[Row]:
    """Survivors that nobody has classified."""
    return [row for row in survivors(rows) if note_of(row) == _UNEXAMINED]


def _table(rows: list[Row]) -> Iterator[str]:
    """Module by operator."""
    yield "| module | operator | mutants | killed | of them by an exception | survived |"
    yield "|---|---|---|---|---|---|"
    groups: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        groups[row["module"], row["operator"]][row["outcome"]] += 1
        groups[row["module"], "**all**"][row["outcome"]] += 1
        groups["**all**", "**all**"][row["outcome"]] += 1
    for module, operator in sorted(groups, key=lambda g: (g[0] == "**all**", g)):
        tally = groups[module, operator]
        alive = sum(tally[outcome] for outcome in _ALIVE)
        total = tally.total()
        broken = tally["error"] + tally["timeout"]
        cells = (module, operator, total, total - alive, broken, alive)
        yield "| " + " | ".join(map(str, cells)) + " |"


def _killers(rows: list[Row]) -> Iterator[str]:
    yield "| file | mutants that it kills first |"
    yield "|---|---|"
    tally = Counter(row["file"] for row in rows if row["outcome"] not in _ALIVE)
    for name, count in sorted(tally.items(), key=lambda item: (-item[1], item[0])):
        yield f"| {name or '(the mutant did not end)'} | {count} |"


def _survivor(row: Row) -> Iterator[str]:
    yield ""
    yield f"`{row['module']}:{row['line']}` {row['operator']}, `{row['key']}`"
    yield ""
    yield "```diff"
    yield f"-{row['before']}"
    yield f"+{row['after']}"
    yield "```"


def _idle(rows: list[Row]) -> Iterator[str]:
    """Survivors that no file executes, by function: their lines say nothing more."""
    tally = Counter((row["module"], row["function"] or "module") for row in rows)
    if tally:
        yield ""
        texts = (f"{module} {name} {count}" for (module, name), count in sorted(tally.items()))
        yield f"No file executes {', '.join(texts)}."


def _living(rows: list[Row]) -> Iterator[str]:
    by_note: defaultdict[Note, list[Row]] = defaultdict(list)
    for row in survivors(rows):
        by_note[note_of(row)].append(row)
    for name in (_UNEXAMINED[0], "missing", "unreachable", "equivalent"):
        of_class = [(why, some) for (kind, why), some in by_note.items() if kind == name]
        if not of_class:
            continue
        yield ""
        yield f"### {name.capitalize()}: {sum(len(some) for _, some in of_class)}"
        for why, some in of_class:
            yield ""
            yield f"**{why}**"
            yield from _idle([row for row in some if row["outcome"] == "not reached"])
            for row in some:
                if row["outcome"] != "not reached":
                    yield from _survivor(row)


def _summary(rows: list[Row], whole: int) -> Iterator[str]:
    living = survivors(rows)
    classes = Counter(note_of(row)[0] for row in living)
    killed, total = len(rows) - len(living), len(rows)
    counted = total - classes["equivalent"]
    asked = counted - classes["unreachable"]
    yield "| | |"
    yield "|---|---|"
    yield f"| mutants | {total} of {whole} |"
    yield f"| killed by the vectors alone | {killed}, {killed / max(total, 1):.1%} |"
    yield f"| of those that are not equivalent | {killed / max(counted, 1):.1%} |"
    yield f"| of those that vectors can reach, too | {killed / max(asked, 1):.1%} |"
    for name, meaning in CLASSES.items():
        yield f"| survived, {name}: {meaning} | {classes[name]} |"
    yield f"| survived, unexamined | {classes['unexamined']} |"
    idle = sum(row["outcome"] == "not reached" for row in living)
    yield f"| of all survivors, on lines that no file executes | {idle} |"


_HEAD = """\
# Mutants of the kernels, against the vectors alone

Written by `tests/mutation/run.py --write`; do not edit. What is said about survivors is kept by
hand in `tests/mutation/survivors.toml`. Where not all mutants were run, they were chosen by key.

A mutant is mxref's own kernel with one small fault in its source. The question is which of them
the published vectors (`spec_vectors/`) notice, compared as `mxref vectors verify` compares, with
nothing else: no unit test, no definition, no digest. Each case is asked under every policy that its
labels name. A mutant that raises an exception or does not end within 60 seconds counts as killed,
and is counted beside the others.
"""

_HOW = """\
## How

An own mutator edits the text at places that the AST names (`tests/mutation/mutator.py`). mutmut and
cosmic-ray cannot drive these sources. mutmut 3.8.1 leaves decorated functions alone, because its
mutants are copies of a function behind a trampoline: of `_loops.py`, where all that is compiled is
decorated, it offers five mutants, all of the one helper that is not. cosmic-ray 8.7.0 writes each
mutant to disk, which is one more state of the sources, so that all kernels are compiled anew for it
(0.5 to 1.7 seconds a kernel, hundreds of kernels). Both judge by a run of the test suite, where
here the vectors alone shall judge, and neither knows that `where_above(a, b, …)` is a comparison.

So the mutants run without a compiler: the same lane programs on NumPy arrays
(`NUMBA_DISABLE_JIT=1`), in a forked process each. A line that no vector file executes cannot be
noticed; its mutants count as survivors without a run.

Not mutated:

- `lanes.py`, `_interpreted.py`: the machine that mutants run on. `_intrinsics.py`, `_loops.py`,
  `_across.py`, `_random.py`, `_search_loop.py`, `_jit.py`: how compiled kernels walk over arrays;
  they do not run without a compiler. The twin tests hold them against the lane programs.
- `search.py`, `_error_lanes.py`: the search for a scale with the least error, a policy of which no
  vector has a label.
- in the modules below: what runs compiled only (after `if INTERPRETED:`, and
  `params.encoder_parts`), tables of constants, docstrings, types, messages of exceptions.
"""


def page(rows: list[Row], whole: int, left_out: dict[str, Counter[str]]) -> str:
    """Return docs/mutation.md.

    Parameters
    ----------
    rows : list of dict
        A result each.
    whole : int
        How many mutants there are.
    left_out : dict
        For each module, how many places were not mutated, by reason.
    """
    lines = [_HEAD, *_summary(rows, whole), "", _HOW, "## Operators", ""]
    lines += ["| operator | what it does |", "|---|---|"]
    lines += [f"| {name} | {what} |" for name, what in OPERATORS.items()]
    lines += ["", "## By module", "", *_table(rows), ""]
    lines += ["| module | left out | mutants |", "|---|---|---|"]
    for module, reasons in left_out.items():
        lines += [f"| {module} | {reason} | {count} |" for reason, count in reasons.items()]
    lines += ["", "## Which file killed first", "", *_killers(rows), ""]
    lines += ["A file is asked some of its cases first, then all; cheap files come first.", ""]
    lines += ["## Survivors", *_living(rows)]
    return "\n".join(lines) + "\n"
