"""Work on a Dask cluster of three processes, one of which is killed while it is at a unit."""

import contextlib
import json
import os
import subprocess
import sys
import time
import warnings
from importlib import import_module

import _killing as units
import numpy as np
import pytest
from _compare import peers
from click.testing import CliRunner

from mxref.check.checkpoint import checkpoint as check_checkpoint
from mxref.checkpoints.quantize import quantize_checkpoint
from mxref.cli.main import main
from mxref.executors import ExecutorError, _dask, _units, open_executor, run_units
from mxref.executors._worker import Environment
from mxref.sweep import Subject, run, sweep
from mxref.vectors import plan

pytestmark = peers("distributed")
generator = import_module("mxref.vectors.generate")  # the package shows its function


@pytest.fixture(scope="module")
def scheduler():
    """Workers that die come back, as on a real cluster."""
    from distributed import LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Dask's own dependencies
        with LocalCluster(
            n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None
        ) as found:
            yield found


@pytest.fixture
def address(scheduler):
    """Where all three are there."""
    scheduler.wait_for_workers(3, timeout=60)
    return scheduler.scheduler_address


@pytest.fixture
def cluster(address):
    with open_executor(address.replace("tcp://", "dask://")) as found:
        yield found


def test_units_run_in_other_processes(cluster):
    assert cluster.workers() == 3
    pids = {pid for _, pid in run_units(cluster, units.pid, range(60))}
    assert 1 < len(pids) <= 3
    assert os.getpid() not in pids


def test_a_sweep_survives_a_killed_worker(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "CHUNKS", 24)  # the first ones: a whole sweep takes longer
    subjects = [Subject.of("e2m1"), Subject.of("e4m3", "ocp:rounding=up")]
    alone = list(sweep(subjects, in_flight=1))
    with units.a_worker_killed_in_mid_unit(cluster, tmp_path) as killed:
        found = list(sweep(subjects, executor=cluster))
    assert len(killed) == 1
    assert units.begun(tmp_path) > 2 * 24
    assert sorted(found, key=lambda o: o.subject.name) == alone


def test_vectors_survive_a_killed_worker(cluster, tmp_path, monkeypatch):
    names = ("decode/e2m1.ocp.json", "decode/e3m2.ocp.json", "decode/e8m0.ocp.json")
    chosen = tuple(job for job in plan.jobs() if job.path in names)
    assert len(chosen) == 3
    monkeypatch.setattr(generator, "jobs", lambda: chosen)
    generator.generate(tmp_path / "alone")
    (tmp_path / "signals").mkdir()
    with units.a_worker_killed_in_mid_unit(cluster, tmp_path / "signals", after=1) as killed:
        generator.generate(tmp_path / "cluster", executor=cluster)
    assert len(killed) == 1
    assert contents(tmp_path / "cluster") == contents(tmp_path / "alone")


@pytest.fixture
def weights(tmp_path):
    """A checkpoint of three tensors."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(7)
    shapes = {"a.weight": (256, 1024), "b.weight": (512, 512), "c.weight": (96, 4096)}
    path = tmp_path / "original.safetensors"
    save_file(
        {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()},
        path,
    )
    return path


def test_a_checkpoint_is_quantized_though_a_worker_is_killed(cluster, tmp_path, weights):
    alone, shared = tmp_path / "alone.safetensors", tmp_path / "cluster.safetensors"
    quantize_checkpoint(weights, alone, "mxfp4", "gpt-oss")
    (tmp_path / "signals").mkdir()
    with units.a_worker_killed_in_mid_unit(cluster, tmp_path / "signals", after=1) as killed:
        quantize_checkpoint(weights, shared, "mxfp4", "gpt-oss", executor=cluster)
    assert len(killed) == 1
    assert shared.read_bytes() == alone.read_bytes()


def test_a_checkpoint_is_checked_though_a_worker_is_killed(cluster, tmp_path, weights):
    made = tmp_path / "quantized.safetensors"
    quantize_checkpoint(weights, made, "mxfp4", "gpt-oss", policy="torchao-ceil")
    with made.open("r+b") as damaged:  # the last byte of a tensor: one wrong code or scale
        damaged.seek(-1, os.SEEK_END)
        (last,) = damaged.read(1)
        damaged.seek(-1, os.SEEK_END)
        damaged.write(bytes([last ^ 1]))
    alone = check_checkpoint(made, weights, memory=1)
    (tmp_path / "signals").mkdir()
    with units.a_worker_killed_in_mid_unit(cluster, tmp_path / "signals") as killed:
        found = check_checkpoint(made, weights, memory=1, executor=cluster)
    assert len(killed) == 1
    assert units.begun(tmp_path / "signals") > 10
    assert not found.ok
    assert without_time(found) == without_time(alone)


def without_time(report):
    document = json.loads(report.to_json())
    return {key: value for key, value in document.items() if "second" not in key}


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_error_of_a_unit_comes_back(cluster):
    with pytest.raises(LookupError, match="seven") as caught:
        list(run_units(cluster, units.fail_at_seven, range(9), describe="unit {}".format))
    assert caught.value.__notes__ == ["while working on unit 7"]


def test_a_unit_that_kills_each_worker_is_named(cluster):
    with pytest.raises(ExecutorError, match=r"unit 7: \d workers ended while it was with them"):
        list(run_units(cluster, units.kill_at_seven, [7], describe="unit {}".format))


def test_workers_with_another_mxref_are_refused(address, monkeypatch):
    ours = Environment("9.9", "0.66", "2.0", "3.11", "")
    monkeypatch.setattr(_dask, "environment", Stub(ours))
    with pytest.raises(ExecutorError, match=r"this process has 9\.9.* are 2 others of 3 workers"):
        open_executor(address).__enter__()


class Stub:
    """Answers for this process; travels to workers as the real function."""

    def __init__(self, ours):
        self.ours = ours

    def __call__(self):
        return self.ours

    def __reduce__(self):
        return getattr, (_dask, "environment")


def test_workers_without_mxref_are_refused():
    unfit = _dask._unfit(ModuleNotFoundError("No module named 'mxref'"), None)
    assert unfit == "cannot load mxref: No module named 'mxref'"


def test_a_worker_with_another_mxref_that_joins_later(cluster, monkeypatch):
    monkeypatch.setattr(_units, "environment", lambda: Environment("9.9", "", "", "", ""))
    with pytest.raises(
        ExecutorError, match=r"the worker on .* has mxref .*, this process has 9\.9"
    ):
        list(run_units(cluster, units.square, [3]))


def test_all_workers_gone(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(_dask, "_LIVE_WITHIN", 2.0)
    monkeypatch.setattr(_units, "_LOOK_AFTER", 0.5)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as few,
        open_executor(few.scheduler_address) as pool,
    ):
        found = run_units(pool, time.sleep, [0, *[0.2] * 1000])
        next(found)
        few.scale(0)
        with pytest.raises(ExecutorError, match="has had no workers for 2 s; start some with"):
            list(found)


def test_a_scheduler_killed_in_mid_run(tmp_path):
    place = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    options = ["--no-dashboard", "--port", "0", "--scheduler-file", str(place)]
    with contextlib.ExitStack() as stack:
        scheduler = stack.enter_context(subprocess.Popen([*dask, "scheduler", *options], **quiet))
        stack.callback(scheduler.kill)
        wait_for(lambda: place.exists() and place.read_text().strip().endswith("}"))
        address = json.loads(place.read_text())["address"]
        worker = stack.enter_context(
            subprocess.Popen([*dask, "worker", address, "--no-nanny", "--no-dashboard"], **quiet)
        )
        stack.callback(worker.kill)
        pool = stack.enter_context(open_executor(address))
        found = run_units(pool, time.sleep, [0.05] * 1000)
        next(found)
        scheduler.kill()
        began = time.monotonic()
        with pytest.raises(ExecutorError, match="the connection"):
            list(found)
        assert time.monotonic() - began < 60


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_on_a_cluster(address, tmp_path, weights):
    made = tmp_path / "made.safetensors"
    how = ("--executor", address.replace("tcp://", "dask://"))
    arguments = [weights, "--format", "mxfp4", "--layout", "gpt-oss", "-o", made, *how]
    done = CliRunner().invoke(main, ["quantize", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    quantize_checkpoint(weights, tmp_path / "alone.safetensors", "mxfp4", "gpt-oss")
    assert made.read_bytes() == (tmp_path / "alone.safetensors").read_bytes()


def test_no_scheduler(monkeypatch):
    monkeypatch.setattr(_dask, "_ANSWER_WITHIN", 0.5)
    with pytest.raises(ExecutorError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        open_executor("dask://127.0.0.1:9").__enter__()


def test_a_scheduler_without_workers(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(_dask, "_ANSWER_WITHIN", 1.0)
    with (
        LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(ExecutorError, match="has no workers; start some with `dask worker tcp://"),
    ):
        open_executor(empty.scheduler_address).__enter__()
