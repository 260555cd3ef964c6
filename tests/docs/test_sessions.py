"""Pages show what commands print; and the numbers of docs/checking.md are those of the code."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import mxref
from mxref.check._levels import chunks
from mxref.formats import block_format, scalar_format

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def sessions():
    spec = importlib.util.spec_from_file_location("sessions", DOCS / "sessions.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "path", [str(DOCS), *sys.path])  # it imports its neighbour
        spec.loader.exec_module(module)
    return module


def test_outputs_are_replaced_by_those_of_now(sessions):
    page = "A\n```console\n$ echo b \\\n  c; exit 3\nold\nold\n$ echo $?\n```\n"
    assert sessions.page_of(page) == (
        "A\n```console\n$ echo b \\\n  c; exit 3\nb c\n$ echo $?\n3\n```\n"
    )


def test_a_page_that_is_current_stays_as_it_is(sessions):
    page = "```console\n$ cat a\n1\n2\n```\n"
    page = f"<!-- file: a -->\n```text\n1\n2\n```\n\n{page}"
    assert sessions.page_of(page) == page


def test_other_blocks_are_not_run(sessions):
    page = "```sh\n$ exit 1\n```\n"
    assert sessions.page_of(page) == page


def test_times_are_left_out(sessions):
    page = "```console\n$ echo 1 passed in 0.12s\n```\n"
    assert "1 passed\n" in sessions.page_of(page).splitlines(keepends=True)


def test_a_line_about_the_time_alone_is_left_out(sessions):
    page = "```console\n$ echo a; echo 1.3 s, 614 kB/s of the source; echo b\n```\n"
    assert sessions.page_of(page).endswith("source; echo b\na\nb\n```\n")


def test_what_belongs_on_no_page_is_refused(sessions):
    with pytest.raises(SystemExit, match="does not belong on a page"):
        sessions.page_of("```console\n$ nosuchcommand\n```\n")


# --- the table of costs -----------------------------------------------------------------------

RIGHT = {
    "quantize": ("mxfp4", lambda x: mxref.quantize(x, "mxfp4")),
    "dequantize": ("mxfp4", lambda codes, scales: mxref.dequantize(codes, scales, "mxfp4")),
    "encode": ("e4m3", lambda x: mxref.encode(x, "e4m3")),
    "decode": ("e4m3", lambda codes: mxref.decode(codes, "e4m3")),
}


def costs():
    """By operation and level: the calls that the page states."""
    text = (DOCS / "checking.md").read_text(encoding="utf-8")
    head, *rows = re.findall(r"^\| calls .*?\n\n", text, re.MULTILINE | re.DOTALL)[0].splitlines()
    levels = [cell.strip(" `") for cell in head.split("|")[2:-1]]
    for row in rows[1:]:
        if row:
            name, *cells = (cell.strip(" `") for cell in row.split("|")[1:-1])
            yield name.split("`")[0], dict(zip(levels, cells, strict=True))


@pytest.mark.parametrize(("op", "stated"), list(costs()))
def test_the_calls_are_those_that_the_page_states(op, stated):
    name, right = RIGHT[op]
    sizes = []

    def counted(*inputs):
        sizes.append(inputs[0].size)
        return right(*inputs)

    counts = {}
    for level in ("smoke", "core"):
        sizes.clear()
        assert mxref.check.kernel(counted, name, op, level=level).ok
        counts[level] = len(sizes)
    fmt = block_format(name) if "quantize" in op else scalar_format(name)
    for level in ("full", "exhaustive"):
        counts[level] = counts["core"] + chunks(fmt, op, level, np.dtype(np.float32))[0]
    assert {level: f"{count:,}" for level, count in counts.items()} == stated
