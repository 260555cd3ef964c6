"""The benchmarks run, measure every policy, and survive what peers do. No speed is tested."""

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mxref.kernels.composed import is_composed
from mxref.policy import Policy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a module of the folder benchmarks."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_every_choice_is_measured(load):
    policies = load("_policies")
    measured = {
        (field, getattr(policy, field))
        for operation in ("quantize", "dequantize", "scale cast")
        for policy in policies.variants(operation)
        for field in policy.as_dict()
    }
    for field in dataclasses.fields(Policy):
        if field.name not in policies.BITS_ONLY:
            missing = [m for m in type(field.default) if (field.name, m) not in measured]
            assert not missing, field.name


def test_the_heaviest_policy_needs_one_pass_only(load):
    heaviest = load("_policies").everything_at_once()
    assert not is_composed(heaviest)
    assert len(heaviest.diff(Policy())) > 15


def test_one_format_of_each_width_and_kind(load):
    assert load("_policies").representatives() == ("mxfp8_e4m3", "mxfp6_e3m2", "mxfp4", "mxint8")


def fake_peer(peers, *cases):
    return peers.Peer("fake", "numpy", "nothing", lambda: iter(cases))


def test_a_case_that_raises_is_reported_and_the_next_one_measured(load):
    peers, process = load("_peers"), load("_peer_process")

    def broken(_):
        raise RuntimeError("out of order\nsecond line")

    peer = fake_peer(
        peers,
        peers.Case("encode", "e4m3", broken),
        peers.Case("encode", "e4m3", lambda x: x.copy),
    )
    first, second = process.measure(peer, 1 << 12, 1)
    assert first["error"] == "RuntimeError: out of order"
    assert second["elements"] == 1 << 12
    assert second["rate"] > 0
    assert "error" not in second


def test_a_slow_peer_gets_fewer_elements(load, monkeypatch):
    peers, process = load("_peers"), load("_peer_process")
    monkeypatch.setattr(process, "LIMIT", 0.0)
    case = peers.Case("encode", "e4m3", lambda x: x.copy)
    _, size = process._affordable(case, np.zeros(1 << 14, np.float32))
    assert size == process.LEAST


def test_a_process_that_fails_is_reported(load):
    rows, problem = load("_peer_tables")._run("no such peer", 1 << 12, 1)
    assert rows == []
    assert "ended with status 1" in problem


def test_a_peer_that_is_absent_is_listed(load, monkeypatch):
    peers, tables = load("_peers"), load("_peer_tables")
    absent = peers.Peer("absent", "no_such_module_anywhere", "nothing", lambda: iter(()))
    monkeypatch.setattr(tables, "PEERS", (absent,))
    assert "* absent: not installed" in list(tables.peers(1 << 12, 1))


@pytest.mark.slow
def test_a_quick_run_writes_the_page(tmp_path):
    page = tmp_path / "page.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--no-peers", "--write", str(page)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    for wanted in ("quantize mxint8", "decode e8m0", "rounding=", "One block of 32", "MiB"):
        assert wanted in text
    assert str(tmp_path) not in text
