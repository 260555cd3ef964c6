import importlib
import json

import pytest


@pytest.fixture
def small_set(monkeypatch, tmp_path):
    """A set of one file: the whole one takes a minute."""
    generate = importlib.import_module("mxref.vectors.generate")  # the package has the function
    jobs = generate.jobs()[-2:-1]
    monkeypatch.setattr(generate, "jobs", lambda: jobs)
    return tmp_path / "set"


def test_generate_and_verify(invoke, small_set):
    result = invoke("vectors", "generate", "--directory", small_set)
    assert result.exit_code == 0, result.output
    assert "cases" in result.stdout
    written = json.loads(invoke("vectors", "generate", "--directory", small_set, "--json").stdout)
    assert written["cases"] > 10
    verified = invoke("vectors", "verify", "--directory", small_set, "--json")
    assert verified.exit_code == 0, verified.output
    assert json.loads(verified.stdout)["problems"] == []


def test_executors_change_no_byte(invoke, fails, small_set, tmp_path):
    other = tmp_path / "other"
    assert invoke("vectors", "generate", "--directory", small_set, "--jobs", 1).exit_code == 0
    threads = ("--executor", "threads:2")
    assert invoke("vectors", "generate", "--directory", other, *threads).exit_code == 0
    for path in small_set.rglob("*.json"):
        assert (other / path.relative_to(small_set)).read_bytes() == path.read_bytes()
    here = ("--directory", small_set)
    assert "leave one of them out" in fails("vectors", "generate", *here, *threads, "--jobs", 2)
    assert "is for --regenerate" in fails("vectors", "verify", *here, *threads)
    result = invoke("vectors", "verify", *here, *threads, "--regenerate")
    assert result.exit_code == 0, result.output
    assert "expected threads" in fails("vectors", "strength", *here, "--executor", "thread")


def test_a_damaged_set_is_named(invoke, small_set):
    invoke("vectors", "generate", "--directory", small_set)
    victim = next(path for path in small_set.rglob("*.hex"))
    victim.write_text(victim.read_text()[:-1])
    result = invoke("vectors", "verify", "--directory", small_set)
    assert result.exit_code == 1
    assert victim.name in result.stdout


def test_no_set(fails, tmp_path):
    assert "mxref vectors generate" in fails("vectors", "verify", "--directory", tmp_path / "no")
    (tmp_path / "file").write_text("")
    fails("vectors", "generate", "--directory", tmp_path / "file")
