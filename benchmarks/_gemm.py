"""The tables of exact matrix products, beside BLAS, torch and flint."""

from __future__ import annotations

import importlib.util

from benchmarks import _gemm_model_tables
from benchmarks._gemm_jobs import CUBE, Bench, good_rows
from benchmarks._page import GIGA, installed_version, mark, table
from mxref.formats import BLOCK_FORMATS

__all__ = ["products"]

SHAPES = ((256, 256, 256), CUBE, (4096, 4096, 4096), (1, 4096, 4096), (32, 4096, 14336))
MIXED = (("mxfp8_e4m3", "mxfp4"), ("mxfp6_e2m3", "mxint8"), ("mxfp8_e5m2", "mxfp8_e4m3"))
# Against which product, must and aim: design.md, section 5; for cubes of 1024 on two threads.
TARGETS = {
    "mxfp4": ("sgemm", 0.8, 2.2),
    "mxfp6_e2m3": ("sgemm", 0.8, 2.2),
    "mxint8": ("sgemm", 0.8, 2.2),
    "mxfp6_e3m2": ("sgemm", 0.7, 1.0),
    "mxfp8_e4m3": ("dgemm", 0.7, 1.0),
}
OUTPUTS = (
    ("float32", {}, False),
    ("float32, toward zero", {"rounding": "toward-zero"}, False),
    ("float64", {"dtype": "float64"}, False),
    ("bfloat16", {"dtype": "bfloat16"}, False),
    ("float16", {"dtype": "float16"}, False),
    ("float32, with an addend", {}, True),
)
PATHS = ("amx-int8", "avx512-vnni", "portable")
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+f16c,+sse4.2,+popcnt"}
PEERS = ("torch float32", "torch bfloat16")
HOW_TO_READ = """\
Shapes are M x K x N. Operands are quantised beforehand for mxref, and dequantised beforehand for
the others, which multiply those float32 or float64 matrices (bfloat16 ones for torch bfloat16) with
roundings of their own; results of numpy and mxref go into reused memory. Each ratio is the median
of rounds in which all take their turn, {threads} threads unless something else is said, with a
pause between them, because OpenBLAS's threads spin for a while. *Normal* data are quantised
normals; in *spread* data the scales vary over 2^-12 to 2^12 as well, so that float32 products get
most outputs wrong. G/s are 10^9 products of elements in a second. `mxref.matmul` reports how each
output was found: from sums that are exact, from sums that an error bound certifies, or from exact
integers (fallbacks)."""

FLINT = """\
python-flint's `fmpz_mat` was the fastest exact product before. It is on one thread here, and so is
mxref; its operands are integers in units of the least, and take it longer than the product."""


def products(rounds, *, quick=False):
    """Yield the tables of matrix products."""
    bench = Bench(rounds, quick)
    yield from HOW_TO_READ.format(threads=bench.threads[0]).splitlines()
    yield ""
    yield from _parts(bench)
    yield "### What is to be reached"
    yield ""
    yield from _targets(bench)
    yield "### Shapes and formats"
    yield ""
    yield from _shapes(bench)
    yield "### Outputs, addends, instructions and threads"
    yield ""
    yield from _variants(bench)
    yield "### Exact integers elsewhere"
    yield ""
    yield from FLINT.splitlines()
    yield ""
    yield from _flint(bench)
    yield from _gemm_model_tables.models(bench)


def _pair(formats):
    left, right = formats
    return left if left == right else f"{left} by {right}"


def _shape(shape):
    return " x ".join(map(str, shape)) if len(set(shape)) > 1 else f"{shape[0]}^3"


def _rate(row):
    m, k, n = row["shape"]
    return f"{m * k * n / row['seconds'] / GIGA:.1f}"


def _ratio(row, name):
    value = row["ratios"].get(name)
    return "-" if value is None else f"{value:.2f}"


def _share(row):
    m, _, n = row["shape"]
    share = row["fallbacks"] / (m * n)
    return "0" if not share else f"{share:.2g}"


def _parts(bench):
    (row,) = bench.run([bench.exact(("mxfp4", "mxfp4"), (64, 64, 64))], bench.threads[0])
    versions = [
        f"{name} {installed_version(name)}"
        for name in ("torch", "python-flint")
        if installed_version(name)
    ]
    yield f"* instructions: {row.get('path', row.get('error'))}"
    yield f"* beside numpy's OpenBLAS: {', '.join(versions) or 'nothing else is installed'}"
    yield ""


def _targets(bench):
    jobs = [
        bench.exact((name, name), data=data) for name in TARGETS for data in ("normal", "spread")
    ]
    good = yield from good_rows(bench.run(jobs, bench.threads[0]))
    found = {(row["formats"][0], row["data"]): row for row in good}
    rows = []
    for name, (baseline, must, aim) in TARGETS.items():
        pair = [found.get((name, data)) for data in ("normal", "spread")]
        if None in pair:
            continue
        normal, spread = (row["ratios"][baseline] for row in pair)
        rows.append(
            [
                f"{name}, {_shape(pair[0]['shape'])}",
                baseline,
                f"{must:g}",
                f"{aim:g}",
                f"{normal:.2f}",
                mark(normal, must, aim),
                f"{spread:.2f}",
                mark(spread, must, aim),
            ]
        )
    head = ["exact product", "times as fast as", "must", "aim", "normal", "reached"]
    yield from table([*head, "spread", "reached"], rows)


def _shapes(bench):
    jobs = []
    for shape in SHAPES:
        for name in BLOCK_FORMATS:
            jobs.append(bench.exact((name, name), shape))
            if shape in (CUBE, (32, 4096, 14336)):
                jobs.append(bench.exact((name, name), shape, "spread"))
        if shape == CUBE:
            jobs += [bench.exact(pair, shape) for pair in MIXED]
    if bench.quick:
        jobs = jobs[::9]
    good = yield from good_rows(bench.run(jobs, bench.threads[0]))
    names = ["sgemm", "dgemm", *(p for p in PEERS if any(p in row["ratios"] for row in good))]
    rows = [
        [
            f"{_shape(row['shape'])} {_pair(row['formats'])}, {row['data']}",
            _rate(row),
            *(_ratio(row, name) for name in names),
            _share(row),
        ]
        for row in good
    ]
    head = ["exact product", "G/s", *(f"of {name}" for name in names), "share of fallbacks"]
    yield from table(head, rows)


def _variants(bench):
    name = "mxfp8_e4m3"
    jobs = [
        bench.exact((name, name), options=options, addend=addend, title=title)
        for title, options, addend in OUTPUTS
    ]
    paths = [
        bench.exact((fmt, fmt), path=path, title=f"{fmt}, path {path}")
        for fmt in ("mxfp4", name)
        for path in PATHS
    ]
    avx2 = [
        bench.exact((fmt, fmt), title=f"{fmt}, compiled for AVX2 (haswell)")
        for fmt in ("mxfp4", name)
    ]
    one = [bench.exact((fmt, fmt), title=fmt) for fmt in BLOCK_FORMATS]
    if bench.quick:
        paths, avx2, one = paths[:3], [], one[:2]
    most, least = bench.threads[0], bench.threads[-1]
    good = yield from good_rows(bench.run(jobs + paths + one, most))
    more = yield from good_rows(bench.run(avx2, most, **AVX2))
    rows = [
        [f"{row['title']}, {_shape(row['shape'])}", _rate(row), _ratio(row, "sgemm")]
        for row in good[: len(good) - len(one)] + more
    ]
    rows = [[f"{name}, {row[0]}", *row[1:]] if i < len(jobs) else row for i, row in enumerate(rows)]
    yield from table(["exact product", "G/s", "of sgemm"], rows)
    if most == least:
        return
    several = {row["title"]: row for row in good[len(good) - len(one) :]}
    single = yield from good_rows(bench.run(one, least))
    rows = [
        [
            f"{row['title']}, {_shape(row['shape'])}",
            _rate(row),
            _ratio(row, "sgemm"),
            _rate(several[row["title"]]),
            f"{row['seconds'] / several[row['title']]['seconds']:.2f}",
            f"{row['sgemm_seconds'] / several[row['title']]['sgemm_seconds']:.2f}",
        ]
        for row in single
        if row["title"] in several
    ]
    head = ["exact product", f"{least} thread, G/s", "of sgemm", f"{most} threads, G/s"]
    yield from table([*head, "times as fast", "sgemm's times as fast"], rows)


def _flint(bench):
    if importlib.util.find_spec("flint") is None:
        yield "python-flint is not installed."
        yield ""
        return
    jobs = [
        bench.exact((name, name), data=data, kind="flint")
        for name in ("mxfp4", "mxfp8_e4m3")
        for data in ("normal", "spread")
    ]
    good = yield from good_rows(bench.run(jobs, 1))
    rows = [
        [
            f"{_shape(row['shape'])} {row['formats'][0]}, {row['data']}",
            f"{row['seconds']:.3f}",
            f"{row['conversion']:.3f}",
            f"{row['of_sgemm']:.3f}",
            f"{row['ratio']:.0f}x",
        ]
        for row in good
    ]
    head = ["fmpz_mat", "seconds", "to convert", "of sgemm", "mxref is faster by"]
    yield from table(head, rows)
