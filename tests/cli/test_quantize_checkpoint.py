"""``mxref quantize`` on checkpoints: exit codes, one line for each mistake, and what is printed."""

import json
import os
import signal
import subprocess
import sys

import click
import numpy as np
import pytest
import safetensors.numpy

from mxref.checkpoints import _atomic
from mxref.cli._quantize_checkpoint import parse_size


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 64)).astype(np.float32)
    path = tmp_path / "in.safetensors"
    safetensors.numpy.save_file({"a.weight": x, "a.bias": x[0]}, path)
    return path


@pytest.fixture
def command(source, tmp_path):
    """Arguments for a conversion to MXFP4 that end with what a test adds."""
    out = tmp_path / "out.safetensors"
    options = ("--format", "mxfp4", "--layout", "gpt-oss", "-o", out)
    return lambda *more: ("quantize", source, *options, *more)


def test_it_says_what_it_did_and_prints_nothing_else(invoke, command, tmp_path):
    result = invoke(*command())
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "1 tensor was quantized, 1 kept" in result.stderr
    assert set(safetensors.numpy.load_file(tmp_path / "out.safetensors")) == {
        *("a.blocks", "a.scales", "a.bias"),
    }


def test_json(invoke, command, tmp_path):
    result = invoke(
        *command("--json", "--policy", "ocp:scale_rule=ceil", "--executor", "threads:1")
    )
    report = json.loads(result.stdout)
    assert report["policy"] == "ocp:scale_rule=ceil"
    assert report["bytes"] == (tmp_path / "out.safetensors").stat().st_size
    assert report["quantized"][0]["stored"] == ["a.blocks", "a.scales"]
    assert report["kept"] == {"a.bias": "its name does not end in .weight"}


def test_a_dry_run_shows_a_table(invoke, command, tmp_path):
    result = invoke(*command("--dry-run"))
    assert result.exit_code == 0
    assert "40×64" in result.stdout
    assert "kept (its name does not end in .weight): a.bias" in result.stdout
    assert "would be quantized" in result.stderr
    assert not (tmp_path / "out.safetensors").exists()
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_names_that_would_write_on_the_screen(invoke, source, tmp_path):
    names = ["red\x1b[31m.weight", "[bold]b.weight", "x" * 4000 + ".weight"]
    x = np.ones((2, 32), np.float32)
    kept = {f"kept\x1b[2J{i}": x[0] for i in range(2)}
    safetensors.numpy.save_file(dict.fromkeys(names, x) | kept, source)
    options = ("--format", "mxfp4", "--layout", "gpt-oss", "--dry-run", "-o", tmp_path / "o")
    result = invoke("quantize", source, *options)
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "[bold]b.weight" in result.output
    assert len(result.output) < 3000
    document = json.loads(invoke("quantize", source, *options, "--json").stdout)
    assert sorted(one["name"] for one in document["quantized"]) == sorted(names)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--layout", "gptoss"], "did you mean 'gpt-oss'"),
        (["--layout", "transformer-engine", "--format", "mxfp8_e4m3"], "arrays in memory"),
        (["--format", "mxfp8_e4m3"], "cannot hold mxfp8_e4m3, it holds mxfp4"),
        (["--format", "mxpf4"], "did you mean 'mxfp4'"),
        (["--policy", "ocq"], "ocq"),
        (["--policy", "ocp:rounding=stochastic-a"], "random"),
        (["--include", "b.*"], "include 'b.*' matches no tensor"),
        (["--exclude", "a.weight"], "no tensor can be quantized"),
        (["--shard-size", "5XB"], "expected a number of bytes"),
        (["--shard-size", "5GB"], "shards are files of a folder"),
        (["--executor", "thread:2"], "thread:2"),
        (["-o", "no/such/folder/x.safetensors"], "there is no folder"),
    ],
)
def test_mistakes(fails, command, more, says):
    assert says in fails(*command(*more))


def test_existing_files_and_the_input_itself(fails, invoke, command, source, tmp_path):
    assert invoke(*command()).exit_code == 0
    before = (tmp_path / "out.safetensors").read_bytes()
    assert "exists; force (--force) replaces it" in fails(*command())
    assert "is the input itself" in fails(*command("-o", source, "--force"))
    assert invoke(*command("--force")).exit_code == 0
    assert (tmp_path / "out.safetensors").read_bytes() == before


def test_sources_that_cannot_be_read(fails, source, tmp_path):
    def convert(path):
        out = tmp_path / "o.safetensors"
        return ("quantize", path, "--format", "mxfp4", "--layout", "gpt-oss", "-o", out)

    assert "none" in fails(*convert(tmp_path / "none"))
    data = source.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[:-1])
    assert "cut.safetensors" in fails(*convert(tmp_path / "cut.safetensors"))
    (tmp_path / "lie.safetensors").write_bytes(b"\xff" * 8 + data[8:])
    assert "lie.safetensors" in fails(*convert(tmp_path / "lie.safetensors"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--layout", "gpt-oss"], "missing -o"),
        (["-o", "x"], "missing --layout"),
        ([], "missing --codes and --scales"),
        (["--codes", "c"], "missing --scales"),
        (["--codes", "c", "--scales", "s", "--dry-run"], "--dry-run does not go with an array"),
        (["--layout", "gpt-oss", "-o", "x", "--pad"], "--pad does not go with a checkpoint"),
    ],
)
def test_the_two_forms_do_not_mix(invoke, source, options, says):
    result = invoke("quantize", source, "--format", "mxfp4", *options)
    assert result.exit_code == 2
    assert says in result.stderr


def test_an_interrupt_says_how_to_go_on(invoke, fails, command, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:

        def interrupted(*_):
            raise KeyboardInterrupt

        patch.setattr(_atomic.Workplace, "place", lambda *_, **__: interrupted())
        result = invoke(*command())
    assert result.exit_code == 2
    assert "interrupted: run the same command to go on" in result.stderr
    assert "was begun by another command" in fails(*command("--policy", "ocp:scale_rule=ceil"))
    result = invoke(*command())
    assert result.exit_code == 0
    assert "an earlier run had done 10,496 bytes" in result.stderr
    assert not (tmp_path / "out.safetensors.partial").exists()


def test_an_interrupt_before_anything_was_done(invoke, command, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mxref.checkpoints.quantize.open_source", interrupted)
    result = invoke(*command())
    assert (result.exit_code, result.stderr) == (2, "mxref: interrupted\n")


WAITING = """
import sys, time
from mxref.checkpoints import _atomic
from mxref.cli.main import main
write = _atomic.Workplace.write
def slow(self, name, size, data, offset):
    write(self, name, size, data, offset)
    if offset:
        print("written", flush=True)
        time.sleep(60)
_atomic.Workplace.write = slow
main(sys.argv[1:])
"""


def test_control_c(command, tmp_path):
    arguments = [sys.executable, "-c", WAITING, *map(str, command())]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "written\n"
        os.kill(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert error.startswith("mxref: interrupted: run the same command")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()
    assert (tmp_path / "out.safetensors.partial" / "journal").exists()


def test_sizes():
    assert parse_size("4 GiB") == 4 << 30
    assert parse_size("0.5TB") == 500_000_000_000
    for text in ("", "GB", "-1", "1e9", "5iB", "0", "0.1", "\N{FULLWIDTH DIGIT FIVE}"):
        with pytest.raises(click.ClickException):
            parse_size(text)
