"""docs/scaling.md: how work larger than a machine scales, by simulation from measured numbers.

The numbers are in scaling.json, measured by ``python -m benchmarks.scaling``. The simulation is
small enough to be read: `makespan` below is all of it.
"""

from __future__ import annotations

import heapq
import json
from html import escape
from itertools import cycle, islice
from math import ceil, log10, prod
from pathlib import Path

from mxref.executors._units import _MOST_TOGETHER, _WORTH_A_CALL
from mxref.formats import ELEMENT_FORMATS, SCALE_FORMATS
from mxref.policy import Policy
from mxref.sweep import CHUNKS, published, relevant_fields

HERE = Path(__file__).parent
NUMBERS = json.loads((HERE / "scaling.json").read_text(encoding="utf-8"))
CORES = (1, 2, 8, 32, 128, 512, 2048)
STORAGE = (0.5e9, 2e9, 10e9, 100e9)  # bytes/s
CHECKPOINT = 1e12  # bytes of source weights
UNIT = 1 << 22  # bytes of source weights that a unit of a checkpoint check has, as float32
SILENCE = 30.0  # seconds until Dask misses a machine that vanished (comm.timeouts.tcp)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555")


def makespan(calls, cores, *, storage=float("inf"), call=0.0, slow=(), deaths=()):
    """Seconds until all calls are done.

    Each call goes to the core that is free first. One scheduler hands them out, `call` seconds
    each; one storage serves their reads in turn. Cores 0, 1, ... are `slow` by these factors.
    A death (time, cores, seconds until it is noticed) loses what its cores are at: it is done again
    after that, and the cores are back then.
    """
    free = [(0.0, core) for core in range(cores)]
    factors = dict(enumerate(slow))
    dying = {core: death[::2] for death in deaths for core in range(cores - death[1], cores)}
    todo = [(0.0, *each) for each in reversed(calls)]
    scheduler = store = end = 0.0
    while todo:
        ready, size, work = todo.pop()
        now, core = heapq.heappop(free)
        start = scheduler = max(now, ready, scheduler) + call
        store = max(store, start) + size / storage
        done = (store if size else start) + work * factors.get(core, 1.0)
        if core in dying and done > dying[core][0]:
            when, silence = dying.pop(core)
            done = max(when, now) + silence
            todo.insert(0, (done, size, work))
        else:
            end = max(end, done)
        heapq.heappush(free, (done, core))
    return end


def together(work):
    """How many units of so many seconds a call to a cluster has."""
    return max(1, min(_MOST_TOGETHER, int(_WORTH_A_CALL / work)))


def sweep_calls(casts, batch):
    """Calls of a sweep: nothing is read."""
    works = list(islice(cycle(NUMBERS["chunk_ms"]), casts * CHUNKS))
    return [(0.0, sum(works[i : i + batch]) / 1e3) for i in range(0, len(works), batch)]


def check_calls(kind):
    """Calls of the check of a checkpoint, each with what it reads."""
    costs = NUMBERS["checkpoint"][kind]
    size = UNIT if kind == "float32" else UNIT // 2
    work = size * costs["seconds_per_GB"] / 1e9
    batch = together(work)
    count = ceil(CHECKPOINT / size / batch)
    return [(batch * size * costs["read_per_byte"], batch * work)] * count


def all_casts():
    """Casts that differ in some deterministic choice, over all formats."""
    total = 0
    for name in (*ELEMENT_FORMATS, *SCALE_FORMATS):
        kinds = [type(getattr(Policy(), field)) for field in relevant_fields(name)]
        total += prod(
            sum(str(m) != "raise" and not str(m).startswith("stochastic") for m in kind)
            for kind in kinds
        )
    return total


# --- the page --------------------------------------------------------------------------------


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def period(seconds):
    """A time with two digits, in the unit that people would use."""
    sizes = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    name, size = next((each for each in sizes if seconds >= 2 * each[1]), sizes[-1])
    return f"{seconds / size:.{0 if seconds >= 9.95 * size else 1}f} {name}"


def bandwidth(rate):
    return f"{rate / 1e9:g} GB/s"


def sweeps():
    """Seconds by cores: (ideal, a chunk a call, as run_units calls) for the published casts."""
    call = NUMBERS["call"]["elapsed_ms"] / 1e3
    chunk = sum(NUMBERS["chunk_ms"]) / len(NUMBERS["chunk_ms"]) / 1e3
    casts = len(published())
    single, batched = sweep_calls(casts, 1), sweep_calls(casts, together(chunk))
    work = sum(work for _, work in single)
    return {
        cores: (
            work / cores,
            makespan(single, cores, call=call),
            makespan(batched, cores, call=call),
        )
        for cores in CORES
    }


def checks(kind):
    """Seconds by cores and storage."""
    calls, call = check_calls(kind), NUMBERS["call"]["elapsed_ms"] / 1e3
    return {
        cores: [makespan(calls, cores, storage=rate, call=call) for rate in STORAGE]
        for cores in CORES
    }


def mishaps():
    """Seconds of both kinds of work on 128 cores, when something happens."""
    call = NUMBERS["call"]["elapsed_ms"] / 1e3
    chunk = sum(NUMBERS["chunk_ms"]) / len(NUMBERS["chunk_ms"]) / 1e3
    works = (
        (sweep_calls(len(published()), together(chunk)), float("inf")),
        (check_calls("float32"), 100e9),
    )
    rows = []
    usual = [makespan(calls, 128, storage=rate, call=call) for calls, rate in works]
    for name, how in (
        ("nothing", lambda _: {}),
        ("one core runs at a quarter of its speed", lambda _: {"slow": (4.0,)}),
        (
            "a worker of 16 cores is killed halfway, and back after the start of a process",
            lambda end: {"deaths": ((end / 2, 16, NUMBERS["first_unit_s"]),)},
        ),
        (
            f"a machine of 16 cores vanishes halfway, which is noticed after {SILENCE:.0f} s",
            lambda end: {"deaths": ((end / 2, 16, SILENCE),)},
        ),
    ):
        found = [
            makespan(calls, 128, storage=rate, call=call, **how(end))
            for (calls, rate), end in zip(works, usual, strict=True)
        ]
        rows.append((name, *(f"{seconds:.1f} s" for seconds in found)))
    return rows


def scaling_page():
    """The page and its picture."""
    swept, checked, halves = sweeps(), checks("float32"), checks("bfloat16")
    chunk = sum(NUMBERS["chunk_ms"]) / len(NUMBERS["chunk_ms"])
    costs, call, each = NUMBERS["checkpoint"], NUMBERS["call"], NUMBERS["chunk_ms"]
    casts, everything = len(published()), all_casts()
    versions = ", ".join(f"{name} {found}" for name, found in NUMBERS["versions"].items())
    product_rows = [
        (f"{cores:,}", period(everything * CHUNKS * chunk / 1e3 / cores)) for cores in CORES
    ]
    batch = together(chunk / 1e3)
    most = batch * chunk / call["elapsed_ms"]
    kinds = "\n".join(
        f"| a checkpoint check, {kind} source, MXFP4 | {costs[kind]['seconds_per_GB']:.2f} s for "
        f"each GB of source, {costs[kind]['read_per_byte']:.2f} bytes read for each of its bytes |"
        for kind in costs
    )
    per_call = f"{call['elapsed_ms']:.1f} ms"
    page = f"""# How work larger than a machine scales

Written by `make docs` from the numbers in [scaling.json](scaling.json), which
`python -m benchmarks.scaling` measures; do not edit.

`mxref sweep`, `mxref vectors generate`, `mxref check checkpoint` and `mxref quantize` cut their
work into units and run them on any `concurrent.futures.Executor`: `--executor threads:N`,
`processes:N`, or `dask://HOST:PORT`. This page says how many cores are worth having. The numbers of
the next section are measured, all others simulated: nothing here was run on more than two cores.

![Time against cores](pictures/scaling.svg)

## Measured

{NUMBERS["date"]}, mxref {NUMBERS["mxref"]}, {versions};
{NUMBERS["machine"]} (other work makes elapsed times longer, hardly the processor's).
Work is processor time of one thread.

| | |
|---|---|
| a chunk of a sweep: 2^24 inputs cast, hashed, compared with the oracle | {chunk:.1f} ms, \
the mean of {len(each)} from {min(each):.1f} to {max(each):.1f} |
{kinds}
| a call to a Dask cluster; scheduler, client and two workers share the machine | {per_call} \
elapsed, {call["processor_ms"]:.1f} ms of processor time |
| a new process until its first chunk is done, the kernels compiled before | \
{NUMBERS["first_unit_s"]:.1f} s |

With a call for each chunk, one scheduler feeds no more than {chunk / call["elapsed_ms"]:.0f} cores.
So `run_units` sends short units to a cluster several at a time, until a call is worth
{_WORTH_A_CALL:g} s: {batch} chunks, which feeds {most:.0f} cores.

## The model

Each call goes to the core that is free first; one scheduler hands out a call in {per_call}; one
storage serves reads in turn; a core reads, then works. With work *w* in all, *n* calls of *c*
seconds, *b* bytes to read, *p* cores and a storage of *r* bytes a second, nothing is faster than

    max(w / p,  n · c,  b / r)

and the simulation, `makespan` in [scaling_page.py](scaling_page.py), comes close to that, but for
the last calls and where cores wait for their reads. Not in the model: a network slower than the
storage, caches, and results on their way back, which are small but for `mxref quantize`.

## An exhaustive sweep of all published policies

{casts} casts of 2^32 inputs each, {casts * CHUNKS:,} chunks. *Ideal* is the work divided by the
cores. [exhaustive.md](exhaustive.md) has what the last real one took, on two.

{
        table(
            ("cores", "ideal", "a chunk a call", f"{batch} chunks a call"),
            [(f"{cores:,}", *map(period, found)) for cores, found in swept.items()],
        )
    }

The last column is what `mxref sweep --executor dask://HOST:PORT` does. Beyond {most:.0f} cores a
second scheduler helps: `--part K/N` gives each its share of the sweeps. With `--resume FILE` an
interrupted sweep goes on where it was.

**The full product of policies.** The published sweeps change one or two choices at a time. All
deterministic answers to all questions about a cast, each with each, are {everything:,} casts,
{
        everything
        * CHUNKS:,} chunks (at most: some answers coincide in some formats). By the formula, with
as many schedulers as it takes:

{table(("cores", "time"), product_rows)}

## A checkpoint of 1 TB

Source weights of 1 TB, checked against their MXFP4 form; both are read once. Columns are what the
storage gives to all workers together.

float32 source:

{
        table(
            ("cores", *map(bandwidth, STORAGE)),
            [(f"{cores:,}", *map(period, found)) for cores, found in checked.items()],
        )
    }

bfloat16 source, twice as many weights:

{
        table(
            ("cores", *map(bandwidth, STORAGE)),
            [(f"{cores:,}", *map(period, found)) for cores, found in halves.items()],
        )
    }

More cores help until they read as fast as the storage, with float32 sources:
{", ".join(f"{enough('float32', rate)} at {bandwidth(rate)}" for rate in STORAGE)}.

## When something happens

128 cores; the published sweeps, and the float32 checkpoint from a storage of 100 GB/s.

{table(("what happens", "sweep", "checkpoint"), mishaps()).replace("|---:|", "|---|", 1)}

A lost unit is done again, with the same result: `tests/packages/test_dask.py` kills one of three
workers in mid-unit during a sweep, a generation of vectors, a quantization and a check of a
checkpoint, and compares with the run of one process. `processes:N` does likewise with a killed
process. A unit that ends its worker again and again is named after four attempts, by Dask
(`distributed.scheduler.allowed-failures`) as with processes.

## Before a large run

* All workers need the same mxref, numba, numpy and Python x.y. The run does not begin where one
  differs, and ends with an error that names it when such a one joins later.
* Checkpoints must have the same path on all workers, as on a shared file system.
* A thread of a worker is a core: `dask worker --nthreads` as many as there are. Kernels start no
  threads of their own there.
* The first unit of a worker loads compiled kernels from the user's cache, or compiles them, which
  takes seconds to a minute. Home folders that all machines share are compiled into once;
  `MXREF_CACHE_DIR` names another place.
"""
    return page, {"pictures/scaling.svg": picture(swept, checked)}


def enough(kind, rate):
    """How many cores read as fast as a storage."""
    costs = NUMBERS["checkpoint"][kind]
    return f"{ceil(rate * costs['seconds_per_GB'] / costs['read_per_byte'] / 1e9):,} cores"


# --- the picture -----------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP = 330, 250, 62, 34


def picture(swept, checked):
    """Two panels of time against cores, both logarithmic."""
    lines = [("ideal", [found[0] for found in swept.values()])]
    lines += [("a chunk a call", [found[1] for found in swept.values()])]
    lines += [("as run_units calls", [found[2] for found in swept.values()])]
    left = panel(0, f"{len(published())} sweeps of 2^32 inputs", lines)
    by_storage = zip(STORAGE, zip(*checked.values(), strict=True), strict=True)
    right = panel(
        WIDTH + LEFT + 20,
        "check of 1 TB, by storage",
        [(bandwidth(rate), list(found)) for rate, found in by_storage],
    )
    width = 2 * (WIDTH + LEFT) + 50
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT + TOP + 50}" '
        f'viewBox="0 0 {width} {HEIGHT + TOP + 50}" role="img" '
        'aria-label="Time against cores, simulated">\n'
        "<title>Time against cores, simulated</title>\n"
        "<style>text{font-family:sans-serif;font-size:11px;fill:#222}"
        ".h{font-size:13px}line{stroke:#ddd}polyline{fill:none;stroke-width:2}</style>\n"
        f'<rect width="{width}" height="{HEIGHT + TOP + 50}" fill="#fff"/>\n'
        f"{left}\n{right}\n</svg>\n"
    )


def panel(at, title, lines):
    """A panel: its title, and lines of (name, seconds for each of `CORES`)."""
    ticks = (
        (1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3600, "1 h"), (36000, "10 h"),
    )  # fmt: skip
    low, high = log10(0.2), log10(60000)
    x_of = {cores: at + LEFT + WIDTH * log10(cores) / log10(CORES[-1]) for cores in CORES}

    def y_of(seconds):
        return TOP + HEIGHT * (high - log10(seconds)) / (high - low)

    parts = [f'<text class="h" x="{at + LEFT}" y="{TOP - 14}">{escape(title)}</text>']
    for seconds, text in ticks:
        y = y_of(seconds)
        parts.append(f'<line x1="{at + LEFT}" y1="{y:.1f}" x2="{at + LEFT + WIDTH}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{at + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for cores, x in x_of.items():
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + HEIGHT}"/>')
        y = TOP + HEIGHT + 16
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{cores}</text>')
    middle, y = at + LEFT + WIDTH / 2, TOP + HEIGHT + 34
    parts.append(f'<text x="{middle:.1f}" y="{y}" text-anchor="middle">cores</text>')
    for number, (name, found) in enumerate(lines):
        colour = COLOURS[number]
        points = " ".join(
            f"{x:.1f},{y_of(s):.1f}" for x, s in zip(x_of.values(), found, strict=True)
        )
        dash = ("", "6 3", "2 3", "8 3 2 3")[number % 4]
        parts.append(f'<polyline points="{points}" stroke="{colour}" stroke-dasharray="{dash}"/>')
        # The legend, in the corner where no line comes.
        y = TOP + 14 + 16 * number
        x = at + LEFT + WIDTH - 130
        parts.append(
            f'<polyline points="{x},{y - 4} {x + 26},{y - 4}" stroke="{colour}" '
            f'stroke-dasharray="{dash}"/><text x="{x + 32}" y="{y}">{escape(name)}</text>'
        )
    return "\n".join(parts)
