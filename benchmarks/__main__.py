"""Measure mxref as ratios within one run: ``python -m benchmarks [--only SECTION] [--write PAGE]``.

Like with like: results written into reused memory (``out=``) are compared with ``numpy.copyto``,
fresh ones with ``x.copy()``, both over the same array. A ratio is the median of paired rounds,
subject and baseline in turn, so that it holds while the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from benchmarks import (
    _checks,
    _conversions,
    _gemm,
    _layouts,
    _page,
    _peer_tables,
    _policies,
    _processes,
)

HOW_TO_READ = """\
Written by `make bench`; do not edit. Speeds are ratios to copying the same array with numpy, since
absolute figures say more about the machine: at 1.00 a conversion takes as long as the copy.
Results in reused memory (`out=`) are compared with `numpy.copyto`, fresh ones with `x.copy()`:
filling fresh memory is several times slower, for everybody. Each ratio is the median of paired
rounds, conversion and copy in turn. The copy is numpy's, hence on one thread.

"Reached" compares with the numbers that we want to reach: for conversions **must** is {must} times
as fast as the copy and **aim** {aim} times, on 2 threads. Arrays have {size} float32 unless
something else is said, normally distributed. The kernels were compiled before the clock ran."""


POLICIES = """\
Ratios to `numpy.copyto`. One choice is changed, or two where the effect of one depends on the
other; made from the enumerations of `mxref.policy`."""

PASSES = """\
These take several passes: rules that try three scales, and random bits, which the caller hands
in."""

CHECKS = f"""\
Beside the conversion of the same array into reused memory: must be at most {_checks.MUST:g} times
as long, aim {_checks.AIM:g}. To name a fault may take {_checks.NAMED_MUST:g} seconds."""

LAYOUTS = """\
Ratios to copying the larger side: the codes, a byte each, or the bytes that they are packed in.
Packing includes the check that every code has no more bits than the packing."""

PEERS = """\
Packages from PyPI, as installed, in the same run. GB/s count 4 bytes an element, and results are in
fresh memory on both sides. A peer whose call would take longer than a quarter of a second gets
fewer elements, which flatters it: mxref and the copy always have all. What peers compute differs in
places: see `mxref profiles`."""


def sections(size, rounds, *, every, with_peers):
    """Return the page's sections: a name to ask for one by, its heading, and its lines to be."""
    few = max(3, rounds // 2)
    checks = max(3, rounds // 4)
    small = max(1 << 12, size >> 6)
    found = [
        ("conversions", "Conversions", lambda: _conversions.conversions(size, rounds)),
        ("casts", "Casts of single numbers, 2 threads", lambda: _conversions.casts(size, few)),
        ("inputs", "Other inputs, 2 threads", lambda: _inputs(size, few)),
        (
            "policies",
            "Every deterministic policy, 2 threads",
            lambda: _every_policy(size, few, small, every),
        ),
        ("latency", "One block of 32", lambda: _latency(few)),
        ("gemm", "Matrix products", lambda: _gemm.products(rounds, quick=every > 1)),
        ("layouts", "Packing and unpacking", lambda: _packing(size, few)),
        ("checks", "Checking", lambda: _checking(size, checks)),
        ("processes", "Processes and memory", lambda: _whole_processes(size, few)),
    ]
    if with_peers:
        found.append(("peers", "Peers", lambda: _beside_peers(size, checks)))
    return found


def _inputs(size, rounds):
    yield from _text(
        "The copy is of the same input, in its own type; what is to be reached is set for float32."
    )
    yield from _conversions.input_types(size, rounds)


def _every_policy(size, rounds, small, every):
    yield from _text(POLICIES)
    yield from _policies.quantizers(size, rounds, every)
    yield from _policies.decoders(size, rounds, every)
    yield from _policies.scale_casts(size, rounds, every)
    yield from _text(PASSES)
    yield from _policies.slow_quantizers(small, 3, every)


def _latency(rounds):
    yield from _text("Microseconds a call, compiled; must 20.")
    yield from _conversions.latency(rounds)


def _packing(size, rounds):
    yield from _text(LAYOUTS)
    yield from _layouts.packings(size, rounds)
    yield from _text(
        "Records of scale codes and element codes, which are unpacked to fresh memory."
    )
    yield from _layouts.records(size, rounds)
    yield from _text("Orders of scale codes: square planes, a byte a code.")
    yield from _layouts.scale_orders(size, rounds)


def _checking(size, rounds):
    yield from _text(CHECKS)
    yield from _checks.passing(size, rounds)
    yield from _checks.passing_tensors(size, rounds)
    yield from _checks.named(size, 3)


def _whole_processes(size, rounds):
    yield from _processes.starts(rounds)
    yield from _processes.memory(size)


def _beside_peers(size, rounds):
    yield from _text(PEERS)
    yield from _peer_tables.peers(size, rounds)


def report(chosen, size):
    """Yield the lines of the page."""
    yield from _text("# Speed")
    yield from _text(HOW_TO_READ.format(must=_page.MUST, aim=_page.AIM, size=size))
    yield from _page.machine(sys.argv[1:])
    for _, heading, lines in chosen:
        yield from _text(f"\n## {heading}")
        yield from lines()


def one_section(heading, lines):
    """Yield the lines of one section, with the machine that it was measured on."""
    yield from _text(f"## {heading}")
    yield from _page.machine(sys.argv[1:])
    yield ""
    yield from lines()


def replaced(page, heading, text):
    """A page with one section's text in place of what it had, or at its end."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    titles = [part.splitlines()[0] if part else "" for part in parts]
    mine = text.rstrip() + "\n\n"
    if f"## {heading}" in titles:
        parts[titles.index(f"## {heading}")] = mine
    else:
        parts[-1] = parts[-1].rstrip() + "\n\n"
        parts.append(mine)
    return "".join(parts).rstrip() + "\n"


def _text(text):
    yield from text.splitlines()
    yield ""


def main():
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: small, few policies")
    parser.add_argument("--no-peers", action="store_true", help="mxref alone")
    parser.add_argument(
        "--only", metavar="SECTION", help="one section, which --write replaces in the page"
    )
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="also write the page to this file"
    )
    options = parser.parse_args()
    size, rounds, every = (1 << 15, 3, 16) if options.quick else (1 << 24, 21, 1)
    chosen = sections(size, rounds, every=every, with_peers=not options.no_peers)
    names = [name for name, _, _ in chosen]
    if options.only and options.only not in names:
        parser.error(f"no section {options.only!r}: it is one of {', '.join(names)}")
    began = time.perf_counter()
    lines = []
    only = next((section for section in chosen if section[0] == options.only), None)
    for line in one_section(*only[1:]) if only else report(chosen, size):
        print(line, flush=True)
        lines.append(line)
    print(f"took {time.perf_counter() - began:.0f} s", file=sys.stderr)
    if options.write:
        text = "\n".join(lines).rstrip() + "\n"
        if only:
            text = replaced(options.write.read_text(encoding="utf-8"), only[1], text)
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
