"""Interruptions: whatever ends a run, the next one goes on, and nobody can tell from the bytes."""

import errno
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from _killing import a_worker_killed_in_mid_unit, begun

from mxref.checkpoints import CheckpointError, _atomic, _plan, _work, quantize, writer
from mxref.checkpoints.quantize import quantize_checkpoint
from mxref.executors import open_executor

RNG = np.random.default_rng(0)
TENSORS = {
    "a.weight": RNG.standard_normal((200, 64)).astype(np.float32),
    "a.bias": RNG.standard_normal(9).astype(np.float32),
    "b.weight": RNG.standard_normal((130, 128)).astype(np.float16),
}
WRITES = 46  # of one run over `source`: header, copy, and two parts of each of 22 slices


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(_plan, "SLICE", 4096)
    # Whoever works on a kernel while these run must not be told that it is another mxref.
    monkeypatch.setattr(quantize, "_this_mxref", lambda: "this")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.safetensors"
    safetensors.numpy.save_file(TENSORS, path)
    return path


@pytest.fixture
def expected(source, tmp_path):
    path = tmp_path / "expected.safetensors"
    convert(source, path)
    return path.read_bytes()


def convert(source, out, **options):
    return quantize_checkpoint(source, out, "mxfp4", "gpt-oss", executor="threads:2", **options)


def interrupt_at(monkeypatch, number, action):
    """Let `action` happen at a certain write."""
    write, count = _atomic.Workplace.write, [0]

    def counted(self, *arguments):
        count[0] += 1
        if count[0] == number:
            action()
        write(self, *arguments)

    monkeypatch.setattr(_atomic.Workplace, "write", counted)
    return count


def raising(error):
    def action():
        raise error

    return action


def test_a_run_has_as_many_writes_as_the_tests_below_believe(source, tmp_path, monkeypatch):
    count = interrupt_at(monkeypatch, -1, None)
    convert(source, tmp_path / "o.safetensors")
    assert count[0] == WRITES


@pytest.mark.parametrize("number", [1, 2, 3, 4, 20, WRITES - 1, WRITES])
def test_going_on_after_an_interrupt(source, tmp_path, monkeypatch, expected, number):
    out = tmp_path / "o.safetensors"
    with monkeypatch.context() as patch:
        interrupt_at(patch, number, raising(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            convert(source, out)
    assert not out.exists()
    assert (tmp_path / "o.safetensors.partial" / "journal").is_file()
    summary = convert(source, out)
    assert out.read_bytes() == expected
    assert summary.resumed_bytes == 0 or number > 2
    assert summary.resumed_bytes > 0 or number < 4  # 3: the copy, or half of a slice
    assert not (tmp_path / "o.safetensors.partial").exists()


def test_only_what_is_missing_is_done_again(source, tmp_path, monkeypatch, expected):
    out = tmp_path / "o.safetensors"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 20, raising(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            convert(source, out)
    done = len((tmp_path / "o.safetensors.partial" / "journal").read_bytes().splitlines()) - 1
    units, run = [], _work.run_unit

    def seen(job, unit):
        units.append(unit.number)
        return run(job, unit)

    monkeypatch.setattr(writer, "run_unit", seen)
    convert(source, out)
    assert len(units) == len(set(units)) == 23 - done
    assert out.read_bytes() == expected


KILLED = """
import os, signal, sys
from mxref.checkpoints import _atomic, _plan, quantize
_plan.SLICE = 4096
quantize._this_mxref = lambda: "this"
write, left = _atomic.Workplace.write, int(sys.argv[3])
def killing(self, *arguments):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, *arguments)
_atomic.Workplace.write = killing
quantize.quantize_checkpoint(sys.argv[1], sys.argv[2], "mxfp4", "gpt-oss", executor="threads:2")
"""


@pytest.mark.parametrize("number", [2, 17, WRITES])
def test_going_on_after_a_kill(source, tmp_path, expected, number):
    out = tmp_path / "o.safetensors"
    command = [sys.executable, "-c", KILLED, str(source), str(out), str(number)]
    ended = subprocess.run(command, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert not out.exists()
    summary = convert(source, out)
    assert out.read_bytes() == expected
    assert summary.resumed_bytes == 0 or number > 2
    assert summary.resumed_bytes > 0 or number < 4  # 3: the copy, or half of a slice


def test_a_file_that_lacks_what_its_journal_promises(source, tmp_path, monkeypatch, expected):
    out = tmp_path / "o.safetensors"
    with monkeypatch.context() as patch:
        interrupt_at(patch, WRITES, raising(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            convert(source, out)
    partial = tmp_path / "o.safetensors.partial"
    data = partial / "data" / "o.safetensors"
    damaged = bytearray(data.read_bytes())
    damaged[5000] ^= 1
    data.write_bytes(damaged)
    journal = partial / "journal"
    journal.write_bytes(journal.read_bytes()[:-7])  # and half a line, as a full disk leaves it
    convert(source, out)
    assert out.read_bytes() == expected


@pytest.mark.slow
def test_a_worker_process_that_is_killed(source, tmp_path, expected):
    out, seen = tmp_path / "o.safetensors", []
    with (
        open_executor("processes:2") as pool,
        a_worker_killed_in_mid_unit(pool, tmp_path, after=6) as killed,
    ):
        quantize_checkpoint(
            source, out, "mxfp4", "gpt-oss", executor=pool, progress=lambda *at: seen.append(at)
        )
    assert len(killed) == 1
    assert begun(tmp_path) > 22  # what was lost was done again
    assert seen[-1][0] == seen[-1][1] == sum(x.nbytes for x in TENSORS.values())
    assert len(seen) == 1 + 23
    assert out.read_bytes() == expected
    assert not (tmp_path / "o.safetensors.partial").exists()


def test_other_work_is_not_gone_on_with(source, tmp_path, monkeypatch, expected):
    out = tmp_path / "o.safetensors"

    def interrupted():
        with monkeypatch.context() as patch:
            interrupt_at(patch, 20, raising(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                convert(source, out, resume=False)

    interrupted()
    with pytest.raises(
        CheckpointError, match=r"policy was ocp, now ocp:rounding=toward-zero.*rest"
    ):
        convert(source, out, policy="ocp:rounding=toward-zero")
    with pytest.raises(CheckpointError, match="exclude was "):
        convert(source, out, exclude=["b.*"])
    with pytest.raises(CheckpointError, match="layout was gpt-oss, now mlx"):
        quantize_checkpoint(source, out, "mxfp4", "mlx")
    with monkeypatch.context() as patch:
        patch.setattr(quantize, "_this_mxref", lambda: "a newer one")
        with pytest.raises(CheckpointError, match="mxref was this, now a newer one"):
            convert(source, out)
    os.utime(source, ns=(1, 1))
    with pytest.raises(CheckpointError, match=r"source was .*time 1\)"):
        convert(source, out)
    assert convert(source, out, resume=False).resumed_bytes == 0
    assert out.read_bytes() == expected
    assert not (tmp_path / "o.safetensors.partial").exists()


def test_two_runs_at_once(source, tmp_path):
    out = tmp_path / "o.safetensors"
    place = _atomic.Workplace(out, is_folder=False)
    for resume in (True, False):
        with pytest.raises(CheckpointError, match="another run is writing it"):
            convert(source, out, resume=resume)
    place.close()
    convert(source, out)


def test_an_output_that_comes_into_being_meanwhile(source, tmp_path, monkeypatch):
    out = tmp_path / "o.safetensors"
    interrupt_at(monkeypatch, 10, lambda: out.write_bytes(b"somebody else's"))
    with pytest.raises(CheckpointError, match=r"come into being .* in .*safetensors\.partial"):
        convert(source, out)
    assert out.read_bytes() == b"somebody else's"
    folder = tmp_path / "folder"

    def appear():
        folder.mkdir()
        (folder / "x").touch()

    interrupt_at(monkeypatch, 10, appear)
    with pytest.raises(CheckpointError, match="has come into being meanwhile"):
        convert(source, folder)
    assert [path.name for path in folder.iterdir()] == ["x"]


def test_a_source_that_changes_meanwhile(source, tmp_path, monkeypatch):
    out = tmp_path / "o.safetensors"
    interrupt_at(monkeypatch, WRITES, lambda: os.utime(source, ns=(1, 1)))
    with pytest.raises(CheckpointError, match="changed while it was read"):
        convert(source, out)
    assert not out.exists()


def test_a_partial_that_is_somebody_elses(source, tmp_path):
    out, partial = tmp_path / "o.safetensors", tmp_path / "o.safetensors.partial"
    partial.write_bytes(b"mine")
    with pytest.raises(CheckpointError, match="in the way"):
        convert(source, out, resume=False)
    partial.unlink()
    partial.mkdir()
    (partial / "thesis.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="no journal of mxref's"):
        convert(source, out, resume=False)
    assert [path.name for path in partial.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("junk", [b"", b"\n", b"{}\n", b"[1]\nx\n", b"\xff\xfe\n"])
def test_a_journal_that_is_none(source, tmp_path, expected, junk):
    partial = tmp_path / "o.safetensors.partial"
    partial.mkdir()
    (partial / "journal").write_bytes(junk)
    out = tmp_path / "o.safetensors"
    if junk == b"{}\n":
        with pytest.raises(CheckpointError, match="format was not known, now mxfp4"):
            convert(source, out)
        convert(source, out, resume=False)
    else:
        convert(source, out)
    assert out.read_bytes() == expected


def test_a_kill_while_a_folder_is_replaced(source, tmp_path):
    out = tmp_path / "out"
    convert(source, out)
    before = (out / "model.safetensors").read_bytes()
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "journal").touch()
    out.rename(partial / "old")
    with pytest.raises(CheckpointError, match="has come into being"):
        convert(source, out)  # the old one is back
    assert (out / "model.safetensors").read_bytes() == before
    # killed after that, before the old one was thrown away
    (partial / "old").mkdir()
    (partial / "old" / "x").touch()
    assert convert(source, out, force=True).files
    assert (out / "model.safetensors").read_bytes() == before
    assert not partial.exists()


# --- no room ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 20])
def test_a_disk_that_is_full(source, tmp_path, monkeypatch, expected, number):
    out = tmp_path / "o.safetensors"
    with monkeypatch.context() as patch:
        pwrite, count = os.pwrite, [0]

        def full(*arguments):
            count[0] += 1
            if count[0] >= number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return pwrite(*arguments)

        patch.setattr(os, "pwrite", full)
        with pytest.raises(
            CheckpointError, match=r"no room .*needed, [\d,]+ are free.*run the same command"
        ):
            convert(source, out)
    assert not out.exists()
    convert(source, out)
    assert out.read_bytes() == expected


LIMITED = """
import resource, sys
from mxref.checkpoints.store import CheckpointError
from mxref.checkpoints import _plan, quantize
_plan.SLICE = 4096
quantize._this_mxref = lambda: "this"
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    quantize.quantize_checkpoint(sys.argv[1], sys.argv[2], "mxfp4", "gpt-oss", executor="threads:2")
except CheckpointError as error:
    print(error)
"""


def test_a_limit_of_the_system(source, tmp_path, expected):
    out = tmp_path / "o.safetensors"
    command = [sys.executable, "-c", LIMITED, str(source), str(out)]
    ended = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    assert "no room on the disk (File too large" in ended.stdout
    assert not out.exists()
    convert(source, out)
    assert out.read_bytes() == expected


def test_slices_that_are_known_need_no_room_twice(source, tmp_path, monkeypatch):
    out = tmp_path / "o.safetensors"
    with monkeypatch.context() as patch:
        interrupt_at(patch, WRITES, raising(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            convert(source, out)
    monkeypatch.setattr(_atomic.Workplace, "free", lambda _: 4096)
    convert(source, out)
    assert out.exists()
