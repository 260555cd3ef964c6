import hashlib
import itertools
import json
import sys

import pytest

from mxref.sweep import ChunkResult, Difference, Subject, published
from mxref.sweep import run as run_module


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Sweeps that cast nothing, in a folder of their own; the dictionary holds what differs."""
    wrong = {}

    def sweep_chunk(subject, chunk, *, oracle):
        text = f"{subject.name} {chunk} {wrong.get('salt') if chunk == 7 else ''}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        if oracle and wrong.get("chunk") == chunk:
            return ChunkResult(chunk, digest, 3, Difference(chunk << 24, 0x39, 0x38))
        return ChunkResult(chunk, digest)

    monkeypatch.setattr(run_module, "sweep_chunk", sweep_chunk)
    monkeypatch.chdir(tmp_path)
    return wrong


E4M3 = ("sweep", "e4m3", "--rounding", "nearest-even", "--overflow", "saturate")


def test_list(invoke, quick):  # noqa: ARG001
    names = invoke("sweep", "--list").stdout.split()
    assert names == [subject.name for subject in published()]
    assert invoke("sweep", "int8", "--list").stdout.split() == [
        s.name for s in published() if s.format == "int8"
    ]
    up = invoke("sweep", "--rounding", "up", "--list").stdout.split()
    assert {"e4m3.up.saturate", "int8.up", "e8m0.up"} <= set(up)
    assert invoke("sweep", "--overflow", "sat-none", "--list").stdout.count("sat-none") == 14
    (first, *_) = json.loads(invoke("sweep", "--list", "--json").stdout)
    assert first["name"] == names[0]
    assert first["policy"]["fp8_overflow"] == "saturate"


def test_parts_are_everything_once(invoke, quick):  # noqa: ARG001
    parts = [invoke("sweep", "--list", "--part", f"{k}/4").stdout.split() for k in range(1, 5)]
    assert sorted(itertools.chain(*parts)) == sorted(s.name for s in published())
    assert parts[1][0] == published()[1].name


def test_without_digests_the_oracle_decides(invoke, quick):
    result = invoke(*E4M3)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("  e4m3.nearest-even.saturate  equal: oracle\n")
    assert result.stderr == ""
    quick["chunk"] = 0x3F
    result = invoke(*E4M3)
    assert result.exit_code == 1
    assert (
        "chunk 63: float32 0x3f000000 gave 0x39, expected 0x38 (3 inputs differ)" in result.stdout
    )
    assert "not compared" in invoke(*E4M3, "--no-oracle").stdout


def test_write_then_verify(invoke, quick):
    assert invoke("sweep", "e2m1", "--write", "set").exit_code == 0
    result = invoke("sweep", "e2m1", "--verify", "set")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("equal: oracle, digest") == 7
    assert result.stdout.splitlines()[-1].startswith("7 sweeps in ")
    quick["salt"] = "pepper"
    result = invoke("sweep", "e2m1", "--rounding", "up", "--verify", "set", "--no-oracle", "--json")
    assert result.exit_code == 1
    (report,) = json.loads(result.stdout)["sweeps"]
    assert report["different_chunks"] == [7]
    assert report["first"] is None
    result = invoke("sweep", "e2m1", "--rounding", "up", "--verify", "set")
    assert result.exit_code == 1
    assert "DIFFERS: 1 chunk has another digest: 7" in result.stdout


def test_published_digests_are_found_by_themselves(invoke, fails, quick):  # noqa: ARG001
    assert invoke(*E4M3, "--write", "spec_vectors/digests").exit_code == 0
    assert "equal: oracle, digest" in invoke(*E4M3).stdout
    # A published sweep without its file is no pass.
    assert "there is no such file" in fails("sweep", "e2m1", "--rounding", "up")


def test_what_the_oracle_refutes_is_not_written(invoke, quick, tmp_path):
    quick["chunk"] = 3
    result = invoke("sweep", "e2m1", "--write", "set")
    assert result.exit_code == 1
    assert not (tmp_path / "set").exists()


def test_json(invoke, quick):
    quick["chunk"] = 0x3F
    result = invoke(*E4M3, "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    (report,) = answer["sweeps"]
    assert report["policy"] == Subject.of("e4m3").choices
    assert report["first"] == {
        "chunk": 63,
        "input": "0x3f000000",
        "got": "0x39",
        "expected": "0x38",
    }
    assert len(report["root"]) == 64


def test_a_policy_of_ones_own(invoke, fails, quick):  # noqa: ARG001
    result = invoke("sweep", "e4m3", "--policy", "ocp:nan_payload=signed")
    assert result.exit_code == 0
    assert "e4m3.nearest-even.saturate.nan_payload-signed" in result.stdout
    invoke("sweep", "e4m3", "--policy", "ocp", "--write", "set")
    # Compared where a digest is there, and not missed where none is.
    result = invoke("sweep", "e4m3", "--policy", "ocp", "--policy", "ml_dtypes", "--verify", "set")
    assert result.exit_code == 0
    assert [line.split("  ")[-1] for line in result.stdout.splitlines()[:2]] == [
        "equal: oracle, digest",
        "equal: oracle",
    ]
    assert "leave the other" in fails("sweep", "e4m3", "--policy", "ocp", "--rounding", "up")


def test_resume(invoke, fails, quick, tmp_path):  # noqa: ARG001
    first = json.loads(invoke(*E4M3, "--resume", "state", "--json").stdout)
    again = json.loads(invoke(*E4M3, "--resume", "state", "--json").stdout)
    assert first["sweeps"][0]["resumed_chunks"] == 0
    assert again["sweeps"][0]["resumed_chunks"] == 256
    assert again["sweeps"][0]["root"] == first["sweeps"][0]["root"]
    state = tmp_path / "state"
    state.write_text(state.read_text().replace('"chunk": 1,', '"chunk": one,', 1))
    assert "is damaged" in fails(*E4M3, "--resume", "state")
    assert "state" in fails(*E4M3, "--resume", "no/state")


def test_wrong_arguments(fails, quick, tmp_path):  # noqa: ARG001
    assert "did you mean 'e4m3'" in fails("sweep", "e4m4")
    assert "block format" in fails("sweep", "mxfp4")
    assert "did you mean 'nearest-even'" in fails("sweep", "--rounding", "nearest-evn")
    assert "random bits" in fails("sweep", "--rounding", "stochastic-a")
    assert "random bits" in fails("sweep", "e4m3", "--policy", "ocp:rounding=stochastic-b")
    assert "refuses inputs" in fails("sweep", "e2m1", "--policy", "ocp:nan_element=raise")
    assert "did you mean 'saturate'" in fails("sweep", "--overflow", "satuate")
    assert "e2m1 has no such rounding, or no overflow" in fails(
        "sweep", "e2m1", "--overflow", "saturate"
    )
    assert "no format has" in fails("sweep", "--rounding", "nearest", "--overflow", "saturate")
    for part in ("0/4", "5/4", "1", "a/b", "1/0", "-1/4", "/"):
        assert "expected K/N" in fails("sweep", f"--part={part}")
    assert "sweeps only" in fails("sweep", "e2m1", "--part", "9/9")
    assert "no such folder" in fails("sweep", "--verify", "nowhere")
    (tmp_path / "file").write_text("")
    assert "no such folder" in fails("sweep", "--verify", "file")
    assert "no folder" in fails("sweep", "--write", "file")
    assert "exclude each other" in fails("sweep", "--write", "a", "--verify", "b")
    assert "nobody has checked" in fails("sweep", "--write", "a", "--no-oracle")


def test_damaged_digests(invoke, fails, quick, tmp_path):  # noqa: ARG001
    invoke("sweep", "e2m1", "--write", "set")
    file = tmp_path / "set" / "e2m1.up.json"
    text = file.read_text()
    file.write_text(text[:99])
    assert "e2m1.up.json: damaged JSON" in fails("sweep", "e2m1", "--verify", "set")
    file.write_text(text.replace('"rounding":"up"', '"rounding":"down"'))
    assert "of another cast" in fails("sweep", "e2m1", "--verify", "set")
    file.unlink()
    assert "file is missing" in fails("sweep", "e2m1", "--verify", "set")


def test_a_worker_that_dies_is_no_verdict(fails, quick, monkeypatch):  # noqa: ARG001
    from concurrent.futures import BrokenExecutor

    def broken(*_, **__):
        raise BrokenExecutor

    monkeypatch.setattr(run_module, "sweep_chunk", broken)
    assert "ended too early" in fails(*E4M3)


def test_executors_by_name(invoke, fails, quick):  # noqa: ARG001
    for name in ("threads", "threads:3"):
        assert invoke(*E4M3, "--executor", name).exit_code == 0
    assert invoke(*E4M3, "--executor", "threads", "--workers", "2").exit_code == 0
    assert "--executor 'process'" in fails(*E4M3, "--executor", "process")
    assert "dask://HOST:PORT" in fails(*E4M3, "--executor", "dask:8786")
    assert "leave out workers=3" in fails(*E4M3, "--executor", "threads:2", "--workers", "3")
    assert "its own workers" in fails(*E4M3, "--executor", "dask://a:1", "--workers", "3")


def test_a_cluster_without_dask(fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    line = fails(*E4M3, "--executor", "dask://127.0.0.1:9")
    assert "pip install 'mxref[dask]'" in line


@pytest.mark.slow
def test_one_sweep_for_real_by_processes(shell, tmp_path):
    done = shell(
        "sweep", "e2m1", "--policy", "ocp", "--executor", "processes", "--no-oracle", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    # On any machine, whatever runs it: the number that a GPU compares itself with.
    assert answer["sweeps"][0]["root"] == (
        "515d59a3dbdc010c0d9f2cc77c5747e53495908f9ab8b50bb0670beb770cb2d7"
    )
