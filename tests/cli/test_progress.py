import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref.cli import _progress
from mxref.cli._progress import counted_progress, duration, progress_bar, rate_text


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when it is told to."""
    now = [1000.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


def test_lines_tell_amount_rate_and_time_left(clock, capsys):
    with progress_bar("checking", 100e9, lines=True) as advance:
        clock(5)
        advance(2.5e9, "a.weight")
        clock(5)
        advance(2.5e9, "b.weight")
        clock(9)
        advance(1e9)
        clock(1)
        advance(4e9, "c.weight")
    assert capsys.readouterr().err.splitlines() == [
        "mxref: b.weight: 5.00 GB of 100 GB, 5 %, 500 MB/s, 3:10 left",
        "mxref: c.weight: 10.0 GB of 100 GB, 10 %, 500 MB/s, 3:00 left",
    ]


def test_what_was_done_before_is_no_speed(clock, capsys):
    with progress_bar("writing", 1000, "files", done=900, lines=True) as advance:
        clock(10)
        advance(50)
    with counted_progress("", "chunks", lines=True) as show:
        show("e4m3", 301, 512)  # 300 were in the journal
        clock(10)
        show("e4m3", 310, 512)
    assert capsys.readouterr().err.splitlines() == [
        "mxref: writing: 950 files of 1,000 files, 95 %, 5 files/s, 0:10 left",
        "mxref: e4m3: 310 chunks of 512 chunks, 61 %, 1 chunks/s, 3:22 left",
    ]


def test_a_next_part_begins_a_new_count(clock, capsys):
    with counted_progress("verifying", "files", lines=True) as show:
        show("x", 1, 2)
        clock(100)
        show("core/x", 1, 2)
        clock(10)
        show("core/y", 2, 2)
    assert capsys.readouterr().err.splitlines() == [
        "mxref: verifying core/x: 1 files of 2 files, 50 %, 0 files/s",
        "mxref: verifying core/y: 2 files of 2 files, 100 %, 0.1 files/s, 0:00 left",
    ]


def test_nothing_in_a_pipe(clock, capsys):
    with progress_bar("checking", 10, "chunks") as advance:
        clock(100)
        advance(5)
    assert capsys.readouterr() == ("", "")


def test_nobody_knows_the_total(clock, capsys):
    with progress_bar("reading", None, lines=True) as advance:
        clock(10)
        advance(1e6)
    assert capsys.readouterr().err == "mxref: reading: 1.00 MB, 100 kB/s\n"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (999_499, "999 kB"), (999_500, "1.00 MB"),
        (53_880_000_000, "53.9 GB"), (1e12, "1.00 TB"), (2.5e18, "2.50e+03 PB"),
    ],
)  # fmt: skip
def test_amounts(amount, text):
    assert rate_text(amount, "bytes") == text


@given(st.floats(1, 1e17))
def test_an_amount_has_three_digits_and_no_loose_point(amount):
    number, unit = rate_text(amount, "bytes").split()
    assert re.fullmatch(r"[1-9]\d*(\.\d+)?", number)
    digits = len(number.replace(".", ""))
    assert digits <= 3 if unit == "B" else digits == 3
    assert float(number) * 1000 ** (
        ["B", "kB", "MB", "GB", "TB", "PB"].index(unit)
    ) == pytest.approx(amount, rel=0.0051)


def test_durations():
    assert [duration(s) for s in (0, 59.6, 3599, 3600)] == ["0:00", "1:00", "59:59", "1 h 00 min"]


def test_many_threads_count_together(clock, capsys):
    with progress_bar("x", 4001, "files", lines=True) as advance:
        threads = [
            threading.Thread(target=lambda: [advance() for _ in range(1000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock(10)
        advance()
    assert "4,001 files of 4,001 files, 100 %" in capsys.readouterr().err


SCRIPT = """
import sys, time
from mxref.cli._progress import echo, progress_bar
seconds = float(sys.argv[1])
with progress_bar("checking", 4e9) as advance:
    for i in range(4):
        echo(f"result {i}")
        time.sleep(seconds / 4)
        advance(1e9, f"layers.{i}.weight")
"""


def on_a_terminal(*args, stdout):
    """Run with standard error on a terminal; return what appeared there, and standard output."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *args],
        stdout=theirs if stdout == "terminal" else subprocess.PIPE,
        stderr=theirs,
        env=environment,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            if not select.select([ours], [], [], 60)[0]:
                break
            try:
                data = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
        out = process.stdout.read() if process.stdout else b""
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode(), out.decode()


def test_a_bar_appears_after_a_second_and_goes_away():
    shown, out = on_a_terminal("2.4", stdout="pipe")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"layers\.\d\.weight .* 2\.00 GB of 4\.00 GB .*B/s 0:0\d left", plain), plain
    assert shown.rstrip().endswith("\x1b[2K")  # its line is cleared
    # What is printed meanwhile goes to standard output, not into the bar's stream.
    assert out == "".join(f"result {i}\n" for i in range(4))
    assert "result" not in plain


def test_results_stand_above_the_bar_where_both_are_one_terminal():
    shown, _ = on_a_terminal("2", stdout="terminal")
    for i in range(4):
        assert re.search(rf"(^|\n|\x1b\[1A\x1b\[2K)result {i}\r?\n", shown), shown


def test_no_bar_for_what_takes_no_second():
    shown, out = on_a_terminal("0.1", stdout="pipe")
    assert shown == ""
    assert out.count("result") == 4


def test_ctrl_c_ends_a_sweep_in_one_line_with_its_processes(tmp_path):
    command = ["sweep", "e4m3", "--policy", "ocp", "--executor", "processes:2"]
    with subprocess.Popen(
        [sys.executable, "-m", "mxref", *command, "--resume", "state"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        state = tmp_path / "state"
        deadline = time.monotonic() + 120
        while not state.exists() or state.read_text().count("\n") < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "mxref: interrupted\n")
    deadline = time.monotonic() + 30
    while left := members(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def members(group):
    """Command lines of what is alive in a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, own, *_ = (path / "stat").read_text().rpartition(")")[2].split()
            if int(own) == group and state != "Z":
                found.append((path / "cmdline").read_bytes())
    return found
