"""Measure mxref as ratios within one run: ``python -m benchmarks [--quick] [--write PAGE]``.

Like with like: results written into reused memory (``out=``) are compared with ``numpy.copyto``,
fresh ones with ``x.copy()``, both over the same array. A ratio is the median of paired rounds,
subject and baseline in turn, so that it holds while the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import _checks, _conversions, _page, _peer_tables, _policies, _processes

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

PEERS = """\
Packages from PyPI, as installed, in the same run. GB/s count 4 bytes an element, and results are in
fresh memory on both sides. A peer whose call would take longer than a quarter of a second gets
fewer elements, which flatters it: mxref and the copy always have all. What peers compute differs in
places: see `mxref profiles`."""


def report(size, rounds, *, every, with_peers):
    """Yield the lines of the page."""
    few = max(3, rounds // 2)
    small = max(1 << 12, size >> 6)
    yield from _text("# Speed")
    yield from _text(HOW_TO_READ.format(must=_page.MUST, aim=_page.AIM, size=size))
    yield from _page.machine(sys.argv[1:])
    yield from _text("\n## Conversions")
    yield from _conversions.conversions(size, rounds)
    yield from _text("## Casts of single numbers, 2 threads")
    yield from _conversions.casts(size, few)
    yield from _text("## Other inputs, 2 threads")
    yield from _text(
        "The copy is of the same input, in its own type; what is to be reached is set for float32."
    )
    yield from _conversions.input_types(size, few)
    yield from _text("## Every deterministic policy, 2 threads")
    yield from _text(POLICIES)
    yield from _policies.quantizers(size, few, every)
    yield from _policies.decoders(size, few, every)
    yield from _policies.scale_casts(size, few, every)
    yield from _text(PASSES)
    yield from _policies.slow_quantizers(small, 3, every)
    yield from _text("## One block of 32")
    yield from _text("Microseconds a call, compiled; must 20.")
    yield from _conversions.latency(few)
    yield from _text("## Checking")
    yield from _text(CHECKS)
    yield from _checks.passing(size, max(3, rounds // 4))
    yield from _checks.passing_tensors(size, max(3, rounds // 4))
    yield from _checks.named(size, 3)
    yield from _text("## Processes and memory")
    yield from _processes.starts(few)
    yield from _processes.memory(size)
    if with_peers:
        yield from _text("## Peers")
        yield from _text(PEERS)
        yield from _peer_tables.peers(size, max(3, rounds // 4))


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
        "--write", type=Path, metavar="PAGE", help="also write the page to this file"
    )
    options = parser.parse_args()
    size, rounds, every = (1 << 15, 3, 16) if options.quick else (1 << 24, 21, 1)
    began = time.perf_counter()
    lines = []
    for line in report(size, rounds, every=every, with_peers=not options.no_peers):
        print(line, flush=True)
        lines.append(line)
    print(f"took {time.perf_counter() - began:.0f} s", file=sys.stderr)
    if options.write:
        options.write.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
