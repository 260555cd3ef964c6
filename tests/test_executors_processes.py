import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path

import _killing as units
import numpy as np
import pytest
from numpy.lib.format import open_memmap

from mxref.executors import ExecutorError, open_executor, run_units


def test_processes_give_what_one_thread_gives():
    with open_executor("processes:2") as pool:
        found = dict(run_units(pool, units.square, range(50)))
        pids = {pid for _, pid in run_units(pool, units.pid, range(50))}
    assert found == {n: n * n for n in range(50)}
    assert os.getpid() not in pids
    assert len(pids) <= 2


@pytest.mark.parametrize("ordered", [True, False])
def test_a_process_killed_in_mid_unit_costs_no_result(tmp_path, ordered):
    with (
        open_executor("processes:2") as pool,
        units.a_worker_killed_in_mid_unit(pool, tmp_path) as killed,
    ):
        found = list(run_units(pool, units.square, range(20), ordered=ordered))
    assert len(killed) == 1
    assert units.begun(tmp_path) > 20
    assert (found if ordered else sorted(found)) == [(n, n * n) for n in range(20)]


def test_a_unit_that_kills_each_process_is_named():
    with (
        open_executor("processes:2") as pool,
        pytest.raises(ExecutorError, match="ended too early 4 times, at unit 7: it was killed"),
    ):
        list(run_units(pool, units.kill_at_seven, range(20), describe="unit {}".format))


def test_without_retries_the_first_loss_is_the_end():
    with open_executor("processes:2") as pool, pytest.raises(ExecutorError, match="too early, at"):
        list(run_units(pool, units.kill_at_seven, range(7, 20), retries=0))


def test_a_pool_that_cannot_be_restarted():
    with (
        ProcessPoolExecutor(2, get_context("spawn")) as pool,
        pytest.raises(ExecutorError, match="a worker process ended too early, at"),
    ):
        list(run_units(pool, units.kill_at_seven, range(20)))


@pytest.mark.parametrize("how", [ValueError, KeyboardInterrupt])
def test_no_process_outlives_an_error(tmp_path, how):
    began = time.monotonic()

    def interrupted():
        with open_executor("processes:2") as pool:
            for _ in range(2):
                pool.submit(units.sleep_long, str(tmp_path))
            wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
            raise how

    with pytest.raises(how):
        interrupted()
    assert time.monotonic() - began < units.PATIENCE / 2
    wait_for(lambda: not any(alive(int(p.name)) for p in tmp_path.iterdir()))


SCRIPT = f"""
import sys
sys.path.insert(0, {str(Path(units.__file__).parent)!r})
import _killing
from mxref.executors import open_executor, run_units
def main(unit, number):
    with open_executor("processes:2") as pool:
        list(run_units(pool, getattr(_killing, unit), sys.argv[2:] * number, in_flight=number))
"""
GUARD = 'if __name__ == "__main__":\n    '


def test_no_process_outlives_a_killed_parent(tmp_path):
    pids, script = tmp_path / "pids", tmp_path / "script.py"
    pids.mkdir()
    script.write_text(f"{SCRIPT}\n{GUARD}main(sys.argv[1], 2)")
    with subprocess.Popen([sys.executable, script, "sleep_long", pids]) as parent:
        wait_for(lambda: len(list(pids.iterdir())) == 2)
        parent.kill()
    wait_for(lambda: not any(alive(int(p.name)) for p in pids.iterdir()))


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX")
@pytest.mark.parametrize("signalled", [os.kill, getattr(os, "killpg", None)])
@pytest.mark.parametrize("at", ["sleep_long", "begin_to_send"])
def test_an_interrupt_ends_all_processes(tmp_path, signalled, at):
    pids, script = tmp_path / "pids", tmp_path / "script.py"
    pids.mkdir()
    script.write_text(f"{SCRIPT}\n{GUARD}main(sys.argv[1], 20)")
    with interruptible(sys.executable, script, at, pids) as parent:
        wait_for(lambda: len(list(pids.iterdir())) == 1 + (at == "sleep_long"))
        signalled(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=10)
    assert parent.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert errors.endswith("KeyboardInterrupt\n")
    wait_for(lambda: not group_of(parent.pid))


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX")
@pytest.mark.parametrize("signalled", [os.kill, getattr(os, "killpg", None)])
def test_an_interrupted_command_ends(tmp_path, signalled):
    source, journal = tmp_path / "s.npy", tmp_path / "q.safetensors.partial" / "journal"
    open_memmap(source, mode="w+", dtype=np.float32, shape=(1 << 15, 1 << 13))  # of holes: 1 GiB
    what = ["quantize", source, "--format", "mxfp8_e4m3", "--layout", "torchao"]
    where = ["-o", tmp_path / "q.safetensors", "--executor", "processes:2"]
    with interruptible(sys.executable, "-m", "mxref", *what, *where) as parent:
        wait_for(
            lambda: (
                parent.poll() is not None
                or (journal.exists() and len(journal.read_bytes().splitlines()) > 2)
            )
        )
        signalled(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=10)
    assert errors.count("\n") == 1
    assert "interrupted: run the same command to go on" in errors
    assert parent.returncode == 2
    wait_for(lambda: not group_of(parent.pid))


@contextmanager
def interruptible(*command):
    """Run a command in a group of processes of its own, of which nothing stays."""
    pipe = subprocess.PIPE
    options = {"stdout": pipe, "stderr": pipe, "text": True, "start_new_session": True}
    with subprocess.Popen(command, **options) as parent:
        try:
            yield parent
        finally:
            with suppress(ProcessLookupError):
                if parent.poll() is None or group_of(parent.pid):
                    os.killpg(parent.pid, signal.SIGKILL)


def group_of(leader):
    """Return the living processes of a group, but for its leader."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == leader and state != "Z" and stat.parent.name != str(leader):
                found.append(int(stat.parent.name))
    return found


def test_a_process_killed_while_it_sends_a_result_costs_no_result(tmp_path):
    def kill():
        wait_for(lambda: any(tmp_path.iterdir()))
        os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    began = time.monotonic()
    with open_executor("processes:2") as pool:
        found = list(run_units(pool, units.begin_to_send, [str(tmp_path)] * 10))
    killer.join()
    assert time.monotonic() - began < units.PATIENCE / 2
    assert [result for _, result in found] == [bytes(1 << 21)] * 10
    assert len(list(tmp_path.iterdir())) == 1


def test_a_script_without_a_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"{SCRIPT}\nmain('square', 2)")
    done = subprocess.run(
        [sys.executable, script, "", "3"], capture_output=True, text=True, timeout=60, check=False
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mxref.executors._errors.ExecutorError: a worker process ended too ear")
    assert 'must do so under `if __name__ == "__main__":`' in last


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.02)


def alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
