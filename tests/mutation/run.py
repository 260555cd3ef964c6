"""How many mutants of mxref's kernels the published vectors kill, they alone.

    python tests/mutation/run.py --sample 20      one mutant in 20, chosen by its key
    python tests/mutation/run.py --all            all; with --write, docs/mutation.md too

Neither mxref's own tests nor its definition take part: what survives here could be published by
somebody who has nothing but the vectors.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import mutator
import report
import score

RESULTS = score.ROOT / "build" / "mutation.jsonl"

MODULES = {
    "programs.py": frozenset(),
    "rounding.py": frozenset(),
    "_integers.py": frozenset(),
    "places.py": frozenset(),
    "params.py": frozenset({"encoder_parts"}),
    "tables.py": frozenset(),
    "block.py": frozenset(),
    "element.py": frozenset(),
    "composed.py": frozenset(),
}
"""The modules that decide bits, with functions that serve compiled kernels only."""


def all_mutants() -> tuple[list[mutator.Mutant], dict[str, Counter[str]]]:
    """Every mutant of `MODULES`, and how many were left out, by module and reason."""
    found, left_out = [], {}
    for name, excluded in MODULES.items():
        text = (score.KERNELS / name).read_text(encoding="utf-8")
        some, left_out[name] = mutator.mutants(name, text, excluded)
        found += some
    return found, left_out


def is_sampled(mutant: mutator.Mutant, one_in: int) -> bool:
    """Whether a sample of one in so many has this mutant; its key decides."""
    return int(mutant.key, 16) % one_in == 0


def judged(
    mutants: list[mutator.Mutant], vectors: Path, processes: int, results: Path
) -> list[dict[str, object]]:
    """Judge mutants; each result is a line of the file as soon as it is known."""
    print("reading the vectors, and what each file executes", file=sys.stderr)
    steps = score.load_set(vectors)
    lines = score.coverage(steps, processes)
    recorder = score.record(steps)
    results.parent.mkdir(parents=True, exist_ok=True)
    done, started = [], time.monotonic()
    tally: Counter[str] = Counter()
    with results.open("w", encoding="utf-8") as out:
        for mutant, verdict in score.judge_all(mutants, steps, lines, processes, recorder):
            row = {
                "module": mutant.module,
                "function": mutant.function,
                "line": mutant.line,
                "operator": mutant.operator,
                "key": mutant.key,
                "before": mutant.before,
                "after": mutant.after,
                **verdict._asdict(),
            }
            out.write(json.dumps(row) + "\n")
            out.flush()
            done.append(row)
            tally[verdict.outcome] += 1
            if len(done) % 25 == 0 or len(done) == len(mutants):
                seconds = time.monotonic() - started
                text = ", ".join(f"{n} {what}" for what, n in sorted(tally.items()))
                print(f"{len(done)}/{len(mutants)} in {seconds:.0f} s: {text}", file=sys.stderr)
    return done


def main() -> int:
    """Run; exit status 1 where a survivor is unexamined."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="every mutant")
    which.add_argument("--sample", type=int, metavar="N", help="one mutant in N")
    which.add_argument("--again", action="store_true", help="the last results, reported again")
    parser.add_argument("--module", action="append", choices=MODULES, help="only this one")
    parser.add_argument("--vectors", type=Path, default=score.ROOT / "spec_vectors", help="the set")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON lines")
    parser.add_argument("--write", action="store_true", help="write docs/mutation.md")
    options = parser.parse_args()
    mutants, left_out = all_mutants()
    whole = len(mutants)
    if options.module:
        mutants = [m for m in mutants if m.module in options.module]
    if options.sample:
        mutants = [m for m in mutants if is_sampled(m, options.sample)]
    if options.again:
        lines = options.results.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    else:
        rows = judged(mutants, options.vectors, options.processes, options.results)
    text = report.page(rows, whole, left_out)
    if options.write:
        report.PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    unexamined = report.unexamined(rows)
    if unexamined:
        print(f"{len(unexamined)} survivors are unexamined", file=sys.stderr)
    return int(bool(unexamined))


if __name__ == "__main__":
    sys.exit(main())
